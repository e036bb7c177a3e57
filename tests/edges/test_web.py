import asyncio
import gzip
import re
import zlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeVar

import orjson
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from dashboards import wallboard
from streams.web import create_web
from tests.support.fake_floor import FakeFloor, a_floor, a_queue, an_entry

Client = TestClient[web.Request, web.Application]
T = TypeVar("T")

PATHS = (
    *("/", "/queue", "/assets/wallboard.css", "/metrics", "/healthz", "/readyz"),
    *("/api/v1/floor", "/api/v1/floor/history", "/api/v1/queue", "/api/v1/formulas"),
)
STREAM = "/api/v1/floor/stream"
PATIENCE_S = 20


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        document: dict[str, Any] = orjson.loads(self.body)
        return document


def talk(
    floor: FakeFloor,
    conversation: Callable[[Client], Awaitable[T]],
    *,
    max_streams: int = 500,
    frame_every_s: float = 0.01,
    write_timeout_s: float = 10.0,
) -> T:
    """Run a conversation with the web of *floor*; bodies arrive as they were sent."""

    async def run() -> T:
        app = create_web(
            floor,
            max_streams=max_streams,
            frame_every_s=frame_every_s,
            write_timeout_s=write_timeout_s,
        )
        async with TestClient(TestServer(app), auto_decompress=False) as client:
            return await asyncio.wait_for(conversation(client), PATIENCE_S)

    return asyncio.run(run())


def ask(
    floor: FakeFloor, path: str, *, method: str = "GET", headers: dict[str, str] | None = None
) -> Reply:
    async def once(client: Client) -> Reply:
        async with client.request(
            method, path, headers={"Accept-Encoding": "identity"} | (headers or {})
        ) as response:
            if path == STREAM and method == "GET":
                return Reply(response.status, response.headers.copy(), b"")
            return Reply(response.status, response.headers.copy(), await response.read())

    return talk(floor, once)


def listen(client: Client, *, last_id: str = "", packed: bool = False) -> Any:
    """Open the stream, as a page that has the frame *last_id* does."""
    headers = {"Accept-Encoding": "gzip" if packed else "identity"}
    return client.get(STREAM, headers=headers | ({"Last-Event-ID": last_id} if last_id else {}))


async def read_event(response: ClientResponse, kind: str = "floor") -> dict[str, str]:
    """The next event of a kind, as its fields."""
    while True:
        block = (await response.content.readuntil(b"\n\n")).decode()
        fields = dict(line.split(": ", 1) for line in block.strip().split("\n"))
        if fields.get("event") == kind:
            return fields


def number_of(event: dict[str, str]) -> int:
    return int(event["id"].split("-")[1])


def two_queues() -> FakeFloor:
    return FakeFloor(
        a_floor(
            a_queue("sales", "voice"),
            a_queue("sales", "chat"),
            a_queue("help", "voice"),
            entries=[
                an_entry(queue, channel, window)
                for queue, channel in (("sales", "voice"), ("sales", "chat"), ("help", "voice"))
                for window in ("5m", "15m", "day")
            ],
        )
    )


def test_the_floor_is_served_whole_as_json() -> None:
    floor = two_queues()
    floor.stands_still = True

    reply = ask(floor, "/api/v1/floor")

    assert reply.headers["Content-Type"] == "application/json"
    assert reply.json == floor.floor()


def test_the_floor_can_be_asked_for_one_queue_and_channel_only() -> None:
    reply = ask(two_queues(), "/api/v1/floor?queue=sales&channel=chat")

    named = {(item["queue"], item["channel"]) for item in reply.json["queues"]}
    assert named == {("sales", "chat")}
    assert [entry["window"] for entry in reply.json["entries"]] == ["5m", "15m", "day"]
    assert {(e["queue"], e["channel"]) for e in reply.json["entries"]} == {("sales", "chat")}


