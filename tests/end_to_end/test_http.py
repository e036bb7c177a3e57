"""The one port of a real worker: what it answers, what it withstands, and over TLS in a browser."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from playwright.sync_api import expect

from streams.local_kafka import LocalKafka
from streams.openapi import COMMITTED
from streams.web import RULES
from streams.web_access import Surface
from tests.support.api_answers import answer_problems, schema_problems
from tests.support.chromium import chromium
from tests.support.http_fuzz import PRIVATE, a_worker_with_calls, fuzz
from tests.support.running import RunningWorker
from tests.support.tokens import API, METRICS, WALL, fingerprint, signed_certificate

PATIENCE_S = 180
PATIENCE_MS = 90_000
NEEDS = {Surface.API: API, Surface.METRICS: METRICS}
STREAM = "/api/v1/floor/stream"


@pytest.fixture(scope="module")
def worker(kafka: LocalKafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningWorker]:
    """A worker with a few calls and a token for each surface."""
    settings = {"name": "http-answers", "bootstrap": kafka.bootstrap}
    with a_worker_with_calls(tmp_path_factory.mktemp("worker"), settings) as running:
        yield running


def test_every_answer_of_a_running_worker_is_as_described(worker: RunningWorker) -> None:
    for path, rule in RULES.items():
        if rule.surface is Surface.WALL or path == STREAM:
            continue
        token = NEEDS.get(rule.surface, "") if rule.surface else ""
        for sent in (token, "wrong"):
            for query in ("", "?queue=sales&channel=voice", "?queue=sales", "?channel=&x=%FF"):
                answer = worker.get(path + query, Authorization=f"Bearer {sent}")
                expected = 200 if sent == token or rule.surface is None else 401
                assert answer.status == expected, path
                told = answer.headers["Content-Type"]
                assert answer_problems(path, answer.status, told, answer.body) == []
                assert PRIVATE.encode() not in answer.body


def test_the_stream_of_a_running_worker_is_as_described(worker: RunningWorker) -> None:
    def frame_with_calls() -> bytes | None:
        """A frame may be a second older than the floor that was asked for."""
        told = worker.first_frame(Authorization=f"Bearer {API}").split(b"data: ")[-1]
        return told if b'"sales"' in told else None

    frame = orjson.loads(worker.wait_until(frame_with_calls, "a frame had the calls"))

    assert schema_problems("WallFloor", frame) == []
    assert [queue["queue"] for queue in frame["queues"]] == ["sales"]


def test_requests_made_from_the_document_find_nothing_else_than_it_says(
    worker: RunningWorker, tmp_path: Path
) -> None:
    """Schemathesis: types, sizes, encodings, methods, missing and unknown parameters."""
    ended = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("schemathesis")), "run"),
            *(str(COMMITTED), f"--url={worker.url}"),
            *("--header", f"Authorization: Bearer {API}", f"--exclude-path={STREAM}"),
            *("--max-examples=20", "--seed=1", "--no-color"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-5_000:]
    assert "Tested: 8" in ended.stdout, ended.stdout


def test_thousands_of_broken_requests_leave_a_worker_as_it_was(worker: RunningWorker) -> None:
    outcome, wrong = fuzz(worker, 3_000, seed=7)

    assert wrong == ""
    assert outcome.sent == 3_000
    assert {200, 303, 400, 401, 404, 405, 413, 417} <= outcome.statuses.keys()


def test_a_wall_over_tls_shows_the_calls_and_its_token_is_in_no_log(
    kafka: LocalKafka, unique: str, tmp_path: Path
) -> None:
    own = signed_certificate(tmp_path)
    tls = {"certificate_file": str(own.certificate), "key_file": str(own.key)}
    trust = f"--ignore-certificate-errors-spki-list={fingerprint(own.certificate)}"
    settings = {"name": unique, "bootstrap": kafka.bootstrap}
    with a_worker_with_calls(tmp_path, settings, **tls) as worker, chromium(trust) as browser:
        page = browser.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.set_default_timeout(PATIENCE_MS)
        page.goto(f"{worker.url}/?token={WALL}&lang=en")
        expect(page.locator(".tile h2")).to_have_text("sales", timeout=PATIENCE_MS)
        begin = page.locator("#as-of").text_content() or ""
        expect(page.locator("#as-of")).not_to_have_text(begin, timeout=PATIENCE_MS)
        expect(page.locator("#alarm")).to_be_hidden()
        [cookie] = page.context.cookies()
        address, heard = page.url, list(complaints)
        page.goto(f"{worker.url}/?token=wrong-{WALL}")
        page.context.clear_cookies()
        page.goto(f"{worker.url}/?token=wrong-{WALL}")
        said = page.locator("h1").text_content()
        log = worker.log()

    assert address == f"{worker.url}/?lang=en"
    assert (cookie["name"], cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (
        *(f"floorwatch_wall_{unique}", True, True, "Strict"),
    )
    assert said == "This wallboard needs a token"
    assert not {token for token in (WALL, API, METRICS, cookie["value"]) if token in log}
    assert "Traceback" not in log
    assert heard == []
