"""Where Kafka is and how to get in: what every one of our clients is made with.

The files that the settings name are read here, once for each command: whoever changes one restarts
what uses it.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.core.policy import BadSetting
from streams.kafka_settings import KafkaSettings
from streams.settings import Settings

_OLDEST_TLS: Final = ssl.TLSVersion.TLSv1_2
SECRETS: Final = frozenset({"username_file", "password_file", "key_password_file"})
"""Settings whose files hold a secret."""


@dataclass(frozen=True, slots=True)
class KafkaAccess:
    """Where Kafka is and how to get in.

    Attributes:
        bootstrap: `HOST:PORT`, several separated by commas.
        security: further arguments of an aiokafka client. They hold the password: never shown.
        trusted: what signs the brokers' certificates, in words for the operator.
    """

    bootstrap: str
    security: Mapping[str, Any] = field(default_factory=dict, repr=False)
    trusted: str = "this system's authorities"

    @property
    def client(self) -> dict[str, Any]:
        """The arguments of every aiokafka client."""
        return {"bootstrap_servers": self.bootstrap, **self.security}


def kafka_access(settings: Settings) -> KafkaAccess:
    """The way to Kafka under *settings*, with what is in their files now.

    Raises:
        BadSetting: a file cannot be read or used; in one line which setting and which file, never
            what is in it.
    """
    kafka = settings.kafka
    security: dict[str, Any] = {}
    if kafka.is_encrypted or kafka.has_user:
        security["security_protocol"] = kafka.security_protocol.upper()
    if kafka.has_user:
        security["sasl_mechanism"] = kafka.sasl_mechanism
        security["sasl_plain_username"] = _line_in("username_file", kafka.username_file)
        security["sasl_plain_password"] = _line_in("password_file", kafka.password_file)
    if kafka.is_encrypted:
        security["ssl_context"] = _encryption(kafka)
    if kafka.ca_file is None:
        return KafkaAccess(settings.bootstrap, security)
    return KafkaAccess(settings.bootstrap, security, f"kafka.ca_file ({kafka.ca_file})")


class _ClosedAtOnce(ssl.SSLObject):
    """Says that it closes, and does not wait until the broker says so, too.

    Event loops wait thirty seconds for a broker that does not, as one that is still sending, and
    aiokafka waits for them: in a restore, and at every stop. Nothing is lost, because whatever
    counts has been acknowledged before a connection is closed.
    """

    def unwrap(self) -> None:
        """Say that no more comes from here."""
        with suppress(ssl.SSLWantReadError):
            super().unwrap()


def _encryption(kafka: KafkaSettings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which checks certificate and host name
    context.minimum_version = _OLDEST_TLS
    context.sslobject_class = _ClosedAtOnce
    if kafka.ca_file is None:
        context.load_default_certs()
    else:
        _trust(context, "ca_file", kafka.ca_file)
    if kafka.certificate_file is not None:
        _show_certificate(context, kafka, kafka.certificate_file)
    return context


def _trust(context: ssl.SSLContext, key: str, path: Path) -> None:
    _readable(key, path)
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        raise _unusable(key, path, "expected certificates in PEM") from None


def _show_certificate(context: ssl.SSLContext, kafka: KafkaSettings, path: Path) -> None:
    """Have *context* show the certificate in *path*, so that the broker knows who we are."""
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate_file", path)  # is there one at all
    key, key_path = ("key_file", kafka.key_file or path)
    if kafka.key_file is None:
        key = "certificate_file"
    _readable(key, key_path)
    password = ""
    if kafka.key_password_file is not None:
        password = _line_in("key_password_file", kafka.key_password_file)
    try:
        # Always with a password: without one, OpenSSL would ask whoever sits at the terminal.
        context.load_cert_chain(path, key_path, lambda: password)
    except ssl.SSLError as unusable:
        if unusable.reason == "KEY_VALUES_MISMATCH":
            raise _unusable(key, key_path, f"it is not the key of the certificate in {path}") from (
                None
            )
        problem = "expected a private key in PEM"
        if _is_encrypted(key_path):
            problem = (
                "it has a password: expected kafka.key_password_file"
                if kafka.key_password_file is None
                else f"the password in {kafka.key_password_file} does not open it"
            )
        raise _unusable(key, key_path, problem) from None


def _is_encrypted(path: Path) -> bool:
    return b"ENCRYPTED" in path.read_bytes()


def _line_in(key: str, path: Path | None) -> str:
    """The one line that stands in *path*, the file that `kafka.`*key* names."""
    if path is None:
        raise BadSetting(f"kafka.{key}", "expected a file")
    try:
        line = _readable(key, path).decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise _unusable(key, path, "expected a text in UTF-8") from None
    if not line or not line.isprintable():
        raise _unusable(key, path, "expected one line that is not empty")
    return line


def _readable(key: str, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as unreadable:
        reason = unreadable.strerror or "unreadable"
        if key in SECRETS:  # somebody may have written the secret itself there
            problem = f"cannot read the file that it names: {reason}"
            raise BadSetting(f"kafka.{key}", problem) from None
        raise _unusable(key, path, f"cannot read it: {reason}") from None


def _unusable(key: str, path: Path, problem: str) -> BadSetting:
    return BadSetting(f"kafka.{key}", f"{path}: {problem}")
