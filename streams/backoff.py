"""How long to wait before the broker is asked again."""

import asyncio
import random
from typing import Final

FROM_S: Final = 0.2
TO_S: Final = 10.0


class Backoff:
    """Waits twice as long after each failure, spread so that not all workers come at once.

    Args:
        from_s: the longest first wait.
        to_s: the longest of all.

    Attributes:
        failures: how many there have been since the last success.
    """

    def __init__(self, from_s: float = FROM_S, to_s: float = TO_S) -> None:
        self.failures = 0
        self._from_s = from_s
        self._to_s = to_s
        self._next_s = from_s

    def succeeded(self) -> None:
        """Begin with a short wait again."""
        self.failures = 0
        self._next_s = self._from_s

    def failed(self) -> float:
        """Count a failure; for how many seconds to leave it alone: half of the longest or more."""
        longest_s = self._next_s
        self.failures += 1
        self._next_s = min(self._to_s, 2 * longest_s)
        return longest_s * random.uniform(0.5, 1.0)  # noqa: S311 - spreads workers, no secret

    async def wait(self) -> None:
        """Count a failure and wait."""
        await asyncio.sleep(self.failed())
