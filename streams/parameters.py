"""What the options of the commands have in common: how they are written, read and refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from click.core import ParameterSource

from schemas.instants import read_instant
from streams.core.durations import read_duration, read_zone
from streams.settings import Settings, load_settings
from streams.topics import PARTITIONS

F = TypeVar("F", bound=Callable[..., Any])

_EPOCH_FORMS: Final = "a time such as 2026-11-24T10:00:00+01:00, or without offset in --tz"


class Written(click.ParamType):
    """A value that *read* makes of a text; what it raises as ValueError becomes a usage error."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 # click's signature
        """What was written, read; a default that is no text is left as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except ValueError as wrong:
            text = str(wrong)
            self.fail(text if repr(value) in text else f"{value!r}: {text}", param, ctx)


def read_speed(text: str) -> float | None:
    """How many times faster than life: `60x`, `1x`, `0.5x`; None for `max`.

    Raises:
        ValueError: it is neither.
    """
    if text == "max":
        return None
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        raise ValueError("expected max, or times faster than life, such as 60x")
    return speed


def read_moment(text: str, zone: tzinfo) -> int:
    """Epoch milliseconds of a time; without an offset it is of *zone*.

    Raises:
        click.BadParameter: it is no time.
    """
    try:
        return read_instant(text)
    except ValueError:
        pass
    try:
        local = datetime.fromisoformat(text)
        return read_instant(local.replace(tzinfo=local.tzinfo or zone).isoformat())
    except ValueError:
        raise click.BadParameter(f"{text!r}: expected {_EPOCH_FORMS}") from None


DURATION: Final = Written("duration", read_duration)
ZONE: Final = Written("zone", read_zone)
SPEED: Final = Written("speed", read_speed)

FILE: Final = click.Path(exists=True, dir_okay=False, allow_dash=True)


def typed() -> frozenset[str]:
    """The parameters of the running command that were written on its command line."""
    context = click.get_current_context()
    return frozenset(
        name
        for name, value in context.params.items()
        if value != () and context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    )


def settings_options(command: F) -> F:
    """Options that say which settings hold; `settings_of` reads them."""
    for option in (
        click.option("--bootstrap", metavar="HOST:PORT", help="Kafka, in place of the settings'."),
        click.option(
            "--settings",
            "settings_file",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="Settings file; else the one that FLOORWATCH_SETTINGS names.",
        ),
    ):
        command = option(command)
    return command


def settings_of(settings_file: Path | None, bootstrap: str | None = None) -> Settings:
    """The settings of the file, the environment over it, *bootstrap* over both.

    Raises:
        BadSetting: one of them is wrong.
    """
    options = {"bootstrap": bootstrap} if bootstrap is not None else None
    return load_settings(settings_file, os.environ, options)


def create_topics_option(command: F) -> F:
    """The option that says whether missing topics are created."""
    return click.option(
        "--create-topics",
        "partitions",
        type=click.IntRange(0, 1000),
        default=PARTITIONS,
        show_default=True,
        metavar="N",
        help="Create missing topics with N partitions that keep everything; 0 creates none.",
    )(command)
