"""What the events of one contact make of it: its visits and its initial response, rule by rule."""

from typing import Any

import pytest

from streams.core.contact import ABANDONED, ANSWERED, EXPIRED, LEFT, OPEN, Life, Limits
from streams.core.partition import Partition
from tests.support.core_events import (
    DAY,
    HOUR,
    TEN_MS,
    Told,
    call,
    chat,
    event,
    ms,
    net,
    policy,
    sales,
    tell,
    told,
)

NAMES = {
    OPEN: "waiting",
    ANSWERED: "answered",
    ABANDONED: "abandoned",
    LEFT: "left",
    EXPIRED: "expired",
}


def contact(*events: Told, now_s: float | None = None, **options: Any) -> Life:
    """The contact `c-1`."""
    return told(*events, now_s=now_s, **options).lives["c-1"]


def visits(*events: Told, now_s: float | None = None, **options: Any) -> list[str]:
    """The visits of `c-1` as `QUEUE OPENED-CLOSED OUTCOME`, in seconds after ten."""
    lines = []
    for visit in contact(*events, now_s=now_s, **options).visits:
        opened = f"{(visit.opened_ms - TEN_MS) / 1000:g}"
        closed = f"{(visit.closed_ms - TEN_MS) / 1000:g}" if visit.outcome else ""
        reason = f" {visit.reason}" if visit.reason else ""
        lines.append(f"{visit.queue} {opened}-{closed} {NAMES[visit.outcome]}{reason}")
    return lines


# -- the order of events -------------------------------------------------------------------------

ANSWERED_AT_5 = call(5, "answered", id="z")
ABANDONED_AT_5 = call(5, "abandoned", id="y")
LEFT_AT_5 = call(5, "left", id="x", reason="timeout")
ENDED_AT_5 = call(5, "ended", id="w")


@pytest.mark.parametrize(
    ("one", "other", "outcome"),
    [
        (ANSWERED_AT_5, ABANDONED_AT_5, "answered"),
        (ABANDONED_AT_5, LEFT_AT_5, "abandoned"),
        (LEFT_AT_5, ENDED_AT_5, "left timeout"),
        (ANSWERED_AT_5, LEFT_AT_5, "answered"),
    ],
    ids=["abandoned", "left", "ended", "left after answered"],
)
def test_at_one_moment_answered_comes_before_abandoned_before_left_before_ended(
    one: Told, other: Told, outcome: str
) -> None:
    for order in ((one, other), (other, one)):
        assert visits(call(0, "queued"), *order) == [f"sales 0-5 {outcome}"]


def test_at_one_moment_the_source_s_own_sequence_goes_first() -> None:
    answered, abandoned = (
        call(5, "answered", sequence=2),
        call(5, "abandoned", sequence=1),
    )

    for order in ((answered, abandoned), (abandoned, answered)):
        assert visits(call(0, "queued"), *order) == ["sales 0-5 abandoned"]


def test_events_alike_in_time_sequence_and_type_are_taken_by_id() -> None:
    first, second = call(5, "queued", id="1"), call(5, "queued", id="2", queue="service")

    for order in ((first, second), (second, first)):
        assert visits(*order) == ["sales 5- waiting", "service 5- waiting"]


# -- which visit an outcome closes ---------------------------------------------------------------

IN_BOTH = (call(0, "queued"), call(3, "queued", queue="service"))


@pytest.mark.parametrize(
    ("outcome", "name"),
    [
        (call(9, "answered"), "answered"),
        (call(9, "abandoned"), "abandoned"),
        (call(9, "ended", by="customer"), "abandoned"),
    ],
    ids=["answered", "abandoned", "ended"],
)
def test_an_outcome_closes_the_visit_in_its_own_queue_and_withdraws_the_others(
    outcome: Told, name: str
) -> None:
    assert visits(*IN_BOTH, outcome) == [f"sales 0-9 {name}", "service 3-9 left withdrawn"]


def test_a_human_reply_withdraws_the_others_too() -> None:
    both = (chat(0, "queued"), chat(3, "queued", queue="sales"))

    shown = visits(*both, chat(9, "replied", by="human"))

    assert shown == ["help 0-9 answered", "sales 3-9 left withdrawn"]


def test_who_leaves_one_queue_waits_on_in_the_other() -> None:
    left = call(9, "left", reason="overflow")

    assert visits(*IN_BOTH, left) == ["sales 0-9 left overflow", "service 3- waiting"]