def test_a_queue_that_nobody_knows_is_an_empty_floor_and_no_error() -> None:
    reply = ask(two_queues(), "/api/v1/floor?queue=nowhere")

    assert (reply.status, reply.json["queues"], reply.json["entries"]) == (200, [], [])


def test_one_queue_comes_with_what_stands_behind_its_figures() -> None:
    reply = ask(two_queues(), "/api/v1/queue?queue=sales&channel=chat")

    assert [(each["queue"], each["channel"]) for each in reply.json["queues"]] == [
        ("sales", "chat")
    ]
    assert [entry["window"] for entry in reply.json["entries"]] == ["5m", "15m", "day"]
    assert reply.json["detail"]["corrections_total"] == 3


@pytest.mark.parametrize("query", ["", "?queue=sales", "?queue=sales&channel=fax"])
def test_a_queue_that_is_not_named_whole_has_nothing_behind_it(query: str) -> None:
    reply = ask(two_queues(), f"/api/v1/queue{query}")

    assert (reply.status, reply.json["queues"], reply.json["detail"]) == (200, [], None)


def test_every_formula_is_told_with_what_it_means() -> None:
    formulas = orjson.loads(ask(FakeFloor(), "/api/v1/formulas").body)

    assert len(formulas) == 18
    assert formulas[0]["id"] == "strict"


def test_the_last_hour_is_told_and_is_empty_before_there_is_one() -> None:
    floor = two_queues()
    assert len(ask(floor, "/api/v1/floor/history").json["queues"]) == 3

    floor.past = b""
    assert ask(floor, "/api/v1/floor/history").json == {}


def test_a_document_that_has_changed_is_encoded_anew() -> None:
    floor = FakeFloor()

    async def twice(client: Client) -> list[str]:
        states = []
        for state in ("good", "trouble"):
            floor.document["queues"][0]["state"] = state
            async with client.get("/api/v1/floor") as response:
                body = gzip.decompress(await response.read())
                states.append(orjson.loads(body)["queues"][0]["state"])
        return states

    assert talk(floor, twice) == ["good", "trouble"]


@pytest.mark.parametrize("size", [5_000, 500_000])
def test_metrics_are_compressed_for_those_who_accept_it(size: int) -> None:
    floor = FakeFloor()
    floor.exposition = b"floorwatch_contacts_waiting 1\n" * (size // 30)

    reply = ask(floor, "/metrics", headers={"Accept-Encoding": "br, GZIP;q=0.5"})

    assert reply.headers["Content-Encoding"] == "gzip"
    assert reply.headers["Vary"] == "Accept-Encoding"
    assert gzip.decompress(reply.body) == floor.exposition


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "gzip; q=0.00", ""])
def test_metrics_are_plain_for_everybody_else(accepted: str) -> None:
    floor = FakeFloor()
    floor.exposition = b"floorwatch_contacts_waiting 1\n" * 1000

    reply = ask(floor, "/metrics", headers={"Accept-Encoding": accepted})

    assert "Content-Encoding" not in reply.headers
    assert reply.body == floor.exposition


def test_metrics_say_which_text_format_they_are() -> None:
    reply = ask(FakeFloor(), "/metrics")

    assert reply.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_health_is_bad_only_with_a_reason() -> None:
    floor = FakeFloor()
    assert ask(floor, "/healthz").status == 200

    floor.reason = "no tick for 60 s"
    reply = ask(floor, "/healthz")

    assert (reply.status, reply.json["reason"]) == (503, "no tick for 60 s")


def test_ready_comes_with_the_first_catch_up_and_stays() -> None:
    floor = FakeFloor()

    async def conversation(client: Client) -> list[int]:
        statuses = []
        for floor.ready in (False, True, False):
            async with client.get("/readyz") as response:
                statuses.append(response.status)
        return statuses

    assert talk(floor, conversation) == [503, 200, 200]


