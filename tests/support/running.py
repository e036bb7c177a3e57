"""A real worker in a process of its own, as its operators run it, and what a test may ask it."""

from __future__ import annotations

import http.client
import os
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import orjson
import yaml
from prometheus_client.parser import text_string_to_metric_families

from streams import leash
from streams.kafka_access import kafka_access
from streams.producing import Outlet, Producer
from streams.replay import stamped, up_to
from streams.settings import Settings, load_settings
from streams.sources.recorded import Recorded
from streams.topics import ensure_topics
from tests.support.commands import COMMAND, surroundings

PATIENCE_S: Final = 90.0
"""How long a test waits for what has to come; it says nothing about how long it should take."""

ENDED_BY_LEASH: Final = leash.PATIENCE_S + 15.0
HOST: Final = "127.0.0.1"

_ADDRESS: Final = re.compile(r"wallboard at https?://127\.0\.0\.1:(\d+)/")
_RECORDS: Final = re.compile(
    r"^floorwatch_(?:events_total|events_rejected_total)\{.*\} (\d+)$", re.MULTILINE
)

T = TypeVar("T")
Labels = frozenset[tuple[str, str]]
Samples = dict[tuple[str, Labels], float]


class Answer(NamedTuple):
    """What the worker answered to a request."""

    status: int
    body: bytes
    headers: http.client.HTTPMessage


def settings_file(folder: Path, settings: Mapping[str, Any]) -> Path:
    """A settings file with *settings*, on a free port of loopback unless they say otherwise."""
    path = folder / "floorwatch.yaml"
    path.write_text(yaml.safe_dump({"host": HOST, "port": 0, **settings}), encoding="utf-8")
    return path


def parsed(page: str) -> Samples:
    """Every sample of a `/metrics` page by name and labels.

    Raises:
        ValueError: the page is not what Prometheus reads, or has a series twice.
    """
    samples: Samples = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            if key in samples:
                raise ValueError(f"{key} stands twice")
            samples[key] = sample.value
    return samples


