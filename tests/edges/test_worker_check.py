"""What `check --worker` says of a worker that runs: what probes and Prometheus would meet."""

from __future__ import annotations

import http.server
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.cli import main
from streams.worker_check import WorkerAddress, asked, read_worker_url
from tests.support.fake_floor import FakeFloor, serving

PAGE = b"# TYPE floorwatch_build_info gauge\nfloorwatch_build_info{version='1.2.3'} 1\n".replace(
    b"'", b'"'
)


def a_floor_with_metrics() -> FakeFloor:
    floor = FakeFloor()
    floor.exposition = PAGE
    return floor


def test_a_worker_that_lives_and_is_ready_passes() -> None:
    with serving(a_floor_with_metrics()) as web:
        said = list(asked(WorkerAddress(web.url)))

    assert said == [
        ("ok", f"worker: {web.url} is alive"),
        ("ok", "worker: it has caught up once"),
        ("ok", "worker: floorwatch 1.2.3, series: 1"),
    ]


def test_a_worker_that_hangs_fails_with_its_own_reason() -> None:
    floor = a_floor_with_metrics()
    floor.reason = "no poll for 61 s while the broker answers"

    with serving(floor) as web:
        said = list(asked(WorkerAddress(web.url)))

    assert ("FAIL", f"worker: /healthz answers 503: {floor.reason}") in said


def test_a_worker_that_still_reads_is_worth_a_warning() -> None:
    floor = a_floor_with_metrics()
    floor.ready = False

    with serving(floor) as web:
        levels = [level for level, _ in asked(WorkerAddress(web.url))]

    assert levels == ["ok", "warn", "ok"]


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        (b"floorwatch_contacts_waiting{queue=\n", "is not what Prometheus reads"),
        (b"up 1\n", "has no floorwatch_build_info"),
    ],
)
def test_metrics_of_something_else_fail(page: bytes, problem: str) -> None:
    floor = FakeFloor()
    floor.exposition = page

    with serving(floor) as web:
        *_, (level, text) = asked(WorkerAddress(web.url))

    assert level == "FAIL"
    assert problem in text


def test_nobody_there_is_one_line() -> None:
    with serving(FakeFloor()) as web:
        gone = web.url

    [(level, text)] = asked(WorkerAddress(gone))

    assert (level, text) == ("FAIL", f"worker: no answer from {gone} (Connection refused)")


@pytest.mark.parametrize(
    "written",
    ["worker:6066", "ftp://worker", "http://", "http://u:p@w", "http://w?x=1", "http://w:x"],
)
def test_an_address_that_is_none_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="expected http://HOST:PORT, or https"):
        read_worker_url(written)


def test_options_of_a_worker_need_a_worker(tmp_path: Path) -> None:
    said = CliRunner().invoke(main, ["check", "--worker-token-file", str(tmp_path / "token")])

    assert said.exit_code == 2
    assert "--worker-token-file is of a worker: name its --worker URL" in said.stderr


class _Locked(http.server.BaseHTTPRequestHandler):
    """Answers as a worker whose /metrics wants the token `right`."""

    def do_GET(self) -> None:
        is_open = self.path != "/metrics" or self.headers["Authorization"] == "Bearer right"
        body = PAGE if self.path == "/metrics" else b"{}"
        self.send_response(200 if is_open else 401)
        self.send_header("Content-Length", str(len(body) * is_open))
        self.end_headers()
        self.wfile.write(body * is_open)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def locked(certificate: Path | None = None) -> Iterator[str]:
    """The address of a locked worker; over TLS with the certificate and key in that file."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Locked)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http{'s' * (certificate is not None)}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("written", "level", "part"),
    [
        (None, "FAIL", "asks for a token"),
        ("wrong", "FAIL", "does not take this token"),
        ("\n right \nolder\n", "ok", "floorwatch 1.2.3"),
    ],
)
def test_the_first_line_of_the_file_is_the_token_and_it_is_never_said(
    written: str | None, level: str, part: str, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_text(written or "", encoding="utf-8")

    with locked() as url:
        *_, said = asked(WorkerAddress(url, None if written is None else file))

    assert said[0] == level
    assert part in said[1]
    assert "wrong" not in said[1]


@pytest.mark.parametrize("written", [None, b"", b"\n \n", "gr\u00fcn".encode(), b"a\x07b"])
def test_a_file_without_a_token_is_named_before_anybody_is_asked(
    written: bytes | None, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if written is not None:
        file.write_bytes(written)

    [(level, text)] = asked(WorkerAddress("http://127.0.0.1:1", file))

    assert level == "FAIL"
    assert text.startswith(f"worker: {file}: ")


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    file = tmp_path / "certificate"
    for written in (None, "no certificate"):
        if written is not None:
            file.write_text(written, encoding="utf-8")
        [(level, text)] = asked(WorkerAddress("https://127.0.0.1:1", None, file))
        assert level == "FAIL"
        assert text.startswith(f"worker: {file}: ")


def a_certificate(folder: Path, name: str) -> Path:
    """A file with a certificate for *name*, signed by itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return file


def test_over_tls_it_has_to_show_the_certificate_that_was_given(tmp_path: Path) -> None:
    own, foreign = (a_certificate(tmp_path, name) for name in ("wall.example", "other.example"))
    with locked(own) as url:
        assert next(iter(asked(WorkerAddress(url, None, own))))[0] == "ok"
        for certificate in (foreign, None):
            [(level, text)] = asked(WorkerAddress(url, None, certificate))
            assert level == "FAIL"
            assert "CERTIFICATE_VERIFY_FAILED" in text
