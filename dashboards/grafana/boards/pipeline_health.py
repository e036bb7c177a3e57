"""The health of the pipeline: for whoever runs floorwatch."""

from __future__ import annotations

from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.grafana import trust
from dashboards.grafana.board import Band, Slug, board
from dashboards.grafana.panels import (
    ANY_IS_WATCH,
    COUNT,
    DURATION,
    GOOD,
    SECONDS,
    TROUBLE,
    WATCH,
    Column,
    PanelBuilder,
    Query,
    lines,
    table,
    tile,
)
from dashboards.grafana.queries import ALL_QUEUES, INSTALLATION, largest, worker
from schemas import metric_names as m

floor = ALL_QUEUES

_BYTES = "bytes"
_PARTITION = "{{topic}} {{partition}}"


def pipeline_health(installation: str) -> Dashboard:
    """The board for an SRE."""
    return board(
        Slug.PIPELINE,
        installation,
        description="Whether what happens reaches the floor: in time, once, whole and by whom.",
        bands=[
            Band(
                4,
                [
                    (3, trust.workers()),
                    (3, trust.whole_floor()),
                    (3, _lag_now()),
                    (3, _snapshot_now()),
                    (3, _refused_now()),
                    (3, trust.unaccounted_for()),
                    (3, _rebuilds()),
                    (3, trust.policy_on_disk()),
                ],
            ),
            Band(
                8,
                [(8, trust.behind()), (8, _lag()), (8, _snapshots())],
                title="In time",
            ),
            Band(8, [(8, _events()), (8, trust.sources()), (8, _drift())], title="From where"),
            Band(
                8,
                [(6, _rejected()), (6, _ignored()), (6, _unmatched()), (6, _removed())],
                title="What was left out",
            ),
            Band(
                8,
                [(8, _repeated()), (8, _late()), (8, _corrections())],
                title="What came twice, late or otherwise",
            ),
            Band(
                8,
                [
                    (8, _versions()),
                    (4, _cpu()),
                    (4, _memory()),
                    (4, _scrape_time()),
                    (4, _samples()),
                ],
                title="The workers themselves",
            ),
        ],
    )


def _lag_now() -> PanelBuilder:
    return tile(
        "Furthest behind",
        "How far the last record read of the partition that is furthest behind is behind now.",
        Query(largest(m.EVENT_LAG), "behind"),
        unit=SECONDS,
        steps=((None, GOOD), (10, WATCH), (60, TROUBLE)),
        no_value="no worker",
        decimals=1,
    )


def _snapshot_now() -> PanelBuilder:
    return tile(
        "Oldest snapshot",
        "Age of the oldest of the newest snapshots: so much has to be read again after a crash.",
        Query(largest(m.SNAPSHOT_AGE), "old"),
        unit=SECONDS,
        steps=((None, GOOD), (60, WATCH), (300, TROUBLE)),
        no_value="none yet",
        decimals=0,
    )


def _refused_now() -> PanelBuilder:
    return tile(
        "Rejected in 15 min",
        "Records of the last 15 minutes that could not be read or lay in the future; each is kept"
        " on the topic of rejected records.",
        Query(worker(m.EVENTS_REJECTED, rate="increase", over="15m"), "rejected"),
        steps=ANY_IS_WATCH,
        no_value="no worker",
        decimals=0,
    )


def _rebuilds() -> PanelBuilder:
    return tile(
        "State rebuilt in 24 h",
        "Partitions whose snapshot could not be used in the last 24 hours, so that they were read"
        " from their beginning.",
        Query(
            f"{worker(m.STATE_REBUILDS, rate='increase', over='24h')} or vector(0)", "partitions"
        ),
        steps=ANY_IS_WATCH,
        decimals=0,
    )


def _lag() -> PanelBuilder:
    return lines(
        "Records not read yet, by partition",
        "Records of the partition that have not been read.",
        Query(largest(m.PARTITION_LAG, "topic", "partition"), _PARTITION),
        no_value="no worker",
    )


def _snapshots() -> PanelBuilder:
    return lines(
        "Age of the newest snapshot, by partition",
        "How long ago the newest snapshot held all that had been read.",
        Query(largest(m.SNAPSHOT_AGE, "topic", "partition"), _PARTITION),
        unit=SECONDS,
        no_value="none yet",
    )


def _events() -> PanelBuilder:
    return lines(
        "Events read a second, by type",
        "Events read from the topics.",
        Query(worker(m.EVENTS, "topic", "type", rate="rate"), "{{topic}} {{type}}"),
        decimals=1,
        stacked=True,
        no_value="no events",
    )


def _drift() -> PanelBuilder:
    return lines(
        "Waiting, ours less the source's own",
        "Visits waiting by our count, less those that the source itself reported within the last"
        " minute. What stays apart from 0 says that events are missing.",
        Query(f"abs({floor(m.WAITING_DRIFT)})", "{{queue}}"),
        no_value="no source reports it",
    )


