"""`/metrics`: the floor, the stream and the process as Prometheus reads them.

Every figure comes from the core, as the API shows it; here it becomes text. Pages are written for
a floor of a thousand queues while a worker is at work, so whatever did not change since the last
page is not written again.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from schemas import metric_names as m
from schemas.codec import REJECTIONS
from streams.core.floor import Floor
from streams.core.frame import Key
from streams.core.policy import PolicyBook
from streams.exposition_queues import (
    CHANNEL_METRICS,
    QUEUE_METRICS,
    ChannelText,
    QueueText,
    Texts,
)
from streams.exposition_text import Labelled, exported_edges, head, line, samples, seconds, series

_HEADS: Final = {metric: head(metric) for metric in m.ALL}

Page = dict[m.Metric, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What a worker knows of its own stream; these figures add up over workers.

    Attributes:
        events_total: events read, by (topic, event type).
        rejected: records that are no event or lie in the future, by reason.
        shortened: rejected records of which only the first part was kept.
        ignored: events that count nowhere, by (topic, reason).
        unknown_fields: fields met that no event type has, by topic.
        unmatched: outcomes without an open visit, by topic.
        duplicates: events met before, by source.
        conflicting: those of them with other content, by source.
        late: events kept out for being late, by topic.
        event_lag_s: how far the last record read is behind now, by (topic, partition).
        lag_records: records not read yet, by (topic, partition).
        snapshot_age_s: age of the newest snapshot, by (topic, partition).
        missed: records gone before they were read, by topic.
        recreated: partitions that have begun anew, by topic.
        rebuilds: how often state could not be used and was rebuilt, by reason.
        policy_reload_failed: the policy on disk cannot be read and the last one holds.
        policy_changes_refused: values of the policy on disk that stay as they were.
        floor_partial: a partition of the floor is missing.
    """

    events_total: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rejected: Mapping[str, int] = field(default_factory=dict)
    shortened: int = 0
    ignored: Mapping[tuple[str, str], int] = field(default_factory=dict)
    unknown_fields: Mapping[str, int] = field(default_factory=dict)
    unmatched: Mapping[str, int] = field(default_factory=dict)
    duplicates: Mapping[str, int] = field(default_factory=dict)
    conflicting: Mapping[str, int] = field(default_factory=dict)
    late: Mapping[str, int] = field(default_factory=dict)
    event_lag_s: Mapping[tuple[str, int], float] = field(default_factory=dict)
    lag_records: Mapping[tuple[str, int], int] = field(default_factory=dict)
    snapshot_age_s: Mapping[tuple[str, int], float] = field(default_factory=dict)
    missed: Mapping[str, int] = field(default_factory=dict)
    recreated: Mapping[str, int] = field(default_factory=dict)
    rebuilds: Mapping[str, int] = field(default_factory=dict)
    policy_reload_failed: bool = False
    policy_changes_refused: int = 0
    floor_partial: bool = False


