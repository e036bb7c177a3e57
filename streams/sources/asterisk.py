"""Asterisk's `queue_log` as canonical events: the first source adapter.

A line is `time|callid|queue|agent|EVENT|data1|...`. The file writes whole epoch seconds, the
realtime database local time with microseconds; both forms are read. `QueueLogReader` turns one
line into the events it stands for.

What leaves this module is what the log says of calls, queues and members. Caller ids, transfer
targets that are not queues, URLs and channel names of callers stay inside: no field that carries
them is ever read into an event.

A transfer ends an agent's part without a COMPLETE line. It becomes `contact.transferred` alone:
no visit is open then, so the meaning needs no end, and the caller is still there; a return to a
queue comes as another ENTERQUEUE of the same call and opens the next visit. `to` names the target
only when it is a queue seen in this log, since any other target may be a telephone number.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final, NamedTuple

from schemas.events import (
    MAX_TEXT_LENGTH,
    Abandoned,
    AgentChanged,
    Answered,
    ContactEvent,
    Ended,
    Event,
    Left,
    Queued,
    Refused,
    SourceStarted,
    Transferred,
    Unanswered,
    type_name,
)
from schemas.instants import write_instant
from streams.sources.asterisk_members import STAFF_LINES, Members, Presence

SOURCE: Final = "asterisk"
VOICE: Final = "voice"

_NOBODY: Final = frozenset({"", "NONE"})
_NOT_A_CALL: Final = frozenset({"", "NONE", "REALTIME", "MANAGER", "CLI"})


class _Outcome(NamedTuple):
    """How a line closes a wait: the event, its reason, and which data field logs the wait in s."""

    kind: type[Answered] | type[Abandoned] | type[Left]
    reason: str
    wait_at: int | None


_ENTRIES: Final = frozenset({"ENTERQUEUE", "ENTERQUEUE-TRANSFER"})
_OUTCOMES: Final[dict[str, _Outcome]] = {
    "CONNECT": _Outcome(Answered, "", 0),
    "ABANDON": _Outcome(Abandoned, "", 2),
    "EXITWITHTIMEOUT": _Outcome(Left, "timeout", 2),
    "EXITEMPTY": _Outcome(Left, "empty", 2),
    "LEAVEEMPTY": _Outcome(Left, "empty", None),
    "EXITWITHKEY": _Outcome(Left, "key", 3),
    "WITHDRAW": _Outcome(Left, "withdrawn", 2),
    "SYSCOMPAT": _Outcome(Left, "error", None),
    "ABANDONWEL": _Outcome(Left, "bot", None),
}
_UNANSWERED: Final = frozenset({"RINGNOANSWER", "AGENTDUMP"})
_ENDS: Final = {"COMPLETECALLER": "customer", "COMPLETEAGENT": "agent"}
_TRANSFERS: Final = {"BLINDTRANSFER": "blind", "ATTENDEDTRANSFER": "consult", "TRANSFER": "blind"}
_REFUSALS: Final = {
    "FULL": "full",
    "DIVERT_CA_RATIO": "full",
    "DIVERT_HOLDTIME": "full",
    "CLOSED": "closed",
    "JOINEMPTY": "no_agents",
}
_CALL_LINES: Final = frozenset(
    {*_ENTRIES, *_OUTCOMES, *_UNANSWERED, *_ENDS, *_TRANSFERS, *_REFUSALS}
)
_UNMAPPED: Final = frozenset(
    {
        "CONFIGRELOAD",
        "DID",
        "INFO",
        "MEMBERPENALTY",
        "OUTCALL",
        "PAUSEREASON",
        "PENALTY",
        "QUEUEPOSITION",
        "RINGCANCELED",
        "RINGINUSE",
        "WRAPUPSTART",
    }
)

MAX_CALLS: Final = 50_000
MAX_EVENT_NAMES: Final = 200
MAX_QUEUE_NAMES: Final = 10_000
_JITTER_MS: Final = 2_000
_EVENTS_A_LINE: Final = 10

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH_TIME: Final = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)
_CLOCK_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[ T](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?"
    r"(?:(Z)|([+-])(\d\d):?(\d\d))?",
    re.ASCII,
)
_BORN: Final = re.compile(r"(?:^|-)(\d{9,11})\.\d+$", re.ASCII)
_NAME: Final = re.compile(r"[A-Z0-9_-]{1,40}", re.ASCII)


@dataclass(slots=True)
class Skipped:
    """Lines left out for one reason: how many, and where the first of them is."""

    count: int
    first_line: int


@dataclass(slots=True)
class Reading:
    """What became of the lines of a log; it holds positions and counts, never content.

    Attributes:
        lines: lines seen, blank ones included.
        by_event: lines by the log's event name; names that are not plain words, and those after
            the first 200, count as "other".
        events: canonical events made, by type name.
        skipped: lines that made no event, by reason: blank, malformed, bad_time, no_call,
            no_queue, no_agent, unmapped (known, but nothing here stands for it), unknown.
        repaired: events made from what a later line says because their own line is missing.
    """

    lines: int = 0
    by_event: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, Skipped] = field(default_factory=dict)
    repaired: int = 0

    def skip(self, reason: str, line_number: int) -> None:
        """Count a line that made no event."""
        seen = self.skipped.get(reason)
        if seen is None:
            self.skipped[reason] = Skipped(1, line_number)
        else:
            seen.count += 1


class _Line(NamedTuple):
    """A line taken apart; "" stands for NONE."""

    event: str
    time_ms: int
    call: str
    queue: str
    agent: str
    data: list[str]


@dataclass(slots=True)
class _Call:
    """Where a call is: waiting in *queue* since *entered_ms*, or past that."""

    queue: str
    entered_ms: int
    is_waiting: bool


class QueueLogReader:
    """Turns lines of one Asterisk's log, in file order, into canonical events.

    Ids are (file id, line number), so two equal lines of one second stay two events and a file
    read again makes the same ones; `sequence` grows with the line number, which orders the lines of
    one second in one file. Feed rotated files, oldest first, through one reader: calls and members
    go on.

    What the log leaves out is filled in from what it does say, and counted in
    `reading.repaired`: a call whose ENTERQUEUE is in no line seen gets its `queued` from the
    logged wait; a COMPLETE or transfer of a call that still waits gets its `answered` from the
    logged hold time; a call that enters a queue while it waits in another has left the first.

    A member's `on_contact` is known only where Asterisk writes the same name in CONNECT as in
    ADDMEMBER; members from the configuration file never get an ADDMEMBER and are not reported.

    Args:
        source: the producing system named in the events; one per Asterisk.
        zone: of times without offset.

    Attributes:
        reading: what became of the lines.
        line_number: of the line read last, in its file, from 1.
    """

    def __init__(self, *, source: str = SOURCE, zone: tzinfo) -> None:
        self.reading = Reading()
        self._source = source
        self._zone = zone
        self._file_id = ""
        self.line_number = 0
        self._last_ms = -(1 << 62)
        self._queues: set[str] = set()
        self._calls: dict[str, _Call] = {}
        self._older_calls: dict[str, _Call] = {}
        self._members = Members()
        self._made: list[Event] = []

    def begin_file(self, file_id: str = "") -> None:
        """The next line is the first of a file of this Asterisk.

        Args:
            file_id: what tells the file from others; "" takes it from the first line that is not
                blank, so that it stays when the file is renamed or copied.
        """
        self._file_id = file_id
        self.line_number = 0

    def read(self, line: str) -> list[Event]:
        """The events that *line* stands for, none for one that is skipped and counted."""
        self.line_number += 1
        self.reading.lines += 1
        self._made = []
        reason = self._read(line.strip("\r\n \t\ufeff\x00"))
        if reason:
            self.reading.skip(reason, self.line_number)
        for event in self._made:
            self.reading.events[type_name(type(event))] += 1
        return self._made

    def _read(self, line: str) -> str:
        """Append the line's events to `_made`, or return why it makes none."""
        fields = [text.strip() for text in line.split("|")]
        if len(fields) < 5 or max(map(len, fields[:5])) > MAX_TEXT_LENGTH:
            return "malformed" if line else "blank"
        self._file_id = self._file_id or _file_id_of(fields[:5])
        written, call_id, queue, agent, name = fields[:5]
        self._count(name)
        time_ms = self._time_ms(written, call_id)
        if time_ms is None:
            return "bad_time"
        self._last_ms = time_ms
        queue = "" if queue in _NOBODY else queue
        agent = "" if agent in _NOBODY else agent
        taken_apart = _Line(name, time_ms, call_id, queue, agent, fields[5:])
        if name == "QUEUESTART":
            self._start(taken_apart)
            return ""
        if name in _UNMAPPED:
            return "unmapped"
        return self._staff(taken_apart) if name in STAFF_LINES else self._call(taken_apart)

    def _call(self, line: _Line) -> str:
        """A line about a call."""
        if line.event not in _CALL_LINES:
            return "unknown"
        if line.call in _NOT_A_CALL:
            return "no_call"
        if line.event in _ENTRIES:
            if not line.queue:
                return "no_queue"
            self._enter(line)
        elif line.event in _OUTCOMES:
            self._close(line, _OUTCOMES[line.event])
        elif line.event in _UNANSWERED:
            self._say(Unanswered, line)
        elif line.event in _REFUSALS:
            self._say(Refused, line, reason=_REFUSALS[line.event])
        else:
            self._finish(line)
        return ""

    def _enter(self, line: _Line) -> None:
        call = self._known(line.call)
        if (
            call is not None
            and call.is_waiting
            and (call.queue, call.entered_ms) != (line.queue, line.time_ms)
        ):
            self._repair(Left, line._replace(queue=call.queue), "left", reason="overflow")
        if len(self._queues) < MAX_QUEUE_NAMES:
            self._queues.add(line.queue)
        self._remember(line.call, _Call(line.queue, line.time_ms, is_waiting=True))
        self._say(Queued, line)

    def _close(self, line: _Line, outcome: _Outcome) -> None:
        """The call waits no longer."""
        call = self._known(line.call)
        if call is None:
            waited_ms = _seconds_ms(line.data, outcome.wait_at)
            if waited_ms is not None and line.queue:
                entry = line._replace(time_ms=line.time_ms - waited_ms, agent="")
                self._repair(Queued, entry, "queued")
            self._remember(line.call, _Call(line.queue, line.time_ms, is_waiting=False))
        else:
            call.is_waiting = False
        if outcome.reason:
            self._say(outcome.kind, line, reason=outcome.reason)
        else:
            self._say(outcome.kind, line)
        if outcome.kind is Answered:
            self._tell(line, self._members.took_call(line.agent, line.queue))

    def _finish(self, line: _Line) -> None:
        """The agent's part is over: the call ended or was passed on."""
        ended_by = _ENDS.get(line.event)
        call = self._known(line.call)
        if call is not None and call.is_waiting:
            held_ms = _seconds_ms(line.data, 0 if ended_by else len(line.data) - 3) or 0
            answered_ms = min(line.time_ms, call.entered_ms + held_ms)
            call.is_waiting = False
            self._repair(Answered, line._replace(time_ms=answered_ms), "answered")
        if ended_by:
            self._say(Ended, line, by=ended_by)
        else:
            target = line.data[0] if line.data and line.event != "ATTENDEDTRANSFER" else ""
            to = target if target in self._queues else ""
            self._say(Transferred, line, to=to, mode=_TRANSFERS[line.event])
        self._tell(line, self._members.done_with_call(line.agent))

    def _start(self, line: _Line) -> None:
        """Asterisk started: nobody waits and nobody talks any more."""
        self._calls, self._older_calls = {}, {}
        time = write_instant(line.time_ms)
        self._made.append(SourceStarted(id=self._id(""), time=time, source=self._source))
        for presence in self._members.all_calls_over():
            self._tell(line, presence)

    def _staff(self, line: _Line) -> str:
        """A line about a member of a queue."""
        if not line.agent:
            return "no_agent"
        if line.event in {"ADDMEMBER", "REMOVEMEMBER"} and not line.queue:
            return "no_queue"
        is_paused = line.data[:1] == ["PAUSED"]
        self._tell(line, self._members.change(line.event, line.agent, line.queue, is_paused))
        return ""

    def _tell(self, line: _Line, presence: Presence | None) -> None:
        """Say a member's new state, if it is new."""
        if presence is not None:
            self._made.append(
                AgentChanged(
                    id=self._id(f"agent{len(self._made)}"),
                    time=write_instant(line.time_ms),
                    source=self._source,
                    sequence=self._sequence(),
                    agent=presence.agent,
                    queues=presence.queues,
                    state=presence.state,
                )
            )

    def _say(self, kind: type[ContactEvent], line: _Line, part: str = "", **more: str) -> None:
        self._made.append(
            kind(
                id=self._id(part),
                time=write_instant(line.time_ms),
                source=self._source,
                sequence=self._sequence(),
                contact=line.call,
                queue=line.queue,
                channel=VOICE,
                agent=line.agent,
                **more,
            )
        )

    def _repair(self, kind: type[ContactEvent], line: _Line, part: str, **more: str) -> None:
        self.reading.repaired += 1
        self._say(kind, line, part, **more)

    def _id(self, part: str) -> str:
        base = f"{self._file_id}:{self.line_number}"
        return f"{base}:{part}" if part else base

    def _sequence(self) -> int:
        """Orders the events of one moment: by line, and within a line as they are made."""
        return self.line_number * _EVENTS_A_LINE + min(len(self._made), _EVENTS_A_LINE - 1)

    def _known(self, call_id: str) -> _Call | None:
        return self._calls.get(call_id) or self._older_calls.get(call_id)

    def _remember(self, call_id: str, call: _Call) -> None:
        """Keep the newest 50,000 calls at least, twice as many at most."""
        if len(self._calls) >= MAX_CALLS:
            self._older_calls, self._calls = self._calls, {}
        self._calls[call_id] = call

    def _count(self, name: str) -> None:
        names = self.reading.by_event
        known = name in names or (len(names) < MAX_EVENT_NAMES and _NAME.fullmatch(name))
        names[name if known else "other"] += 1

    def _time_ms(self, text: str, call_id: str) -> int | None:
        """Epoch ms of a line's time, floored; None for what is no time.

        In the hour that a change of clocks repeats, local time alone has two meanings. A call
        cannot have a line before it was born, which its id tells; else file order decides: the
        earlier meaning, unless that would go back behind the line before.
        """
        match = _EPOCH_TIME.fullmatch(text)
        if match is not None:
            return int(match[1]) * 1000 + _fraction_ms(match[2])
        match = _CLOCK_TIME.fullmatch(text)
        if match is None:
            return None
        zone = self._zone
        if match[8]:
            zone = UTC
        elif match[9]:
            offset = timedelta(hours=int(match[10]), minutes=int(match[11]))
            if offset >= timedelta(days=1):
                return None
            zone = timezone(-offset if match[9] == "-" else offset)
        try:
            year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
            first = datetime(year, month, day, hour, minute, second, tzinfo=zone)
            time_ms = (first - _EPOCH) // _MILLISECOND
            again_ms = (first.replace(fold=1) - _EPOCH) // _MILLISECOND
        except (ValueError, OverflowError):
            return None
        fraction_ms = _fraction_ms(match[7])
        if again_ms > time_ms and self._is_behind(time_ms + fraction_ms, call_id):
            time_ms = again_ms
        return time_ms + fraction_ms

    def _is_behind(self, time_ms: int, call_id: str) -> bool:
        born = _BORN.search(call_id)
        if born is not None and time_ms + _JITTER_MS < int(born[1]) * 1000:
            return True
        return time_ms + _JITTER_MS < self._last_ms


