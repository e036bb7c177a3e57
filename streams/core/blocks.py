"""Which contacts are kept together, and who is told before anything kept changes.

A snapshot is written a part at a time while the stream goes on, so whatever a part still needs must
be copied before it changes, and what has not changed since the last snapshot need not be written
again. Both need one question on the way of every event, and it must cost next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from zlib import crc32

if TYPE_CHECKING:
    from streams.core.contact import Life
    from streams.core.queue_tally import QueueTally

BLOCK: Final = 500
"""Contacts of a block."""

GROUPS: Final = 32
"""Into how many groups agents and queues are put by their name."""


def group_of(name: str) -> int:
    """The group of *name*, in every process the same."""
    return crc32(name.encode()) % GROUPS


class Block:
    """Contacts that began one after another, in that order.

    Attributes:
        number: rises from block to block.
        contacts: those still remembered.
        is_free: it has changed since it was last written, and no cut under way needs it: its
            contacts may change without telling anyone.
    """

    __slots__ = ("contacts", "is_free", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.contacts: dict[str, None] = {}
        self.is_free = True


class Watch:
    """What a partition tells before it changes something. As it stands it takes no notice."""

    def contact_changes(self, life: Life) -> None:
        """The contact of *life* is about to change; not told of one in a free block."""

    def contact_moves_on(self, life: Life) -> None:
        """Time alone is about to reschedule or forget the contact of *life*; else as above."""

    def contact_begins(self, life: Life) -> None:
        """The contact of *life* has just been put into its block; not told if that is free."""

    def panes_change(self, tally: QueueTally, stretch: int) -> None:
        """Panes of *stretch*, and a day, are about to change; told once until the next cut."""

    def agents_change(self, group: int) -> None:
        """An agent of *group* is about to change, to come or to go."""

    def panes_go(self, before: int) -> None:
        """The panes of all stretches before *before* are about to be dropped."""
