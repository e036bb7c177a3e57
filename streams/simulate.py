"""`floorwatch simulate`: a contact centre that never was, sent to Kafka or written to a file."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from datetime import tzinfo
from pathlib import Path
from typing import BinaryIO, Final, cast

import click

from streams.kafka_access import kafka_access
from streams.parameters import (
    DURATION,
    SPEED,
    ZONE,
    Written,
    create_topics_option,
    read_moment,
    settings_of,
    settings_options,
)
from streams.producing import Outlet, Producer
from streams.progress import bar
from streams.simulator import Delivery, Incident, Simulation, default_centre, parse_incident
from streams.simulator.incidents import KINDS
from streams.topics import ensure_topics
from streams.wall_clock import wall_clock_ms

STEP_S: Final = 0.1
EXIT_REFUSED: Final = 1
_INCIDENT: Final = Written("incident", parse_incident)


def play(simulation: Simulation, outlet: Outlet, until_ms: int | None) -> None:
    """Send what happens before *until_ms*, or all there is; each record is stamped as it is sent.

    Raises:
        BrokerUnreachable: Kafka has stopped answering.
    """
    for at_ms, topic, key, value in simulation.run(until_ms):
        outlet.send(topic, key, value, at_ms)
    outlet.producer.push()


def lines(deliveries: Iterable[Delivery]) -> Iterator[bytes]:
    """What a recording of *deliveries* holds: each record once, however many topics it went to."""
    last = b""
    for delivery in deliveries:
        if delivery.key is None and delivery.value is last:
            continue
        last = delivery.value
        yield last + b"\n"


@click.command(
    "simulate",
    epilog=f"""\b
Examples:
  floorwatch simulate --past 1h
  floorwatch simulate --rate 10 --incident agents-out@10m --incident surge@20m/5m:sales
  floorwatch simulate --seed 7 --from 2026-11-24T09:00:00Z --for 30m --to-file half-hour.jsonl

\b
Incidents are written KIND@START[/DURATION][:QUEUE]; START counts from the beginning. Kinds:
{", ".join(KINDS)}

\b
Exit codes: 0 done, 1 Kafka refused some records, 2 a wrong option or setting,
3 no Kafka or no topic, 130 interrupted.""",
)
@click.option("--seed", type=int, default=1, show_default=True, help="The same, the same events.")
@click.option("--rate", type=float, default=1.0, show_default=True, help="Size of the centre.")
@click.option(
    "--incident", "incidents", type=_INCIDENT, multiple=True, help="What goes wrong; repeatable."
)
@click.option("--for", "length_ms", type=DURATION, help="Stop after so long; else at Ctrl-C.")
@click.option("--past", "past_ms", type=DURATION, default="0s", help="So much is played at once.")
@click.option("--from", "begins", metavar="TIME", help="Where it begins; else now, less the past.")
@click.option("--speed", type=SPEED, default="1x", help="Such as 60x, or max.  [default: 1x]")
@click.option("--tz", "zone", type=ZONE, default="UTC", help="Zone of the centre's working day.")
@click.option(
    "--to-file",
    type=click.Path(dir_okay=False, allow_dash=True),
    metavar="FILE",
    help="Write canonical events there (`-` is standard output), not to Kafka.",
)
@create_topics_option
@settings_options
def simulate_command(
    seed: int,
    rate: float,
    incidents: tuple[Incident, ...],
    length_ms: int | None,
    past_ms: int,
    begins: str | None,
    speed: float | None,
    zone: tzinfo,
    to_file: str | None,
    partitions: int,
    settings_file: Path | None,
    bootstrap: str | None,
) -> int:
    """Send the events of a believable contact centre to Kafka, as they happen.

    Six queues on four channels, with a daily curve, patience, skills, transfers, a bot before the
    chat and a backlog of mail. The same seed, beginning and options give the same events.
    """
    now_ms = wall_clock_ms()
    start_ms = now_ms - past_ms if begins is None else read_moment(begins, zone)
    live_ms = start_ms + past_ms
    end_ms = None if length_ms is None else live_ms + length_ms
    if end_ms is None and speed is None and to_file is None:
        raise click.UsageError("--speed max needs an end: add --for, such as --for 30m")
    if end_ms is None and to_file not in (None, "-"):
        raise click.UsageError("--to-file needs an end: add --for, such as --for 30m")
    try:
        simulation = Simulation(
            default_centre(zone),
            seed=seed,
            start_ms=start_ms,
            end_ms=end_ms,
            rate=rate,
            incidents=incidents,
        )
    except ValueError as wrong:
        raise click.UsageError(str(wrong)) from None
    if to_file is not None:
        with click.open_file(to_file, "wb") as file:
            cast(BinaryIO, file).writelines(lines(simulation.run()))
        return 0
    settings = settings_of(settings_file, bootstrap)
    kafka = kafka_access(settings)
    topics = ensure_topics(settings, partitions, any_time=True)
    with Producer(kafka, topics) as producer:
        outlet = Outlet(producer, settings.topics)
        play(simulation, outlet, live_ms)
        if speed is not None:
            _play_live(simulation, outlet, live_ms, end_ms, speed)
        if end_ms is not None:
            play(simulation, outlet, None)
        producer.finish()
    click.echo(f"sent {outlet.given:,} records to {settings.bootstrap}")
    for reason, count in producer.refused.items():
        click.echo(f"floorwatch: Kafka refused {count:,} records: {reason}", err=True)
    return EXIT_REFUSED if producer.refused else 0


def _play_live(
    simulation: Simulation, outlet: Outlet, live_ms: int, end_ms: int | None, speed: float
) -> None:
    """Play from *live_ms* on as time passes, up to *end_ms* or for ever."""
    began_s = time.monotonic()
    length_ms = None if end_ms is None else end_ms - live_ms
    with bar(length_ms, "simulating") as reach:
        passed_ms = 0
        while length_ms is None or passed_ms < length_ms:
            time.sleep(STEP_S)
            passed_ms = int((time.monotonic() - began_s) * 1000 * speed)
            if length_ms is not None:
                passed_ms = min(passed_ms, length_ms)
            play(simulation, outlet, live_ms + passed_ms)
            if reach is not None:
                reach(passed_ms)
