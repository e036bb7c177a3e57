"""`floorwatch report`: the numbers of recorded events, with the same core as the live worker."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any, Final, TextIO

import click
import orjson

from schemas.codec import Decoder, Unreadable
from streams.core.calendar import DAY
from streams.core.contact import Life, Limits, Visit
from streams.core.durations import read_duration, read_zone
from streams.core.figures import Entry
from streams.core.formulas import FORMULA_IDS
from streams.core.policy import PolicyBook
from streams.core.reporting import GROUPINGS, IntervalReport, TickReport, Timed, visit_line
from streams.parameters import (
    DURATION,
    FILE,
    Written,
    read_moment,
    settings_of,
    settings_options,
)
from streams.progress import bar
from streams.settings import Settings
from streams.sources.recorded import SOURCE_FORMATS, SourceFormat, read_records, size_of

SHOWN: Final = (
    "at",
    "interval",
    "window",
    "queue",
    "channel",
    "segment",
    "offered",
    "answered",
    "abandoned",
    "left",
    "waiting",
    "service_level",
    "instant_service_ratio",
    "abandonment_ratio",
    "wait_p50",
    "wait_p99",
)

EXAMPLE: Final = """\b
Examples:
  floorwatch report calls.jsonl
  floorwatch report --threshold 20s --by hour,queue --tz Europe/Madrid --format csv calls.jsonl.gz
  floorwatch report --every 5m --window 15m,60m,day --attribute outcome --format json calls.jsonl

\b
Exit codes: 0 done, 2 a wrong option, setting or file, 3 no broker or topic."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a report, read and checked."""

    policies: PolicyBook
    limits: Limits
    zone: tzinfo
    by: tuple[str, ...]
    by_arrival: bool
    every_ms: int | None
    windows: Mapping[str, int]
    days: bool
    formulas: tuple[str, ...]
    tick_ms: int


def _zone_name(text: str) -> str:
    read_zone(text)
    return text


