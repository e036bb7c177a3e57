"""Waits grow with every failure, up to a limit, and are never the same for all workers."""

from itertools import pairwise

from streams.backoff import Backoff


def test_each_failure_waits_up_to_twice_as_long_until_the_limit() -> None:
    backoff = Backoff(1.0, 8.0)

    for longest_s in (1.0, 2.0, 4.0, 8.0, 8.0):
        assert longest_s / 2 <= backoff.failed() <= longest_s


def test_after_a_success_waits_are_short_again() -> None:
    backoff = Backoff(1.0, 8.0)
    for _ in range(5):
        backoff.failed()
    assert backoff.failures == 5

    backoff.succeeded()

    assert backoff.failures == 0
    assert backoff.failed() <= 1.0


def test_no_two_workers_wait_for_the_same_time() -> None:
    waits_s = sorted(Backoff(1.0).failed() for _ in range(20))

    assert all(one < other for one, other in pairwise(waits_s))
