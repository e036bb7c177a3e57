"""Who logs in to Grafana, in a form that cannot be printed by mistake."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final

HIDDEN: Final = "***"

_HEADER_SAFE: Final = re.compile(r"[\x21-\x7e]+")


class BadCredentials(Exception):
    """What was given cannot log anybody in; the message never holds any of it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A token, or a user with a password; neither is shown by `repr` or `str`.

    Attributes:
        token: of a service account; None where a user logs in.
        user: None where a token does.
    """

    token: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        """Refuse what no HTTP header can carry.

        Raises:
            BadCredentials: the token is empty or has blanks in it, or a user cannot be told from
                the password.
        """
        if self.token is not None and not _HEADER_SAFE.fullmatch(self.token):
            raise BadCredentials(
                f"the token of {len(self.token)} characters is empty, or has blanks or letters "
                "in it that no token has: copy it anew"
            )
        if self.token is None and not self.password:
            raise BadCredentials("the password is empty")
        if self.token is None and (not self.user or ":" in self.user):
            raise BadCredentials("the user's name is empty or has a colon in it")

    def hide(self, text: str) -> str:
        """*text* without anything of these credentials, whoever wrote it."""
        for secret in self._secrets():
            text = text.replace(secret, HIDDEN)
        return text

    def _secrets(self) -> list[str]:
        """All forms in which it may come back, the longest first."""
        if self.token is not None:
            return [self.token]
        secret = self.password or ""
        pair = f"{self.user}:{secret}".encode()
        return sorted([base64.b64encode(pair).decode(), secret], key=len, reverse=True)


def secret_of(written: bytes) -> str:
    """The secret that a file holds: its text without the blanks and line ends around it.

    Raises:
        BadCredentials: it is no text.
    """
    try:
        return written.decode().strip()
    except UnicodeDecodeError:
        raise BadCredentials(f"{len(written)} bytes that are no UTF-8 text") from None
