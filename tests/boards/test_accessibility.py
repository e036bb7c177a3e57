"""The pages as axe-core sees them: no violation in any theme, language, state or size."""

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped] # it has none
from playwright.sync_api import Page, expect

from tests.support.fake_floor import (
    TEN_O_CLOCK_MS,
    FakeFloor,
    a_floor,
    a_queue,
    an_alert,
    an_entry,
)
from tests.support.screen import OpenScreen
from tests.support.walls import a_day_on_the_floor

STATES = ("trouble", "watch", "good", "too_few", "no_calls", "no_data", "catching_up", "closed")
QUEUE = "/queue?queue=trouble&channel=voice"


def everything_at_once() -> FakeFloor:
    """A queue in every state, alerts of all kinds, a part missing, trends both ways."""
    queues = [
        a_queue(
            state,
            state=state,
            cause={"id": "longest_wait", "limit": 300.0} if state == "trouble" else None,
            no_data_since_ms=TEN_O_CLOCK_MS if state == "no_data" else None,
            oldest_waiting_ms=TEN_O_CLOCK_MS - 312_000,
            trend={"waiting": "rising", "service_level": "falling"},
            alerts=[an_alert(queue=state)] if state == "trouble" else [],
            paging_suppressed="stale" if state in {"no_data", "catching_up"} else None,
        )
        for state in STATES
    ]
    queues[-1]["out_of_service_since_ms"] = TEN_O_CLOCK_MS
    entries = [
        an_entry(state, window=window, n=5 if state == "too_few" else 143)
        for state in STATES
        for window in ("5m", "15m", "30m", "60m", "day", "total")
    ]
    paging = {"known": True, "as_of_ms": TEN_O_CLOCK_MS, "firing": 2, "suppressed": 0}
    many = an_alert("FloorwatchManyQueuesInTrouble", queue=None, channel=None)
    return FakeFloor(
        a_floor(
            *queues,
            entries=entries,
            partial={"share": 0.25, "since_ms": TEN_O_CLOCK_MS},
            paging=paging | {"alerts": [many]},
        )
    )


def violations(page: Page) -> list[str]:
    """What axe-core finds, each with the first element that has it."""
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in found]


@pytest.mark.parametrize("query", ["", "theme=light", "lang=es&sort=fixed&site=&sound=on"])
def test_axe_finds_nothing_on_a_wall_that_shows_everything(screen: OpenScreen, query: str) -> None:
    page = screen(everything_at_once()).open(f"/?{query}")
    expect(page.locator(".tile")).to_have_count(len(STATES))
    expect(page.locator("#alerts li")).to_have_count(1)

    assert violations(page) == []


def test_axe_finds_nothing_on_a_wall_of_many_pages(screen: OpenScreen) -> None:
    page = screen(a_day_on_the_floor(80)).open()
    expect(page.locator("#page")).to_contain_text("page 1 of")

    assert violations(page) == []


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_axe_finds_nothing_where_the_feed_has_stopped(screen: OpenScreen, theme: str) -> None:
    wall = screen(everything_at_once())
    wall.page.clock.install()
    page = wall.open(f"/?theme={theme}")
    expect(page.locator(".tile")).to_have_count(len(STATES))
    wall.server.stop()
    page.clock.fast_forward(4000)
    expect(page.locator("#alarm")).to_be_visible()
    page.clock.resume()

    assert violations(page) == []


@pytest.mark.parametrize(
    ("query", "width"), [("", 1280), ("&theme=light&lang=es", 1280), ("&theme=light", 390)]
)
def test_axe_finds_nothing_on_the_page_of_a_queue(
    screen: OpenScreen, query: str, width: int
) -> None:
    page = screen(everything_at_once(), width=width, height=844).open(QUEUE + query)
    expect(page.locator("#segments tbody tr")).to_have_count(2)

    assert violations(page) == []


def test_axe_finds_nothing_on_a_phone_or_on_an_empty_floor(screen: OpenScreen) -> None:
    page = screen(everything_at_once(), width=390, height=844).open()
    expect(page.locator(".tile")).to_have_count(len(STATES))
    assert violations(page) == []

    page = screen(FakeFloor(a_floor(entries=[]))).open()
    expect(page.locator("#notice")).to_have_text("No queue has been seen yet")
    assert violations(page) == []
