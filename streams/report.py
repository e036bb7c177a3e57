"""`floorwatch report`: the numbers of recorded events, with the same core as the live worker."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final, TextIO

import click
import orjson

from schemas.codec import Decoder, Unreadable
from schemas.instants import read_instant
from streams.core.calendar import DAY
from streams.core.contact import Life, Limits, Visit
from streams.core.durations import read_duration, read_zone
from streams.core.figures import Entry
from streams.core.formulas import FORMULA_IDS
from streams.core.policy import BadSetting, PolicyBook
from streams.core.reporting import GROUPINGS, IntervalReport, TickReport, Timed, visit_line
from streams.settings import Settings, load_settings
from streams.sources.recorded import SOURCE_FORMATS, SourceFormat, read_records

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


@click.command("report", epilog=EXAMPLE)
@click.argument("files", nargs=-1)
@click.option("--settings", "settings_file", type=click.Path(), help="Settings file (YAML).")
@click.option("--by", default="queue", help=f"Any of {', '.join(GROUPINGS)}, joined by commas.")
@click.option("--every", help="Look at rolling windows this often, as 5m.")
@click.option("--window", default="15m,60m,day", help="Windows to look at with --every.")
@click.option("--attribute", type=click.Choice(["arrival", "outcome"]), default="arrival")
@click.option("--formula", type=click.Choice(FORMULA_IDS), help="Only this formula.")
@click.option("--threshold", help="Threshold T of every queue, as 20s.")
@click.option("--short-abandon", help="Short-abandon limit S of every queue, as 5s.")
@click.option("--instant-within", help="Longest wait of instant service; 0s: never queued only.")
@click.option("--tz", help="Zone of hours and days, and of times without offset.")
@click.option("--visits", is_flag=True, help="One line per visit, with the rule that decided.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv"]), default="table")
@click.option("--source-format", type=click.Choice(SOURCE_FORMATS), default="canonical")
@click.option("--bootstrap", help="Read the topics of this Kafka instead of files.")
@click.option("--from", "from_time", help="With --bootstrap: the first instant, RFC 3339.")
@click.option("--to", "to_time", help="With --bootstrap: the last instant, RFC 3339.")
def report_command(**given: Any) -> None:  # noqa: ANN401 # click hands over what was typed
    """Report the numbers of recorded events.

    FILE... are canonical events (JSON lines, also .gz, `-` for standard input). Without --every
    the whole input is one interval, per queue and for all of them (`*`), or split by hour or day.
    """
    settings = load_settings(given["settings_file"], os.environ)
    options = _options(settings, given)
    source = _source(settings, options, given)
    if given["visits"]:
        _write_visits(source, options, given["form"])
        return
    rows = _tick_rows(source, options) if options.every_ms else _interval_rows(source, options)
    WRITERS[given["form"]](_narrowed(rows, options.formulas), sys.stdout)


def _options(settings: Settings, given: Mapping[str, Any]) -> Options:
    by = _parts("--by", given["by"], GROUPINGS)
    if "hour" in by and "day" in by:
        raise BadSetting("--by", "hour and day at once; take one of them", value=given["by"])
    policies = settings.policy.overridden(
        threshold_ms=_duration("--threshold", given["threshold"]),
        short_abandon_ms=_duration("--short-abandon", given["short_abandon"]),
        instant_within_ms=_duration("--instant-within", given["instant_within"]),
        formula=given["formula"],
        zone_name=_zone_name(given["tz"]),
    )
    every_ms = _duration("--every", given["every"])
    if every_ms is not None and (every_ms < settings.tick_ms or every_ms % settings.tick_ms):
        shown = f"a whole multiple of the tick, {settings.tick_ms // 1000}s"
        raise BadSetting("--every", f"expected {shown}", value=given["every"])
    names = [name for name in given["window"].split(",") if name]
    windows = {name: _window(name, settings.tick_ms) for name in names if name != DAY}
    limits = Limits(settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact)
    return Options(
        policies=policies,
        limits=limits,
        zone=policies.queue("", "voice", 0).zone,
        by=by,
        by_arrival=given["attribute"] == "arrival",
        every_ms=every_ms,
        windows=windows,
        days=DAY in names,
        formulas=(given["formula"],) if given["formula"] else FORMULA_IDS,
        tick_ms=settings.tick_ms,
    )


def _window(name: str, tick_ms: int) -> int:
    width_ms = _duration("--window", name) or 0
    if width_ms <= 0 or width_ms % tick_ms:
        expected = f"expected day or a whole multiple of {tick_ms // 1000}s, as 15m"
        raise BadSetting("--window", expected, value=name)
    return width_ms


def _duration(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return read_duration(text)
    except ValueError as error:
        raise BadSetting(option, str(error), value=text) from None


def _zone_name(text: str | None) -> str | None:
    try:
        if text is not None:
            read_zone(text)
        return text
    except ValueError as error:
        raise BadSetting("--tz", str(error), value=text) from None


def _parts(option: str, text: str, allowed: tuple[str, ...]) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    for part in parts:
        if part not in allowed:
            raise BadSetting(option, f"expected any of {', '.join(allowed)}", value=part)
    return parts


# -- where the events come from ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Placed:
    """An event and the file or partition it came from."""

    timed: Timed
    part: object


def _source(settings: Settings, options: Options, given: Mapping[str, Any]) -> Iterator[Placed]:
    if given["bootstrap"]:
        from_ms = read_instant(given["from_time"]) if given["from_time"] else None
        to_ms = read_instant(given["to_time"]) if given["to_time"] else None
        return _from_topics(settings, given["bootstrap"], from_ms, to_ms)
    if not given["files"]:
        raise click.UsageError("name a FILE of recorded events, `-` for standard input")
    return _from_files(settings, options, given["files"], given["source_format"])


def _from_files(
    settings: Settings, options: Options, files: Iterable[str], source_format: SourceFormat
) -> Iterator[Placed]:
    decoder = Decoder(settings.max_record_bytes)
    arrival_ms = 0
    unreadable = 0
    with ExitStack() as stack:
        for path in files:
            for record in read_records(
                path,
                source_format=source_format,
                zone=options.zone,
                on_bytes=_progress(stack, path),
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


def _progress(stack: ExitStack, path: str) -> Callable[[int], None] | None:
    """A bar on standard error, on a terminal only."""
    if path == "-" or not sys.stderr.isatty():
        return None
    size = Path(path).stat().st_size
    bar = stack.enter_context(
        click.progressbar(length=size, label=Path(path).name, file=sys.stderr)
    )
    seen = 0

    def on_bytes(read: int) -> None:
        nonlocal seen
        bar.update(read - seen)
        seen = read

    return on_bytes


def _from_topics(
    settings: Settings, bootstrap: str, from_ms: int | None, to_ms: int | None
) -> Iterator[Placed]:
    from streams.recall import recall  # noqa: PLC0415 # files need no Kafka client

    decoder = Decoder(settings.max_record_bytes)
    arrivals: dict[object, int] = {}
    for place, record_ms, value in recall(bootstrap, settings.topics.in_use(), from_ms):
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
