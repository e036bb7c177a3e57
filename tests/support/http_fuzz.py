"""Requests that are almost right, thrown at a real worker's port, and what that did to it.

`python -m tests.support.http_fuzz` starts a Kafka and a worker and throws 100,000 of them.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import socket
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from streams.local_kafka import LocalKafka
from tests.support.live_calls import answered, now_ms
from tests.support.running import Feed, RunningWorker, settings_file
from tests.support.tokens import API, METRICS, WALL, token_files

AT_A_TIME: Final = 32
FIRST_ANSWER_S: Final = 0.15
REST_OF_ANSWER_S: Final = 0.02
WARM_UP: Final = 0.1
"""Share of the requests after which memory is taken as settled."""

PRIVATE: Final = "private-contact"
"""Begins the id of every contact and event of the worker."""

ALLOWED_GROWTH_BYTES: Final = 24 * 1024 * 1024
ALLOWED_FILES: Final = 8

_PATHS: Final = (
    *("/", "/queue?queue=sales&channel=voice", f"/?token={WALL}", "/assets/wallboard.js"),
    *("/api/v1/floor", "/api/v1/floor?queue=sales&channel=voice", "/api/v1/queue?queue=sales"),
    *("/api/v1/floor/history", "/api/v1/formulas", "/api/v1/openapi.json", "/api/v1/nothing"),
    *("/api/v1/floor/stream?last_event_id=1", "/metrics", "/healthz", "/nowhere"),
)
_HEADERS: Final = (
    *(f"Authorization: Bearer {token}" for token in (WALL, API, METRICS, "wrong")),
    *("Accept-Encoding: gzip", "Accept-Encoding: br;q=1, gzip;q=0.5", "If-None-Match: *"),
    *("Connection: close", "Connection: keep-alive, upgrade", "Upgrade: websocket", "Range: 0-9"),
    *("Content-Length: 5", "Content-Length: 99999999999999999999", "Content-Length: -1"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Expect: 100-continue"),
    *("Expect: anything", "Cookie: floorwatch_wall_floorwatch=x; a=b; ;=", "Cookie: a"),
    *("Last-Event-ID: 12345678-1", "X-Forwarded-Proto: https", "Sec-Fetch-Site: cross-site"),
    *("Content-Encoding: deflate", "Sec-WebSocket-Key: x", f"X-Long: {'x' * 9_000}"),
)
_PIECES: Final = (
    *(b"\r\n", b"\n", b"\r", b"\x00", b"\xff\xfe", b"%00", b"%2e%2e%2f", b"../", b"%", b"&" * 500),
    *(b"?token=", b"token=%FF", b"%c3%28", b";", b" ", b"\t", b":", b"HTTP/2.0", b"HTTP/0.9"),
    *("\u202e\U0001f4de".encode(), b"5\r\nhello\r\n0\r\n\r\n", b"0" * 300, b"{{7*7}}", b"<script>"),
    *(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\x16\x03\x01\x02\x00", b"http://elsewhere/"),
)
_STATUS: Final = re.compile(rb"^HTTP/1\.[01] (\d{3}) ", re.MULTILINE)
_PRIVATE: Final = re.compile(PRIVATE.encode())
_SERVER_ERROR: Final = re.compile(rb"HTTP/1\.[01] 5\d\d [^\r]*\r\n")


def almost_a_request(rng: random.Random) -> bytes:
    """One to three requests with up to five things wrong in all."""
    made = b"".join(_request(rng) for _ in range(rng.choice((1, 1, 1, 2, 3))))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 2, 3, 5))):
        made = _spoiled(made, rng)
    return made[:20_000]


def _request(rng: random.Random) -> bytes:
    methods = (*("GET",) * 12, "HEAD", "HEAD", "POST", "OPTIONS", "CONNECT", "PUT", "get", "TRACE")
    headers = ["Host: wall", *rng.sample(_HEADERS, rng.randrange(4))]
    lines = [f"{rng.choice(methods)} {rng.choice(_PATHS)} HTTP/1.1", *headers, "", ""]
    return "\r\n".join(lines).encode()


def _spoiled(made: bytes, rng: random.Random) -> bytes:
    begin = rng.randrange(len(made) + 1)
    end = min(len(made), begin + rng.randrange(1, 30))
    kind = rng.randrange(6)
    if kind == 0:
        return made[:begin] + rng.randbytes(rng.randrange(1, 6)) + made[end:]
    if kind == 1:
        return made[:begin] + made[end:]
    if kind == 2:
        return made[:end] + made[begin:]
    if kind == 3:
        return made[:begin]
    return made[:begin] + rng.choice(_PIECES) + made[begin if kind == 4 else end :]


@dataclass
class Outcome:
    """What came of all requests.

    Attributes:
        sent: how many.
        statuses: of the first answer to each; 0 where none came.
        failures: the first few that had a 5xx answer or one with a contact in it, and that answer.
    """

    sent: int = 0
    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[bytes, bytes]] = field(default_factory=list)


async def _throw(port: int, made: bytes) -> bytes:
    """What comes back within a moment."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard = b""
    try:
        # Away with it at the end: tens of thousands of closed connections would keep all ports.
        gone = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, gone)
        writer.write(made)
        patience_s = FIRST_ANSWER_S
        with contextlib.suppress(TimeoutError, ConnectionError):
            while piece := await asyncio.wait_for(reader.read(65_536), patience_s):
                heard += piece
                patience_s = REST_OF_ANSWER_S
                if b"event: floor" in heard:
                    break
    finally:
        writer.transport.abort()
    return heard