@pytest.mark.parametrize(
    "outcome",
    [call(9, "answered", queue="other"), call(9, "left", queue="other", reason="key")],
    ids=["answered", "left"],
)
def test_an_outcome_elsewhere_closes_the_visit_opened_last(outcome: Told) -> None:
    shown = visits(*IN_BOTH, outcome)

    assert shown[1].startswith("service 3-9 ")
    assert not shown[1].endswith("withdrawn")


@pytest.mark.parametrize("queue", ["sales", "service"])
def test_an_outcome_that_names_no_queue_is_of_the_queue_named_last(queue: str) -> None:
    shown = visits(*IN_BOTH, call(5, "held", queue=queue), call(9, "answered", queue=""))

    assert [line for line in shown if line.endswith(" answered")] == [
        line for line in shown if line.startswith(queue)
    ]


def test_queued_again_where_the_contact_waits_changes_nothing() -> None:
    assert visits(call(0, "queued"), call(9, "queued"), call(12, "answered")) == [
        "sales 0-12 answered"
    ]


# -- direct visits -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "line"),
    [
        (call(7, "rang"), "sales 0- waiting"),
        (call(7, "answered"), "sales 0-7 answered"),
        (call(7, "abandoned"), "sales 0-7 abandoned"),
        (call(7, "left", reason="voicemail"), "sales 0-7 left voicemail"),
        (call(7, "ended", by="customer"), "sales 0-7 abandoned"),
        (call(7, "ended"), "sales 0-7 abandoned"),
        (call(7, "ended", by="system"), "sales 0-7 left error"),
    ],
    ids=["rang", "answered", "abandoned", "left", "ended by customer", "ended", "ended by system"],
)
def test_a_contact_never_queued_has_a_visit_from_its_first_offer(first: Told, line: str) -> None:
    assert visits(call(0, "offered"), call(4, "offered"), first) == [line]


@pytest.mark.parametrize("by", ["customer", "system", "agent", ""])
def test_ended_alone_makes_no_visit_of_a_contact_that_was_never_offered(by: str) -> None:
    assert visits(call(7, "ended", by=by)) == []


@pytest.mark.parametrize(
    "before",
    [
        (call(0, "offered"), call(3, "refused", reason="full"), call(7, "ended")),
        (call(0, "offered"), call(7, "ended", by="agent")),
        (call(0, "offered"), call(3, "left", reason="bot"), call(7, "ended")),
        (call(0, "offered"), call(3, "refused", reason="full"), call(7, "abandoned")),
        (call(3, "refused", reason="full"), call(7, "left", reason="voicemail")),
        (call(3, "left", reason="bot"), call(7, "abandoned")),
    ],
    ids=[
        *("refused", "ended by agent", "kept by the bot"),
        *("refused, abandoned", "refused, left", "kept by the bot, abandoned"),
    ],
)
def test_who_was_turned_away_or_let_go_was_never_offered(before: tuple[Told, ...]) -> None:
    assert visits(*before) == []


@pytest.mark.parametrize("taken", ["answered", "rang"])
def test_who_was_turned_away_and_is_taken_all_the_same_was_offered_then(taken: str) -> None:
    refused = call(3, "refused", reason="full")

    assert len(visits(call(0, "offered"), refused, call(7, taken))) == 1


def test_only_the_first_event_of_a_contact_makes_a_direct_visit() -> None:
    partition = told(call(0, "answered"), call(20, "rang"), call(30, "answered"))

    assert net(partition)["offered"] == 1
    assert partition.unmatched_outcomes == 1


def test_a_direct_visit_without_an_offer_begins_when_it_is_known() -> None:
    assert visits(call(7, "answered", queue="")) == ["unknown 7-7 answered"]


def test_left_by_a_bot_out_of_a_queue_is_like_any_other_way_out() -> None:
    assert visits(chat(0, "queued"), chat(5, "left", reason="bot")) == ["help 0-5 left bot"]


def test_a_direct_visit_misses_and_expires_no_sooner_than_it_is_known() -> None:
    rang = call(3 * HOUR, "rang")
    (visit,) = contact(call(0, "offered"), rang).visits

    assert (visit.miss_ms, visit.expires_ms) == (rang[1], rang[1])


# -- transfers -----------------------------------------------------------------------------------

ON_THE_PHONE = (call(0, "queued"), call(5, "answered"))
TO_SERVICE = (*ON_THE_PHONE, call(60, "transferred", to="service"))


@pytest.mark.parametrize(
    ("there", "line"),
    [
        (call(70, "rang", queue="service"), "service 60- waiting"),
        (call(70, "answered", queue="service"), "service 60-70 answered"),
        (call(70, "abandoned", queue="service"), "service 60-70 abandoned"),
    ],
    ids=["rang", "answered", "abandoned"],
)
def test_what_happens_where_a_contact_was_sent_opens_a_visit_from_the_transfer(
    there: Told, line: str
) -> None:
    assert visits(*TO_SERVICE, there) == ["sales 0-5 answered", line]


