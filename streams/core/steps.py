"""Long work in steps, between which something else may be done."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

T = TypeVar("T")

Steps = Generator[None, None, T]
"""Work that yields after each step and returns what came of it."""


def last_of(steps: Steps[T]) -> T:
    """What comes of all *steps*, taken at one go."""
    while True:
        try:
            next(steps)
        except StopIteration as done:
            result: T = done.value
            return result
