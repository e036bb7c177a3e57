"""The certificate of the one port, taken anew when its files change."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Final

from streams.core.policy import BadSetting
from streams.http_settings import HttpSettings

log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 10.0


class Certificate:
    """A TLS context for a server: 1.2 or newer, HTTP/1.1.

    Args:
        certificate_file: PEM, the server's own first.
        key_file: PEM; None where the key is in the other file.

    Attributes:
        context: what a listening socket takes. It stays the same one.

    Raises:
        BadSetting: they cannot be used, with the reason.
    """

    def __init__(self, certificate_file: Path, key_file: Path | None) -> None:
        self._files = (certificate_file, key_file)
        self._stamp = self._look()
        self._complained = ""
        self.context: Final = _context()
        self._load(self.context)

    def reread(self) -> bool:
        """Take the files anew if they have changed; whether that has happened.

        What cannot be used leaves the certificate as it is, and is told of once.
        """
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return False
            self._load(_context())  # one that does not fit its key would spoil the other
            self._load(self.context)
        except BadSetting as wrong:
            if self._complained != str(wrong):
                self._complained = str(wrong)
                log.error("%s; the one of before stays", wrong)
            return False
        self._stamp = stamp
        self._complained = ""
        log.info("a new certificate is in use")
        return True

    async def watch(self, *, every_s: float = LOOK_EVERY_S) -> None:
        """Take what changes, for ever."""
        while True:
            await asyncio.sleep(every_s)
            await asyncio.to_thread(self.reread)

    def _look(self) -> list[tuple[int, int, int]]:
        stamps = []
        for setting, path in zip(("certificate_file", "key_file"), self._files, strict=True):
            if path is None:
                continue
            try:
                with path.open("rb"):
                    state = path.stat()
            except OSError as unreadable:
                raise BadSetting(
                    f"http.{setting}",
                    f"cannot read the file: {unreadable.strerror or 'unreadable'}",
                    value=str(path),
                ) from None
            stamps.append((state.st_ino, state.st_size, state.st_mtime_ns))
        return stamps

    def _load(self, context: ssl.SSLContext) -> None:
        certificate, key = self._files
        try:
            context.load_cert_chain(certificate, key, password=_no_password)
        except _PasswordWanted:
            problem = "the key has a password; give one without"
        except ssl.SSLError as wrong:
            if wrong.reason == "KEY_VALUES_MISMATCH":
                problem = "certificate and key do not belong together"
            else:
                problem = "expected a certificate and its key, in PEM"
        except OSError as unreadable:
            problem = f"cannot read it: {unreadable.strerror or 'unreadable'}"
        else:
            return
        raise BadSetting("http.certificate_file", problem, value=str(certificate))


def certificate_of(http: HttpSettings) -> Certificate | None:
    """The certificate that the settings name; None where there is no TLS.

    Raises:
        BadSetting: it cannot be used.
    """
    if http.certificate_file is None:
        return None
    return Certificate(http.certificate_file, http.key_file)


class _PasswordWanted(Exception):
    """Without this, OpenSSL would ask on the terminal."""


def _no_password() -> str:
    raise _PasswordWanted


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