@pytest.mark.parametrize(
    "there",
    [
        call(70, "left", queue="service", reason="key"),
        call(70, "ended", queue="service"),
        call(70, "answered", queue="elsewhere"),
        call(70, "answered", queue=""),
    ],
    ids=["left", "ended", "elsewhere", "nowhere"],
)
def test_nothing_else_opens_a_visit_from_a_transfer(there: Told) -> None:
    assert visits(*TO_SERVICE, there) == ["sales 0-5 answered"]


def test_queued_where_it_was_sent_a_contact_waits_from_there() -> None:
    queued = call(65, "queued", queue="service")
    answered = call(70, "answered", queue="service")

    assert visits(*TO_SERVICE, queued, answered)[1:] == ["service 65-70 answered"]
    later = call(80, "answered", queue="service", id="again")
    assert len(visits(*TO_SERVICE, queued, answered, later)) == 2


def test_a_chat_sent_on_is_answered_there_by_a_human_reply() -> None:
    shown = visits(
        chat(0, "queued"),
        chat(5, "replied", by="human"),
        chat(60, "transferred", to="sales"),
        chat(65, "replied", by="bot", queue="sales"),
        chat(70, "replied", by="human", queue="sales"),
    )

    assert shown == ["help 0-5 answered", "sales 60-70 answered"]


def test_a_transfer_is_counted_where_the_contact_was() -> None:
    partition = told(*TO_SERVICE)

    assert partition.tallies["sales", "voice"].counters["transferred"] == 1


# -- expiry, restarts, names ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "line"),
    [
        (2 * HOUR, "sales 0-7200 answered"),
        (2 * HOUR + 0.001, "sales 0-7200 expired"),
    ],
)
def test_an_outcome_counts_up_to_the_moment_of_expiry(at_s: float, line: str) -> None:
    assert visits(call(0, "queued"), call(at_s, "answered")) == [line]


def test_a_visit_expires_at_its_moment_and_not_before() -> None:
    assert visits(call(0, "queued"), now_s=2 * HOUR - 0.001) == ["sales 0- waiting"]
    assert visits(call(0, "queued"), now_s=2 * HOUR) == ["sales 0-7200 expired"]


@pytest.mark.parametrize(
    ("at_s", "missed"), [(20, False), (20.001, True)], ids=["at T", "a millisecond later"]
)
def test_a_wait_is_a_miss_a_millisecond_after_its_threshold(at_s: float, missed: bool) -> None:
    assert contact(call(0, "queued"), now_s=at_s).visits[0].missed is missed
    assert contact(call(0, "queued"), call(at_s, "answered")).visits[0].missed is missed


def test_a_restart_ends_waits_after_the_contact_events_of_its_moment() -> None:
    restart = event(9, "source.started")

    for order in ((restart, call(9, "answered")), (call(9, "answered"), restart)):
        assert visits(call(0, "queued"), *order) == ["sales 0-9 answered"]


def test_channel_and_segment_are_the_first_ones_named() -> None:
    life = contact(
        call(0, "queued", channel="", segment=""),
        call(5, "held", channel="chat", segment="gold"),
        call(6, "held", channel="email", segment="basic"),
    )

    assert (life.channel, life.segment, life.visits[0].segment) == ("chat", "gold", "gold")


# -- instant service -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "instant"),
    [
        ((call(0, "offered"), call(30, "answered")), 1),
        ((call(0, "queued"), call(2, "answered")), 1),
        ((call(0, "queued"), call(2.001, "answered")), 0),
        ((call(0, "queued"), call(0, "answered")), 1),
        ((call(0, "offered"), call(1, "abandoned")), 0),
        ((chat(0, "queued"), chat(5, "answered")), 1),
        ((chat(0, "queued"), chat(5.001, "answered")), 0),
        ((chat(0, "offered"), chat(30, "answered")), 0),
        ((chat(0, "queued", channel="email"), chat(0, "answered", channel="email")), 0),
    ],
    ids=[
        "never queued",
        "queued for two seconds",
        "a millisecond longer",
        "queued for nothing",
        "abandoned",
        "a chat after five seconds",
        "a chat a millisecond later",
        "a chat never queued but later",
        "an email",
    ],
)
def test_instant_is_who_was_answered_unqueued_or_soon(
    events: tuple[Told, ...], instant: int
) -> None:
    assert net(told(*events)).get("instant:unknown", 0) == instant


