"""Days of calls, as they are scraped: every page is true, and one for each episode."""

from __future__ import annotations

import gzip
import random
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
import pytest

from dashboards.alerts.pages import PAGES
from dashboards.alerts.rule import PREFIX
from schemas import metric_names as m
from streams.core.formulas import FORMULA_IDS
from streams.core.policy_reading import read_policy
from tests.boards.alert_cases import decisive_rules
from tests.support.brute_pages import Breaches, breaches_of, episodes, pages_of
from tests.support.recordings import BANK_MONTH
from tests.support.rule_cases import written
from tests.support.rule_trials import Trial, failures
from tests.support.scraped_day import EVERY_S, Day, scraped, series_of

NAMES: Final = [metric.name for metric in m.ALL if any(metric.name in p.expr for p in PAGES)]
LABELS: Final = {"alertstate": "firing", "severity": "critical", "audience": "floor"}
HOUR_S: Final = 3600


def a_day(contacts: list[tuple[float, float, str, str]], scrapes: int) -> Day:
    """A day of *contacts*: when they queue, how long they wait, how that ends, and where."""
    begins_ms = 1_795_478_400_000
    records = []
    for number, (at_s, wait_s, outcome, queue) in enumerate(contacts):
        for order, (kind, after_s) in enumerate((("queued", at_s), (outcome, at_s + wait_s))):
            time_ms = begins_ms + round(after_s * 1000)
            event = {
                "id": f"{number}-{order}",
                "type": f"contact.{kind}",
                "time": datetime.fromtimestamp(time_ms / 1000).astimezone().isoformat(),
                "source": "pbx",
                "contact": f"call-{number}",
                "channel": "voice",
                "queue": queue,
            }
            records.append((time_ms, orjson.dumps(event)))
    return Day(begins_ms, scrapes, sorted(records))


def held_at_85_20() -> Day:
    """Four hours of three queues in which 85 of 100 are answered within 20 s."""
    draw = random.Random(85)
    contacts = []
    for queue, per_hour in (("sales", 120), ("care", 60), ("orders", 24)):
        at_s = 0.0
        number = 0
        while (at_s := at_s + draw.expovariate(per_hour / HOUR_S)) < 4 * HOUR_S - 300:
            number += 1
            late = number % 20 in (5, 11, 18)
            wait_s = draw.uniform(25, 110) if late else draw.uniform(1, 20)
            gives_up = late and draw.random() < 0.3
            contacts.append((at_s, wait_s, "abandoned" if gives_up else "answered", queue))
    return a_day(contacts, 4 * HOUR_S // EVERY_S)


def a_bad_hour() -> Day:
    """Seven queues that go well, and at one time do not."""
    draw = random.Random(7)
    contacts = []
    for queue in ("sales", "care", "orders", "returns", "billing", "claims", "repairs"):
        at_s = 0.0
        while (at_s := at_s + draw.expovariate(60 / HOUR_S)) < 2 * HOUR_S:
            is_bad = HOUR_S < at_s < 1.2 * HOUR_S
            wait_s = draw.uniform(200, 420) if is_bad else draw.uniform(1, 15)
            contacts.append((at_s, wait_s, "answered", queue))
    contacts += [(600, 305, "abandoned", "sales"), (1500, 400, "answered", "sales")]
    return a_day(contacts, 3 * HOUR_S // EVERY_S)


def in_august(day: int) -> Callable[[], Day]:
    """A day of the bank."""

    def read() -> Day:
        marker = f'"time":"1999-08-{day}T'.encode()
        with gzip.open(BANK_MONTH) as month:
            lines = [line.strip() for line in month if marker in line]
        records = [
            (round(datetime.fromisoformat(orjson.loads(line)["time"]).timestamp() * 1000), line)
            for line in lines
        ]
        begins = datetime.fromisoformat(f"1999-08-{day}T00:00:00+03:00")
        return Day(
            round(begins.timestamp() * 1000),
            24 * HOUR_S // EVERY_S,
            sorted(records, key=lambda record: record[0]),
        )

    return read


DAYS: Final[dict[str, Callable[[], Day]]] = {
    "held at 85/20": held_at_85_20,
    "a bad hour": a_bad_hour,
} | ({"27 August": in_august(27), "29 August": in_august(29)} if BANK_MONTH.exists() else {})


def expected(breaches: Breaches, end_s: int) -> list[dict[str, Any]]:
    """What fires at both ends of every page and just outside them, and how long all together."""
    tests: list[dict[str, Any]] = []
    counts = []
    for (alert, queue), pages in pages_of(breaches).items():
        labels = {"alertname": f"{PREFIX}{alert}", **LABELS, "job": "floorwatch"}
        if queue:
            labels |= {"queue": queue, "channel": "voice"}
        series = f"ALERTS{{{written(labels)}}}"
        firing = {at_s for begin, end in pages for at_s in range(begin, end + 1, EVERY_S)}
        within = sorted(at_s for at_s in firing if at_s <= end_s)
        counts.append({"labels": f"{{{written(labels)}}}", "value": len(within)})
        for begin_s, ends_s in pages:
            for at_s in (begin_s - EVERY_S, begin_s, ends_s, ends_s + EVERY_S):
                if 0 <= at_s <= end_s:
                    samples = [{"labels": series, "value": 1}] if at_s in firing else []
                    tests.append({"expr": series, "eval_time": f"{at_s}s", "exp_samples": samples})
    tests.append(
        {
            "expr": 'count_over_time(ALERTS{alertname!="",alertstate="firing"}[2d])',
            "eval_time": f"{end_s}s",
            "exp_samples": counts,
        }
    )
    return tests


@pytest.mark.parametrize("name", DAYS)
def test_every_page_of_a_day_is_true_and_one_for_each_episode(name: str, tmp_path: Path) -> None:
    day = DAYS[name]()
    breaches = breaches_of(day)
    pages = pages_of(breaches)
    end_s = day.instants_s[-1]
    policies = read_policy({}, formulas=FORMULA_IDS)
    is_one_for_all = any(alert == "ManyQueuesInTrouble" for alert, _ in pages)
    # The page for many queues costs as much as all others: only where there is something to see.
    rules = PAGES if is_one_for_all else PAGES[1:]
    trial = Trial(
        "day",
        decisive_rules(PAGES[0], rules),
        [
            {
                "interval": f"{EVERY_S}s",
                "input_series": series_of(scraped(day, policies, NAMES)),
                "promql_expr_test": expected(breaches, end_s),
                "alert_rule_test": [{"eval_time": f"{end_s}s", "alertname": "Nothing"}],
            }
        ],
    )

    assert failures(tmp_path, [trial]) == {}
    for at, fires in pages.items():
        assert len(fires) <= episodes(breaches[at])


def test_a_day_held_at_85_20_pages_nobody() -> None:
    assert pages_of(breaches_of(held_at_85_20())) == {}


def test_a_bad_hour_pages_for_every_queue_and_once_for_all() -> None:
    pages = pages_of(breaches_of(a_bad_hour()))

    assert {alert for alert, _ in pages} == {
        "LongestWaitCritical",
        "ServiceLevelBurning",
        "ManyQueuesInTrouble",
    }
    assert len({queue for _, queue in pages if queue}) == 7
