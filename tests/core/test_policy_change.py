"""A policy that changes while contacts are counted: what may change, and that no number does."""

from collections.abc import Callable, Collection
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.floor import FloorMerger
from streams.core.frame import Framer
from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.policy_change import (
    HISTORY_MS,
    Change,
    change,
    read_deciding,
    set_anew,
    write_deciding,
)
from streams.core.snapshot import Cutter, SnapshotUnusable, restore
from tests.core.test_laws import WINDOWS, figures, fully_named, keys_of, span
from tests.support.core_events import call, event, ms, net, policy, sales, tell, told
from tests.support.core_floor import CoreFloor, book_of, totals
from tests.support.core_state import differences, state_of
from tests.support.histories import History, histories, moments, permuted
from tests.support.oracle import row_over
from tests.support.oracle_policy import CHANNEL_DEFAULTS, Policy, to_text

NOW = ms(0)
EVERYTHING_MET = None
SALES_MET = (("sales", "voice"),)


def changed(
    old: PolicyBook,
    new: PolicyBook,
    *,
    now_ms: int = NOW,
    met: Collection[tuple[str, str]] | None = SALES_MET,
) -> tuple[PolicyBook, Change]:
    """*new* as far as it may, and what came of the change."""
    found = change(old.deciding, new, now_ms=now_ms, met=met)
    return new.under(found.deciding), found


def of_sales(**values: Any) -> PolicyBook:
    return policy(queues={"sales": values})


def at(at_s: float, value: str) -> dict[str, str]:
    return {"from": to_text(ms(at_s)), "value": value}


def threshold_s(book: PolicyBook, at_s: float) -> float:
    return book.visit("sales", "voice", ms(at_s)).threshold_ms / 1000


# -- what may change -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        (
            "threshold",
            "30s",
            "policy.queues.sales.threshold='30s': 20s has been counted with and stays; expected "
            "[20s, {from: TIME, value: 30s}] with a TIME to come, or a start with --rebuild",
        ),
        ("short_abandon", "7s", "policy.queues.sales.short_abandon='7s': 5s has been counted"),
        ("instant_within", "0s", "policy.queues.sales.instant_within='0s': 2s has been counted"),
        ("expires_after", "30h", "policy.queues.sales.expires_after='1d6h': 2h has been counted"),
        (
            "initial_response_limit",
            "9s",
            "policy.queues.sales.initial_response_limit='9s': 20s has been counted",
        ),
        ("zone", "Asia/Tokyo", "policy.queues.sales.zone='Asia/Tokyo': days have been cut in UTC"),
    ],
)
def test_what_decides_a_class_stays_as_it_was_without_a_time_to_come(
    key: str, value: str, line: str
) -> None:
    old = of_sales(channels={"voice": {}})
    book, found = changed(old, policy(queues={"sales": {key: value, "channels": {"voice": {}}}}))

    lines = [each.line for each in found.refusals if each.line.startswith(line)]
    assert lines
    assert book.visit("sales", "voice", NOW) == old.visit("sales", "voice", NOW)
    assert book.queue("sales", "voice", NOW).zone_name == "UTC"


def test_everything_else_changes_at_once() -> None:
    new = of_sales(
        target=0.5,
        formula="of_offered",
        volume_floor=3,
        abandonment_limit=0.5,
        name="Sales",
        site="Vigo",
        team="A",
        windows=["5m"],
        export_formulas="all",
        hours="mon-fri 09:00-17:00",
        instant_target=0.3,
        longest_wait_limit={"warning": "1m", "critical": "2m"},
    )
    book, found = changed(PolicyBook(), new)

    assert found.refusals == ()
    assert book.queue("sales", "voice", NOW) == new.queue("sales", "voice", NOW)
    assert book.is_named("sales")


def test_limits_of_the_longest_wait_follow_the_threshold_that_is_counted_with() -> None:
    book, _ = changed(PolicyBook(), of_sales(threshold="1m"))

    assert book.queue("sales", "voice", NOW).longest_wait_warning_ms == 6 * 20_000


