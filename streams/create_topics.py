"""`floorwatch create-topics`: every topic of an installation, made once and looked over later."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from streams.core.durations import FORMS, read_duration
from streams.findings import Finding, Level, tell
from streams.kafka_access import kafka_access
from streams.kafka_admin import NotAllowed
from streams.parameters import Written, settings_of, settings_options, typed
from streams.topics import (
    COPIES,
    KEEPS_ALL,
    PARTITIONS,
    Plan,
    Topic,
    look,
    make,
    own_topics,
    plans,
)

_FOR_EVER: Final = "off"
_LOSES: Final = "cleanup.policy"
"""The one setting whose other value loses what is needed; any other one works somehow."""


def read_retention(text: str) -> int:
    """Milliseconds for which records are kept; `KEEPS_ALL` for `off`.

    Raises:
        ValueError: it is no duration, or none at all.
    """
    if text == _FOR_EVER:
        return KEEPS_ALL
    try:
        kept_ms = read_duration(text)
    except ValueError:
        raise ValueError(f"expected {FORMS}, or off") from None
    if kept_ms == 0:
        raise ValueError("expected a duration longer than 0s, or off")
    return kept_ms


@click.command(
    "create-topics",
    epilog="""\b
Examples:
  floorwatch create-topics --settings floorwatch.yaml
  floorwatch create-topics --bootstrap kafka:9092 --partitions 12 --replication-factor 3
      --min-insync-replicas 2 --retention 14d

\b
Exit codes: 0 all topics are there, whether made now or before, also where some differ from what is
asked; 1 one that was there loses what is needed (FAIL), 2 a wrong option, setting or file,
3 no Kafka or none that lets us in, or it refuses to make one.""",
)
@click.option(
    "--partitions",
    type=click.IntRange(1, 1000),
    default=PARTITIONS,
    show_default=True,
    metavar="N",
    help="Of each topic of events. Choose well: more of them later stop the workers.",
)
@click.option(
    "--replication-factor",
    "copies",
    type=click.IntRange(1, 100),
    metavar="N",
    help=f"Copies of each partition; else {COPIES}, or as many as there are brokers.",
)
@click.option(
    "--min-insync-replicas",
    type=click.IntRange(1, 100),
    metavar="N",
    help="Copies that have to have a record before it counts as written; else as the brokers say.",
)
@click.option(
    "--retention",
    "retention_ms",
    type=Written("duration", read_retention),
    default=_FOR_EVER,
    show_default=True,
    metavar="DURATION",
    help="How long events and rejected records are kept, 7d or more; off for ever.",
)
@settings_options
def create_topics_command(
    partitions: int,
    copies: int | None,
    min_insync_replicas: int | None,
    retention_ms: int,
    settings_file: Path | None,
    bootstrap: str | None,
) -> int:
    """Create the topics of events in use, and NAME.state, NAME.floor, NAME.rejected.

    What is there is never changed: a line says where it differs and how to change it, so a second
    run changes nothing. State and floor are compacted; their records are never removed by age.
    """
    settings = settings_of(settings_file, bootstrap)
    kafka = kafka_access(settings)
    cluster = look(kafka, [*settings.topics.in_use(), *own_topics(settings)])
    factor = copies or min(COPIES, cluster.brokers)
    if min_insync_replicas is not None and min_insync_replicas > factor:
        raise click.UsageError(
            f"--min-insync-replicas {min_insync_replicas} of {factor} copies: nothing could ever "
            "be written; ask for as many copies, or for fewer in sync"
        )
    planned = plans(
        settings,
        partitions,
        there=cluster.topics,
        retention_ms=retention_ms,
        min_insync_replicas=min_insync_replicas,
    )
    if cluster.hidden:
        names = ", ".join(sorted(cluster.hidden))
        raise NotAllowed(
            f"this user may not see whether these topics are there: {names}; it needs Create, "
            "Describe and DescribeConfigs on them"
        )
    made = make(kafka, cluster, planned, copies=copies)
    asked = frozenset(
        name
        for option, name in (("retention_ms", "retention.ms"), ("copies", "copies"))
        if option in typed()
    )
    return tell(_found(planned, cluster.topics, made, asked, copies))


def _found(
    planned: Mapping[str, Plan],
    there: Mapping[str, Topic],
    made: list[str],
    asked: frozenset[str],
    copies: int | None,
) -> Iterator[Finding]:
    """A line of each topic."""
    for name, plan in planned.items():
        if name in made:
            yield Finding("ok", f"topic {name}: created, partitions: {plan.partitions}")
        else:
            yield _difference(name, plan, there[name], asked, copies)


def _difference(
    name: str, plan: Plan, topic: Topic, asked: frozenset[str], copies: int | None
) -> Finding:
    """What of *topic*, which was there before, is not as planned."""
    differ: list[str] = []
    level: Level = "ok"
    if topic.partitions != plan.partitions:
        differ.append(
            f"partitions: {topic.partitions} instead of {plan.partitions} (never changed: the "
            "workers would stop; for that see floorwatch worker --accept-partitions)"
        )
    if copies is not None and topic.copies != copies:
        differ.append(
            f"copies: {topic.copies} instead of {copies} (kafka-reassign-partitions.sh changes it)"
        )
    others = [
        (key, wanted, topic.settings[key])
        for key, wanted in plan.settings.items()
        if topic.settings.get(key, wanted) != wanted and (key != "retention.ms" or key in asked)
    ]
    if others:
        differ += [f"{key}: {found} instead of {wanted}" for key, wanted, found in others]
        to_set = ",".join(f"{key}={wanted}" for key, wanted, _ in others)
        differ[-1] += (
            f" (kafka-configs.sh --alter --entity-type topics --entity-name {name} --add-config "
            f"{to_set})"
        )
    if differ:
        level = "FAIL" if any(key == _LOSES for key, *_ in others) else "warn"
        return Finding(level, f"topic {name}: it was there and differs: {'; '.join(differ)}")
    unseen = "" if topic.settings else "; this user may not see its settings"
    return Finding(level, f"topic {name}: it was there, as asked{unseen}")
