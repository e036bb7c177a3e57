"""Sources that fail: what they say twice, with a wrong clock or from the past changes no figure."""

from streams.core.calendar import pane_of
from streams.core.partition import FUTURE_MS, Partition
from streams.core.policy import PolicyBook
from streams.core.tally import OFFERED
from tests.support.core_events import DAY, HOUR, Told, call, event, ms, net, sales, tell, told

LATENESS_S = 4 * HOUR


def a_call(at_s: float, name: str, source: str = "pbx") -> list[Told]:
    """A call answered after ten seconds and over after a minute."""
    named = {"contact": f"{source}-{name}", "source": source}
    return [
        call(at_s, "queued", **named),
        call(at_s + 10, "answered", **named),
        call(at_s + 60, "ended", by="customer", **named),
    ]


def calls_of_a_day(source: str = "pbx") -> list[Told]:
    """A call every ten minutes from ten o'clock on."""
    return [each for at_s in range(0, DAY, 600) for each in a_call(at_s, str(at_s), source)]


def test_a_source_that_replays_its_whole_day_changes_no_figure_and_leaves_nothing_behind() -> None:
    day = calls_of_a_day()
    partition = told(*day)
    partition.advance(ms(DAY))
    before, remembered = net(partition), len(partition.lives)

    tell(partition, day)
    partition.advance(ms(DAY))

    assert net(partition) == before
    assert partition.late + sum(partition.duplicates.values()) == len(day)
    oldest_ms = partition.arrival_ms - LATENESS_S * 1000
    assert partition.late == sum(time_ms < oldest_ms for _, time_ms in day) > 100
    assert len(partition.lives) == remembered


def test_a_day_replayed_again_and_again_takes_no_more_memory() -> None:
    day = calls_of_a_day()
    partition = told(*day)
    sizes = set()
    for _ in range(3):
        tell(partition, day)
        partition.advance(ms(DAY))
        sizes.add((len(partition.lives), sum(len(life.ids) for life in partition.lives.values())))

    assert len(sizes) == 1


def test_a_source_that_goes_back_in_time_counts_where_it_says_and_moves_nobody_else() -> None:
    partition = told(*a_call(3 * HOUR, "now", "desk"))
    arrival_ms, latest_ms = partition.arrival_ms, partition.latest_ms

    tell(partition, a_call(HOUR, "slow"))  # two hours back, within the allowed lateness
    partition.advance(ms(3 * HOUR + 60))

    assert net(partition)["offered"] == net(partition)["answered:true"] == 2
    assert (partition.arrival_ms, partition.latest_ms) == (arrival_ms, latest_ms)
    assert partition.sources.last_ms == {"desk": ms(3 * HOUR + 60), "pbx": ms(HOUR + 60)}
    assert partition.late == 0


def test_a_source_that_goes_back_too_far_is_kept_out_and_counted() -> None:
    partition = told(*a_call(5 * HOUR, "now", "desk"))

    tell(partition, a_call(0, "lost"))

    assert net(partition)["offered"] == 1
    assert partition.late == 3
    assert "pbx" not in partition.sources.last_ms


def test_a_source_whose_clock_is_ahead_counts_once_its_time_has_come() -> None:
    partition = told(event(0, "source.alive", source="desk"))
    ahead, time_ms = call(240, "queued", contact="skewed")
    assert partition.accept(ahead, time_ms, ms(0))
    offered = []
    for now_s in (5, 235, 240):
        partition.advance(ms(now_s))
        window = sales(partition).window("5m", pane_of(partition.tick_ms, partition.every_ms))
        offered.append(window.counts[OFFERED])

    assert offered == [0, 0, 1]
    assert net(partition)["offered"] == 1


def test_a_source_whose_clock_is_too_far_ahead_is_refused_and_moves_no_time() -> None:
    partition = Partition(PolicyBook())
    for at_s in (0, 60, 120):
        ahead, time_ms = call(at_s + FUTURE_MS / 1000 + 1, "queued", contact=f"c-{at_s}")
        assert not partition.accept(ahead, time_ms, ms(at_s))

    assert partition.latest_ms == 0
    assert not partition.lives
    assert not partition.tallies
    assert not partition.sources.last_ms
