"""From what happens on a floor to whoever is told: real worker, Prometheus, Alertmanager, pager.

All of it happens at once, in installations of their own, since most of it is to wait; each test
looks at its part. Rules and routes are the shipped ones. Only some rules wait shorter here, so that
a page is over while a test can wait for that.
"""

import math
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import orjson
import pytest

from streams.local_kafka import LocalKafka
from streams.sources.recorded import Recorded
from tests.support.paging import (
    FLOOR,
    Installation,
    Paging,
    Told,
    now_ms,
    wait_until_ready,
    with_waits,
)
from tests.support.proxy import Proxy
from tests.support.running import PATIENCE_S, parsed

LONGEST_WAIT: Final = "FloorwatchLongestWaitCritical"
BURNING: Final = "FloorwatchServiceLevelBurning"
MANY_QUEUES: Final = "FloorwatchManyQueuesInTrouble"
LONGEST_WAIT_WARNING: Final = "FloorwatchLongestWaitWarning"
STALE: Final = "FloorwatchSourceStale"
TELL_NOBODY: Final = {"FloorwatchQueueUnknown", "FloorwatchWatchdog"}

KEEP: Final = "10s"
HOLD: Final = {STALE: "5s", BURNING: "10s"}
"""Every other alert holds as long as where floorwatch is installed."""

SOON_S: Final = 15
LATER_S: Final = 30
DEAD_AFTER: Final = "3s"
"""Three of these, and a source is silent: well before `LATER_S`."""

MINUTE_MS: Final = 60_000
VOICE: Final[dict[str, Any]] = {"channels": {"voice": {}}}
MANY: Final = 80
AWAY_MS: Final = 30 * MINUTE_MS
CALLERS: Final = 5
MISSED_CALLS: Final = 2_000
SLOWLY_BYTES_PER_S: Final = 96 * 1024
FRAME_OLD_S: Final = 11
"""What a worker that is gone said last is believed for ten seconds; here it has to be too old."""

CALLS_AT_A_TIME: Final = 4
EVERY_S: Final = 5
ROUNDING_S: Final = 0.02
FRESH_S: Final = 60


def limit(seconds: int) -> dict[str, Any]:
    """Somebody has waited too long after *seconds*."""
    return {"longest_wait_limit": {"warning": f"{seconds - 5}s", "critical": f"{seconds}s"}}


@dataclass
class Restarts:
    """Workers restarted one after the other, twice, while callers are answered soon.

    Attributes:
        began_s: when, in epoch seconds.
        calls: that there were.
    """

    began_s: float
    calls: int


class AsOfPage(NamedTuple):
    """What was to be seen beside a page for the queue sales, in epoch seconds.

    Attributes:
        on_the_wall_s: since when the caller has waited, as the wall has it.
        at_metrics_s: the same as Prometheus has it.
    """

    page: Told
    on_the_wall_s: float
    at_metrics_s: float


