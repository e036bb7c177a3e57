"""Rules that are wrong in one place each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from dashboards.alerts.rule import Alert

DURATIONS: Final = {"": ("1m",), "30s": ("", "15s", "1m"), "1m": ("", "45s", "2m")}
LONGER: Final = {"2m": ("", "1m", "3m"), "3m": ("2m", "4m"), "5m": ("", "4m", "6m")}
KEPT: Final = {
    "": ("1m",),
    "1m": ("", "30s", "2m"),
    "15m": ("", "14m", "16m"),
    "30m": ("", "29m", "31m"),
}
OTHER_VALUES: Final = {
    "15m": "60m",
    "60m": "15m",
    "day": "60m",
    "critical": "warning",
    "warning": "critical",
    "true": "false",
    "offered": "answered",
}
_NUMBER: Final = re.compile(r"(?<![\w.\[\"])\d+(?:\.\d+)?(?![\w.\"])")
_MATCHER: Final = re.compile(r'(\w+)(=~|!~|!=|=)"([^"]*)"')
_BY: Final = re.compile(r"(?:by|on) \(([\w, ]+)\)")
_WORDS: Final = {
    "max by": "min by",
    "sum by": "max by",
    "count by": "sum by",
    "unless": "and",
    "increase(": "rate(",
    "abs(": "(",
}


@dataclass(frozen=True)
class Mutant:
    """An alert with one change.

    Attributes:
        alert: under a name of its own.
        change: what was changed, in words.
        keeps: whether how long it fires after the breach is what was changed.
    """

    alert: Alert
    change: str
    keeps: bool


def mutants_of(alert: Alert, *, parts: tuple[str, ...] = ()) -> list[Mutant]:
    """Every mutant of *alert*; *parts* of its expression are left as they are, or left out."""
    changes = {
        change: changed
        for change, changed in _changes(alert, parts)
        if (changed.expr, changed.hold, changed.keep) != (alert.expr, alert.hold, alert.keep)
    }
    return [
        Mutant(replace(changed, name=f"{alert.name}M{number}"), change, changed.keep != alert.keep)
        for number, (change, changed) in enumerate(changes.items())
    ]


def _changes(alert: Alert, parts: tuple[str, ...]) -> Iterator[tuple[str, Alert]]:
    for hold in (DURATIONS | LONGER)[alert.hold]:
        yield f"for: {alert.hold or '0s'} -> {hold or '0s'}", replace(alert, hold=hold)
    for keep in KEPT[alert.keep]:
        yield f"keep: {alert.keep or '0s'} -> {keep or '0s'}", replace(alert, keep=keep)
    for change, expr in _of_expr(alert.expr, parts):
        yield change, replace(alert, expr=expr)


def _of_expr(expr: str, parts: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    names = dict(zip("ABCDEFGH", parts, strict=False))
    hidden = expr
    for name, part in names.items():
        hidden = hidden.replace(part, f"@{name}@")
        yield f"without {part[:40]!r}", expr.replace(part, "vector(0) < 0")
    for changes in (_of_operators, _of_matchers, _of_labels, _of_lines):
        for change, changed in changes(hidden):
            yield change, re.sub(r"@(\w)@", lambda found: names[found[1]], changed)


def _of_operators(text: str) -> Iterator[tuple[str, str]]:
    for place in re.finditer(r"[<>]=?|==", text):
        for other in _comparisons(place[0]):
            yield _swap(text, place, other)
    for place in _NUMBER.finditer(text):
        for number in _numbers(place[0]):
            yield _swap(text, place, number)
    for word, other in _WORDS.items():
        for place in re.finditer(rf"(?<!\w){re.escape(word)}", text):
            yield _swap(text, place, other)


def _of_matchers(text: str) -> Iterator[tuple[str, str]]:
    for place in _MATCHER.finditer(text):
        for matcher in _matchers(*place.groups()):
            yield _swap(text, place, matcher)
    for place in re.finditer(r"\[(\d+)m\]", text):
        for minutes in (int(place[1]) * 2, int(place[1]) / 2):
            yield _swap(text, place, f"[{round(minutes * 60)}s]")


def _of_labels(text: str) -> Iterator[tuple[str, str]]:
    labels = {label for place in _BY.finditer(text) for label in place[1].split(", ")}
    for label in sorted(labels):
        pattern = rf"((?:by|on) \([^)]*?)(?:, {label}\b|\b{label}, |\b{label}\b)([^)]*\))"
        yield f"no {label}", re.sub(pattern, r"\1\2", text)


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    lines = text.split("\n")
    for number, line in enumerate(lines):
        before, after = lines[:number], lines[number + 1 :]
        if line.startswith(("and ", "unless ", "or ")):
            yield f"line {number} left out", "\n".join([*before, *after])
        if line.startswith("and ") and not line.startswith("and on "):
            reversed_line = line.replace("and ", "unless ", 1)
            yield f"line {number} reversed", "\n".join([*before, reversed_line, *after])


def _comparisons(sign: str) -> tuple[str, ...]:
    others = {
        ">": (">=", "<"),
        "<": ("<=", ">"),
        ">=": (">", "<"),
        "<=": ("<", ">"),
        "==": ("!=", ">"),
    }
    return others[sign]


def _numbers(written: str) -> Iterator[str]:
    value = float(written)
    if value < 0.001:
        yield f"{value * 1000:g}"
        return
    if value < 10 and value == int(value):
        yield f"{value + 1:g}"
        if value:
            yield f"{value - 1:g}"
    else:
        yield f"{value * 1.1:g}"
        yield f"{value * 0.9:g}"


def _matchers(label: str, sign: str, value: str) -> Iterator[str]:
    if label != "__name__":
        yield f'{label}=~".*"'
    if value in OTHER_VALUES:
        yield f'{label}{sign}"{OTHER_VALUES[value]}"'
    alternatives = value.split("|")
    if len(alternatives) > 1:
        for left_out in alternatives:
            kept = "|".join(each for each in alternatives if each != left_out)
            yield f'{label}{sign}"{kept}"'


def _swap(text: str, place: re.Match[str], other: str) -> tuple[str, str]:
    """The change in words, numbered by where in *text* such a thing stands, and what it makes."""
    begin, end = place.span()
    ordinal = text[:begin].count(place[0]) + 1
    return f"{place[0]} -> {other} ({ordinal})", text[:begin] + other + text[end:]
