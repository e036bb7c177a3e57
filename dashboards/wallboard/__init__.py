"""The wallboard: two pages and their assets, plain files that a browser runs as they are.

The pages read the floor JSON and show it. State, reason and every number come from the server;
nothing here decides what is good or bad.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

CONTENT_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
BOARD: Final = "page.html"
QUEUE: Final = "queue.html"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file as it is served.

    Attributes:
        body: the bytes of the file.
        content_type: what a browser is told it is.
        digest: hex digest of the body; it changes exactly when the body does.
    """

    body: bytes
    content_type: str
    digest: str


def load_assets() -> dict[str, Asset]:
    """Every file of the wallboard by its name, read from the installed package."""
    assets: dict[str, Asset] = {}
    for file in files(__name__).iterdir():
        content_type = CONTENT_TYPES.get("." + file.name.rpartition(".")[2])
        if content_type is not None:
            body = file.read_bytes()
            digest = hashlib.sha256(body).hexdigest()[:32]
            assets[file.name] = Asset(body=body, content_type=content_type, digest=digest)
    return assets


def edition(assets: dict[str, Asset]) -> str:
    """What a page that has been open for weeks compares to know that it is out of date."""
    names = sorted(assets)
    joined = "".join(name + assets[name].digest for name in names)
    return hashlib.sha256(joined.encode()).hexdigest()[:16]
