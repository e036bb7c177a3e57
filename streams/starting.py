"""What a worker waits for before it works, and the signal that may come meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class StoppedBefore(Exception):
    """A worker was to stop before it had begun."""


async def unless_stopped(
    stop: asyncio.Event, deed: Coroutine[Any, Any, T], beside: asyncio.Task[None] | None = None
) -> T:
    """The result of *deed*, which is given up once *stop* is set or the task *beside* has ended.

    Raises:
        StoppedBefore: *stop* was set.
        Exception: what ended *deed* or *beside*.
    """
    doing, stopping = asyncio.ensure_future(deed), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait(
            {doing, stopping, *([beside] if beside else [])}, return_when=asyncio.FIRST_COMPLETED
        )
        if doing.done():
            return doing.result()
        if beside is not None and beside.done():
            beside.result()
        raise StoppedBefore
    finally:
        for each in (doing, stopping):
            each.cancel()


async def aside(deed: Callable[[], T]) -> T:
    """The result of *deed* in a thread that nothing waits for where it is given up.

    `asyncio.to_thread` keeps a loop from closing until the thread has ended.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, problem: Exception | None) -> None:
        if over.done():
            return
        if problem is not None:
            over.set_exception(problem)
        else:
            over.set_result(result)  # type: ignore[arg-type] # a T where there is no problem

    def do() -> None:
        result, problem = None, None
        try:
            result = deed()
        except Exception as exc:
            problem = exc
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody asks any more
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=do, daemon=True).start()
    return await over
