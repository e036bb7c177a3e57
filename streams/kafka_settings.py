"""The settings `kafka:` - how a connection to Kafka is secured. They name files, never secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Final

from streams.core.policy import BadSetting
from streams.core.readers import Reader, mapping, one_of, optional, read_value, text

PLAINTEXT: Final = "plaintext"
PROTOCOLS: Final = (PLAINTEXT, "ssl", "sasl_plaintext", "sasl_ssl")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSettings:
    """How a connection to Kafka is secured; what each one means stands in the example file.

    Attributes:
        security_protocol: one of `PROTOCOLS`, as the listener of the brokers has it.
        sasl_mechanism: one of `MECHANISMS`; None without SASL.
        username_file: holds the user's name on one line; None without SASL, like the next.
        password_file: holds the user's password on one line.
        ca_file: PEM of the authorities that may have signed the brokers' certificates; None for
            those that this system trusts.
        certificate_file: PEM of our own certificate and those above it; None shows none.
        key_file: PEM of its key; None where `certificate_file` holds that too.
        key_password_file: holds the password of the key on one line; None where it has none.
    """

    security_protocol: str = PLAINTEXT
    sasl_mechanism: str | None = None
    username_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password_file: Path | None = None

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody on the way can read what is said."""
        return self.security_protocol in {"ssl", "sasl_ssl"}

    @property
    def has_user(self) -> bool:
        """Whether a user signs in by name and password."""
        return self.security_protocol in {"sasl_plaintext", "sasl_ssl"}


def _file(plain: object) -> Path:
    try:
        return Path(text(plain))
    except ValueError:
        raise ValueError("expected the path of a file") from None


_READERS: Final[Mapping[str, Reader]] = {
    "security_protocol": one_of(PROTOCOLS),
    "sasl_mechanism": optional(one_of(MECHANISMS)),
    "username_file": optional(_file),
    "password_file": optional(_file),
    "ca_file": optional(_file),
    "certificate_file": optional(_file),
    "key_file": optional(_file),
    "key_password_file": optional(_file),
}

KEYS: Final = tuple(_READERS)

_OF_A_USER: Final = ("sasl_mechanism", "username_file", "password_file")
_OF_ENCRYPTION: Final = ("ca_file", "certificate_file", "key_file", "key_password_file")


def read_kafka(plain: object) -> KafkaSettings:
    """The settings below `kafka`, checked against one another; no file is opened.

    Raises:
        BadSetting: one is wrong, is missing, or would have no effect under the protocol.
    """
    parts = mapping(plain, "kafka", KEYS)
    settings = KafkaSettings(
        **{key: read_value(value, f"kafka.{key}", _READERS[key]) for key, value in parts.items()}
    )
    given = {each.name for each in fields(settings) if getattr(settings, each.name) is not None}
    protocol = settings.security_protocol
    for keys, has_effect, where in (
        (_OF_A_USER, settings.has_user, "sasl_ssl or sasl_plaintext"),
        (_OF_ENCRYPTION, settings.is_encrypted, "ssl or sasl_ssl"),
    ):
        for key in keys:
            if key in given and not has_effect:
                raise BadSetting(
                    f"kafka.{key}",
                    f"has no effect while kafka.security_protocol is {protocol}; expected {where} "
                    "there, or nothing here",
                )
    for key in _OF_A_USER:
        if settings.has_user and key not in given:
            expected = "a file" if key.endswith("_file") else f"one of {', '.join(MECHANISMS)}"
            raise BadSetting(f"kafka.{key}", f"expected {expected}: {protocol} asks for it")
    for key, above in (("key_file", "certificate_file"), ("key_password_file", "certificate_file")):
        if key in given and above not in given:
            raise BadSetting(f"kafka.{key}", f"has no effect without kafka.{above}")
    return settings
