"""`floorwatch provision`: dashboards and alert rules into a Grafana, and what differs there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from dashboards.provision.adapter import (
    BadAddress,
    Grafana,
    GrafanaRefused,
    GrafanaUnreachable,
    NotGrafana,
    Patience,
    Tls,
)
from dashboards.provision.credentials import BadCredentials, Credentials, secret_of
from dashboards.provision.reconciling import Change, Outcome, Reconciler
from dashboards.provision.shipped import shipped_to
from dashboards.provision.wanted import NotProvisionable
from streams.parameters import DURATION, settings_of

EXIT_DRIFT: Final = 1
EXIT_NO_GRAFANA: Final = 3

TOKEN: Final = "GRAFANA_TOKEN"  # noqa: S105 # the name of a variable
PASSWORD: Final = "GRAFANA_PASSWORD"  # noqa: S105 # the name of a variable

_READABLE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)

_DONE: Final = {"create": "created", "update": "updated", "delete": "deleted"}


@click.command(
    "provision",
    epilog="""\b
Examples:
  GRAFANA_TOKEN=... floorwatch provision --url https://grafana.example
  floorwatch provision --url https://grafana.example --token-file /run/secrets/token --diff
  floorwatch provision --url http://localhost:3000 --user admin --password-file pw --alerts

