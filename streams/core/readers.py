"""Plain values of the settings into typed ones, each saying what would have been right.

A plain value is what the operator wrote: a text, a list or a mapping. Nothing is guessed from its
look, so a queue may be called `no` or `007` and a zone `+10:00`. Numbers are welcome too, for
callers that have them.
"""

import difflib
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from schemas.instants import read_instant
from streams.core.durations import FORMS, read_duration, read_zone
from streams.core.policy import BadSetting

Reader = Callable[[object], Any]
"""Turns a plain value into a typed one; raises ValueError, saying what would be right."""

NOTHING: Final = ("off", "null", "~")
"""How the absence of a value is written, where one may be absent."""

INSTANT_FORMS: Final = "a time with its offset, such as 2026-03-01T00:00:00+01:00"

_WHOLE: Final = re.compile(r"\d{1,18}", re.ASCII)
_DECIMAL: Final = re.compile(r"\d{1,18}(\.\d{1,18})?", re.ASCII)


def mapping(plain: object, path: str, keys: Sequence[str]) -> Mapping[str, object]:
    """*plain* as a mapping with no other keys than *keys*; nothing at all is an empty one.

    Raises:
        BadSetting: naming the unknown key and the nearest one there is.
    """
    found = named(plain, path)
    for key in found:
        if key not in keys:
            hint = nearest(key, keys) or f"; expected one of {', '.join(keys)}"
            raise BadSetting(f"{path}.{key}" if path else key, f"unknown key{hint}")
    return found


def named(plain: object, path: str) -> Mapping[str, object]:
    """*plain* as a mapping whose keys are names; nothing at all is an empty one.

    Raises:
        BadSetting: when it is something else, or a name is empty.
    """
    if plain is None or plain == "":
        return {}
    if not isinstance(plain, Mapping):
        raise BadSetting(path or "settings", "expected a mapping of keys to values", value=plain)
    for name in plain:
        if not isinstance(name, str) or not name:
            raise BadSetting(path or "settings", f"expected a name as key, not {name!r}")
    return plain


def nearest(word: str, words: Sequence[str]) -> str:
    """A hint at the one of *words* that *word* may have meant; "" when none is near."""
    lowered = {each.lower(): each for each in words}
    close = difflib.get_close_matches(word.lower().replace("-", "_"), lowered, n=1)
    return f"; did you mean {lowered[close[0]]}?" if close else ""


def read_value(plain: object, path: str, reader: Reader) -> Any:  # noqa: ANN401 # typed by reader
    """*plain* through *reader*.

    Raises:
        BadSetting: with the path, the value and what would be right.
    """
    try:
        return reader(plain)
    except ValueError as wrong:
        raise BadSetting(path, str(wrong), value=plain) from None


def text(plain: object) -> str:
    """A text of one line, not empty."""
    if isinstance(plain, str) and plain and plain.isprintable():
        return plain
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        return str(plain)
    raise ValueError("expected a text of one line")


def optional(reader: Reader) -> Reader:
    """A reader that also takes `off` and `null`, for none."""

    def read(plain: object) -> Any:  # noqa: ANN401 # typed by reader
        if plain is None or plain in NOTHING:
            return None
        try:
            return reader(plain)
        except ValueError as wrong:
            raise ValueError(f"{wrong}, or off") from None

    return read


def duration(plain: object) -> int:
    """Milliseconds, 0 or more."""
    return read_duration(_written(plain, FORMS))


def positive_duration(plain: object) -> int:
    """Milliseconds, more than 0."""
    duration_ms = duration(plain)
    if duration_ms == 0:
        raise ValueError("expected a duration longer than 0s")
    return duration_ms


def ratio(plain: object) -> float:
    """A share from 0 to 1."""
    expected = "a ratio from 0 to 1, such as 0.8"
    written = _written(plain, expected)
    percent = float(written.rstrip("%")) if _DECIMAL.fullmatch(written.rstrip("%")) else None
    if percent is not None and percent <= 1 and "%" not in written:
        return percent
    if percent is not None and percent <= 100:
        raise ValueError(f"expected a ratio from 0 to 1; did you mean {percent / 100:g}?")
    raise ValueError(f"expected {expected}")


def whole(least: int, most: float = math.inf) -> Reader:
    """A reader of whole numbers from *least* to *most*, both included."""
    expected = f"a whole number, {least} or more"
    if most != math.inf:
        expected = f"a whole number from {least} to {most}"

    def read(plain: object) -> int:
        written = _written(plain, expected)
        if _WHOLE.fullmatch(written) and least <= int(written) <= most:
            return int(written)
        raise ValueError(f"expected {expected}")

    return read


def one_of(words: Sequence[str]) -> Reader:
    """A reader of one of *words*."""
    expected = f"one of {', '.join(words)}"

    def read(plain: object) -> str:
        written = _written(plain, expected)
        if written in words:
            return written
        raise ValueError(f"expected {expected}{nearest(written, words)}")

    return read


def several_of(words: Sequence[str]) -> Reader:
    """A reader of a list with one or more of *words*, each at most once."""
    each = one_of(words)

    def read(plain: object) -> tuple[str, ...]:
        if not isinstance(plain, list) or not plain:
            raise ValueError(f"expected a list of one or more of {', '.join(words)}")
        found = tuple(each(item) for item in plain)
        if len(set(found)) < len(found):
            raise ValueError("expected each of them once")
        return found

    return read


def matching(pattern: str, expected: str) -> Reader:
    """A reader of texts that match *pattern* as a whole, described as *expected*."""
    compiled = re.compile(pattern, re.ASCII)

    def read(plain: object) -> str:
        written = _written(plain, expected)
        if compiled.fullmatch(written):
            return written
        raise ValueError(f"expected {expected}")

    return read


def zone(plain: object) -> str:
    """The name of a zone that exists."""
    written = _written(plain, "an IANA zone such as Europe/Berlin, or an offset such as +02:00")
    read_zone(written)
    return written


def instant(plain: object) -> int:
    """Epoch milliseconds."""
    written = _written(plain, INSTANT_FORMS)
    try:
        return read_instant(written)
    except ValueError:
        raise ValueError(f"expected {INSTANT_FORMS}") from None


def _written(plain: object, expected: str) -> str:
    """*plain* as the operator wrote it."""
    if isinstance(plain, str):
        return plain
    if isinstance(plain, int | float) and not isinstance(plain, bool):
        return str(plain)
    raise ValueError(f"expected {expected}")
