import re

import pytest
from playwright.sync_api import Page, Route, expect

from dashboards import wallboard
from tests.support.fake_floor import (
    TEN_O_CLOCK_MS,
    Document,
    FakeFloor,
    a_floor,
    a_policy,
    a_queue,
    an_entry,
)
from tests.support.screen import OpenScreen
from tests.support.walls import (
    a_day_on_the_floor,
    clipped_strips,
    contrast,
    misfits,
    names_in_order,
    one_queue,
)

MINUTE_MS = 60_000
GOOD, WATCH, TROUBLE = "rgb(0, 114, 178)", "rgb(156, 106, 0)", "rgb(176, 0, 78)"

CLOCK_40_MINUTES_FAST = """
const RealDate = Date;
globalThis.Date = class extends RealDate {
  constructor(...parts) { super(...(parts.length ? parts : [RealDate.now() + 2_400_000])); }
  static now() { return RealDate.now() + 2_400_000; }
};
"""

EVERY_STATE = {
    "trouble": "TROUBLE",
    "watch": "WATCH",
    "good": "good",
    "too_few": "too few (143)",
    "no_calls": "no calls",
    "no_data": "no data since 09:46",
    "catching_up": "catching up, as of 09:35:00",
    "closed": "closed",
}

HOSTILE_NAMES = [
    "<img src=x onerror=\"document.title='taken'\">",
    "</h2></article><script>document.title='taken'</script>",
    "مبيعات \u202e voice \u202d support",
    "W" * 300,
    "long words " * 30,
    "🎧📞 VIP 👩🏽‍💼",
    "Z̸̢̛͍͓̭̝̘͙̎̇a̷͓̓l̵̝̈g̸̯̈́o\u0336",
    "line\nbreak\ttab\u2028separator",
    "javascript:alert(1)",
]


def background(page: Page, selector: str) -> str:
    colour = page.locator(selector).first.evaluate("e => getComputedStyle(e).backgroundColor")
    assert isinstance(colour, str)
    return colour


def a_second_longer(duration: str) -> re.Pattern[str]:
    """A duration of m:ss, or up to nine seconds more."""
    minutes, seconds = (int(part) for part in duration.split(":"))
    later = [divmod(minutes * 60 + seconds + more, 60) for more in range(10)]
    return re.compile("^(" + "|".join(f"{m}:{s:02}" for m, s in later) + ")$")


def test_a_tile_shows_the_numbers_of_the_document_and_what_made_them(screen: OpenScreen) -> None:
    tile = screen(one_queue(name="Sales", site="Madrid")).open().locator(".tile")

    expect(tile.locator("h2")).to_have_text("Sales")
    expect(tile.locator("[data-channel]")).to_have_text("voice · Madrid")
    expect(tile.locator("[data-waiting]")).to_have_text("14")
    expect(tile.locator("[data-level]")).to_have_text("82 %")
    expect(tile.locator("[data-rests-on]")).to_have_text("15 min · n 143")
    expect(tile.locator("[data-formula]")).to_have_text("strict 80/20")
    expect(tile.locator("[data-abandoned]")).to_have_text("11")
    expect(tile.locator("[data-agents]")).to_have_text("3")
    expect(tile.locator("[data-longest]")).to_have_text("–")


def test_the_strip_shows_other_windows_instant_service_and_initial_response_with_their_n(
    screen: OpenScreen,
) -> None:
    strip = screen(one_queue()).open().locator(".strip li:visible")

    expect(strip).to_have_text(
        [
            "strict 80 % to 85 % · today 87 % (n 2,002) · instant 64 % (n 143)",
            "initial response p50 0:08, p90 0:19, 91 % in 20 s (n 143)",
        ]
    )


def test_where_instant_service_is_not_defined_the_strip_shows_who_awaits_a_reply(
    screen: OpenScreen,
) -> None:
    floor = one_queue(channel="email", policy=a_policy(instant_within_s=None))
    for entry in floor.document["entries"]:
        entry |= {"channel": "email", "awaiting_reply": 131, "oldest_awaiting_reply_s": 15060.0}

    strip = screen(floor).open().locator(".strip li:visible").first

    expect(strip).to_have_text(
        "strict 80 % to 85 % · today 87 % (n 2,002) · awaiting reply 131, oldest 4h 11m"
    )


