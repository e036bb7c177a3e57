"""The machine's clock, for the edges alone: the core knows the times of its events."""

import time


def wall_clock_ms() -> int:
    """This moment in epoch milliseconds."""
    return time.time_ns() // 1_000_000
