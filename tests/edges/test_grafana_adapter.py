"""One call to Grafana: what is tried again, what is told, and that no secret ever is."""

from __future__ import annotations

import base64
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from grafana_api.grafana_api import GrafanaAPI

from dashboards.provision.adapter import (
    BadAddress,
    Grafana,
    GrafanaRefused,
    GrafanaUnreachable,
    NotGrafana,
    Patience,
    Tls,
    root_of,
)
from dashboards.provision.credentials import BadCredentials, Credentials, secret_of
from tests.support.fake_grafana import PAGE, PASSWORD, TOKEN, USER, FakeGrafana

FOLDER = "/api/folders/floorwatch"
BY_TOKEN = Credentials(token=TOKEN)
TLS_DATA = Path(__file__).parents[1] / "data" / "tls"


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with FakeGrafana() as running:
        running.folders["floorwatch"] = {"uid": "floorwatch", "title": "Floorwatch", "version": 1}
        yield running


class Waiting:
    """How long was waited, by a clock that takes no time."""

    def __init__(self, retries: int = 3, timeout_s: float = 30, chance: float = 1.0) -> None:
        self.pauses_s: list[float] = []
        self.patience = Patience(
            timeout_s=timeout_s,
            retries=retries,
            sleep=self.pauses_s.append,
            chance=lambda: chance,
        )


def get(
    at: FakeGrafana,
    waiting: Waiting | None = None,
    credentials: Credentials = BY_TOKEN,
    tls: Tls | None = None,
) -> Any:
    """The body of one call."""
    patience = (waiting or Waiting()).patience
    with Grafana(at.url, credentials, tls=tls, patience=patience) as client:
        return client.call("GET", FOLDER).body


# What grafana_api gets wrong


def test_grafana_api_itself_fails_on_an_answer_without_a_body(grafana: FakeGrafana) -> None:
    api = GrafanaAPI(TOKEN)
    api.url = grafana.url
    grafana.answer_next("DELETE", FOLDER, status=204)

    with pytest.raises(ValueError, match="Expecting value"):
        api.DELETE(FOLDER)
    api.s.close()


def test_an_answer_without_a_body_is_an_answer(grafana: FakeGrafana) -> None:
    grafana.answer_next("DELETE", FOLDER, status=204)

    with Grafana(grafana.url, BY_TOKEN) as client:
        assert client.call("DELETE", FOLDER) == (204, None)


def test_paths_outside_of_api_are_reached_too(grafana: FakeGrafana) -> None:
    path = "/apis/dashboard.grafana.app/v1/namespaces/default/dashboards"
    grafana.answer_next("GET", path, status=200, body={"items": []})

    with Grafana(grafana.url, BY_TOKEN) as client:
        assert client.call("GET", path).body == {"items": []}


def test_a_grafana_under_a_path_is_asked_under_it() -> None:
    with FakeGrafana(prefix="/grafana") as grafana:
        grafana.folders["floorwatch"] = {"uid": "floorwatch"}

        assert get(grafana) == {"uid": "floorwatch"}
        assert grafana.requests[0].path == f"/grafana{FOLDER}"


@pytest.mark.parametrize("body", [["no"], "message: no, and not in JSON", None, 7])
def test_an_error_that_is_no_object_is_told_like_any_other(grafana: FakeGrafana, body: Any) -> None:
    grafana.answer_next("GET", FOLDER, status=422, body=body)

    with pytest.raises(GrafanaRefused, match="Grafana answers 422"):
        get(grafana)


# What Grafana answers


@pytest.mark.parametrize(
    ("status", "would_do"),
    [
        (400, "it is not as this Grafana takes it"),
        (401, "give it one that holds"),
        (403, "give it the role Admin"),
        (404, "is this the address of a Grafana from 10 on, with its path?"),
        (409, "rename or remove that in Grafana"),
        (412, "look at it there, then try again"),
        (422, "it is not as this Grafana takes it"),
        (500, "Grafana itself has a fault; its log says which"),
    ],
)
def test_a_refusal_is_one_line_with_the_call_the_status_its_words_and_what_would_do(
    grafana: FakeGrafana, status: int, would_do: str
) -> None:
    waiting = Waiting()
    grafana.answer_next("GET", FOLDER, status=status, body={"message": "because\nof that"})

    with pytest.raises(GrafanaRefused) as refused:
        get(grafana, waiting)

    text = str(refused.value)
    assert text.startswith(f"GET {FOLDER}: Grafana answers {status} ('because of that'): ")
    assert text.endswith(would_do)
    assert "\n" not in text
    assert waiting.pauses_s == []


