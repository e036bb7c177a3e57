"""The policy in force: what the settings say, as far as it may change what has been counted.

A file that changes is taken over while the worker goes on. What is wrong with it, or what it may
not change, is said in one line each, and the policy before stays.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from aiokafka.errors import KafkaError

from streams.backoff import Backoff
from streams.core.policy import BadSetting, Deciding, Place, PolicyBook
from streams.core.policy_change import Change, Refusal, change, set_anew
from streams.policy_log import PolicyLog
from streams.settings import policy_of

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 2.0
"""A file that has changed is taken once it is the same twice: it may have been half written."""

MOST_LINES: Final = 20
MOST_ROUNDS: Final = 10
RETRY_FROM_S: Final = 1.0
RETRY_TO_S: Final = 30.0


class PolicySetAnew(Exception):
    """Another worker has set the policy anew; what this one has counted rests on the former."""


class PolicyReload:
    """Keeps the policy of one worker up to date.

    Args:
        own: what its settings say.
        path: the file in which that stands; None where it stands in the settings.
        agreed: what all workers have agreed on.
        counted_until_ms: up to which instant something may have been counted.
        met: queues and channels of which something may have been; None while nobody knows.

    Attributes:
        book: the policy in force.
        failed: the file cannot be read, or is wrong; the last one that could be holds.
        refusals: what the settings may not change.
    """

    def __init__(
        self,
        own: PolicyBook,
        path: Path | None,
        agreed: PolicyLog,
        *,
        counted_until_ms: Callable[[], int],
        met: Callable[[], Collection[Place] | None],
    ) -> None:
        self.book = own
        self.failed = False
        self.refusals: tuple[Refusal, ...] = ()
        self._own = own
        self._path = path
        self._agreed = agreed
        self._counted_until_ms = counted_until_ms
        self._met = met
        self._has_to_ask = False
        self._met_is_unknown = False
        self._seen: bytes | str | None = None
        self._taken: bytes | str | None = None

    async def begin(self, *, rebuild: bool = False) -> None:
        """Agree with the other workers, before anything is counted; tries until that is done.

        Args:
            rebuild: everything is counted anew, so nothing has to stay as it was.
        """
        if self._path is not None:
            self._seen = self._taken = await asyncio.to_thread(_content, self._path)
        backoff = Backoff(RETRY_FROM_S, RETRY_TO_S)
        while (deciding := await self._agree(rebuild=rebuild)) is None:
            await backoff.wait()
        self._has_to_ask = self._knows_too_little()
        self.book = await asyncio.to_thread(self._own.under, deciding)

    async def watch(self, adopt: Callable[[PolicyBook], None]) -> None:
        """Look for ever whether the file, or what all agree on, has changed, and have it adopted.

        Raises:
            PolicySetAnew: what this worker has counted is of no use any more.
        """
        while True:
            own = None
            try:
                await asyncio.wait_for(self._agreed.changed.wait(), LOOK_EVERY_S)
            except TimeoutError:
                own = await self._changed_file()
            self._own = own or self._own
            if own is not None or self._has_to_ask:
                agreed = await self._agree()
                self._has_to_ask = agreed is None or self._knows_too_little()
            elif self._agreed.deciding != self.book.deciding:
                self._tell(await self._change())
            self._agreed.changed.clear()
            deciding = self._agreed.deciding or self.book.deciding
            if deciding.lineage != self.book.deciding.lineage:
                raise PolicySetAnew(
                    "a worker that was started with --rebuild has set the policy anew; "
                    "start this one again, and it counts anew, too"
                )
            if own is None and deciding == self.book.deciding:
                continue
            self.book = await asyncio.to_thread(self._own.under, deciding)
            adopt(self.book)
            log.info("the policy has changed")

    async def _agree(self, *, rebuild: bool = False) -> Deciding | None:
        """What all agree on once they have heard what our settings say; None where not all did."""
        for _ in range(MOST_ROUNDS):
            found = await self._change()
            if rebuild and found.refusals and self._agreed.deciding is not None:
                found = Change(set_anew(self._agreed.deciding, self._own), ())
            if found.deciding == self._agreed.deciding:
                self._tell(found)
                return found.deciding
            try:
                await self._agreed.propose(found.deciding)
            except (KafkaError, OSError, TimeoutError) as exc:
                log.warning("the policy is not agreed on yet: %r", exc)
                return None
        return None

    async def _change(self) -> Change:
        """What comes of our settings under what all have agreed on."""
        old = self._agreed.deciding
        if old is None:
            return Change(self._own.deciding, ())
        met = self._met()
        self._met_is_unknown = met is None
        return await asyncio.to_thread(
            change, old, self._own, now_ms=self._counted_until_ms(), met=met
        )

    def _knows_too_little(self) -> bool:
        """Whether something was refused because nobody knows yet what has been met."""
        return bool(self.refusals) and self._met_is_unknown

    def _tell(self, found: Change) -> None:
        """Say what is refused, unless it has just been said."""
        if found.refusals != self.refusals:
            for refusal in found.refusals[:MOST_LINES]:
                log.warning("this part of the policy stays as it was: %s", refusal.line)
            if len(found.refusals) > MOST_LINES:
                log.warning("and %d more", len(found.refusals) - MOST_LINES)
        self.refusals = found.refusals

    async def _changed_file(self) -> PolicyBook | None:
        """What the file says, once that is new and right."""
        if self._path is None:
            return None
        before, self._seen = self._seen, await asyncio.to_thread(_content, self._path)
        if self._seen != before or self._seen == self._taken:
            return None
        self._taken = self._seen
        try:
            if isinstance(self._seen, str):
                raise BadSetting(str(self._path), self._seen)
            own = await asyncio.to_thread(policy_of, self._seen, self._path)
        except BadSetting as wrong:
            self.failed = True
            log.warning("the policy stays as it was: %s", wrong)
            return None
        self.failed = False
        return own


def _content(path: Path) -> bytes | str:
    """What stands in the file, or as text why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as unreadable:
        return f"cannot read the policy: {unreadable.strerror or 'unreadable'}"
