"""What the wall says beside its figures: the past hour, trends, alerts, gaps, languages."""

import re
from typing import Any

import orjson
import pytest
from playwright.sync_api import Page, expect

from dashboards.alerts.catalogue import ALERTS
from tests.support.fake_floor import (
    TEN_O_CLOCK_MS,
    FakeFloor,
    a_floor,
    a_history,
    a_queue,
    an_alert,
    an_entry,
)
from tests.support.screen import OpenScreen
from tests.support.walls import one_queue

MINUTE_MS = 60_000
COUNT_TONES = """
globalThis.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (at) {
  globalThis.tones += 1;
  return start.call(this, at);
};
"""


@pytest.mark.parametrize(
    ("partial", "said"),
    [
        ({"share": 0.25, "since_ms": TEN_O_CLOCK_MS - 8 * MINUTE_MS},
         "about 1/4 of contacts missing since 09:52"),
        ({"share": 1 / 12, "since_ms": None}, "about 1/12 of contacts missing"),
        ({"share": 0.5, "since_ms": None}, "about 1/2 of contacts missing"),
        ({"share": 8 / 12, "since_ms": None}, "about 2/3 of contacts missing"),
        ({"share": 0.75, "since_ms": None}, "about 3/4 of contacts missing"),
        ({"share": 1.0, "since_ms": TEN_O_CLOCK_MS}, "all contacts missing since 10:00"),
    ],
)  # fmt: skip
def test_a_floor_with_a_part_missing_says_how_much_and_since_when(
    screen: OpenScreen, partial: dict[str, Any], said: str
) -> None:
    wall = screen(one_queue())
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("good")
    expect(page.locator("#partial")).to_be_hidden()

    wall.floor.document["partial"] = partial

    expect(page.locator("#partial")).to_have_text(said)


def test_the_last_hour_is_drawn_with_a_gap_where_it_is_not_known(screen: OpenScreen) -> None:
    page = screen(one_queue()).open()

    waiting = page.locator("[data-past-waiting] svg")
    expect(waiting).to_have_attribute("aria-label", "waiting in the last hour: 0 to 14")
    level = page.locator("[data-past-level] svg")
    expect(level).to_have_attribute("aria-label", "service level in the last hour: 51 % to 100 %")
    drawn = waiting.locator(".line").get_attribute("d") or ""
    assert drawn.count("M") == 2
    assert len(re.findall("[ML]", drawn)) == 59
    goal = level.locator(".goal").get_attribute("d") or ""
    assert goal.startswith("M0 4.30H59")


def test_a_queue_without_a_past_says_that_it_is_not_known(screen: OpenScreen) -> None:
    floor = one_queue()
    floor.past = b""
    page = screen(floor).open()
    expect(page.locator("[data-word]")).to_have_text("good")

    drawing = page.locator("[data-past-waiting] svg")
    expect(drawing).to_have_attribute("aria-label", "last hour: not known yet")


def test_a_new_minute_is_drawn_without_loading_the_page_anew(screen: OpenScreen) -> None:
    wall = screen(one_queue())
    page = wall.open()
    drawing = page.locator("[data-past-waiting] svg")
    expect(drawing).to_have_attribute("aria-label", "waiting in the last hour: 0 to 14")

    past = a_history(*wall.floor.document["queues"])
    past["queues"][0]["waiting"][-1] = 77
    wall.floor.past = orjson.dumps(past)

    expect(drawing).to_have_attribute("aria-label", "waiting in the last hour: 0 to 77")


def test_a_trend_is_an_arrow_with_its_word_and_none_is_nothing(screen: OpenScreen) -> None:
    page = screen(one_queue(trend={"waiting": "rising", "service_level": "falling"})).open()

    expect(page.get_by_role("img", name="rising")).to_have_text("▲")
    expect(page.get_by_role("img", name="falling")).to_have_text("▼")

    page = screen(one_queue(trend={"waiting": "steady", "service_level": None})).open()
    expect(page.locator("[data-word]")).to_have_text("good")
    assert page.locator(".trend").all_inner_texts() == ["", ""]


def test_a_firing_alert_stands_on_its_queue_with_its_name_and_since_when(
    screen: OpenScreen,
) -> None:
    alerts = [
        an_alert("FloorwatchLongestWait"),
        an_alert("FloorwatchServiceLevelNow", status="inhibited"),
    ]
    page = screen(one_queue(state="trouble", alerts=alerts)).open()

    expect(page.locator("[data-badge]")).to_have_text("alert since 09:56")
    expect(page.locator("[data-alert]")).to_have_text("alert: longest wait, since 09:56")


@pytest.mark.parametrize(
    ("why", "said"),
    [
        ("stale", "paging suppressed (stale data)"),
        ("silenced", "paging suppressed (silenced)"),
        ("inhibited", "paging suppressed (inhibited)"),
    ],
)
def test_pages_that_reach_nobody_are_said_to_be_suppressed_and_why(
    screen: OpenScreen, why: str, said: str
) -> None:
    page = screen(one_queue(paging_suppressed=why)).open()

    expect(page.locator("[data-badge]")).to_have_text("paging suppressed")
    expect(page.locator("[data-alert]")).to_have_text(said)