def test_with_a_limit_of_nothing_only_those_never_queued_are_instant() -> None:
    book = policy(defaults={"instant_within": "0s"})

    queued = told(call(0, "queued"), call(0, "answered"), policies=book)
    direct = told(call(0, "answered"), policies=book)

    assert "instant:unknown" not in net(queued)
    assert net(direct)["instant:unknown"] == 1


# -- initial response ----------------------------------------------------------------------------

BOT = {"by": "bot"}
HUMAN = {"by": "human"}


def responses(partition: Partition) -> tuple[int, int]:
    """Initial-response events, met and missed."""
    counts = net(partition)
    met, missed = (counts.get(f"initial_response_events:{met}", 0) for met in ("true", "false"))
    return met, missed


@pytest.mark.parametrize(
    ("at_s", "counted"), [(120, (1, 0)), (120.001, (0, 1))], ids=["at the limit", "later"]
)
def test_a_reply_is_in_time_up_to_its_limit(at_s: float, counted: tuple[int, int]) -> None:
    assert responses(told(chat(0, "messaged"), chat(at_s, "replied", **HUMAN))) == counted


def test_a_reply_that_does_not_come_is_a_miss_once_and_stays_one() -> None:
    partition = told(chat(0, "messaged"), now_s=120)
    assert responses(partition) == (0, 0)

    partition.advance(TEN_MS + 120_001)
    assert responses(partition) == (0, 1)
    assert partition.tallies["help", "chat"].live().awaiting == 1

    for each, time_ms in (chat(150, "replied", **HUMAN), chat(160, "replied", **HUMAN)):
        partition.accept(each, time_ms, time_ms)
    assert responses(partition) == (0, 1)
    assert partition.tallies["help", "chat"].live().awaiting == 0


@pytest.mark.parametrize(
    ("events", "counted"),
    [
        ((chat(0, "messaged"), chat(5, "replied", **BOT)), (0, 0)),
        ((chat(0, "messaged"), chat(5, "replied", **BOT), chat(50, "messaged")), (0, 0)),
        ((chat(0, "messaged"), chat(5, "replied", **BOT), chat(50, "queued")), (0, 1)),
        ((chat(0, "messaged"), chat(5, "replied", **BOT), chat(50, "offered")), (0, 1)),
    ],
    ids=["a bot only", "a message to the bot", "handed to a queue", "handed to people"],
)
def test_nobody_is_awaited_while_only_a_bot_talks(
    events: tuple[Told, ...], counted: tuple[int, int]
) -> None:
    assert responses(told(*events, now_s=HOUR)) == counted


def test_after_a_bot_the_clock_runs_from_the_hand_off_and_all_three_are_kept() -> None:
    life = contact(
        chat(0, "messaged"),
        chat(5, "replied", **BOT),
        chat(60, "queued"),
        chat(70, "answered"),
        chat(90, "replied", **BOT),
        chat(100, "replied", **HUMAN),
    )

    assert life.reply is not None
    assert (life.reply.took_ms, life.reply.handoff_ms) == (40_000, 40_000)
    assert (life.reply.assignment_ms, life.reply.time_ms - life.reply.first_asked_ms) == (
        30_000,
        100_000,
    )


def test_a_caller_is_replied_to_by_being_answered_and_has_no_clock_from_there() -> None:
    life = contact(call(0, "offered"), call(3, "queued"), call(20, "answered"))

    assert life.reply is not None
    assert (life.reply.took_ms, life.reply.handoff_ms, life.reply.assignment_ms) == (
        20_000,
        None,
        None,
    )


@pytest.mark.parametrize(
    "over",
    [
        call(9, "refused", reason="full"),
        call(9, "ended"),
        call(9, "abandoned"),
        call(9, "left", reason="timeout"),
        call(9, "left", reason="bot"),
        event(9, "source.started"),
    ],
    ids=["refused", "ended", "abandoned", "left", "left by a bot", "restarted"],
)
def test_who_goes_without_a_reply_was_missed_then(over: Told) -> None:
    life = contact(call(0, "offered"), call(3, "queued"), over)

    assert life.response is not None
    assert (life.response.time_ms, life.response.within) == (over[1], False)
    assert life.awaits_from_ms == -1


def test_who_waits_in_another_queue_is_still_awaited() -> None:
    partition = told(*IN_BOTH, call(9, "left", reason="overflow"))

    assert responses(partition) == (0, 0)
    assert partition.tallies["sales", "voice"].live().awaiting == 1


