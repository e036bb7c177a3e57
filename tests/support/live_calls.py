"""Calls that happen now, for floors by the wall clock, or at any other time that a test says."""

from __future__ import annotations

import time

from streams.sources.recorded import Recorded
from tests.support.oracle import to_text


def now_ms() -> int:
    """The machine's clock in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def told(contact: str, kind: str, time_ms: int, queue: str = "sales") -> Recorded:
    """One event of a caller: `queued`, `answered` and so on."""
    value = (
        f'{{"id":"{contact}-{kind}","type":"contact.{kind}","time":"{to_text(time_ms)}",'
        f'"source":"pbx","contact":"{contact}","queue":"{queue}","channel":"voice"}}'
    )
    return Recorded(time_ms, "calls", contact.encode(), value.encode(), 1)


def answered(name: str, count: int, begin_ms: int, *, wait_ms: int = 10_000) -> list[Recorded]:
    """Calls a second apart, each answered after *wait_ms*."""
    return [
        each
        for number in range(count)
        for each in (
            told(f"{name}-{number}", "queued", begin_ms + number * 1_000),
            told(f"{name}-{number}", "answered", begin_ms + number * 1_000 + wait_ms),
        )
    ]