async def throw(port: int, requests: Iterator[bytes], outcome: Outcome) -> None:
    """Throw *requests*, some at a time."""

    async def one_after_another() -> None:
        for made in requests:
            heard = await _throw(port, made)
            first = _STATUS.match(heard)
            outcome.sent += 1
            outcome.statuses[int(first[1]) if first else 0] += 1
            failed = _SERVER_ERROR.search(heard) or _PRIVATE.search(heard)
            if failed and len(outcome.failures) < 20:
                outcome.failures.append((made, heard[failed.start() :][:300]))

    await asyncio.gather(*(one_after_another() for _ in range(AT_A_TIME)))


def fuzz(worker: RunningWorker, count: int, seed: int) -> tuple[Outcome, str]:
    """Throw *count* requests; what came of them, and what is wrong with the worker, "" if nothing.

    Raises:
        AssertionError: the worker does not answer any more.
    """
    rng = random.Random(seed)
    outcome = Outcome()

    def some(share: float) -> None:
        requests = iter([almost_a_request(rng) for _ in range(round(count * share))])
        asyncio.run(throw(worker.port, requests, outcome))

    some(WARM_UP)
    files, resident = settled(worker)
    course = [resident]
    for _ in range(9):
        some((1 - WARM_UP) / 9)
        course.append(worker.resident_bytes())
    files_after, resident_after = settled(worker)
    told = ", ".join(f"{each / 2**20:.1f}" for each in (*course, resident_after))
    print(f"resident MiB: {told}; open files {files} -> {files_after}", flush=True)
    wrong = [f"{made!r} -> {answer!r}" for made, answer in outcome.failures]
    if files_after > files + ALLOWED_FILES:
        wrong.append(f"open files: {files} and then {files_after}")
    if resident_after > resident + ALLOWED_GROWTH_BYTES:
        wrong.append(f"memory: {resident} and then {resident_after} bytes")
    if worker.get("/healthz").status != 200:
        wrong.append("it is not healthy any more")
    log = worker.log()
    wrong += [
        f"in the log: {log[log.index(word) :][:3_000]}"
        for word in ("Traceback", "ERROR", WALL, API, METRICS, PRIVATE)
        if word in log
    ]
    return outcome, "\n".join(wrong)


def settled(worker: RunningWorker) -> tuple[int, int]:
    """Open files and memory, once nothing is left of the connections that were thrown away."""
    files: list[int] = []

    def stands_still() -> bool:
        time.sleep(0.5)
        files.append(worker.open_files())
        return len(files) > 3 and len(set(files[-4:])) == 1

    worker.wait_until(stands_still, "its connections were gone")
    return files[-1], worker.resident_bytes()


@contextlib.contextmanager
def a_worker_with_calls(
    folder: Path, settings: Mapping[str, Any], **http: object
) -> Iterator[RunningWorker]:
    """A worker with a token for each surface that shows a few calls of now."""
    told = {**settings, "http": {**token_files(folder), **http}}
    with Feed(settings_file(folder, settings)) as feed:
        feed.send(answered(PRIVATE, 20, now_ms() - 60_000))
    authority = http.get("certificate_file")
    trusted = None if authority is None else Path(str(authority).replace(".crt", "-ca.crt"))
    with RunningWorker(folder, told, authority=trusted) as worker:
        worker.wait_until(lambda: worker.get("/readyz").status == 200, "it was ready")
        bearer = f"Bearer {API}"
        worker.wait_until(
            lambda: b'"sales"' in worker.get("/api/v1/floor", Authorization=bearer).body,
            "the calls were shown",
        )
        yield worker


def main() -> int:
    """Throw them; 1 where something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.http_fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with LocalKafka() as kafka, tempfile.TemporaryDirectory() as folder:
        settings = {"name": "fuzzed", "bootstrap": kafka.bootstrap}
        with a_worker_with_calls(Path(folder), settings) as worker:
            began_s = time.monotonic()
            outcome, wrong = fuzz(worker, asked.requests, asked.seed)
            took_s = time.monotonic() - began_s
    print(f"{outcome.sent:,} requests in {took_s:.0f} s, first answers: {dict(outcome.statuses)}")
    print(wrong or "nothing is wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