class RunningWorker:
    """`floorwatch worker` with a settings file in *folder* and more *options*; a context manager.

    It ends with the test, also when the test's process is killed. Its log is in the message of
    every wait that is in vain. With TLS it is trusted for the certificates in *authority*.

    Attributes:
        command: what is run.
    """

    command: Sequence[str] = COMMAND

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, Any],
        options: Sequence[str] = (),
        *,
        authority: Path | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.options: Sequence[str] = options
        self.settings_file = settings_file(folder, settings)
        self._authority = authority
        self._log_file = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def __enter__(self) -> Self:
        """Start it; return once it listens."""
        with self._log_file.open("ab") as log:
            begins_at = log.tell()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", leash.__file__),
                    *(*self.command, "worker", "--settings", str(self.settings_file)),
                    *self.options,
                ],
                env=surroundings(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._port = self.wait_until(
                lambda: self._address(begins_at), "the worker said where it listens"
            )
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop it, if it still runs."""
        self.stop()

    @property
    def address(self) -> str:
        """`HOST:PORT` where it listens, for instance for Prometheus; known once started."""
        return f"{HOST}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def _proc(self) -> Path:
        """What the system says of its process."""
        assert self._process is not None
        leash_pid = self._process.pid
        [pid] = Path(f"/proc/{leash_pid}/task/{leash_pid}/children").read_text().split()
        return Path(f"/proc/{pid}")

    def open_files(self) -> int:
        """How many files and connections it has open."""
        return len(list((self._proc() / "fd").iterdir()))

    def resident_bytes(self) -> int:
        """The memory that it takes now."""
        pages = int((self._proc() / "statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def cpu_s(self) -> float:
        """Seconds of CPU time that it has taken so far."""
        fields = (self._proc() / "stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        process, self._process = self._process, None
        try:
            return process.wait(PATIENCE_S)  # while the leash is held
        finally:
            process.communicate()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"{'http' if self._authority is None else 'https'}://{HOST}:{self._port}"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    def log(self) -> str:
        """All that it has written."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int | None:
        """Send SIGTERM and wait; its exit code, None if it was not started."""
        if self._process is None:
            return None
        process, self._process = self._process, None
        try:
            process.communicate(timeout=ENDED_BY_LEASH)  # a closed leash sends SIGTERM
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return process.returncode

    def _connection(self) -> http.client.HTTPConnection:
        if self._authority is None:
            return http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE_S)
        trusted = ssl.create_default_context(cafile=str(self._authority))
        return http.client.HTTPSConnection(HOST, self._port, timeout=PATIENCE_S, context=trusted)

    def get(self, path: str, **headers: str) -> Answer:
        """What it answers to GET *path*."""
        connection = self._connection()
        try:
            connection.request("GET", path, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read(), response.headers)
        finally:
            connection.close()

    def first_frame(self, **headers: str) -> bytes:
        """The first frame of the live stream, as it is on the wire."""
        connection = self._connection()
        try:
            connection.request("GET", "/api/v1/floor/stream", headers=headers)
            response = connection.getresponse()
            lines = iter(response.readline, b"event: floor\n")
            return b"".join(lines) + response.readline()
        finally:
            connection.close()

    def floor(self) -> dict[str, Any]:
        """The floor document."""
        document: dict[str, Any] = orjson.loads(self.get("/api/v1/floor").body)
        return document

    def metrics(self) -> str:
        """The text of `/metrics`."""
        return self.get("/metrics").body.decode()

    def wait_until(self, true: Callable[[], T | None], what: str) -> T:
        """Ask *true* until it gives something that is not false, and return that."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := _if_it_answers(true)):
            tail = "\n".join(self.log().splitlines()[-40:])
            assert self.is_running, f"the worker ended before {what}; its log:\n{tail}"
            assert time.monotonic() < deadline, f"in vain: {what}; the worker's log:\n{tail}"
            time.sleep(0.05)
        return found

    def wait_for_records(self, count: int) -> None:
        """Return when *count* records are read and a floor made after that is shown.

        A page of `/metrics` is written once for each floor and its process metrics never stand
        still, so a page that differs belongs to a later floor. The next one may still be made of
        frames from before the last record, the one after it is not.
        """
        page = ""

        def all_read() -> bool:
            nonlocal page
            page = self.metrics()
            return records_read(page) >= count

        self.wait_until(all_read, f"{count} records were read")
        for _ in range(2):
            page = self._another_page(page)

    def _another_page(self, page: str) -> str:
        return self.wait_until(
            lambda: shown if (shown := self.metrics()) != page else None, "the floor was made again"
        )

    def _address(self, begins_at: int) -> int | None:
        found = _ADDRESS.search(self.log()[begins_at:])
        return int(found[1]) if found else None


def _if_it_answers(true: Callable[[], T | None]) -> T | None:
    """What *true* gives; None where nothing listens any more: then the log says why."""
    try:
        return true()
    except ConnectionError:
        return None


def records_read(page: str) -> int:
    """How many records a worker has taken or rejected, by its `/metrics`."""
    return sum(map(int, _RECORDS.findall(page)))


class Feed:
    """Sends recorded events to the topics of an installation as `floorwatch replay` does.

    Topics that are missing are created. A context manager.

    Attributes:
        settings: of the installation.
    """

    def __init__(self, path: Path, *, partitions: int = 4) -> None:
        self.settings: Settings = load_settings(path, {})
        self._producer = Producer(
            kafka_access(self.settings), ensure_topics(self.settings, partitions, any_time=True)
        )
        self._outlet = Outlet(self._producer, self.settings.topics)

    def __enter__(self) -> Self:
        """Connect."""
        self._producer.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Disconnect."""
        self._producer.__exit__(kind, *exc_info)

    @property
    def sent(self) -> int:
        """Records that Kafka has taken; what goes to every partition counts in each."""
        return self._producer.acknowledged

    def send_until(self, records: Iterable[Recorded], until_ms: int) -> None:
        """What `replay --until` does: events up to *until_ms*, then a heartbeat of that time."""
        self.send(up_to(records, until_ms))

    def send(self, records: Iterable[Recorded]) -> None:
        """Events and no heartbeat: a partition without any of them stays where it is."""
        for arrival_ms, (_, topic, key, value, _) in stamped(records):
            self._outlet.send(topic, key, value, arrival_ms)
        self._producer.finish()
        assert not self._producer.refused