def test_an_alert_about_no_queue_is_on_top_of_the_wall(screen: OpenScreen) -> None:
    wall = screen(one_queue())
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("good")
    expect(page.locator("#alerts")).to_be_hidden()

    many = an_alert("FloorwatchManyQueuesInTrouble", queue=None, channel=None)
    paging = {"known": True, "as_of_ms": TEN_O_CLOCK_MS, "firing": 1, "suppressed": 0}
    wall.floor.document["paging"] = paging | {"alerts": [many]}
    expect(page.locator("#alerts li")).to_have_text(["alert: many queues in trouble, since 09:56"])

    wall.floor.document["paging"] = paging | {"known": False, "alerts": []}
    expect(page.locator("#alerts li")).to_have_text(["alerts are not known since 10:00"])


def test_trouble_is_heard_only_by_those_who_want_it_and_once(screen: OpenScreen) -> None:
    wall = screen(FakeFloor(a_floor(
        a_queue("a", name="A"), a_queue("b", name="B"), entries=[an_entry("a"), an_entry("b")],
    )))  # fmt: skip
    wall.page.add_init_script(COUNT_TONES)
    page = wall.open()
    expect(page.locator(".tile")).to_have_count(2)
    wall.floor.document["queues"][0]["state"] = "trouble"
    expect(page.locator("#summary li").first).to_have_text("1 trouble")
    assert page.evaluate("tones") == 0

    page.get_by_role("button", name="Turn sound on").click()
    expect(page.get_by_role("button", name="Turn sound off")).to_be_visible()
    wall.floor.document["queues"][1]["state"] = "trouble"
    expect(page.locator("#summary li").first).to_have_text("2 trouble")
    page.wait_for_function("tones === 2")
    wall.wait_for_frames(5)

    assert page.evaluate("tones") == 2
    assert wall.complaints == []


def test_the_browsers_language_is_spoken_unless_the_address_asks_for_another(
    screen: OpenScreen,
) -> None:
    wall = screen(one_queue(state="trouble"), locale="es-MX")
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("PROBLEMA")

    page = wall.open("/?lang=en")
    expect(page.locator("[data-word]")).to_have_text("TROUBLE")
    expect(page.locator("html")).to_have_attribute("lang", "en")


SPANISH = {
    "[data-word]": "ATENCIÓN",
    "[data-reason]": "nivel de servicio bajo el 80 %",
    ".waiting dt": "en espera",
    ".longest dt": "mayor espera",
    "[data-channel]": "voz",
    "[data-badge]": "avisos retenidos",
    "#partial": "falta cerca de 1/4 de los contactos desde las 09:52",
    "#summary li:visible": "1 atención",
}


def test_a_wall_in_spanish_says_all_of_it_in_spanish(screen: OpenScreen) -> None:
    floor = one_queue(
        state="watch", paging_suppressed="silenced", cause={"id": "service_level", "limit": 0.8}
    )
    floor.document["partial"] = {"share": 0.25, "since_ms": TEN_O_CLOCK_MS - 8 * MINUTE_MS}
    page = screen(floor).open("/?lang=es")

    for selector, said in SPANISH.items():
        expect(page.locator(selector)).to_have_text(said)
    expect(page.locator("html")).to_have_attribute("lang", "es")


def test_the_languages_say_the_same_things(formatter: Page) -> None:
    differing = formatter.evaluate(
        """async () => {
          const { english } = await import("/assets/english.js");
          const { spanish } = await import("/assets/spanish.js");
          const paths = (said, at = "") => Object.entries(said).flatMap(([key, value]) =>
            typeof value === "object" ? paths(value, `${at}${key}.`) : [`${at}${key}`]);
          const own = new Set(["labels", "formulas", "channels", "agentStates", "alertNames"]);
          const shared = (said) => new Set(paths(said).filter((at) => !own.has(at.split(".")[0])));
          return [...shared(english).symmetricDifference(shared(spanish))];
        }"""
    )

    assert differing == []


def test_an_alert_is_called_by_its_name_in_spanish(screen: OpenScreen) -> None:
    wall = screen(one_queue())
    many = an_alert("FloorwatchManyQueuesInTrouble", queue=None, channel=None)
    wall.floor.document["paging"] = {
        "known": True,
        "as_of_ms": TEN_O_CLOCK_MS,
        "firing": 1,
        "suppressed": 0,
        "alerts": [many],
    }
    page = wall.open("/?lang=es")

    expect(page.locator("#alerts li")).to_have_text(
        ["alerta: muchas colas con problemas, desde las 09:56"]
    )


def test_every_alert_that_tells_somebody_has_a_name_in_spanish(formatter: Page) -> None:
    names = formatter.evaluate(
        """async () => Object.keys((await import("/assets/spanish.js")).spanish.alertNames)"""
    )

    assert set(names) == {alert.name for alert in ALERTS if alert.severity != "none"}


@pytest.mark.parametrize("path", ["/", "/queue?queue=sales&channel=voice"])
def test_no_label_of_a_page_is_left_in_english(screen: OpenScreen, path: str) -> None:
    page = screen(one_queue()).open(f"{path}{'&' if '?' in path else '?'}lang=es")
    expect(page.locator("#as-of")).to_have_text(re.compile("^10:"))

    untold = page.evaluate(
        """async () => {
          const { spanish } = await import("/assets/spanish.js");
          const html = await (await fetch(location.href)).text();
          const page = new Set([...html.matchAll(/data-label>\\s*([^<]+?)\\s*</g)]
            .map((match) => match[1].replaceAll(/\\s+/g, " ")));
          return [...page].filter((text) => !(text in spanish.labels));
        }"""
    )

    assert untold == []
