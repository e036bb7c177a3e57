"""What a running worker says of itself, asked over HTTP as probes and Prometheus ask it."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from schemas import metric_names as m

PATIENCE_S: Final = 10.0

Said = tuple[Literal["ok", "warn", "FAIL"], str]


class WorkerAddress(NamedTuple):
    """Where a worker is, and what it wants to see and shows.

    Attributes:
        url: `http://HOST:PORT` or `https://HOST:PORT`.
        token_file: the token of /metrics in its first line; None where it asks for none.
        certificate_file: PEM, the certificate that it has to show, whatever name is in it; None
            for one that this machine trusts.
    """

    url: str
    token_file: Path | None = None
    certificate_file: Path | None = None


class _Reached(NamedTuple):
    url: str
    trust: ssl.SSLContext


def read_worker_url(text: str) -> str:
    """The address of a worker without its last slash.

    Raises:
        ValueError: it is none, or has a user or a question in it.
    """
    expected = "expected http://HOST:PORT, or https"
    try:
        at = urlsplit(text)
        is_plain = at.hostname and at.port != 0 and not (at.username or at.query or at.fragment)
    except ValueError:
        raise ValueError(expected) from None
    if at.scheme not in ("http", "https") or not is_plain:
        raise ValueError(expected)
    return text.rstrip("/")


def asked(worker: WorkerAddress) -> Iterator[Said]:
    """What is right and wrong with *worker*: alive, ready, and metrics that can be read.

    Nothing that it shows of the floor is in it, and no token.
    """
    try:
        token = None if worker.token_file is None else _first_line(worker.token_file)
    except (OSError, ValueError) as fault:
        yield "FAIL", f"worker: {worker.token_file}: {_reason(fault, 'no token in it')}"
        return
    try:
        trust = _trust(worker.certificate_file)
    except OSError as fault:
        yield "FAIL", f"worker: {worker.certificate_file}: {_reason(fault, 'no certificate in it')}"
        return
    reached = _Reached(worker.url, trust)
    try:
        yield from _lives(reached)
        yield from _is_ready(reached)
        yield from _metrics(reached, token)
    except (OSError, http.client.HTTPException) as fault:
        reason = _reason(fault, str(fault) or type(fault).__name__)
        yield "FAIL", f"worker: no answer from {worker.url} ({reason})"


def _reason(fault: Exception, otherwise: str) -> str:
    """What the system says of *fault*, or *otherwise*."""
    return getattr(fault, "strerror", None) or otherwise


def _lives(worker: _Reached) -> Iterator[Said]:
    status, body = _answer(worker, "/healthz")
    if status == http.client.OK:
        yield "ok", f"worker: {worker.url} is alive"
    else:
        yield "FAIL", f"worker: /healthz answers {status}: {_field(body, 'reason')}"


def _is_ready(worker: _Reached) -> Iterator[Said]:
    status, _ = _answer(worker, "/readyz")
    if status == http.client.OK:
        yield "ok", "worker: it has caught up once"
    else:
        yield "warn", "worker: it still reads what came before it; its figures are not the floor's"


def _metrics(worker: _Reached, token: str | None) -> Iterator[Said]:
    status, body = _answer(worker, "/metrics", token=token)
    if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        problem = "asks for a token" if token is None else "does not take this token"
        yield "FAIL", f"worker: /metrics {problem}; it is the first line of --worker-token-file"
        return
    if status != http.client.OK:
        yield "FAIL", f"worker: /metrics answers {status}"
        return
    try:
        families = list(text_string_to_metric_families(body.decode()))
    except ValueError:
        yield "FAIL", "worker: /metrics is not what Prometheus reads"
        return
    series = sum(len(family.samples) for family in families)
    built = [s for family in families for s in family.samples if s.name == m.BUILD_INFO.name]
    if not built:
        yield "FAIL", f"worker: /metrics has no {m.BUILD_INFO.name}, so it is none of floorwatch's"
        return
    version = built[0].labels.get("version", "?")
    yield "ok", f"worker: floorwatch {version}, series: {series:,}"


def _answer(worker: _Reached, path: str, *, token: str | None = None) -> tuple[int, bytes]:
    """Status and body of its answer to GET *path*."""
    at = urlsplit(worker.url)
    host = at.hostname or ""
    connection: http.client.HTTPConnection
    if at.scheme == "https":
        connection = http.client.HTTPSConnection(
            host, at.port, timeout=PATIENCE_S, context=worker.trust
        )
    else:
        connection = http.client.HTTPConnection(host, at.port, timeout=PATIENCE_S)
    with contextlib.closing(connection):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        connection.request("GET", f"{at.path.rstrip('/')}{path}", headers=headers)
        response = connection.getresponse()
        return response.status, response.read()


def _first_line(file: Path) -> str:
    """The first token in *file*.

    Raises:
        OSError: it cannot be read.
        ValueError: there is none that a header could hold.
    """
    lines = (line.strip() for line in file.read_text(encoding="ascii").split("\n"))
    token = next(filter(None, lines), "")
    if not token or not token.isprintable():
        raise ValueError("no token")
    return token


def _trust(certificate: Path | None) -> ssl.SSLContext:
    if certificate is None:
        return ssl.create_default_context()
    context = ssl.create_default_context(cafile=str(certificate))
    # It is this very certificate, so no name in it has to be that of the address.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def _field(body: bytes, name: str) -> str:
    try:
        return str(json.loads(body)[name])
    except (ValueError, KeyError, TypeError):
        return "it does not say why"
