"""How many queues a wall shows, how large, which of them, and in which order."""

import pytest
from playwright.sync_api import Page, expect

from tests.support.fake_floor import FakeFloor, a_floor, a_queue, an_entry
from tests.support.screen import OpenScreen, Screen
from tests.support.walls import a_day_on_the_floor, clipped_strips, misfits, names_in_order

WALLS = [(1920, 1080), (1024, 768), (1280, 720), (2560, 1080), (3840, 1080), (3840, 2160)]
READABLE = 120 / 1080
TURN_MS = 12_500


def hero_sizes(page: Page) -> list[float]:
    """The height of every hero that has the digits it is made for, in px."""
    sizes = page.locator(".tile dd[data-size=full]").evaluate_all(
        "all => all.map(e => parseFloat(getComputedStyle(e).fontSize))"
    )
    assert isinstance(sizes, list)
    return sizes


def shown_when_settled(wall: Screen, count: int) -> int:
    """Tiles on the wall once it shows a floor of *count* queues."""
    wall.floor.document = a_day_on_the_floor(count).document
    expect(wall.page.locator("#summary")).to_contain_text(
        f"{max(0, count - 2)} good" if count > 2 else "1 trouble"
    )
    return wall.page.locator(".tile").count()


@pytest.mark.parametrize(("width", "height"), WALLS)
def test_any_number_of_queues_fits_any_wall_and_can_be_read_from_five_metres(
    screen: OpenScreen, width: int, height: int
) -> None:
    wall = screen(a_day_on_the_floor(1), width=width, height=height)
    page = wall.open()
    smallest = min(height, width * 9 / 16) * READABLE
    for count in (1, 2, 3, 4, 5, 6, 8, 12, 80, 200):
        shown = shown_when_settled(wall, count)

        assert 1 <= shown <= count
        assert (count, misfits(page), clipped_strips(page)) == (count, [], [])
        assert min(hero_sizes(page)) >= smallest - 0.5, count
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), count


def test_six_queues_are_on_one_page_and_no_page_is_turned(screen: OpenScreen) -> None:
    page = screen(a_day_on_the_floor(6)).open()

    expect(page.locator(".tile")).to_have_count(6)
    expect(page.locator("#turning")).to_be_hidden()


def test_pages_take_turns_show_everybody_and_keep_those_in_trouble(screen: OpenScreen) -> None:
    wall = screen(a_day_on_the_floor(40))
    wall.page.clock.install()
    page = wall.open()
    expect(page.locator("#page")).to_have_text("page 1 of " + str(pages_of(page)))
    seen = set(names_in_order(page))

    for number in range(2, pages_of(page) + 1):
        page.clock.run_for(TURN_MS)
        expect(page.locator("#page")).to_have_text(f"page {number} of {pages_of(page)}")
        names = names_in_order(page)
        assert names[0] == "Sales"
        seen |= set(names)

    assert len(seen) == 40
    page.clock.run_for(TURN_MS)
    expect(page.locator("#page")).to_contain_text("page 1 of")


def pages_of(page: Page) -> int:
    expect(page.locator("#page")).to_contain_text(" of ")
    return int(page.locator("#page").inner_text().split(" of ")[1])


def test_where_everybody_is_in_trouble_all_take_turns(screen: OpenScreen) -> None:
    queues = [a_queue(f"q{i}", state="trouble") for i in range(30)]
    wall = screen(FakeFloor(a_floor(*queues, entries=[an_entry(f"q{i}") for i in range(30)])))
    page = wall.open()
    expect(page.locator("#summary li").first).to_have_text("30 trouble")
    first = set(names_in_order(page))

    page.locator("#next").click()

    expect(page.locator("#page")).to_contain_text("page 2 of")
    assert first.isdisjoint(names_in_order(page))


