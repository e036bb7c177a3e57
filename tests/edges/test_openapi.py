"""The OpenAPI document says what the web answers; a running worker is held to it end to end."""

import http.client
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from streams import openapi
from streams.core.document import Documents, wall_document
from streams.core.floor import FloorMerger
from streams.core.queue_detail import queue_detail
from streams.web import RULES
from streams.web_access import Surface
from tests.support.api_answers import DOCUMENT, answer_problems, schema_problems
from tests.support.core_floor import CoreFloor, frame_of
from tests.support.fake_floor import FakeFloor, WebServer, serving
from tests.support.histories import WAS, History, histories, permuted
from tests.support.oracle_policy import Policy
from tests.support.tokens import API, METRICS, with_tokens

PATIENCE_S = 60
KEPT_OUT = DOCUMENT["components"]["schemas"]["KeptOut"]["required"]


def described() -> dict[str, dict[str, Any]]:
    """Each path with what is said of GET."""
    return {path: methods["get"] for path, methods in DOCUMENT["paths"].items()}


def test_the_committed_document_is_what_would_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert openapi.main(["--check"]) == 0

    monkeypatch.setattr(openapi, "COMMITTED", tmp_path / "openapi.json")
    assert openapi.main(["--check"]) == 1
    assert openapi.main([]) == 0
    assert openapi.main(["--check"]) == 0
    (tmp_path / "openapi.json").write_text("{}")
    assert openapi.main(["--check"]) == 1
    assert capsys.readouterr().err.count("\n") == 2


def test_every_path_but_the_pages_of_the_wall_is_described() -> None:
    paths = {path for path, rule in RULES.items() if rule.surface is not Surface.WALL}

    assert described().keys() == paths


def test_it_says_which_token_opens_what() -> None:
    names = {Surface.API: "api_token", Surface.METRICS: "metrics_token"}
    for path, operation in described().items():
        rule = RULES[path]
        expected = {names[rule.surface]} if rule.surface else set()
        if rule.is_of_wall:
            expected |= {"wall_token", "wall_cookie"}
        assert {name for each in operation["security"] for name in each} == expected, path
        assert ("401" in operation["responses"]) == bool(expected), path


def test_every_schema_is_one_and_says_what_each_field_means() -> None:
    for name, schema in DOCUMENT["components"]["schemas"].items():
        Draft202012Validator.check_schema(schema)
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == schema["properties"].keys(), name
        for field, described_field in schema["properties"].items():
            assert described_field["description"].endswith("."), f"{name}.{field}"


def ask(server: WebServer, path: str, token: str = "", body: str | None = None) -> list[str]:
    """What is wrong with an answer to GET."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
    connection.request("GET", path, body=body, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    try:
        is_stream = answer.headers.get_content_type() == "text/event-stream"
        taken = b"" if is_stream else answer.read()
        return answer_problems(path, answer.status, answer.headers["Content-Type"], taken)
    finally:
        connection.close()


def test_whatever_the_web_itself_says_is_described(tmp_path: Path) -> None:
    floor = FakeFloor()
    floor.past = b""
    with serving(floor, http=with_tokens(tmp_path)) as server:
        for path, rule in RULES.items():
            if rule.surface is Surface.WALL:
                continue
            if path not in {"/api/v1/floor", "/api/v1/queue"}:  # what a test wrote, not the core
                assert ask(server, path, METRICS if rule.surface is Surface.METRICS else API) == []
            if rule.surface is not None:
                assert ask(server, path) == []
            assert ask(server, path, body="x") == []
        floor.reason, floor.ready = "stuck", False
        assert ask(server, "/healthz") == []
    with serving(floor) as server:
        assert ask(server, "/readyz") == []


def test_a_document_that_says_something_else_is_found() -> None:
    formulas = orjson.dumps([{"id": "strict", "rule": "", "used_by": "", "moment": "then"}])
    as_json = "application/json"

    assert answer_problems("/api/v1/formulas", 200, as_json, formulas)
    assert answer_problems("/api/v1/formulas", 200, "text/html", b"")
    assert answer_problems("/api/v1/formulas", 500, as_json, b"{}")
    assert schema_problems("Partial", {"share": 1.5, "since_ms": None})
    assert schema_problems("Partial", {"share": 0.5, "since_ms": None, "more": 1})
    assert not schema_problems("Partial", {"share": 0.5, "since_ms": None})


@settings(max_examples=settings().max_examples // 10)
@given(
    histories().map(lambda history: replace(history, policy=Policy(zone=history.zone, was=WAS))),
    st.data(),
)
def test_the_documents_of_any_history_are_as_described(
    history: History, data: st.DataObject
) -> None:
    core = CoreFloor(history.policy)
    core.take(permuted(data.draw, history))
    now_ms = -(-core.partitions[0].arrival_ms // 5_000) * 5_000
    core.advance(now_ms)
    frames = [frame_of(each, now_ms) for each in core.partitions]
    floor = FloorMerger(core.book).merge(frames, now_ms)
    documents = Documents(core.book, name="floorwatch", clock="event")
    documents.history.take(floor)

    whole = documents.document(floor, ready=True)

    assert schema_problems("Floor", whole) == []
    assert schema_problems("WallFloor", wall_document(whole)) == []
    assert schema_problems("History", documents.history.document()) == []
    nothing = dict.fromkeys(KEPT_OUT, 0)
    for queue in floor.queues.values():
        detail = {**queue_detail(queue, floor, core.book), "worker": nothing}
        assert schema_problems("Detail", detail) == []
