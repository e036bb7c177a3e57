"""Records as they are read, and where rejected ones go, without a broker."""

from dataclasses import dataclass

from streams.reader import TP


@dataclass
class Stored:
    """A record as it is read."""

    offset: int
    timestamp: int
    value: bytes
    key: bytes | None = None


class NothingRejected:
    """Where no record goes."""

    truncated = 0

    def put(self, tp: TP, offset: int, reason: str, value: bytes | None, timestamp: int) -> None:
        raise AssertionError(reason)

    def oldest(self, tp: TP) -> int | None:
        return None

    async def room(self) -> None:
        return


class AllRejected(NothingRejected):
    """Where any record may go."""

    def put(self, tp: TP, offset: int, reason: str, value: bytes | None, timestamp: int) -> None:
        return
