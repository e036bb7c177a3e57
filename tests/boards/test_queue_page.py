import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.fake_floor import (
    FORMULAS,
    TEN_O_CLOCK_MS,
    FakeFloor,
    a_floor,
    a_policy,
    a_queue,
    an_alert,
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
        ["window", "5 min", "15 min", "30 min", "60 min", "today", "since start"]
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
    expect(formulas.locator("tr.used th span")).to_have_text(["icmi 3 (in use)"])


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


def test_a_formula_says_what_it_means_and_who_reports_it_so(screen: OpenScreen) -> None:
    page = screen(sales()).open(PATH)

    meaning = page.locator("#formulas tr").filter(has_text="answered only").locator("th small")
    expect(meaning).to_contain_text("answered in time / answered · as reported by")
    expect(meaning).to_contain_text("Asterisk ServicelevelPerf")
    page = screen(sales()).open(f"{PATH}&lang=es")
    spanish = page.locator("#formulas tr").filter(has_text="answered only").locator("th small")
    expect(spanish).to_contain_text("atendidos a tiempo / atendidos · según lo informa")


def test_waits_are_a_table_of_bars_that_ends_a_bin_at_the_threshold(screen: OpenScreen) -> None:
    waits = screen(sales()).open(PATH).locator("#waits table")

    expect(waits.locator("caption")).to_have_text(["15 min", "today"])
    rows = waits.first.locator("tbody tr")
    expect(rows).to_have_text(
        ["5 s402", "10 s301", "20 s (threshold)203", "30 s104", "60 s52", "120 s01"]
    )
    expect(waits.first.locator("tr.threshold")).to_have_count(1)
    expect(waits.first.locator("tr[data-is=late]")).to_have_count(3)
    shares = rows.locator("td").evaluate_all("all => all.map(e => e.style.cssText)")
    assert shares[:2] == ["--share: 1;", "--share: 0.05;"]


@pytest.mark.parametrize(
    ("edges", "threshold", "bins"),
    [
        ([1, 2, 3, 5, 7, 10], 7, [(1, 1), (2, 1), (3, 1), (5, 1), (7, 1), (None, 2)]),
        ([15, 20, 25, 30], 20, [(15, 1), (20, 1), (30, 2), (None, 1)]),
        ([15, 20, 25, 30], 600, [(15, 1), (25, 2), (None, 2)]),
    ],
)
def test_bins_are_made_wider_and_none_of_the_counts_is_lost(
    formatter: Page, edges: list[int], threshold: int, bins: list[tuple[int | None, int]]
) -> None:
    ones = [1] * (len(edges) + 1)
    waits = {"edges_s": edges, "answered": ones, "abandoned": ones}

    found = formatter.evaluate(
        """([waits, threshold]) => import('/assets/waits.js').then(({ binned }) =>
          binned(waits, threshold).map(({ toS, answered }) => [toS, answered]))""",
        [waits, threshold],
    )

    assert [tuple(each) for each in found] == bins


def test_the_three_clocks_of_the_initial_response_stand_side_by_side(screen: OpenScreen) -> None:
    responses = screen(sales()).open(PATH).locator("#responses")

    expect(responses.locator("thead th")).to_have_text(
        ["limit 20 s", "n", "mean", "p50", "p90", "p99"]
    )
    assert row(responses, "from asked") == ["120", "0:11", "≤ 10 s", "≤ 30 s", "> 24 h"]
    assert row(responses, "from hand-off")[0] == "40"
    assert row(responses, "from assignment")[0] == "110"


def test_instant_service_is_told_by_segment_and_what_is_unknown_is_shown(
    screen: OpenScreen,
) -> None:
    segments = screen(sales()).open(PATH).locator("#segments")

    expect(segments.locator("tbody tr")).to_have_count(2)
    assert row(segments, "gold")[0] == "75.0 %\nn 20"
    assert row(segments, "unknown")[0] == "too few (5)"


def test_what_changed_late_is_told_with_how_often(screen: OpenScreen) -> None:
    late = screen(sales()).open(PATH).locator("#late tbody tr")

    expect(late).to_have_text(["abandoned, shortanswered, in time3", "all together3"])


def test_the_data_of_a_queue_is_told_with_its_sources_and_what_was_kept_out(
    screen: OpenScreen,
) -> None:
    page = screen(sales()).open(PATH)

    expect(page.locator("#sources tbody tr")).to_have_text(["pbx10:00:0009:59:59heard"])
    quality = page.locator("#quality")
    for said in (
        "our count less the source's-1",
        "by the source's own count3 (09:59:55)",
        "contacts lost count of0",
        "kept out for being late2",
        "rejected records4",
    ):
        expect(quality).to_contain_text(said)


def test_the_last_hour_of_the_queue_is_drawn(screen: OpenScreen) -> None:
    page = screen(sales()).open(PATH)

    drawing = page.locator("#past-waiting svg")
    expect(drawing).to_have_attribute("aria-label", "waiting in the last hour: 0 to 14")


def test_an_alert_of_the_queue_is_on_its_page(screen: OpenScreen) -> None:
    page = screen(sales(alerts=[an_alert()])).open(PATH)

    expect(page.locator("#alerts li")).to_have_text(["alert: longest wait, since 09:56"])


def test_the_way_back_keeps_theme_and_language(screen: OpenScreen) -> None:
    page = screen(sales()).open("/?theme=light&lang=es")
    page.locator(".tile a").first.click()
    expect(page.locator("#windows-heading")).to_have_text("Ventanas")
    expect(page.locator("html")).to_have_attribute("data-theme", "light")

    page.locator("#back").click()

    page.wait_for_url("**/?theme=light&lang=es")
