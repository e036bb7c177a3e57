"""One Chromium for the tests of a page, and a wall opened on a floor that a test wrote."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.support.chromium import chromium
from tests.support.fake_floor import FakeFloor, serving
from tests.support.screen import OpenScreen, Screen

PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def screen(browser: Browser) -> Iterator[OpenScreen]:
    """Make a screen of a size, on which the wall of a floor can be opened."""
    with ExitStack() as stack:

        def make(
            floor: FakeFloor,
            *,
            frame_every_s: float = 0.1,
            width: int = 1920,
            height: int = 1080,
            locale: str = "en-GB",
        ) -> Screen:
            server = stack.enter_context(serving(floor, frame_every_s=frame_every_s))
            viewport: ViewportSize = {"width": width, "height": height}
            context = browser.new_context(viewport=viewport, locale=locale)
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            return Screen(context.new_page(), server, floor)

        yield make


@pytest.fixture(scope="module")
def formatter(browser: Browser) -> Iterator[Page]:
    """A page whose modules a test can call."""
    with serving(FakeFloor()) as server:
        page = browser.new_page(locale="en-GB")
        page.goto(server.url)
        yield page
        page.close()
