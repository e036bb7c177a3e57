"""Floors as a wall shows them, and what can be seen to be wrong with how it does."""

from __future__ import annotations

import re

from playwright.sync_api import Page

from tests.support.fake_floor import TEN_O_CLOCK_MS, FakeFloor, a_floor, a_queue, an_entry


def a_day_on_the_floor(count: int = 6) -> FakeFloor:
    """Queues of several kinds, the first in trouble and the second to be watched."""
    heads = [
        {"name": "Sales", "state": "trouble", "reason": "longest wait over 5:00"},
        {"name": "Support", "state": "watch", "reason": "service level under 80 %"},
        {"name": "Customer care", "state": "good"},
    ]
    waiting_since = [
        TEN_O_CLOCK_MS - 312_000,
        TEN_O_CLOCK_MS - 47_000,
        TEN_O_CLOCK_MS - 15_060_000,
        None,
    ]
    waiting = [14, 4, 128, 0]
    queues = [
        a_queue(
            f"q{i}",
            oldest_waiting_ms=waiting_since[i % 4],
            **(heads[i] if i < len(heads) else {"name": f"Queue {i}"}),
        )
        for i in range(count)
    ]
    entries = [
        an_entry(f"q{i}", window=window, waiting=waiting[i % 4])
        for i in range(count)
        for window in ("15m", "day")
    ]
    return FakeFloor(a_floor(*queues, entries=entries))


def one_queue(*, level: float | None = 0.82, n: int = 143, **changes: object) -> FakeFloor:
    entries = [
        an_entry(level=level, n=n, waiting=14, abandoned=11),
        an_entry(window="day", level=0.874, n=2002),
    ]
    return FakeFloor(a_floor(a_queue(**changes), entries=entries))


def names_in_order(page: Page) -> list[str]:
    return page.locator(".tile h2").all_inner_texts()


def misfits(page: Page) -> list[str]:
    """What does not fit: a page wider than the screen, tiles of unequal size, text over text."""
    found = page.evaluate(
        """() => {
          const wrong = [];
          if (document.documentElement.scrollWidth > innerWidth) wrong.push("page too wide");
          const widths = new Set();
          for (const tile of document.querySelectorAll(".tile")) {
            const box = tile.getBoundingClientRect();
            widths.add(Math.round(box.width));
            const name = tile.querySelector("h2").textContent.slice(0, 20);
            const strip = tile.querySelector(".strip").getBoundingClientRect();
            for (const cell of tile.querySelectorAll("dd, dt, .state")) {
              const text = document.createRange();
              text.selectNodeContents(cell);
              const at = text.getBoundingClientRect();
              if (at.right > box.right + 1) wrong.push(`${name}: ${cell.className} too wide`);
              if (cell.matches("dl *") && at.bottom > strip.top + 2) {
                wrong.push(`${name}: ${cell.textContent} over the strip`);
              }
            }
            const heroes = [".waiting dd", ".longest dd"].map((selector) => {
              const text = document.createRange();
              text.selectNodeContents(tile.querySelector(selector));
              return text.getBoundingClientRect();
            });
            if (heroes[0].right > heroes[1].left) wrong.push(`${name}: heroes overlap`);
          }
          if (widths.size > 1) wrong.push(`tiles of widths ${[...widths]}`);
          return wrong;
        }"""
    )
    assert isinstance(found, list)
    return found


def clipped_strips(page: Page) -> list[str]:
    found = page.locator(".strip").evaluate_all(
        "all => all.filter(e => e.scrollHeight > e.clientHeight + 1).map(e => e.textContent)"
    )
    assert isinstance(found, list)
    return found


def contrast(one: str, other: str) -> float:
    """Contrast of two colours as WCAG 2 defines it."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    shares = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