@pytest.mark.parametrize(("from_s", "is_taken"), [(0.001, True), (0, False), (-60, False)])
def test_a_change_takes_place_from_an_instant_to_come_and_from_no_other(
    from_s: float, is_taken: bool
) -> None:
    book, found = changed(PolicyBook(), of_sales(threshold=["20s", at(from_s, "30s")]))

    assert (found.refusals == ()) is is_taken
    assert threshold_s(book, 60) == (30 if is_taken else 20)
    assert threshold_s(book, -120) == 20


def test_a_value_from_an_instant_to_come_needs_no_other_where_nothing_else_was_set() -> None:
    book, found = changed(PolicyBook(), of_sales(threshold=[at(60, "30s")]))

    assert found.refusals == ()
    assert [threshold_s(book, at_s) for at_s in (59, 60)] == [20, 30]


def test_a_change_announced_may_be_taken_back_until_it_has_begun() -> None:
    announced, _ = changed(PolicyBook(), of_sales(threshold=["20s", at(60, "30s")]))

    back, none = changed(announced, of_sales(threshold="20s"), now_ms=ms(59))
    stays, late = changed(announced, of_sales(threshold="20s"), now_ms=ms(60))

    assert (threshold_s(back, 61), none.refusals) == (20, ())
    assert (threshold_s(stays, 61), len(late.refusals)) == (30, 1)


def test_a_change_of_long_ago_need_not_stand_in_the_settings_and_is_remembered() -> None:
    dated, _ = changed(PolicyBook(), of_sales(threshold=["20s", at(60, "30s")]))
    plain = of_sales(threshold="30s")
    soon, long_ago = ms(60) + HISTORY_MS - 1, ms(60) + HISTORY_MS

    _, refused = changed(dated, plain, now_ms=soon)
    book, taken = changed(dated, plain, now_ms=long_ago)

    assert len(refused.refusals) == 1
    assert taken.refusals == ()
    assert [threshold_s(book, at_s) for at_s in (59, 60)] == [20, 30]


def test_one_value_that_stays_holds_up_no_other() -> None:
    book, found = changed(
        PolicyBook(), of_sales(threshold="30s", short_abandon=["5s", at(60, "9s")], target=0.5)
    )

    assert [each.key for each in found.refusals] == ["policy.queues.sales.threshold"]
    visits = book.visit("sales", "voice", ms(60))
    assert (visits.threshold_ms, visits.short_abandon_ms) == (20_000, 9_000)
    assert book.queue("sales", "voice", NOW).target_ratio == 0.5


def test_values_that_contradict_those_that_stay_stay_too() -> None:
    new = of_sales(threshold="1s", initial_response_limit="1s", expires_after=["2h", at(60, "9s")])
    book, found = changed(PolicyBook(), new)

    assert "policy.queues.sales.expires_after" in [each.key for each in found.refusals]
    assert book.visit("sales", "voice", ms(60)).expires_after_ms == 7_200_000


def test_a_setting_for_many_queues_is_told_once() -> None:
    queues: dict[str, Any] = {"sales": {}, "help": {}}
    old, new = policy(queues=queues), policy(queues=queues, channels={"voice": {"threshold": "9s"}})

    _, found = changed(old, new, met=EVERYTHING_MET)

    assert [each.key for each in found.refusals] == ["policy.channels.voice.threshold"]


def test_a_queue_of_which_nothing_was_counted_takes_everything_at_once() -> None:
    new = of_sales(threshold="30s", zone="Asia/Tokyo")
    book, found = changed(PolicyBook(), new, met={("help", "voice")})

    assert found.refusals == ()
    assert threshold_s(book, 0) == 30
    assert book.queue("sales", "voice", NOW).zone_name == "Asia/Tokyo"


def test_a_queue_that_was_met_in_one_channel_may_change_in_the_others() -> None:
    new = of_sales(threshold="30s")
    book, found = changed(PolicyBook(), new, met={("sales", "chat")})

    assert [each.key for each in found.refusals] == ["policy.queues.sales.threshold"]
    assert threshold_s(book, 0) == 30
    assert book.visit("sales", "chat", NOW).threshold_ms == 120_000


def test_once_queues_were_counted_as_one_any_may_have_been_met() -> None:
    _, found = changed(PolicyBook(), of_sales(threshold="30s"), met={("_other", "_other")})

    assert found.refusals


