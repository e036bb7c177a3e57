import asyncio
import threading

import pytest

from streams.starting import StoppedBefore, aside, unless_stopped


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_what_is_done_before_a_stop_counts() -> None:
    async def deed() -> int:
        return 7

    assert await unless_stopped(asyncio.Event(), deed()) == 7


async def test_what_is_under_way_is_given_up_at_a_stop() -> None:
    stop = asyncio.Event()
    given_up = asyncio.Event()

    async def deed() -> None:
        try:
            await for_ever()
        finally:
            given_up.set()

    waiting = asyncio.create_task(unless_stopped(stop, deed()))
    await asyncio.sleep(0)
    stop.set()

    with pytest.raises(StoppedBefore):
        await waiting
    await asyncio.wait_for(given_up.wait(), 60)


async def test_what_fails_is_told() -> None:
    async def deed() -> None:
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        await unless_stopped(asyncio.Event(), deed())


async def test_nothing_is_waited_for_that_rests_on_a_task_that_has_failed() -> None:
    async def reader() -> None:
        raise OSError("nothing is read")

    with pytest.raises(OSError, match="nothing is read"):
        await asyncio.wait_for(
            unless_stopped(asyncio.Event(), for_ever(), asyncio.create_task(reader())), 60
        )


async def test_a_deed_in_a_thread_gives_its_result_or_its_problem() -> None:
    def broken() -> None:
        raise LookupError("not there")

    assert await aside(threading.get_ident) != threading.get_ident()
    with pytest.raises(LookupError, match="not there"):
        await aside(broken)


def test_a_deed_in_a_thread_that_is_given_up_keeps_no_loop_from_closing() -> None:
    goes_on = threading.Event()

    async def give_up() -> None:
        stop = asyncio.Event()
        stop.set()
        with pytest.raises(StoppedBefore):
            await unless_stopped(stop, aside(lambda: goes_on.wait(60)))

    asyncio.run(give_up())

    assert not goes_on.is_set()
    goes_on.set()
