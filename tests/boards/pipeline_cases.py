"""When whoever runs floorwatch is told, and when not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from tests.boards.page_cases import NOBODY, SALES
from tests.support.rule_cases import (
    NOW,
    Case,
    Course,
    Rising,
    Series,
    floor,
    line,
    place,
    stream,
    written,
)

JOB: Final = {"job": "floorwatch"}
HERE: Final = (JOB,)
PBX: Final = ({**JOB, "source": "pbx"},)
CALLS: Final = ({**JOB, "topic": "calls"},)
FIRST: Final = ({**JOB, "topic": "calls", "partition": "0"},)


def _all(*parts: Series) -> dict[str, Course]:
    return {selector: course for part in parts for selector, course in part.items()}


def elsewhere(name: str, course: Course, **labels: str) -> dict[str, Course]:
    """A series of two other installations."""
    part = stream(name, course, **labels)
    return {
        selector.replace("{", f"{{{place},"): course
        for selector, course in part.items()
        for place in ('cluster="eu"', 'namespace="cc"')
    } | {s.replace('job="floorwatch"', 'job="other"'): c for s, c in part.items()}


def _of(alert: str, story: str, series: Series, raised: Mapping[int, tuple[Any, ...]]) -> Case:
    return Case(alert, story, series, raised)


# -- sources -------------------------------------------------------------------------------------


def source(
    last: Course, limit_s: float | None = 90, *, instance: str = "a", name: str = "pbx"
) -> dict[str, Course]:
    """A source that was last heard then, and may be silent for so long."""
    limit = stream("source_silence_limit_seconds", limit_s, instance=instance, source=name)
    return stream("source_last_event_timestamp_seconds", last, instance=instance, source=name) | (
        {} if limit_s is None else limit
    )


SILENT: Final[Course] = {0: NOW, 60: 60}
LAG: Final = "event_lag_seconds"

SOURCES: Final = (
    _of(
        "SourceStale",
        "two minutes after its silence has become too long, until it is heard again",
        source({0: NOW, 60: 60, 600: NOW}),
        {150: NOBODY, 270: NOBODY, 285: PBX, 585: PBX, 600: NOBODY},
    ),
    _of("SourceStale", "not where silence means nothing", source(SILENT, None), {900: NOBODY}),
    _of(
        "SourceStale",
        "not while a worker knows it to be alive",
        source(SILENT) | source(NOW, instance="b"),
        {900: NOBODY},
    ),
    _of(
        "SourceStale",
        "by the longer limit",
        source(SILENT, 600) | source(SILENT, instance="b"),
        {660: NOBODY, 780: NOBODY, 795: PBX},
    ),
    _of(
        "SourceStale",
        "each by itself",
        source(SILENT) | source(NOW, name="desk"),
        {285: PBX},
    ),
    _of(
        "SourceStale",
        "not while what was sent may not have been read",
        source(SILENT) | stream(LAG, 61, topic="calls", partition="0"),
        {900: NOBODY},
    ),
    _of(
        "SourceStale",
        "not while any partition is behind",
        source(SILENT)
        | stream(LAG, 61, topic="calls", partition="0")
        | stream(LAG, 0, topic="calls", partition="1"),
        {900: NOBODY},
    ),
    _of(
        "SourceStale",
        "while partitions are read to their ends, whatever holds elsewhere",
        source(SILENT)
        | stream(LAG, 60, topic="calls", partition="0")
        | elsewhere(LAG, 600, topic="calls", partition="0")
        | elsewhere("source_last_event_timestamp_seconds", NOW, source="pbx")
        | elsewhere("source_silence_limit_seconds", 9000, source="pbx"),
        {285: PBX},
    ),
)

# -- reading -------------------------------------------------------------------------------------


def partition(
    lag: Course, behind_s: Course, *, number: str = "0", **labels: str
) -> dict[str, Course]:
    """A partition with so many records unread, and so far behind now."""
    at = {"topic": "calls", "partition": number, **labels}
    return stream("partition_lag_records", lag, **at) | stream(LAG, behind_s, **at)


DRAIN: Final = (
    _of(
        "LagCannotDrain",
        "after five minutes of a lag that grows, until it falls fast enough",
        partition({0: 0, 60: Rising(1), 900: Rising(-4, 3000)}, {0: 0, 60: 61}),
        {75: NOBODY, 345: NOBODY, 375: FIRST, 1170: FIRST, 1185: NOBODY},
    ),
    _of("LagCannotDrain", "while it stays as it is", partition(1000, 61), {315: FIRST}),
    _of(
        "LagCannotDrain",
        "while it falls too slowly",
        partition(Rising(-1, 2000), 61),
        {600: FIRST},
    ),
    _of(
        "LagCannotDrain",
        "not while it will be gone in a quarter of an hour",
        partition(Rising(-1, 1400), 61),
        {600: NOBODY},
    ),
    _of("LagCannotDrain", "not a minute behind", partition(1000, 60), {900: NOBODY}),
    _of("LagCannotDrain", "not without a record unread", partition(0, 61), {900: NOBODY}),
    _of(
        "LagCannotDrain",
        "by the trend of five minutes and no more",
        partition({0: 0, 600: Rising(-1, 700)}, {0: 0, 600: 61}),
        {885: NOBODY, 945: NOBODY, 1200: NOBODY},
    ),
    _of(
        "LagCannotDrain",
        "by the trend of five minutes and no less",
        partition({0: Rising(1), 600: Rising(-1, 600)}, 61),
        {600: FIRST, 750: FIRST, 1005: NOBODY},
    ),
    _of(
        "LagCannotDrain",
        "as long as it takes a quarter of an hour and a moment",
        partition(Rising(-1, 1215.5), 61),
        {300: NOBODY, 315: FIRST},
    ),
    _of(
        "LagCannotDrain",
        "not when it takes a quarter of an hour less a moment",
        partition(Rising(-1, 1214.5), 61),
        {315: NOBODY, 330: NOBODY},
    ),
    _of(
        "LagCannotDrain",
        "each partition and installation by itself",
        partition(1000, 61)
        | partition(0, 0, number="1")
        | partition(0, 0, topic="chats")
        | elsewhere("partition_lag_records", 0, topic="calls", partition="0")
        | elsewhere(LAG, 0, topic="calls", partition="0"),
        {600: FIRST},
    ),
    _of(
        "LagCannotDrain",
        "by the worker that is worse off",
        partition(1000, 61) | partition(0, 0, instance="b"),
        {600: FIRST},
    ),
)


def events(per_s: Course, **labels: str) -> dict[str, Course]:
    """So many events read of a topic."""
    return stream("events_total", per_s, **{"topic": "calls", "type": "contact.queued", **labels})


def rejected(total: Course, **labels: str) -> dict[str, Course]:
    """So many records rejected."""
    return stream("events_rejected_total", total, **{"reason": "not_json", **labels})


UNREAD: Final = "partition_lag_records"
HALTS: Final[Course] = {0: Rising(1), 300: 300}
STALLED: Final = (
    _of(
        "Stalled",
        "two minutes after nothing was read for two minutes, until something is",
        stream(UNREAD, 1, topic="calls", partition="0")
        | events({0: Rising(1), 300: 300, 900: Rising(1, 305)})
        | rejected(100),
        {420: NOBODY, 510: NOBODY, 525: CALLS, 885: CALLS, 915: NOBODY},
    ),
    _of(
        "Stalled",
        "not with nothing to read",
        stream(UNREAD, 0, topic="calls", partition="0") | events(HALTS),
        {900: NOBODY},
    ),
    _of(
        "Stalled",
        "not while records are rejected",
        stream(UNREAD, 1, topic="calls", partition="0") | events(HALTS) | rejected(Rising(1)),
        {900: NOBODY},
    ),
    _of(
        "Stalled",
        "two minutes after nothing was rejected for two minutes",
        stream(UNREAD, 1, topic="calls", partition="0")
        | events(0)
        | rejected({0: Rising(1), 300: 300}),
        {420: NOBODY, 510: NOBODY, 525: CALLS},
    ),
    _of(
        "Stalled",
        "not a slow one",
        stream(UNREAD, 1, topic="calls", partition="0") | events(Rising(0.02)),
        {900: NOBODY},
    ),
    _of(
        "Stalled",
        "by all partitions, types and workers of a topic together",
        stream(UNREAD, 0, topic="calls", partition="0")
        | stream(UNREAD, 1, topic="calls", partition="1", instance="b")
        | events(0)
        | events(0, type="contact.left")
        | events(Rising(1), topic="chats")
        | stream(UNREAD, 5, topic="chats", partition="0")
        | elsewhere("events_total", Rising(1), topic="calls", type="contact.queued")
        | elsewhere("events_rejected_total", Rising(1), reason="not_json"),
        {900: CALLS},
    ),
    _of(
        "Stalled",
        "not while one type or worker goes on",
        stream(UNREAD, 1, topic="calls", partition="0")
        | events(0)
        | events(Rising(1), type="contact.left", instance="b"),
        {900: NOBODY},
    ),
    _of(
        "Stalled",
        "not while one reason to reject goes on",
        stream(UNREAD, 1, topic="calls", partition="0")
        | events(0)
        | rejected(0)
        | rejected(Rising(1), reason="future"),
        {900: NOBODY},
    ),
)

REJECTS: Final = (
    _of(
        "RejectsSurge",
        "after five minutes, until the last five are better",
        events(Rising(1)) | rejected({0: Rising(0.1), 300: 30}),
        {300: NOBODY, 315: HERE, 540: HERE, 600: NOBODY, 750: NOBODY},
    ),
    _of(
        "RejectsSurge",
        "not at one in a hundred",
        events(Rising(99 / 15)) | rejected(Rising(1 / 15)),
        {900: NOBODY},
    ),
    _of(
        "RejectsSurge",
        "not just below it",
        events(Rising(0.9905)) | rejected(Rising(0.0095)),
        {900: NOBODY},
    ),
    _of(
        "RejectsSurge",
        "just above it",
        events(Rising(0.9895)) | rejected(Rising(0.0105)),
        {900: HERE},
    ),
    _of("RejectsSurge", "when nothing can be read", rejected(Rising(1)), {900: HERE}),
    _of("RejectsSurge", "not when nothing comes", events(100) | rejected(100), {900: NOBODY}),
    _of(
        "RejectsSurge",
        "by all reasons, topics and workers together, each installation by itself",
        events(Rising(0.4))
        | events(Rising(0.4), topic="chats", instance="b")
        | rejected(Rising(0.006))
        | rejected(Rising(0.006), reason="future", instance="b")
        | elsewhere("events_total", Rising(100), topic="calls", type="contact.queued")
        | elsewhere("events_rejected_total", 0, reason="not_json"),
        {900: HERE},
    ),
    _of(
        "RejectsSurge",
        "not by one worker alone",
        events(Rising(0.9), instance="b") | events(Rising(0.1)) | rejected(Rising(0.005)),
        {900: NOBODY},
    ),
    _of(
        "RejectsSurge",
        "not by how much the busiest reads alone",
        events(Rising(0.4)) | events(Rising(0.4), instance="b") | rejected(Rising(0.006)),
        {900: NOBODY},
    ),
    _of(
        "RejectsSurge",
        "by what came in five minutes, no more and no less",
        events({0: Rising(10), 300: Rising(0.1, 3000)}) | rejected(Rising(0.004)),
        {750: NOBODY, 1005: HERE},
    ),
)

# -- trust ---------------------------------------------------------------------------------------

VIOLATIONS: Final = "conservation_violations"
SNAPSHOT: Final = "snapshot_age_seconds"


def violations(count: Course, **labels: str) -> dict[str, Course]:
    """So many visits of a queue that are not accounted for."""
    at = place(instance="a", **labels)
    return stream(
        VIOLATIONS, count, **{k: v for k, v in at.items() if k not in ("job", "instance")}
    )


TRUST: Final = (
    _of(
        "ConservationViolated",
        "two minutes after the first visit, until it is right again",
        violations({0: 0, 60: 1, 600: 0}),
        {165: NOBODY, 180: SALES, 585: SALES, 600: NOBODY},
    ),
    _of(
        "ConservationViolated",
        "whichever worker finds it, each queue by itself",
        violations(1)
        | stream(VIOLATIONS, 0, instance="b", queue="sales", channel="voice")
        | violations(0, queue="care")
        | violations(0, channel="chat")
        | elsewhere(VIOLATIONS, 0, queue="sales", channel="voice"),
        {600: SALES},
    ),
    _of(
        "SnapshotOld",
        "three minutes after the age is too high, until there is one",
        stream(SNAPSHOT, {0: 5, 60: 121, 600: 5}, topic="calls", partition="0"),
        {225: NOBODY, 240: FIRST, 585: FIRST, 600: NOBODY},
    ),
    _of(
        "SnapshotOld",
        "not at two minutes",
        stream(SNAPSHOT, 120, topic="calls", partition="0"),
        {600: NOBODY},
    ),
    _of(
        "SnapshotOld",
        "each partition and installation by itself, by the worker that is worse off",
        stream(SNAPSHOT, 121, topic="calls", partition="0")
        | stream(SNAPSHOT, 0, topic="calls", partition="0", instance="b")
        | stream(SNAPSHOT, 0, topic="calls", partition="1")
        | stream(SNAPSHOT, 0, topic="chats", partition="0")
        | elsewhere(SNAPSHOT, 0, topic="calls", partition="0"),
        {600: FIRST},
    ),
    _of(
        "FloorPartial",
        "after two minutes, until it is whole",
        stream("floor_partial", {0: 0, 60: 1, 600: 0}),
        {165: NOBODY, 180: HERE, 585: HERE, 600: NOBODY},
    ),
    _of(
        "FloorPartial",
        "whichever worker finds it, each installation by itself",
        stream("floor_partial", 1)
        | stream("floor_partial", 0, instance="b")
        | elsewhere("floor_partial", 0),
        {600: HERE},
    ),
    *(
        case
        for name in ("policy_reload_failed", "policy_changes_refused")
        for case in (
            _of(
                "PolicyNotInForce",
                f"after five minutes of {name}, until there is none",
                stream(name, {0: 0, 60: 1, 600: 0}),
                {345: NOBODY, 360: HERE, 585: HERE, 600: NOBODY},
            ),
            _of(
                "PolicyNotInForce",
                f"by the worker that has {name}, each installation by itself",
                stream(name, 1) | stream(name, 0, instance="b") | elsewhere(name, 0),
                {600: HERE},
            ),
        )
    ),
    _of(
        "WaitingDrift",
        "after five minutes, until it is gone",
        line("waiting_drift", {0: 0, 60: 3, 600: 2}),
        {
            345: NOBODY,
            360: ({**JOB, "queue": "sales"},),
            585: ({**JOB, "queue": "sales"},),
            600: (),
        },
    ),
    _of("WaitingDrift", "not of two", line("waiting_drift", 2), {900: NOBODY}),
    _of(
        "WaitingDrift",
        "in either direction, each queue and installation by itself",
        line("waiting_drift", -3)
        | line("waiting_drift", 0, queue="care")
        | line("waiting_drift", 0, job="other")
        | line("waiting_drift", 0, namespace="cc")
        | line("waiting_drift", 0, cluster="eu"),
        {900: ({**JOB, "queue": "sales"},)},
    ),
    _of(
        "WaitingDrift",
        "by the worker that knows more",
        line("waiting_drift", 3) | line("waiting_drift", 0, instance="b"),
        {900: ({**JOB, "queue": "sales"},)},
    ),
)

# -- workers -------------------------------------------------------------------------------------

BUILD: Final = {"version": "1.2.3", "python": "3.11"}


def up(course: Course, *, job: str = "floorwatch", instance: str = "a", **labels: str) -> Series:
    """Whether a worker can be scraped."""
    at = {"job": job, "instance": instance, **labels}
    return {f"up{{{written(at)}}}": course}


def built(course: Course = 1, **labels: str) -> dict[str, Course]:
    """What a worker says of itself."""
    return stream("build_info", course, **BUILD, **labels)


WORKERS: Final = (
    _of(
        "WorkerDown",
        "of one among others, after two minutes, until it is back",
        _all(
            up({0: 1, 60: 0, 600: 1}), up(1, instance="b"), built(instance="b"), up(0, job="node")
        ),
        {165: NOBODY, 180: ({**JOB, "instance": "a"},), 600: NOBODY},
    ),
    _of("WorkerDown", "not while all are there", _all(up(1), built()), {600: NOBODY}),
    _of("WorkerDown", "of all, when there is none", up(1, job="node"), {600: ({},)}),
    _of(
        "WorkerDown",
        "of one that is called something else, while another one lives",
        _all(
            up(0, job="cc"),
            up(1, job="cc", instance="b"),
            {s.replace('"floorwatch"', '"cc"'): c for s, c in built(instance="b").items()},
            up(0, job="cc", cluster="eu"),
            up(0, job="cc", namespace="cc"),
        ),
        {600: ({"job": "cc", "instance": "a"},)},
    ),
    _of(
        "WorkerDown",
        "of one whose job is named after floorwatch, while none of it lives",
        _all(up(0, job="cc-floorwatch-worker"), built()),
        {600: ({"job": "cc-floorwatch-worker", "instance": "a"},)},
    ),
    _of("Watchdog", "always", floor(), {0: ({},), 600: ({},)}),
)

CASES: Final = (*SOURCES, *DRAIN, *STALLED, *REJECTS, *TRUST, *WORKERS)
