"""The one place that knows `grafana_api`, and repairs what it gets wrong.

`grafana_api` 1.0.3 fails on an empty body (so every 204 looks like a fault), on error pages and on
JSON that is no object, reaches nothing but `/api`, follows redirects with another method, takes any
misspelt verb for a request, and tries once. What is read of an answer is therefore read here.
"""

from __future__ import annotations

import contextlib
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from random import random
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import urlsplit

import orjson
import requests
from grafana_api.grafana_api import GrafanaAPI, GrafanaException
from urllib3.exceptions import InsecureRequestWarning

from dashboards.provision.credentials import Credentials

Method = Literal["GET", "POST", "PUT", "DELETE"]

AGAIN: Final = frozenset({429, 502, 503, 504})
"""What may be otherwise in a moment."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 20.0
_SHOWN: Final = 200

_TITLE: Final = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_UNTRUSTED: Final = re.compile(r"certificate verify failed: ([^(\]']+)")

_WHAT_WOULD_DO: Final = {
    400: "it is not as this Grafana takes it",
    401: "it does not know this token or password; give it one that holds",
    403: "the account may not do this; give it the role Admin",
    404: "there is no such thing; is this the address of a Grafana from 10 on, with its path?",
    409: "something is in its place; rename or remove that in Grafana",
    412: "something is in its place, or has just been changed; look at it there, then try again",
    422: "it is not as this Grafana takes it",
}


class GrafanaUnreachable(Exception):
    """No answer, or none that can be used, however often it was asked."""


class NotGrafana(Exception):
    """Something else answers at the address."""


class GrafanaRefused(Exception):
    """Grafana answers that it will not.

    Attributes:
        status: of the answer.
        said: what Grafana says about it, in its own words, "" for nothing.
    """

    def __init__(self, status: int, said: str, asked: str) -> None:
        hint = _WHAT_WOULD_DO.get(status, "Grafana itself has a fault; its log says which")
        quoted = f" ({said!r})" if said else ""
        super().__init__(f"{asked}: Grafana answers {status}{quoted}: {hint}")
        self.status = status
        self.said = said


class BadAddress(Exception):
    """The address is none that can be asked; the message holds no password of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How the other side of `https` is trusted, and how this side shows who it is.

    Attributes:
        ca_file: the authority that signed Grafana's certificate; None for those of the system.
        cert_file: this side's own certificate, with its key unless *key_file* has it.
        insecure: take any certificate for Grafana's.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long and how often is asked.

    Attributes:
        timeout_s: of silence, then the answer is given up.
        retries: after the first time.
        sleep: waits so many seconds.
        chance: from 0 to 1; spreads those who were refused together.
    """

    timeout_s: float = 10.0
    retries: int = 4
    sleep: Callable[[float], None] = time.sleep
    chance: Callable[[], float] = random

    def pause_s(self, tries: int, asked_s: float | None) -> float:
        """Seconds to wait after *tries* times; *asked_s* is what the other side asks for."""
        longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (tries - 1))
        own = longest * (0.5 + self.chance() / 2)
        return own if asked_s is None else max(own, min(asked_s, LONGEST_PAUSE_S))


class Answer(NamedTuple):
    """What Grafana said.

    Attributes:
        body: its JSON; None where there was none.
    """

    status: int
    body: Any


class _Session(requests.Session):
    """Keeps the answer that `grafana_api` was given, and goes nowhere else for it."""

    answer: requests.Response | None = None

    def send(self, request: requests.PreparedRequest, **extra: Any) -> requests.Response:  # noqa: ANN401 # requests' signature
        self.answer = None
        extra["allow_redirects"] = False  # a POST would arrive as a GET
        self.answer = super().send(request, **extra)
        return self.answer


class Grafana:
    """Grafana's HTTP API, one call at a time; a context manager that closes its connections.

    Args:
        url: with the path under which Grafana is served, if any.
        credentials: who asks.

    Raises:
        BadAddress: *url* is none.
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials,
        *,
        tls: Tls | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.url: Final = root_of(url)
        tls = tls or Tls()
        self._credentials = credentials
        self._patience = patience or Patience()
        self._insecure = tls.insecure
        self._session = _Session()
        if tls.cert_file is not None:
            self._session.cert = (tls.cert_file, tls.key_file) if tls.key_file else tls.cert_file
        login = (
            credentials.token
            if credentials.token is not None
            else ((credentials.user or "").encode(), (credentials.password or "").encode())
        )
        verify = False if tls.insecure else (tls.ca_file or True)
        self._api = GrafanaAPI(login, verify=verify, timeout=self._patience.timeout_s)
        self._api.s = self._session
        self._api.url = self.url  # it knows no other beginning than /api

    def __enter__(self) -> Grafana:
        """Nothing is asked yet."""
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Close its connections."""
        self._session.close()

    def call(
        self,
        method: Method,
        path: str,
        body: object = None,
        *,
        headers: dict[str, str] | None = None,
        but: frozenset[int] = frozenset(),
    ) -> Answer:
        """Ask for *path*, again after a pause where that may help.

        Whoever calls must be able to bear that a request arrives twice: an answer can be lost
        after the work is done.

        Args:
            method: as HTTP has it.
            path: from the root of Grafana, as `/api/folders`.
            body: sent as JSON; None for no body.
            headers: beside those that every request has.
            but: statuses from 400 on that are an answer like any other.

        Raises:
            GrafanaUnreachable: no answer, or 429, 502, 503, 504 to the last.
            GrafanaRefused: any other status from 400 on that is not in *but*.
            NotGrafana: a redirect, or a page where JSON should be.
        """
        asked = f"{method} {path.partition('?')[0]}"
        tries = 0
        while True:
            tries += 1
            asked_s: float | None = None
            try:
                response = self._send(method, path, body, headers)
            except requests.RequestException as silent:
                wrong = self._unreachable(silent, tries)
                if isinstance(silent, requests.exceptions.SSLError):
                    raise wrong from None
            else:
                if response.status_code not in AGAIN or response.status_code in but:
                    return self._read(response, asked, but)
                wrong = GrafanaUnreachable(
                    f"{asked}: {self.url} answers {response.status_code}"
                    f"{self._quoted(response)}, {_times(tries)}: try again when it is well"
                )
                asked_s = _seconds(response.headers.get("Retry-After", ""))
            if tries > self._patience.retries:
                raise wrong from None
            self._patience.sleep(self._patience.pause_s(tries, asked_s))

    def hide(self, text: str) -> str:
        """*text* without the secret, should somebody have put it there."""
        return self._credentials.hide(text)

    def _send(
        self, method: Method, path: str, body: object, headers: dict[str, str] | None
    ) -> requests.Response:
        """What comes back, whatever `grafana_api` makes of it."""
        with warnings.catch_warnings():
            if self._insecure:  # it was asked for, and is said once by the command
                warnings.simplefilter("ignore", InsecureRequestWarning)
            # These are what its own reading of an answer ends in: errors, no body, pages, lists.
            with contextlib.suppress(GrafanaException, requests.JSONDecodeError, TypeError):
                getattr(self._api, method)(path, json=body, headers=headers)
        if self._session.answer is None:
            raise AssertionError(f"{method} {path} was not sent")
        return self._session.answer

    def _read(self, response: requests.Response, asked: str, but: frozenset[int]) -> Answer:
        status = response.status_code
        if 300 <= status < 400:
            there = self.hide(response.headers.get("Location", "").partition("?")[0])
            raise NotGrafana(
                f"{asked}: {self.url} sends on to {there!r} ({status}); name the address of "
                "Grafana itself, with its path and https or http"
            )
        if status >= 400 and status not in but:
            raise GrafanaRefused(status, self._said(response), asked)
        if not response.content:
            return Answer(status, None)
        try:
            return Answer(status, orjson.loads(response.content))
        except orjson.JSONDecodeError:
            if status in but:
                return Answer(status, None)
            kind = response.headers.get("Content-Type", "something").partition(";")[0]
            raise NotGrafana(
                f"{asked}: {self.url} answers with {kind}{self._quoted(response)}, not with JSON; "
                "name the address of Grafana itself, with its path"
            ) from None

    def _said(self, response: requests.Response) -> str:
        """What the answer says in words: Grafana's message, or the title of a page."""
        try:
            body = orjson.loads(response.content)
        except orjson.JSONDecodeError:
            title = _TITLE.search(response.text)
            text = title[1] if title else ("" if "<" in response.text else response.text)
        else:
            text = str(body.get("message") or "") if isinstance(body, dict) else str(body or "")
        text = self.hide(" ".join(text.split()))
        return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."

    def _quoted(self, response: requests.Response) -> str:
        said = self._said(response)
        return f" ({said!r})" if said else ""

    def _unreachable(self, silent: Exception, tries: int) -> GrafanaUnreachable:
        if isinstance(silent, requests.exceptions.SSLError):
            reason = _UNTRUSTED.search(str(silent))
            told = reason[1].strip() if reason else "the two sides find no common ground"
            return GrafanaUnreachable(
                f"{self.url}: no TLS with it: {told}; --ca-file names the authority that signed "
                "its certificate, --client-cert shows who you are, --insecure trusts anybody"
            )
        if isinstance(silent, requests.exceptions.ReadTimeout):
            told = f"no answer within {self._patience.timeout_s:g} s; --timeout gives it longer"
        elif isinstance(silent, requests.exceptions.ConnectTimeout):
            told = f"no connection within {self._patience.timeout_s:g} s; is it the right address?"
        elif isinstance(silent, requests.exceptions.ProxyError):
            told = "the proxy of HTTP_PROXY or HTTPS_PROXY does not reach it"
        elif "refused" in str(silent):
            told = "nobody listens there; start Grafana, or correct the address"
        elif "resolve" in str(silent) or "getaddrinfo" in str(silent):
            told = "there is no such host; correct the address"
        else:
            told = "the connection is cut before the answer is whole"
        return GrafanaUnreachable(f"{self.url}, {_times(tries)}: {told}")


def root_of(url: str) -> str:
    """*url* without what follows its path; the root of all calls.

    Raises:
        BadAddress: it is no `http` or `https` address, or holds a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if "@" in url:  # anywhere: without its scheme, a password is in what looks like the path
        raise BadAddress(
            "an address with a user or password in it: leave them out, and set GRAFANA_TOKEN or "
            "GRAFANA_USER and GRAFANA_PASSWORD"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise BadAddress(f"{url!r}: expected an address such as https://grafana.example:3000")
    if parts.query or parts.fragment:
        raise BadAddress(
            f"{url.partition('?')[0].partition('#')[0]!r}: expected no ? or # after it"
        )
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _seconds(written: str) -> float | None:
    """Seconds of a `Retry-After`; None for a date, which needs the other side's clock."""
    return float(written) if written.isascii() and written.isdecimal() else None


def _times(tries: int) -> str:
    return "asked once" if tries == 1 else f"asked {tries} times"
