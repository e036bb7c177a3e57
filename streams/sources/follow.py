"""A log file that is still being written: its lines, through rotation and truncation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple


class FollowedLine(NamedTuple):
    """A line of a followed log without its line end; *is_first* of its file or not."""

    text: str
    is_first: bool


def follow(
    path: str | os.PathLike[str], *, sleep: Callable[[], None]
) -> Iterator[FollowedLine | None]:
    """The lines of a log that is still being written, from its beginning and without end.

    A line is given once its line end is there. When the file is renamed (rotation) the old one is
    read on for one more sleep, since Asterisk renames before it opens the new one. A file that
    shrinks or whose beginning changes was truncated: it is read again from its beginning as
    another file. While the path does not exist, as between the two steps of a rotation, it is
    waited for.

    Args:
        path: the live log.
        sleep: waits between two looks at the file; called whenever there is nothing new.

    Yields:
        Each line; and None after each sleep, so that the caller can send a heartbeat or stop.
    """
    while True:
        try:
            log = open(path, "rb")  # noqa: SIM115 - closed in the `with` below
        except FileNotFoundError:
            sleep()
            yield None
            continue
        with log:
            yield from _follow_one(path, log, sleep)


def _follow_one(
    path: str | os.PathLike[str], log: BinaryIO, sleep: Callable[[], None]
) -> Iterator[FollowedLine | None]:
    """The lines of one file until it is rotated away or truncated."""
    head, unfinished = b"", b""
    is_rotated = False
    while True:
        for chunk in iter(lambda: log.read(1 << 16), b""):
            *complete, unfinished = (unfinished + chunk).split(b"\n")
            for line in complete:
                yield FollowedLine(line.decode("utf-8", "replace"), not head)
                head = head or line + b"\n"
        if is_rotated:
            if unfinished:
                yield FollowedLine(unfinished.decode("utf-8", "replace"), not head)
            return
        is_rotated = not _is_at(path, log)
        sleep()
        yield None
        if not is_rotated and _is_truncated(log, head):
            log.seek(0)
            head, unfinished = b"", b""


def _is_at(path: str | os.PathLike[str], log: BinaryIO) -> bool:
    """Whether *path* still leads to the open file."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(log.fileno()))
    except FileNotFoundError:
        return False


def _is_truncated(log: BinaryIO, head: bytes) -> bool:
    """Whether the file is shorter than what was read of it, or begins with something else."""
    position = log.tell()
    if os.fstat(log.fileno()).st_size < position:
        return True
    log.seek(0)
    is_other = log.read(len(head)) != head
    log.seek(position)
    return is_other