def test_a_reply_that_was_awaited_by_nobody_is_no_response() -> None:
    assert responses(told(chat(0, "replied", **HUMAN), chat(9, "messaged"), now_s=HOUR)) == (0, 0)


def test_a_reply_is_awaited_until_it_would_have_expired() -> None:
    partition = told(chat(0, "messaged"), now_s=DAY - 0.001)
    tally = partition.tallies["help", "chat"]
    assert tally.live().awaiting == 1

    partition.advance(TEN_MS + DAY * 1000)
    assert tally.live().awaiting == 0


def test_a_reply_counts_in_the_queue_of_the_human_and_a_miss_where_the_contact_was() -> None:
    asked = (chat(0, "messaged"), chat(9, "queued", queue="sales"))
    met = contact(*asked, chat(30, "replied", queue="elsewhere", **HUMAN))
    missed = contact(*asked, now_s=121)
    nowhere = contact(chat(0, "messaged", queue=""), now_s=121)

    queues = [life.response.queue for life in (met, missed, nowhere) if life.response is not None]
    assert queues == ["sales", "sales", "unknown"]


def test_a_contact_does_not_rest_while_a_reply_is_awaited() -> None:
    email = {"channel": "email", "queue": "mail"}
    partition = told(call(0, "messaged", **email), call(10 * HOUR, "replied", **email, **HUMAN))

    assert partition.lives["c-1"].earlier is None
    assert responses(partition) == (1, 0)


# -- edges that decide a class -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "timing"),
    [
        (5, "short"),
        (5.001, "before_threshold"),
        (20, "before_threshold"),
        (20.001, "after_threshold"),
    ],
)
def test_an_abandonment_is_short_up_to_s_and_before_the_threshold_up_to_t(
    at_s: float, timing: str
) -> None:
    assert net(told(call(0, "queued"), call(at_s, "abandoned")))[f"abandoned:{timing}"] == 1


def test_a_restart_ends_every_wait_of_its_source_and_none_of_another() -> None:
    partition = told(
        *(call(0, "queued"), call(1, "queued", queue="service")),
        call(2, "queued", queue="other", source="desk"),
        event(9, "source.started"),
    )

    assert net(partition)["left:error:true"] == 2
    assert [visit.queue for visit in partition.lives["c-1"].open] == ["other"]


def test_a_direct_visit_keeps_the_policy_of_its_opening_not_of_when_it_was_known() -> None:
    dated = ["20s", {"from": "2026-11-24T10:00:05Z", "value": "1s"}]
    book = policy(channels={"voice": {"threshold": dated}})

    (visit,) = contact(call(0, "offered"), call(7, "answered"), policies=book).visits

    assert visit.policy.threshold_ms == 20_000


# -- rules that only show where two of them meet -------------------------------------------------


@pytest.mark.parametrize("at_s", [2 * HOUR, 2 * HOUR - 0.001], ids=["of the moment", "before it"])
def test_an_outcome_up_to_the_moment_of_expiry_counts_though_time_has_passed_it(
    at_s: float,
) -> None:
    partition = told(call(0, "queued"), now_s=2 * HOUR)

    tell(partition, [call(at_s, "answered")])

    assert [NAMES[visit.outcome] for visit in partition.lives["c-1"].visits] == ["answered"]


def test_an_answer_of_the_moment_of_expiry_corrects_nothing_when_told_at_once() -> None:
    partition = told(call(0, "queued"), call(2 * HOUR, "answered", segment="gold"))

    assert "expired" not in sales(partition).counters


def test_an_answer_told_after_the_miss_of_a_second_visit_takes_it_back() -> None:
    partition = told(*ON_THE_PHONE, call(60, "queued", queue="service"), now_s=90)
    assert net(partition)["service_level_events:false"] == 1

    tell(partition, [call(70, "answered", queue="service")])

    assert net(partition)["service_level_events:true"] == 2


def test_who_was_queued_at_one_moment_was_queued_last_where_the_order_says() -> None:
    both = (call(0, "queued", id="1"), call(0, "queued", id="2", queue="service"))

    shown = visits(*both, call(9, "answered", queue="other"))

    assert shown == ["sales 0-9 left withdrawn", "service 0-9 answered"]


@pytest.mark.parametrize("first", ["restart", "answer"])
def test_a_wait_that_a_restart_ended_is_not_answered_later_whichever_is_told_first(
    first: str,
) -> None:
    restart, answered = event(9, "source.started"), call(12, "answered")
    order = (restart, answered) if first == "restart" else (answered, restart)

    assert visits(call(0, "queued"), *order) == ["sales 0-9 left error"]


