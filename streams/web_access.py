"""Who may see what: the tokens of each surface, and the cookie that stands for one on a wall.

No token is kept: of each only its hash, and the value of its cookie. That value follows from the
token alone, so a cookie is good at every worker that has the token, and after a restart, and ends
when the token leaves the file.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import logging
import re
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Final, NamedTuple

from streams.core.policy import BadSetting
from streams.http_settings import HttpSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0
LARGEST_FILE: Final = 64 * 1024
MOST_TOKENS: Final = 20

_TOKEN: Final = re.compile(rb"[A-Za-z0-9._~+/=-]{16,512}")
_COOKIE_OF: Final = b"floorwatch wall cookie 1"


class Surface(Enum):
    """A part of the one port that has tokens of its own; its setting is the value."""

    WALL = "wall_token_file"
    API = "api_token_file"
    METRICS = "metrics_token_file"


class _Key(NamedTuple):
    """What is kept of one token."""

    digest: bytes
    cookie: bytes


class _Surface(NamedTuple):
    """The keys of a surface and the state of the file that they are from."""

    keys: tuple[_Key, ...]
    stamp: tuple[int, ...]


class Access:
    """The tokens of each surface that has any; a surface without a file is open to everybody.

    Args:
        settings: name the files.

    Raises:
        BadSetting: a file cannot be read or holds no token; never saying what it holds.
    """

    def __init__(self, settings: HttpSettings) -> None:
        self._files: dict[Surface, Path] = {
            surface: path
            for surface in Surface
            if (path := getattr(settings, surface.value)) is not None
        }
        self._surfaces = {surface: _read(surface, path) for surface, path in self._files.items()}
        self._complained: dict[Surface, str] = {}

    def is_open(self, surface: Surface) -> bool:
        """Whether *surface* needs no token."""
        return surface not in self._surfaces

    def admits(self, surface: Surface, token: str) -> bool:
        """Whether *token* is one of *surface*; how long it takes does not tell how nearly."""
        return self._key_of(surface, token) is not None

    def cookie_of(self, token: str) -> str | None:
        """The cookie that a wall gets for *token*; None where it opens no wall."""
        key = self._key_of(Surface.WALL, token)
        return None if key is None else key.cookie.decode()

    def knows_cookie(self, cookie: str) -> bool:
        """Whether *cookie* is that of a token of the wall."""
        given = _bytes(cookie)
        keys = self._keys(Surface.WALL)
        return sum(hmac.compare_digest(given, key.cookie) for key in keys) > 0  # looks at each

    def reread(self) -> bool:
        """Read again the files that have changed; whether any surface's tokens have.

        One that cannot be used leaves the tokens as they are, and is told of once.
        """
        has_changed = False
        for surface, path in self._files.items():
            before = self._surfaces[surface]
            try:
                if _stamp(surface, path) == before.stamp:
                    continue
                self._surfaces[surface] = now = _read(surface, path)
            except BadSetting as wrong:
                if self._complained.get(surface) != str(wrong):
                    self._complained[surface] = str(wrong)
                    log.error("%s; the tokens of before stay", wrong)
                continue
            self._complained.pop(surface, None)
            if now.keys != before.keys:
                has_changed = True
                log.info("http.%s has changed: tokens in it now: %d", surface.value, len(now.keys))
        return has_changed

    async def watch(self, changed: Callable[[], None], *, every_s: float = LOOK_EVERY_S) -> None:
        """Read again what changes, for ever, and call *changed* after each change of tokens."""
        while self._files:
            await asyncio.sleep(every_s)
            if await asyncio.to_thread(self.reread):
                changed()

    def _keys(self, surface: Surface) -> Iterable[_Key]:
        return self._surfaces[surface].keys if surface in self._surfaces else ()

    def _key_of(self, surface: Surface, token: str) -> _Key | None:
        digest = hashlib.sha256(_bytes(token)).digest()
        found = None
        for key in self._keys(surface):
            if hmac.compare_digest(digest, key.digest):
                found = key
        return found


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _stamp(surface: Surface, path: Path) -> tuple[int, ...]:
    """What tells that a file is another one, also behind a link that a Secret's folder changes."""
    try:
        state = path.stat()
    except OSError as unreadable:
        raise _unreadable(surface, unreadable) from None
    return (state.st_ino, state.st_size, state.st_mtime_ns)


def _read(surface: Surface, path: Path) -> _Surface:
    key = f"http.{surface.value}"
    stamp = _stamp(surface, path)
    try:
        with path.open("rb") as file:
            written = file.read(LARGEST_FILE + 1)
    except OSError as unreadable:
        raise _unreadable(surface, unreadable) from None
    tokens = []
    for number, line in enumerate(written.splitlines(), 1):
        if not line.strip():
            continue
        if not _TOKEN.fullmatch(line.strip()):
            raise BadSetting(
                key,
                f"line {number} of the file is no token: expected 16 to 512 of A-Z a-z 0-9 "
                "and . _ ~ + / = -",
            )
        tokens.append(line.strip())
    if not 1 <= len(tokens) <= MOST_TOKENS or len(written) > LARGEST_FILE:
        raise BadSetting(key, f"expected 1 to {MOST_TOKENS} tokens in the file, a line each")
    return _Surface(tuple(map(_key, tokens)), stamp)


def _key(token: bytes) -> _Key:
    mark = hmac.digest(token, _COOKIE_OF, "sha256")
    return _Key(hashlib.sha256(token).digest(), base64.urlsafe_b64encode(mark).rstrip(b"="))


def _unreadable(surface: Surface, error: OSError) -> BadSetting:
    # Not the name: somebody may have written the token itself there.
    reason = error.strerror or "unreadable"
    return BadSetting(f"http.{surface.value}", f"cannot read the file that it names: {reason}")
