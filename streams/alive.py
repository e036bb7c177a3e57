"""The command `alive`: one question to the worker beside it, for a container's health check."""

from __future__ import annotations

import contextlib
import http.client
import os
import ssl
from pathlib import Path
from typing import Final

import click

from streams.settings import load_settings

EXIT_NOT_ALIVE: Final = 1

ALIVE: Final = "/healthz"
READY: Final = "/readyz"

_EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 # none is listened on here


def asked(host: str, port: int, path: str, *, patience_s: float) -> tuple[int, str]:
    """What the worker that listens at *host* and *port* answers to GET *path*: status and body.

    It is asked in plain words, and over TLS where it hangs up on these. Whose certificate it shows
    is not looked at: nothing is told to it, and one that has run out is no reason to restart it.

    Raises:
        OSError: nobody answers within *patience_s* a try.
        http.client.HTTPException: whoever answers speaks no HTTP.
    """
    host = _EVERYWHERE.get(host, host)
    plain = http.client.HTTPConnection(host, port, timeout=patience_s)
    try:
        return _answer(plain, path)
    except (ConnectionError, http.client.HTTPException):
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        over_tls = http.client.HTTPSConnection(host, port, timeout=patience_s, context=context)
        return _answer(over_tls, path)


def _answer(connection: http.client.HTTPConnection, path: str) -> tuple[int, str]:
    with contextlib.closing(connection):
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read().decode(errors="replace")


@click.command(
    "alive",
    epilog="""\b
Examples:
  floorwatch alive
  floorwatch alive --ready --settings floorwatch.yaml

\b
Exit codes: 0 it is, 1 it is not or does not answer, 2 a wrong option or setting.""",
)
@click.option("--ready", is_flag=True, help="Ask whether it has once caught up with Kafka.")
@click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(0.1, 60.0),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="How long it may take to answer.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The worker's settings file; else the one that FLOORWATCH_SETTINGS names.",
)
def alive_command(ready: bool, patience_s: float, settings_file: Path | None) -> int:
    """Ask the worker on this machine whether it is alive.

    For the health check of a container, where no other program is. The worker is found by the
    settings that it has itself, over TLS too; no token is needed.
    """
    # A worker goes on when its policy is spoilt; whether it does is no question of that.
    settings = load_settings(settings_file, os.environ, only=("host", "port"))
    host, port = settings.host, settings.port
    if port == 0:
        raise click.UsageError("with `port: 0` nobody knows where the worker listens")
    try:
        status, said = asked(host, port, READY if ready else ALIVE, patience_s=patience_s)
    except (OSError, http.client.HTTPException) as fault:
        click.echo(f"floorwatch: no answer from {host}:{port} ({fault})", err=True)
        return EXIT_NOT_ALIVE
    click.echo(said)
    return 0 if status == http.client.OK else EXIT_NOT_ALIVE