\b
Exit codes: 0 all is as it should be, or has been made so, 1 with --check something differs,
2 a wrong option, setting, file or secret, 3 no Grafana answers, or it refuses something,
130 interrupted.""",
)
@click.option(
    "--url",
    required=True,
    envvar="GRAFANA_URL",
    show_envvar=True,
    metavar="URL",
    help="Grafana's address, with its path.",
)
@click.option(
    "--alerts",
    is_flag=True,
    help="Alert rules, too. Leave them out where Prometheus has ours: nobody is told twice.",
)
@click.option(
    "--datasource",
    metavar="UID",
    help="With --alerts: the Prometheus that the rules ask, by its uid in Grafana, if that is not "
    "prometheus.",
)
@click.option(
    "--runbooks", metavar="URL", help="Where the runbooks are, for the links of boards and alerts."
)
@click.option("--diff", is_flag=True, help="Change nothing; show what would be, value by value.")
@click.option("--check", is_flag=True, help="Change nothing; exit 1 if something would be.")
@click.option(
    "--prune",
    is_flag=True,
    help="Delete what this installation has put there and this command does not name any more; "
    "without --alerts that is its alert rules, too.",
)
@click.option(
    "--token-file",
    type=_READABLE,
    metavar="FILE",
    help=f"Token of a service account, role Admin; else {TOKEN}.",
)
@click.option(
    "--user",
    envvar="GRAFANA_USER",
    show_envvar=True,
    metavar="NAME",
    help="Log in with a password in place of a token.",
)
@click.option(
    "--password-file", type=_READABLE, metavar="FILE", help=f"The user's; else {PASSWORD}."
)
@click.option("--ca-file", type=_READABLE, metavar="FILE", help="Who signed its certificate.")
@click.option("--client-cert", type=_READABLE, metavar="FILE", help="Shows it who asks.")
@click.option("--client-key", type=_READABLE, metavar="FILE", help="Of --client-cert.")
@click.option("--insecure", is_flag=True, help="Take any certificate for its own.")
@click.option(
    "--timeout",
    "timeout_ms",
    type=DURATION,
    default="10s",
    show_default=True,
    help="Of silence, then it is asked again.",
)
@click.option(
    "--retries",
    type=click.IntRange(0, 20),
    default=4,
    show_default=True,
    metavar="N",
    help="After no answer, 429, 502, 503 or 504; with growing pauses.",
)
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings file, of which the name counts; else the one that FLOORWATCH_SETTINGS names.",
)
def provision_command(
    url: str,
    alerts: bool,
    datasource: str | None,
    runbooks: str | None,
    diff: bool,
    check: bool,
    prune: bool,
    token_file: Path | None,
    user: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    insecure: bool,
    timeout_ms: int,
    retries: int,
    settings_file: Path | None,
) -> int:
    """Put dashboards, and alert rules if asked, into a Grafana 10 to 13.

    Only what differs is written, so a second run changes nothing. All uids begin with the
    installation's name, which is also the uid of its folder and part of a tag: two installations
    share a Grafana, and --prune leaves alone what others have made. What somebody
    has changed there is found by --check and taken back by the next run. A secret is read from a
    file or a variable, and never shown.
    """
    if datasource is not None and not alerts:
        raise click.UsageError("--datasource is of alert rules: it needs --alerts")
    tls = _tls(url, ca_file, client_cert, client_key, insecure)
    settings = settings_of(settings_file)
    try:
        credentials = _credentials(os.environ, token_file, user, password_file)
        grafana = Grafana(
            url,
            credentials,
            tls=tls,
            patience=Patience(timeout_s=timeout_ms / 1000, retries=retries),
        )
        wanted = shipped_to(
            grafana.url, settings.name, alerts=alerts, datasource=datasource, runbooks=runbooks
        )
    except (BadAddress, BadCredentials, NotProvisionable) as wrong:
        raise click.UsageError(str(wrong)) from None
    if insecure:
        click.echo(f"note: --insecure: whoever answers at {grafana.url} is trusted", err=True)
    is_dry = diff or check
    try:
        with grafana:
            outcome = Reconciler(grafana, wanted, write=not is_dry, prune=prune).run()
    except (GrafanaUnreachable, GrafanaRefused, NotGrafana) as broken:
        click.echo(f"floorwatch: {broken}", err=True)
        return EXIT_NO_GRAFANA
    for line in report(outcome, is_dry=is_dry, with_values=diff):
        click.echo(grafana.hide(line))
    for fault in outcome.faults:
        click.echo(f"floorwatch: {grafana.hide(fault.text)}", err=True)
    if outcome.faults:
        return EXIT_NO_GRAFANA
    return EXIT_DRIFT if check and outcome.changes else 0


def report(outcome: Outcome, *, is_dry: bool, with_values: bool) -> Iterator[str]:
    """What a person reads about a run, line by line.

    Args:
        outcome: of the run.
        is_dry: nothing was written.
        with_values: each value that differs has a line of its own.
    """
    for change in outcome.changes:
        yield _line(f"would {change.action}" if is_dry else _DONE[change.action], change)
        if with_values:
            yield from (f"    {difference}" for difference in change.differences)
    for change in outcome.leftover:
        yield _line("left", change) + "; nothing wants it any more, --prune deletes it"
    for note in outcome.notes:
        yield f"note: {note}"
    done = "would change" if is_dry else "changed"
    told = f"{outcome.equal} as they should be, {len(outcome.changes)} {done}"
    yield told + (f", {len(outcome.faults)} refused" if outcome.faults else "")


def _line(verb: str, change: Change) -> str:
    differing = len(change.differences)
    more = f": {differing} value{'s' if differing > 1 else ''}" if differing else ""
    return f"{verb:<12}  {change.kind} {change.name} ({change.title}){more}"


def _tls(
    url: str,
    ca_file: Path | None,
    client_cert: Path | None,
    client_key: Path | None,
    insecure: bool,
) -> Tls:
    """How the options say that the other side is trusted.

    Raises:
        click.UsageError: they contradict each other, or would change nothing.
    """
    if insecure and ca_file is not None:
        raise click.UsageError("--insecure and --ca-file: trust anybody, or that authority alone")
    if client_key is not None and client_cert is None:
        raise click.UsageError("--client-key is of a certificate: it needs --client-cert")
    if url.startswith("http://") and (insecure or ca_file or client_cert):
        raise click.UsageError("--ca-file, --client-cert and --insecure are of https, not of http")
    return Tls(
        ca_file=str(ca_file) if ca_file else None,
        cert_file=str(client_cert) if client_cert else None,
        key_file=str(client_key) if client_key else None,
        insecure=insecure,
    )


def _credentials(
    environ: Mapping[str, str],
    token_file: Path | None,
    user: str | None,
    password_file: Path | None,
) -> Credentials:
    """Who logs in; what is written on the command line counts before a variable.

    Raises:
        click.UsageError: nobody, or two at once.
        BadCredentials: with what was given nobody can.
    """
    if token_file is not None and password_file is not None:
        raise click.UsageError("--token-file and --password-file: a token or a user; name one")
    if token_file is not None:
        return Credentials(token=secret_of(token_file.read_bytes()))
    password = environ.get(PASSWORD)
    if password_file is not None:
        if user is None:
            raise click.UsageError("--password-file: whose? name --user, or set GRAFANA_USER")
        return Credentials(user=user, password=secret_of(password_file.read_bytes()))
    token = environ.get(TOKEN)
    if token and user:
        raise click.UsageError(f"{TOKEN} and a user ({user!r}): a token or a user; set one")
    if token:
        return Credentials(token=token.strip())
    if user is not None and password:
        return Credentials(user=user, password=password)
    if user is not None:
        raise click.UsageError(f"no password for {user!r}: set {PASSWORD}, or name --password-file")
    raise click.UsageError(
        f"nothing to log in with: set {TOKEN} or name --token-file, or --user with {PASSWORD} or "
        "--password-file"
    )