def test_a_restart_told_late_ends_what_was_queued_at_its_moment() -> None:
    shown = visits(call(9, "queued"), call(10, "held"), event(9, "source.started"))

    assert shown == ["sales 9-9 left error"]


def test_a_transfer_taken_once_is_taken() -> None:
    answered = [call(at_s, "answered", queue="service") for at_s in (70, 80)]

    assert visits(*TO_SERVICE, *answered) == ["sales 0-5 answered", "service 60-70 answered"]


def test_an_answer_where_a_waiting_contact_was_sent_withdraws_it_where_it_waited() -> None:
    sent = call(5, "transferred", to="service")

    shown = visits(call(0, "queued"), sent, call(9, "answered", queue="service"))

    assert shown == ["sales 0-9 left withdrawn", "service 5-9 answered"]


def test_a_transfer_to_where_a_contact_waits_opens_nothing_there() -> None:
    sent = call(5, "transferred", to="sales")
    gone = call(9, "left", reason="timeout")

    assert visits(call(0, "queued"), sent, gone, call(12, "answered")) == ["sales 0-9 left timeout"]


def test_a_visit_from_transfers_to_one_queue_begins_with_the_last() -> None:
    again = call(65, "transferred", to="service")

    shown = visits(*TO_SERVICE, again, call(70, "answered", queue="service"))

    assert shown == ["sales 0-5 answered", "service 65-70 answered"]


def test_a_reply_answers_no_call() -> None:
    assert visits(call(0, "queued"), call(5, "replied", by="human")) == ["sales 0- waiting"]


def test_a_contact_waits_only_once_where_it_was_sent() -> None:
    sent = (call(0, "offered"), call(5, "transferred", to="service"))
    rang = (call(6, "held", queue="service"), call(7, "rang", queue=""))

    assert visits(*sent, *rang, call(9, "answered", queue="service")) == ["service 0-9 answered"]


def test_left_by_a_bot_after_all_visits_is_an_outcome_without_one() -> None:
    partition = told(*ON_THE_PHONE, call(60, "left", reason="bot"))

    assert "bot_contained" not in net(partition)
    assert partition.unmatched_outcomes == 1


def test_an_outcome_once_unmatched_stays_counted_when_its_visit_is_told() -> None:
    partition = told(*ON_THE_PHONE, call(9, "answered"))
    assert partition.unmatched_outcomes == 1

    tell(partition, [call(7, "queued", id="late")])

    assert net(partition)["answered:true"] == 2
    assert partition.unmatched_outcomes == 1


# -- the same visit, known better ----------------------------------------------------------------


def test_an_answer_whose_queued_of_the_same_moment_comes_late_was_sent_to_wait() -> None:
    partition = told(call(7, "answered"), call(7, "queued"))

    assert net(partition)["sent_to_wait:unknown"] == 1
    assert sales(partition).corrections == {}


def test_who_left_by_another_way_than_told_first_is_counted_there() -> None:
    timeout, voicemail = (call(9, "left", id="x", reason=why) for why in ("timeout", "voicemail"))

    counted = net(told(call(0, "queued"), timeout, voicemail))

    assert counted["left:voicemail:true"] == 1
    assert "left:timeout:true" not in counted


def test_a_miss_that_time_brought_about_is_counted_once_whatever_comes_late() -> None:
    partition = told(call(0, "queued"), call(50, "held", segment="gold"))
    assert net(partition)["service_level_events:false"] == 1

    tell(partition, [call(10, "held")])

    assert net(partition)["service_level_events:false"] == 1
    assert not any("service_level" in old for old, _ in sales(partition).corrections)


def test_a_miss_before_another_visit_s_expiry_is_counted_whatever_comes_late() -> None:
    second = call(7_100, "queued", queue="service")
    partition = told(call(0, "queued"), second, call(7_300, "held"), call(50, "held", id="late"))

    partition.advance(ms(7_300))

    assert net(partition)["service_level_events:false"] == 2


def test_a_visit_that_never_was_waits_past_nothing() -> None:
    partition = told(call(0, "offered"), call(7, "rang"), now_s=60)
    assert sales(partition).waiting_past == 1

    tell(partition, [call(3, "queued", queue="service")])

    assert (sales(partition).waiting_past, len(sales(partition).open)) == (0, 0)


def test_a_contact_whose_channel_alone_is_named_late_is_all_of_that_channel() -> None:
    partition = told(call(0, "queued", channel=""), call(5, "held", channel="chat"))

    assert partition.tallies["sales", "chat"].net()["offered"] == 1
    assert not any(sales(partition).net().values())


