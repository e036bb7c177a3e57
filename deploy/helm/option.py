"""A value of the chart: its default, what it means, and which values it may have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Schema: TypeAlias = dict[str, Any]

DURATION: Final = r"^\d+(\.\d+)?(ms|s|m|h|d)(\d+(ms|s|m|h))*$"
"""As in floorwatch's settings: 0s, 250ms, 1h30m, 14d."""

NAME: Final = r"^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)?$"
"""Of an object in Kubernetes, or none."""

SECRET: Final = r"^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$"  # noqa: S105 # names one
SECRET_KEY: Final = r"^[-._a-zA-Z0-9]{1,253}$"  # noqa: S105 # the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value that has no further ones below it.

    Attributes:
        text: what it means, in whole sentences; first line of its comment and its row in the table.
        default: what stands in `values.yaml`.
        schema: what it may be, without text and default.
    """

    text: str
    default: Any
    schema: Schema


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Values under one key; no other key is taken.

    Attributes:
        text: what they have in common.
        options: by their keys.
        schema: conditions between them.
    """

    text: str
    options: Mapping[str, Option | Section]
    schema: Schema = field(default_factory=dict)


def flag(text: str, default: bool = False) -> Option:
    """On or off."""
    return Option(text=text, default=default, schema={"type": "boolean"})


def words(
    text: str,
    default: str = "",
    *,
    pattern: str | None = None,
    examples: Sequence[str] = (),
    max_length: int | None = None,
) -> Option:
    """A text; *pattern* is a regular expression of the whole."""
    schema: Schema = {"type": "string"}
    if pattern is not None:
        schema["pattern"] = pattern
    if max_length is not None:
        schema["maxLength"] = max_length
    return Option(text=text, default=default, schema=_with(schema, examples))


def choice(text: str, default: Any, *of: Any) -> Option:
    """One of several words."""
    return Option(text=text, default=default, schema={"enum": list(of)})


def whole(
    text: str, default: int | None, least: int, most: int, *, or_none: bool = False
) -> Option:
    """A whole number from *least* to *most*; with *or_none* maybe none, which the text explains."""
    kind: Any = ["integer", "null"] if or_none else "integer"
    return Option(
        text=text, default=default, schema={"type": kind, "minimum": least, "maximum": most}
    )


def length(text: str, default: str, *, examples: Sequence[str] = ()) -> Option:
    """How long, as floorwatch's settings have it."""
    return words(text, default, pattern=DURATION, examples=[default, *examples])


def many(
    text: str,
    items: Schema,
    default: Sequence[Any] = (),
    *,
    examples: Sequence[Any] = (),
    **more: Any,
) -> Option:
    """A list."""
    schema = {"type": "array", "items": items, **more}
    return Option(text=text, default=list(default), schema=_with(schema, examples))


def texts(text: str, default: Mapping[str, str] | None = None) -> Option:
    """Names to texts, as labels and annotations are."""
    schema: Schema = {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "examples": [{}, {"example.org/team": "floor"}],
    }
    return Option(text=text, default=dict(default or {}), schema=schema)


def of_kubernetes(
    text: str, default: Any = None, *, examples: Sequence[Any], kind: str = "object"
) -> Option:
    """Something that goes to Kubernetes as it is, which checks it itself."""
    schema: Schema = {"type": kind}
    if kind == "array":
        schema["items"] = {"type": "object"}
    empty: Any = [] if kind == "array" else {}
    return Option(
        text=text,
        default=empty if default is None else default,
        schema=_with(schema, [empty, *examples]),
    )


def of_a_job() -> dict[str, Option]:
    """How long a Job of floorwatch's own commands may take, stays, and what it gets."""
    return {
        "activeDeadlineSeconds": whole("When it is given up.", 300, 10, 86_400),
        "ttlSecondsAfterFinished": whole("When what is left of it is removed.", 3600, 0, 604_800),
        "resources": of_kubernetes(
            "Its resources.",
            {
                "requests": {"cpu": "50m", "memory": "128Mi"},
                "limits": {"cpu": "1", "memory": "256Mi"},
            },
            examples=[{"limits": {"memory": "1Gi"}}],
        ),
    }


def _with(schema: Schema, examples: Sequence[Any]) -> Schema:
    return {**schema, "examples": list(examples)} if examples else schema


def schema_of(part: Option | Section) -> Schema:
    """The JSON Schema of *part*."""
    if isinstance(part, Option):
        return {"description": part.text, **part.schema, "default": part.default}
    return {
        "description": part.text,
        "type": "object",
        "additionalProperties": False,
        "properties": {name: schema_of(below) for name, below in part.options.items()},
        **part.schema,
    }


def defaults_of(part: Option | Section) -> Any:
    """What holds where nothing is said."""
    if isinstance(part, Option):
        return part.default
    return {name: defaults_of(below) for name, below in part.options.items()}


def rows(section: Section, path: str = "") -> Iterator[tuple[str, Option]]:
    """Every option with its path, as `kafka.bootstrap`."""
    for name, part in section.options.items():
        at = f"{path}.{name}" if path else name
        if isinstance(part, Section):
            yield from rows(part, at)
        else:
            yield at, part
