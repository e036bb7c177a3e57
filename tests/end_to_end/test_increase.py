"""What a real Prometheus makes of counters while workers are killed, moved and upgraded.

Every worker exports the totals of the whole floor, so rules and boards ask for
`max by (queue, channel, ...) (increase(TOTAL[5m]))`: the most that any worker has seen happen. That
is right as long as no worker's totals ever fall, and all of them stand at the same in the end. Both
are tested here, and what `increase` itself adds: Prometheus draws the line between the first and
the last scrape of the range on to its ends, which is less than 2.2 scrapes' worth.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson
import pytest
from aiokafka.partitioner import murmur2

from schemas import metric_names as m
from schemas.instants import write_instant
from streams.local_kafka import LocalKafka, free_ports
from streams.replay import up_to
from streams.sources.recorded import Recorded
from tests.support.chaos import Installation, Lane, Outcome
from tests.support.chaos_schedules import Fault, Schedule, Stage, evening
from tests.support.perfect import Perfect, net_counters
from tests.support.prometheus import RunningPrometheus, Sample, scraping
from tests.support.recordings import Look, Recording
from tests.support.running import HOST, Feed, Labels, RunningWorker, Samples, parsed

FAULTS: Final[Mapping[str, tuple[Fault, ...]]] = {
    "nothing": (),
    "kill": (Fault("kill", 1, 1.0, 0.5),),
    "move": (Fault("add", 3, 0.5), Fault("remove", 2, 6.0)),
    "rolling upgrade": (Fault("stop", 1, 0.5, 0.5), Fault("stop", 3, 8.0, 0.5)),
}
SCHEDULE: Final = Schedule(
    seed=19,
    workers=2,
    has_names=True,
    stages=tuple(Stage(faults, is_quiet=True) for faults in FAULTS.values()),
)
WORKERS: Final = (1, 2, 3)
UP_AFTER: Final = ((1, 2), (1, 2), (1, 3), (1, 3))
"""Who is up at each quiet point."""

TOTALS: Final = [
    metric for metric in m.ALL if metric.kind == "counter" and "queue" in metric.labels
]
HISTOGRAMS: Final = [metric for metric in m.ALL if metric.kind == "histogram"]
RISING: Final = {
    **{metric.name: metric.labels for metric in TOTALS},
    **{
        f"{metric.name}_{part}": (*metric.labels, *(("le",) if part == "bucket" else ()))
        for metric in HISTOGRAMS
        for part in ("bucket", "count", "sum")
    },
}
"""Every series of the whole floor that only rises, with its labels."""

ROUNDING: Final = 1e-6
LEVEL: Final = m.SERVICE_LEVEL_EVENTS.name
CORRECTIONS: Final = m.CORRECTIONS.name
BEGINS_MS: Final = 1_795_514_400_000


@dataclass
class Scraped:
    """What became of the schedule, and Prometheus beside it.

    Attributes:
        prometheus: still running.
        began_s: before any worker was there.
        quiet: what is known at each quiet point, and an instant at which it had been scraped.
    """

    prometheus: RunningPrometheus
    perfect: Perfect
    began_s: float
    outcome: Outcome
    quiet: list[tuple[Look, float]] = field(default_factory=list)

    def over_all(self) -> str:
        """A range over the whole run, at the last quiet point."""
        return f"[{round(self.quiet[-1][1] - self.began_s) + 60}s]"

    def floor(self, number: int) -> Samples:
        """Every rising series of the floor at a quiet point, over all workers."""
        at_s = self.quiet[number][1]
        return {
            (name, frozenset(sample.labels.items())): sample.value
            for name, labels in RISING.items()
            for sample in self.prometheus.query(f"max by ({','.join(labels)}) ({name})", at_s=at_s)
        }


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Seventy minutes, sent in less than one."""
    return evening(tmp_path_factory.mktemp("evening"))