@dataclass
class Evening:
    """What goes on.

    Attributes:
        incident: some queues in trouble, and a source that dies.
        many: eighty queues in trouble together.
        rolling: an upgrade and a rollback.
        backlog: a worker that is back after half an hour.
        began_s: when it began, in epoch seconds.
        one_answered: comes when the caller in sales has been answered, after the page.
        many_answered: the queues whose own page was held back, when their callers are answered.
        restarts: comes when they are over.
    """

    paging: Paging
    incident: Installation
    many: Installation
    rolling: Installation
    backlog: Installation
    began_s: float
    one_answered: Future[AsOfPage]
    many_answered: Future[set[str]]
    restarts: Future[Restarts]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evening]:
    folder = tmp_path_factory.mktemp("evening")
    with ExitStack() as held, ThreadPoolExecutor(8) as pool:
        proxy = held.enter_context(Proxy())
        kafka = held.enter_context(LocalKafka(heap_mb=256, proxies=[proxy.port]))
        proxy.target = kafka.behind(proxy.port)
        install = partial(Installation, folder, bootstrap=kafka.bootstrap)
        queues = {
            "sales": {"name": "Sales & Co"},
            "orders": limit(LATER_S),
            "returns": limit(LATER_S),
            "support": {"formula": "answered_only", **limit(3600)},
        }
        incident = install(
            name="incident",
            alive=["pbx", "dialler"],
            sources={"dialler": {"interval": DEAD_AFTER}},
            policy={
                "defaults": limit(SOON_S),
                "queues": {name: {**own, **VOICE} for name, own in queues.items()},
            },
        )
        many = install(name="many", policy={"defaults": limit(SOON_S)})
        rolling = install(name="rolling", workers=2, policy={"defaults": limit(LATER_S)})
        backlog = install(name="backlog", alive=[], policy={"defaults": limit(SOON_S)})
        everybody = (incident, many, rolling, backlog)
        for each in everybody:
            held.enter_context(each)
        rules = with_waits(folder / "rules.yml", keep=KEEP, hold=HOLD)
        targets = {each.job: each.addresses for each in everybody}
        ready = [pool.submit(each.start) for each in (incident, many, rolling)]
        back = pool.submit(go_and_come_back, backlog, proxy)
        paging = held.enter_context(Paging(folder, targets, rules=rules))
        for started in ready:
            started.result()
        began_s = time.time()
        restarts = pool.submit(restart_all, paging, rolling)
        begin_incident(incident)
        many.board.send(
            [many.board.call("queued", f"caller {n}", f"queue-{n}") for n in range(MANY)]
        )
        one_answered = pool.submit(answer_the_one, paging, incident)
        many_answered = pool.submit(answer_many, paging, many)
        paging.prometheus.wait_for_scrape(*incident.addresses)
        serve_badly(incident)
        yield Evening(
            paging,
            incident,
            many,
            rolling,
            backlog,
            began_s,
            one_answered,
            many_answered,
            restarts,
        )
        for over in (one_answered, many_answered, restarts, back):
            over.result()


def go_and_come_back(backlog: Installation, proxy: Proxy) -> None:
    """Five callers wait when the worker stops; half an hour later it is back, and reads slowly."""
    board = backlog.board
    stopped_ms = now_ms() - AWAY_MS
    callers = [f"caller {number}" for number in range(CALLERS)]
    board.send([board.call("queued", each, "sales", at_ms=stopped_ms) for each in callers])
    with backlog.worker(0, is_scraped=False) as worker:
        worker.wait_for_records(board.sent)
    old_s = time.monotonic() + FRAME_OLD_S
    missed = [
        *(board.call("answered", each, "sales", at_ms=stopped_ms + 1_000) for each in callers),
        board.call("queued", "who still waits", "support", at_ms=stopped_ms + 10 * MINUTE_MS),
    ]
    for number in range(MISSED_CALLS):
        at_ms = stopped_ms + 2_000 + number * (AWAY_MS - MINUTE_MS) // MISSED_CALLS
        for kind, after_ms in (("queued", 0), ("answered", 3_000)):
            missed.append(board.call(kind, f"call {number}", "sales", at_ms=at_ms + after_ms))
    board.send(sorted(missed, key=lambda each: each.time_ms or 0))
    board.alive.add("pbx")
    proxy.slow(SLOWLY_BYTES_PER_S)
    backlog.move(proxy.bootstrap)
    time.sleep(max(0.0, old_s - time.monotonic()))
    backlog.start()


def begin_incident(incident: Installation) -> None:
    """Too many wait, and one of the two sources dies."""
    board, [worker] = incident.board, incident.workers
    long_ago_ms = now_ms() - AWAY_MS
    board.send(
        [
            board.call(kind, f"early {number}", "support", at_ms=long_ago_ms)
            for number in range(20)
            for kind in ("queued", "answered")
        ]
    )
    board.send(
        [
            board.call("queued", "the one", "sales"),
            *(board.call("queued", f"order {number}", "orders") for number in range(CALLERS)),
            *(
                board.call("queued", f"return {number}", "returns", source="dialler")
                for number in range(CALLERS)
            ),
        ]
    )
    worker.wait_for_records(board.sent)
    board.alive.discard("dialler")