def _groupings(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        if part not in GROUPINGS:
            raise ValueError(f"{part!r}: expected any of {', '.join(GROUPINGS)}")
    if {"hour", "day"} <= set(parts):
        raise ValueError(f"{text!r}: hour and day at once; take one of them")
    return parts


@click.command("report", epilog=EXAMPLE)
@click.argument("files", nargs=-1, type=FILE, metavar="FILE...")
@click.option(
    "--by",
    type=Written("groupings", _groupings),
    default="queue",
    show_default=True,
    help=f"Any of {', '.join(GROUPINGS)}, joined by commas.",
)
@click.option("--every", type=DURATION, help="Look at rolling windows this often, as 5m.")
@click.option("--window", default="15m,60m,day", show_default=True, help="Windows, with --every.")
@click.option(
    "--attribute",
    type=click.Choice(["arrival", "outcome"]),
    default="arrival",
    show_default=True,
    help="Put counts at the arrival of their visit, or each at its own moment as the live worker.",
)
@click.option("--formula", type=click.Choice(FORMULA_IDS), help="Only this formula.")
@click.option("--threshold", type=DURATION, help="Threshold T of every queue, as 20s.")
@click.option("--short-abandon", type=DURATION, help="Short-abandon limit S, as 5s.")
@click.option(
    "--instant-within", type=DURATION, help="Longest wait of instant service; 0s: never queued."
)
@click.option(
    "--tz",
    type=Written("zone", _zone_name),
    metavar="ZONE",
    help="Zone of hours and days, and of times without offset.",
)
@click.option("--visits", is_flag=True, help="One line per visit, with the rule that decided.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
)
@click.option(
    "--source-format", type=click.Choice(SOURCE_FORMATS), default="canonical", show_default=True
)
@click.option("--from", "from_time", metavar="TIME", help="With --bootstrap: the first instant.")
@click.option("--to", "to_time", metavar="TIME", help="With --bootstrap: the end, not included.")
@settings_options
def report_command(**given: Any) -> None:  # noqa: ANN401 # click hands over what was typed
    """Report the numbers of recorded events.

    FILE... are canonical events (JSON lines, also .gz, `-` for standard input). Without --every
    the whole input is one interval, per queue and for all of them (`*`), or split by hour or day.
    With --bootstrap the topics are read instead of files.
    """
    settings = settings_of(given["settings_file"], given["bootstrap"])
    options = _options(settings, given)
    source = _source(settings, options, given)
    if given["visits"]:
        _write_visits(source, options, given["form"])
        return
    rows = _tick_rows(source, options) if options.every_ms else _interval_rows(source, options)
    WRITERS[given["form"]](_narrowed(rows, options.formulas), sys.stdout)


def _options(settings: Settings, given: Mapping[str, Any]) -> Options:
    policies = settings.policy.overridden(
        threshold_ms=given["threshold"],
        short_abandon_ms=given["short_abandon"],
        instant_within_ms=given["instant_within"],
        formula=given["formula"],
        zone_name=given["tz"],
    )
    every_ms, tick_ms = given["every"], settings.tick_ms
    if every_ms is not None and (every_ms < tick_ms or every_ms % tick_ms):
        raise click.UsageError(
            f"--every: expected a whole multiple of the tick, {tick_ms // 1000}s"
        )
    names = [name for name in given["window"].split(",") if name]
    return Options(
        policies=policies,
        limits=Limits(
            settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact
        ),
        zone=policies.queue("", "voice", 0).zone,
        by=given["by"],
        by_arrival=given["attribute"] == "arrival",
        every_ms=every_ms,
        windows={name: _window(name, tick_ms) for name in names if name != DAY},
        days=DAY in names,
        formulas=(given["formula"],) if given["formula"] else FORMULA_IDS,
        tick_ms=tick_ms,
    )


def _window(name: str, tick_ms: int) -> int:
    try:
        width_ms = read_duration(name)
    except ValueError as wrong:
        raise click.UsageError(f"--window: {wrong}") from None
    if width_ms <= 0 or width_ms % tick_ms:
        expected = f"day, or a whole multiple of {tick_ms // 1000}s such as 15m"
        raise click.UsageError(f"--window: {name!r}: expected {expected}")
    return width_ms


# -- where the events come from ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and the file or partition it came from."""

    timed: Timed
    part: object


def _source(settings: Settings, options: Options, given: Mapping[str, Any]) -> Iterator[Placed]:
    if given["bootstrap"]:
        edges = [
            None if given[name] is None else read_moment(given[name], options.zone)
            for name in ("from_time", "to_time")
        ]
        return _from_topics(settings, *edges)
    if not given["files"]:
        raise click.UsageError("name a FILE of recorded events, `-` for standard input")
    return _from_files(settings, options, given["files"], given["source_format"])


def _from_files(
    settings: Settings, options: Options, files: Iterable[str], source_format: SourceFormat
) -> Iterator[Placed]:
    decoder = Decoder(settings.max_record_bytes)
    arrival_ms = 0
    unreadable = 0
    for path in files:
        with bar(size_of(path), path) as on_bytes:
            for record in read_records(
                path, source_format=source_format, zone=options.zone, on_bytes=on_bytes
            ):
                try:
                    event, time_ms = decoder.decode(record.value)
                except Unreadable:
                    unreadable += 1
                    continue
                arrival_ms = max(arrival_ms, time_ms)
                yield Placed(Timed(event, time_ms, arrival_ms), None)
    if unreadable:
        click.echo(
            f"floorwatch: {unreadable} records could not be read and are left out; "
            "`floorwatch check FILE` says why",
            err=True,
        )


def _from_topics(
    settings: Settings, from_ms: int | None = None, to_ms: int | None = None
) -> Iterator[Placed]:
    from streams.recall import recall  # noqa: PLC0415 # files need no Kafka client

    decoder = Decoder(settings.max_record_bytes)
    arrivals: dict[object, int] = {}
    for place, record_ms, value in recall(settings.bootstrap, settings.topics.in_use(), from_ms):
        arrival_ms = arrivals[place] = max(arrivals.get(place, 0), record_ms)
        try:
            event, time_ms = decoder.decode(value)
        except Unreadable:
            continue
        if (from_ms is None or time_ms >= from_ms) and (to_ms is None or time_ms < to_ms):
            yield Placed(Timed(event, time_ms, arrival_ms), place)


# -- rows --------------------------------------------------------------------------------------


def _interval_rows(source: Iterable[Placed], options: Options) -> Iterator[Entry]:
    report = IntervalReport(
        options.policies,
        zone=options.zone,
        by=options.by,
        by_arrival=options.by_arrival,
        limits=options.limits,
    )
    for (event, time_ms, arrival_ms), part in _unpacked(source):
        report.accept(event, time_ms, arrival_ms, part)
    return report.rows()


def _tick_rows(source: Iterable[Placed], options: Options) -> Iterator[Entry]:
    report = TickReport(
        options.policies,
        zone=options.zone,
        every_ms=options.every_ms or options.tick_ms,
        windows=options.windows,
        days=options.days,
        by=options.by,
        by_arrival=options.by_arrival,
        tick_ms=options.tick_ms,
        limits=options.limits,
    )
    return report.rows(placed.timed for placed in source)


def _unpacked(source: Iterable[Placed]) -> Iterator[tuple[Timed, object]]:
    for placed in source:
        yield placed.timed, placed.part


def _write_visits(source: Iterable[Placed], options: Options, form: str) -> None:
    lines: list[Entry] = []

    def on_visit(life: Life, visit: Visit) -> None:
        lines.append(visit_line(life, visit, options.zone))

    report = IntervalReport(
        options.policies, zone=options.zone, limits=options.limits, on_visit=on_visit
    )

    def written() -> Iterator[Entry]:
        for (event, time_ms, arrival_ms), part in _unpacked(source):
            report.accept(event, time_ms, arrival_ms, part)
            yield from lines
            lines.clear()
        for _ in report.rows():
            pass
        yield from lines

    WRITERS[form](written(), sys.stdout)


def _narrowed(rows: Iterable[Entry], formulas: tuple[str, ...]) -> Iterator[Entry]:
    for row in rows:
        for name in ("service_level", "service_level_n"):
            row[name] = {formula: row[name][formula] for formula in formulas}
        yield row


# -- formats -----------------------------------------------------------------------------------


def _write_json(rows: Iterable[Entry], out: TextIO) -> None:
    for row in rows:
        out.write(orjson.dumps(row).decode())
        out.write("\n")


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Nested figures as columns: `wait_s.p90`, `service_level.strict`."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{key}": each for key, each in value.items()})
        else:
            flat[name] = value
    return flat


