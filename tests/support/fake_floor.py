"""A floor that says what a test wrote down, and a real web server in front of it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from streams.http_settings import HttpSettings
from streams.web import create_web
from streams.web_access import Access
from streams.web_headers import hardening
from streams.web_server import Limits, listening
from streams.web_tls import certificate_of

Document = dict[str, Any]

TEN_O_CLOCK_MS: Final = 1_795_514_400_000  # 2026-11-24T10:00:00Z
FORMULAS: Final = (
    "strict",
    "of_offered",
    "answered_only",
    "icmi_1",
    "icmi_3",
    "genesys",
    "ucce_ignore",
    "talkdesk",
)


def a_policy(**changes: object) -> Document:
    return {
        "threshold_s": 20,
        "target": 0.8,
        "short_abandon_s": 5,
        "instant_within_s": 2,
        "instant_target": 0.5,
        "formula": "strict",
        "longest_wait_limit_s": {"warning": 120, "critical": 300},
        "initial_response_limit_s": 20,
        "abandonment_limit": 0.1,
        "volume_floor": 10,
        "windows": ["15m", "day"],
        "zone": "UTC",
    } | changes


def a_queue(queue: str = "sales", channel: str = "voice", /, **changes: object) -> Document:
    return {
        "queue": queue,
        "channel": channel,
        "name": queue.capitalize(),
        "site": "",
        "team": "",
        "state": "good",
        "reason": "",
        "cause": None,
        "as_of_ms": TEN_O_CLOCK_MS,
        "no_data_since_ms": None,
        "out_of_service_since_ms": None,
        "oldest_waiting_ms": None,
        "oldest_awaiting_reply_ms": None,
        "open": True,
        "agents": {"available": 3, "on_contact": 5, "after_contact_work": 1, "away": 2},
        "trend": {"waiting": "steady", "service_level": "steady"},
        "alerts": [],
        "paging_suppressed": None,
        "policy": a_policy(),
    } | changes


def an_entry(
    queue: str = "sales",
    channel: str = "voice",
    window: str = "15m",
    *,
    level: float | None = 0.82,
    n: int = 143,
    **changes: object,
) -> Document:
    seconds = {"mean": 11.2, "p50": 8.0, "p90": 19.0, "p99": 48.5, "max": 71.0}
    return {
        "at": "2026-11-24T10:00:00.000Z",
        "as_of": "2026-11-24T10:00:00.000Z",
        "window": window,
        "queue": queue,
        "channel": channel,
        "threshold_s": 20,
        "mixed": False,
        "formula": "strict",
        "offered": n,
        "answered": n - n // 12,
        "answered_within": int(n * (level or 0)),
        "abandoned": n // 12,
        "abandoned_short": n // 50,
        "abandoned_within": n // 30,
        "left": n // 70,
        "left_within": 0,
        "expired": 0,
        "refused": 1,
        "instant": n // 2,
        "sent_to_wait": n // 2,
        "transferred": 4,
        "waiting": 2,
        "waiting_past_threshold": 0,
        "awaiting_reply": 3,
        "initial_response_events": n,
        "initial_response_within": n * 9 // 10,
        "agents": None,
        "queue_open": True,
        "wait_s": seconds,
        "abandon_wait_s": seconds,
        "initial_response_s": seconds,
        "longest_wait_s": None,
        "oldest_awaiting_reply_s": None,
        "initial_response_within_ratio": 0.91 if n else None,
        "service_level": dict.fromkeys(FORMULAS, level),
        "service_level_n": dict.fromkeys(FORMULAS, n),
        "service_level_low": None if level is None else level - 0.02,
        "service_level_high": None if level is None else min(1.0, level + 0.03),
        "instant_service_ratio": 0.64 if n else None,
        "abandonment_ratio": 0.08 if n else None,
    } | changes


def a_floor(*queues: Document, entries: list[Document], **changes: object) -> Document:
    return {
        "name": "floorwatch",
        "as_of": "2026-11-24T10:00:00.000Z",
        "as_of_ms": TEN_O_CLOCK_MS,
        "tick": "2026-11-24T10:00:00.000Z",
        "tick_ms": TEN_O_CLOCK_MS,
        "clock": "wall",
        "ready": True,
        "partial": False,
        "paging": None,
        "queues": list(queues),
        "entries": entries,
    } | changes


def an_alert(name: str = "FloorwatchLongestWait", **changes: object) -> Document:
    return {
        "name": name,
        "severity": "critical",
        "queue": "sales",
        "channel": "voice",
        "since_ms": TEN_O_CLOCK_MS - 4 * 60_000,
        "status": "firing",
        "summary": "Sales voice: longest wait 6:12, limit 5:00",
    } | changes


def a_detail(**changes: object) -> Document:
    waits = {
        "edges_s": [5, 10, 20, 30, 60, 120, 300],
        "answered": [40, 30, 20, 10, 5, 0, 0, 0],
        "abandoned": [2, 1, 3, 4, 2, 1, 0, 0],
    }
    return {
        "waits": dict.fromkeys(("5m", "15m", "30m", "60m", "day"), waits),
        "initial_response": [
            {
                "clock": clock,
                "n": n,
                "mean_s": 11.5,
                "p50_up_to_s": 10.0,
                "p90_up_to_s": 30.0,
                "p99_up_to_s": None,
            }
            for clock, n in (("asked", 120), ("handoff", 40), ("assignment", 110))
        ],
        "instant_by_segment": {
            window: [
                {"segment": "gold", "offered": 20, "instant": 15, "ratio": 0.75},
                {"segment": "unknown", "offered": 5, "instant": 0, "ratio": 0.0},
            ]
            for window in ("5m", "15m", "30m", "60m", "day")
        },
        "corrections": [{"from": "abandoned:short", "to": "answered:true", "count": 3}],
        "corrections_total": 3,
        "sources": [
            {
                "source": "pbx",
                "fed_ms": TEN_O_CLOCK_MS - 1_000,
                "heard_ms": TEN_O_CLOCK_MS,
                "is_stale": False,
            }
        ],
        "conservation_violations": 0,
        "waiting_drift": -1,
        "observed_waiting": 3,
        "observed_ms": TEN_O_CLOCK_MS - 5_000,
        "last_event_ms": TEN_O_CLOCK_MS,
        "worker": {
            "late": 2,
            "duplicates": 7,
            "conflicting": 0,
            "ignored": 0,
            "unmatched": 1,
            "rejected": 4,
        },
    } | changes


def a_history(*queues: Document) -> Document:
    """Sixty minutes of each queue: waiting runs up, service level down, one minute unknown."""
    waiting: list[int | None] = [minute // 4 for minute in range(60)]
    level: list[float | None] = [round(1 - minute / 120, 3) for minute in range(60)]
    waiting[30] = level[30] = None
    return {
        "every_s": 60,
        "until_ms": TEN_O_CLOCK_MS,
        "queues": [
            {
                "queue": queue["queue"],
                "channel": queue["channel"],
                "waiting": waiting,
                "service_level": level,
            }
            for queue in queues
        ],
    }


class FakeFloor:
    """A `FloorSource` with a written document, moved to the time that has passed since.

    Attributes:
        document: what is shown; a test replaces it or its parts.
        stands_still: True keeps `as_of` where it is, as a worker that hangs would.
        ready: what `is_ready` says.
        reason: what `health` says.
        exposition: what `metrics` says.
        past: what `history` says, until a test replaces it.
        details: what `detail` says of every queue.
        frames: how many frames have been encoded.
    """

    def __init__(self, document: Document | None = None) -> None:
        self.document = document or a_floor(a_queue(), entries=[an_entry(), an_entry(window="day")])
        self.stands_still = False
        self.ready = True
        self.reason: str | None = None
        self.exposition = b"# TYPE floorwatch_contacts_waiting gauge\n"
        self.frames = 0
        self.number = 0
        self.past = orjson.dumps(a_history(*self.document["queues"]))
        self.details = a_detail()
        self._started = time.monotonic()

    def floor(self) -> Document:
        passed_ms = 0 if self.stands_still else int((time.monotonic() - self._started) * 1000)
        as_of_ms = self.document["as_of_ms"] + passed_ms
        as_of = datetime.fromtimestamp(as_of_ms / 1000, UTC).isoformat(timespec="milliseconds")
        queues = [
            queue
            if queue["state"] in {"no_data", "catching_up"}
            else queue | {"as_of_ms": queue["as_of_ms"] + passed_ms}
            for queue in self.document["queues"]
        ]
        return self.document | {
            "as_of_ms": as_of_ms,
            "as_of": as_of.replace("+00:00", "Z"),
            "queues": queues,
        }

    def floors(self) -> int:
        return self.number

    def frame(self) -> bytes:
        self.frames += 1
        document = self.floor()
        shown = {
            (queue["queue"], queue["channel"], window)
            for queue in document["queues"]
            for window in queue["policy"]["windows"]
        }
        entries = [
            entry
            for entry in document["entries"]
            if (entry["queue"], entry["channel"], entry["window"]) in shown
        ]
        return orjson.dumps(document | {"entries": entries})

    def history(self) -> bytes:
        return self.past

    def detail(self, queue: str, channel: str) -> Document | None:
        known = {(each["queue"], each["channel"]) for each in self.document["queues"]}
        return self.details if (queue, channel) in known else None

    def metrics(self) -> bytes:
        return self.exposition

    def is_ready(self) -> bool:
        return self.ready

    def health(self) -> str | None:
        return self.reason


class WebServer:
    """The web of a floor on a loopback port, in a thread of its own; it can stop and come back."""

    def __init__(
        self,
        floor: FakeFloor,
        *,
        frame_every_s: float,
        http: HttpSettings | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._floor = floor
        self._frame_every_s = frame_every_s
        self._http = http or HttpSettings()
        self._limits = limits
        self._port = 0
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping: asyncio.Event | None = None

    @property
    def url(self) -> str:
        scheme = "http" if self._http.certificate_file is None else "https"
        return f"{scheme}://127.0.0.1:{self._port}"

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        is_up = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(is_up)))
        self._thread.start()
        if not is_up.wait(timeout=20):
            raise RuntimeError("the web server did not start")

    def stop(self) -> None:
        if self._thread is None or self._loop is None or self._stopping is None:
            return
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        self._thread = None

    async def _serve(self, is_up: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        headers = hardening(self._http.frame_ancestors)
        app = create_web(
            self._floor,
            access=Access(self._http),
            headers=headers,
            frame_every_s=self._frame_every_s,
            reread_every_s=0.1,
        )
        async with listening(
            app,
            "127.0.0.1",
            self._port,
            headers=headers,
            certificate=certificate_of(self._http),
            limits=self._limits,
        ) as (address,):
            self._port = int(address.rpartition(":")[2].rstrip("/"))
            is_up.set()
            await self._stopping.wait()


@contextmanager
def serving(
    floor: FakeFloor,
    *,
    frame_every_s: float = 0.1,
    http: HttpSettings | None = None,
    limits: Limits | None = None,
) -> Iterator[WebServer]:
    """The floor's web while the block runs."""
    server = WebServer(floor, frame_every_s=frame_every_s, http=http, limits=limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()