def serve_badly(incident: Installation) -> None:
    """Ten are answered, four of them in time, and three give up: by one formula 40 %."""
    board = incident.board
    queued_ms = now_ms() - 2 * MINUTE_MS
    ends = [("answered", 5_000)] * 4 + [("answered", 60_000)] * 6 + [("abandoned", 60_000)] * 3
    for number, (end, after_ms) in enumerate(ends):
        contact = f"late {number}"
        board.send(
            [
                board.call("queued", contact, "support", at_ms=queued_ms),
                board.call(end, contact, "support", at_ms=queued_ms + after_ms),
            ]
        )


def answer_the_one(paging: Paging, incident: Installation) -> AsOfPage:
    """Answer who has waited too long in sales, once there is a page for that."""
    board, [worker] = incident.board, incident.workers
    of_sales = {"job": incident.job, "queue": "sales"}
    page = paging.wait_until_told("firing", receiver=FLOOR, **of_sales)
    on_the_wall_ms = tile_of(frame_of(worker.first_frame()), "sales")["oldest_waiting_ms"]
    at_metrics_s = paging.prometheus.value(
        f"floorwatch_oldest_waiting_timestamp_seconds{selector(**of_sales)}"
    )
    board.send([board.call("answered", "the one", "sales")])
    return AsOfPage(page, on_the_wall_ms / 1000, at_metrics_s)


def answer_many(paging: Paging, many: Installation) -> set[str]:
    """Answer all of the eighty callers, once there is a page and every other one is held back."""
    paging.wait_until_told("firing", receiver=FLOOR, job=many.job)

    def held_back() -> set[str]:
        return {
            each["labels"]["queue"]
            for each in paging.alertmanager.alerts()
            if (each["labels"]["alertname"], each["labels"].get("job")) == (LONGEST_WAIT, many.job)
            and each["status"]["state"] == "suppressed"
        }

    paging.wait_for(lambda: len(held_back()) == MANY, "every other page is held back")
    queues = held_back()
    many.board.send([many.board.call("answered", f"caller {n}", f"queue-{n}") for n in range(MANY)])
    return queues


def restart_all(paging: Paging, rolling: Installation) -> Restarts:
    """An upgrade and a rollback, seen from outside: each worker stops and comes back, twice."""
    paging.wait_until_told("firing", receiver="watchdog")  # from now on every rule is evaluated
    paging.prometheus.wait_for_scrape(*rolling.addresses)
    restarts = Restarts(time.time(), 0)
    over = threading.Event()
    calls = threading.Thread(target=take_calls, args=(rolling, restarts, over))
    calls.start()
    try:
        for _ in ("upgrade", "rollback"):
            for worker in rolling.workers:
                worker.stop()
                worker.__enter__()
                wait_until_ready(worker)
                paging.prometheus.wait_for_scrape(*rolling.addresses)
    finally:
        over.set()
        calls.join()
    return restarts


def take_calls(rolling: Installation, restarts: Restarts, over: threading.Event) -> None:
    """A call every now and then, answered soon, until it is *over*."""
    board = rolling.board
    waiting: list[Recorded] = []
    while waiting or not over.is_set():
        if not over.is_set():
            restarts.calls += 1
            waiting.append(board.call("queued", f"call {restarts.calls}", "sales"))
            board.send(waiting[-1:])
        time.sleep(0.5)
        if over.is_set() or len(waiting) > CALLS_AT_A_TIME:
            contact = orjson.loads(waiting.pop(0).value)["contact"]
            board.send([board.call("answered", contact, "sales")])


