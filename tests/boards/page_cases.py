"""When somebody is woken for the floor, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.support.rule_cases import (
    AT,
    FAST,
    NOW,
    SLOW_STEP_S,
    STEP_S,
    Case,
    Course,
    Rising,
    Series,
    Value,
    floor,
    line,
    place,
)

NOBODY: Final = ()
SALES: Final = (AT,)

AS_OF: Final = "queue_as_of_timestamp_seconds"
OPEN: Final = "queue_scheduled_open"


def guards(
    alert: str, breach: Series, beside: Series, at_s: int, *, channel: str = "voice"
) -> tuple[Case, ...]:
    """What holds for every alert of a queue: inside its hours, and while it is known.

    Args:
        alert: its name.
        breach: what is not as usual, so that it fires at *at_s* for the first time.
        beside: series that are not by channel.
        at_s: before then nobody knows of it.
        channel: of the queue.
    """
    told = (place(channel=channel),)

    step_s = STEP_S if alert in FAST else SLOW_STEP_S
    nearly_s = 60 - step_s

    def at(changed: Mapping[str, Course], instance: str = "a") -> dict[str, Course]:
        return floor({**breach, **changed}, instance=instance, channel=channel) | dict(beside)

    def story(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
        return Case(alert, story, series, raised)

    return (
        story("inside opening hours", at({}), {at_s - step_s: NOBODY, at_s: told}),
        story("not outside opening hours", at({OPEN: 0}), {at_s: NOBODY, at_s + 60: NOBODY}),
        story("open where one worker says so", at({OPEN: 0}) | at({}, "b"), {at_s: told}),
        story(
            "not once what is known is a minute old",
            at({AS_OF: {0: NOW, at_s - 60: at_s - 60}}),
            {at_s: NOBODY, at_s + 60: NOBODY},
        ),
        story(
            "still while what is known is less than a minute old",
            at({AS_OF: {0: NOW, at_s - nearly_s: at_s - nearly_s}}),
            {at_s: told},
        ),
        story("known where one worker knows", at({AS_OF: 0}) | at({}, "b"), {at_s: told}),
        story(
            "each queue, channel and installation by itself",
            at({})
            | floor(queue="care", channel=channel)
            | ({} if beside else floor(channel="callback"))
            | floor(job="other", channel=channel)
            | floor(namespace="cc", channel=channel)
            | floor(cluster="eu", channel=channel),
            {at_s: told},
        ),
    )


# -- longest wait: somebody has waited since second 60, the limit is 300 s -----------------------

WAITS: Final[dict[str, Course]] = {"oldest_waiting_timestamp_seconds": {0: NOW, 60: 60}}
OLDEST: Final = "oldest_waiting_timestamp_seconds"
LIMIT: Final = "longest_wait_limit_seconds critical"


def _long(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case("LongestWaitCritical", story, series, raised)


LONGEST_WAIT: Final = (
    *guards("LongestWaitCritical", WAITS, {}, 365),
    _long(
        "by the critical limit, whatever the warning one",
        floor({**WAITS, "longest_wait_limit_seconds warning": 900}),
        {365: SALES},
    ),
    _long(
        "told as soon as the limit is passed, and as one for a quarter of an hour after it",
        floor({OLDEST: {0: NOW, 60: 60, 400: NOW, 1000: 650, 1010: NOW}}),
        {360: NOBODY, 365: SALES, 1005: SALES, 1905: SALES, 1910: NOBODY},
    ),
    _long("not while nobody waits", floor({OLDEST: 0, "contacts_waiting": 0}), {600: NOBODY}),
    _long(
        "not where figures are withheld",
        floor({OLDEST: {0: NOW, 60: 60, 300: None}}),
        {365: NOBODY, 600: NOBODY},
    ),
    _long(
        "by the worker that knows of the later one",
        floor(WAITS) | floor({OLDEST: {0: NOW, 60: 200}}, instance="b"),
        {365: NOBODY, 500: NOBODY, 505: SALES},
    ),
    _long(
        "by the higher limit while settings reach one worker after the other",
        floor({**WAITS, LIMIT: 400}) | floor(WAITS, instance="b"),
        {365: NOBODY, 460: NOBODY, 465: SALES},
    ),
    _long(
        "by each queue's own limit, channel and installation",
        floor({**WAITS, LIMIT: 200}, queue="care")
        | floor({**WAITS, LIMIT: 240}, channel="chat")
        | floor({**WAITS, LIMIT: 210}, job="other")
        | floor({**WAITS, LIMIT: 220}, namespace="cc")
        | floor({**WAITS, LIMIT: 230}, cluster="eu")
        | floor(WAITS),
        {
            260: NOBODY,
            265: (place(queue="care"),),
            275: (place(queue="care"), place(job="other")),
            300: (
                place(queue="care"),
                place(job="other"),
                place(namespace="cc"),
                place(cluster="eu"),
            ),
            365: (
                AT,
                place(queue="care"),
                place(channel="chat"),
                place(job="other"),
                place(namespace="cc"),
                place(cluster="eu"),
            ),
        },
    ),
)

# -- nobody staffed: the last agent leaves at second 60 ------------------------------------------

STATES: Final = ("available", "on_contact", "after_contact_work", "not_ready", "logged_out")


def agents(instance: str = "a", queue: str = "sales", **counts: Course) -> dict[str, Course]:
    """How many agents of a queue are in which state; the others have none."""
    lines = [
        line("agents", counts.get(state, 0), instance=instance, queue=queue, state=state)
        for state in STATES
    ]
    return {selector: course for each in lines for selector, course in each.items()}


LEAVES: Final[dict[int, Value]] = {0: 1, 60: 0}


def _staff(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case("NobodyStaffed", story, series, raised)


NOBODY_STAFFED: Final = (
    *guards("NobodyStaffed", {}, agents(available=LEAVES), 90),
    _staff(
        "told after half a minute, and as one for a quarter of an hour after it",
        floor({"contacts_waiting": 1}) | agents(available={**LEAVES, 195: 1}, not_ready=3),
        {75: NOBODY, 90: SALES, 1080: SALES, 1095: NOBODY},
    ),
    _staff(
        "not when somebody is back within half a minute",
        floor() | agents(available={**LEAVES, 75: 1}),
        {90: NOBODY, 105: NOBODY},
    ),
    _staff("not while nobody waits", floor({"contacts_waiting": 0}) | agents(), {300: NOBODY}),
    _staff("not while one is on a contact", floor() | agents(on_contact=1), {300: NOBODY}),
    _staff("not while one is wrapping up", floor() | agents(after_contact_work=1), {300: NOBODY}),
    _staff("not while one is available", floor() | agents(available=1), {300: NOBODY}),
    _staff("not where no agents are known", floor(), {300: NOBODY}),
    _staff(
        "by the worker that knows of more agents",
        floor() | agents() | agents("b", available=1),
        {300: NOBODY},
    ),
    _staff(
        "by the worker that knows of more who wait",
        floor({"contacts_waiting": 0}) | floor(instance="b") | agents(),
        {300: SALES},
    ),
    _staff(
        "not made up for by agents of another queue, in each channel that somebody waits in",
        floor()
        | floor(channel="chat")
        | floor({"contacts_waiting": 0}, channel="email")
        | floor(queue="care")
        | agents()
        | agents(queue="care", available=5)
        | floor(job="other")
        | line("agents", 5, job="other", state="available")
        | floor(namespace="cc")
        | line("agents", 5, namespace="cc", state="available")
        | floor(cluster="eu")
        | line("agents", 5, cluster="eu", state="available"),
        {300: (AT, place(channel="chat"))},
    ),
)

# -- service level: the ratio of 15 minutes falls at second 330 ----------------------------------

LEVEL: Final = "service_level_ratio 15m strict"
CONTACTS: Final = "service_level_contacts 15m strict"
MET: Final = "service_level_events_total true"
MISSED: Final = "service_level_events_total false"


def five_minutes(ratio: float, per_s: float = 0.1) -> dict[str, Course]:
    """Events of which *ratio* are met, all the time."""
    return {MET: Rising(ratio * per_s), MISSED: Rising((1 - ratio) * per_s)}


LOW: Final[dict[str, Course]] = {LEVEL: {0: 0.9, 330: 0.49}, **five_minutes(0.4)}


def formulas(
    alert: str, breach: Mapping[str, Course], levels: Mapping[str, float], at_s: int
) -> tuple[Case, ...]:
    """What holds for every alert about a service level: whose formula, and whose word counts.

    Args:
        alert: its name.
        breach: what is not as usual, so that it fires by *at_s*.
        levels: the ratio of each window that it looks at, the one that it rests on first.
        at_s: by when.
    """
    rests_on = next(iter(levels))
    strict = [f"service_level_ratio {window} strict" for window in levels]
    few = {f"service_level_contacts {rests_on} strict": 5}
    by_another: Series = {"service_level_formula_info strict": None} | {
        "service_level_formula_info icmi_1": 1
    }

    def other(level: float | None = None, count: int = 80) -> dict[str, Course]:
        return {f"service_level_contacts {rests_on} icmi_1": count} | {
            f"service_level_ratio {window} icmi_1": own if level is None else level
            for window, own in levels.items()
        }

    def better(window: str) -> Series:
        return {**breach, f"service_level_ratio {window} strict": 0.9}

    def story(story: str, series: Series, raised: tuple[Any, ...]) -> Case:
        return Case(alert, story, series, {at_s: raised})

    two = "while settings reach one worker after the other"
    return (
        story(
            "by the formula that the queue is judged by",
            floor({**breach, **few, **by_another, **other(), **dict.fromkeys(strict, 0.9)})
            | floor({**breach, **by_another, **other(0.9)}, queue="care"),
            SALES,
        ),
        *(
            story(
                f"by the better of two formulas in {window} {two}",
                floor({**breach, **other(), f"service_level_ratio {window} icmi_1": 0.9})
                | floor({**breach, **by_another}, instance="b"),
                NOBODY,
            )
            for window in levels
        ),
        story(
            f"by the formula that rests on more {two}",
            floor({**breach, **few, **other()})
            | floor({**breach, **few, **by_another}, instance="b"),
            SALES,
        ),
        *(
            story(
                f"by the worker that knows of more answered in time in {window}",
                floor(breach) | floor(better(window), instance="b"),
                NOBODY,
            )
            for window in levels
        ),
        story(
            "by the worker that knows of more contacts",
            floor({**breach, **few}) | floor(breach, instance="b"),
            SALES,
        ),
        story(
            f"by the higher target {two}",
            floor({**breach, "service_level_target_ratio": 0.3}) | floor(breach, instance="b"),
            SALES,
        ),
    )


def _burn(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case("ServiceLevelBurning", story, series, raised)


SERVICE_LEVEL: Final = (
    *guards("ServiceLevelBurning", LOW, {}, 390),
    _burn(
        "told after a minute, and as one for a quarter of an hour after it",
        floor({**LOW, LEVEL: {0: 0.9, 330: 0.49, 630: 0.9}}),
        {375: NOBODY, 390: SALES, 1515: SALES, 1530: NOBODY},
    ),
    _burn("not at the limit itself", floor({**LOW, LEVEL: 0.5}), {390: NOBODY, 405: NOBODY}),
    _burn("just below the limit", floor({**LOW, LEVEL: 0.4999}), {405: SALES}),
    _burn("not when five minutes go well", floor({**LOW, **five_minutes(0.51)}), {405: NOBODY}),
    _burn("when five minutes do not", floor({**LOW, **five_minutes(0.49)}), {405: SALES}),
    _burn("not when five minutes are at the limit", floor({**LOW, **five_minutes(0.5)}), {405: ()}),
    _burn(
        "not when five minutes are at the limit of a higher target",
        floor({**LOW, **five_minutes(0.77), "service_level_target_ratio": 0.9}),
        {405: NOBODY},
    ),
    _burn(
        "by the higher volume floor while settings reach one worker after the other",
        floor({**LOW, "alert_min_contacts": 100}) | floor(LOW, instance="b"),
        {405: NOBODY},
    ),
    _burn(
        "not when nobody has been decided for five minutes",
        floor({**LOW, MET: 0, MISSED: 0}),
        {405: NOBODY},
    ),
    _burn("not on nine contacts", floor({**LOW, CONTACTS: 9}), {405: NOBODY}),
    _burn("on ten contacts", floor({**LOW, CONTACTS: 10}), {405: SALES}),
    _burn(
        "not by the last hour or the day",
        floor(
            {
                **five_minutes(0.4),
                "service_level_ratio 60m strict": 0.1,
                "service_level_ratio day strict": 0.1,
            }
        ),
        {405: NOBODY},
    ),
    _burn(
        "not by how many the hour rests on",
        floor({**LOW, CONTACTS: 9, "service_level_contacts 60m strict": 300}),
        {405: NOBODY},
    ),
    _burn(
        "over five minutes and no more",
        floor(
            {
                **LOW,
                MET: {0: Rising(0.1), 495: 49.5},
                MISSED: {0: 0, 495: Rising(0.1)},
            }
        ),
        {645: NOBODY, 750: SALES},
    ),
    _burn(
        "over five minutes and no less",
        floor(
            {
                LEVEL: {0: 0.9, 705: 0.49},
                MET: {0: 0, 660: Rising(0.1)},
                MISSED: {0: Rising(0.1), 660: 66},
            }
        ),
        {750: NOBODY, 765: SALES},
    ),
    _burn(
        "by a higher target sooner",
        floor({**LOW, LEVEL: 0.74, "service_level_target_ratio": 0.9}),
        {405: SALES},
    ),
    _burn(
        "not by a higher target at its limit",
        floor({**LOW, LEVEL: 0.75, "service_level_target_ratio": 0.9}),
        {405: NOBODY},
    ),
    *formulas("ServiceLevelBurning", LOW, {"15m": 0.49}, 405),
    _burn(
        "when five minutes are below the higher of two targets",
        floor({**LOW, **five_minutes(0.6), "service_level_target_ratio": 0.9})
        | floor({**LOW, **five_minutes(0.6)}, instance="b"),
        {405: SALES},
    ),
    _burn(
        "by what was met, of a worker that is new here and one that was there all along",
        floor({**LOW, **five_minutes(0.6)}) | floor({**LOW, MET: 10, MISSED: 10}, instance="b"),
        {405: NOBODY},
    ),
    _burn(
        "by what was missed, of a worker that is new here and one that was there all along",
        floor(LOW) | floor({**LOW, MET: 10, MISSED: 10}, instance="b"),
        {405: SALES},
    ),
    _burn(
        "in each queue, channel and installation by itself",
        floor(LOW)
        | floor(queue="care")
        | floor(channel="chat")
        | floor(job="other")
        | floor(namespace="cc")
        | floor(cluster="eu"),
        {405: SALES},
    ),
)

# -- out of service: a fault at second 60 --------------------------------------------------------


def _fault(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case("LineOutOfService", story, series, raised)


def fault(course: Course | None = None, **labels: str) -> dict[str, Course]:
    """A fault since second 60, if not said otherwise."""
    name = "queue_out_of_service_since_timestamp_seconds"
    return line(name, {0: None, 60: 60} if course is None else course, **labels)


OUT_OF_SERVICE: Final = (
    *guards("LineOutOfService", {}, fault({0: None, 90: 90}), 90),
    _fault(
        "told at once, and as one for a quarter of an hour after it",
        floor() | fault({0: None, 60: 60, 195: None}),
        {45: NOBODY, 60: SALES, 1080: SALES, 1095: NOBODY},
    ),
    _fault("not while it is in service", floor() | line("queue_open", 1), {300: NOBODY}),
    _fault(
        "by the worker that knows more, in every channel, and in no other queue or installation",
        floor({"queue_as_of_timestamp_seconds": 0})
        | floor(instance="b")
        | floor({"queue_scheduled_open": 0}, instance="c")
        | floor(channel="chat")
        | floor(queue="care")
        | floor(job="other")
        | floor(namespace="cc")
        | floor(cluster="eu")
        | fault()
        | fault(instance="b"),
        {300: (AT, place(channel="chat"))},
    ),
)

# -- many at once --------------------------------------------------------------------------------

QUEUES: Final = ("sales", "care", "orders", "returns", "billing", "claims")


def _many(story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case("ManyQueuesInTrouble", story, series, raised)


def _all(*floors: Series) -> dict[str, Course]:
    return {selector: course for each in floors for selector, course in each.items()}


HERE: Final = ({"job": "floorwatch"},)

MANY: Final = (
    _many(
        "told for six queues, and as one for half an hour after it",
        _all(*(floor({OLDEST: {0: NOW, 60: 60, 405: NOW}}, queue=name) for name in QUEUES)),
        {360: NOBODY, 375: HERE, 2190: HERE, 2205: NOBODY},
    ),
    _many(
        "not for five queues",
        _all(*(floor(WAITS, queue=name) for name in QUEUES[:5])),
        {600: NOBODY},
    ),
    _many(
        "for six in trouble of every kind",
        _all(
            floor(WAITS, queue="sales"),
            floor(WAITS, queue="care"),
            floor(WAITS, queue="orders"),
            floor(queue="returns"),
            agents(queue="returns"),
            floor(LOW, queue="billing"),
            floor(queue="claims"),
            fault(queue="claims"),
        ),
        {600: HERE},
    ),
    _many(
        "not for five, of which each is in trouble twice",
        _all(
            *(floor(WAITS, queue=name) for name in QUEUES[:5]),
            *(fault(queue=name) for name in QUEUES[:5]),
        ),
        {600: NOBODY},
    ),
    _many(
        "not for six in two installations",
        _all(
            *(floor(WAITS, queue=name) for name in QUEUES[:2]),
            *(floor(WAITS, queue=name, job="other") for name in QUEUES[2:3]),
            *(floor(WAITS, queue=name, namespace="cc") for name in QUEUES[3:4]),
            *(floor(WAITS, queue=name, cluster="eu") for name in QUEUES[4:6]),
        ),
        {600: NOBODY},
    ),
)

# -- what nobody knows ---------------------------------------------------------------------------

UNKNOWN: Final = (
    Case(
        "QueueUnknown",
        "from a minute on until it is known again",
        floor({"queue_as_of_timestamp_seconds": {0: NOW, 300: 300, 500: NOW}}),
        {355: NOBODY, 360: SALES, 495: SALES, 500: NOBODY},
    ),
    Case(
        "QueueUnknown",
        "not while one worker knows",
        floor({"queue_as_of_timestamp_seconds": 0}) | floor(instance="b"),
        {600: NOBODY},
    ),
    Case(
        "QueueUnknown",
        "each queue, channel and installation by itself",
        floor({"queue_as_of_timestamp_seconds": 0})
        | floor(queue="care")
        | floor(channel="chat")
        | floor(job="other")
        | floor(namespace="cc")
        | floor(cluster="eu"),
        {600: SALES},
    ),
)

CASES: Final = (
    *LONGEST_WAIT,
    *NOBODY_STAFFED,
    *SERVICE_LEVEL,
    *OUT_OF_SERVICE,
    *MANY,
    *UNKNOWN,
)
