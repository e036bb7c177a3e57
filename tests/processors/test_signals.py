"""The first signal asks, the second one ends."""

import signal
import subprocess
import sys

STUBBORN = """
import asyncio
from streams.transport import stop_on_signals

async def main():
    stop = asyncio.Event()
    stop_on_signals(stop)
    print("up", flush=True)
    await stop.wait()
    print("asked", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_the_first_sigterm_asks_to_stop_and_the_second_ends_the_process_at_once() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        process.send_signal(signal.SIGTERM)
        assert process.stdout.readline() == "asked\n"
        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == -signal.SIGTERM