def test_who_waits_too_long_is_paged_for_and_the_page_ends_with_the_wait(evening: Evening) -> None:
    paging, of_sales = evening.paging, {"job": evening.incident.job, "queue": "sales"}

    page, on_the_wall_s, at_metrics_s = evening.one_answered.result()
    paging.wait_until_told("resolved", receiver=FLOOR, **of_sales)

    assert (page.alert, page.labels["channel"]) == (LONGEST_WAIT, "voice")
    assert page.summary.startswith("Sales & Co voice: longest wait ")
    assert f" (limit {SOON_S}s), 1 waiting, since " in page.summary
    # It was found when the wait had lasted that long, or said anew some evaluations later.
    told_s = float(page.summary.split(" wait ")[1].split("s ")[0])
    found_s = page.since_s - on_the_wall_s
    assert abs(math.remainder(told_s - found_s, EVERY_S)) < ROUNDING_S
    assert at_metrics_s == pytest.approx(on_the_wall_s, abs=0.001)
    told = paging.sink.told(receiver=FLOOR, **of_sales)
    assert [each.status for each in told] == ["firing", "resolved"]


def test_the_number_in_a_page_is_the_one_on_the_wall(evening: Evening) -> None:
    paging, [worker] = evening.paging, evening.incident.workers
    own = {"queue": "support", "window": "15m", "formula": "answered_only"}

    page = paging.wait_until_told(
        "firing", receiver=FLOOR, job=evening.incident.job, alertname=BURNING
    )
    at_metrics = parsed(worker.metrics())[
        "floorwatch_service_level_ratio", frozenset({**own, "channel": "voice"}.items())
    ]
    in_api = level_of(worker.floor(), own)
    on_the_wall = level_of(frame_of(worker.first_frame()), own)
    of_prometheus = paging.prometheus.query_range(
        f"floorwatch_service_level_ratio{selector(**own, job=evening.incident.job)}",
        start_s=page.since_s,
        end_s=time.time(),
        step_s=1.0,
    )

    assert page.labels["queue"] == "support"
    assert f": service level {100 * at_metrics:.4g}% in 15 min (target 80%)," in page.summary
    assert (at_metrics, in_api, on_the_wall) == (0.4, 0.4, 0.4)
    assert {value for series in of_prometheus for _, value in series.points} == {0.4}


def test_a_source_that_dies_pages_whoever_runs_it_and_not_the_floor(evening: Evening) -> None:
    paging, job = evening.paging, evening.incident.job
    [worker] = evening.incident.workers

    told = paging.wait_until_told("firing", receiver="sre", job=job)
    page_of_the_living = paging.wait_until_told("firing", receiver=FLOOR, job=job, queue="orders")
    of_returns = selector(job=job, queue="returns")
    waited = paging.prometheus.value(f"max_over_time(floorwatch_contacts_waiting{of_returns}[10m])")
    tile = tile_of(worker.floor(), "returns")

    assert (told.alert, told.labels["source"]) == (STALE, "dialler")
    assert page_of_the_living.alert == LONGEST_WAIT
    assert waited == CALLERS
    assert tile["oldest_waiting_ms"] / 1000 + LATER_S < told.at_s
    assert tile["no_data_since_ms"] is not None
    assert paging.prometheus.query(f"floorwatch_contacts_waiting{of_returns}") == []
    assert paging.sink.told(receiver=FLOOR, job=job, queue="returns") == []
    assert {
        each.labels["alertname"]
        for each in paging.alerts("firing", evening.began_s, job=job, queue="returns")
    } <= TELL_NOBODY | {LONGEST_WAIT_WARNING}
    assert paging.alerts("firing", evening.began_s, job=job, source="pbx") == []