@pytest.fixture(scope="module")
def scraped(recording: Recording, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """The schedule, lived through with a Prometheus that scrapes every worker once a second."""
    folder = tmp_path_factory.mktemp("increase")
    ports = dict(zip(WORKERS, free_ports(len(WORKERS)), strict=True))
    addresses = {number: f"{HOST}:{port}" for number, port in ports.items()}
    began_s = time.time()
    with (
        Lane() as lane,
        RunningPrometheus(
            folder / "prometheus", scraping({"floorwatch": [*addresses.values()]})
        ) as prometheus,
    ):
        quiet: list[tuple[Look, float]] = []

        def at_quiet(at: Look) -> None:
            up = [addresses[number] for number in UP_AFTER[len(quiet)]]
            prometheus.wait_for_scrape(*up)
            quiet.append((at, time.time()))
            prometheus.wait_for_scrape(*up)  # so that the next range begins where this one ends

        installation = Installation(
            lane, folder, recording, SCHEDULE, ports=ports, at_quiet=at_quiet
        )
        with installation:
            outcome = installation.run()
        yield Scraped(prometheus, installation.perfect, began_s, outcome, quiet)


def test_the_workers_themselves_show_what_the_oracle_says(scraped: Scraped) -> None:
    assert not scraped.outcome.differences, str(scraped.outcome)
    assert len(scraped.quiet) == len(FAULTS)


def test_no_total_of_any_worker_ever_falls(scraped: Scraped) -> None:
    at_s, over_all = scraped.quiet[-1][1], scraped.over_all()

    fallen = {
        name: found
        for name in RISING
        if (found := scraped.prometheus.query(f"resets({name}{over_all}) > 0", at_s=at_s))
    }
    per_worker = scraped.prometheus.query(
        f"count by (instance) (changes(floorwatch_contacts_offered_total{over_all}) > 0)", at_s=at_s
    )

    assert fallen == {}
    assert len(per_worker) == len(WORKERS)


@pytest.mark.parametrize("number", range(len(FAULTS)), ids=FAULTS)
def test_net_totals_at_rest_are_those_of_the_oracle(scraped: Scraped, number: int) -> None:
    floor = scraped.floor(number)
    at = scraped.quiet[number][0]
    totals = scraped.perfect.totals(up_to(at.known, at.at_ms))

    assert {place: net_counters(floor, *place) for place in totals} == totals
    assert sum(each["answered"] for each in totals.values()) > 50 * (number + 1)


@pytest.mark.parametrize("number", range(1, len(FAULTS)), ids=[*FAULTS][1:])
def test_increase_over_a_fault_is_what_happened_to_one_scrape(
    scraped: Scraped, number: int
) -> None:
    (_, from_s), (_, to_s) = scraped.quiet[number - 1 : number + 1]
    before, after = scraped.floor(number - 1), scraped.floor(number)
    over = f"[{round((to_s - from_s) * 1000)}ms]"
    ask = scraped.prometheus.query

    for name, labels in RISING.items():
        by = f"max by ({','.join(labels)})"
        increase = by_labels(ask(f"{by} (increase({name}{over}))", at_s=to_s))
        seen = f"max_over_time({name}{over}) - min_over_time({name}{over})"
        scrapes = f"count_over_time({name}{over}) - 1"
        at_most = by_labels(ask(f"{by} (({seen}) * (1 + 2.2 / ({scrapes})))", at_s=to_s))
        for series in of_name(name, after):
            assert increase[series] <= at_most[series] + ROUNDING, (name, series)
        for series in of_name(name, before):
            happened = after[name, series] - before[name, series]
            assert happened <= increase[series] + ROUNDING, (name, series)


def of_name(name: str, floor: Samples) -> list[Labels]:
    return [labels for each, labels in floor if each == name]


def by_labels(samples: Iterable[Sample]) -> dict[Labels, float]:
    return {frozenset(sample.labels.items()): sample.value for sample in samples}


def test_a_total_that_is_lower_when_read_again_is_raised(
    kafka: LocalKafka, unique: str, tmp_path: Path
) -> None:
    """Who read on at once has seen a miss; who reads all of it later finds the answer in time."""
    [port] = free_ports(1)
    settings = {
        **{"name": unique, "bootstrap": kafka.bootstrap, "clock": "event", "port": port},
        "topics": {"calls": f"{unique}.calls", "chats": "off", "queues": "off"},
    }
    first = RunningWorker(tmp_path / "first", settings)
    second = RunningWorker(tmp_path / "second", settings, ["--rebuild"])
    target = scraping({"floorwatch": [f"{HOST}:{port}"]})
    with Feed(first.settings_file, partitions=2) as feed, RunningPrometheus(tmp_path, target) as p:
        with first:
            feed.send([call("queued", 0), call("queued", 60_000, partition=1)])
            first.wait_for_records(feed.sent)
            p.wait_for_scrape()
            missed = p.value(f"{LEVEL}{{queue='sales-0',met='false'}}")
        feed.send([call("answered", 10_000)])
        with second:
            second.wait_for_records(feed.sent)
            p.wait_for_scrape()
            page = parsed(second.metrics())
            met = p.value(f"{LEVEL}{{queue='sales-0',met='true'}}")
            of_level = f"{CORRECTIONS}{{from=~'service_level_events:.*'}}"
            corrections = p.query(f"sum by (queue, from, to) ({of_level})")
            fallen = [p.query(f"resets({name}[1h]) > 0") for name in RISING]

    net = net_counters(page, "sales-0", "voice")
    assert (missed, met) == (1, 1)
    assert corrections == [
        Sample({"queue": "sales-0", "from": "service_level_events:false", "to": "restored"}, 1.0)
    ]
    assert (net["service level met"], net["service level events"]) == (1, 1)
    assert not any(fallen)


def call(kind: str, after_ms: int, *, partition: int = 0) -> Recorded:
    """An event of the one contact that there is in *partition* of two, in a queue of its own."""
    contact = next(
        f"c-{number}"
        for number in range(99)
        if (murmur2(b"c-%d" % number) & 0x7FFFFFFF) % 2 == partition
    )
    time_ms = BEGINS_MS + after_ms
    event = {
        **{"id": f"{kind} {contact}", "type": f"contact.{kind}", "time": write_instant(time_ms)},
        **{"source": "pbx", "contact": contact, "queue": f"sales-{partition}", "channel": "voice"},
    }
    return Recorded(time_ms, "calls", contact.encode(), orjson.dumps(event), 1)
