"""Alerts asked of an Alertmanager that answers, lies, is away, is slow or is huge."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from streams import alert_watch
from streams.alert_watch import KNOWN_FOR_MS, AlertWatch
from streams.core.alerts import Alerting

PATIENCE_S = 30
ELSEWHERE = "/elsewhere"
PAGE = {
    "labels": {"alertname": "FloorwatchLongestWait", "severity": "critical", "queue": "sales"},
    "annotations": {},
    "startsAt": "2026-11-24T10:00:00Z",
    "status": {"state": "active"},
}


class Alertmanager:
    """Answers what a test wrote down, and keeps what it was asked."""

    def __init__(self) -> None:
        self.body = orjson.dumps([PAGE])
        self.status = 200
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []
        self.is_free = asyncio.Event()
        self.is_free.set()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path_qs)
        await self.is_free.wait()
        if request.path == ELSEWHERE:
            return web.Response(body=b"[]")
        return web.Response(body=self.body, status=self.status, headers=self.headers)


class Clock:
    now_ms = 1_000_000

    def __call__(self) -> int:
        return self.now_ms


def watch(
    look: Callable[[AlertWatch, Alertmanager], Awaitable[None]],
    *,
    clock: Clock | None = None,
    suffix: str = "",
) -> None:
    """Have an Alertmanager watched while *look* looks."""

    async def run() -> None:
        manager = Alertmanager()
        app = web.Application()
        app.router.add_get("/{path:.*}", manager.answer)
        async with TestServer(app) as server:
            watched = AlertWatch(
                f"http://127.0.0.1:{server.port}{suffix}",
                every_s=0.01,
                clock_ms=clock or Clock(),
            )
            watching = asyncio.create_task(watched.watch())
            try:
                await asyncio.wait_for(look(watched, manager), PATIENCE_S)
                assert not watching.done()
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching

    asyncio.run(run())


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 # nothing tells of it
        await asyncio.sleep(0.005)


def test_what_fires_is_known_with_the_time_of_the_answer() -> None:
    async def look(watched: AlertWatch, manager: Alertmanager) -> None:
        assert watched.alerting() == Alerting()
        await until(lambda: watched.alerting().is_known)
        known = watched.alerting()
        assert [alert.queue for alert in known.alerts] == ["sales"]
        assert known.as_of_ms == Clock.now_ms
        manager.body = b"[]"
        await until(lambda: not watched.alerting().alerts)
        assert watched.alerting().is_known

    watch(look)


@pytest.mark.parametrize(
    ("suffix", "asked"),
    [
        ("", "/api/v2/alerts"),
        ("/", "/api/v2/alerts"),
        ("/am/", "/am/api/v2/alerts"),
        ('?filter=namespace="floor"', "/api/v2/alerts?filter=namespace%3D%22floor%22"),
    ],
)
def test_the_address_may_have_a_path_and_a_filter(suffix: str, asked: str) -> None:
    async def look(watched: AlertWatch, manager: Alertmanager) -> None:
        await until(lambda: bool(manager.asked))
        assert unquoted(manager.asked[0]) == unquoted(asked)

    watch(look, suffix=suffix)


def unquoted(path: str) -> str:
    return path.replace("%22", '"').replace("%3D", "=")


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": 500},
        {"status": 302, "headers": {"Location": ELSEWHERE}},
        {"body": b"<html>"},
        {"body": b"{}"},
        {"body": b"[" * 100_000},
        {"body": orjson.dumps([PAGE] * 20)},
        {"body": b""},
    ],
    ids=["broken", "elsewhere", "no JSON", "no list", "deep", "too large", "empty"],
)
def test_alerts_that_are_not_known_any_more_are_not_shown_and_come_back(
    wrong: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alert_watch, "LARGEST_ANSWER", 1_000)
    caplog.set_level(logging.INFO)
    clock = Clock()

    async def look(watched: AlertWatch, manager: Alertmanager) -> None:
        await until(lambda: watched.alerting().is_known)
        right = vars(manager).copy()
        vars(manager).update(wrong)
        await until(lambda: "alerts are not known" in caplog.text)
        clock.now_ms += KNOWN_FOR_MS
        assert watched.alerting().alerts
        clock.now_ms += 1
        assert watched.alerting() == Alerting(as_of_ms=Clock.now_ms)
        vars(manager).update(right)
        await until(lambda: watched.alerting().is_known)
        assert "alerts are known again" in caplog.text

    watch(look, clock=clock)
    assert caplog.text.count("alerts are not known") == 1


def test_an_alertmanager_that_does_not_answer_is_given_up_and_asked_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(alert_watch, "PATIENCE_S", 0.05)

    async def look(watched: AlertWatch, manager: Alertmanager) -> None:
        manager.is_free.clear()
        await until(lambda: len(manager.asked) > 3)
        manager.is_free.set()
        await until(lambda: watched.alerting().is_known)

    watch(look)
    assert caplog.text.count("alerts are not known") == 1


def test_an_alertmanager_that_is_not_there_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        watched = AlertWatch("http://127.0.0.1:9", every_s=0.01)
        watching = asyncio.create_task(watched.watch())
        await asyncio.wait_for(until(lambda: "alerts are not known" in caplog.text), PATIENCE_S)
        assert not watching.done()
        assert watched.alerting() == Alerting()
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching

    asyncio.run(run())
