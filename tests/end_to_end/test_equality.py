"""A day through real Kafka to a real worker: its floor equals the report, and brute force.

Every case is a worker of its own. They all work at the same time, since most of what a case does
is to wait for the next floor; the tests then look at what was shown.
"""

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from schemas.instants import write_instant
from streams.core.reporting import IntervalReport, TickReport
from streams.local_kafka import LocalKafka
from streams.settings import load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics
from tests.support.commands import floorwatch
from tests.support.oracle import Policy, first_instant_of, visits_of
from tests.support.oracle_figures import (
    Look,
    Window,
    agents_of,
    figures,
    is_queue_open,
    local_date,
)
from tests.support.recordings import (
    BANK_MONTH,
    Recording,
    banks_day,
    banks_month,
    simulated,
    timed,
)
from tests.support.running import Feed, RunningWorker, Samples, parsed, settings_file

Entry = dict[str, Any]
Key = tuple[str, str, str]
"""Queue, channel, window."""

TICK_MS: Final = 5_000
HOUR_MS: Final = 3_600_000
ROLLING: Final = {"5m": 300_000, "15m": 900_000, "30m": 1_800_000, "60m": 3_600_000}
WINDOWS: Final = (*ROLLING, "day")
INSTANTS: Final = 20
PARTITIONS: Final = 4

COUNTERS: Final = (
    *("offered", "answered", "answered_within", "abandoned", "abandoned_short"),
    *("abandoned_within", "left", "left_within", "expired", "refused", "instant"),
    *("sent_to_wait", "transferred", "initial_response_events", "initial_response_within"),
)
FIGURES: Final = (
    *COUNTERS,
    *("waiting", "waiting_past_threshold", "longest_wait_s"),
    *("awaiting_reply", "oldest_awaiting_reply_s"),
    *("wait_s", "abandon_wait_s", "initial_response_s", "initial_response_within_ratio"),
    *("service_level", "service_level_n", "service_level_low", "service_level_high"),
    *("instant_service_ratio", "abandonment_ratio", "mixed"),
)
WITHIN_A_PERCENT: Final = ("p50", "p90", "p99", "max")


