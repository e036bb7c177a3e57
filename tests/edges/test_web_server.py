"""The listening side: how much one client may take, what is said to nonsense, TLS."""

import contextlib
import logging
import os
import re
import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from streams.core.policy import BadSetting
from streams.http_settings import HttpSettings
from streams.web_server import Limits
from streams.web_tls import Certificate
from tests.support.commands import surroundings
from tests.support.fake_floor import FakeFloor, WebServer, serving
from tests.support.tokens import lock, signed_certificate

PATIENCE_S = 60
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: wall\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[WebServer]:
    with serving(FakeFloor()) as running:
        yield running


@contextlib.contextmanager
def connected(server: WebServer, *, buffer: int = 0) -> Iterator[socket.socket]:
    """A connection; one that takes no more than *buffer* bytes before somebody reads."""
    with socket.socket() as connection:
        if buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.settimeout(PATIENCE_S)
        connection.connect(("127.0.0.1", server.port))
        yield connection


def until_the_end(connection: socket.socket) -> bytes:
    """All that comes until the server ends the connection, in whatever way."""
    heard = b""
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65_536):
            heard += piece
    return heard


def said_to(server: WebServer, sent: bytes) -> bytes:
    with connected(server) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        return until_the_end(connection)


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


def dribble(connection: socket.socket, sent: bytes) -> None:
    for byte in sent:
        connection.sendall(bytes([byte]))
        time.sleep(0.05)


def is_alive(connection: socket.socket) -> bool:
    connection.sendall(HEALTH)
    return connection.recv(65_536).startswith(b"HTTP/1.1 200 OK")


NONSENSE = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello there\r\n\r\n",
    "no method": b"SECRET / HTTP/1.1\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe\x00secret HTTP/1.1\r\n\r\n",
    "a long path": b"GET /" + b"s" * 8_200 + b" HTTP/1.1\r\n\r\n",
    "a long header": b"GET / HTTP/1.1\r\nsecret: " + b"s" * 8_200 + b"\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"secret: s\r\n" * 65 + b"\r\n",
    "a broken header": b"GET / HTTP/1.1\r\nsecret secret\r\n\r\n",
    "a folded header": b"GET / HTTP/1.1\r\nA: b\r\n secret\r\n\r\n",
    "two lengths": b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    "length and chunks": b"GET / HTTP/1.1\r\nContent-Length: 1\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n",
}


@pytest.mark.parametrize("sent", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_not_repeated_in_the_answer_or_in_the_log(
    server: WebServer, sent: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    heard = said_to(server, sent)

    head, _, body = heard.partition(b"\r\n\r\n")
    assert re.match(rb"HTTP/1\.[01] 400 Bad Request\r\n", head)
    assert body == b'{"error":"bad_request","message":"this is no request that can be read"}'
    for header in (b"Content-Security-Policy: default-src 'none'", b"Cache-Control: no-store"):
        assert header in head
    assert re.findall(rb"Server: (.*)\r\n", head) == [b"floorwatch"]
    assert not caplog.messages


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "TRACE"])
def test_whoever_writes_is_refused_before_the_body_is_read(server: WebServer, method: str) -> None:
    head = f"{method} /nowhere HTTP/1.1\r\nHost: wall\r\nContent-Length: 1000000000\r\n\r\n"

    heard = said_to(server, head.encode())

    assert heard.startswith(b"HTTP/1.1 405 Method Not Allowed\r\n")
    assert b"\r\nAllow: GET, HEAD\r\n" in heard


def test_whoever_wants_to_be_connected_to_nothing_is_refused_too(server: WebServer) -> None:
    assert b" 405 Method Not Allowed\r\n" in said_to(server, b"CONNECT \r\n\r\nHost: wall\r\n\r\n")


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]
)
def test_whoever_reads_sends_no_body(server: WebServer, body: bytes) -> None:
    heard = said_to(server, b"GET /healthz HTTP/1.1\r\nHost: wall\r\n" + body)

    assert heard.startswith(b"HTTP/1.1 413 ")
    assert b"this service takes no body" in heard


