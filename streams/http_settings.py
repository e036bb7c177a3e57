"""The settings `http:`: who may see what, over what, and in whose frames.

Secrets are in files; here are their names alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from streams.core.policy import BadSetting
from streams.core.readers import Reader, mapping, matching, one_of, optional, read_value

NO_FRAMES: Final = "'none'"
OWN_FRAMES: Final = "'self'"

_SOURCE: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:(\d{1,5}|\*))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Everything under `http:`, checked; what each one means is in the example file.

    Attributes:
        wall_token_file: tokens that open the wall, one a line; None where it needs none.
        api_token_file: those of `/api`.
        metrics_token_file: those of `/metrics`.
        certificate_file: PEM, the worker's own first; None where there is no TLS.
        key_file: PEM, its key; it may be in `certificate_file` too.
        frame_ancestors: the pages that may frame the wall, as in `Content-Security-Policy`.
        open_without_token: whether others than this machine may see what has no token.
    """

    wall_token_file: Path | None = None
    api_token_file: Path | None = None
    metrics_token_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    frame_ancestors: str = NO_FRAMES
    open_without_token: bool = False


def _frame_ancestors(plain: object) -> str:
    words = plain.split() if isinstance(plain, str) else plain
    if not isinstance(words, list) or not words:
        words = [""]
    sources = [f"'{word}'" if word in {"none", "self"} else word for word in words]
    for source in sources:
        is_known = source in {NO_FRAMES, OWN_FRAMES}
        if not (is_known or (isinstance(source, str) and _SOURCE.fullmatch(source))):
            raise ValueError(
                "expected none, or self and origins such as https://boards.example.com"
            )
    if NO_FRAMES in sources and len(sources) > 1:
        raise ValueError("expected none alone, or without it")
    return " ".join(sources)


_file: Final = optional(matching(r"\S(.*\S)?", "the path of a file"))


def _path(plain: object) -> Path | None:
    written = _file(plain)
    return None if written is None else Path(written)


def _yes_or_no(plain: object) -> bool:
    if isinstance(plain, bool):
        return plain
    is_yes: bool = one_of(("true", "false"))(plain) == "true"
    return is_yes


READERS: Final[dict[str, Reader]] = {
    "wall_token_file": _path,
    "api_token_file": _path,
    "metrics_token_file": _path,
    "certificate_file": _path,
    "key_file": _path,
    "frame_ancestors": _frame_ancestors,
    "open_without_token": _yes_or_no,
}
"""Each key, which is the field that it fills, and how it is read."""


def read_http(plain: object) -> HttpSettings:
    """What *plain* says under `http`.

    Raises:
        BadSetting: a key or a value is wrong.
    """
    parts = mapping(plain, "http", tuple(READERS))
    values = {key: read_value(parts[key], f"http.{key}", READERS[key]) for key in parts}
    read = HttpSettings(**values)
    if read.key_file is not None and read.certificate_file is None:
        raise BadSetting("http.key_file", "expected a certificate_file beside it")
    return read


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def refuse_open_surfaces(http: HttpSettings, host: str) -> None:
    """Stop where others than this machine would see something without having to show a token.

    Raises:
        BadSetting: with both ways out.
    """
    if http.open_without_token or is_loopback(host):
        return
    files = ("wall_token_file", "api_token_file", "metrics_token_file")
    missing = [f"http.{name}" for name in files if getattr(http, name) is None]
    if missing:
        raise BadSetting(
            "host",
            f"others can reach this address: set {', '.join(missing)}, or say that none is needed "
            "with http.open_without_token: true",
            value=host,
        )
