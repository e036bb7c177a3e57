"""What the benchmarks compare with and compute; what they measure is left to them."""

import pytest
from click.testing import CliRunner

from tests.bench import compare, latency, scale
from tests.bench.latency import delays
from tests.bench.workload import Sent, digest, simulated, windows


def sent(at_s: int, group: str = "sales|contact.queued") -> Sent:
    return Sent(b"c", group.encode(), b"", at_s * 1000)


def test_an_event_is_in_one_tumbling_window_and_in_five_hopping_ones() -> None:
    assert windows([sent(299), sent(300)], "tumbling") == {
        "sales|contact.queued|0": 1,
        "sales|contact.queued|300": 1,
    }
    assert windows([sent(300)], "hopping") == {
        f"sales|contact.queued|{start_s}": 1 for start_s in (60, 120, 180, 240, 300)
    }


def test_equal_counts_have_one_digest_in_any_order() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})


def test_the_delay_of_a_probe_ends_at_the_first_count_that_includes_it() -> None:
    seen = [(10.0, 4), (11.0, 5), (12.0, 5), (13.0, 7)]

    assert delays([9.5, 9.75, 10.0], seen, before=4) == [1.5, 3.25, 3.0]
    assert delays([9.5], [(10.0, 4)], before=4) == []


def test_a_simulated_event_has_the_group_that_peers_count_by() -> None:
    [first] = simulated(1)

    assert first.group.count(b"|") == 1
    assert first.key in first.value


@pytest.mark.parametrize("bench", [compare, latency, scale])
def test_each_bench_says_what_it_takes(bench: object) -> None:
    assert "Options:" in CliRunner().invoke(bench.main, ["--help"]).output  # type: ignore[attr-defined] # each has one
