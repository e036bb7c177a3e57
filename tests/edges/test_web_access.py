"""Who may see what: tokens, the wall's cookie, and starts that are refused."""

import base64
import http.client
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import orjson
import pytest

from streams.core.policy import BadSetting
from streams.http_settings import HttpSettings, is_loopback, read_http, refuse_open_surfaces
from streams.web_access import Access, Surface
from tests.support.commands import floorwatch
from tests.support.fake_floor import FakeFloor, WebServer, serving
from tests.support.tokens import API, METRICS, WALL, with_tokens

PATIENCE_S = 60

PAGES = ("/", "/queue")
OF_WALL = (
    *("/assets/wallboard.js", "/api/v1/floor/history"),
    *("/api/v1/queue", "/api/v1/formulas", "/api/v1/floor/stream"),
)
OF_API = ("/api/v1/floor", "/api/v1/openapi.json")
OF_NOBODY = ("/healthz", "/readyz")
COOKIE = "floorwatch_wall_floorwatch"


class Reply(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebServer]:
    """A web with a token for each surface."""
    with serving(FakeFloor(), http=with_tokens(tmp_path_factory.mktemp("tokens"))) as running:
        yield running


def ask(
    server: WebServer, path: str, *, token: str = "", cookie: str = "", **headers: str
) -> Reply:
    """What a client gets for *path*; of a stream only how it begins."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if token:
        sent["Authorization"] = f"Bearer {token}"
    if cookie:
        sent["Cookie"] = f"other=1; {COOKIE}={cookie}"
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path, headers=sent)
        answer = connection.getresponse()
        is_stream = answer.headers.get_content_type() == "text/event-stream"
        return Reply(answer.status, answer.headers, b"" if is_stream else answer.read())
    finally:
        connection.close()


def cookie_for(server: WebServer, token: str) -> str:
    found = re.match(rf"{COOKIE}=([\w-]+);", ask(server, f"/?token={token}").headers["Set-Cookie"])
    assert found
    return found[1]


def eventually(true: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("path", [*PAGES, *OF_WALL, *OF_API, "/metrics"])
def test_nothing_is_seen_without_a_token_or_with_a_wrong_one(server: WebServer, path: str) -> None:
    almost = WALL[:-1] + "X"
    for reply in (
        ask(server, path),
        ask(server, path, token=almost),
        ask(server, path, cookie=almost),
        ask(server, path, cookie=WALL),
        ask(server, path, Authorization=f"Basic {WALL}"),
        ask(server, path, Authorization=WALL),
    ):
        assert reply.status == 401
        assert reply.headers["WWW-Authenticate"] == 'Bearer realm="floorwatch"'
        assert reply.headers["Cache-Control"] == "no-store"
        assert "Set-Cookie" not in reply.headers


@pytest.mark.parametrize("path", OF_NOBODY)
def test_probes_need_no_token(server: WebServer, path: str) -> None:
    assert ask(server, path).status == 200


@pytest.mark.parametrize(
    ("token", "opened"),
    [
        (WALL, {*PAGES, *OF_WALL}),
        (API, {*OF_API, *(path for path in OF_WALL if path.startswith("/api/"))}),
        (METRICS, {"/metrics"}),
    ],
)
def test_a_token_opens_its_own_surface_alone(
    server: WebServer, token: str, opened: set[str]
) -> None:
    everything = [*PAGES, *OF_WALL, *OF_API, "/metrics"]

    seen = {path: ask(server, path, token=token).status for path in everything}

    assert seen == {path: 200 if path in opened else 401 for path in everything}


def test_the_cookie_of_a_wall_opens_what_the_wall_asks_and_no_more(server: WebServer) -> None:
    cookie = cookie_for(server, WALL)
    everything = [*PAGES, *OF_WALL, *OF_API, "/metrics"]

    seen = {path: ask(server, path, cookie=cookie).status for path in everything}

    opened = {*PAGES, *OF_WALL}
    assert seen == {path: 200 if path in opened else 401 for path in everything}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (f"/?token={WALL}", "./"),
        (f"/queue?token={WALL}", "queue"),
        (f"/?theme=light&token={WALL}&queues=a%26b,c", "./?theme=light&queues=a%26b,c"),
        (f"/queue?queue=%0d%0aX:y&%74oken={WALL}&token=x", "queue?queue=%0d%0aX:y"),
        (f"/?%0d%0a&q=<%22>&token={WALL}", "./?%0d%0a&q=%3C%22%3E"),
    ],
)
def test_a_token_in_the_address_becomes_a_cookie_and_the_same_address_without_it(
    server: WebServer, asked: str, answered: str
) -> None:
    reply = ask(server, asked)

    assert (reply.status, reply.headers["Location"], reply.body) == (303, answered, b"")
    name, *flags = reply.headers["Set-Cookie"].split("; ")
    assert set(flags) == {"HttpOnly", "Max-Age=34560000", "Path=/", "SameSite=Strict"}
    assert WALL not in str(reply.headers)
    assert name.startswith(f"{COOKIE}=")


def test_behind_a_proxy_with_tls_the_cookie_is_kept_from_plain_connections(
    server: WebServer,
) -> None:
    told = {
        proto: ask(server, f"/?token={WALL}", X_Forwarded_Proto=proto).headers["Set-Cookie"]
        for proto in ("https", "HTTPS, http", "http", "http, https")
    }

    assert [proto for proto, cookie in told.items() if "Secure" in cookie.split("; ")] == [
        *("https", "HTTPS, http"),
    ]


def test_a_token_with_a_plus_sign_need_not_be_encoded(tmp_path: Path) -> None:
    token = "ab+cd/ef==0123456789"  # noqa: S105 # of this test alone
    (tmp_path / "wall").write_text(token)

    with serving(FakeFloor(), http=HttpSettings(wall_token_file=tmp_path / "wall")) as server:
        for written in (token, token.replace("+", "%2B").replace("/", "%2F")):
            assert ask(server, f"/?token={written}").status == 303


def test_a_page_begins_the_life_of_its_cookie_anew(server: WebServer) -> None:
    cookie = cookie_for(server, WALL)

    assert f"{COOKIE}={cookie};" in ask(server, "/queue", cookie=cookie).headers["Set-Cookie"]
    assert "Set-Cookie" not in ask(server, "/api/v1/queue", cookie=cookie).headers


def test_a_wrong_token_in_the_address_is_said_in_plain_words(server: WebServer) -> None:
    wrong = "wrong-0123456789-abcdef"
    for page in PAGES:
        without, other = ask(server, page), ask(server, f"{page}?token={wrong}&theme=light")
        assert "This wallboard needs a token" in without.body.decode()
        assert "This browser has shown none so far" in without.body.decode()
        assert "The token in the address is not a valid one" in other.body.decode()
        assert other.status == 401
        assert wrong not in other.body.decode()


def test_who_has_a_cookie_already_is_let_in_with_a_wrong_token_in_the_address(
    server: WebServer,
) -> None:
    reply = ask(server, "/?token=mistyped&theme=dark", cookie=cookie_for(server, WALL))

    assert (reply.status, reply.headers["Location"]) == (303, "./?theme=dark")


def test_what_an_address_holds_cannot_become_a_part_of_the_page(server: WebServer) -> None:
    body = ask(server, '/?a="><script>alert(1)</script>').body.decode()

    assert "<script" not in body


def test_a_cookie_is_good_at_every_worker_with_the_token_and_at_no_other(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    one.write_text(f"{WALL}\n")
    other.write_text(f"another-0123456789\r\n\n  {WALL}  \n")
    cookie = Access(HttpSettings(wall_token_file=one)).cookie_of(WALL)
    assert cookie
    assert WALL.encode() not in base64.urlsafe_b64decode(f"{cookie}==")

    assert Access(HttpSettings(wall_token_file=other)).knows_cookie(cookie)
    other.write_text("another-0123456789\n")
    assert not Access(HttpSettings(wall_token_file=other)).knows_cookie(cookie)


def test_tokens_are_changed_without_a_restart_and_the_old_ones_end(tmp_path: Path) -> None:
    http_settings = with_tokens(tmp_path)
    path = http_settings.wall_token_file
    assert path
    newer = "newer-0123456789-abcdef"
    with serving(FakeFloor(), http=http_settings) as server:
        cookie = cookie_for(server, WALL)
        path.write_text(f"{newer}\n{WALL}\n")
        eventually(lambda: ask(server, "/", token=newer).status == 200)
        both = ask(server, "/", cookie=cookie).status
        stream = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        stream.request("GET", "/api/v1/floor/stream", headers={"Authorization": f"Bearer {WALL}"})
        answer = stream.getresponse()
        path.write_text(f"{newer}\n")
        answer.read()  # it ends by itself
        stream.close()
        after = [ask(server, "/", cookie=cookie).status, ask(server, "/", token=WALL).status]

    assert both == 200
    assert after == [401, 401]


def test_a_file_that_cannot_be_used_leaves_the_tokens_as_they_are(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "wall"
    path.write_text(WALL)
    access = Access(HttpSettings(wall_token_file=path))

    for broken in ("", "a secret of two words", f"{WALL}\nshort"):
        path.write_text(broken)
        assert not access.reread()
        assert not access.reread()
    path.unlink()
    assert not access.reread()

    assert access.admits(Surface.WALL, WALL)
    assert len(caplog.messages) == 4
    assert all(message.endswith("; the tokens of before stay") for message in caplog.messages)
    assert not {"secret", "short", WALL} & set(" ".join(caplog.messages).split())


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "expected 1 to 20 tokens in the file, a line each"),
        ("\n".join(f"{WALL}{number}" for number in range(21)), "expected 1 to 20 tokens"),
        (f"{WALL}\nshort", "line 2 of the file is no token"),
        (f"{WALL} {WALL}", "line 1 of the file is no token"),
        (f"{WALL}ä", "line 1 of the file is no token"),
        (None, "cannot read the file that it names: No such file or directory"),
    ],
)
def test_a_file_of_tokens_is_refused_without_a_word_of_what_it_holds(
    tmp_path: Path, written: str | None, said: str
) -> None:
    path = tmp_path / "wall-0123456789-secret"
    if written is not None:
        path.write_text(written)

    with pytest.raises(BadSetting) as refused:
        Access(HttpSettings(wall_token_file=path))

    assert str(refused.value).startswith(f"http.wall_token_file: {said}")
    assert "0123456789" not in str(refused.value)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    refuse_open_surfaces(HttpSettings(), host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "10.0.0.1", "wall.example.com", "localhost.x"],  # noqa: S104 # listens nowhere
)
def test_others_are_shown_nothing_unless_somebody_said_so(host: str, tmp_path: Path) -> None:
    with pytest.raises(BadSetting) as refused:
        refuse_open_surfaces(HttpSettings(api_token_file=tmp_path), host)

    assert str(refused.value) == (
        f"host={host!r}: others can reach this address: set http.wall_token_file, "
        "http.metrics_token_file, or say that none is needed with http.open_without_token: true"
    )
    refuse_open_surfaces(HttpSettings(open_without_token=True), host)
    refuse_open_surfaces(with_tokens(tmp_path), host)


@pytest.mark.parametrize(
    ("written", "policy", "frame_options"),
    [
        ("none", "'none'", "DENY"),
        ("'self'", "'self'", "SAMEORIGIN"),
        ("self https://*.example.com:8443", "'self' https://*.example.com:8443", None),
        (["http://boards.example.com"], "http://boards.example.com", None),
    ],
)
def test_frames_of_others_are_a_setting(
    written: object, policy: str, frame_options: str | None
) -> None:
    with serving(FakeFloor(), http=read_http({"frame_ancestors": written})) as server:
        replies = [ask(server, path) for path in ("/", "/healthz", "/nowhere")]

    for reply in replies:
        assert f"; frame-ancestors {policy};" in reply.headers["Content-Security-Policy"]
        assert reply.headers["X-Frame-Options"] == frame_options


@pytest.mark.parametrize(
    "written", ["", "*", "none self", "example.com", "https://a.example;x", "https://a,b", [], [1]]
)
def test_what_is_no_origin_is_refused(written: object) -> None:
    with pytest.raises(BadSetting, match=r"http\.frame_ancestors"):
        read_http({"frame_ancestors": written})


def test_an_answer_that_fails_says_nothing_of_why_and_the_log_nothing_of_the_address(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeFloor):
        def detail(self, queue: str, channel: str) -> None:
            raise ValueError(f"{queue} is broken")

    with serving(Broken()) as server:
        reply = ask(server, "/api/v1/queue?queue=sales&channel=voice&caller=%2B34600")

    assert orjson.loads(reply.body) == {
        "error": "internal",
        "message": "could not answer; see the log",
    }
    assert caplog.messages == ["could not answer /api/v1/queue"]


def refusal(tmp_path: Path, settings: str) -> tuple[int, str]:
    """The exit code of a worker that does not start, and what it says."""
    path = tmp_path / "floorwatch.yaml"
    path.write_text(settings)
    ended = floorwatch("worker", "--settings", str(path))
    return ended.returncode, ended.stderr


def test_a_worker_that_everybody_could_look_at_does_not_start(tmp_path: Path) -> None:
    code, said = refusal(tmp_path, "{host: 0.0.0.0, bootstrap: '127.0.0.1:1'}")

    assert code == 2
    assert said == (
        "floorwatch: host='0.0.0.0': others can reach this address: set http.wall_token_file, "
        "http.api_token_file, http.metrics_token_file, or say that none is needed with "
        "http.open_without_token: true\n"
    )


def test_a_worker_without_the_file_of_its_tokens_does_not_start(tmp_path: Path) -> None:
    code, said = refusal(tmp_path, f"{{http: {{api_token_file: {tmp_path}/none}}}}")

    assert (code, said.count("\n")) == (2, 1)
    assert "http.api_token_file: cannot read the file that it names: No such file" in said