# -- what is sent, and when -------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """What is sent before one look at the floor.

    Attributes:
        records: in the order in which they are sent.
        until_ms: the tick at which the look is; none of them happened later.
    """

    records: list[Recorded]
    until_ms: int


def time_of(record: Recorded) -> int:
    assert record.time_ms is not None
    return record.time_ms


def tick_after(records: Iterable[Recorded]) -> int:
    """The first tick that knows all of *records*."""
    return -(-max(map(time_of, records)) // TICK_MS) * TICK_MS


def instants_of(records: Iterable[Recorded]) -> list[int]:
    """Ticks over the whole day; half of them are the very moment of an event."""
    times_ms = sorted(map(time_of, records))
    instants = set()
    for number in range(1, INSTANTS // 2 + 1):
        later_ms = times_ms[len(times_ms) * number // (INSTANTS // 2 + 1) :]
        on_tick_ms = next(ms for ms in later_ms if ms % TICK_MS == 0)
        instants |= {on_tick_ms, on_tick_ms + number * TICK_MS}
    assert len(instants) == INSTANTS
    return sorted(instants)


def steps_until(instants: Iterable[int], records: Sequence[Recorded]) -> list[Step]:
    """A step to each of *instants* with all that happened up to it, and one with the rest."""
    return [
        Step([record for record in records if after_ms < time_of(record) <= until_ms], until_ms)
        for after_ms, until_ms in pairwise((-1, *instants, tick_after(records)))
    ]


def up_to_an_hour_late(records: Iterable[Recorded]) -> list[Recorded]:
    draw = random.Random(60)
    return sorted(records, key=lambda record: time_of(record) + draw.randrange(HOUR_MS))


def in_order(records: Sequence[Recorded]) -> list[Step]:
    """Each event when it happens."""
    return steps_until(instants_of(records), records)


def shuffled(records: Sequence[Recorded]) -> list[Step]:
    """A file in which every event is up to an hour late, sent with `--until`."""
    return steps_until(instants_of(records), up_to_an_hour_late(records))


def twice(records: Sequence[Recorded]) -> list[Step]:
    """Each event when it happens, and one of twenty again, up to three hours later."""
    draw = random.Random(20)
    arriving = [(time_of(record), record) for record in records]
    arriving += [
        (arrival_ms + draw.randrange(3 * HOUR_MS), record)
        for arrival_ms, record in arriving
        if draw.random() < 0.05
    ]
    arriving.sort(key=lambda arrival: arrival[0])
    steps = steps_until(instants_of(records), records)
    bounds = [-1, *(step.until_ms for step in steps[:-1]), arriving[-1][0]]
    return [
        Step([record for at_ms, record in arriving if after_ms < at_ms <= to_ms], step.until_ms)
        for (after_ms, to_ms), step in zip(pairwise(bounds), steps, strict=True)
    ]


def as_they_arrive(records: Sequence[Recorded]) -> list[Step]:
    """Every event up to an hour late, and looks before the late ones are there."""
    arriving = up_to_an_hour_late(records)
    bounds = [len(arriving) * number // (INSTANTS + 1) for number in range(INSTANTS + 2)]
    return [
        Step(arriving[begin:end], tick_after(arriving[:end])) for begin, end in pairwise(bounds)
    ]


RECORDINGS: Final[Mapping[str, Callable[[Path], Recording]]] = {
    "simulated": simulated,
    **({"bank": banks_day} if BANK_MONTH.exists() else {}),
}
ORDERS: Final = {
    "in order": in_order,
    "shuffled": shuffled,
    "twice": twice,
    "as they arrive": as_they_arrive,
}
CASES: Final = [(name, order) for name in RECORDINGS for order in ORDERS]
every_case = pytest.mark.parametrize(("name", "order"), CASES)


# -- what is shown ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """What a worker showed after a step.

    Attributes:
        known: what had been sent by then, once and in the order of the file.
        at_ms: the instant that it should be as of.
        floor: the document.
    """

    known: tuple[Recorded, ...]
    at_ms: int
    floor: dict[str, Any]

    def entries(self) -> dict[Key, Entry]:
        """The entries of all windows; there is one of each."""
        listed = [entry for entry in self.floor["entries"] if entry["window"] in WINDOWS]
        entries = {(entry["queue"], entry["channel"], entry["window"]): entry for entry in listed}
        assert len(entries) == len(listed)
        return entries


@dataclass(frozen=True)
class Played:
    """What a worker showed in one case: a floor after each step, the metrics after the last.

    Attributes:
        repeated: how many records were sent again, in each partition that they went to.
    """

    shown: list[Shown]
    metrics: Samples
    repeated: int


def play(folder: Path, settings: Mapping[str, Any], steps: Sequence[Step]) -> Played:
    """Send *steps* to a worker with *settings* and look at its floor after each."""
    folder.mkdir()
    path = settings_file(folder, settings)
    sent: list[Recorded] = []
    shown = []
    with Feed(path, partitions=PARTITIONS) as feed, RunningWorker(folder, settings) as worker:
        for step in steps:
            feed.send_until(step.records, step.until_ms)
            worker.wait_for_records(feed.sent)
            sent += step.records
            known = {record.line_number: record for record in sent}
            in_file_order = tuple(known[number] for number in sorted(known))
            shown.append(Shown(in_file_order, step.until_ms, worker.floor()))
        everywhere = PARTITIONS * len(feed.settings.topics.in_use())
        repeated = sum(1 if record.key is not None else everywhere for record in sent)
        repeated -= sum(1 if record.key is not None else everywhere for record in known.values())
        return Played(shown, parsed(worker.metrics()), repeated)


class Perfect:
    """The same figures of the same events without Kafka: by the core's report, by brute force."""

    def __init__(self, recording: Recording, path: Path) -> None:
        self._recording = recording
        self._policies = load_settings(path, {}).policy
        self.rows = cache(self._rows)

    def _rows(self, known: tuple[Recorded, ...], at_ms: int) -> dict[Key, Entry]:
        """Rows by queue and channel, and of all together, at the tick *at_ms*."""
        events = timed(known)
        rows = {}
        for by in (("queue", "channel"), ()):
            report = TickReport(
                self._policies,
                zone=self._recording.tz,
                every_ms=at_ms,  # the one multiple of it up to then is itself
                windows=ROLLING,
                days=True,
                by=by,
            )
            for row in report.rows(iter(events)):
                assert row["at"] == write_instant(at_ms, self._recording.tz)
                if (row["queue"] == "*") == (not by):
                    rows[row["queue"], row["channel"], row["window"]] = row
        return rows

    def totals(self, known: Iterable[Recorded]) -> dict[tuple[str, str], Entry]:
        """All counts of the whole input, by queue and channel."""
        report = IntervalReport(
            self._policies,
            zone=self._recording.tz,
            by=("queue", "channel"),
            by_arrival=False,
        )
        for event, time_ms, arrival_ms in timed(known):
            report.accept(event, time_ms, arrival_ms)
        rows = {(row["queue"], row["channel"]): row for row in report.rows()}
        return {place: row for place, row in rows.items() if place[0] != "*"}

    def by_brute_force(self, shown: Shown, keys: Iterable[Key]) -> dict[Key, Entry]:
        """The rows of *keys*, by an oracle that shares no code with the core."""
        policy = Policy(zone=self._recording.zone)
        events = [orjson.loads(record.value) for record in shown.known]
        contacts = visits_of(events, policy, until_ms=shown.at_ms)
        midnight_ms = first_instant_of(local_date(shown.at_ms, policy.zone), policy.zone)
        rows = {}
        for queue, channel, name in keys:
            if name == "day":
                window = Window(midnight_ms, shown.at_ms)
            else:
                window = Window(shown.at_ms - ROLLING[name], shown.at_ms, from_inside=False)
            look = Look(queue, channel, window, shown.at_ms, arrival=False)
            rows[queue, channel, name] = {
                **figures(contacts, contacts, look, shown.at_ms),
                "agents": None if queue == "*" else agents_of(events, policy, queue),
                "queue_open": is_queue_open(events, policy, queue),
            }
        return rows


