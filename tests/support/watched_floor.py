"""A simulated floor in trouble, a real worker on it, and a real Prometheus that watches both.

The past half hour is played at once. Then agents leave Support, a line is cut, the chat system
falls silent, and records arrive that are late, twice, or none at all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import yaml

from schemas.instants import write_instant
from streams.kafka_access import kafka_access
from streams.local_kafka import LocalKafka
from streams.producing import Outlet, Producer
from streams.settings import load_settings
from streams.simulator import zone_where_it_is
from streams.topics import ensure_topics
from tests.support.commands import ROOT, started
from tests.support.prometheus import RunningPrometheus, scraping
from tests.support.running import RunningWorker

JOB: Final = "floorwatch"
OTHER_JOB: Final = "floorwatch-2"
"""Another installation, as far as Prometheus knows."""

RULES: Final = ROOT / "deploy" / "prometheus" / "floorwatch.rules.yml"
BUSY_HOUR: Final = 10
PAST: Final = "30m"
INCIDENTS: Final = (
    "late@5m/2h",
    "duplicates@5m/2h",
    "agents-out@22m/2h:support",
    "agents-out@22m/2h:sales",
    "trunk-down@29m/2h:billing",
    "source-silent@30m20s/2h:webchat",
)
"""Times count from where the past begins; the floor is live when it is over."""

POLICY: Final = {
    "defaults": {"export_formulas": "all", "instant_target": 0.5, "site": "Berlin", "team": "Day"},
    "channels": {"voice": {"longest_wait_limit": {"warning": "30s", "critical": "1m"}}},
    "queues": {
        "sales": {
            "name": "Sales",
            "formula": "of_offered",
            "longest_wait_limit": {"critical": "10h"},
        },
        "support": {"name": "Support"},
        "billing": {"name": "Billing", "target": 0.05},  # so that one queue is above it
        "webchat": {"name": "Web chat"},
        "messages": {"name": "Messages"},
        "mail": {"name": "Mail"},
    },
}

_ANSWERED: Final = {"contact": "late", "channel": "voice", "queue": "sales", "agent": "a"}


@dataclass(frozen=True, slots=True)
class WatchedFloor:
    """The parts of it that tests ask."""

    worker: RunningWorker
    prometheus: RunningPrometheus


@contextmanager
def watched_floor(folder: Path) -> Iterator[WatchedFloor]:
    """All of it, running, once Prometheus has read a floor; it ends with the block."""
    with ExitStack() as parts:
        kafka = parts.enter_context(LocalKafka())
        worker = RunningWorker(
            folder / "worker",
            {
                "bootstrap": kafka.bootstrap,
                "policy": POLICY,
                "sources": {"chatdesk": {"interval": "5s"}},
                "max_record_bytes": 2_000,
            },
        )
        settings = load_settings(worker.settings_file, {})
        topics = ensure_topics(settings, 2, any_time=True)
        parts.enter_context(worker)
        rules = folder / "rules.yml"
        rules.write_text(yaml.safe_dump({"groups": [{"name": "stand-ins", "rules": _rules()}]}))
        prometheus = parts.enter_context(
            RunningPrometheus(
                folder / "prometheus",
                scraping({job: [worker.address] for job in (JOB, OTHER_JOB)}, rules=[RULES, rules]),
            )
        )
        now_ms = time.time_ns() // 1_000_000
        offset = datetime.now(zone_where_it_is(BUSY_HOUR, now_ms)).strftime("%z")
        simulation = started(
            *("simulate", "--bootstrap", kafka.bootstrap, "--past", PAST),
            *("--tz", f"{offset[:3]}:{offset[3:]}"),
            *(part for incident in INCIDENTS for part in ("--incident", incident)),
        )
        parts.callback(_end, simulation)

        def past_is_read() -> bool:
            assert simulation.poll() is None, simulation.communicate()
            return bool(prometheus.query("sum(floorwatch_contacts_offered_total) > 100"))

        prometheus.wait_until(past_is_read, "the past was read")
        with Producer(kafka_access(settings), topics) as producer:
            outlet = Outlet(producer, settings.topics)
            for key, record in _hostile(time.time_ns() // 1_000_000):
                outlet.send("calls", key, record, time.time_ns() // 1_000_000)
            producer.finish()
        yield WatchedFloor(worker, prometheus)


def _end(simulation: Any) -> None:
    simulation.kill()
    simulation.communicate()


def _rules() -> list[dict[str, Any]]:
    """Alerts that fire at once, and some that never will, beside the real ones."""
    where = "cluster, namespace, job"
    waiting = f"max by ({where}, queue, channel) (floorwatch_contacts_waiting) >= 0"
    heard = f"max by ({where}, source) (floorwatch_source_last_event_timestamp_seconds) > 0"
    behind = f"max by ({where}, topic, partition) (floorwatch_event_lag_seconds) >= 0"
    at_once: list[dict[str, Any]] = [
        {"expr": waiting, "labels": {"severity": "critical"}},
        *({"expr": expr, "labels": {"severity": "warning"}} for expr in (heard, behind, "up == 1")),
    ]
    never = [{**rule, "for": "1d"} for rule in at_once]
    return [
        {"alert": f"FloorwatchStandIn{number}", **rule}
        for number, rule in enumerate([*at_once, *never])
    ]


def _hostile(now_ms: int) -> Iterator[tuple[bytes, bytes]]:
    """Records that a worker counts and leaves out, each with its key."""

    def event(kind: str, at_ms: int = now_ms, **fields: str) -> bytes:
        stamped = {"id": f"{kind}-{at_ms}", "time": write_instant(at_ms), "source": "pbx"}
        return orjson.dumps({"type": kind, **stamped, **_ANSWERED, **fields})

    records = [
        b"no record",
        b"[" * 100_000,  # rejected, and too large to be kept whole
        event("contact.sang"),
        event("contact.wrapped", colour="blue"),
        event("contact.abandoned"),
        event("contact.queued", now_ms - 5 * 3_600_000),
        event("contact.offered", now_ms - 1),
        event("contact.offered", now_ms - 1, segment="gold"),
    ]
    for record in records:
        yield b"late", record
