"""A real Chromium for the tests of the pages: the machine's own, headless."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from playwright.sync_api import Browser

OVERRIDE: Final = "FLOORWATCH_CHROMIUM"
NAMES: Final = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class ChromiumMissing(Exception):
    """No Chromium on this machine; the message says how to get one."""


def find_chromium() -> str:
    """Path of the Chromium to test with: `FLOORWATCH_CHROMIUM`, else the first one on the PATH."""
    override = os.environ.get(OVERRIDE)
    if override is not None:
        if shutil.which(override) is None:
            raise ChromiumMissing(f"{OVERRIDE}={override!r}: expected the path of a program")
        return override
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    raise ChromiumMissing(
        f"none of {', '.join(NAMES)} is on the PATH; "
        f"install Debian's package chromium, or set {OVERRIDE} to a browser's path"
    )


@contextmanager
def chromium(*flags: str) -> Iterator[Browser]:
    """A running browser. While it runs, `asyncio.run` cannot be used in the same thread."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=[*FLAGS, *flags])
        try:
            yield browser
        finally:
            browser.close()
