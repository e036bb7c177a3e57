"""The oracle itself, against numbers that were worked out by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.cases import (
    BASE_MS,
    CASES,
    NOT_EXPRESSIBLE,
    Case,
    Expected,
    Sent,
    call,
    chat,
    other,
)
from tests.support.histories import (
    WINDOWS,
    History,
    histories,
    in_order,
    moments,
    permuted,
    split,
    unruly,
)
from tests.support.oracle import (
    FORMULAS,
    Classes,
    OracleContact,
    Policy,
    accept,
    first_instant_of,
    row,
    row_over,
    to_ms,
    to_text,
    visits_of,
)
from tests.support.oracle_figures import local_date

DATA = Path(__file__).parents[1] / "data"


def events(*sent: Sent) -> list[dict[str, Any]]:
    """The events of records, without their arrival."""
    return [event for _, event in Case(0, "", sent, ()).records()]


def contact(*sent: Sent, policy: Policy | None = None, until: float | None = None) -> OracleContact:
    """The only contact of a few events, known up to `until` seconds after the base."""
    until_ms = None if until is None else BASE_MS + round(until * 1000)
    (only,) = visits_of(events(*sent), policy or Policy(), until_ms=until_ms)
    return only


def outcomes(of: OracleContact) -> list[tuple[str, str | None, str, float | None]]:
    """Queue, outcome, reason and wait in seconds of every visit."""
    return [
        (v.queue, v.outcome, v.reason, None if v.closed_ms is None else v.wait_ms / 1000)
        for v in of.visits
    ]


def response(of: OracleContact) -> tuple[float, str, bool] | None:
    """Seconds after the base, queue, and whether met, of the initial response event."""
    if of.response is None:
        return None
    return ((of.response.moment_ms - BASE_MS) / 1000, of.response.queue, of.response.met)


def awaiting(of: OracleContact) -> list[tuple[float, float | None]]:
    """When somebody was awaited, in seconds after the base."""
    return [
        ((begun - BASE_MS) / 1000, None if over is None else (over - BASE_MS) / 1000)
        for begun, over in of.awaiting
    ]


# The cases


def figure(of: dict[str, Any], name: str) -> object:
    """A figure by its dotted name."""
    value: Any = of
    for part in name.split("."):
        value = value[part]
    return value


def shown(case: Case, expected: Expected) -> dict[str, Any]:
    """What the oracle shows where a case expects something."""
    taken = accept(case.records()[: expected.after], case.policy)
    window = expected.window
    if window is not None and window[0] == "rolling":
        window = ("rolling", window[1] * 1000)
    elif window is not None and window[0] == "interval":
        window = ("interval", *(case.base_ms + at * 1000 for at in window[1:]))
    return row(
        taken.events,
        case.policy,
        queue=expected.queue,
        channel=expected.channel,
        window=window,
        now_ms=None if expected.at is None else case.base_ms + round(expected.at * 1000),
        attribute=expected.attribute,
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.title}")
def test_the_oracle_agrees_with_the_cases_worked_out_by_hand(case: Case) -> None:
    for number, expected in enumerate(case.expected):
        got = shown(case, expected)
        for name, value in expected.figures.items():
            assert figure(got, name) == value, (number, name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.number}: {case.title}")
def test_the_oracle_takes_in_what_the_cases_say(case: Case) -> None:
    taken = accept(case.records(), case.policy)
    assert (taken.late, taken.future) == (case.late, case.future)
    assert (taken.duplicates, taken.conflicts) == (case.duplicates, case.conflicts)


def test_every_one_of_the_62_cases_is_there_or_has_a_reason_not_to_be() -> None:
    numbers = {case.number for case in CASES}
    assert numbers | set(NOT_EXPRESSIBLE) == set(range(1, 63))
    assert not numbers & set(NOT_EXPRESSIBLE)


# Formulas

PLAIN = Classes(a=70, A=12, s=3, b=4, B=3, F=2, F_star=2, W=4, w=2, offered=100, refused=0)
WITH_KEYS = Classes(
    a=70, A=12, s=3, b=4, B=3, f=5, F=2, F_star=2, W=4, w=2, offered=105, refused=10
)
EXAMPLE = {  # on PLAIN, and with five who left by a key within T and ten refused
    "strict": (0.7143, 0.6796),
    "of_offered": (0.7000, 0.6667),
    "answered_only": (0.8537, 0.8537),
    "ucce_ignore": (0.7692, 0.7692),
    "ucce_negative": (0.7368, 0.7368),
    "ucce_positive": (0.7789, 0.7789),
    "icmi_1": (0.8370, 0.8370),
    "icmi_3": (0.7609, 0.7609),
    "icmi_4": (0.8235, 0.8235),
    "icmi_5": (0.7935, 0.7935),
    "genesys": (0.7865, 0.7865),
    "genesys_flowouts": (0.7692, 0.7292),
    "asterisk_perf2": (0.8191, 0.8191),
    "connect": (0.7700, 0.7810),
    "vonage": (0.7447, 0.7071),
    "talkdesk": (0.7216, 0.6863),
    "knocked": (0.7000, 0.6087),
    "altigen_now": (0.3333, 0.3333),
    "strict_low": (0.7000, 0.6667),
    "strict_high": (0.7200, 0.6857),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_every_formula_gives_the_published_value(name: str) -> None:
    part, whole = FORMULAS[name]
    plain, with_keys = EXAMPLE[name]
    assert part(PLAIN) / whole(PLAIN) == pytest.approx(plain, abs=5e-5)
    assert part(WITH_KEYS) / whole(WITH_KEYS) == pytest.approx(with_keys, abs=5e-5)


@pytest.mark.parametrize("attribute", ["arrival", "outcome"])
@pytest.mark.parametrize("keys", [0, 5])
def test_a_history_of_the_example_gives_every_formula_its_value(attribute: str, keys: int) -> None:
    made: list[Sent] = []

    def visits(
        count: int, opened: float, wait: float | None, kind: str, reason: str | None = None
    ) -> None:
        for _ in range(count):
            name = f"call-{len(made)}"
            made.append(call(opened, "queued", contact=name))
            if wait is not None:
                made.append(call(opened + wait, kind, contact=name, reason=reason))

    visits(70, 0, 20, "answered")
    visits(12, 0, 21, "answered")
    visits(3, 0, 5, "abandoned")
    visits(4, 0, 6, "abandoned")
    visits(3, 0, 40, "abandoned")
    visits(2, 0, 30, "left", reason="timeout")
    visits(4, 0, None, "")
    visits(2, 80, None, "")
    visits(9, 0, 7, "left", reason="withdrawn")  # in no formula
    visits(keys, 0, 8, "left", reason="key")
    made += [call(9, "refused", contact=f"full-{n}", reason="full") for n in range(2 * keys)]
    made.append(other(100, "source.alive"))
    got = row(events(*made), Policy(), attribute=attribute)
    levels = got["service_level"]
    levels |= {"strict_low": got["service_level_low"], "strict_high": got["service_level_high"]}
    at = 1 if keys else 0
    assert levels == {name: pytest.approx(EXAMPLE[name][at], abs=5e-5) for name in EXAMPLE}
    assert got["service_level_n"]["strict"] == 98 + keys
    assert got["service_level_n"]["of_offered"] == 100 + keys
    assert (got["waiting"], got["waiting_past_threshold"]) == (6, 4)
    assert got["abandonment_ratio"] == (
        pytest.approx(10 / (100 + keys) if attribute == "arrival" else 10 / (82 + 10 + 11 + keys))
    )


def test_a_live_formula_leaves_out_the_expired_that_the_others_keep() -> None:
    got = row(
        events(call(0, "queued"), call(7190, "queued", contact="call-2")),
        Policy(),
        now_ms=BASE_MS + 7_200_000,
    )
    assert got["service_level"]["altigen_now"] == 1.0
    assert (got["service_level"]["strict"], got["service_level_n"]["strict"]) == (0.0, 1)
    assert got["service_level_n"]["of_offered"] == 2


# Visits


def test_answered_comes_before_abandoned_before_left_at_one_instant() -> None:
    got = contact(
        call(0, "queued"), call(9, "left", reason="key"), call(9, "abandoned"), call(9, "answered")
    )
    assert outcomes(got) == [("sales", "answered", "", 9.0)]
    assert [what.detail for what in got.unmatched] == ["abandoned", "left"]


def test_the_sequence_of_the_source_comes_before_the_order_of_the_table() -> None:
    got = contact(
        call(0, "queued"), call(9, "abandoned", sequence=1), call(9, "answered", sequence=2)
    )
    assert outcomes(got) == [("sales", "abandoned", "", 9.0)]


def test_an_outcome_closes_the_visit_in_its_queue_and_else_the_one_opened_last() -> None:
    waits = (call(0, "queued", queue="a"), call(1, "queued", queue="b"))
    mine = contact(*waits, call(9, "left", queue="a", reason="key"), until=9)
    assert outcomes(mine) == [("a", "left", "key", 9.0), ("b", None, "", None)]
    elsewhere = contact(*waits, call(9, "left", queue="c", reason="key"), until=9)
    assert outcomes(elsewhere) == [("a", None, "", None), ("b", "left", "key", 8.0)]


def test_an_event_without_queue_is_in_the_queue_named_last() -> None:
    got = contact(
        call(0, "queued", queue="a"),
        call(1, "queued", queue="b"),
        call(2, "rang", queue="a"),
        call(9, "answered", queue=None),
    )
    assert outcomes(got) == [("a", "answered", "", 9.0), ("b", "left", "withdrawn", 8.0)]


def test_queued_where_a_visit_is_open_changes_nothing() -> None:
    got = contact(call(0, "queued"), call(5, "queued"), call(9, "answered"))
    assert outcomes(got) == [("sales", "answered", "", 9.0)]


def test_a_direct_visit_is_back_dated_to_offered_and_missed_when_it_becomes_known() -> None:
    sent = (call(0, "offered"), call(60, "rang"), call(61, "answered"))
    (visit,) = contact(*sent).visits
    assert (visit.direct, visit.wait_ms, visit.miss_ms - BASE_MS) == (True, 61_000, 60_000)
    before = row(events(*sent), Policy(), now_ms=BASE_MS + 59_999)
    at = row(events(*sent), Policy(), now_ms=BASE_MS + 60_000)
    assert (before["offered"], before["service_level_missed"]) == (0, 0)
    assert (at["offered"], at["service_level_missed"], at["waiting_past_threshold"]) == (1, 1, 1)


def test_a_direct_visit_does_not_expire_before_it_is_known() -> None:
    sent = (call(0, "offered"), call(3 * 3600, "rang"))
    assert outcomes(contact(*sent)) == [("sales", "expired", "", 10_800.0)]
    answered = contact(*sent, call(3 * 3600, "answered"))
    assert outcomes(answered) == [("sales", "answered", "", 10_800.0)]


@pytest.mark.parametrize(
    ("by", "made"),
    [
        ("customer", [("sales", "abandoned", "", 30.0)]),
        (None, [("sales", "abandoned", "", 30.0)]),
        ("system", [("sales", "left", "error", 30.0)]),
        ("agent", []),
    ],
)
def test_ended_after_offered_makes_a_visit_unless_an_agent_ended_it(
    by: str | None, made: list[Any]
) -> None:
    assert outcomes(contact(call(0, "offered"), call(30, "ended", by=by))) == made
    assert outcomes(contact(call(0, "messaged"), call(30, "ended", by=by))) == []


def test_a_reply_answers_on_a_text_channel_and_means_nothing_on_voice() -> None:
    assert outcomes(contact(chat(0, "queued"), chat(9, "replied", by="human"))) == [
        ("support", "answered", "", 9.0)
    ]
    assert outcomes(contact(chat(0, "queued"), chat(9, "replied", by="bot"), until=9)) == [
        ("support", None, "", None)
    ]
    assert outcomes(contact(call(0, "queued"), call(9, "replied", by="human"), until=9)) == [
        ("sales", None, "", None)
    ]


def test_a_transfer_is_forgotten_when_its_queue_queues_the_contact() -> None:
    got = contact(
        call(0, "queued", queue="a"),
        call(10, "answered", queue="a"),
        call(20, "transferred", queue="a", to="b"),
        call(22, "queued", queue="b"),
        call(30, "answered", queue="b"),
        call(40, "answered", queue="b"),
    )
    assert outcomes(got) == [("a", "answered", "", 10.0), ("b", "answered", "", 8.0)]
    assert len(got.unmatched) == 1


def test_leaving_does_not_open_the_visit_of_a_transfer() -> None:
    got = contact(
        call(0, "queued", queue="a"),
        call(10, "answered", queue="a"),
        call(20, "transferred", queue="a", to="b"),
        call(30, "left", queue="b", reason="timeout"),
        call(35, "abandoned", queue="b"),
    )
    assert outcomes(got) == [("a", "answered", "", 10.0), ("b", "abandoned", "", 15.0)]
    assert [what.detail for what in got.unmatched] == ["left"]


def test_left_with_a_bot_is_an_ordinary_leave_once_there_was_a_visit() -> None:
    got = contact(call(0, "queued"), call(9, "left", reason="bot"))
    assert outcomes(got) == [("sales", "left", "bot", 9.0)]
    assert got.bot_contained == []


def test_a_restart_closes_what_its_source_opened_after_the_events_of_that_instant() -> None:
    got = row(
        events(
            other(10, "source.started"),
            call(0, "queued", contact="waits"),
            call(0, "queued", contact="taken"),
            call(10, "answered", contact="taken"),
            call(10, "queued", contact="arrives"),
            call(0, "queued", contact="elsewhere", source="desk"),
            call(10.001, "queued", contact="after"),
        ),
        Policy(),
    )
    assert got["left_by_reason"] == {"error": (2, 0)}
    assert (got["answered"], got["waiting"]) == (1, 2)


def test_a_late_outcome_corrects_an_expired_visit_only_up_to_its_expiry() -> None:
    queued = call(0, "queued")
    assert outcomes(contact(queued, call(7200, "abandoned"))) == [
        ("sales", "abandoned", "", 7200.0)
    ]
    assert outcomes(contact(queued, call(7200.001, "abandoned"))) == [
        ("sales", "expired", "", 7200.0)
    ]


# Lives


def lives_of(*sent: Sent, policy: Policy | None = None) -> int:
    return len(visits_of(events(*sent), policy or Policy()))


def test_a_contact_rests_for_good_only_when_more_than_rest_has_passed() -> None:
    answered = (call(0, "queued"), call(10, "answered"))
    assert lives_of(*answered, call(10 + 4 * 3600, "wrapped")) == 1
    assert lives_of(*answered, call(10.001 + 4 * 3600, "wrapped")) == 2


def test_an_open_visit_keeps_its_contact_until_its_expiry_and_rest() -> None:
    assert lives_of(call(0, "queued"), call(6 * 3600, "queued")) == 1
    assert lives_of(call(0, "queued"), call(6 * 3600 + 0.001, "queued")) == 2


def test_a_late_event_joins_what_looked_like_two_lives() -> None:
    apart = (call(0, "queued"), call(10, "answered"), call(5 * 3600, "queued"))
    assert lives_of(*apart) == 2
    assert lives_of(*apart, call(2 * 3600, "held")) == 1


def test_a_contact_does_not_rest_while_a_reply_is_awaited() -> None:
    hours = 5 * 3600
    replied = chat(hours, "replied", by="human", channel="email")
    written = contact(chat(0, "messaged", channel="email"), replied)
    assert response(written) == (hours, "support", True)
    offered = contact(chat(0, "offered", channel="email"), replied)
    assert outcomes(offered) == [("support", "answered", "", hours)]
    by_bot = chat(60, "replied", by="bot", channel="email")
    assert lives_of(chat(0, "messaged", channel="email"), by_bot, replied) == 2


def test_events_of_one_instant_begin_a_life_together() -> None:
    day = 86400
    got = visits_of(
        events(call(0, "abandoned"), call(day, "offered"), call(day, "queued")), Policy()
    )
    assert [len(life.visits) for life in got] == [1, 1]


# Initial response


def test_a_call_is_responded_to_by_its_answer() -> None:
    got = contact(call(0, "offered"), call(3, "queued"), call(20, "answered"))
    assert response(got) == (20.0, "sales", True)
    assert [reply.waited_ms for reply in got.replies] == [20_000]
    assert awaiting(got) == [(0.0, 20.0)]


def test_the_limit_is_inclusive_and_missed_a_millisecond_later() -> None:
    two = (call(0, "queued", queue="a"), call(5, "queued", queue="b"))
    in_time = contact(*two, call(20, "answered", queue="a"))
    assert response(in_time) == (20.0, "a", True)
    just_late = contact(*two, call(20.001, "answered", queue="a"))
    assert response(just_late) == (20.001, "a", False)
    later = contact(*two, call(30, "answered", queue="a"))
    assert response(later) == (20.001, "b", False)
    assert [reply.waited_ms for reply in later.replies] == [30_000]
    assert awaiting(later) == [(0.0, 30.0)]


@pytest.mark.parametrize(
    ("end", "moment"),
    [
        (chat(30, "ended", by="agent"), 30.0),
        (chat(30, "refused", reason="closed"), 30.0),
        (chat(30, "left", reason="bot"), 30.0),
        (chat(30, "abandoned"), 30.0),
    ],
)
def test_an_end_without_reply_is_a_miss_where_the_contact_was(end: Sent, moment: float) -> None:
    got = contact(chat(0, "messaged"), end, chat(60, "replied", by="human"))
    assert response(got) == (moment, "support", False)
    assert awaiting(got) == [(0.0, moment)]
    assert got.replies == []


def test_the_last_open_visit_ends_the_awaiting_and_not_one_of_two() -> None:
    two = (chat(0, "queued", queue="a"), chat(0, "queued", queue="b"))
    one_left = (*two, chat(30, "left", queue="a", reason="timeout"))
    assert response(contact(*one_left, until=60)) is None
    both_left = (*one_left, chat(50, "left", queue="b", reason="timeout"))
    assert response(contact(*both_left)) == (50.0, "b", False)


def test_a_text_answer_without_reply_leaves_the_customer_awaiting() -> None:
    sent = (chat(0, "queued"), chat(10, "answered"))
    assert awaiting(contact(*sent, until=100)) == [(0.0, None)]
    assert response(contact(*sent, until=120)) is None
    assert response(contact(*sent, until=120.001)) == (120.001, "support", False)
    assert awaiting(contact(*sent, until=86_400)) == [(0.0, 86_400.0)]


def test_a_bot_stops_the_clock_until_the_hand_off_which_starts_it_anew() -> None:
    got = contact(
        chat(0, "messaged"),
        chat(1, "replied", by="bot"),
        chat(50, "messaged"),
        chat(90, "queued"),
        chat(91, "replied", by="bot"),
        chat(95, "answered"),
        chat(210, "replied", by="human"),
    )
    assert awaiting(got) == [(0.0, 1.0), (90.0, 210.0)]
    assert response(got) == (210.0, "support", True)
    (reply,) = got.replies
    assert (reply.waited_ms, reply.from_asked_ms) == (120_000, 210_000)
    assert (reply.from_handoff_ms, reply.from_assignment_ms) == (120_000, 115_000)


def test_a_reply_to_nobody_awaited_makes_no_event_ever() -> None:
    bot_only = contact(
        chat(0, "messaged"),
        chat(1, "replied", by="bot"),
        chat(50, "replied", by="human"),
        chat(60, "queued"),
        chat(70, "replied", by="human"),
    )
    agent_first = contact(
        chat(0, "replied", by="human"), chat(60, "messaged"), chat(90, "replied", by="human")
    )
    for got in (bot_only, agent_first):
        assert (response(got), got.replies) == (None, [])
    assert awaiting(bot_only) == [(0.0, 1.0)]
    assert awaiting(agent_first) == []


def test_a_miss_before_the_bot_replies_stays_but_nobody_is_awaited_any_more() -> None:
    got = contact(
        chat(0, "messaged"), chat(130, "replied", by="bot"), chat(200, "replied", by="human")
    )
    assert response(got) == (120.001, "support", False)
    assert awaiting(got) == [(0.0, 130.0)]
    assert got.replies == []


def test_a_contact_is_awaited_in_the_queue_that_it_is_in() -> None:
    sent = events(
        chat(0, "messaged", queue=None), chat(5, "queued", queue="a"), chat(9, "queued", queue="b")
    )
    for at, queue in ((4.999, "unknown"), (5, "a"), (9, "b")):
        now = BASE_MS + round(at * 1000)
        where = [
            name
            for name in ("unknown", "a", "b")
            if row(sent, Policy(), queue=name, now_ms=now)["awaiting_reply"]
        ]
        assert where == [queue]


# Policy


def test_a_visit_takes_the_values_in_force_at_its_opening_from_the_nearest_place() -> None:
    policy = Policy(
        channels={"voice": {"threshold_s": [(None, 20), (1000, 30)]}},
        queues={("sales", "*"): {"threshold_s": 40}, ("sales", "voice"): {"threshold_s": 50}},
    )
    assert policy.threshold("other", "voice", 999) == 20_000
    assert policy.threshold("other", "voice", 1000) == 30_000
    assert policy.threshold("sales", "chat", 0) == 40_000
    assert policy.threshold("sales", "voice", 0) == 50_000
    assert policy.threshold("other", "carrier_pigeon", 0) == 900_000


# Windows and days


@pytest.mark.parametrize(
    ("zone", "instant", "first"),
    [
        ("UTC", "2026-11-24T10:00:00Z", "2026-11-24T00:00:00Z"),
        ("UTC", "2026-11-24T00:00:00Z", "2026-11-24T00:00:00Z"),
        ("+03:00", "1999-08-01T20:59:59.999Z", "1999-07-31T21:00:00Z"),
        ("+03:00", "1999-08-01T21:00:00Z", "1999-08-01T21:00:00Z"),
        ("Europe/Berlin", "2026-03-29T12:00:00Z", "2026-03-28T23:00:00Z"),
        ("Europe/Berlin", "2026-03-29T22:00:00Z", "2026-03-29T22:00:00Z"),
        ("Europe/Berlin", "2026-10-25T22:59:59Z", "2026-10-24T22:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T02:59:59Z", "2018-11-03T03:00:00Z"),
        ("America/Sao_Paulo", "2018-11-04T03:00:00Z", "2018-11-04T03:00:00Z"),
        # one minute of the 29th, then the last hour of the 28th again, then the 29th
        ("America/St_Johns", "2006-10-29T02:30:30Z", "2006-10-29T02:30:00Z"),
        ("America/St_Johns", "2006-10-29T03:00:00Z", "2006-10-28T02:30:00Z"),
        ("America/St_Johns", "2006-10-29T03:30:00Z", "2006-10-29T02:30:00Z"),
        ("Pacific/Apia", "2011-12-30T09:59:59Z", "2011-12-29T10:00:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-30T10:00:00Z"),
    ],
)
def test_a_day_begins_at_the_first_instant_of_its_date(zone: str, instant: str, first: str) -> None:
    day = local_date(to_ms(instant), zone)
    assert to_text(first_instant_of(day, zone)) == to_text(to_ms(first))


def test_the_windows_between_two_ticks_stand_at_the_last_and_the_gauges_at_now() -> None:
    sent = events(call(0, "queued"), call(4, "queued", contact="call-2"), call(7, "answered"))
    got = row(sent, Policy(), window=("rolling", 300_000), now_ms=BASE_MS + 8_000)
    assert (got["offered"], got["answered"], got["waiting"]) == (2, 0, 1)
    assert got["longest_wait_s"] == 4.0


def test_the_bounds_take_the_undecided_that_arrived_in_the_window_only() -> None:
    sent = events(*(chat(at, "queued", contact=f"c{at}", channel="messaging") for at in (0, 400)))
    got = row(sent, Policy(), window=("rolling", 300_000), now_ms=BASE_MS + 500_000)
    assert (got["service_level_low"], got["service_level_high"]) == (0.0, 1.0)
    earlier = row(sent[:1], Policy(), window=("rolling", 300_000), now_ms=BASE_MS + 500_000)
    assert (earlier["service_level_low"], earlier["service_level_high"]) == (None, None)


def test_quantiles_are_nearest_rank() -> None:
    sent: list[Sent] = []
    for wait in range(1, 11):
        sent += [call(0, "queued", contact=f"c{wait}"), call(wait, "answered", contact=f"c{wait}")]
    waits = row(events(*sent), Policy())["wait_s"]
    assert waits == {"mean": 5.5, "p50": 5.0, "p90": 9.0, "p99": 10.0, "max": 10.0}


def test_instant_service_counts_calls_never_queued_and_short_waits() -> None:
    sent = events(
        call(0, "offered", contact="direct"),
        call(30, "answered", contact="direct"),
        call(0, "queued", contact="short"),
        call(2, "answered", contact="short"),
        call(0, "queued", contact="long"),
        call(2.001, "answered", contact="long"),
        chat(0, "answered", contact="direct chat"),
        chat(0, "offered", contact="slow chat"),
        chat(5.001, "answered", contact="slow chat"),
        chat(0, "queued", contact="mail", channel="email"),
        chat(0, "answered", contact="mail", channel="email"),
    )
    got = row(sent, Policy())
    assert (got["instant"], got["instant_service_ratio"]) == (3, 3 / 5)
    assert row(sent, Policy(), channel="email")["instant_service_ratio"] is None
    never_queued = Policy(
        channels={"voice": {"instant_within_s": 0}, "chat": {"instant_within_s": 0}}
    )
    assert row(sent, never_queued)["instant"] == 1


def test_agents_and_open_queues_are_as_last_said() -> None:
    sent = events(
        other(0, "agent.changed", agent="a", queues=["sales"], state="available"),
        other(0, "agent.changed", agent="b", queues=["sales", "support"], state="available"),
        other(9, "agent.changed", agent="b", queues=["sales"], state="on_contact"),
        other(0, "queue.opened", queue="sales"),
        other(9, "queue.closed", queue="sales", reason="planned"),
    )
    before = row(sent, Policy(), queue="sales", now_ms=BASE_MS + 8_999)
    assert (before["agents"], before["queue_open"]) == ({"available": 2}, True)
    after = row(sent, Policy(), queue="sales")
    assert (after["agents"], after["queue_open"]) == ({"available": 1, "on_contact": 1}, False)
    elsewhere = row(sent, Policy(), queue="support")
    assert (elsewhere["agents"], elsewhere["queue_open"]) == (None, None)


# Arrival


def test_arrival_is_the_highest_record_timestamp_so_far() -> None:
    hour = 3_600_000
    (_, first), (_, second) = Case(0, "", (call(0, "queued"), call(1, "answered")), ()).records()
    stamps = [BASE_MS + 4 * hour + 1_000, BASE_MS]
    assert accept(zip(stamps, [second, first], strict=True), Policy()).late == 1
    stamps = [BASE_MS + 4 * hour, BASE_MS]
    assert accept(zip(stamps, [second, first], strict=True), Policy()).late == 0


def test_five_minutes_ahead_of_arrival_is_not_yet_the_future() -> None:
    ((_, event),) = Case(0, "", (call(0, "queued"),), ()).records()
    assert accept([(BASE_MS - 300_000, event)], Policy()).future == 0
    assert accept([(BASE_MS - 300_001, event)], Policy()).future == 1


# A small floor in a file


def test_the_small_floor_has_the_figures_worked_out_beside_it() -> None:
    sent = [json.loads(line) for line in (DATA / "small-floor.jsonl").read_text().splitlines()]
    worked_out = json.loads((DATA / "small-floor.expected.json").read_text())
    for queue, figures in worked_out["queues"].items():
        got = row(sent, Policy(), queue=queue, attribute="arrival")
        assert {name: figure(got, name) for name in figures} == figures, queue


# Laws that the oracle must itself obey


@given(st.data())
def test_order_and_repetition_do_not_matter_to_the_oracle(data: st.DataObject) -> None:
    history = data.draw(histories(max_contacts=4))
    log = permuted(data.draw, history)
    taken = accept(log, history.policy)
    assert (taken.late, taken.future) == (0, 0)
    assert visits_of(taken.events, history.policy) == visits_of(history.events, history.policy)


@given(st.data())
def test_nobody_gets_lost_and_no_ratio_passes_one(data: st.DataObject) -> None:
    history = data.draw(histories(max_contacts=4))
    now = data.draw(moments(history))
    for attribute in ("arrival", "outcome"):
        got = row(history.events, history.policy, now_ms=now, attribute=attribute)
        ended = ("answered", "abandoned", "left", "expired", "waiting")
        assert got["offered"] == sum(got[name] for name in ended)
        assert got["waiting_past_threshold"] <= got["waiting"]
        assert got["initial_response_within"] <= got["initial_response_events"]
    window = data.draw(st.sampled_from(WINDOWS))
    got = row(history.events, history.policy, window=window, now_ms=now)
    ratios = [*got["service_level"].values(), got["instant_service_ratio"]]
    ratios += [got["abandonment_ratio"], got["service_level_low"], got["service_level_high"]]
    assert all(0 <= ratio <= 1 for ratio in ratios if ratio is not None)
    low, strict, high = (
        got["service_level_low"],
        got["service_level"]["strict"],
        got["service_level_high"],
    )
    assert strict is None or low <= strict <= high


def add_up(name: str, rows: list[dict[str, Any]]) -> int:
    return sum(row[name] for row in rows)


@given(st.data())
def test_queues_channels_and_partitions_add_up(data: st.DataObject) -> None:
    history: History = data.draw(histories(max_contacts=4))
    now = data.draw(moments(history))
    window = data.draw(st.sampled_from(WINDOWS))
    sent = [event for _, event in in_order(history)]
    whole = row(sent, history.policy, window=window, now_ms=now)
    queues = {"unknown", "billing"} | {e["queue"] for e in sent if e.get("queue")}
    channels = {"voice"} | {e["channel"] for e in sent if e.get("channel")}
    by_queue = [row(sent, history.policy, queue=q, window=window, now_ms=now) for q in queues]
    by_channel = [row(sent, history.policy, channel=c, window=window, now_ms=now) for c in channels]
    for name, value in whole.items():
        if type(value) is int and not name.endswith("_ms"):
            assert add_up(name, by_queue) == value, name
            assert add_up(name, by_channel) == value, name
    parts = [[event for _, event in part] for part in split(in_order(history), 3)]
    assert row_over(parts, history.policy, window=window, now_ms=now) == whole


@given(st.data())
def test_the_late_and_the_future_are_kept_out_and_counted(data: st.DataObject) -> None:
    history = data.draw(histories(max_contacts=4))
    log = unruly(data.draw, history)
    taken = accept(log, history.policy)
    assert taken.late + taken.future + len(taken.events) == len(log)
    unique = {(e.get("contact"), e["source"], e["id"]) for e in taken.events}
    assert taken.duplicates == len(taken.events) - len(unique)
