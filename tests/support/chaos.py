"""Workers that live through a schedule of faults, and what they show compared with the oracle.

In each stage of a schedule events flow in, some of them late, some twice, none quite in order,
while one or two faults happen. After some stages and after the last there is a quiet point: the
faults are over, everything has been read, and what the workers show has to be what the oracle says
of the same events.
"""

from __future__ import annotations

import contextlib
import math
import os
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from schemas.instants import write_instant
from streams.kafka_access import KafkaAccess
from streams.local_kafka import LocalKafka
from streams.replay import up_to
from streams.settings import Settings, load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics, look, rejected_topic, remove_topics
from tests.support.chaos_schedules import (
    MOST_WORKERS,
    SESSION_S,
    TODAY,
    Fault,
    Promises,
    Schedule,
    Stage,
    arriving,
    portions,
)
from tests.support.perfect import (
    COUNTERS,
    FIGURES,
    STAFFING,
    WINDOWS,
    Entry,
    Key,
    Perfect,
    entries_of,
    net_counters,
    sum_of,
    unequal,
)
from tests.support.proxy import Proxy
from tests.support.recordings import Look, Recording, Step, looks, tick_after
from tests.support.running import PATIENCE_S, Feed, RunningWorker, Samples, parsed, settings_file

PARTITIONS: Final = 4
QUIET_S: Final = 3.5
"""How long everything has to stand still: longer than a worker takes an old end for true."""

PORTION_S: Final = 0.4
SLOW_BYTES_PER_S: Final = 64 * 1024
TOLD_AT_MOST: Final = 20
LOG_LINES: Final = 8

NEVER: Final = (
    "floorwatch_late_events_total",
    "floorwatch_conservation_violations",
    "floorwatch_state_rebuilds_total",
)
"""What stays 0 whatever happens; a rebuild gives the same figures, later than need be."""

ADDITIVE: Final = (*COUNTERS, "waiting", "waiting_past_threshold", "awaiting_reply")
"""What the shares of several workers add up to."""

Place = tuple[str, int]


class Unsettled(Exception):
    """The workers do not come to rest; the text says what is missing."""


class Worker(RunningWorker):
    """A worker that can be killed and frozen."""

    def kill(self) -> None:
        """End it at once, as the kernel does when memory is out; nothing of it runs any more."""
        if self._process is not None:
            self._signal(signal.SIGKILL)
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        """Let it stand still: no instruction of it runs, and its connections stay."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on where it stood."""
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)  # the leash too: it would end what stands