def test_the_longest_wait_ticks_between_two_frames(screen: OpenScreen) -> None:
    floor = one_queue(oldest_waiting_ms=TEN_O_CLOCK_MS - 312_000)
    longest = screen(floor, frame_every_s=3600).open().locator("[data-longest]")

    expect(longest).to_have_text(a_second_longer("5:12"))
    first = longest.inner_text()
    expect(longest).not_to_have_text(first)

    expect(longest).to_have_text(a_second_longer("5:13"))
    assert floor.frames == 1


def test_a_browser_whose_date_is_40_minutes_wrong_shows_the_same_times(screen: OpenScreen) -> None:
    wall = screen(one_queue(oldest_waiting_ms=TEN_O_CLOCK_MS - 312_000))
    wall.page.add_init_script(CLOCK_40_MINUTES_FAST)
    page = wall.open()

    expect(page.locator("[data-longest]")).to_have_text(a_second_longer("5:12"))
    expect(page.locator("#as-of")).to_have_text(re.compile(r"^10:00:\d\d$"))


def test_a_replayed_floor_stands_still_between_its_frames(screen: OpenScreen) -> None:
    floor = one_queue(oldest_waiting_ms=TEN_O_CLOCK_MS - 312_000)
    floor.document["clock"] = "event"
    floor.stands_still = True
    wall = screen(floor)
    wall.page.clock.install()
    page = wall.open()
    expect(page.locator("[data-longest]")).to_have_text("5:12")

    page.clock.fast_forward(2000)
    assert page.locator("[data-longest]").inner_text() == "5:12"
    expect(page.locator("#alarm")).to_be_hidden()


@pytest.mark.parametrize(
    ("zone", "shown"), [("+03:00", "13:00:"), ("America/New_York", "05:00:"), ("Not/A_Zone", "10:")]
)
def test_times_are_those_of_the_policys_zone(screen: OpenScreen, zone: str, shown: str) -> None:
    page = screen(one_queue(policy=a_policy(zone=zone))).open()

    expect(page.locator("#as-of")).to_have_text(re.compile("^" + shown))


def test_a_feed_that_stops_looks_stale_and_its_clocks_stop(screen: OpenScreen) -> None:
    wall = screen(one_queue(state="trouble", oldest_waiting_ms=TEN_O_CLOCK_MS - 312_000))
    wall.page.clock.install()
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("TROUBLE")
    assert background(page, ".tile") == TROUBLE

    wall.server.stop()
    page.clock.fast_forward(4000)

    expect(page.locator("#alarm")).to_have_text(re.compile(r"^NOT LIVE since 10:00:\d\d$"))
    expect(page.locator("#alarm")).to_be_visible()
    assert background(page, ".tile") not in {GOOD, WATCH, TROUBLE}
    stopped_at = page.locator("[data-longest]").inner_text()
    page.clock.fast_forward(30_000)
    assert page.locator("[data-longest]").inner_text() == stopped_at


def test_frames_that_repeat_an_old_instant_are_not_live(screen: OpenScreen) -> None:
    wall = screen(one_queue())
    wall.page.clock.install()
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("good")
    expect(page.locator("#alarm")).to_be_hidden()

    wall.floor.stands_still = True
    wall.wait_for_frames(3)
    page.clock.fast_forward(4000)
    wall.wait_for_frames(3)

    expect(page.locator("#alarm")).to_be_visible()


def test_the_wall_comes_back_by_itself_when_the_server_does(screen: OpenScreen) -> None:
    wall = screen(one_queue())
    wall.page.clock.install()
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("good")
    wall.server.stop()
    page.clock.fast_forward(4000)
    expect(page.locator("#alarm")).to_be_visible()

    wall.floor.document["queues"][0]["state"] = "trouble"
    wall.server.start()

    expect(page.locator("[data-word]")).to_have_text("TROUBLE")
    expect(page.locator("#alarm")).to_be_hidden()


def test_the_wall_asks_again_after_it_was_refused(screen: OpenScreen) -> None:
    def refuse(route: Route) -> None:
        route.fulfill(status=503, headers={"Retry-After": "30"})

    wall = screen(one_queue())
    wall.page.clock.install()
    wall.page.route("**/stream", refuse)
    page = wall.open()
    expect(page.locator("#notice")).to_have_text("Connecting")
    page.unroute("**/stream", refuse)
    assert page.locator(".tile").count() == 0

    page.clock.fast_forward(7000)

    expect(page.locator("[data-word]")).to_have_text("good")