def read_queue_log(
    lines: Iterable[str],
    *,
    source: str = SOURCE,
    zone: tzinfo,
    file_id: str = "",
    reading: Reading | None = None,
) -> Iterator[Event]:
    """The canonical events of one whole log, in file order.

    Args:
        lines: of the log, with or without their line ends.
        source: the producing system named in the events.
        zone: of times without offset.
        file_id: what tells this file from others; "" takes it from the first line.
        reading: filled in as the lines are read, when given.
    """
    reader = QueueLogReader(source=source, zone=zone)
    reader.begin_file(file_id)
    if reading is not None:
        reader.reading = reading
    for line in lines:
        yield from reader.read(line)


def _seconds_ms(data: list[str], at: int | None) -> int | None:
    """The whole seconds in a data field, in ms; None when it holds none."""
    if at is None or not 0 <= at < len(data):
        return None
    text = data[at]
    return int(text) * 1000 if text.isascii() and text.isdigit() and len(text) < 7 else None


def _fraction_ms(digits: str | None) -> int:
    return int((digits or "0")[:3].ljust(3, "0"))


def _file_id_of(fields: list[str]) -> str:
    """What tells a file from every other: its first time, call, queue, agent and event.

    The data fields are left out, so that no caller's number can be guessed from it.
    """
    return hashlib.sha256("|".join(fields).encode("utf-8", "replace")).hexdigest()[:12]
