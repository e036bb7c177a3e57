import re

from playwright.sync_api import Locator, expect

from tests.support.fake_floor import (
    FORMULAS,
    TEN_O_CLOCK_MS,
    FakeFloor,
    a_floor,
    a_policy,
    a_queue,
    an_entry,
)
from tests.support.screen import OpenScreen

WINDOWS = ("5m", "15m", "30m", "60m", "day", "total")
PATH = "/queue?queue=sales&channel=voice"


def sales(**changes: object) -> FakeFloor:
    """One queue with all windows, each ten contacts larger than the one before, and another one."""
    entries = [
        an_entry(window=window, n=100 + 10 * i, level=0.9 - 0.01 * i, waiting=14)
        for i, window in enumerate(WINDOWS)
    ]
    other = a_queue("help", name="Help")
    return FakeFloor(
        a_floor(a_queue(**changes), other, entries=[*reversed(entries), an_entry("help")])
    )


def row(table: Locator, label: str) -> list[str]:
    """The cells of the row with this label."""
    line = table.locator("tr").filter(has=table.page.get_by_role("rowheader", name=label)).first
    return line.locator("td").all_inner_texts()


def test_every_window_has_its_column_in_order(screen: OpenScreen) -> None:
    windows = screen(sales()).open(PATH).locator("#windows")

    expect(windows.locator("thead th")).to_have_text(
        ["", "5 min", "15 min", "30 min", "60 min", "today", "since start"]
    )
    assert row(windows, "offered") == ["100", "110", "120", "130", "140", "150"]
    assert row(windows, "strict")[:2] == ["90.0 %\nn 100", "89.0 %\nn 110"]
    assert row(windows, "low, if all the undecided miss")[0] == "88.0 %"
    assert row(windows, "high, if all the undecided make it")[0] == "93.0 %"
    assert row(windows, "instant service ratio")[0] == "64.0 %\nn 100"
    assert row(windows, "within 20 s")[0] == "91.0 %\nn 100"


def test_every_formula_stands_beside_the_others_and_the_queues_own_is_marked(
    screen: OpenScreen,
) -> None:
    formulas = (
        screen(sales(policy=a_policy(formula="icmi_3"))).open(PATH).locator("#formulas tbody")
    )

    expect(formulas.locator("tr")).to_have_count(len(FORMULAS))
    assert row(formulas, "answered only")[1] == "89.0 %\nn 110"
    expect(formulas.locator("tr.used th")).to_have_text(["icmi 3 (in use)"])


def test_ratios_on_too_few_are_said_in_words(screen: OpenScreen) -> None:
    floor = sales()
    floor.document["entries"] = [
        an_entry(window="5m", n=0, level=None),
        an_entry(window="15m", n=9, level=0.5),
        an_entry(window="30m", n=10, level=0.5),
    ]
    formulas = screen(floor).open(PATH).locator("#formulas tbody")

    expect(formulas.locator("tr")).to_have_count(len(FORMULAS))
    assert row(formulas, "strict (in use)") == ["no calls", "too few (9)", "50.0 %\nn 10"]


def test_live_figures_and_their_clocks_run(screen: OpenScreen) -> None:
    since = TEN_O_CLOCK_MS - 312_000
    page = screen(sales(oldest_waiting_ms=since, state="trouble", reason="nobody staffed")).open(
        PATH
    )

    expect(page.locator("#waiting")).to_have_text("14")
    expect(page.locator("#word")).to_have_text("TROUBLE")
    expect(page.locator("#reason")).to_have_text("nobody staffed")
    longest = page.locator("#longest")
    expect(longest).to_have_text(re.compile(r"5:1\d"))
    first = longest.inner_text()
    expect(longest).not_to_have_text(first)


def test_agents_and_policy_are_facts_of_the_page(screen: OpenScreen) -> None:
    page = screen(sales()).open(PATH)

    expect(page.locator("#agents div")).to_have_text(
        ["available3", "on contact5", "after contact work1", "away2"]
    )
    expect(page.locator("#policy")).to_contain_text("longest wait, critical5 min")
    expect(page.locator("#policy")).to_contain_text("target80.0 %")


def test_agents_that_nobody_reports_are_not_known(screen: OpenScreen) -> None:
    page = screen(sales(agents=None)).open(PATH)

    expect(page.locator("#agents")).to_have_text("not known–")


def test_a_queue_that_is_not_on_the_floor_is_said_to_be_so(screen: OpenScreen) -> None:
    wall = screen(sales())
    page = wall.open("/queue?queue=%3Cscript%3Ealert(1)%3C/script%3E")

    expect(page.locator("#notice")).to_have_text("No such queue on this floor")
    expect(page.locator("#queue")).to_be_hidden()
    assert wall.complaints == []


def test_the_page_looks_stale_when_nothing_comes_and_recovers(screen: OpenScreen) -> None:
    wall = screen(sales())
    wall.page.clock.install()
    page = wall.open(PATH)
    expect(page.locator("#word")).to_have_text("good")

    wall.server.stop()
    page.clock.fast_forward(4000)
    expect(page.locator("#alarm")).to_have_text(re.compile("^NOT LIVE since 10:00:"))

    wall.server.start()
    page.clock.run_for(2000)
    expect(page.locator("#alarm")).to_be_hidden()


def test_on_a_phone_only_the_tables_scroll_sideways(screen: OpenScreen) -> None:
    page = screen(sales(name="W" * 300), width=390, height=844).open(PATH)
    expect(page.locator("#word")).to_have_text("good")

    assert page.evaluate("document.documentElement.scrollWidth") <= 390