class Exposition:
    """Writes the pages of one worker."""

    def __init__(
        self,
        policies: PolicyBook,
        *,
        metric_windows: Sequence[str] = ("15m", "60m", "day"),
        version: str,
        registry: CollectorRegistry | None = None,
    ) -> None:
        """Prepare for floors that were merged with *policies*.

        Args:
            policies: what the floors are judged by.
            metric_windows: the windows to show.
            version: floorwatch's own.
            registry: what stands at the end of every page; the process and its Python without one.
        """
        self._policies = policies
        self._windows = tuple(metric_windows)
        self._edges_ms = exported_edges(policies.thresholds_ms())
        self._registry = _process_registry() if registry is None else registry
        self._build_info = line(series(m.BUILD_INFO, version, platform.python_version()), 1)
        self._channels: dict[Key, ChannelText] = {}
        self._queues: dict[str, QueueText] = {}

    def take_policy(self, policies: PolicyBook) -> None:
        """Go on under *policies*."""
        self._policies = policies
        edges_ms = exported_edges(policies.thresholds_ms())
        if edges_ms != self._edges_ms:
            self._edges_ms = edges_ms
            self._channels = {}

    def render(self, floor: Floor, pipeline: Pipeline, *, show_floor: bool) -> bytes:
        """A page in the text format 0.0.4.

        Args:
            floor: the floor as it stands.
            pipeline: what this worker knows of its own stream.
            show_floor: False before the first catch-up, when no figure of the floor is one yet.
        """
        page = _of_pipeline(pipeline)
        page[m.BUILD_INFO] = self._build_info
        if show_floor:
            page |= self._of_floor(floor)
        shown = [metric for metric in m.ALL if page.get(metric)]
        text = "".join([part for metric in shown for part in (_HEADS[metric], page[metric])])
        return text.encode() + generate_latest(self._registry)

    def _of_floor(self, floor: Floor) -> Page:
        sources = {name: seconds(last_ms) for name, last_ms in floor.sources.last_ms.items()}
        limits = {name: seconds(limit_ms) for name, limit_ms in floor.silence_limits_ms.items()}
        return {
            **_columns(CHANNEL_METRICS, self._of_channels(floor)),
            **_columns(QUEUE_METRICS, self._of_queues(floor)),
            m.SOURCE_LAST_EVENT: samples(m.SOURCE_LAST_EVENT, sources),
            m.SOURCE_SILENCE_LIMIT: samples(m.SOURCE_SILENCE_LIMIT, limits),
        }

    def _of_channels(self, floor: Floor) -> list[Texts]:
        known = self._channels
        rows = []
        for key, queue in floor.queues.items():
            text = known.get(key)
            if text is None:
                text = known[key] = ChannelText(key, self._edges_ms, self._windows)
            rows.append(text.write(queue, self._policies, floor.now_ms))
        if len(known) > len(rows):
            self._channels = {key: known[key] for key in floor.queues}
        return rows

    def _of_queues(self, floor: Floor) -> list[Texts]:
        known, self._queues = self._queues, {}
        rows = []
        for name, channels in groupby(floor.queues.values(), lambda queue: queue.queue):
            text = self._queues[name] = known.get(name) or QueueText(name)
            rows.append(text.write(list(channels), floor.now_ms))
        return rows


def _columns(metrics: Iterable[m.Metric], rows: Sequence[Texts]) -> Page:
    """The text of each metric, over all queues."""
    if not rows:
        return {}
    columns = map("".join, zip(*rows, strict=True))
    return dict(zip(metrics, columns, strict=True))


def _of_pipeline(pipeline: Pipeline) -> Page:
    labelled: dict[m.Metric, Labelled] = {
        m.EVENTS: pipeline.events_total,
        m.EVENTS_REJECTED: dict.fromkeys(REJECTIONS, 0) | dict(pipeline.rejected),
        m.EVENTS_IGNORED: pipeline.ignored,
        m.UNKNOWN_FIELDS: pipeline.unknown_fields,
        m.OUTCOMES_UNMATCHED: pipeline.unmatched,
        m.DUPLICATES: pipeline.duplicates,
        m.DUPLICATES_CONFLICTING: pipeline.conflicting,
        m.LATE_EVENTS: pipeline.late,
        m.EVENT_LAG: pipeline.event_lag_s,
        m.PARTITION_LAG: pipeline.lag_records,
        m.SNAPSHOT_AGE: pipeline.snapshot_age_s,
        m.STATE_REBUILDS: pipeline.rebuilds,
        m.EVENTS_MISSED: pipeline.missed,
        m.PARTITIONS_RECREATED: pipeline.recreated,
    }
    single = {
        m.POLICY_RELOAD_FAILED: int(pipeline.policy_reload_failed),
        m.POLICY_CHANGES_REFUSED: pipeline.policy_changes_refused,
        m.REJECTED_SHORTENED: pipeline.shortened,
        m.FLOOR_PARTIAL: int(pipeline.floor_partial),
    }
    return {
        **{metric: samples(metric, values) for metric, values in labelled.items()},
        **{metric: line(series(metric), value) for metric, value in single.items()},
    }


def _process_registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
