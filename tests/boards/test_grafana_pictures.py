"""Pictures of boards by the components that Grafana is built of; not by Grafana itself.

The pictures are left in `build/pictures`.
"""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.boards import Board, boards, panels, values_of
from tests.support.drawn_boards import PICTURES, drawn, with_values
from tests.support.watched_floor import WatchedFloor

PATIENCE_MS = 60_000


@pytest.fixture
def page(browser: Browser) -> Page:
    return browser.new_page(viewport={"width": 1920, "height": 1080})


def height_px(board: Board) -> int:
    """All of it: what is outside the window is not drawn."""
    rows = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in board["panels"])
    return 8 + 38 * int(rows)


@pytest.mark.parametrize("uid", ["floorwatch-wall", "floorwatch-floor-lead"])
def test_every_panel_is_drawn(uid: str, page: Page, floor: WatchedFloor) -> None:
    board = boards()[uid]
    chosen = values_of(uid)[0]
    failures: list[str] = []
    page.on("pageerror", lambda error: failures.append(str(error)))

    with drawn(board, floor.prometheus, chosen) as address:
        page.set_viewport_size({"width": 1920, "height": height_px(board)})
        page.goto(address)
        expect(page).to_have_title("drawn", timeout=PATIENCE_MS)
        PICTURES.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=PICTURES / f"{uid}.png", full_page=True)

        assert failures == []
        assert page.get_by_test_id("panel-error").all_inner_texts() == []
        shown = page.get_by_test_id("panel")
        titles = [shown.nth(at).get_attribute("aria-label") for at in range(shown.count())]
        assert titles == [panel["title"] for panel in panels(with_values(board, chosen))]
        for at, title in enumerate(titles):
            assert shown.nth(at).inner_text().removeprefix(title or "").strip(), title
