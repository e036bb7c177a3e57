"""One partition's state as named parts of bytes, all of one cut, and back again.

A `Cutter` takes cuts of a running partition. `begin` fixes the instant; `next_part` encodes one
part at a time while events and time go on, and whatever is about to change and belongs to a part
not yet encoded is copied first. Parts that are as they were in the cut before are not returned
again.

    head        what there is once, and the names of all other parts
    tallies/G   counters and histograms of the queues of one group
    days/G      their days
    panes/S/G   their panes of one stretch of about a minute
    contacts/N  one block of contacts, in the order in which they began; one with many events goes
                on in contacts/N.M from its contact number M on
    gone/G      which contacts of written blocks have been forgotten since
    ahead/N     what the windows will count once the tick has passed
    restarts    of sources
    policy      what decides classes, events and days
    doors/G, agents/G, met/N, staffing   see `Staffing`

A part that would be larger than allowed is cut into `name`, `name+1` and so on. Every piece begins
with the checksum of the whole part, its own number and how many there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import blake2b
from itertools import islice, repeat
from operator import attrgetter
from struct import Struct
from struct import error as StructError  # noqa: N812 # it is a class
from typing import Any, Final
from zlib import crc32

import msgspec
import orjson

from schemas.events import EVENT_TYPES, Event, Unknown, type_name
from streams.core.blocks import GROUPS, Block, Watch, group_of
from streams.core.calendar import ROLLING_WINDOWS, pane_of
from streams.core.columns import Packed, Packer, Unpacker
from streams.core.contact import OPEN, Fact, Life, Note, Reply, Response, Visit
from streams.core.panes import Pane
from streams.core.partition import Partition
from streams.core.policy import Deciding, PolicyBook, VisitPolicy
from streams.core.policy_change import read_deciding, write_deciding
from streams.core.queue_tally import DAYS_KEPT, QueueTally, stretch_length
from streams.core.staffing import Door, Observation, Order, Presence
from streams.core.tally import Sums

FORMAT: Final = 2
"""In every head. A later format is not read; in the first one agents are known by their names."""

_PANE_GROUPS: Final = 8
_GONE_GROUP: Final = 64
_AHEAD: Final = 2_000
_MET: Final = 4_000
_MERGED_AT_ONCE: Final = 64

_FRAME: Final = Struct(">IHH")
"""Checksum of the whole part, number of this piece, number of pieces."""

_LIFE: Final = (
    ("home", "s"),
    ("named_channel", "s"),
    ("channel", "s"),
    ("segment", "s"),
    ("ran_ms", "t"),
    ("due_ms", "t"),
    ("unmatched", "v"),
    ("replaced", "v"),
    ("queue", "s"),
    ("reply_observed", "v"),
    ("awaits_from_ms", "t"),
    ("shown", "q"),
    ("_offered_ms", "t"),
    ("_turned_away", "v"),
    ("_asked_ms", "t"),
    ("_handoff_ms", "t"),
    ("_answered_ms", "t"),
    ("_awaited_to_ms", "t"),
    ("_bot", "v"),
    ("_human", "v"),
    ("_limit_ms", "v"),
    ("_expires_after_ms", "v"),
)
_VISIT: Final = (
    ("queue", "s"),
    ("source", "s"),
    ("opened_ms", "t"),
    ("known_ms", "t"),
    ("policy", "p"),
    ("direct", "v"),
    ("segment", "s"),
    ("closed_ms", "t"),
    ("outcome", "v"),
    ("reason", "s"),
    ("missed", "v"),
    ("observed", "v"),
    ("tally", "q"),
)
_LIFE_KINDS: Final = "".join(kind for _, kind in _LIFE)
_VISIT_KINDS: Final = "".join(kind for _, kind in _VISIT)
_FACT_KINDS: Final = "tvvvsssss"
_NOTE_KINDS: Final = "vtss"
_PENDING_KINDS: Final = "vst"
_RESPONSE_KINDS: Final = "vtsvt"
_REPLY_KINDS: Final = "vtstvvv"
_HELD_KINDS: Final = "ttpvstvs"
_sums_values: Final = attrgetter(
    "counts", "waits", "abandons", "responses", "thresholds", "segments"
)
_new_fact: Final = tuple.__new__
_life_values: Final = attrgetter(*(name for name, _ in _LIFE))
_visit_values: Final = attrgetter(*(name for name, _ in _VISIT))

_APPLIED: Final[tuple[Callable[..., None], ...]] = (
    QueueTally.apply_opened,
    QueueTally.apply_missed,
    QueueTally.apply_closed,
    QueueTally.apply_note,
    QueueTally.apply_response,
    QueueTally.apply_reply,
)
_NUMBER_OF: Final = {apply.__name__: number for number, apply in enumerate(_APPLIED)}
_CLOSED: Final = 2
_CONTACT_ITEMS: Final[Mapping[int, Callable[..., Any]]] = {3: Note, 4: Response, 5: Reply}

_KINDS: Final[tuple[type[Event], ...]] = (*EVENT_TYPES, Unknown)
_EVENT_NAMES: Final = {kind.__name__: kind for kind in _KINDS}

_SCALARS: Final = (
    "arrival_ms",
    "latest_ms",
    "now_ms",
    "tick_ms",
    "late",
    "unmatched_outcomes",
    "last_restart_ms",
    "pruned_pane",
)
_COUNTS: Final = ("ignored", "duplicates", "conflicting")

_DAMAGES: Final = (
    msgspec.MsgspecError,
    AttributeError,
    LookupError,
    OverflowError,
    RecursionError,
    StructError,
    TypeError,
    ValueError,
)
"""What reading bytes that are no part of a snapshot may come to."""

_WRITTEN: Final[dict[str, Presence]] = {}

LifeRow = tuple[Any, ...]
Job = Callable[[], object]


class SnapshotUnusable(Exception):
    """A snapshot cannot be restored; the state has to be built from the source again.

    The text is one line that says why; it shows nothing of what customers wrote or who they are.
    """


class Cutter(Watch):
    """Takes cuts of one partition, one after another; lives as long as the partition.

    Args:
        partition: of which.
        part_bytes: no part is longer.
        part_events: about how many events and visits go into one part; a contact is not divided.
    """

    def __init__(
        self, partition: Partition, *, part_bytes: int = 600_000, part_events: int = 8_000
    ) -> None:
        self._partition = partition
        self._part_bytes = part_bytes
        self._part_events = part_events
        self._stretch = stretch_length(partition.every_ms)
        self._written: dict[str, tuple[int, bytes]] = {}
        self._present: list[str] = []
        self._jobs: deque[tuple[str, Job]] = deque()
        self._ready: deque[tuple[str, bytes]] = deque()
        self._is_under_way = False
        self._now_ms = 0
        # Of each written block, its contacts as written, its parts, and which contacts are gone. Of
        # one to be written, its contacts once one of them changes; the newest may get more.
        self._members: dict[int, list[str]] = {}
        self._runs: dict[int, list[str]] = {}
        self._gone: dict[int, bytes] = {}
        # What the cut under way still has to encode, with what has been copied of it.
        self._blocks: dict[int, dict[str, list[LifeRow]]] = {}
        self._changed: set[int] = set()
        self._numbers: list[int] = []
        self._panes: dict[tuple[int, int], dict[QueueTally, list[tuple[int, Pane]]]] = {}
        self._gone_before = 0
        self._days: dict[int, dict[QueueTally, list[tuple[int, Sums]]]] = {}
        self._group: dict[QueueTally, int] = {}
        self._groups: list[list[QueueTally]] = [[] for _ in range(GROUPS)]
        self._shortened: set[int] = set()
        self._stretches: set[tuple[int, int]] = set()
        self._agents: dict[int, dict[str, Presence] | None] = {}
        self._changed_agents: set[int] = set()
        self._policy: tuple[Deciding, bytes] | None = None
        partition.tell_changes_to(self)
        for tally in partition.tallies.values():
            self._group_of(tally)
        for group in range(_PANE_GROUPS):
            numbers = set[int]().union(*(tally.panes for tally in self._in_pane_group(group)))
            self._stretches.update((number // self._stretch, group) for number in numbers)
        self.forget()

    @property
    def partition(self) -> Partition:
        """Of which the cuts are."""
        return self._partition

    @property
    def is_under_way(self) -> bool:
        """A cut has begun and not all of it is encoded."""
        return self._is_under_way

    def begin(self) -> None:
        """The cut is now.

        Raises:
            RuntimeError: the cut before is still under way.
        """
        if self._is_under_way:
            raise RuntimeError("a cut is under way")
        self._is_under_way = True
        self._now_ms = self._partition.now_ms
        self._present = ["head"]
        self._merge_sparse_blocks()
        self._begin_contacts()
        self._begin_tallies()
        self._begin_staffing()
        self._begin_rest()
        self._jobs.append(("head", partial(self._name_parts, *self._head())))

    def next_part(self) -> tuple[str, bytes] | None:
        """The next part that has changed since the cut before, or None once all are encoded."""
        while not self._ready and self._jobs:
            name, job = self._jobs.popleft()
            self._frame(name, job())
        if self._ready:
            return self._ready.popleft()
        if self._is_under_way:
            self._is_under_way = False
            self._written = {name: self._written[name] for name in self._present}
        return None

    def names(self) -> frozenset[str]:
        """All parts that make the state at the last cut, those that had not changed included.

        Raises:
            RuntimeError: no cut is complete.
        """
        if self._is_under_way or not self._present:
            raise RuntimeError("no cut is complete")
        return frozenset(
            _piece_name(name, piece)
            for name in self._present
            for piece in range(self._written[name][0])
        )

    def forget(self) -> None:
        """Abandon the cut under way, if any, and write everything again with the next one."""
        self._is_under_way = False
        self._present = []
        self._written = {}
        self._jobs.clear()
        self._ready.clear()
        self._blocks.clear()
        self._changed.clear()
        self._panes.clear()
        self._days.clear()
        self._agents.clear()
        self._members.clear()
        self._runs.clear()
        self._gone.clear()
        for block in self._partition.blocks.values():
            block.is_free = True

    # -- what the partition tells -----------------------------------------------------------

    def contact_changes(self, life: Life) -> None:
        """Copy a contact that the cut still needs; else its block is free to change."""
        number = life.block.number
        if number in self._blocks:
            self._changed.add(number)
            self.contact_moves_on(life)
        else:
            life.block.is_free = True

    def contact_moves_on(self, life: Life) -> None:
        """Copy a contact that the cut still needs.

        Its block need not be written again: when it is looked at next follows from the rest of it,
        and which contacts are gone is written apart.
        """
        saved = self._blocks.get(life.block.number)
        if saved is None:
            return
        if life.block.number not in self._members:
            self._members[life.block.number] = list(life.block.contacts)
        newest = self._partition.lives.get(life.contact)
        if newest is not None and life.contact not in saved:
            saved[life.contact] = _life_rows(newest)

    def contact_begins(self, life: Life) -> None:
        """Its block has changed, but nothing of it belongs to the cut."""
        number = life.block.number
        saved = self._blocks.get(number)
        if saved is None:
            life.block.is_free = True
        else:
            self._changed.add(number)
            saved.setdefault(life.contact, [])

    def panes_change(self, tally: QueueTally, stretch: int) -> None:
        """Copy the panes and days of *tally* that the cut still needs."""
        group = self._group_of(tally)
        key = (stretch, group % _PANE_GROUPS)
        saved = self._panes.get(key)
        if saved is not None and tally not in saved:
            saved[tally] = [(number, pane.copy()) for number, pane in self._in(tally, stretch)]
        self._save_days(tally, group)

    def panes_go(self, before: int) -> None:
        """Keep the panes and days that the cut still needs; the panes change no more."""
        self._stretches = {key for key in self._stretches if key[0] >= before}
        for (stretch, group), saved in self._panes.items():
            if self._gone_before <= stretch < before:
                for tally in self._in_pane_group(group):
                    if tally not in saved:
                        saved[tally] = self._in(tally, stretch)
        self._gone_before = before
        for tally in self._partition.tallies.values():
            if len(tally.days) > DAYS_KEPT:
                group = self._group_of(tally)
                self._shortened.add(group)
                self._save_days(tally, group)

    def agents_change(self, group: int) -> None:
        """Copy the agents of *group*, if the cut still needs them."""
        self._changed_agents.add(group)
        if self._agents.get(group, _WRITTEN) is None:
            self._agents[group] = self._partition.staffing.groups[group].copy()

    def _save_days(self, tally: QueueTally, group: int) -> None:
        saved = self._days.get(group)
        if saved is not None and tally not in saved:
            saved[tally] = [(start_ms, sums.copy()) for start_ms, sums in tally.days.items()]

    # -- contacts -----------------------------------------------------------------------------

    def _merge_sparse_blocks(self) -> None:
        """Put together neighbouring blocks in which few are left, some at a time."""
        partition = self._partition
        full = partition.block_contacts
        sparse: list[Block] = []
        moved = 0
        for block in list(partition.blocks.values()):
            if len(block.contacts) > full // 4 or block is partition.newest_block:
                sparse = []
                continue
            sparse.append(block)
            if sum(len(each.contacts) for each in sparse) <= full // 2 and len(sparse) < 4:
                continue
            for gone in reversed(sparse[:-1]):
                partition.move_contacts(gone, block)
                moved += 1
            block.is_free = True
            sparse = []
            if moved >= _MERGED_AT_ONCE:
                break

    def _begin_contacts(self) -> None:
        blocks = self._partition.blocks
        self._numbers = list(blocks)
        for number, block in blocks.items():
            if block.is_free:
                block.is_free = False
                self._members.pop(number, None)
                self._gone.pop(number, None)
                self._blocks[number] = {}
                self._runs[number] = []
                self._jobs.append((f"contacts/{number}", partial(self._block, block, 0)))
            elif len(block.contacts) < len(self._members[number]):
                self._gone[number] = bytes(
                    contact not in block.contacts for contact in self._members[number]
                )
        newest = self._partition.newest_block
        if newest.number in self._blocks:
            self._members[newest.number] = list(newest.contacts)
        for number in self._runs.keys() - blocks.keys():
            del self._runs[number]
            self._members.pop(number, None)
            self._gone.pop(number, None)
        groups: dict[int, dict[int, bytes]] = {}
        for number, gone in self._gone.items():
            groups.setdefault(number // _GONE_GROUP, {})[number] = gone
        for group, found in groups.items():
            self._add(f"gone/{group}", partial(_sorted, found))

    def _block(self, block: Block, start: int) -> object:
        """The contacts of *block* from number *start* on as they were at the cut.

        No more than is quickly encoded: the rest is the next job.
        """
        number = block.number
        saved, lives = self._blocks[number], self._partition.lives
        if number not in self._members:
            self._members[number] = list(block.contacts)
        members = self._members[number]
        self._runs[number].append(_run_name(number, start))
        rows: list[list[LifeRow]] = []
        weight = 0
        for contact in islice(members, start, None):
            rows.append(saved[contact] if contact in saved else _life_rows(lives[contact]))
            weight += sum(map(_weight, rows[-1]))
            if weight >= self._part_events:
                break
        end = start + len(rows)
        if end < len(members):
            self._jobs.appendleft((_run_name(number, end), partial(self._block, block, end)))
        else:
            del self._blocks[number]
            block.is_free = number in self._changed
            self._changed.discard(number)
        return [self._now_ms, members[start:end], *_pack_contacts(rows)]

    # -- tallies --------------------------------------------------------------------------------

    def _group_of(self, tally: QueueTally) -> int:
        group = self._group.get(tally)
        if group is None:
            group = self._group[tally] = group_of(f"{tally.queue}\n{tally.channel}")
            self._groups[group].append(tally)
        return group

    def _in_pane_group(self, group: int) -> Iterator[QueueTally]:
        for every in range(group, GROUPS, _PANE_GROUPS):
            yield from self._groups[every]

    def _in(self, tally: QueueTally, stretch: int) -> list[tuple[int, Pane]]:
        panes = tally.panes
        numbers = range(stretch * self._stretch, (stretch + 1) * self._stretch)
        return [(number, panes[number]) for number in numbers if number in panes]

    def _begin_tallies(self) -> None:
        changed = self._shortened
        self._shortened = set()
        stretches: set[tuple[int, int]] = set()
        for tally in self._partition.tallies.values():
            group = self._group_of(tally)
            if tally.touched:
                changed.add(group)
                stretches.update((stretch, group % _PANE_GROUPS) for stretch in tally.touched)
            tally.forget_touched()
        ordinals = {tally: number for number, tally in enumerate(self._partition.tallies.values())}
        for group, tallies in enumerate(self._groups):
            if tallies:
                heads = msgspec.msgpack.encode([_tally(ordinals[each], each) for each in tallies])
                self._add(f"tallies/{group}", partial(msgspec.Raw, heads))
                name = f"days/{group}"
                self._present.append(name)
                if group in changed or name not in self._written:
                    self._days[group] = {}
                    self._jobs.append((name, partial(self._days_of, group)))
        self._stretches |= stretches
        self._gone_before = 0
        for stretch, group in sorted(self._stretches):
            name = f"panes/{stretch}/{group}"
            self._present.append(name)
            if (stretch, group) in stretches or name not in self._written:
                self._panes[stretch, group] = {}
                self._jobs.append((name, partial(self._panes_of, stretch, group)))

    def _days_of(self, group: int) -> object:
        saved = self._days.pop(group)
        found = (
            _days_of(tally, saved[tally] if tally in saved else tally.days.items())
            for tally in self._groups[group]
        )
        return [entry for entry in found if entry[1]]

    def _panes_of(self, stretch: int, group: int) -> object:
        saved = self._panes.pop((stretch, group))
        found = (
            _panes_of(tally, saved[tally] if tally in saved else self._in(tally, stretch))
            for tally in self._in_pane_group(group)
        )
        return [entry for entry in found if entry[1]]

    # -- all the rest -----------------------------------------------------------------------------

    def _begin_staffing(self) -> None:
        staffing = self._partition.staffing
        changed, self._changed_agents = self._changed_agents, set()
        for group, agents in enumerate(staffing.groups):
            name = f"agents/{group}"
            if agents:
                self._present.append(name)
                if group in changed or name not in self._written:
                    self._agents[group] = None
                    self._jobs.append((name, partial(self._agents_of, group)))
        doors: dict[int, list[Any]] = {}
        for queue, known in staffing.known_doors.items():
            entry = (queue, [(d.order, d.is_open, d.since_ms, d.reason) for d in known])
            doors.setdefault(group_of(queue), []).append(entry)
        for group, entries in doors.items():
            self._add(f"doors/{group}", partial(list, entries))
        met = list(staffing.remembered.items())
        for number, start in enumerate(range(0, len(met), _MET)):
            self._add(f"met/{number}", partial(_met, met[start : start + _MET]))
        small = [
            staffing.changed_ms.copy(),
            [(queue, seen.order, seen.waiting) for queue, seen in staffing.observations.items()],
            sorted(staffing.queues),
            staffing.swept_ms,
        ]
        self._add("staffing", partial(list, small))

    def _agents_of(self, group: int) -> object:
        saved = self._agents.pop(group)
        return _agents(self._partition.staffing.groups[group] if saved is None else saved)

    def _begin_rest(self) -> None:
        partition = self._partition
        restarts = {source: list(facts) for source, facts in partition.restarts.items()}
        if restarts:
            self._add("restarts", partial(dict, restarts))
        deciding = partition.policies.deciding
        if self._policy is None or self._policy[0] is not deciding:
            self._policy = (deciding, write_deciding(deciding))
        self._add("policy", partial(bytes, self._policy[1]))
        held = [(number, *item) for number, items in partition.ahead.items() for item in items]
        for number, start in enumerate(range(0, len(held), _AHEAD)):
            self._add(f"ahead/{number}", partial(_ahead, held[start : start + _AHEAD]))

    def _head(self) -> tuple[int, dict[str, Any]]:
        partition = self._partition
        return (
            FORMAT,
            {
                "every_ms": partition.every_ms,
                "windows": dict(partition.windows),
                "by_arrival": partition.by_arrival,
                "types": [type_name(kind) for kind in EVENT_TYPES],
                "edges_ms": partition.edges_ms,
                "agents_key": _key_of(partition),
                "scalars": {name: getattr(partition, name) for name in _SCALARS},
                "counts": {name: getattr(partition, name).copy() for name in _COUNTS},
                "events": {kind.__name__: count for kind, count in partition.events.items()},
                "last_ms": partition.sources.last_ms.copy(),
                "beating": sorted(partition.sources.beating),
            },
        )

    def _name_parts(self, version: int, head: dict[str, Any]) -> object:
        """The head, once it is known into how many parts the blocks have gone."""
        self._present += [name for number in self._numbers for name in self._runs[number]]
        return version, {**head, "parts": self._present[1:]}

    def _add(self, name: str, job: Job) -> None:
        self._present.append(name)
        self._jobs.append((name, job))

    def _frame(self, name: str, content: object) -> None:
        """Make *content* ready, unless it is what was written before under this *name*."""
        body = content if isinstance(content, bytes) else msgspec.msgpack.encode(content)
        digest = blake2b(body, digest_size=16).digest()
        known = self._written.get(name)
        if known is not None and known[1] == digest:
            return
        room = self._part_bytes - _FRAME.size
        starts = range(0, max(1, len(body)), room)
        checksum = crc32(body)
        self._written[name] = (len(starts), digest)
        for piece, start in enumerate(starts):
            frame = _FRAME.pack(checksum, piece, len(starts))
            self._ready.append((_piece_name(name, piece), frame + body[start : start + room]))


def restore(
    parts: Mapping[str, bytes],
    policies: PolicyBook,
    *,
    every_ms: int = 5_000,
    windows: Mapping[str, int] = ROLLING_WINDOWS,
    by_arrival: bool = False,
    **options: Any,  # noqa: ANN401 # as `Partition` takes them
) -> Partition:
    """The partition of which *parts* were cut, at one go; arguments and errors as of `Restorer`.

    *parts* stay as they are.
    """
    restorer = Restorer(
        dict(parts),
        policies,
        every_ms=every_ms,
        windows=windows,
        by_arrival=by_arrival,
        **options,
    )
    for _ in restorer.steps():
        pass
    return restorer.partition


def _content(parts: dict[str, bytes], name: str) -> Any:  # noqa: ANN401 # what was encoded
    """What the part *name* says; it is taken out of *parts*."""
    pieces: list[bytes] = []
    count = 1
    while len(pieces) < count:
        piece = parts.pop(_piece_name(name, len(pieces)), None)
        if piece is None:
            raise SnapshotUnusable(f"its part {_piece_name(name, len(pieces))} is missing")
        checksum, number, count = _FRAME.unpack_from(piece)
        if number != len(pieces):
            raise SnapshotUnusable(f"its part {name} is damaged")
        pieces.append(piece[_FRAME.size :])
    body = b"".join(pieces)
    if crc32(body) != checksum:
        raise SnapshotUnusable(f"its part {name} is damaged")
    return msgspec.msgpack.decode(body)


def _check(head: Mapping[str, Any], partition: Partition) -> None:
    """Refuse what was counted another way, or by another table of events."""
    types = [type_name(kind) for kind in EVENT_TYPES]
    for what, theirs, ours in (
        ("tick", head["every_ms"], partition.every_ms),
        ("windows", head["windows"], dict(partition.windows)),
        ("attribution", head["by_arrival"], partition.by_arrival),
        ("event types", head["types"], types[: len(head["types"])]),
    ):
        if theirs != ours:
            raise SnapshotUnusable(f"its {what} are not those of now")


class Restorer:
    """Restores a partition from the parts of a cut, a little with each step.

    Visits keep the policies of their opening: the partition is restored under the policy that had
    decided, and then goes on under *policies*. Parts that the head does not name are left alone.

    Args:
        parts: each is taken out once it is read.
        policies: as `Partition` takes them, like all further arguments.

    Attributes:
        partition: what has been restored so far; of no use before all of it is.
    """

    def __init__(
        self,
        parts: dict[str, bytes],
        policies: PolicyBook,
        *,
        every_ms: int = 5_000,
        windows: Mapping[str, int] = ROLLING_WINDOWS,
        by_arrival: bool = False,
        **options: Any,  # noqa: ANN401 # as `Partition` takes them
    ) -> None:
        self.partition = Partition(
            policies, every_ms=every_ms, windows=windows, by_arrival=by_arrival, **options
        )
        self._parts = parts
        self._policies = policies

    def steps(self) -> Iterator[None]:
        """Restore it, some more with each step; there are no more steps once it is whole.

        Raises:
            SnapshotUnusable: another format, tick or windows, a policy that has been set anew, a
                part that is missing or damaged.
        """
        try:
            version, *rest = _content(self._parts, "head")
            if version not in range(1, FORMAT + 1):
                raise SnapshotUnusable(f"its format is {version!r}, that of now is {FORMAT}")
            head = rest[0]
            _check(head, self.partition)
            if head.get("agents_key") not in (None, _key_of(self.partition)):
                raise SnapshotUnusable("agents are kept in it under another key")
            read = partial(_content, self._parts)
            kept = read_deciding(read("policy")) if "policy" in head["parts"] else None
            self._take_its_policy(kept)
            yield from _Reader(self.partition, read).fill(head)
            self.partition.take_policy(self._policies)
        except _DAMAGES as error:
            raise SnapshotUnusable(f"it is damaged ({type(error).__name__})") from None

    def _take_its_policy(self, deciding: Deciding | None) -> None:
        """Restore under what decided when it was cut; older versions did not say."""
        lineage = 0 if deciding is None else deciding.lineage
        if lineage != self._policies.deciding.lineage:
            raise SnapshotUnusable("the policy under which it was counted has been set anew")
        if deciding is not None:
            self.partition.take_policy(self._policies.under(deciding))


class _Reader:
    """Puts the parts of a snapshot into an empty partition."""

    def __init__(self, partition: Partition, read: Callable[[str], Any]) -> None:
        self._partition = partition
        self._read = read
        self._share: dict[Any, Any] = {}

    def fill(self, head: Mapping[str, Any]) -> Iterator[None]:
        """Put all that *head* says and names into the partition, a little with each step."""
        partition = self._partition
        for name in _SCALARS:
            setattr(partition, name, head["scalars"][name])
        partition.shown_next_ms = partition.tick_ms
        for name in _COUNTS:
            setattr(partition, name, head["counts"][name])
        partition.events = {_EVENT_NAMES[name]: count for name, count in head["events"].items()}
        partition.sources.last_ms = head["last_ms"]
        partition.sources.beating = set(head["beating"])
        named: dict[str, list[str]] = {}
        for name in head["parts"]:
            named.setdefault(name.partition("/")[0], []).append(name)
        yield from self._tallies(named.get("tallies", ()), head["edges_ms"])
        for name in named.get("days", ()):
            for key, days in self._read(name):
                partition.tallies[key[0], key[1]].days.update(_sums(days))
            yield
        for name in named.get("panes", ()):
            self._panes(self._read(name))
            yield
        yield from self._windows()
        gone: dict[int, bytes] = {}
        for name in named.get("gone", ()):
            gone.update(self._read(name))
            yield
        for name in named.get("contacts", ()):
            number, _, start = name.partition("/")[2].partition(".")
            self._contacts(self._read(name), gone.get(int(number), b"")[int(start or 0) :])
            yield
        for name in named.get("ahead", ()):
            self._ahead(self._read(name))
            yield
        for name in named.get("restarts", ()):
            for source, facts in self._read(name).items():
                partition.restarts[source] = [Fact(*fact) for fact in facts]
            yield
        yield from self._staffing(named, None if "agents_key" in head else _rename(partition))

    def _windows(self) -> Iterator[None]:
        """Have the windows stand at the tick: to add them up from nothing takes its time, too."""
        partition = self._partition
        pane = pane_of(partition.tick_ms, partition.every_ms)
        for tally in partition.tallies.values():
            for name in partition.windows:
                tally.window(name, pane)
            yield

    def _tallies(self, names: Iterable[str], edges_ms: Sequence[int]) -> Iterator[None]:
        heads: list[Any] = []
        for name in names:
            heads += self._read(name)
            yield
        heads.sort()
        for _, queue, channel, plain, counters, corrections, histograms, fed, *sets in heads:
            tally = self._partition.new_tally(queue, channel)
            tally.waiting_past, tally.last_event_ms, tally.revision = plain
            tally.counters = counters
            tally.corrections = {(old, new): count for old, new, count in corrections}
            kept = (*tally.waits.values(), *tally.responses.values())
            for histogram, (counts, sum_ms) in zip(kept, histograms, strict=True):
                histogram.take(edges_ms, counts, sum_ms)
            tally.fed = fed
            tally.segments, tally.thresholds = set(sets[0]), set(sets[1])
        yield

    def _panes(self, body: Packed) -> None:
        for key, panes in body:
            tally = self._partition.tallies[key[0], key[1]]
            for number, sums in _sums(panes):
                tally.put_pane(number, sums)

    def _contacts(self, body: Packed, gone: bytes) -> None:
        partition = self._partition
        written_ms, contacts, *packed = body
        chains = _unpack_contacts(contacts, packed, partition.tallies, self._share)
        for at, lives in enumerate(chains):
            if at < len(gone) and gone[at]:
                continue
            partition.know_again(lives, written_ms)

    def _ahead(self, body: Packed) -> None:
        rows, visits, tables = body
        unpacker = Unpacker(tables, self._partition.tallies, self._share)
        closed = iter([_held_visit(*row) for row in unpacker.rows(visits, _HELD_KINDS)])
        for number, kind, sign, tally, *values in unpacker.rows(rows, "vvvqv"):
            apply = _APPLIED[kind].__get__(tally)
            item = _CONTACT_ITEMS[kind](*values[0]) if kind in _CONTACT_ITEMS else next(closed)
            self._partition.ahead.setdefault(number, []).append((apply, item, sign))

    def _staffing(
        self, named: Mapping[str, Iterable[str]], rename: Callable[[str], str] | None
    ) -> Iterator[None]:
        staffing = self._partition.staffing
        share = self._share

        def order_of(values: Sequence[Any]) -> Order:
            time_ms, sequence, rank, id_, source, content = values
            return Order(time_ms, sequence, rank, id_, share.setdefault(source, source), content)

        for name in named.get("agents", ()):
            for agent, order, state, queues_order, queues in self._read(name):
                if rename is not None:
                    agent = rename(agent)  # noqa: PLW2901 # it is called so from here on
                    order = _without_name(order)  # noqa: PLW2901 # likewise
                    queues_order = queues_order and _without_name(queues_order)  # noqa: PLW2901
                newest = order_of(order)
                presence = Presence(
                    newest,
                    share.setdefault(state, state),
                    newest if queues_order is None else order_of(queues_order),
                    share.setdefault(tuple(queues), tuple(queues)),
                )
                staffing.put_agent(agent, presence)
            yield
        for name in named.get("doors", ()):
            for queue, doors in self._read(name):
                known = [Door(order_of(order), *values) for order, *values in doors]
                staffing.known_doors[queue] = known
                staffing.doors[queue] = known[-1]
            yield
        for name in named.get("met", ()):
            for source, id_, time_ms, digest in self._read(name):
                staffing.remembered[share.setdefault(source, source), id_] = (time_ms, digest)
            yield
        for name in named.get("staffing", ()):
            staffing.changed_ms, observations, queues, staffing.swept_ms = self._read(name)
            staffing.queues = set(queues)
            staffing.observations = {
                queue: Observation(order_of(order), waiting)
                for queue, order, waiting in observations
            }


# -- how things are written ---------------------------------------------------------------------


def _key_of(partition: Partition) -> str:
    """The key under which agents are kept; "" for their names."""
    pseudonyms = partition.staffing.pseudonyms
    return "" if pseudonyms is None else pseudonyms.fingerprint


def _rename(partition: Partition) -> Callable[[str], str] | None:
    """What agents are called, who were kept under their names before."""
    pseudonyms = partition.staffing.pseudonyms
    return None if pseudonyms is None else pseudonyms.of


def _without_name(order: Sequence[Any]) -> Sequence[Any]:
    """What decides which event of an agent is newer, without who it is of."""
    *rest, content = order
    if not content:
        return order
    kept = orjson.loads(content)
    kept.pop("agent", None)
    return [*rest, orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)]


def _piece_name(name: str, piece: int) -> str:
    return f"{name}+{piece}" if piece else name


def _run_name(number: int, start: int) -> str:
    return f"contacts/{number}.{start}" if start else f"contacts/{number}"


def _weight(row: LifeRow) -> int:
    """How much there is to encode: events, visits, and ids of events that are not kept."""
    _, facts, visits, ids, *_ = row
    return len(facts) + len(visits) + (0 if ids is None else len(ids[1]))


def _life_rows(newest: Life) -> list[LifeRow]:
    """All that is known of a contact, by value, the oldest life first."""
    rows = []
    life: Life | None = newest
    while life is not None:
        home = life.home
        keys = [
            fact.id if fact.source == home else f"{fact.source}\n{fact.id}" for fact in life.facts
        ]
        ids = None if life.ids == keys else (isinstance(life.ids, set), list(life.ids))
        rows.append(
            (
                _life_values(life),
                tuple(life.facts),
                list(map(_visit_values, life.visits)),
                ids,
                tuple(life.dropped or ()),
                tuple(life.notes),
                tuple((life._pending or {}).items()),
                life.response,
                life.reply,
            )
        )
        life = life.earlier
    return rows[::-1]


def _pack_contacts(contacts: Sequence[Sequence[LifeRow]]) -> Packed:
    packer = Packer()
    lives: list[Any] = []
    counts: list[tuple[int, int, int]] = []
    facts: list[Fact] = []
    visits: list[Any] = []
    notes: list[Any] = []
    pending: list[Any] = []
    responses: list[Any] = []
    replies: list[Any] = []
    rare: list[Any] = []
    for rows in contacts:
        for at, row in enumerate(rows):
            values, its_facts, its_visits, ids, dropped, its_notes, waits, response, reply = row
            number = len(lives)
            lives.append(values)
            counts.append((at == len(rows) - 1, len(its_facts), len(its_visits)))
            facts += its_facts
            visits += its_visits
            notes += [(number, *note) for note in its_notes]
            pending += [(number, *each) for each in waits]
            if response is not None:
                responses.append((number, *response))
            if reply is not None:
                replies.append((number, *reply))
            if ids is not None or dropped:
                rare.append((number, ids, dropped))
    tables = [
        packer.rows(counts, "vvv"),
        packer.rows(lives, _LIFE_KINDS),
        packer.rows(facts, _FACT_KINDS),
        packer.rows(visits, _VISIT_KINDS),
        packer.rows(notes, _NOTE_KINDS),
        packer.rows(pending, _PENDING_KINDS),
        packer.rows(responses, _RESPONSE_KINDS),
        packer.rows(replies, _REPLY_KINDS),
        rare,
    ]
    return [packer.tables(), *tables]


def _unpack_contacts(
    contacts: Sequence[str],
    packed: Packed,
    tallies: Mapping[tuple[str, str], QueueTally],
    share: dict[Any, Any],
) -> Iterator[list[Life]]:
    """The lives of each contact, the oldest first."""
    tables, counts, lives, facts, visits, notes, pending, responses, replies, rare = packed
    unpacker = Unpacker(tables, tallies, share)
    all_facts = map(_new_fact, repeat(Fact), unpacker.rows(facts, _FACT_KINDS))
    all_visits = unpacker.rows(visits, _VISIT_KINDS)
    restored: list[Life] = []
    chain: list[Life] = []
    chains: list[list[Life]] = []
    rows = zip(unpacker.rows(counts, "vvv"), unpacker.rows(lives, _LIFE_KINDS), strict=True)
    for (is_newest, fact_count, visit_count), values in rows:
        contact = contacts[len(chains)]
        life = _new_life(contact, values)
        facts_of = life.facts = list(islice(all_facts, fact_count))
        home = life.home
        life.ids = [
            fact.id if fact.source == home else f"{fact.source}\n{fact.id}" for fact in facts_of
        ]
        visits_of = life.visits = [_visit(contact, *row) for row in islice(all_visits, visit_count)]
        life.open = [visit for visit in visits_of if visit.outcome == OPEN]
        life.earlier = chain[-1] if chain else None
        restored.append(life)
        chain.append(life)
        if is_newest:
            chains.append(chain)
            chain = []
    _add_what_is_rare(restored, unpacker, (notes, pending, responses, replies, rare))
    if len(chains) != len(contacts):
        raise ValueError("other contacts than named")
    return iter(chains)


def _add_what_is_rare(restored: list[Life], unpacker: Unpacker, tables: Sequence[Packed]) -> None:
    notes, pending, responses, replies, rare = tables
    for number, *note in unpacker.rows(notes, _NOTE_KINDS):
        restored[number].notes.append(Note(*note))
    for number, queue, time_ms in unpacker.rows(pending, _PENDING_KINDS):
        life = restored[number]
        if life._pending is None:
            life._pending = {}
        life._pending[queue] = time_ms
    for number, *response in unpacker.rows(responses, _RESPONSE_KINDS):
        restored[number].response = Response(*response)
    for number, *reply in unpacker.rows(replies, _REPLY_KINDS):
        restored[number].reply = Reply(*reply)
    for number, ids, dropped in rare:
        if ids is not None:
            is_set, keys = ids
            restored[number].ids = set(keys) if is_set else keys
        for time_ms in dropped:
            restored[number].drop(time_ms)


def _new_life(contact: str, values: tuple[Any, ...]) -> Life:
    """A life with what `_life_values` took; one by one, because there are a million of them."""
    life = Life(contact)
    (
        life.home,
        life.named_channel,
        life.channel,
        life.segment,
        life.ran_ms,
        life.due_ms,
        life.unmatched,
        life.replaced,
        life.queue,
        life.reply_observed,
        life.awaits_from_ms,
        life.shown,
        life._offered_ms,
        life._turned_away,
        life._asked_ms,
        life._handoff_ms,
        life._answered_ms,
        life._awaited_to_ms,
        life._bot,
        life._human,
        life._limit_ms,
        life._expires_after_ms,
    ) = values
    return life


def _visit(
    contact: str,
    queue: str,
    source: str,
    opened_ms: int,
    known_ms: int,
    policy: VisitPolicy,
    direct: bool,
    segment: str,
    closed_ms: int,
    outcome: int,
    reason: str,
    missed: bool,
    observed: bool,
    tally: QueueTally,
) -> Visit:
    visit = Visit(queue, source, opened_ms, known_ms, policy, direct, segment, contact)
    visit.closed_ms = closed_ms
    visit.outcome = outcome
    visit.reason = reason
    visit.missed = missed
    visit.observed = observed
    visit.tally = tally
    return visit


def _held_visit(
    opened_ms: int,
    known_ms: int,
    policy: VisitPolicy,
    direct: bool,
    segment: str,
    closed_ms: int,
    outcome: int,
    reason: str,
) -> Visit:
    """A visit as far as windows count it."""
    visit = Visit("", "", opened_ms, known_ms, policy, direct, segment, "")
    visit.closed_ms = closed_ms
    visit.outcome = outcome
    visit.reason = reason
    return visit


def _held_values(visit: Visit, kind: int) -> tuple[Any, ...]:
    """What the windows still count of *visit*: not what has become of it since it was held back."""
    is_closed = kind == _CLOSED
    return (
        visit.opened_ms,
        visit.known_ms,
        visit.policy,
        visit.direct,
        visit.segment,
        visit.closed_ms if is_closed else -1,
        visit.outcome if is_closed else OPEN,
        visit.reason if is_closed else "",
    )


def _ahead(held: Sequence[tuple[int, Any, Any, int]]) -> object:
    packer = Packer()
    rows = []
    visits = []
    for number, apply, item, sign in held:
        kind = _NUMBER_OF[apply.__name__]
        is_visit = kind not in _CONTACT_ITEMS
        rows.append((number, kind, sign, apply.__self__, None if is_visit else item))
        if is_visit:
            visits.append(_held_values(item, kind))
    packed = [packer.rows(rows, "vvvqv"), packer.rows(visits, _HELD_KINDS)]
    return [*packed, packer.tables()]


def _tally(ordinal: int, tally: QueueTally) -> object:
    histograms = (*tally.waits.values(), *tally.responses.values())
    return [
        ordinal,
        tally.queue,
        tally.channel,
        (tally.waiting_past, tally.last_event_ms, tally.revision),
        tally.counters,
        [(old, new, count) for (old, new), count in tally.corrections.items()],
        [(histogram.counts, histogram.sum_ms) for histogram in histograms],
        tally.fed,
        sorted(tally.segments),
        sorted(tally.thresholds),
    ]


def _panes_of(tally: QueueTally, panes: Iterable[tuple[int, Pane]]) -> Packed:
    return _days_of(tally, [(number, tally.sums_of(pane)) for number, pane in panes])


def _days_of(tally: QueueTally, days: Iterable[tuple[int, Sums]]) -> Packed:
    return [(tally.queue, tally.channel), [(number, *_sums_values(sums)) for number, sums in days]]


def _sums(rows: Iterable[Sequence[Any]]) -> Iterator[tuple[int, Sums]]:
    for number, counts, waits, abandons, responses, thresholds, segments in rows:
        sums = Sums.__new__(Sums)
        sums.counts = counts
        sums.waits = waits
        sums.abandons = abandons
        sums.responses = responses
        sums.thresholds = thresholds
        sums.segments = segments
        yield number, sums


def _agents(agents: Mapping[str, Presence]) -> object:
    return [
        (
            name,
            known.order,
            known.state,
            None if known.queues_order is known.order else known.queues_order,
            known.queues,
        )
        for name, known in agents.items()
    ]


def _met(met: Iterable[tuple[tuple[str, str], tuple[int, int]]]) -> object:
    return [(*key, *value) for key, value in met]


def _sorted(found: Mapping[int, bytes]) -> object:
    return dict(sorted(found.items()))
