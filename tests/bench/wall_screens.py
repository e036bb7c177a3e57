"""How soon every wall screen has a frame: 200 of them on one worker, some of which do not read.

    python tests/bench/wall_screens.py --queues 80 --screens 200 --stuck 20

The web of a worker runs in a process of its own, the screens in another, on the same machine. A
frame's time runs from before it is encoded until the last byte is with the screen, by one clock.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import time
from bisect import bisect_right
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path

import click
import uvloop
from aiohttp import web

sys.path.insert(0, str(Path(__file__).parents[2]))

from streams.web import create_web
from tests.support.fake_floor import FakeFloor
from tests.support.screens import RawScreen
from tests.support.walls import a_day_on_the_floor


class Stamped(FakeFloor):
    """A floor that notes when each frame was asked for."""

    def __init__(self, queues: int) -> None:
        super().__init__(a_day_on_the_floor(queues).document)
        self.asked: list[float] = []

    def frame(self) -> bytes:
        """The frame of the floor."""
        self.asked.append(time.monotonic())
        return super().frame()


async def serve(pipe: Connection, queues: int) -> None:
    """Serve until the other process says that it is over; answer when frames were asked for."""
    floor = Stamped(queues)
    runner = web.AppRunner(create_web(floor), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    pipe.send(runner.addresses[0][1])
    while not pipe.poll():  # noqa: ASYNC110 # a pipe has no event
        await asyncio.sleep(0.05)
    cpu_ms = time.process_time() * 1000 / len(floor.asked)
    pipe.send((floor.asked, cpu_ms, len(floor.frame())))
    await runner.cleanup()


def serve_in_a_process(pipe: Connection, queues: int) -> None:
    """What the process of the web does."""
    uvloop.run(serve(pipe, queues))


async def look(port: int, screens: int, stuck: int, packed: bool, for_s: float) -> list[float]:
    """When each chunk had arrived at some screen."""
    arrivals: list[float] = []
    idle = [await RawScreen.open(port) for _ in range(stuck)]
    reading = [
        asyncio.create_task(
            (await RawScreen.open(port, packed=packed)).read_for_ever(
                lambda _: arrivals.append(time.monotonic())
            )
        )
        for _ in range(screens)
    ]
    await asyncio.sleep(2)
    arrivals.clear()
    await asyncio.sleep(for_s)
    for task in reading:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    for screen in idle:
        await screen.close()
    return arrivals


@click.command()
@click.option("--queues", default=80, show_default=True)
@click.option("--screens", default=200, show_default=True)
@click.option("--stuck", default=20, show_default=True, help="Others that read nothing.")
@click.option("--plain", is_flag=True, help="Without compression.")
@click.option("--for", "for_s", default=20.0, show_default=True, help="Seconds.")
def main(queues: int, screens: int, stuck: int, plain: bool, for_s: float) -> None:
    """Measure, and write one line."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve_in_a_process, args=(there, queues)
    )
    process.start()
    arrivals = uvloop.run(look(here.recv(), screens, stuck, not plain, for_s))
    here.send("over")
    asked, cpu_ms, size = here.recv()
    process.join()
    taken_ms = sorted((at - asked[bisect_right(asked, at) - 1]) * 1000 for at in arrivals)
    p50, p99 = (taken_ms[int(len(taken_ms) * share)] for share in (0.5, 0.99))
    click.echo(
        f"{screens} screens, {queues} queues ({size / 1000:.0f} kB a frame"
        f"{'' if plain else ', compressed'}), {stuck} stuck: {len(taken_ms)} frames, "
        f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {taken_ms[-1]:.1f} ms; "
        f"{cpu_ms:.1f} ms of CPU time a frame"
    )


if __name__ == "__main__":
    main()
