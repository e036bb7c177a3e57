"""How far a long piece of work is: a bar on standard error, where a person is watching."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator

import click


def is_watched() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def bar(length: int | None, label: str) -> Iterator[Callable[[int], None] | None]:
    """A bar up to *length*; yields what is told how far things are, or None for no bar.

    There is none when nobody watches, or when the length is None: not known.
    """
    if length is None or not is_watched():
        yield None
        return
    shown = 0
    with click.progressbar(length=length, label=label, file=sys.stderr) as progress:

        def reach(position: int) -> None:
            nonlocal shown
            progress.update(position - shown)
            shown = position

        yield reach