def test_eighty_queues_in_trouble_are_one_page(evening: Evening) -> None:
    paging, job = evening.paging, evening.many.job

    held_back = evening.many_answered.result()
    page = paging.wait_until_told("firing", receiver=FLOOR, job=job)
    over = paging.wait_until_told("resolved", receiver=FLOOR, job=job)

    assert held_back == {f"queue-{number}" for number in range(MANY)}
    assert page.alert == MANY_QUEUES
    assert page.summary.startswith(f"{MANY} queues in trouble at once (limit 5), {MANY} waiting,")
    assert paging.sink.messages(receiver=FLOOR, job=job) == [[page], [over]]


def test_a_worker_that_is_back_pages_for_nobody_who_was_answered_meanwhile(
    evening: Evening,
) -> None:
    paging, job = evening.paging, evening.backlog.job

    page = paging.wait_until_told("firing", receiver=FLOOR, job=job)
    behind = seen(paging, f"max(floorwatch_event_lag_seconds{selector(job=job)})", evening.began_s)
    offered = seen(
        paging,
        f"floorwatch_contacts_offered_total{selector(job=job, queue='sales')}",
        evening.began_s,
    )
    alerts = paging.alerts("firing", evening.began_s, job=job, queue="sales")

    assert (page.alert, page.labels["queue"]) == (LONGEST_WAIT, "support")
    assert max(behind_s for _, behind_s in behind) > AWAY_MS / 1000 / 2
    assert max(at_s for at_s, behind_s in behind if behind_s > FRESH_S) < page.since_s
    assert (offered[0][1], offered[-1][1]) == (CALLERS, CALLERS + MISSED_CALLS)
    assert {each.labels["alertname"] for each in alerts} <= TELL_NOBODY
    assert paging.sink.messages(receiver=FLOOR, job=job) == [[page]]


def test_an_upgrade_and_a_rollback_tell_nobody(evening: Evening) -> None:
    paging, job = evening.paging, evening.rolling.job

    restarts = evening.restarts.result(timeout=4 * PATIENCE_S)
    offered = f"floorwatch_contacts_offered_total{selector(job=job)}"
    paging.wait_for(
        lambda: {each.value for each in paging.prometheus.query(offered)} == {restarts.calls},
        "both workers have counted every call",
    )
    lives = paging.prometheus.query_range(
        f"process_start_time_seconds{selector(job=job)}",
        start_s=restarts.began_s,
        end_s=time.time(),
        step_s=1.0,
    )
    alerts = [
        each.labels
        for each in paging.alerts("firing", restarts.began_s)
        if each.labels.get("job", job) == job and each.labels["alertname"] not in TELL_NOBODY
    ]

    assert [len({value for _, value in series.points}) for series in lives] == [3, 3]
    assert alerts == []
    assert paging.sink.messages(job=job) == []


def selector(**labels: str) -> str:
    return "{" + ",".join(f'{label}="{value}"' for label, value in labels.items()) + "}"


def seen(paging: Paging, promql: str, since_s: float) -> list[tuple[float, float]]:
    """What the one series of *promql* was, second by second."""
    (series,) = paging.prometheus.query_range(
        promql, start_s=since_s, end_s=time.time(), step_s=1.0
    )
    return series.points


def tile_of(floor: dict[str, Any], queue: str) -> dict[str, Any]:
    tile: dict[str, Any]
    (tile,) = (each for each in floor["queues"] if each["queue"] == queue)
    return tile


def frame_of(event: bytes) -> dict[str, Any]:
    """The floor in a frame of the stream that the wall reads."""
    data = event.splitlines()[-1]
    frame: dict[str, Any] = orjson.loads(data.removeprefix(b"data: "))
    return frame


def level_of(floor: dict[str, Any], own: dict[str, str]) -> float:
    """The service level of a queue in a window, as the wall reads it."""
    (entry,) = (
        each
        for each in floor["entries"]
        if (each["queue"], each["window"]) == (own["queue"], own["window"])
        and each["channel"] == "voice"
    )
    level: float = entry["service_level"][entry["formula"]]
    return level
