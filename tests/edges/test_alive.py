"""The health check of a container, asked of a real web server."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest
from aiohttp import web
from click.testing import CliRunner, Result

from streams.cli import main
from streams.local_kafka import PORTS, free_port
from streams.web import create_web
from tests.support.commands import surroundings
from tests.support.fake_floor import FakeFloor, serving

TLS_DATA: Final = Path(__file__).parents[1] / "data" / "tls"


def alive(*arguments: str, **variables: str) -> Result:
    """`floorwatch alive` with these settings and no others."""
    emptied = {name: None for name in surroundings() if name.startswith("FLOORWATCH_")}
    return CliRunner().invoke(main, ["alive", *arguments], env={**emptied, **variables})


def port_of(url: str) -> str:
    return url.rpartition(":")[2]


@contextmanager
def over_tls(floor: FakeFloor) -> Iterator[str]:
    """The port of the web of *floor*, with a certificate of no authority that anyone trusts."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(TLS_DATA / "client.pem", TLS_DATA / "client.key")
    port = free_port(PORTS)
    is_up, over = threading.Event(), threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(create_web(floor), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, ssl_context=context).start()
        is_up.set()
        await asyncio.to_thread(over.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert is_up.wait(60)
        yield str(port)
    finally:
        over.set()
        thread.join()


def test_a_worker_that_is_alive_is_0_and_one_that_fails_is_1_with_its_reason() -> None:
    floor = FakeFloor()
    with serving(floor) as server:
        well = alive(FLOORWATCH_PORT=port_of(server.url))
        floor.reason = "no poll for 61 s while the broker answers"
        ill = alive(FLOORWATCH_PORT=port_of(server.url))

    assert (well.exit_code, ill.exit_code) == (0, 1)
    assert "no poll for 61 s" in ill.output


def test_ready_is_another_question() -> None:
    floor = FakeFloor()
    floor.ready = False
    with serving(floor) as server:
        is_alive = alive(FLOORWATCH_PORT=port_of(server.url))
        not_yet = alive("--ready", FLOORWATCH_PORT=port_of(server.url))
        floor.ready = True
        now = alive("--ready", FLOORWATCH_PORT=port_of(server.url))

    assert (is_alive.exit_code, not_yet.exit_code, now.exit_code) == (0, 1, 0)


def test_it_asks_over_tls_whoever_signed_the_certificate() -> None:
    floor = FakeFloor()
    with over_tls(floor) as port:
        well = alive(FLOORWATCH_PORT=port)
        floor.reason = "stuck"
        ill = alive(FLOORWATCH_PORT=port)

    assert (well.exit_code, ill.exit_code) == (0, 1)


def test_a_worker_that_listens_everywhere_is_asked_on_this_machine() -> None:
    with serving(FakeFloor()) as server:
        said = alive(FLOORWATCH_PORT=port_of(server.url), FLOORWATCH_HOST="0.0.0.0")  # noqa: S104 # read, never bound

    assert said.exit_code == 0


def test_nobody_there_is_1_in_one_line() -> None:
    said = alive(FLOORWATCH_PORT=str(free_port(PORTS)))

    assert said.exit_code == 1
    assert said.output.startswith("floorwatch: no answer from 127.0.0.1:")
    assert len(said.output.splitlines()) == 1


def test_a_policy_that_was_spoilt_later_makes_no_worker_ill(tmp_path: Path) -> None:
    file = tmp_path / "floorwatch.yaml"
    with serving(FakeFloor()) as server:
        file.write_text(f"port: {port_of(server.url)}\npolicy: {{defaults: {{target: 80}}}}\n")
        by_option = alive("--settings", str(file))
        by_variable = alive(FLOORWATCH_SETTINGS=str(file))

    assert (by_option.exit_code, by_variable.exit_code) == (0, 0)


@pytest.mark.parametrize("port", ["0", "http"])
def test_a_port_that_nobody_can_know_is_a_wrong_setting(port: str) -> None:
    said = alive(FLOORWATCH_PORT=port)

    assert said.exit_code == 2
    assert "port" in said.output