def differences(
    shown: Mapping[str, Any], expected: Mapping[str, Any], names: Iterable[str]
) -> dict[str, tuple[Any, Any]]:
    """The figures that differ, as (shown, expected); live quantiles may by one percent."""
    found: dict[str, tuple[Any, Any]] = {}
    for name in names:
        one, other = shown[name], expected[name]
        if isinstance(other, Mapping) and isinstance(one, Mapping):
            assert one.keys() == other.keys()
            inner = differences(one, other, other)
            found |= {f"{name}.{key}": pair for key, pair in inner.items()}
        elif name in WITHIN_A_PERCENT and one is not None and other is not None:
            if abs(one - other) > other / 100:
                found[name] = (one, other)
        elif one != other:
            found[name] = (one, other)
    return found


def unequal(
    entries: Mapping[Key, Entry], rows: Mapping[Key, Entry], names: Sequence[str]
) -> dict[Key, Any]:
    """The entries that differ from the rows; one that only one side has counts as all zero."""
    found: dict[Key, Any] = {}
    for key in entries.keys() | rows:
        entry, row = entries.get(key), rows.get(key)
        if entry is not None and row is not None:
            if differ := differences(entry, row, names):
                found[key] = differ
        elif any((entry or row or {})[name] for name in (*COUNTERS, "waiting", "awaiting_reply")):
            found[key] = "missing" if entry is None else "unexpected"
    return found


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Recording]:
    folder = tmp_path_factory.mktemp("recordings")
    return {name: make(folder) for name, make in RECORDINGS.items()}


@pytest.fixture(scope="module")
def perfect(
    recordings: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Perfect]:
    made = {}
    for name, recording in recordings.items():
        path = settings_file(tmp_path_factory.mktemp(name), recording.settings("perfect", "no:1"))
        made[name] = Perfect(recording, path)
    return made


@pytest.fixture(scope="module")
def played(
    kafka: LocalKafka, recordings: dict[str, Recording], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[tuple[str, str], Future[Played]]]:
    """All cases, on their way."""
    folder = tmp_path_factory.mktemp("played")
    playing = {}
    with ThreadPoolExecutor(len(CASES)) as pool:
        for number, (name, order) in enumerate(CASES):
            settings = recordings[name].settings(f"equal-{number}", kafka.bootstrap)
            steps = ORDERS[order](recordings[name].records())
            playing[name, order] = pool.submit(play, folder / str(number), settings, steps)
        yield playing