def test_a_queue_that_leaves_the_settings_keeps_what_it_was_counted_by() -> None:
    old = of_sales(threshold="30s", target=0.5)
    book, found = changed(old, PolicyBook())

    assert len(found.refusals) == 1
    assert threshold_s(book, 0) == 30
    assert book.queue("sales", "voice", NOW).target_ratio == 0.8
    assert not book.is_named("sales")


def test_a_queue_that_leaves_the_settings_and_was_like_all_others_is_forgotten() -> None:
    _, found = changed(of_sales(target=0.5), PolicyBook())

    assert found == Change(PolicyBook().deciding, ())


def test_a_queue_has_old_ids_only_from_an_instant_to_come() -> None:
    book, _ = changed(PolicyBook(), of_sales(was=[at(60, "verkauf")]))
    same, found = changed(PolicyBook(), of_sales(was=["verkauf"]), met=EVERYTHING_MET)

    assert [book.canonical("verkauf", ms(at_s)) for at_s in (59, 60)] == ["verkauf", "sales"]
    assert same.canonical("verkauf") == "verkauf"
    assert [each.line for each in found.refusals] == [
        "policy.queues.sales.was='verkauf': what has been counted keeps its queue; expected "
        "{from: TIME, value: verkauf} with a TIME to come, or --rebuild"
    ]


def test_an_old_id_that_nobody_has_met_means_the_new_queue_at_once() -> None:
    book, found = changed(PolicyBook(), of_sales(was=["verkauf"]), met={("sales", "voice")})

    assert found.refusals == ()
    assert book.canonical("verkauf") == "sales"


def test_an_old_id_that_means_a_queue_goes_on_to_do_so() -> None:
    old = of_sales(was=["verkauf"])
    book, found = changed(old, PolicyBook(), met=())

    assert len(found.refusals) == 1
    assert book.canonical("verkauf") == "sales"


def test_old_ids_make_no_chain() -> None:
    old = of_sales(was=["verkauf"])
    book, found = changed(old, policy(queues={"crm": {"was": [at(60, "sales")]}}), met=())

    assert found.refusals
    assert book.canonical("verkauf", ms(60)) == "sales"
    assert book.canonical("sales", ms(60)) == "sales"


@pytest.mark.parametrize(
    "book",
    [
        PolicyBook(),
        of_sales(threshold=["20s", at(60, "30s")], was=["verkauf", at(60, "ventas")], zone="UTC"),
        policy(channels={"carrier_pigeon": {"threshold": "3h"}}, defaults={"zone": "Asia/Tokyo"}),
    ],
)
def test_what_decides_is_read_as_it_was_written(book: PolicyBook) -> None:
    import msgspec

    anew = set_anew(book.deciding, book)

    for deciding in (book.deciding, anew):
        assert read_deciding(msgspec.msgpack.decode(write_deciding(deciding))) == deciding


# -- what is counted -----------------------------------------------------------------------------


def test_a_window_that_holds_two_thresholds_says_so_after_a_change_while_it_runs() -> None:
    partition = told(call(0, "queued"), call(1, "answered"), now_s=10)
    book, _ = changed(PolicyBook(), of_sales(threshold=["20s", at(20, "30s")]), now_ms=ms(10))
    partition.take_policy(book)
    tell(partition, [call(20, "queued", contact="c-2"), call(21, "answered", contact="c-2")])
    partition.advance(ms(30))
    from_the_start = told(
        call(0, "queued"),
        call(1, "answered"),
        call(20, "queued", contact="c-2"),
        call(21, "answered", contact="c-2"),
        now_s=30,
        policies=book,
    )

    assert sales(partition).thresholds == {20_000, 30_000}
    expected = state_of(from_the_start)
    for tally in expected["tallies"]:
        tally["rest"] = state_of(partition)["tallies"][0]["rest"]
    assert differences(state_of(partition), expected) == []


def test_an_edge_added_while_it_runs_has_the_count_of_the_next_lower_one() -> None:
    partition = told(call(0, "queued"), call(8, "answered"), now_s=10)
    book, _ = changed(PolicyBook(), of_sales(threshold=["20s", at(20, "8500ms")]), now_ms=ms(10))
    framer = Framer(partition)
    before = framer.frame(ms(10))
    partition.take_policy(book)
    after = framer.frame(ms(11))

    merged = FloorMerger(book).merge([after], ms(11)).queues["sales", "voice"].waits["answered"]
    assert 8_500 not in before.queues["sales", "voice"].totals.waits["answered"].edges_ms
    assert merged.counts[merged.edges_ms.index(8_500)] == 0
    assert merged.counts[merged.edges_ms.index(10_000)] == 1


