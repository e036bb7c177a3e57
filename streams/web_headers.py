"""What every answer forbids: scripts, frames and sources of others, guesses at types, referrers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from streams.http_settings import NO_FRAMES, OWN_FRAMES

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {}; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
_FRAME_OPTIONS: Final = {NO_FRAMES: "DENY", OWN_FRAMES: "SAMEORIGIN"}


def hardening(frame_ancestors: str = NO_FRAMES) -> Mapping[str, str]:
    """The headers, with *frame_ancestors* for the pages that may show ours in a frame.

    Not among them: `Strict-Transport-Security`, which would hold for every port of the host, also
    those of others that know no TLS.
    """
    headers = {
        "Content-Security-Policy": _POLICY.format(frame_ancestors),
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "Server": "floorwatch",
        "X-Content-Type-Options": "nosniff",
    }
    if frame_ancestors in _FRAME_OPTIONS:  # it knows no list of origins
        headers["X-Frame-Options"] = _FRAME_OPTIONS[frame_ancestors]
    return headers