@pytest.mark.parametrize("path", ["/nowhere", "/healthz"])
@pytest.mark.parametrize("expected", [b"secret", b"secret \xe8\xff", b"100-continue"])
def test_what_a_client_expects_is_not_repeated(
    server: WebServer, path: str, expected: bytes
) -> None:
    head = b"GET %b HTTP/1.1\r\nHost: wall\r\nConnection: close\r\n" % path.encode()

    heard = said_to(server, head + b"Expect: %b\r\n\r\n" % expected)

    assert heard.startswith(b"HTTP/1.1 417 ")
    assert b"Content-Security-Policy" in heard
    assert b"secret" not in heard


def test_a_connection_that_asks_nothing_or_too_slowly_is_cut_off() -> None:
    limits = Limits(first_request_s=0.5)
    with serving(FakeFloor(), limits=limits) as server, connected(server) as silent:
        assert until_the_end(silent) == b""
        with connected(server) as slow, pytest.raises(ConnectionError):
            dribble(slow, HEALTH * 1_000)


def test_a_second_request_that_does_not_come_is_waited_for_longer_but_not_for_ever() -> None:
    limits = Limits(first_request_s=0.3, idle_s=1.5)
    with serving(FakeFloor(), limits=limits) as server, connected(server) as connection:
        assert is_alive(connection)
        time.sleep(0.6)
        assert is_alive(connection)
        connection.sendall(HEALTH[:-2])
        assert until_the_end(connection) == b""


def test_who_does_not_take_an_answer_is_cut_off() -> None:
    floor = FakeFloor()
    floor.exposition = os.urandom(32 * 1024 * 1024)
    limits = Limits(answer_s=0.5)
    with serving(floor, limits=limits) as server, connected(server, buffer=4_096) as idle:
        idle.sendall(b"GET /metrics HTTP/1.1\r\nHost: wall\r\n\r\n")
        time.sleep(2.0)
        taken = until_the_end(idle)
        with connected(server) as other:
            assert is_alive(other)

    assert 0 < len(taken) < len(floor.exposition)


def test_one_connection_too_many_takes_the_place_of_the_longest_idle() -> None:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(FakeFloor(), limits=Limits(connections=4)))
        enter = stack.enter_context
        watching = enter(connected(server))
        watching.sendall(b"GET /api/v1/floor/stream HTTP/1.1\r\nHost: wall\r\n\r\n")
        assert watching.recv(1)
        idle = [enter(connected(server)) for _ in range(3)]
        for each in (idle[1], idle[2], idle[0]):
            assert is_alive(each)

        newcomers = [enter(connected(server)) for _ in range(2)]

        assert all(is_alive(each) for each in newcomers)
        assert until_the_end(idle[1]) == until_the_end(idle[2]) == b""
        assert is_alive(idle[0])
        assert watching.recv(65_536)


def test_no_connection_is_let_in_while_all_are_being_answered() -> None:
    ask = b"GET /api/v1/floor/stream HTTP/1.1\r\nHost: wall\r\n\r\n"
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(serving(FakeFloor(), limits=Limits(connections=2)))
        watching = [stack.enter_context(connected(server)) for _ in range(2)]
        for each in watching:
            each.sendall(ask)
            assert each.recv(1)

        with connected(server) as refused:
            assert until_the_end(refused) == b""
        watching[0].close()

        def is_let_in() -> bool:
            with connected(server) as another:
                another.sendall(HEALTH)
                with contextlib.suppress(ConnectionError):
                    return another.recv(65_536).startswith(b"HTTP/1.1 200 OK")
            return False

        eventually(is_let_in)
        assert watching[1].recv(65_536)