# -- how long a contact lives --------------------------------------------------------------------


@pytest.mark.parametrize(("after_s", "lives"), [(0, 1), (0.001, 2)])
def test_a_contact_rests_from_the_expiry_of_its_last_visit(after_s: float, lives: int) -> None:
    waits = (*ON_THE_PHONE, call(60, "queued", queue="service"))
    late = call(60 + 6 * HOUR + after_s, "held")

    assert len(lives_of(told(*waits, late))) == lives


@pytest.mark.parametrize(("after_s", "lives"), [(0, 1), (0.001, 2)])
def test_told_in_any_order_a_contact_rests_as_long(after_s: float, lives: int) -> None:
    held, late = call(20, "held"), call(30 + 4 * HOUR + after_s, "held")

    assert len(lives_of(told(*ON_THE_PHONE, late, call(30, "ended"), held))) == lives


def test_a_copy_of_an_event_of_the_contact_before_is_a_duplicate() -> None:
    limits = Limits(rest_ms=60_000)
    partition = told(*ON_THE_PHONE, call(120, "queued"), *ON_THE_PHONE, limits=limits)

    assert partition.duplicates == {"pbx": 2}
    assert net(partition)["offered"] == 2


@pytest.mark.parametrize(("after_s", "lives"), [(0, 1), (0.001, 2)])
def test_a_contact_rests_from_when_a_reply_was_awaited_last(after_s: float, lives: int) -> None:
    partition = told(chat(0, "messaged"), now_s=DAY + 1)

    tell(partition, [chat(DAY + 4 * HOUR + after_s, "messaged")])

    assert len(lives_of(partition)) == lives


@pytest.mark.parametrize(("after_s", "lives"), [(0, 1), (0.001, 2)])
def test_a_reply_awaited_after_a_hand_off_keeps_no_contact_beyond_its_last_visit(
    after_s: float, lives: int
) -> None:
    handed_off = (chat(0, "queued"), chat(1, "replied", by="bot"), chat(2, "queued"))

    partition = told(*handed_off, chat(DAY + 4 * HOUR + after_s, "held"))

    assert len(lives_of(partition)) == lives


def test_messages_of_which_only_the_id_is_kept_keep_a_contact_going_whatever_comes_late() -> None:
    chatter = [chat(second, "messaged", queue="") for second in range(10, 40)]
    replied = (chat(0, "queued"), chat(5, "replied", by="human"))
    partition = told(*replied, *chatter, chat(3 * HOUR, "messaged", queue=""), chat(7, "held"))

    tell(partition, [chat(6 * HOUR, "held")])

    assert len(lives_of(partition)) == 1


def test_a_channel_named_late_does_not_part_what_was_one_contact_until_then() -> None:
    book = policy(channels={"chat": {"expires_after": "3m"}})
    queued, named = call(0, "queued", channel=""), call(HOUR, "held", channel="chat")

    partition = told(queued, named, policies=book, limits=Limits(rest_ms=60_000))

    assert len(lives_of(partition)) == 1


def test_a_contact_told_backwards_is_forgotten_once() -> None:
    gone: list[Life] = []
    backwards = [call(at_s, "queued") for at_s in (500, 400, 300)]
    partition = told(*backwards, on_forget=gone.append)

    partition.arrive(ms(2 * DAY))
    partition.advance(ms(2 * DAY))

    assert [life.contact for life in gone] == ["c-1"]


def lives_of(partition: Partition) -> list[Life]:
    """The remembered lives of `c-1`, the newest first."""
    lives = []
    life: Life | None = partition.lives["c-1"]
    while life is not None:
        lives.append(life)
        life = life.earlier
    return lives


# -- initial response, where limits meet ---------------------------------------------------------

BUSY = [chat(second, "held") for second in range(20)]
"""More events than are kept of messages that change nothing."""


def test_the_first_message_is_needed_however_many_events_came_before() -> None:
    assert responses(told(*BUSY, chat(30, "messaged", queue=""), now_s=HOUR)) == (0, 1)


def test_the_first_reply_of_a_bot_is_needed_however_many_events_came_before() -> None:
    talk = (chat(30, "messaged", queue=""), chat(31, "replied", queue="", **BOT))

    assert responses(told(*BUSY, *talk, now_s=HOUR)) == (0, 0)


def test_a_message_that_names_its_queue_is_needed_however_many_came_before() -> None:
    chatter = [chat(second, "messaged") for second in range(10, 40)]
    moved, sent = chat(35.5, "held", queue="sales"), chat(50, "transferred", queue="", to="service")

    partition = told(chat(0, "queued"), *chatter, sent, moved)

    assert partition.tallies["help", "chat"].net()["transferred"] == 1


