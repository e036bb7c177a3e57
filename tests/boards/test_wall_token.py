"""A wall with a token, in a real browser: opened, led to from elsewhere, framed, withdrawn."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from streams.http_settings import HttpSettings, read_http
from tests.support.fake_floor import FakeFloor, serving
from tests.support.screen import Screen
from tests.support.tokens import WALL, with_tokens

PATIENCE_MS = 60_000

Opened = Callable[..., Screen]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """A browser of its own in front of a wall, which has a token unless a test says otherwise."""
    with ExitStack() as stack:

        def make(http: HttpSettings | None = None) -> Screen:
            floor = FakeFloor()
            http = http or with_tokens(tmp_path)
            server = stack.enter_context(serving(floor, http=http))
            context = browser.new_context(locale="en-GB")
            stack.callback(context.close)
            context.set_default_timeout(PATIENCE_MS)
            return Screen(context.new_page(), server, floor)

        yield make


def is_live(page: Page) -> None:
    """See that the wall shows its queue and that frames keep coming."""
    expect(page.locator(".tile h2")).to_have_text("Sales", timeout=PATIENCE_MS)
    before = page.locator("#as-of").text_content()
    expect(page.locator("#as-of")).not_to_have_text(before or "", timeout=PATIENCE_MS)
    expect(page.locator("#alarm")).to_be_hidden()


class Elsewhere:
    """Another server on this machine, with one page: a link to an address, and a frame of it.

    Attributes:
        port: where it is. As `localhost` it is another site than 127.0.0.1, as that the same one.
    """

    def __init__(self) -> None:
        self.address = ""
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:  # the library's name
                body = f'<a href="{page.address}">wall</a><iframe src="{page.address}"></iframe>'
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *_args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def open(self, context: BrowserContext, address: str, host: str = "localhost") -> Page:
        """The page, which leads to *address*."""
        self.address = address
        page = context.new_page()
        page.goto(f"http://{host}:{self.port}/")
        return page


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[Elsewhere]:
    server = Elsewhere()
    yield server
    server.stop()


def test_a_wall_opened_with_its_token_works_whole_and_keeps_it_nowhere(opened: Opened) -> None:
    screen = opened()
    headers: list[dict[str, str]] = []
    screen.page.on("request", lambda request: headers.append(request.all_headers()))

    page = screen.open(f"/?theme=light&token={WALL}")
    is_live(page)
    cdp = page.context.new_cdp_session(page)
    history = [entry["url"] for entry in cdp.send("Page.getNavigationHistory")["entries"]]
    seen = str([page.url, history, page.evaluate("document.referrer"), headers])
    [cookie] = page.context.cookies()
    page.locator(".tile h2 a").click()
    expect(page.locator("#name")).to_have_text("Sales")
    expect(page.locator("#formulas tbody tr")).not_to_have_count(0)
    page.go_back()
    is_live(page)

    assert page.url == f"{screen.server.url}/?theme=light"
    assert WALL not in seen
    assert [url for url in screen.requested if WALL in url] == [screen.requested[0]]
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/")
    assert WALL not in cookie["value"]
    assert page.evaluate("document.cookie") == ""
    assert screen.complaints == []


def test_the_page_of_a_queue_takes_the_token_too(opened: Opened) -> None:
    screen = opened()

    page = screen.open(f"/queue?token={WALL}&queue=sales&channel=voice")

    expect(page.locator("#name")).to_have_text("Sales")
    assert page.url == f"{screen.server.url}/queue?queue=sales&channel=voice"


@pytest.mark.parametrize(
    ("address", "said"),
    [("/", "This browser has shown none so far"), ("/queue?token=x", "is not a valid one")],
)
def test_without_a_token_or_with_a_wrong_one_a_page_says_what_to_do(
    opened: Opened, address: str, said: str
) -> None:
    screen = opened()

    page = screen.open(address)

    expect(page.locator("h1")).to_have_text("This wallboard needs a token")
    expect(page.locator("main")).to_contain_text(said)
    expect(page.locator(".tile")).to_have_count(0)
    assert page.context.cookies() == []


def test_a_link_of_another_site_leads_to_the_wall_of_who_has_been_let_in(
    opened: Opened, elsewhere: Elsewhere
) -> None:
    screen = opened()
    is_live(screen.open(f"/?token={WALL}"))
    page = elsewhere.open(screen.page.context, f"{screen.server.url}/?theme=light")

    page.get_by_role("link").click()

    is_live(page)
    assert page.url == f"{screen.server.url}/?theme=light"


def test_a_link_of_another_site_that_has_the_token_leads_to_the_wall(
    opened: Opened, elsewhere: Elsewhere
) -> None:
    screen = opened()
    page = elsewhere.open(screen.page.context, f"{screen.server.url}/?token={WALL}&theme=dark")

    page.get_by_role("link").click()

    is_live(page)
    assert page.url == f"{screen.server.url}/?theme=dark"


def test_a_link_of_another_site_does_not_turn_in_circles_before_who_was_not_let_in(
    opened: Opened, elsewhere: Elsewhere
) -> None:
    screen = opened()
    page = elsewhere.open(screen.page.context, f"{screen.server.url}/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("This wallboard needs a token")
    page.wait_for_timeout(1_000)

    assert 1 <= asked.count(f"{screen.server.url}/") <= 2


@pytest.mark.parametrize(
    ("ancestors", "is_shown"),
    [("none", False), ("self", False), ("self http://localhost:{}", True)],
)
def test_a_page_shows_the_wall_in_a_frame_only_where_the_settings_name_it(
    opened: Opened, elsewhere: Elsewhere, ancestors: str, is_shown: bool
) -> None:
    screen = opened(read_http({"frame_ancestors": ancestors.format(elsewhere.port)}))

    page = elsewhere.open(screen.page.context, f"{screen.server.url}/")

    frame = page.frame_locator("iframe")
    if is_shown:
        expect(frame.locator(".tile h2")).to_have_text("Sales")
    else:
        page.wait_for_function("frames.length === 1")
        page.wait_for_timeout(1_000)
        expect(frame.locator(".tile")).to_have_count(0)
        assert page.frames[1].url.startswith("chrome-error:")


def test_a_page_of_the_same_site_may_frame_a_wall_with_a_token(
    opened: Opened, elsewhere: Elsewhere, tmp_path: Path
) -> None:
    own_site = f"http://127.0.0.1:{elsewhere.port}"
    screen = opened(with_tokens(tmp_path, frame_ancestors=own_site))
    address = f"{screen.server.url}/?token={WALL}"

    page = elsewhere.open(screen.page.context, address, "127.0.0.1")

    expect(page.frame_locator("iframe").locator(".tile h2")).to_have_text("Sales")


@pytest.mark.parametrize("address", ["/?", "/queue?queue=sales&channel=voice&"])
def test_a_wall_whose_token_is_withdrawn_says_so_by_itself(
    opened: Opened, tmp_path: Path, address: str
) -> None:
    screen = opened()
    page = screen.open(f"{address}token={WALL}")
    expect(page.locator("#as-of")).not_to_have_text("–")

    (tmp_path / "wall-token").write_text("another-0123456789-abcdef")

    expect(page.locator("h1")).to_have_text("This wallboard needs a token", timeout=PATIENCE_MS)