def test_a_page_in_place_of_an_error_is_told_by_its_title(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", FOLDER, status=500, body=PAGE)

    with pytest.raises(GrafanaRefused, match=r"Grafana answers 500 \('502 Bad Gateway'\): "):
        get(grafana)


def test_a_page_in_place_of_json_is_no_grafana(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", FOLDER, status=200, body="<title>Log in</title>")

    with pytest.raises(NotGrafana, match=r"answers with text/html \('Log in'\), not with JSON"):
        get(grafana)


def test_a_redirect_is_told_and_not_followed(grafana: FakeGrafana) -> None:
    grafana.answer_next(
        "GET", FOLDER, status=302, headers={"Location": "https://sso.example/login?token=abc"}
    )

    with pytest.raises(NotGrafana, match=r"sends on to 'https://sso.example/login' \(302\)"):
        get(grafana)
    assert len(grafana.requests) == 1


# What is tried again


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_pass_is_asked_again_after_growing_pauses(
    grafana: FakeGrafana, status: int
) -> None:
    waiting = Waiting()
    grafana.answer_next("GET", FOLDER, status=status, body=PAGE, times=3)

    assert get(grafana, waiting)["title"] == "Floorwatch"
    assert waiting.pauses_s == [0.5, 1.0, 2.0]


def test_chance_halves_a_pause_at_most_and_no_pause_is_longer_than_20_seconds() -> None:
    assert Waiting(chance=0.0).patience.pause_s(1, None) == 0.25
    assert Waiting(chance=1.0).patience.pause_s(19, None) == 20.0


@pytest.mark.parametrize(
    ("written", "pause_s"), [("7", 7.0), ("0", 0.5), ("3600", 20.0), ("Wed, 21 Oct", 0.5)]
)
def test_a_pause_that_is_asked_for_is_kept_within_reason(
    grafana: FakeGrafana, written: str, pause_s: float
) -> None:
    waiting = Waiting()
    grafana.answer_next("GET", FOLDER, status=429, headers={"Retry-After": written})

    get(grafana, waiting)

    assert waiting.pauses_s == [pause_s]


def test_it_is_given_up_in_the_end_with_what_was_said_last(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", FOLDER, status=503, body={"message": "starting"}, times=99)

    with pytest.raises(GrafanaUnreachable) as silent:
        get(grafana, Waiting(retries=2))

    assert str(silent.value) == (
        f"GET {FOLDER}: {grafana.url} answers 503 ('starting'), asked 3 times: try again when it "
        "is well"
    )


def test_a_connection_that_is_cut_is_made_again(grafana: FakeGrafana) -> None:
    waiting = Waiting()
    grafana.answer_next("GET", FOLDER, cut=True)

    assert get(grafana, waiting)["title"] == "Floorwatch"
    assert len(waiting.pauses_s) == 1


def test_a_connection_that_is_always_cut_is_told(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", FOLDER, cut=True, times=99)

    with pytest.raises(GrafanaUnreachable, match="asked once: the connection is cut before"):
        get(grafana, Waiting(retries=0))


def test_an_answer_that_takes_too_long_is_told_with_the_option_that_gives_it_longer(
    grafana: FakeGrafana,
) -> None:
    grafana.answer_next("GET", FOLDER, status=200, body={}, slow_s=5.0, times=99)

    with pytest.raises(
        GrafanaUnreachable, match=r"asked 2 times: no answer within 0\.2 s; --timeout gives it"
    ):
        get(grafana, Waiting(retries=1, timeout_s=0.2))


def test_where_nobody_listens_is_told() -> None:
    with FakeGrafana() as gone:
        url = gone.url
    with (
        Grafana(url, BY_TOKEN, patience=Waiting(retries=0).patience) as client,
        pytest.raises(GrafanaUnreachable, match="nobody listens there; start Grafana, or correct"),
    ):
        client.call("GET", FOLDER)


# Who asks


def test_a_token_and_a_user_log_in_each_in_its_own_way(grafana: FakeGrafana) -> None:
    get(grafana)
    get(grafana, credentials=Credentials(user=USER, password=PASSWORD))

    token, user = (each.headers["Authorization"] for each in grafana.requests)
    assert token == f"Bearer {TOKEN}"
    assert user == "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.mark.parametrize(
    "credentials", [BY_TOKEN, Credentials(user=USER, password=PASSWORD)], ids=["token", "user"]
)
@pytest.mark.parametrize("as_page", [False, True])
@pytest.mark.parametrize("status", [200, 302, 401, 500, 503])
def test_a_secret_that_comes_back_in_an_answer_is_not_told(
    grafana: FakeGrafana, credentials: Credentials, as_page: bool, status: int
) -> None:
    secrets = [TOKEN, PASSWORD, base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()]
    echoed = f"you sent {' '.join(secrets)}"
    body = f"<title>{echoed}</title>" if as_page or status == 200 else {"message": echoed}
    headers = {"Location": f"http://127.0.0.1/{' '.join(secrets)}"} if status == 302 else {}
    grafana.answer_next("GET", FOLDER, status=status, body=body, headers=headers, times=9)

    with pytest.raises((GrafanaRefused, GrafanaUnreachable, NotGrafana)) as told:
        get(grafana, credentials=credentials)

    mine = [TOKEN] if credentials.token else secrets[1:]
    assert not [secret for secret in mine if secret in str(told.value)]
    assert "***" in str(told.value)


def test_credentials_do_not_print_themselves() -> None:
    for credentials in (BY_TOKEN, Credentials(user=USER, password=PASSWORD)):
        for shown in (repr(credentials), str(credentials), f"{credentials}"):
            assert TOKEN not in shown
            assert PASSWORD not in shown


@pytest.mark.parametrize("token", ["", "two words", "line\nend", "ключ", "tab\t"])
def test_a_token_that_no_header_carries_is_refused_without_being_shown(token: str) -> None:
    with pytest.raises(BadCredentials, match="copy it anew") as refused:
        Credentials(token=token)

    assert not token or token not in str(refused.value)


@pytest.mark.parametrize(
    ("user", "password"), [("ops", ""), ("", "x"), ("a:b", "x"), (None, "x"), ("ops", None)]
)
def test_half_a_login_is_none(user: str | None, password: str | None) -> None:
    with pytest.raises(BadCredentials, match="is empty"):
        Credentials(user=user, password=password)


def test_a_secret_of_a_file_is_without_its_line_end() -> None:
    assert secret_of(b" abc\r\n") == "abc"
    with pytest.raises(BadCredentials, match="2 bytes that are no UTF-8 text"):
        secret_of(b"\xff\xfe")


@pytest.mark.parametrize("written", ["ümlaut", "пароль"])
def test_a_password_of_any_letters_is_sent_as_utf_8(grafana: FakeGrafana, written: str) -> None:
    with pytest.raises(GrafanaRefused, match="401"):
        get(grafana, credentials=Credentials(user="ops", password=written))

    sent = grafana.requests[0].headers["Authorization"].removeprefix("Basic ")
    assert base64.b64decode(sent).decode() == f"ops:{written}"


# Where


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://localhost:3000", "http://localhost:3000"),
        ("https://g.example/grafana/", "https://g.example/grafana"),
        ("http://[::1]:3000", "http://[::1]:3000"),
    ],
)
def test_the_root_of_an_address(url: str, root: str) -> None:
    assert root_of(url) == root


@pytest.mark.parametrize(
    "url", ["", "grafana", "grafana:3000", "ftp://x", "http://", "http://x:99999", "http://[::1"]
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(BadAddress, match="expected an address such as https://grafana"):
        root_of(url)


@pytest.mark.parametrize(
    "url", ["https://ops:hunter2@grafana.example", "ops:hunter2@grafana", "http:/o:hunter2@[::1"]
)
def test_an_address_with_a_password_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(BadAddress, match="leave them out, and set GRAFANA_TOKEN") as refused:
        root_of(url)

    assert "hunter2" not in str(refused.value)


def test_a_query_after_the_address_is_refused_and_not_shown() -> None:
    with pytest.raises(BadAddress, match=r"expected no \? or #") as refused:
        root_of("https://grafana.example/?auth_token=hunter2")

    assert "hunter2" not in str(refused.value)


# TLS


@pytest.fixture
def over_tls() -> Iterator[FakeGrafana]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS_DATA / "grafana.pem")
    with FakeGrafana(tls=context) as running:
        running.folders["floorwatch"] = {"uid": "floorwatch"}
        yield running


def test_a_certificate_is_trusted_by_its_authority(over_tls: FakeGrafana) -> None:
    tls = Tls(ca_file=str(TLS_DATA / "authority.pem"))

    assert get(over_tls, tls=tls) == {"uid": "floorwatch"}


def test_a_certificate_of_an_unknown_authority_is_refused_at_once(over_tls: FakeGrafana) -> None:
    waiting = Waiting()

    with pytest.raises(
        GrafanaUnreachable, match=r"no TLS with it: .*certificate.*; --ca-file names the authority"
    ):
        get(over_tls, waiting)
    assert waiting.pauses_s == []


def test_any_certificate_is_taken_only_where_that_is_said(over_tls: FakeGrafana) -> None:
    assert get(over_tls, tls=Tls(insecure=True)) == {"uid": "floorwatch"}


def test_a_certificate_of_ones_own_is_shown_where_it_is_asked_for() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS_DATA / "grafana.pem")
    context.load_verify_locations(TLS_DATA / "authority.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    ca_file = str(TLS_DATA / "authority.pem")
    with FakeGrafana(tls=context) as grafana:
        grafana.folders["floorwatch"] = {"uid": "floorwatch"}
        shown = Tls(
            ca_file=ca_file,
            cert_file=str(TLS_DATA / "client.pem"),
            key_file=str(TLS_DATA / "client.key"),
        )

        assert get(grafana, tls=shown) == {"uid": "floorwatch"}
        with pytest.raises(GrafanaUnreachable):
            get(grafana, Waiting(retries=0), tls=Tls(ca_file=ca_file))


def test_a_file_that_holds_no_certificate_is_told(over_tls: FakeGrafana, tmp_path: Path) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")

    with pytest.raises(GrafanaUnreachable, match="no TLS with it"):
        get(over_tls, Waiting(retries=0), tls=Tls(ca_file=str(empty)))
    with pytest.raises(GrafanaUnreachable, match="no TLS with it"):
        get(over_tls, Waiting(retries=0), tls=Tls(insecure=True, cert_file=str(empty)))