Cases = dict[tuple[str, str], Future[Played]]


# -- the tests --------------------------------------------------------------------------------


@every_case
def test_every_window_and_gauge_equals_the_report(
    played: Cases, perfect: dict[str, Perfect], name: str, order: str
) -> None:
    for shown in played[name, order].result().shown:
        entries = shown.entries()
        rows = perfect[name].rows(shown.known, shown.at_ms)

        assert shown.floor["ready"]
        assert shown.floor["as_of_ms"] == shown.floor["tick_ms"] == shown.at_ms
        assert unequal(entries, rows, FIGURES) == {}


@every_case
def test_every_window_and_gauge_equals_brute_force(
    played: Cases, perfect: dict[str, Perfect], name: str, order: str
) -> None:
    for number, shown in enumerate(played[name, order].result().shown[::2]):
        window = WINDOWS[number % len(WINDOWS)]
        entries = {key: entry for key, entry in shown.entries().items() if key[2] == window}
        rows = perfect[name].by_brute_force(shown, entries)

        assert unequal(entries, rows, (*FIGURES, "agents", "queue_open")) == {}


@every_case
def test_net_counters_equal_the_reports_totals(
    played: Cases, perfect: dict[str, Perfect], name: str, order: str
) -> None:
    case = played[name, order].result()
    totals = perfect[name].totals(case.shown[-1].known)

    assert {place: net_counters(case.metrics, *place) for place in totals} == {
        place: counters_of(row) for place, row in totals.items()
    }
    assert sum_of(case.metrics, "floorwatch_duplicates_total") == case.repeated
    assert sum_of(case.metrics, "floorwatch_late_events_total") == 0
    assert sum_of(case.metrics, "floorwatch_conservation_violations") == 0


def test_cases_are_what_their_names_say(played: Cases) -> None:
    """Late events were late, copies were copies, and half of the instants hit an event."""
    for (_, order), playing in played.items():
        case = playing.result()
        corrections = sum_of(case.metrics, "floorwatch_corrections_total")
        at_an_event = sum(
            any(record.time_ms == shown.at_ms for record in shown.known) for shown in case.shown
        )

        assert (case.repeated > 100) == (order == "twice")
        assert (corrections > 100) == (order in ("shuffled", "as they arrive"))
        assert at_an_event >= INSTANTS // 2 or order == "as they arrive"