@pytest.mark.parametrize(("after_s", "is_reply"), [(0, True), (0.001, False)])
def test_a_reply_counts_up_to_the_moment_until_which_it_is_awaited(
    after_s: float, is_reply: bool
) -> None:
    life = contact(chat(0, "messaged"), chat(DAY + after_s, "replied", **HUMAN))

    assert (life.reply is not None) is is_reply


def test_only_the_first_offer_after_a_bot_is_the_hand_off() -> None:
    talk = (chat(0, "messaged"), chat(5, "replied", **BOT))
    offers = (chat(60, "queued"), chat(70, "offered"))

    life = contact(*talk, *offers, chat(100, "replied", **HUMAN))

    assert life.reply is not None
    assert (life.reply.took_ms, life.reply.handoff_ms) == (40_000, 40_000)


def test_the_clock_from_assignment_runs_from_the_first_answer() -> None:
    answers = (chat(10, "answered"), chat(20, "answered"))

    life = contact(chat(0, "queued"), *answers, chat(30, "replied", **HUMAN))

    assert life.reply is not None
    assert life.reply.assignment_ms == 20_000


def test_who_never_queued_and_stays_with_the_bot_was_missed_then() -> None:
    life = contact(chat(0, "messaged"), chat(9, "left", reason="bot"))

    assert life.response is not None
    assert (life.response.time_ms, life.awaits_from_ms) == (ms(9), -1)


def test_the_limit_of_a_response_is_the_one_in_force_when_the_customer_asked() -> None:
    dated = ["2m", {"from": "2026-11-24T10:00:30Z", "value": "10s"}]
    book = policy(channels={"chat": {"initial_response_limit": dated}})
    talk = (chat(0, "messaged"), chat(5, "replied", **BOT), chat(60, "queued"))

    assert responses(told(*talk, chat(180, "replied", **HUMAN), policies=book)) == (1, 0)


def test_a_response_is_missed_at_its_limit_though_the_visit_expires_in_the_same_leap() -> None:
    life = contact(call(0, "queued"), now_s=2 * HOUR)

    assert life.response is not None
    assert life.response.time_ms == ms(20.001)


def expiring(after: str) -> dict[str, Any]:
    """A queue in which a chat waits no longer than *after*."""
    return {"channels": {"chat": {"expires_after": after, "initial_response_limit": "1m"}}}


SOON = policy(
    channels={"chat": {"initial_response_limit": "1h"}},
    queues={"sales": expiring("20m"), "service": expiring("10m")},
)


def test_nobody_awaits_a_reply_once_the_last_visit_has_expired() -> None:
    partition = told(
        chat(0, "messaged"), chat(60, "queued", queue="sales"), now_s=1_260, policies=SOON
    )

    assert [tally.live().awaiting for tally in partition.tallies.values()] == [0, 0]


def test_of_two_visits_that_expire_in_one_leap_the_later_ends_the_waiting_for_a_reply() -> None:
    both = (chat(60, "queued", queue="sales"), chat(120, "queued", queue="service"))

    life = contact(chat(0, "messaged"), *both, now_s=1_800, policies=SOON)

    assert life.response is not None
    assert life.response.time_ms == ms(1_260)


def test_a_reply_is_in_its_histograms_once_whatever_comes_late() -> None:
    partition = told(chat(0, "queued"), chat(9, "replied", **HUMAN))

    tell(partition, [chat(5, "rang"), chat(0, "messaged"), chat(7, "held", segment="gold")])

    assert sum(partition.tallies["help", "chat"].responses["asked"].counts) == 1


# -- late and early ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at_s", "is_late"), [(0, False), (-0.001, True)], ids=["just in time", "too late"]
)
def test_late_is_measured_from_the_arrival_whatever_the_record_itself_says(
    at_s: float, is_late: bool
) -> None:
    partition = told(call(4 * HOUR, "queued", contact="c-2"))
    queued, time_ms = call(at_s, "queued")

    assert partition.accept(queued, time_ms, time_ms)

    assert partition.late == is_late


@pytest.mark.parametrize(
    ("at_s", "is_taken"), [(900, True), (900.001, False)], ids=["early", "of the future"]
)
def test_the_future_begins_five_minutes_after_the_arrival_whatever_the_record_itself_says(
    at_s: float, is_taken: bool
) -> None:
    partition = told(call(600, "queued", contact="c-2"))
    queued, time_ms = call(at_s, "queued")

    assert partition.accept(queued, time_ms, ms(0)) is is_taken