def test_a_page_of_an_older_edition_loads_itself_anew(
    screen: OpenScreen, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall = screen(one_queue())
    page = wall.open()
    expect(page.locator("[data-word]")).to_have_text("good")
    page.evaluate("document.body.dataset.seen = 'yes'")

    wall.server.stop()
    monkeypatch.setattr(wallboard, "edition", lambda _assets: "newer")
    wall.server.start()

    expect(page.locator("body")).not_to_have_attribute("data-seen", "yes")
    expect(page.locator("[data-word]")).to_have_text("good")


def test_states_are_told_by_word_and_colour_worst_first(screen: OpenScreen) -> None:
    queues = [
        a_queue(
            state,
            state=state,
            name=state,
            as_of_ms=TEN_O_CLOCK_MS - (25 * MINUTE_MS if state == "catching_up" else 0),
            no_data_since_ms=TEN_O_CLOCK_MS - 14 * MINUTE_MS if state == "no_data" else None,
        )
        for state in reversed(EVERY_STATE)
    ]
    entries = [an_entry(queue["queue"]) for queue in queues]
    page = screen(FakeFloor(a_floor(*queues, entries=entries))).open()

    words = page.locator("[data-word]")
    expect(words).to_have_count(len(EVERY_STATE))
    assert sorted(words.all_inner_texts()) == sorted(EVERY_STATE.values())
    assert names_in_order(page)[:2] == ["trouble", "watch"]
    assert names_in_order(page).index("good") < names_in_order(page).index("closed")
    for state, colour in (("trouble", TROUBLE), ("watch", WATCH), ("good", GOOD)):
        assert background(page, f".tile[data-state={state}] header") == colour
    grey = EVERY_STATE.keys() - {"trouble", "watch", "good"}
    for state in grey:
        shown = background(page, f".tile[data-state={state}] header")
        assert shown not in {GOOD, WATCH, TROUBLE}
    expect(page.locator("#summary li:visible")).to_have_count(len(EVERY_STATE))
    expect(page.locator("#summary li").first).to_have_text("1 trouble")


def test_a_line_out_of_service_comes_first_and_says_since_when(screen: OpenScreen) -> None:
    broken = a_queue(
        "claims", state="trouble", out_of_service_since_ms=TEN_O_CLOCK_MS - 7 * MINUTE_MS
    )
    busy = a_queue("sales", state="trouble", oldest_waiting_ms=TEN_O_CLOCK_MS - 900_000)
    floor = FakeFloor(a_floor(busy, broken, entries=[an_entry("claims"), an_entry("sales")]))
    page = screen(floor).open()

    first = page.locator(".tile").first
    expect(first.locator("[data-word]")).to_have_text("OUT OF SERVICE since 09:53")
    assert names_in_order(page) == ["Claims", "Sales"]


@pytest.mark.parametrize(
    ("level", "n", "state", "shown"),
    [
        (0.5, 9, "too_few", "too few (9)"),
        (0.5, 10, "watch", "50 %"),
        (None, 0, "no_calls", "no calls"),
        (0.0, 143, "watch", "0 %"),
        (0.7996, 143, "watch", "79.9 %"),
        (0.8, 143, "good", "80 %"),
    ],
)
def test_a_ratio_shows_what_it_rests_on_and_too_few_are_said_in_words(
    screen: OpenScreen, level: float | None, n: int, state: str, shown: str
) -> None:
    page = screen(one_queue(level=level, n=n, state=state)).open()

    expect(page.locator("[data-level]")).to_have_text(shown)
    expect(page.locator("[data-rests-on]")).to_have_text(f"15 min · n {n}")
    if n < 10:
        assert background(page, ".tile header") not in {GOOD, WATCH, TROUBLE}


def test_what_is_not_known_now_is_not_shown_as_if_it_were(screen: OpenScreen) -> None:
    waiting_since = TEN_O_CLOCK_MS - 1_900_000
    silent = a_queue(
        "a", state="no_data", no_data_since_ms=TEN_O_CLOCK_MS, oldest_waiting_ms=waiting_since
    )
    behind = a_queue(
        "b",
        state="catching_up",
        as_of_ms=TEN_O_CLOCK_MS - 1_500_000,
        oldest_waiting_ms=waiting_since,
    )
    floor = FakeFloor(a_floor(silent, behind, entries=[an_entry("a"), an_entry("b")]))
    wall = screen(floor)
    wall.page.clock.install()
    page = wall.open()
    silent_tile = page.locator(".tile[data-state=no_data]")
    behind_tile = page.locator(".tile[data-state=catching_up]")

    for figure in ("waiting", "longest", "level", "abandoned", "agents"):
        expect(silent_tile.locator(f"[data-{figure}]")).to_have_text("–")
    expect(behind_tile.locator("[data-longest]")).to_have_text("6:40")
    page.clock.fast_forward(2000)
    assert behind_tile.locator("[data-longest]").inner_text() == "6:40"


def test_tiles_change_places_only_with_a_state_or_after_half_a_minute(screen: OpenScreen) -> None:
    def queue(name: str, waited_ms: int, state: str = "good") -> Document:
        return a_queue(name, state=state, oldest_waiting_ms=TEN_O_CLOCK_MS - waited_ms)

    entries = [an_entry(name) for name in ("a", "b", "c")]
    floor = FakeFloor(
        a_floor(queue("a", 90_000), queue("b", 60_000), queue("c", 30_000), entries=entries)
    )
    wall = screen(floor)
    wall.page.clock.install()
    page = wall.open()
    first_longest = page.locator(".tile [data-longest]").first
    expect(first_longest).to_have_text(a_second_longer("1:30"))
    assert names_in_order(page) == ["A", "B", "C"]

    floor.document["queues"] = [queue("a", 0), queue("b", 60_000), queue("c", 200_000)]
    expect(first_longest).to_have_text(a_second_longer("0:00"))
    assert names_in_order(page) == ["A", "B", "C"]

    page.clock.fast_forward(31_000)
    expect(first_longest).to_have_text(a_second_longer("3:20"))
    assert names_in_order(page) == ["C", "B", "A"]

    floor.document["queues"] = [queue("a", 0, "trouble"), queue("b", 60_000), queue("c", 200_000)]
    expect(page.locator("[data-word]").first).to_have_text("TROUBLE")
    assert names_in_order(page) == ["A", "C", "B"]


def test_a_queue_that_leaves_the_floor_leaves_the_wall(screen: OpenScreen) -> None:
    wall = screen(a_day_on_the_floor(3))
    page = wall.open()
    expect(page.locator(".tile")).to_have_count(3)

    del wall.floor.document["queues"][1]

    expect(page.locator(".tile")).to_have_count(2)
    assert names_in_order(page) == ["Sales", "Customer care"]


def test_an_empty_floor_says_why_it_is_empty(screen: OpenScreen) -> None:
    wall = screen(FakeFloor(a_floor(entries=[], ready=False)))
    page = wall.open()
    expect(page.locator("#notice")).to_have_text("Catching up: no figures yet")

    wall.floor.document["ready"] = True

    expect(page.locator("#notice")).to_have_text("No queue has been seen yet")


def test_hostile_names_are_text_and_break_nothing(screen: OpenScreen) -> None:
    queues = [
        a_queue(name, name=name, site=name, reason=name, state="watch") for name in HOSTILE_NAMES
    ]
    entries = [an_entry(name) for name in HOSTILE_NAMES]
    wall = screen(FakeFloor(a_floor(*queues, entries=entries)))
    page = wall.open()
    expect(page.locator(".tile")).to_have_count(len(HOSTILE_NAMES))

    shown = page.locator("[data-name]").evaluate_all("all => all.map(e => e.textContent)")
    assert sorted(shown) == sorted(HOSTILE_NAMES)
    assert page.title() == "floorwatch"
    assert page.locator(".tile img, .tile script").count() == 0
    assert misfits(page) == []
    assert wall.complaints == []
    links = page.locator(".tile a").evaluate_all("all => all.map(e => e.href)")
    assert all(link.startswith(f"{wall.server.url}/queue?queue=") for link in links)


def test_a_phone_shows_one_tile_below_the_other(screen: OpenScreen) -> None:
    page = screen(a_day_on_the_floor(6), width=390, height=844).open()
    expect(page.locator(".tile")).to_have_count(6)

    assert (misfits(page), clipped_strips(page)) == ([], [])
    lefts = page.locator(".tile").evaluate_all("all => all.map(e => e.offsetLeft)")
    assert len(set(lefts)) == 1
    assert len(heights_over_some_frames(page)) == 1


def heights_over_some_frames(page: Page) -> set[int]:
    heights = page.evaluate(
        """() => new Promise((resolve) => {
          const seen = [];
          const look = () => {
            seen.push(document.querySelector(".tile").offsetHeight);
            if (seen.length < 30) requestAnimationFrame(look);
            else resolve(seen);
          };
          look();
        })"""
    )
    return set(heights)


def test_white_text_on_every_ground_has_enough_contrast(screen: OpenScreen) -> None:
    queues = [a_queue(state, state=state) for state in EVERY_STATE]
    entries = [an_entry(state) for state in EVERY_STATE]
    page = screen(FakeFloor(a_floor(*queues, entries=entries))).open()
    expect(page.locator(".tile")).to_have_count(len(EVERY_STATE))

    pairs = page.evaluate(
        """() => {
          const ground = (element) => {
            const colour = getComputedStyle(element).backgroundColor;
            return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
          };
          const texts = document.querySelectorAll(
            "#summary li, .tile :is(h2, .state, .why, dt, dd, .strip), .masthead h1, .as-of span"
          );
          return [...texts].map((e) => [e.className, getComputedStyle(e).color, ground(e)]);
        }"""
    )

    assert len(pairs) > 80
    assert [pair for pair in pairs if contrast(pair[1], pair[2]) < 4.5] == []


def test_a_new_state_is_announced_and_new_numbers_are_not(screen: OpenScreen) -> None:
    wall = screen(one_queue(name="Sales"))
    page = wall.open()
    announcer = page.locator("[aria-live=polite]")
    expect(page.locator("[data-word]")).to_have_text("good")
    wall.floor.document["entries"][0]["waiting"] = 99
    expect(page.locator("[data-waiting]")).to_have_text("99")
    expect(announcer).to_have_text("")

    wall.floor.document["queues"][0] |= {"state": "trouble", "reason": "longest wait over 5:00"}

    expect(announcer).to_have_text("Sales voice: TROUBLE. longest wait over 5:00")


def test_the_keyboard_reaches_a_tile_keeps_it_through_a_change_and_opens_it(
    screen: OpenScreen,
) -> None:
    wall = screen(a_day_on_the_floor(3))
    page = wall.open()
    expect(page.locator(".tile")).to_have_count(3)
    page.locator("#sound").focus()
    for _ in range(3):
        page.keyboard.press("Tab")
    focused = page.locator(":focus")
    expect(focused).to_have_text("Customer care")

    wall.floor.document["queues"][2]["state"] = "trouble"
    expect(page.locator("#summary li").first).to_have_text("2 trouble")
    expect(focused).to_have_text("Customer care")
    page.keyboard.press("Enter")

    page.wait_for_url("**/queue?queue=q2&channel=voice")
    expect(page.locator("#name")).to_have_text("Customer care")


def test_a_wall_complains_about_nothing_and_asks_nobody_else(screen: OpenScreen) -> None:
    wall = screen(a_day_on_the_floor(6))
    wall.page.add_init_script(
        "addEventListener('securitypolicyviolation', (e) => console.error(e.violatedDirective))"
    )
    page = wall.open()
    expect(page.locator(".tile")).to_have_count(6)
    page.locator(".tile a").first.click()
    expect(page.locator("#name")).to_have_text("Sales")

    assert wall.complaints == []
    assert {url for url in wall.requested if not url.startswith(wall.server.url)} == set()


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("duration(null)", "–"),
        ("duration(-3)", "0:00"),
        ("duration(0.999)", "0:00"),
        ("duration(59.999)", "0:59"),
        ("duration(3599)", "59:59"),
        ("duration(3600)", "1h 00m"),
        ("duration(48 * 3600 - 1)", "47h 59m"),
        ("duration(48 * 3600)", "2d 00h"),
        ("percent(null)", "–"),
        ("percent(1)", "100 %"),
        ("percent(0.795, 0.8)", "79.5 %"),
        ("percent(0.7949, 0.8)", "79 %"),
        ("percent(0.8049, 0.8045)", "80.5 %"),
        ("aim(0.8, 20)", "80/20"),
        ("aim(0.855, 120)", "85.5/120"),
        ("aim(0.8, 900)", "80/15 min"),
        ("aim(0.9, 86400)", "90/24 h"),
        ("limit(90)", "90 s"),
        ("limit(259200)", "3 d"),
        ("windowName('60m')", "60 min"),
        ("windowName('total')", "since start"),
        ("count(12345)", "12,345"),
        ("timeOfDay(0, '-09:30', { seconds: false })", "14:30"),
        ("timeOfDay(null, 'UTC')", "–"),
    ],
)
def test_figures_are_written_as_people_read_them(formatter: Page, call: str, text: str) -> None:
    assert formatter.evaluate(f"import('/assets/format.js').then((f) => f.{call})") == text
