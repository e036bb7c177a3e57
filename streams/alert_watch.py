"""Asks an Alertmanager what fires, so that the wall can show it and its page asks nobody else.

Nothing depends on the answer but what is shown: an Alertmanager that is away, slow or hostile
takes the alerts off the wall, which then says since when they are not known.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

import aiohttp
import orjson

from streams.core.alerts import Alert, Alerting, read_alerts
from streams.wall_clock import wall_clock_ms

log = logging.getLogger(__name__)

PATH: Final = "api/v2/alerts"
EVERY_S: Final = 2.0
PATIENCE_S: Final = 5.0
KNOWN_FOR_MS: Final = 15_000
"""For so long after an answer its alerts are shown."""

LARGEST_ANSWER: Final = 8 * 1024 * 1024


class AlertWatch:
    """The alerts of one Alertmanager, as of its last answer.

    Args:
        url: its address as people open it. A query is sent along, so that `?filter=namespace="a"`
            shows only what matches.
        every_s: seconds between two questions.
        clock_ms: the wall's clock.
    """

    def __init__(
        self, url: str, *, every_s: float = EVERY_S, clock_ms: Callable[[], int] = wall_clock_ms
    ) -> None:
        address, _, query = url.partition("?")
        self._url = f"{address.rstrip('/')}/{PATH}" + (f"?{query}" if query else "")
        self._every_s = every_s
        self._clock_ms = clock_ms
        self._alerts: tuple[Alert, ...] = ()
        self._heard_ms: int | None = None
        self._is_away = False

    def alerting(self) -> Alerting:
        """What is known now."""
        heard_ms = self._heard_ms
        if heard_ms is None or self._clock_ms() - heard_ms > KNOWN_FOR_MS:
            return Alerting(as_of_ms=heard_ms)
        return Alerting(as_of_ms=heard_ms, is_known=True, alerts=self._alerts)

    async def watch(self) -> None:
        """Ask for ever."""
        timeout = aiohttp.ClientTimeout(total=PATIENCE_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                await self._ask(session)
                await asyncio.sleep(self._every_s)

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        try:
            async with session.get(self._url, allow_redirects=False) as response:
                body = await response.content.read(LARGEST_ANSWER + 1)
                while len(body) <= LARGEST_ANSWER and not response.content.at_eof():
                    body += await response.content.readany()
                if response.status != 200:  # OK
                    raise ValueError(f"it answers {response.status}")
                if len(body) > LARGEST_ANSWER:
                    raise ValueError(f"its answer is larger than {LARGEST_ANSWER} bytes")
            self._alerts = read_alerts(orjson.loads(body))
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            if not self._is_away:
                self._is_away = True
                log.warning("alerts are not known: %s", error or type(error).__name__)
            return
        self._heard_ms = self._clock_ms()
        if self._is_away:
            self._is_away = False
            log.info("alerts are known again")