def test_a_policy_that_comes_after_its_time_counts_anew_what_was_counted_since() -> None:
    dated = of_sales(threshold=["20s", at(20, "30s")], was=[at(20, "verkauf")])
    book, _ = changed(PolicyBook(), dated, now_ms=ms(10))
    events = [
        call(0, "queued"),
        call(19, "answered"),
        call(20, "queued", contact="c-2"),
        call(45, "answered", contact="c-2"),
        call(21, "queued", contact="c-3", queue="verkauf"),
        call(46, "answered", contact="c-3", queue="verkauf"),
    ]
    late = told(*events, now_s=60)
    assert net(late)["answered:true"] == 1
    again = restored(late, book)

    late.take_policy(book)

    assert net(late) == net(again) == net(told(*events, now_s=60, policies=book))
    assert net(late)["answered:true"] == 3


def test_days_of_a_queue_first_met_just_now_are_cut_in_its_zone() -> None:
    tokyo = of_sales(zone="Asia/Tokyo")
    partition = told(call(0, "queued"), call(6, "queued", contact="c-2"), now_s=10)
    book, _ = changed(PolicyBook(), tokyo, met=())
    partition.take_policy(book)

    expected = told(call(0, "queued"), call(6, "queued", contact="c-2"), now_s=10, policies=tokyo)
    assert sales(partition).days.keys() == sales(expected).days.keys()
    assert sales(partition).day(ms(10)).counts == sales(expected).day(ms(10)).counts


def test_agents_and_doors_come_to_the_queue_that_their_id_means_from_then_on() -> None:
    partition = told(event(0, "queue.closed", queue="verkauf", reason="fault"))
    book, _ = changed(PolicyBook(), of_sales(was=[at(20, "verkauf")]), now_ms=ms(10))
    partition.take_policy(book)
    tell(partition, [event(20, "queue.closed", queue="verkauf", reason="planned")])

    doors = partition.staffing.doors
    assert (doors["verkauf"].reason, doors["sales"].reason) == ("fault", "planned")


def test_a_snapshot_under_a_policy_that_was_set_anew_since_is_of_no_use() -> None:
    parts = cut(told(call(0, "queued"), now_s=1))
    stricter = of_sales(threshold="5s")
    anew = stricter.under(set_anew(PolicyBook().deciding, stricter))

    with pytest.raises(SnapshotUnusable, match="set anew"):
        restore(parts, anew)


def cut(partition: Partition) -> dict[str, bytes]:
    cutter = Cutter(partition)
    cutter.begin()
    parts = {}
    while (part := cutter.next_part()) is not None:
        parts[part[0]] = part[1]
    return parts


# -- laws ----------------------------------------------------------------------------------------

TIGHT = {
    "threshold_s": 5.0,
    "short_abandon_s": 2.0,
    "instant_within_s": 20.0,
    "initial_response_limit_s": 60.0,
    "expires_after_s": 25 * 3600.0,
}
KEYS = tuple(TIGHT)
EVERYWHERE = (*CHANNEL_DEFAULTS, "carrier_pigeon")


def dated_from(before: Policy, from_ms: int, keys: Collection[str]) -> Policy:
    """*before* with other values of *keys* from *from_ms* on."""
    channels: dict[str, Any] = {}
    for channel in EVERYWHERE:
        known = channel if channel in CHANNEL_DEFAULTS else "messaging"
        values: dict[str, Any] = {**CHANNEL_DEFAULTS[known], **before.channels.get(channel, {})}
        for key in keys:
            old = values[key]
            history = old if isinstance(old, list) else [(None, old)]
            earlier = [each for each in history if each[0] is None or each[0] < from_ms]
            values[key] = [*earlier, (from_ms, TIGHT[key])]
        channels[channel] = values
    return Policy(
        zone=before.zone,
        was=before.was,
        rest_s=before.rest_s,
        lateness_s=before.lateness_s,
        channels=channels,
        queues=before.queues,
    )