def test_a_page_turns_by_keyboard_and_stays_while_it_is_paused_or_read(screen: OpenScreen) -> None:
    wall = screen(a_day_on_the_floor(40))
    wall.page.clock.install()
    page = wall.open()
    shown = page.locator("#page")
    expect(shown).to_contain_text("page 1 of")
    page.locator("#previous").focus()
    page.keyboard.press("Enter")
    last = pages_of(page)
    expect(shown).to_have_text(f"page {last} of {last}")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(shown).to_contain_text("page 1 of")

    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Turn pages", exact=True)).to_be_focused()
    page.clock.run_for(3 * TURN_MS)
    expect(shown).to_contain_text("page 1 of")

    page.keyboard.press("Enter")
    page.locator(".tile a").first.focus()
    page.clock.run_for(3 * TURN_MS)
    expect(shown).to_contain_text("page 1 of")

    page.locator("#sound").focus()
    page.clock.run_for(TURN_MS)
    expect(shown).to_contain_text("page 2 of")


def a_centre() -> FakeFloor:
    """Queues of two sites, two teams and two channels; `a,b` has a comma in its name."""
    queues = [
        a_queue("sales", "voice", name="Sales", site="Madrid", team="Inbound"),
        a_queue("sales", "chat", name="Sales", site="Madrid", team="Text", state="watch"),
        a_queue("help", "voice", name="Help", site="Berlin", team="Inbound", state="trouble"),
        a_queue("a,b", "voice", name="Comma", site="Berlin", team="Outbound"),
    ]
    return FakeFloor(a_floor(*queues, entries=[an_entry(q["queue"], q["channel"]) for q in queues]))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["Help", "Sales", "Comma", "Sales"]),
        ("site=Madrid", ["Sales", "Sales"]),
        ("site=madrid,Berlin&channel=voice", ["Help", "Comma", "Sales"]),
        ("team=Inbound", ["Help", "Sales"]),
        ("channel=chat", ["Sales"]),
        ("queues=sales,help", ["Help", "Sales", "Sales"]),
        ("queues=help&queues=a%2Cb", ["Help", "Comma"]),
        ("site=", ["Help", "Sales", "Comma", "Sales"]),
        ("sort=fixed", ["Comma", "Help", "Sales", "Sales"]),
        ("sort=worst&site=Berlin", ["Help", "Comma"]),
        ("sort=nonsense&theme=nonsense&lang=nonsense", ["Help", "Sales", "Comma", "Sales"]),
    ],
)
def test_the_address_says_which_queues_and_in_which_order(
    screen: OpenScreen, query: str, names: list[str]
) -> None:
    page = screen(a_centre()).open(f"/?{query}")

    expect(page.locator(".tile")).to_have_count(len(names))
    assert names_in_order(page) == names


def test_the_summary_counts_only_what_was_asked_for_and_says_what_that_was(
    screen: OpenScreen,
) -> None:
    page = screen(a_centre()).open("/?site=Madrid&channel=voice,chat")

    expect(page.locator("#summary li:visible")).to_have_text(["1 watch", "1 good"])
    expect(page.locator("#filters")).to_have_text("site: Madrid · channel: voice, chat")


def test_a_filter_that_nothing_matches_is_said_and_not_an_empty_screen(screen: OpenScreen) -> None:
    wall = screen(a_centre())
    page = wall.open("/?queues=%3Cb%3Enowhere")

    expect(page.locator("#notice")).to_have_text(
        "No queue on this floor matches queues: <b>nowhere"
    )
    assert wall.complaints == []


def test_in_fixed_order_a_queue_keeps_its_place_whatever_happens(screen: OpenScreen) -> None:
    wall = screen(a_centre())
    page = wall.open("/?sort=fixed")
    expect(page.locator("[data-word]").nth(1)).to_have_text("TROUBLE")

    wall.floor.document["queues"][0]["state"] = "trouble"

    expect(page.locator("#summary li").first).to_have_text("2 trouble")
    assert names_in_order(page) == ["Comma", "Help", "Sales", "Sales"]


def test_in_a_hand_everything_is_one_below_the_other_and_no_page_is_turned(
    screen: OpenScreen,
) -> None:
    page = screen(a_day_on_the_floor(40), width=844, height=390).open()

    expect(page.locator(".tile")).to_have_count(40)
    expect(page.locator("#turning")).to_be_hidden()
    assert misfits(page) == []
    page.locator(".tile").last.scroll_into_view_if_needed()
    expect(page.locator(".tile").last).to_be_in_viewport()