@pytest.mark.parametrize("path", [*PATHS, STREAM])
def test_head_answers_as_get_does_without_a_body(path: str) -> None:
    got = ask(FakeFloor(), path)
    head = ask(FakeFloor(), path, method="HEAD")

    assert (head.status, head.body) == (got.status, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize("path", [*PATHS, STREAM])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_nothing_can_be_written(method: str, path: str) -> None:
    reply = ask(FakeFloor(), path, method=method)

    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")
    assert reply.json["error"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path", ["/nowhere", "/assets/nothing.js", "/assets/..%2f__init__.py", "/assets/__init__.py"]
)
def test_an_unknown_path_is_said_in_json(path: str) -> None:
    reply = ask(FakeFloor(), path)

    assert (reply.status, reply.json["error"]) == (404, "not_found")


@pytest.mark.parametrize("path", [*PATHS, STREAM, "/nowhere"])
def test_every_answer_forbids_what_a_wall_does_not_need(path: str) -> None:
    headers = ask(FakeFloor(), path).headers

    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert {name for name, allowed in policy.items() if allowed == "'self'"} == {
        *("script-src", "style-src", "img-src", "connect-src")
    }
    assert {name for name, allowed in policy.items() if allowed == "'none'"} == {
        *("default-src", "base-uri", "form-action", "frame-ancestors", "trusted-types")
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Server"] == "floorwatch"


def test_an_asset_that_the_browser_has_is_not_sent_again() -> None:
    first = ask(FakeFloor(), "/assets/wallboard.js")
    again = ask(
        FakeFloor(), "/assets/wallboard.js", headers={"If-None-Match": first.headers["ETag"]}
    )
    other = ask(FakeFloor(), "/assets/wallboard.js", headers={"If-None-Match": '"older"'})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status, again.body) == (304, b"")
    assert (other.status, other.body) == (200, first.body)


@pytest.mark.parametrize("name", sorted(wallboard.load_assets()))
def test_no_file_of_the_wall_is_inline_or_from_elsewhere(name: str) -> None:
    text = wallboard.load_assets()[name].body.decode()

    assert not re.search(r"(https?:)?//(?!www\.w3\.org/)[\w.]+/", text)
    assert "innerHTML" not in text
    if name.endswith(".html"):
        assert not re.search(r"\s(style|on\w+)=|<style|<script(?![^>]* src=)", text)


def test_the_stream_sends_numbered_frames_of_the_floor() -> None:
    floor = FakeFloor()
    floor.stands_still = True

    async def conversation(client: Client) -> tuple[Any, list[dict[str, str]]]:
        async with listen(client) as response:
            return response.headers.copy(), [await read_event(response) for _ in range(3)]

    headers, events = talk(floor, conversation)

    assert headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert headers["X-Accel-Buffering"] == "no"
    runs, numbers = zip(*(event["id"].split("-") for event in events), strict=True)
    first = int(numbers[0])
    assert [int(number) for number in numbers] == [first, first + 1, first + 2]
    assert len(set(runs)) == 1
    assert orjson.loads(events[0]["data"]) == orjson.loads(floor.frame())


def test_the_stream_begins_with_when_to_come_back_and_the_edition_of_the_page() -> None:
    async def conversation(client: Client) -> bytes:
        async with listen(client) as response:
            block: bytes = await response.content.readuntil(b"\n\n")
            return block

    edition = wallboard.edition(wallboard.load_assets())
    assert talk(FakeFloor(), conversation) == (
        f"retry: 1000\nevent: edition\ndata: {edition}\n\n".encode()
    )


def test_a_newcomer_sees_the_last_frame_at_once() -> None:
    async def conversation(client: Client) -> int:
        async with listen(client) as response:
            return number_of(await read_event(response))

    assert talk(FakeFloor(), conversation, frame_every_s=3600) == 1


def events_of(stream: bytes) -> list[str]:
    return re.findall(r"event: (\w+)", stream.decode())


def heard_before_the_end(floor: FakeFloor, *, seconds_visit: bool, last_id: str = "") -> list[str]:
    """The events that a screen gets on arrival, the first time or when it comes back."""

    async def conversation() -> list[str]:
        server = TestServer(create_web(floor, frame_every_s=3600))
        async with TestClient(server) as client:
            async with listen(client) as response:
                newest = (await read_event(response))["id"]
            named = (last_id or newest) if seconds_visit else ""
            async with listen(client, last_id=named) as response:
                await response.content.readuntil(b"\n\n")
                await asyncio.wait_for(server.close(), PATIENCE_S)
                return events_of(await response.content.read())

    return asyncio.run(conversation())


def test_who_comes_back_with_the_newest_frame_is_not_sent_it_again() -> None:
    assert heard_before_the_end(FakeFloor(), seconds_visit=False) == ["history", "floor"]
    assert heard_before_the_end(FakeFloor(), seconds_visit=True) == ["history"]


@pytest.mark.parametrize("last_id", ["0", "abcdef01-1", "x" * 2_000, "\xff"])
def test_who_comes_back_with_any_other_frame_has_the_newest_at_once(last_id: str) -> None:
    heard = heard_before_the_end(FakeFloor(), seconds_visit=True, last_id=last_id)

    assert heard == ["history", "floor"]


def test_a_page_names_its_last_frame_in_the_address() -> None:
    async def conversation(client: Client) -> list[str]:
        async with listen(client) as response:
            newest = (await read_event(response))["id"]
        plain = {"Accept-Encoding": "identity"}
        async with client.get(f"{STREAM}?last_event_id={newest}", headers=plain) as response:
            await read_event(response, "history")
            await asyncio.sleep(0)
            return events_of(response.content.read_nowait())

    assert talk(FakeFloor(), conversation, frame_every_s=3600) == []


def test_the_last_hour_is_sent_on_arrival_and_again_only_when_it_is_new() -> None:
    floor = FakeFloor()

    async def conversation(client: Client) -> tuple[list[str], bytes]:
        async with listen(client) as response:
            first = await read_event(response, "history")
            heard = []
            for _ in range(3):
                block = await response.content.readuntil(b"\n\n")
                heard += events_of(block)
            floor.past = b'{"new":true}'
            newer = await read_event(response, "history")
        return [first["data"][:15], *heard], newer["data"].encode()

    told, newer = talk(floor, conversation)

    assert told == ['{"every_s":60,"', "floor", "floor", "floor"]
    assert newer == b'{"new":true}'


def test_a_compressed_stream_is_the_same_stream_for_whoever_comes_whenever() -> None:
    floor = two_queues()
    floor.stands_still = True

    async def frames(response: ClientResponse, n: int) -> list[Any]:
        unpack = zlib.decompressobj(wbits=31)
        text = b""
        while text.count(b"event: floor") < n + 1:
            text += unpack.decompress(await response.content.readany())
        return [orjson.loads(data) for data in re.findall(rb"event: floor\ndata: (.*)\n", text)]

    async def conversation(client: Client) -> list[list[Any]]:
        async with listen(client, packed=True) as first:
            assert first.headers["Content-Encoding"] == "gzip"
            early = await frames(first, 3)
            async with listen(client, packed=True) as second, listen(client) as plain:
                await read_event(plain)
                return [early, await frames(second, 3)]

    for seen in talk(floor, conversation):
        assert all(frame == orjson.loads(floor.frame()) for frame in seen)


def test_a_frame_is_encoded_once_for_all_screens() -> None:
    class Counting(FakeFloor):
        def frame(self) -> bytes:
            self.frames += 1
            return str(self.frames).encode()

    async def conversation(client: Client) -> list[dict[str, str]]:
        screens = [await listen(client) for _ in range(20)]
        events = [await read_event(screen) for _ in range(3) for screen in screens]
        for screen in screens:
            screen.close()
        return events

    events = talk(Counting(), conversation)

    assert all(int(event["data"]) == number_of(event) for event in events)


def test_a_screen_that_does_not_read_loses_the_oldest_frames_and_hurts_nobody() -> None:
    floor = FakeFloor()
    floor.document["name"] = "x" * 4_000_000

    async def next_id(response: ClientResponse) -> int:
        tail = b""
        while True:
            tail = tail[-64:] + await response.content.readany()
            found = re.search(rb"id: \w+-(\d+)\nevent: floor", tail)
            if found:
                return int(found[1])

    async def conversation(client: Client) -> tuple[list[int], list[int]]:
        async with listen(client) as slow, listen(client) as fast:
            ids_of_fast = [await next_id(fast) for _ in range(15)]
            ids_of_slow = [await next_id(slow) for _ in range(5)]
            return ids_of_fast, ids_of_slow

    fast, slow = talk(floor, conversation, frame_every_s=0.03)

    assert fast == sorted(set(fast))
    assert max(b - a for a, b in pairwise(slow)) > 1


def test_another_frame_is_sent_as_soon_as_it_is_there_and_the_same_one_only_later_again() -> None:
    floor = FakeFloor()

    async def conversation(client: Client) -> tuple[float, float]:
        loop = asyncio.get_running_loop()
        took = []
        async with listen(client) as response:
            await read_event(response)
            for is_new in (True, False):
                began = loop.time()
                for _ in range(6):
                    floor.number += is_new
                    await read_event(response)
                took.append(loop.time() - began)
        return took[0], took[1]

    with_news, without = talk(floor, conversation, frame_every_s=0.6)

    assert with_news < 0.75 * without


def test_a_screen_that_takes_nothing_is_cut_off_and_its_place_is_free() -> None:
    floor = FakeFloor()
    floor.document["name"] = "x" * 4_000_000

    async def conversation(client: Client) -> list[int]:
        statuses = []
        async with listen(client) as stuck:
            assert stuck.status == 200
            while 200 not in statuses:
                async with listen(client) as other:
                    statuses.append(other.status)
                await asyncio.sleep(0.05)
        return statuses

    statuses = talk(floor, conversation, max_streams=1, frame_every_s=0.05, write_timeout_s=0.3)

    assert statuses[0] == 503


def test_one_stream_too_many_is_told_to_come_back_later() -> None:
    async def conversation(client: Client) -> tuple[int, str, int]:
        async with listen(client) as first:
            await read_event(first)
            async with listen(client) as second:
                refused, retry_after = second.status, second.headers["Retry-After"]
        while True:
            async with listen(client) as third:
                if third.status == 200:
                    return refused, retry_after, third.status
            await asyncio.sleep(0.01)

    assert talk(FakeFloor(), conversation, max_streams=1) == (503, "30", 200)


def test_open_streams_do_not_hold_up_a_shutdown() -> None:
    async def conversation() -> bytes:
        server = TestServer(create_web(FakeFloor(), frame_every_s=3600))
        async with TestClient(server) as client, listen(client) as response:
            await read_event(response)
            await asyncio.wait_for(server.close(), PATIENCE_S)
            rest: bytes = await response.content.read()
            return rest

    assert asyncio.run(conversation()) == b""


def test_a_frame_that_fails_is_logged_and_the_next_one_comes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Stumbling(FakeFloor):
        def frame(self) -> bytes:
            frame = super().frame()
            if self.frames < 3:
                raise RuntimeError("stumbled")
            return frame

    async def conversation(client: Client) -> dict[str, str]:
        async with listen(client) as response:
            return await read_event(response)

    assert talk(Stumbling(), conversation)["event"] == "floor"
    assert "no frame for the live stream" in caplog.text


def test_an_answer_that_fails_is_an_error_without_its_inside(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(FakeFloor):
        def metrics(self) -> bytes:
            raise RuntimeError("secret inside")

    reply = ask(Broken(), "/metrics")

    assert (reply.status, reply.json["error"]) == (500, "internal")
    assert b"secret" not in reply.body
    assert "could not answer /metrics" in caplog.text
