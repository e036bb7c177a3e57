"""`floorwatch report`: the numbers of recorded events, with the same core as the live worker."""

from __future__ import annotations

import contextlib
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
from streams.core.durations import read_duration, read_zone, write_duration
from streams.core.figures import Entry
from streams.core.formulas import FORMULA_IDS
from streams.core.partition import FUTURE_MS
from streams.core.policy import PolicyBook
from streams.core.reporting import (
    GROUPINGS,
    IntervalReport,
    Span,
    TickReport,
    Timed,
    visit_line,
)
from streams.kafka_access import kafka_access
from streams.parameters import (
    DURATION,
    FILE,
    Written,
    read_moment,
    settings_of,
    settings_options,
    typed,
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
  floorwatch report --bootstrap HOST:9092 --from 2026-11-24T08:00 --to 2026-11-24T18:00 --by hour

\b
Exit codes: 0 done, 2 a wrong option, setting or file, 3 no Kafka or no topic, 130 interrupted."""

NOT_TOGETHER: Final = (
    ("files", "bootstrap", "FILE and --bootstrap: events come from files or from topics; name one"),
    ("source_format", "bootstrap", "--source-format is of files, and --bootstrap reads topics"),
    ("visits", "every", "--visits and --every: one line per visit, or one row per tick; name one"),
    ("visits", "by", "--visits and --by: lines of visits have no groups; leave out one"),
    ("visits", "attribute", "--visits and --attribute: visits are not counted; leave out one"),
    ("visits", "formula", "--visits and --formula: a visit has no ratio; leave out one"),
)
"""Pairs of options of which one would change nothing, and what to say then."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a report, read and checked."""

    policies: PolicyBook
    limits: Limits
    zone: tzinfo
    by: tuple[str, ...]
    by_arrival: bool
    span: Span
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
@click.argument("files", nargs=-1, type=FILE, metavar="[FILE]...")
@click.option(
    "--by",
    type=Written("groupings", _groupings),
    default="queue",
    show_default=True,
    help=f"Any of {', '.join(GROUPINGS)}, joined by commas.",
)
@click.option("--every", type=DURATION, help="Look at rolling windows this often, as 5m.")
@click.option(
    "--window",
    default="15m,60m,day",
    show_default=True,
    help="Windows, with --every: `day`, or a length as 15m.",
)
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
@click.option("--from", "from_time", metavar="TIME", help="Show only what is at TIME or later.")
@click.option("--to", "to_time", metavar="TIME", help="Show only what is before TIME.")
@settings_options
def report_command(**given: Any) -> None:  # noqa: ANN401 # click hands over what was typed
    """Report the numbers of recorded events.

    FILE... are canonical events (JSON lines, also .gz, `-` for standard input), of several files
    the oldest first. Without --every the whole input is one interval, per queue and for all of them
    (`*`), or split by hour or day. With --bootstrap the topics of the settings are read instead of
    files, each partition from its first record to where it ends now.

    --from and --to choose what is shown: the counts that stand at the one moment or later and
    before the other, the ticks, with --visits the openings. The rest is known all the same: who was
    already waiting at --from, and what became after --to of those who came before. A tick knows
    what happened up to it.
    """
    _refuse_what_would_change_nothing(given)
    settings = settings_of(given["settings_file"], given["bootstrap"])
    options = _options(settings, given)
    with _parts(settings, options, given) as parts:
        if given["visits"]:
            rows = _visit_lines(parts, options)
        elif options.every_ms:
            rows = _narrowed(_tick_rows(parts, options), options.formulas)
        else:
            rows = _narrowed(_interval_rows(parts, options), options.formulas)
        WRITERS[given["form"]](rows, sys.stdout)


def _refuse_what_would_change_nothing(given: Mapping[str, Any]) -> None:
    """Stop at an option that has no say here, so that no figure is taken for what it is not.

    Raises:
        click.UsageError: there is one.
    """
    written = typed()
    for one, other, text in NOT_TOGETHER:
        if {one, other} <= written:
            raise click.UsageError(text)
    if "window" in written and "every" not in written:
        raise click.UsageError("--window: windows are looked at with --every, such as --every 5m")
    vain = [part for part in given["by"] if part not in ("queue", "channel")]
    if "every" in written and vain:
        raise click.UsageError(f"--by {vain[0]}: with --every rows are by queue and channel")


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
    zone = policies.queue("", "voice", 0).zone
    return Options(
        policies=policies,
        limits=Limits(
            settings.rest_ms, settings.allowed_lateness_ms, settings.max_events_per_contact
        ),
        zone=zone,
        by=given["by"],
        by_arrival=given["attribute"] == "arrival",
        span=_span(given["from_time"], given["to_time"], zone),
        every_ms=every_ms,
        windows={name: _window(name, tick_ms) for name in names if name != DAY},
        days=DAY in names,
        formulas=(given["formula"],) if given["formula"] else FORMULA_IDS,
        tick_ms=tick_ms,
    )


def _span(from_time: str | None, to_time: str | None, zone: tzinfo) -> Span:
    span = Span()
    if from_time is not None:
        span = span._replace(from_ms=read_moment(from_time, zone))
    if to_time is not None:
        span = span._replace(to_ms=read_moment(to_time, zone))
    if span.from_ms >= span.to_ms:
        raise click.UsageError(f"--to: {to_time!r}: expected a time after --from {from_time!r}")
    return span


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


@dataclass(slots=True)
class LeftOut:
    """Records that are in no figure.

    Attributes:
        unreadable: no event could be made of them.
        late: beyond the allowed lateness when they came.
        future: further ahead of their arrival than any clock may be.
    """

    unreadable: int = 0
    late: int = 0
    future: int = 0

    def tell(self, lateness_ms: int, hint: str) -> None:
        """Say how many there are and why, if there are any, and *hint*."""
        counts = {
            "cannot be read": self.unreadable,
            f"came more than {write_duration(lateness_ms)} late (allowed_lateness)": self.late,
            f"lie more than {write_duration(FUTURE_MS)} ahead of their arrival": self.future,
        }
        reasons = ", ".join(f"{count:,} {why}" for why, count in counts.items() if count)
        if reasons:
            click.echo(f"floorwatch: records left out: {reasons}{hint}", err=True)


@contextlib.contextmanager
def _parts(
    settings: Settings, options: Options, given: Mapping[str, Any]
) -> Iterator[list[Iterator[Timed]]]:
    """The events of the files, or of each partition of the topics, as they arrived there."""
    left_out = LeftOut()
    decoder = Decoder(settings.max_record_bytes)
    lateness_ms = options.limits.lateness_ms
    hint = ""
    if given["bootstrap"]:
        from streams.recall import recalled  # noqa: PLC0415 # files need no Kafka client

        with recalled(kafka_access(settings), settings.topics.in_use()) as partitions:
            yield [_timed(records, decoder, lateness_ms, left_out) for records in partitions]
    elif given["files"]:
        hint = "; `floorwatch check FILE` says where"
        records = _recorded(given["files"], given["source_format"], options.zone)
        yield [_timed(records, decoder, lateness_ms, left_out)]
    else:
        raise click.UsageError(
            "name a FILE of recorded events, `-` for standard input, or --bootstrap for topics"
        )
    left_out.tell(lateness_ms, hint)


def _recorded(
    files: Iterable[str], source_format: SourceFormat, zone: tzinfo
) -> Iterator[tuple[None, bytes]]:
    for path in files:
        with bar(size_of(path), path) as on_bytes:
            for record in read_records(
                path, source_format=source_format, zone=zone, on_bytes=on_bytes
            ):
                yield None, record.value


def _timed(
    records: Iterable[tuple[int | None, bytes | None]],
    decoder: Decoder,
    lateness_ms: int,
    left_out: LeftOut,
) -> Iterator[Timed]:
    """The events of *records*, given as (timestamp, value), with their arrival.

    What has no timestamp, as in a file, arrives when the latest of them so far has happened.
    """
    arrival_ms = 0
    for record_ms, value in records:
        if record_ms is not None and record_ms > arrival_ms:
            arrival_ms = record_ms
        try:
            event, time_ms = decoder.decode(value)
        except Unreadable:
            left_out.unreadable += 1
            continue
        if record_ms is None and time_ms > arrival_ms:
            arrival_ms = time_ms
        if arrival_ms - time_ms > lateness_ms:
            left_out.late += 1
        elif time_ms - arrival_ms > FUTURE_MS:
            left_out.future += 1
        yield Timed(event, time_ms, arrival_ms)


# -- rows --------------------------------------------------------------------------------------


def _interval_rows(parts: Iterable[Iterable[Timed]], options: Options) -> Iterator[Entry]:
    report = IntervalReport(
        options.policies,
        zone=options.zone,
        by=options.by,
        by_arrival=options.by_arrival,
        span=options.span,
        limits=options.limits,
    )
    for number, part in enumerate(parts):
        for event, time_ms, arrival_ms in part:
            report.accept(event, time_ms, arrival_ms, number)
    return report.rows()


def _tick_rows(parts: Iterable[Iterable[Timed]], options: Options) -> Iterator[Entry]:
    report = TickReport(
        options.policies,
        zone=options.zone,
        every_ms=options.every_ms or options.tick_ms,
        windows=options.windows,
        days=options.days,
        by=options.by,
        by_arrival=options.by_arrival,
        span=options.span,
        tick_ms=options.tick_ms,
        limits=options.limits,
    )
    return report.rows(*parts)


def _visit_lines(parts: Iterable[Iterable[Timed]], options: Options) -> Iterator[Entry]:
    lines: list[Entry] = []

    def on_visit(life: Life, visit: Visit) -> None:
        lines.append(visit_line(life, visit, options.zone))

    report = IntervalReport(
        options.policies,
        zone=options.zone,
        span=options.span,
        limits=options.limits,
        on_visit=on_visit,
    )
    for number, part in enumerate(parts):
        for event, time_ms, arrival_ms in part:
            report.accept(event, time_ms, arrival_ms, number)
            yield from lines
            lines.clear()
    for _ in report.rows():
        pass
    yield from lines


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