def _write_csv(rows: Iterable[Entry], out: TextIO) -> None:
    writer: csv.DictWriter[str] | None = None
    for row in rows:
        flat = _flat(row)
        if writer is None:
            writer = csv.DictWriter(out, fieldnames=list(flat), lineterminator="\n")
            writer.writeheader()
        writer.writerow(flat)


def _write_table(rows: Iterable[Entry], out: TextIO) -> None:
    lines = [_cells(row) for row in rows]
    if not lines:
        out.write("no contacts\n")
        return
    names = [name for name in lines[0] if any(line.get(name) not in ("", None) for line in lines)]
    widths = {name: max(len(name), *(len(line.get(name, "")) for line in lines)) for name in names}
    out.write("  ".join(name.ljust(widths[name]) for name in names).rstrip() + "\n")
    for line in lines:
        cells = (line.get(name, "").ljust(widths[name]) for name in names)
        out.write("  ".join(cells).rstrip() + "\n")


def _cells(row: Mapping[str, Any]) -> dict[str, str]:
    if "service_level" not in row:
        return {name: "" if value is None else str(value) for name, value in row.items()}
    formula = row["formula"] if row["formula"] in row["service_level"] else None
    formula = formula or next(iter(row["service_level"]))
    shown = {
        **row,
        "service_level": _percent(row["service_level"][formula]) + f" {formula}",
        "instant_service_ratio": _percent(row["instant_service_ratio"]),
        "abandonment_ratio": _percent(row["abandonment_ratio"]),
        "wait_p50": row["wait_s"]["p50"],
        "wait_p99": row["wait_s"]["p99"],
    }
    return {name: "" if shown.get(name) is None else str(shown[name]) for name in SHOWN}


def _percent(ratio: float | None) -> str:
    return "-" if ratio is None else f"{ratio:.1%}"


WRITERS: Final[Mapping[str, Callable[[Iterable[Entry], TextIO], None]]] = {
    "table": _write_table,
    "json": _write_json,
    "csv": _write_csv,
}
