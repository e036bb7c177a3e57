"""A page as somebody sees it: the browser's page, the floor behind it, the browser's complaints."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page

from tests.support.fake_floor import FakeFloor, WebServer


class Screen:
    """A page in a browser, the floor behind it and all that the browser complained about."""

    def __init__(self, page: Page, server: WebServer, floor: FakeFloor) -> None:
        self.page = page
        self.server = server
        self.floor = floor
        self.complaints: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.requested.append(request.url))

    def open(self, path: str = "/") -> Page:
        self.page.goto(self.server.url + path)
        return self.page

    def wait_for_frames(self, n: int) -> None:
        """Let the server send *n* more frames."""
        enough = self.floor.frames + n
        while self.floor.frames < enough:
            self.page.wait_for_timeout(20)


OpenScreen = Callable[..., Screen]