def test_replay_until_and_report_agree_as_commands(
    kafka: LocalKafka, tmp_path: Path, unique: str
) -> None:
    """Each replay sends the whole file up to its instant: all but the new events are copies."""
    recording = simulated(tmp_path)
    records = recording.records()
    settings = recording.settings(unique, kafka.bootstrap)
    path = settings_file(tmp_path, settings)
    every_ms = 5 * 60_000
    middle_ms = time_of(records[len(records) // 2]) // every_ms * every_ms
    instants = [middle_ms, middle_ms + every_ms, tick_after(records) // every_ms * every_ms]
    everywhere = PARTITIONS * len(settings["topics"])
    windows = ("--window", ",".join(WINDOWS), "--by", "queue,channel", "--attribute", "outcome")

    said = floorwatch(
        *("report", "--settings", str(path), "--every", "5m", *windows),
        *("--format", "json", str(recording.path)),
    )
    assert said.returncode == 0, said.stderr
    rows: dict[str, dict[Key, Entry]] = {}
    for row in map(orjson.loads, said.stdout.splitlines()):
        rows.setdefault(row["at"], {})[row["queue"], row["channel"], row["window"]] = row
    sent = 0
    shown = []
    ensure_topics(load_settings(path, {}), PARTITIONS)
    with RunningWorker(tmp_path, settings) as worker:
        for until_ms in instants:
            until = write_instant(until_ms, recording.tz)
            said = floorwatch(
                "replay", "--settings", str(path), "--until", until, str(recording.path)
            )
            assert said.returncode == 0, said.stderr
            given = [record for record in records if time_of(record) <= until_ms]
            sent += sum(1 if record.key is not None else everywhere for record in given)
            sent += everywhere
            worker.wait_for_records(sent)
            shown.append(Shown(tuple(given), until_ms, worker.floor()))

    for look in shown:
        expected = rows[write_instant(look.at_ms, recording.tz)]
        expected = {key: row for key, row in expected.items() if key[0] != "*"}
        entries = {key: entry for key, entry in look.entries().items() if key[0] != "*"}
        assert look.floor["as_of_ms"] == look.at_ms
        assert unequal(entries, expected, FIGURES) == {}


@pytest.mark.skipif(not BANK_MONTH.exists(), reason="needs the bank's month, which is not ours")
def test_a_months_net_counters_equal_the_report(
    kafka: LocalKafka, tmp_path: Path, unique: str
) -> None:
    recording = banks_month()
    settings = recording.settings(unique, kafka.bootstrap)
    path = settings_file(tmp_path, settings)

    sent = floorwatch("replay", "--settings", str(path), str(recording.path))
    assert sent.returncode == 0, sent.stderr
    reported = floorwatch(
        *("report", "--settings", str(path), "--by", "queue,channel", "--attribute", "outcome"),
        *("--format", "json", str(recording.path)),
    )
    assert reported.returncode == 0, reported.stderr
    rows = [orjson.loads(line) for line in reported.stdout.splitlines()]
    with RunningWorker(tmp_path, settings) as worker:
        worker.wait_for_records(len(recording.records()))
        metrics = parsed(worker.metrics())

    assert {
        row["queue"]: net_counters(metrics, row["queue"], row["channel"])
        for row in rows
        if row["queue"] != "*"
    } == {row["queue"]: counters_of(row) for row in rows if row["queue"] != "*"}


# -- counters at /metrics ---------------------------------------------------------------------


def sum_of(metrics: Samples, name: str, **labels: str) -> int:
    """The sum of all series of *name* with these *labels*."""
    wanted = labels.items()
    return round(
        sum(value for (each, has), value in metrics.items() if each == name and wanted <= has)
    )


def net_counters(metrics: Samples, queue: str, channel: str) -> dict[str, int]:
    """Totals less what corrections took out of them, under the names of a report's row."""
    place = {"queue": queue, "channel": channel}

    def net(name: str, **labels: str) -> int:
        total = sum_of(metrics, f"floorwatch_{name}_total", **place, **labels)
        family = name.removeprefix("contacts_")
        corrected = (
            (dict(has)["from"].split(":"), value)
            for (each, has), value in metrics.items()
            if each == "floorwatch_corrections_total" and place.items() <= has
        )
        values = set(labels.values())
        return total - round(
            sum(
                value
                for (first, *rest), value in corrected
                if first == family and values <= {*rest}
            )
        )

    abandoned_short = net("contacts_abandoned", timing="short")
    met = net("service_level_events", met="true")
    return {
        "offered": net("contacts_offered"),
        "answered": net("contacts_answered"),
        "answered_within": net("contacts_answered", within="true"),
        "abandoned": net("contacts_abandoned"),
        "abandoned_short": abandoned_short,
        "abandoned_within": abandoned_short + net("contacts_abandoned", timing="before_threshold"),
        "left": net("contacts_left"),
        "left_within": net("contacts_left", within="true"),
        "expired": net("contacts_expired"),
        "refused": net("contacts_refused"),
        "instant": net("contacts_instant"),
        "sent_to_wait": net("contacts_sent_to_wait"),
        "transferred": net("contacts_transferred"),
        "initial_response_events": net("initial_response_events"),
        "initial_response_within": net("initial_response_events", met="true"),
        "service level met": met,
        "service level events": met + net("service_level_events", met="false"),
    }


def counters_of(row: Mapping[str, Any]) -> dict[str, int]:
    """The counters of a report's row, and the two that `strict` is made of."""
    rests_on = row["service_level_n"]["strict"]
    ratio = row["service_level"]["strict"]
    return {
        **{name: row[name] for name in COUNTERS},
        "service level met": round((ratio or 0) * rests_on),
        "service level events": rests_on,
    }