def _rejected() -> PanelBuilder:
    return lines(
        "Rejected a minute, by reason",
        "Records that could not be read or lay in the future. Shortened: those of them too large"
        " to be kept whole.",
        Query(f"60 * {worker(m.EVENTS_REJECTED, 'reason', rate='rate')}", "{{reason}}"),
        Query(f"60 * {worker(m.REJECTED_SHORTENED, rate='rate')}", "shortened"),
        no_value="no worker",
        decimals=1,
    )


def _ignored() -> PanelBuilder:
    return lines(
        "Ignored a minute, by reason",
        "Events that were read but count nowhere, by reason; and fields that no event type has.",
        Query(
            f"60 * {worker(m.EVENTS_IGNORED, 'topic', 'reason', rate='rate')}",
            "{{topic}} {{reason}}",
        ),
        Query(f"60 * {worker(m.UNKNOWN_FIELDS, 'topic', rate='rate')}", "{{topic}} unknown field"),
        no_value="none",
        decimals=1,
    )


def _unmatched() -> PanelBuilder:
    return lines(
        "Outcomes without a visit, a minute",
        "Outcomes of contacts that had no open visit to close: their queueing never came, or came"
        " under another key.",
        Query(f"60 * {worker(m.OUTCOMES_UNMATCHED, 'topic', rate='rate')}", "{{topic}}"),
        no_value="none",
        decimals=1,
    )


def _removed() -> PanelBuilder:
    return lines(
        "Removed unread, or made anew",
        "Records that the broker had removed before they were read, and partitions that have begun"
        " anew, in the 15 minutes before each moment. What those records said is unknown.",
        Query(
            worker(m.EVENTS_MISSED, "topic", rate="increase", over="15m"),
            "{{topic}} records missed",
        ),
        Query(
            worker(m.PARTITIONS_RECREATED, "topic", rate="increase", over="15m"),
            "{{topic}} partitions begun anew",
        ),
        no_value="none",
        decimals=0,
    )


def _repeated() -> PanelBuilder:
    return lines(
        "Duplicates a minute, by source",
        "Events whose source and id had been met before: they change nothing. Conflicting: those"
        " of them with other content.",
        Query(f"60 * {worker(m.DUPLICATES, 'source', rate='rate')}", "{{source}}"),
        Query(
            f"60 * {worker(m.DUPLICATES_CONFLICTING, 'source', rate='rate')}",
            "{{source}} conflicting",
        ),
        no_value="none",
        decimals=1,
    )


def _late() -> PanelBuilder:
    return lines(
        "Too late, a minute",
        "Events kept out because they were older than the allowed lateness. Whatever is late by"
        " less is counted where it belongs, and shows among the corrections.",
        Query(f"60 * {worker(m.LATE_EVENTS, 'topic', rate='rate')}", "{{topic}}"),
        no_value="none",
        decimals=1,
    )


def _corrections() -> PanelBuilder:
    moved = floor(m.CORRECTIONS, rate="increase", over="15m")
    return lines(
        "Corrections in 15 min, by class",
        "Visits and contacts that late or repeated events moved from one class to another.",
        Query(f"sum by (from, to) ({moved})", "{{from}} to {{to}}"),
        no_value="none",
        decimals=0,
    )


def _versions() -> PanelBuilder:
    started = f"max by (instance) (process_start_time_seconds{{{INSTALLATION}}})"
    build = f"max by (instance, version, python) ({m.BUILD_INFO.name}{{{INSTALLATION}}})"
    return table(
        "What runs where",
        "Each worker, what runs there, and for how long.",
        Column(
            "Runs for", f"(time() - {started}) * on (instance) group_right () {build}", DURATION
        ),
        labels={"instance": "Worker", "version": "Version", "python": "Python"},
        sort_by="Runs for",
        no_value="no worker",
    )


def _cpu() -> PanelBuilder:
    used = f"rate(process_cpu_seconds_total{{{INSTALLATION}}}[$__rate_interval])"
    return lines(
        "Cores used",
        "Processor time of each worker, in cores.",
        Query(f"max by (instance) ({used})", "{{instance}}"),
        no_value="no worker",
        decimals=2,
    )


def _memory() -> PanelBuilder:
    return lines(
        "Memory",
        "Resident memory of each worker.",
        Query(
            f"max by (instance) (process_resident_memory_bytes{{{INSTALLATION}}})", "{{instance}}"
        ),
        unit=_BYTES,
        no_value="no worker",
    )


def _scrape_time() -> PanelBuilder:
    return lines(
        "Time of a scrape",
        "How long Prometheus needs to read each worker.",
        Query(f"max by (instance) (scrape_duration_seconds{{{INSTALLATION}}})", "{{instance}}"),
        unit=SECONDS,
        no_value="no worker",
    )


def _samples() -> PanelBuilder:
    return lines(
        "Series",
        "Series that each worker exports: at most 200 for each queue and channel at defaults.",
        Query(f"max by (instance) (scrape_samples_scraped{{{INSTALLATION}}})", "{{instance}}"),
        unit=COUNT,
        no_value="no worker",
    )
