"""How the web answers: JSON that nobody keeps, and gzip for those who take it."""

from __future__ import annotations

import zlib
from typing import Final

import orjson
from aiohttp import web

JSON_TYPE: Final = "application/json"
OFF_LOOP_FROM_BYTES: Final = 64 * 1024
"""A body from this size on is compressed in another thread."""

FASTEST: Final = 1
_GZIP_WITH_HEADER: Final = 31
_NO_HEADER: Final = -15

GZIP_HEADER: Final = bytes.fromhex("1f8b08000000000000ff")
"""What comes once before pieces of `deflated`; together they are one gzip stream without end."""


def json_answer(
    document: dict[str, str], *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    """A small document."""
    return web.Response(
        body=orjson.dumps(document),
        status=status,
        content_type=JSON_TYPE,
        headers={"Cache-Control": "no-store"} | (headers or {}),
    )


def gzipped(body: bytes) -> bytes:
    """*body* as a gzip file."""
    return zlib.compress(body, level=FASTEST, wbits=_GZIP_WITH_HEADER)


def deflated(piece: bytes) -> bytes:
    """*piece* as whole blocks that refer to nothing before them and can follow any others.

    So one compression serves every reader, wherever in the stream it began.
    """
    packer = zlib.compressobj(FASTEST, zlib.DEFLATED, _NO_HEADER)
    return packer.compress(piece) + packer.flush(zlib.Z_FULL_FLUSH)


def accepts_gzip(request: web.Request) -> bool:
    """Whether whoever asks takes gzip."""
    for item in request.headers.get("Accept-Encoding", "").lower().split(","):
        coding, _, weight = item.replace(" ", "").partition(";q=")
        if coding == "gzip":
            return weight.rstrip("0") not in {"0.", "."} and weight != "0"
    return False
