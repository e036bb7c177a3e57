"""Two hundred walls on one worker, some of which do not read."""

import asyncio
import re
import socket
from contextlib import AsyncExitStack

import pytest
from aiohttp.test_utils import TestServer

from streams.web import create_web
from tests.support.fake_floor import FakeFloor
from tests.support.screens import RawScreen
from tests.support.walls import a_day_on_the_floor

SCREENS = 200
STUCK = 20
FRAMES = 5
FRAMES_UNTIL_CUT_OFF = 20
SMALL = 4 * 1024
PATIENCE_S = 120


async def numbers_seen(screen: RawScreen, frames: int) -> list[int]:
    """The numbers of the next frames that a screen gets."""
    numbers: list[int] = []
    while len(numbers) < frames:
        numbers += map(int, re.findall(rb"^id: \w+-(\d+)\n", await screen.chunk(), re.MULTILINE))
    return numbers


def short_of_memory(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
    """A listening socket whose connections hold little that has not been read."""
    listening = socket.socket(family)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    listening.bind((host, port))
    return listening


async def watch_together(floor: FakeFloor, *, stuck: int) -> list[list[int]]:
    """What each of 200 screens sees while *stuck* others take nothing, until those are cut off."""
    async with AsyncExitStack() as stack:
        app = create_web(floor, frame_every_s=0.3, write_timeout_s=3.0)
        server = TestServer(app, socket_factory=short_of_memory)
        await stack.enter_async_context(server)
        assert server.port is not None
        idle = [await RawScreen.open(server.port, buffer=SMALL) for _ in range(stuck)]
        screens = []
        for _ in range(SCREENS):
            screens.append(await RawScreen.open(server.port))
            stack.push_async_callback(screens[-1].close)
        frames = FRAMES_UNTIL_CUT_OFF if stuck else FRAMES
        seen = await asyncio.gather(*(numbers_seen(screen, frames) for screen in screens))
        for screen in idle:
            stack.push_async_callback(screen.close)
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                await screen.read_for_ever(lambda _: None)
        return seen


@pytest.mark.parametrize("stuck", [0, STUCK])
def test_no_screen_of_two_hundred_misses_a_frame_and_those_that_do_not_read_are_cut_off(
    stuck: int,
) -> None:
    floor = a_day_on_the_floor(12)

    seen = asyncio.run(asyncio.wait_for(watch_together(floor, stuck=stuck), PATIENCE_S))

    assert len(seen) == SCREENS
    for numbers in seen:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
