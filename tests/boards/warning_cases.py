"""When the floor's boards warn, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.boards.page_cases import (
    LEVEL,
    NOBODY,
    OLDEST,
    SALES,
    formulas,
    guards,
)
from tests.support.rule_cases import NOW, Case, Course, Rising, Series, floor, line, place

AS_OF: Final = "queue_as_of_timestamp_seconds"
CHAT: Final = (place(channel="chat"),)


def _of(alert: str, story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case(alert, story, series, raised)


WARNING_LIMIT: Final = "longest_wait_limit_seconds warning"
LONG: Final = "LongestWaitWarning"
LONGEST_WAIT: Final = (
    *guards(LONG, {OLDEST: {0: NOW, 60: 60}}, {}, 195),
    _of(
        LONG,
        "told as soon as the limit is passed, and for a minute after it",
        floor({OLDEST: {0: NOW, 60: 60, 240: NOW}}),
        {180: NOBODY, 195: SALES, 285: SALES, 300: NOBODY},
    ),
    _of(LONG, "not while nobody waits", floor({OLDEST: 0}), {600: NOBODY}),
    _of(
        LONG,
        "by the worker that knows of the later one, and the higher limit",
        floor({OLDEST: 60, WARNING_LIMIT: 600}) | floor({OLDEST: 300}, instance="b"),
        {600: NOBODY, 900: NOBODY, 915: SALES},
    ),
)

HOUR: Final = "service_level_ratio 60m strict"
HOUR_CONTACTS: Final = "service_level_contacts 60m strict"
DRIFT: Final = "ServiceLevelDrifting"
DRIFTS: Final[dict[str, Course]] = {HOUR: {0: 0.9, 60: 0.69}, LEVEL: {0: 0.9, 60: 0.69}}
DRIFTING: Final = (
    *guards(DRIFT, DRIFTS, {}, 360),
    *formulas(DRIFT, DRIFTS, {"60m": 0.69, "15m": 0.69}, 390),
    _of(
        DRIFT,
        "by the hour below the higher of two targets",
        floor({HOUR: 0.75, LEVEL: 0.1, "service_level_target_ratio": 0.9})
        | floor({HOUR: 0.75, LEVEL: 0.1}, instance="b"),
        {375: SALES},
    ),
    _of(
        DRIFT,
        "by the quarter below the higher of two targets",
        floor({HOUR: 0.1, LEVEL: 0.75, "service_level_target_ratio": 0.9})
        | floor({HOUR: 0.1, LEVEL: 0.75}, instance="b"),
        {375: SALES},
    ),
    _of(
        DRIFT,
        "not at the limit of the hour, to the percent",
        floor({HOUR: 0.86, LEVEL: 0.1, "service_level_target_ratio": 0.9}),
        {375: NOBODY},
    ),
    _of(
        DRIFT,
        "not at the limit of the quarter, to the percent",
        floor({HOUR: 0.1, LEVEL: 0.86, "service_level_target_ratio": 0.9}),
        {375: NOBODY},
    ),
    _of(
        DRIFT,
        "by the higher volume floor of two workers",
        floor({**DRIFTS, "alert_min_contacts": 1000}) | floor(DRIFTS, instance="b"),
        {375: NOBODY},
    ),
    _of(DRIFT, "after five minutes", floor(DRIFTS), {345: NOBODY, 360: SALES}),
    _of(
        DRIFT,
        "until it is better",
        floor({**DRIFTS, HOUR: {0: 0.69, 405: 0.9}}),
        {390: SALES, 405: NOBODY},
    ),
    _of(DRIFT, "not at the limit of the hour", floor({**DRIFTS, HOUR: 0.7}), {375: NOBODY}),
    _of(DRIFT, "not at the limit of 15 min", floor({**DRIFTS, LEVEL: 0.7}), {375: NOBODY}),
    _of(DRIFT, "not on nine contacts", floor({**DRIFTS, HOUR_CONTACTS: 9}), {375: NOBODY}),
    _of(DRIFT, "on ten contacts", floor({**DRIFTS, HOUR_CONTACTS: 10}), {375: SALES}),
    _of(
        DRIFT,
        "not by what the quarter rests on, or the day",
        floor({"service_level_ratio day strict": 0.1, LEVEL: 0.1}),
        {375: NOBODY},
    ),
    _of(
        DRIFT,
        "by a higher target sooner",
        floor({HOUR: 0.84, LEVEL: 0.84, "service_level_target_ratio": 0.9}),
        {375: SALES},
    ),
    _of(
        DRIFT,
        "not by a higher target at its limit",
        floor({HOUR: 0.85, LEVEL: 0.85, "service_level_target_ratio": 0.9}),
        {375: NOBODY},
    ),
)

DAY: Final = "service_level_ratio day strict"
DAY_CONTACTS: Final = "service_level_contacts day strict"
BELOW: Final[dict[str, Course]] = {DAY: {0: 0.9, 60: 0.79}}
DAY_BELOW: Final = (
    *guards("DayBelowTarget", BELOW, {}, 360),
    *formulas("DayBelowTarget", BELOW, {"day": 0.79}, 390),
    _of("DayBelowTarget", "after five minutes", floor(BELOW), {345: NOBODY, 360: SALES}),
    _of("DayBelowTarget", "not at the target", floor({DAY: 0.8}), {375: NOBODY}),
    _of(
        "DayBelowTarget",
        "until it is reached",
        floor({DAY: {0: 0.79, 405: 0.8}}),
        {390: SALES, 405: NOBODY},
    ),
    _of("DayBelowTarget", "not on 49 contacts", floor({**BELOW, DAY_CONTACTS: 49}), {375: NOBODY}),
    _of("DayBelowTarget", "on 50 contacts", floor({**BELOW, DAY_CONTACTS: 50}), {375: SALES}),
    _of(
        "DayBelowTarget",
        "not by other windows",
        floor({HOUR: 0.1, LEVEL: 0.1, DAY_CONTACTS: 49, DAY: 0.1, HOUR_CONTACTS: 500}),
        {375: NOBODY},
    ),
    _of("DayBelowTarget", "not by the hour", floor({HOUR: 0.1, LEVEL: 0.1}), {375: NOBODY}),
)

ABANDONED: Final = "abandonment_ratio 15m"
SURGE: Final[dict[str, Course]] = {ABANDONED: {0: 0.05, 60: 0.11}}
FEW: Final = {"window_contacts 15m answered": 6, "window_contacts 15m abandoned": 2}
ABANDONMENT: Final = (
    *guards("AbandonmentSurge", SURGE, {}, 120),
    _of(
        "AbandonmentSurge",
        "by the higher volume floor of two workers",
        floor({**SURGE, "alert_min_contacts": 1000}) | floor(SURGE, instance="b"),
        {375: NOBODY},
    ),
    _of("AbandonmentSurge", "not by other windows", floor(), {375: NOBODY}),
    _of("AbandonmentSurge", "after a minute", floor(SURGE), {105: NOBODY, 120: SALES}),
    _of(
        "AbandonmentSurge",
        "until it is less",
        floor({ABANDONED: {0: 0.11, 405: 0.1}}),
        {390: SALES, 405: NOBODY},
    ),
    _of("AbandonmentSurge", "not at the limit", floor({ABANDONED: 0.1}), {375: NOBODY}),
    _of(
        "AbandonmentSurge",
        "not when nine ended their wait",
        floor({**SURGE, **FEW, "window_contacts 15m left": 1}),
        {375: NOBODY},
    ),
    _of(
        "AbandonmentSurge",
        "when ten ended their wait",
        floor({**SURGE, **FEW, "window_contacts 15m left": 2}),
        {375: SALES},
    ),
    _of(
        "AbandonmentSurge",
        "by the worker that knows more",
        floor({**SURGE, "abandonment_limit_ratio": 0.05, **FEW})
        | floor({ABANDONED: 0.05}, instance="b"),
        {375: SALES},
    ),
    _of(
        "AbandonmentSurge",
        "by the higher limit while settings reach one worker after the other",
        floor({**SURGE, "abandonment_limit_ratio": 0.2}) | floor(SURGE, instance="b"),
        {375: NOBODY},
    ),
    _of(
        "AbandonmentSurge",
        "counted once however many workers tell it",
        floor({**SURGE, **FEW}) | floor({**SURGE, **FEW}, instance="b"),
        {375: NOBODY},
    ),
)

WITHIN: Final = "initial_response_within_ratio 15m"
REPLIED: Final = "initial_response_events_total true"
UNREPLIED: Final = "initial_response_events_total false"
SLOW: Final[dict[str, Course]] = {WITHIN: {0: 0.9, 300: 0.79}}
RESPONSE: Final = "InitialResponseOverLimit"


def _responses(in_15m: float) -> dict[str, Course]:
    return {REPLIED: Rising(in_15m / 1800), UNREPLIED: Rising(in_15m / 1800)}


INITIAL_RESPONSE: Final = (
    *guards(RESPONSE, SLOW, {}, 360, channel="chat"),
    _of(RESPONSE, "after a minute", floor(SLOW, channel="chat"), {345: NOBODY, 360: CHAT}),
    _of(
        RESPONSE,
        "until it is better",
        floor({WITHIN: {0: 0.79, 600: 0.8}}, channel="chat"),
        {585: CHAT, 600: NOBODY},
    ),
    _of(RESPONSE, "not on the phone", floor(SLOW), {1005: NOBODY}),
    _of(RESPONSE, "not at the target", floor({WITHIN: 0.8}, channel="chat"), {1005: NOBODY}),
    _of(
        RESPONSE,
        "not on fewer than ten",
        floor({**SLOW, **_responses(9.8)}, channel="chat"),
        {1005: NOBODY},
    ),
    _of(
        RESPONSE,
        "on ten",
        floor({**SLOW, **_responses(10.2)}, channel="chat"),
        {1005: CHAT},
    ),
    _of(
        RESPONSE,
        "counted once however many workers tell it",
        floor({**SLOW, **_responses(6)}, channel="chat")
        | floor({**SLOW, **_responses(6)}, channel="chat", instance="b"),
        {1005: NOBODY},
    ),
    _of(
        RESPONSE,
        "by the worker that knows more",
        floor({**SLOW, **_responses(2)}, channel="chat")
        | floor({WITHIN: 0.5}, channel="chat", instance="b"),
        {1005: CHAT},
    ),
    _of(
        RESPONSE,
        "by the higher target and volume floor of two workers",
        floor({WITHIN: 0.79, "service_level_target_ratio": 0.5}, channel="chat")
        | floor({WITHIN: 0.79}, channel="chat", instance="b")
        | floor({WITHIN: 0.79, "alert_min_contacts": 1000}, channel="chat", queue="care")
        | floor({WITHIN: 0.79}, channel="chat", queue="care", instance="b"),
        {1005: CHAT},
    ),
    _of(
        RESPONSE,
        "over a quarter of an hour and no more",
        floor({**SLOW, REPLIED: {0: Rising(0.4), 60: 24}, UNREPLIED: 0}, channel="chat"),
        {360: CHAT, 885: CHAT, 960: NOBODY},
    ),
    _of(
        RESPONSE,
        "not when one worker knows better",
        floor(SLOW, channel="chat") | floor({WITHIN: 0.85}, channel="chat", instance="b"),
        {1005: NOBODY},
    ),
)

AWAITED: Final = "oldest_awaiting_reply_timestamp_seconds"
REPLY: Final = "ReplyAwaitedTooLong"
REPLY_LIMIT: Final = "initial_response_limit_seconds"
AWAITING: Final = (
    *guards(REPLY, {AWAITED: {0: NOW, 60: 60}, REPLY_LIMIT: 120}, {}, 195, channel="chat"),
    _of(
        REPLY,
        "told as soon as the limit is passed, and for a minute after it",
        floor({AWAITED: {0: NOW, 60: 60, 240: NOW}, REPLY_LIMIT: 120}, channel="chat"),
        {180: NOBODY, 195: CHAT, 285: CHAT, 300: NOBODY},
    ),
    _of(REPLY, "not on the phone", floor({AWAITED: {0: NOW, 60: 60}}), {600: NOBODY}),
    _of(REPLY, "not while nobody awaits one", floor({AWAITED: 0}, channel="chat"), {600: NOBODY}),
    _of(
        REPLY,
        "by the worker that knows of the later one, and the higher limit",
        floor({AWAITED: 60, REPLY_LIMIT: 600}, channel="chat")
        | floor({AWAITED: 300}, channel="chat", instance="b"),
        {600: NOBODY, 900: NOBODY, 915: CHAT},
    ),
)

CLOSED: Final = "ClosedWithPeopleWaiting"
SHUT: Final[dict[str, Course]] = {"queue_scheduled_open": {0: 1, 60: 0}}
WAITING: Final = "contacts_waiting"
CLOSED_WAITING: Final = (
    _of(
        CLOSED,
        "after five minutes outside opening hours",
        floor({**SHUT, WAITING: {0: 1, 600: 0}}),
        {345: NOBODY, 360: SALES, 585: SALES, 600: NOBODY},
    ),
    _of(CLOSED, "not while nobody waits", floor({**SHUT, WAITING: 0}), {600: NOBODY}),
    _of(
        CLOSED,
        "not while nobody waits at a closed door",
        floor({WAITING: 0}) | line("queue_open", 0),
        {600: NOBODY},
    ),
    _of(
        CLOSED,
        "after five minutes at a closed door",
        floor({WAITING: 1}) | line("queue_open", {0: 1, 60: 0, 600: 1}),
        {345: NOBODY, 360: SALES, 585: SALES, 600: NOBODY},
    ),
    _of(CLOSED, "not while it is open", floor() | line("queue_open", 1), {600: NOBODY}),
    _of(CLOSED, "in chat outside opening hours", floor(SHUT, channel="chat"), {600: CHAT}),
    _of(
        CLOSED,
        "in chat at a closed door",
        floor(channel="chat") | line("queue_open", 0),
        {600: CHAT},
    ),
    _of(
        CLOSED,
        "in chat, but not where nobody waits on the line",
        floor(SHUT, channel="chat")
        | floor(SHUT, channel="email")
        | floor(channel="messaging")
        | line("queue_open", 0),
        {600: CHAT},
    ),
    _of(CLOSED, "on the phone at a closed door", floor() | line("queue_open", 0), {600: SALES}),
    _of(
        CLOSED,
        "not in email at a closed door",
        floor(channel="email") | line("queue_open", 0),
        {600: NOBODY},
    ),
    _of(
        CLOSED,
        "not once what is known is old",
        floor({**SHUT, AS_OF: {0: NOW, 300: 300}}) | line("queue_open", 0),
        {360: NOBODY, 600: NOBODY},
    ),
    _of(
        CLOSED,
        "not while one worker knows it is open",
        floor(SHUT)
        | floor(instance="b")
        | line("queue_open", 0)
        | line("queue_open", 1, instance="b"),
        {600: NOBODY},
    ),
    _of(
        CLOSED,
        "by the worker that knows of those who wait",
        floor({**SHUT, WAITING: 0}) | floor({**SHUT}, instance="b"),
        {600: SALES},
    ),
    _of(
        CLOSED,
        "by the worker that knows of those who wait at a closed door",
        floor({WAITING: 0}) | floor(instance="b") | line("queue_open", 0),
        {600: SALES},
    ),
    _of(
        CLOSED,
        "each queue, channel and installation by itself",
        floor(SHUT)
        | floor(queue="care")
        | floor(channel="chat")
        | floor(job="other")
        | floor(namespace="cc")
        | floor(cluster="eu"),
        {600: SALES},
    ),
    _of(
        CLOSED,
        "each line and installation by itself",
        floor()
        | floor(queue="care")
        | floor(job="other")
        | floor(namespace="cc")
        | floor(cluster="eu")
        | line("queue_open", 0)
        | line("queue_open", 1, queue="care")
        | line("queue_open", 1, job="other")
        | line("queue_open", 1, namespace="cc")
        | line("queue_open", 1, cluster="eu"),
        {600: SALES},
    ),
)

QUARTER: Final = "window_contacts 15m offered"
SIXTY: Final = "window_contacts 60m offered"
QUIET: Final[dict[str, Course]] = {QUARTER: {0: 5, 60: 0}}
NO_ARRIVALS: Final = (
    *guards("NoArrivals", QUIET, {}, 120),
    _of("NoArrivals", "after a minute", floor(QUIET), {105: NOBODY, 120: SALES}),
    _of(
        "NoArrivals", "until one comes", floor({QUARTER: {0: 0, 405: 1}}), {390: SALES, 405: NOBODY}
    ),
    _of("NoArrivals", "not after one", floor({QUARTER: 1}), {375: NOBODY}),
    _of("NoArrivals", "not after 30 in the hour", floor({**QUIET, SIXTY: 30}), {375: NOBODY}),
    _of("NoArrivals", "after 31 in the hour", floor({**QUIET, SIXTY: 31}), {375: SALES}),
    _of(
        "NoArrivals",
        "whatever the day and the outcomes say",
        floor(
            {
                **QUIET,
                "window_contacts 60m answered": 0,
                "window_contacts 60m abandoned": 0,
                "window_contacts day offered": 0,
            }
        ),
        {375: SALES},
    ),
    _of(
        "NoArrivals",
        "by the higher volume floor of two workers",
        floor({**QUIET, "alert_min_contacts": 1000}) | floor(QUIET, instance="b"),
        {375: NOBODY},
    ),
    _of(
        "NoArrivals",
        "not where one worker knows of one",
        floor(QUIET) | floor({QUARTER: 1}, instance="b"),
        {375: NOBODY},
    ),
    _of(
        "NoArrivals",
        "by the worker that knows more, counted once",
        floor({**QUIET, SIXTY: 20}) | floor({**QUIET, SIXTY: 25}, instance="b"),
        {375: NOBODY},
    ),
    _of(
        "NoArrivals",
        "by the worker that knows of the most",
        floor({**QUIET, SIXTY: 20}) | floor({**QUIET, SIXTY: 40}, instance="b"),
        {375: SALES},
    ),
)

CASES: Final = (
    *LONGEST_WAIT,
    *DRIFTING,
    *DAY_BELOW,
    *ABANDONMENT,
    *INITIAL_RESPONSE,
    *AWAITING,
    *CLOSED_WAITING,
    *NO_ARRIVALS,
)