@pytest.mark.parametrize(
    ("soft", "hard", "connections"), [(64, 100_000, 1_000), (500, 500, 300), (200, 210, 50)]
)
def test_there_are_no_more_connections_than_files_that_may_be_open(
    soft: int, hard: int, connections: int
) -> None:
    """In a process of its own: nobody may raise a hard limit again."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < hard:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = (
        f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))\n"
        "from streams.web_server import room_for_connections\n"
        "print(room_for_connections().connections)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=True,
    )

    assert int(ended.stdout) == connections


def over_tls(server: WebServer, authority: Path, **limits: ssl.TLSVersion) -> bytes:
    """What a client that trusts *authority* alone hears of the worker's health."""
    context = ssl.create_default_context(cafile=str(authority))
    for name, version in limits.items():
        setattr(context, name, version)
    with (
        connected(server) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(HEALTH)
        return secure.recv(65_536)


def test_over_tls_it_answers_those_who_trust_its_authority(tmp_path: Path) -> None:
    own, foreign = signed_certificate(tmp_path), signed_certificate(tmp_path, "foreign")
    http_settings = HttpSettings(certificate_file=own.certificate, key_file=own.key)
    with serving(FakeFloor(), http=http_settings) as server:
        assert over_tls(server, own.authority).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ssl.SSLCertVerificationError):
            over_tls(server, foreign.authority)
        assert not said_to(server, HEALTH).startswith(b"HTTP")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
def test_tls_older_than_1_2_is_refused(tmp_path: Path) -> None:
    own = signed_certificate(tmp_path)
    http_settings = HttpSettings(certificate_file=own.certificate, key_file=own.key)
    old, newer = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2
    with serving(FakeFloor(), http=http_settings) as server:
        with pytest.raises(ssl.SSLError):
            over_tls(server, own.authority, minimum_version=old, maximum_version=old)
        heard = over_tls(server, own.authority, maximum_version=newer)
        # A loop that ends while it takes a connection leaves it to the garbage collector.
        said_to(server, HEALTH)

    assert heard.startswith(b"HTTP/1.1 200 OK")


def test_a_new_certificate_is_taken_without_a_restart_and_a_wrong_one_is_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one, two = signed_certificate(tmp_path, "one"), signed_certificate(tmp_path, "two")
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"

    def write(crt: Path, secret: Path) -> None:
        certificate.write_bytes(crt.read_bytes())
        key.write_bytes(secret.read_bytes())

    write(one.certificate, one.key)
    taken = Certificate(certificate, key)

    def serial() -> str:
        """Of the certificate that a client is shown."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        ours = taken.context.wrap_bio(incoming, outgoing, server_side=True)
        client_context = ssl.create_default_context(cafile=str(tmp_path / "both.crt"))
        theirs = client_context.wrap_bio(outgoing, incoming, server_hostname="localhost")
        for _ in range(4):
            for end in (theirs, ours):
                with contextlib.suppress(ssl.SSLWantReadError):
                    end.do_handshake()
        shown = theirs.getpeercert()
        assert shown
        return str(shown["serialNumber"])

    (tmp_path / "both.crt").write_bytes(one.authority.read_bytes() + two.authority.read_bytes())
    first = serial()
    assert not taken.reread()
    write(two.certificate, one.key)
    assert not taken.reread()
    assert not taken.reread()
    assert serial() == first
    write(two.certificate, two.key)
    assert taken.reread()
    assert serial() != first
    refused, taken_over = caplog.messages
    assert refused.startswith("http.certificate_file='/")
    assert refused.endswith(": certificate and key do not belong together; the one of before stays")
    assert taken_over == "a new certificate is in use"


@pytest.mark.parametrize("broken", ["missing", "no PEM", "no key", "another key", "a password"])
def test_what_is_wrong_with_a_certificate_is_said_in_one_line(tmp_path: Path, broken: str) -> None:
    own, other = signed_certificate(tmp_path), signed_certificate(tmp_path, "other")
    certificate, key = own.certificate, own.key
    said = "http.certificate_file"
    if broken == "missing":
        key.unlink()
        said = "http.key_file"
    elif broken == "no PEM":
        certificate.write_text("no PEM")
    elif broken == "no key":
        key.write_bytes(certificate.read_bytes())
    elif broken == "another key":
        key = other.key
    else:
        lock(key)

    with pytest.raises(BadSetting) as refused:
        Certificate(certificate, key)

    assert str(refused.value).startswith(f"{said}=")
    assert "\n" not in str(refused.value)