def plain(before: Policy, keys: Collection[str]) -> Policy:
    """*before* with other values of *keys* at all times."""
    dated = dated_from(before, 0, keys)
    for values in dated.channels.values():
        for key in keys:
            values[key] = TIGHT[key]
    return dated


Later = Callable[[int], Policy]
"""Another policy, from an instant in ms on where it is a dated one."""


def reload_somewhere(
    history: History, data: st.DataObject, later: Later, *, is_dated: bool
) -> tuple[CoreFloor, Policy, int]:
    """A floor that takes another policy over somewhere in any order of the history.

    One that is dated may come when its time has passed, though no later than an event may.
    """
    floor = CoreFloor(history.policy)
    log = permuted(data.draw, history)
    at = data.draw(st.integers(0, len(log)))
    floor.take(log[:at])
    [partition] = floor.partitions
    if data.draw(st.booleans()):
        floor.advance(partition.arrival_ms)
    since_ms = partition.arrival_ms - history.policy.lateness
    instants = {time + step for time in history.times for step in (0, 1)}
    known = sorted(time for time in instants if time >= since_ms) or [since_ms]
    from_ms = data.draw(st.sampled_from(known))
    policy = later(from_ms)
    book = book_of(policy)
    now_ms = from_ms - 1 if is_dated else partition.latest_ms
    found = change(floor.book.deciding, book, now_ms=now_ms, met=EVERYTHING_MET)
    assert (found.refusals == ()) is is_dated
    floor.book = book.under(found.deciding)
    if data.draw(st.booleans()):
        floor.partitions[0] = restored(partition, floor.book)
    else:
        partition.take_policy(floor.book)
    floor.take(log[at:])
    is_at_ms = floor.partitions[0].now_ms
    return floor, policy, max(is_at_ms, history.times[-1], data.draw(moments(history)))


def restored(partition: Partition, book: PolicyBook) -> Partition:
    return restore(
        cut(partition),
        book,
        windows=partition.windows,
        limits=partition.limits,
        rounding=partition._rounding,
    )


def assert_as_counted_under(
    policy: Policy, history: History, data: st.DataObject, floor: CoreFloor, now_ms: int
) -> None:
    """Any row at *now_ms* is that of the oracle."""
    floor.advance(now_ms)
    queue, channel = data.draw(st.sampled_from(keys_of(history)))
    window = data.draw(st.sampled_from(WINDOWS))
    known = [list(history.events)]
    expected = row_over(known, policy, queue, channel, span(window), now_ms)
    assert figures(floor.row(now_ms, window, queue, channel)) == figures(expected)


@settings(max_examples=60)
@given(histories().map(fully_named), st.sets(st.sampled_from(KEYS), min_size=1), st.data())
def test_a_dated_policy_taken_over_anywhere_counts_as_if_it_had_been_there_from_the_start(
    history: History, keys: set[str], data: st.DataObject
) -> None:
    floor, later, now_ms = reload_somewhere(
        history, data, lambda from_ms: dated_from(history.policy, from_ms, keys), is_dated=True
    )
    assert_as_counted_under(later, history, data, floor, now_ms)


@settings(max_examples=60)
@given(histories().map(fully_named), st.data())
def test_its_net_counters_are_those_too(history: History, data: st.DataObject) -> None:
    floor, later, now_ms = reload_somewhere(
        history, data, lambda from_ms: dated_from(history.policy, from_ms, KEYS), is_dated=True
    )
    perfect = CoreFloor(later)
    perfect.take(permuted(data.draw, history))
    now_ms = max(now_ms, perfect.partitions[0].arrival_ms, floor.partitions[0].arrival_ms)
    floor.advance(now_ms)
    perfect.advance(now_ms)

    assert totals(floor.partitions) == totals(perfect.partitions)


@settings(max_examples=60)
@given(histories().map(fully_named), st.sets(st.sampled_from(KEYS), min_size=1), st.data())
def test_an_undated_change_of_what_decides_a_class_alters_no_figure(
    history: History, keys: set[str], data: st.DataObject
) -> None:
    floor, _, now_ms = reload_somewhere(
        history, data, lambda _: plain(history.policy, keys), is_dated=False
    )
    assert_as_counted_under(history.policy, history, data, floor, now_ms)