class Lane:
    """A broker, and a proxy before it for each worker; a context manager.

    Schedules run in it one after another, since what happens to the broker happens to all.
    """

    def __init__(self) -> None:
        self._held = contextlib.ExitStack()
        self.proxies: dict[int, Proxy] = {}
        self.kafka: LocalKafka

    def __enter__(self) -> Self:
        """Start them."""
        with contextlib.ExitStack() as starting:
            for number in range(1, MOST_WORKERS + 1):
                self.proxies[number] = starting.enter_context(Proxy())
            ports = [proxy.port for proxy in self.proxies.values()]
            self.kafka = starting.enter_context(LocalKafka(heap_mb=256, proxies=ports))
            for proxy in self.proxies.values():
                proxy.target = self.kafka.behind(proxy.port)
            self._held = starting.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop them."""
        self._held.close()

    def heal(self) -> None:
        """Have the broker and the way to it as they were at the start."""
        self.kafka.start()
        for proxy in self.proxies.values():
            proxy.heal()


@dataclass
class Outcome:
    """What became of a schedule.

    Attributes:
        events: records sent, each once however many partitions it went to.
        compared: figures that were compared with the oracle's.
        differences: what differed, one a line; empty when all is well.
    """

    schedule: Schedule
    events: int = 0
    looks: int = 0
    compared: int = 0
    seconds: float = 0.0
    differences: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        told = [f"  {line}" for line in self.differences[:TOLD_AT_MOST]]
        if more := len(self.differences) - TOLD_AT_MOST:
            told += [f"  and {more} more"] if more > 0 else []
        return "\n".join([str(self.schedule), *told])


class Installation:
    """The workers of one schedule, their topics and what is sent to them; a context manager."""

    def __init__(
        self,
        lane: Lane,
        folder: Path,
        recording: Recording,
        schedule: Schedule,
        promises: Promises = TODAY,
        *,
        ports: Mapping[int, int] | None = None,
        at_quiet: Callable[[Look], None] = lambda at: None,
    ) -> None:
        """Prepare for *schedule*.

        Args:
            lane: where the broker is.
            folder: for the workers' settings and logs.
            recording: the events.
            schedule: what happens.
            promises: what is asked of the workers.
            ports: where workers listen, by number; the others on any free port.
            at_quiet: called at every quiet point, once all has been compared.
        """
        self.outcome = Outcome(schedule)
        self.perfect: Perfect
        self._ports = ports or {}
        self._at_quiet = at_quiet
        self._lane = lane
        self._folder = folder
        self._recording = recording
        self._schedule = schedule
        self._promises = promises
        self._name = f"chaos-{schedule.seed}-{random.SystemRandom().randrange(1 << 32):08x}"
        self._workers: dict[int, Worker] = {}
        self._up: set[int] = set()
        self._settings: Settings
        self._feed: Feed
        self._until_ms = 0
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Create the topics and start the workers."""
        self._lane.heal()
        with contextlib.ExitStack() as starting:
            starting.callback(self._end)
            self._folder.mkdir(parents=True, exist_ok=True)
            path = settings_file(self._folder, self._settings_of(None))
            self._settings = load_settings(path, {})
            self.perfect = Perfect(self._recording, self._settings.policy)
            self._feed = starting.enter_context(Feed(path, partitions=PARTITIONS))
            for number in range(1, self._schedule.workers + 1):
                self._start(number)
            self._held = starting.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop what runs and remove the topics."""
        self._held.close()

    def run(self) -> Outcome:
        """Live through the schedule and compare at every quiet point."""
        began_s = time.monotonic()
        records = self._recording.records()
        sending = arriving(records, self._schedule.seed)
        self.outcome.events = len(sending)
        steps = []
        shares = portions(sending, len(self._schedule.stages))
        for number, (stage, share) in enumerate(zip(self._schedule.stages, shares, strict=True)):
            self._pass(stage, share)
            steps.append(Step(list(share), self._until_ms))
            if stage.is_quiet:
                where = f"after stage {number + 1} at {write_instant(self._until_ms)}"
                at = looks(steps)[-1]
                self._compare(at, where, WINDOWS[number % len(WINDOWS)])
                self._at_quiet(at)
        for number in sorted(self._up):
            self._stop(number)
        for number, worker in self._workers.items():
            if "Traceback" in worker.log() and self._promises.logs_calmly:
                self._differs(f"worker {number}: a traceback in its log", worker)
        self.outcome.seconds = time.monotonic() - began_s
        return self.outcome

    # What happens

    def _pass(self, stage: Stage, records: Sequence[Recorded]) -> None:
        """Let *records* flow while the faults of *stage* happen; return when both are over."""
        lasts_s = max((fault.after_s + fault.for_s for fault in stage.faults), default=0.0) + 1.0
        flow = portions(records, round(lasts_s / PORTION_S))
        deeds = [fault for fault in stage.faults if fault.kind != "topic recreated"]
        if len(deeds) < len(stage.faults):
            self._recreate()
        with ThreadPoolExecutor(1 + len(stage.faults)) as pool:
            doing = [
                pool.submit(self._send, flow),
                *(pool.submit(self._do, each) for each in deeds),
            ]
        for each in doing:
            each.result()
        for number in sorted(self._up):
            worker = self._workers[number]
            if not worker.is_running:
                if "no Kafka answers" not in worker.log().splitlines()[-1]:  # while it was starting
                    self._differs(f"worker {number} ended by itself", worker)
                worker.kill()
                self._start(number)

    def _send(self, flow: Iterable[Sequence[Recorded]]) -> None:
        for portion in flow:
            if portion:
                self._until_ms = max(self._until_ms, tick_after(portion))
                self._feed.send_until(portion, self._until_ms)
            time.sleep(PORTION_S)

    def _do(self, fault: Fault) -> None:
        time.sleep(fault.after_s)
        if fault.worker is None:
            kafka = self._lane.kafka
            (kafka.kill if fault.kind == "broker killed" else kafka.halt)()
            time.sleep(fault.for_s)
            kafka.start()
            return
        number = fault.worker
        worker, proxy = self._workers.get(number), self._lane.proxies[number]
        if fault.kind == "add":
            self._start(number)
        elif fault.kind == "remove":
            self._stop(number)
        elif fault.kind in ("kill", "stop") and worker is not None:
            if fault.kind == "kill":
                self._up.discard(number)
                worker.kill()
            else:
                self._stop(number)
            time.sleep(fault.for_s)
            self._start(number)
        elif fault.kind == "freeze" and worker is not None:
            worker.freeze()
            time.sleep(fault.for_s)
            worker.thaw()
        else:
            fails: dict[str, Callable[[], None]] = {
                "silence": proxy.silence,
                "refuse": proxy.refuse,
                "slow": lambda: proxy.slow(SLOW_BYTES_PER_S),
            }
            fails[fault.kind]()
            time.sleep(fault.for_s)
            proxy.heal()

    def _recreate(self) -> None:
        """Delete the topic of calls when all of it is in snapshots, and create it again.

        With the records that were read behind the last snapshot, a worker that is killed loses the
        only other place where they were.
        """
        self._settle()
        read_s = time.monotonic()
        while any(
            age_s > time.monotonic() - read_s
            for number in self._up
            for age_s in ages_of(self._workers[number].metrics())
        ):
            time.sleep(0.2)
        bootstrap, calls = self._settings.bootstrap, self._settings.topics.calls
        assert calls is not None
        remove_topics(KafkaAccess(bootstrap), [calls])
        while look(KafkaAccess(bootstrap), [calls]).topics:
            time.sleep(0.1)
        ensure_topics(self._settings, PARTITIONS)

    def _settings_of(self, number: int | None) -> dict[str, Any]:
        bootstrap = (
            self._lane.kafka.bootstrap if number is None else self._lane.proxies[number].bootstrap
        )
        settings = self._recording.settings(self._name, bootstrap)
        settings["session_timeout"] = f"{SESSION_S:.0f}s"
        if number is not None and self._schedule.has_names:
            settings["instance_id"] = f"worker-{number}"
        if number is not None and number in self._ports:
            settings["port"] = self._ports[number]
        return settings

    def _start(self, number: int) -> None:
        """Start a worker, as often as there is no broker for it: what supervises it does so."""
        worker = self._workers.get(number)
        if worker is None:
            folder = self._folder / f"worker-{number}"
            worker = self._workers[number] = Worker(folder, self._settings_of(number))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                worker.__enter__()
            except AssertionError as failed:
                if "no Kafka answers" not in str(failed)[-2000:] or time.monotonic() > deadline:
                    raise
                time.sleep(1.0)
            else:
                self._up.add(number)
                return

    def _stop(self, number: int) -> None:
        """Stop a worker in good order."""
        worker = self._workers[number]
        self._up.discard(number)
        began_s = time.monotonic()
        code = worker.stop()
        if code:
            took_s = time.monotonic() - began_s
            self._differs(f"worker {number} ended with {code} {took_s:.0f} s after SIGTERM", worker)

    def _end(self) -> None:
        for worker in self._workers.values():
            worker.kill()
        self._lane.heal()
        remove_topics(
            self._lane.kafka.access,
            [*self._settings.topics.in_use(), rejected_topic(self._settings)],
        )

    # What is to be seen

    def _differs(self, what: str, worker: Worker | None = None) -> None:
        self.outcome.differences.append(what)
        if worker is not None:
            tail = worker.log().splitlines()[-LOG_LINES:]
            self.outcome.differences += [f"    {line}" for line in tail]

    def _settle(self) -> None:
        """Return when all is read and stands still.

        Raises:
            Unsettled: that is in vain.
        """
        deadline = time.monotonic() + PATIENCE_S
        since = time.monotonic()
        while time.monotonic() - since < QUIET_S:
            time.sleep(0.25)
            why = self._unsettled()
            if why:
                since = time.monotonic()
                if since > deadline:
                    for number in sorted(self._up):
                        self._differs(f"the log of worker {number}:", self._workers[number])
                    raise Unsettled(f"not settled within {PATIENCE_S:.0f} s: {why}")

    def _unsettled(self) -> str | None:
        """None when every partition is read to its end by one worker; else what is not so."""
        owners: dict[Place, list[int]] = {
            (topic, partition): []
            for topic in self._settings.topics.in_use()
            for partition in range(PARTITIONS)
        }
        for number in sorted(self._up):
            worker = self._workers[number]
            if not worker.is_running:
                return f"worker {number} has ended"
            lags = lags_of(worker.metrics())
            for place, lag in lags.items():
                owners[place].append(number)
                if lag:
                    return f"worker {number} is {lag:g} behind in {place[0]}[{place[1]}]"
            floor = worker.floor()
            if not lags and not self._promises.whole_floor:
                continue
            for name, wanted in (("ready", True), ("partial", False), ("as_of_ms", self._until_ms)):
                if floor[name] != wanted:
                    return f"worker {number} says {name}={floor[name]!r}, expected {wanted!r}"
        for (topic, partition), of_place in owners.items():
            if len(of_place) != 1:
                return f"{topic}[{partition}] is read by workers {of_place}"
        return None

    def _compare(self, at: Look, where: str, window: str) -> None:
        """Compare what the workers show with the oracle: all windows, *window* by brute force."""
        self._settle()
        self.outcome.looks += 1
        rows = self.perfect.rows(at)
        by_brute_force = self.perfect.by_brute_force(at, window)
        totals = self.perfect.totals(up_to(at.known, at.at_ms))
        up = sorted(self._up)
        pages = {number: parsed(self._workers[number].metrics()) for number in up}
        floors = {number: entries_of(self._workers[number].floor()) for number in up}
        for number, page in pages.items():
            for name in NEVER:
                if found := sum_of(page, name):
                    self._differs(f"{where}, worker {number}: {name} is {found}, expected 0")
        if self._promises.whole_floor or len(up) == 1:
            for number in up:
                who = f"{where}, worker {number}"
                of_queues = {key: row for key, row in floors[number].items() if key[0] != "*"}
                self._compare_entries(who, of_queues, rows, FIGURES)
                in_window = {key: row for key, row in floors[number].items() if window in key}
                self._compare_entries(
                    f"{who}, by brute force", in_window, by_brute_force, (*FIGURES, *STAFFING)
                )
                self._compare_totals(who, [pages[number]], totals)
        else:
            who = f"{where}, workers {up} together"
            together = added(floors.values())
            of_queues = {key: row for key, row in together.items() if key[0] != "*"}
            self._compare_entries(who, of_queues, rows, ADDITIVE)
            in_window = {key: row for key, row in together.items() if window in key}
            self._compare_entries(f"{who}, by brute force", in_window, by_brute_force, ADDITIVE)
            self._compare_totals(who, pages.values(), totals)

    def _compare_entries(
        self, who: str, shown: Mapping[Key, Entry], rows: Mapping[Key, Entry], names: Sequence[str]
    ) -> None:
        self.outcome.compared += len(rows) * len(names)
        for (queue, channel, window), differ in sorted(unequal(shown, rows, names).items()):
            place = f"{who}: {queue} {channel} {window}"
            if isinstance(differ, str):
                self._differs(f"{place} is {differ}")
                continue
            for name, (is_shown, expected) in differ.items():
                self._differs(f"{place} {name} is {is_shown!r}, expected {expected!r}")

    def _compare_totals(
        self,
        who: str,
        pages: Iterable[Samples],
        totals: Mapping[tuple[str, str], Mapping[str, int]],
    ) -> None:
        pages = list(pages)
        for place, expected in totals.items():
            net: Counter[str] = Counter()
            for page in pages:
                net.update(net_counters(page, *place))
            self.outcome.compared += len(expected)
            for name, value in expected.items():
                if net[name] != value:
                    self._differs(
                        f"{who}: {' '.join(place)} net counter {name} is {net[name]}, "
                        f"expected {value}"
                    )


_LAG: Final = re.compile(
    r"^floorwatch_(partition_lag_records|event_lag_seconds)\{(.*)\} (\S+)$", re.MULTILINE
)
_AGE: Final = re.compile(r"^floorwatch_snapshot_age_seconds\{.*\} (\S+)$", re.MULTILINE)
_LABEL: Final = re.compile(r'(topic|partition)="([^"]*)"')


def lags_of(page: str) -> dict[Place, float]:
    """How far a worker is behind in each partition of its own, in records or in seconds.

    Infinitely where it has the partition and has not begun to read it: event time alone does not
    say so once the last event was read by somebody else and late ones are still to come.
    """
    lags: dict[Place, float] = {}
    read: set[Place] = set()
    for name, labels, value in _LAG.findall(page):
        label = dict(_LABEL.findall(labels))
        place = label["topic"], int(label["partition"])
        lags[place] = max(lags.get(place, 0.0), float(value))
        if name == "partition_lag_records":
            read.add(place)
    return {place: lag if place in read else math.inf for place, lag in lags.items()}


def ages_of(page: str) -> list[float]:
    """How old the snapshots of a worker's partitions are, in seconds."""
    return [float(age) for age in _AGE.findall(page)]


def added(floors: Iterable[Mapping[Key, Entry]]) -> dict[Key, Entry]:
    """The sums of what can be added up, over the shares of several workers."""
    sums: dict[Key, Entry] = {}
    for floor in floors:
        for key, entry in floor.items():
            of_key = sums.setdefault(key, dict.fromkeys(ADDITIVE, 0))
            for name in ADDITIVE:
                of_key[name] += entry[name]
    return sums


def run_schedule(
    lane: Lane,
    folder: Path,
    recording: Recording,
    schedule: Schedule,
    promises: Promises = TODAY,
) -> Outcome:
    """Run *schedule* in *lane*; what breaks the run itself is in the outcome as a difference."""
    installation = Installation(lane, folder, recording, schedule, promises)
    began_s = time.monotonic()
    try:
        with installation:
            return installation.run()
    except Exception as broken:  # a soak goes on, and says what happened
        what = str(broken) if isinstance(broken, Unsettled) else f"the run broke: {broken!r}"
        installation.outcome.differences.insert(0, what)
        installation.outcome.seconds = time.monotonic() - began_s
        return installation.outcome
