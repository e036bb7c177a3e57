"""From an event on the wall's clock to a page: all real parts, and a sink in place of a pager.

The rules and routes are the shipped ones. A test may shorten how long a rule waits, never what it
compares; a webhook's address in the routes becomes that of the sink.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar

import orjson
import yaml

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import as_yaml, prometheus_rules
from dashboards.alerts.rule import Alert
from schemas.instants import write_instant
from streams.local_kafka import free_ports
from streams.sources.recorded import Recorded
from streams.sources.routing import CALLS, QUEUES
from tests.support.prometheus import (
    Config,
    RunningAlertmanager,
    RunningPrometheus,
    Series,
    scraping,
)
from tests.support.running import HOST, PATIENCE_S, Feed, RunningWorker, settings_file

SHIPPED: Final = Path(__file__).parents[2] / "deploy" / "prometheus"
ROUTES: Final = SHIPPED / "alertmanager.yml"
RULES: Final = SHIPPED / "floorwatch.rules.yml"
EVERY: Final = "5s"
"""Between scrapes and between evaluations, as in the documentation."""

FLOOR: Final = "duty-manager"
"""The receiver of pages about the floor."""

HEARTBEAT_S: Final = 1.0

T = TypeVar("T")


class Told(NamedTuple):
    """What somebody was told of one alert.

    Attributes:
        at_s: when it arrived, in epoch seconds.
        message: number of the message; one message may tell of several alerts.
        receiver: whom the routes chose.
        status: `firing` or `resolved`.
        labels: of the alert.
        summary: its line for a lock screen.
        since_s: when Prometheus found it, in epoch seconds.
    """

    at_s: float
    message: int
    receiver: str
    status: str
    labels: Mapping[str, str]
    summary: str
    since_s: float

    @property
    def alert(self) -> str:
        """The alert's name."""
        return self.labels["alertname"]


class Sink:
    """Stands for every pager, chat and ticket system; a context manager.

    Attributes:
        heard: called with each alert that arrives, in a thread of its own.
    """

    def __init__(self, heard: Callable[[Told], None] = lambda told: None) -> None:
        self.heard = heard
        self._told: list[Told] = []
        self._lock = threading.Lock()
        self._messages = count(1)
        self._server = ThreadingHTTPServer((HOST, 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, name="sink", daemon=True)

    def __enter__(self) -> Self:
        """Listen."""
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def base(self) -> str:
        """Its address, to which a receiver's name is added."""
        return f"http://{HOST}:{self._server.server_port}"

    def told(self, *, receiver: str = "", **labels: str) -> list[Told]:
        """What has arrived so far for *receiver* of alerts with *labels*, in its order."""
        with self._lock:
            told = list(self._told)
        return [
            each
            for each in told
            if receiver in ("", each.receiver) and labels.items() <= each.labels.items()
        ]

    def messages(self, *, receiver: str = "", **labels: str) -> list[list[Told]]:
        """The same by message: each of them made a telephone ring once."""
        by_number: dict[int, list[Told]] = {}
        for each in self.told(receiver=receiver, **labels):
            by_number.setdefault(each.message, []).append(each)
        return list(by_number.values())

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                at_s = time.time()
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()
                sink.take(at_s, self.path, body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing on standard error."""

        return Handler

    def take(self, at_s: float, path: str, body: bytes) -> None:
        """Keep a message that arrived at *path*."""
        with self._lock:
            number = next(self._messages)
            arrived = [
                Told(
                    at_s,
                    number,
                    path.rpartition("/")[2],
                    alert["status"],
                    alert["labels"],
                    alert["annotations"]["summary"],
                    datetime.fromisoformat(alert["startsAt"]).timestamp(),
                )
                for alert in orjson.loads(body)["alerts"]
            ]
            self._told += arrived
        for each in arrived:
            self.heard(each)


class Switchboard(Feed):
    """Sends events of this moment, and every second a heartbeat of each source that is alive.

    Attributes:
        alive: names of the sources whose heart beats.
    """

    def __init__(self, path: Path, *alive: str) -> None:
        super().__init__(path, partitions=2)
        self.alive = {*alive}
        self._numbers = count(1)
        self._sending = threading.Lock()
        self._over = threading.Event()
        self._heart = threading.Thread(target=self._beat, name="heartbeats", daemon=True)

    def __enter__(self) -> Self:
        """Connect, and let the hearts beat."""
        super().__enter__()
        self._heart.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *exc_info: object) -> None:
        """Disconnect."""
        self._over.set()
        self._heart.join()
        super().__exit__(kind, *exc_info)

    def send(self, records: Iterable[Recorded]) -> None:
        """As `Feed` does, from any thread."""
        with self._sending:
            super().send(records)

    def call(
        self, kind: str, contact: str, queue: str, *, at_ms: int | None = None, source: str = "pbx"
    ) -> Recorded:
        """A `contact.` event of a call, now unless *at_ms* says otherwise."""
        return self._event(
            CALLS, contact, f"contact.{kind}", at_ms, source, contact=contact, queue=queue,
            channel="voice",
        )  # fmt: skip

    def line(self, kind: str, queue: str, *, source: str = "pbx", **fields: str) -> Recorded:
        """A `queue.` event of now."""
        return self._event(QUEUES, queue, f"queue.{kind}", None, source, queue=queue, **fields)

    def _event(
        self, topic: str | None, key: str | None, kind: str, at_ms: int | None, source: str,
        **fields: str,
    ) -> Recorded:  # fmt: skip
        at_ms = now_ms() if at_ms is None else at_ms
        number = next(self._numbers)
        event = {"id": f"{number}", "type": kind, "time": write_instant(at_ms), "source": source}
        value = orjson.dumps({**event, **fields})
        return Recorded(at_ms, topic, None if key is None else key.encode(), value, number)

    def _beat(self) -> None:
        while not self._over.wait(HEARTBEAT_S):
            self.send(
                [self._event(None, None, "source.alive", None, name) for name in sorted(self.alive)]
            )


class Installation:
    """Topics, settings and a switchboard of its own, and workers on ports that stay theirs.

    A context manager: the switchboard is connected, no worker runs yet; in the end none does.

    Attributes:
        job: what Prometheus calls it.
        board: where its events come from.
        workers: those that it has.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str,
        bootstrap: str,
        alive: Iterable[str] = ("pbx",),
        workers: int = 1,
        **settings: Any,
    ) -> None:
        self.job = f"floorwatch-{name}"
        self._folder = folder / name
        self._folder.mkdir()
        topics = {each: f"{name}.{each}" for each in ("calls", "chats", "queues")}
        self._settings = {"name": name, "bootstrap": bootstrap, "topics": topics, **settings}
        self.board = Switchboard(settings_file(self._folder, self._settings), *alive)
        self._ports = free_ports(workers)
        self.workers = [self.worker(number) for number in range(workers)]

    def __enter__(self) -> Self:
        """Connect the switchboard, which makes the topics."""
        self.board.__enter__()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop the workers, then the switchboard."""
        for worker in self.workers:
            worker.stop()
        self.board.__exit__(None)

    @property
    def addresses(self) -> list[str]:
        """`HOST:PORT` of each worker, whether it runs or not."""
        return [f"{HOST}:{port}" for port in self._ports]

    def move(self, bootstrap: str) -> None:
        """Have the workers, which do not run, come by *bootstrap* when they are back."""
        self._settings["bootstrap"] = bootstrap
        self.workers = [self.worker(number) for number in range(len(self._ports))]

    def start(self) -> None:
        """Start the workers; return once they are ready."""
        for worker in self.workers:
            worker.__enter__()
        for worker in self.workers:
            wait_until_ready(worker)

    def worker(self, number: int, *, is_scraped: bool = True) -> RunningWorker:
        """The worker with that number, on its own port or on one that Prometheus does not know."""
        port = self._ports[number] if is_scraped else 0
        own = {"port": port, "instance_id": f"worker-{number}"}
        return RunningWorker(self._folder / f"worker-{number}-{port}", {**self._settings, **own})


def wait_until_ready(worker: RunningWorker) -> None:
    """Return when *worker* would be sent visitors."""
    worker.wait_until(lambda: worker.get("/readyz").status == HTTPStatus.OK, "the worker is ready")


class Paging:
    """Prometheus with the rules, Alertmanager with the routes, and the sink; a context manager.

    Args:
        folder: for their files.
        targets: `HOST:PORT` of workers by job; whoever is not there yet is down.
        rules: the rule file.
        routes: Alertmanager's file.
    """

    def __init__(
        self,
        folder: Path,
        targets: Mapping[str, Sequence[str]],
        *,
        rules: Path = RULES,
        routes: Path = ROUTES,
    ) -> None:
        self._folder = folder
        self._targets = targets
        self._rules = rules
        self._routes = routes
        self._held = ExitStack()
        self.sink: Sink
        self.alertmanager: RunningAlertmanager
        self.prometheus: RunningPrometheus

    def __enter__(self) -> Self:
        """Start them."""
        with ExitStack() as starting:
            self.sink = starting.enter_context(Sink())
            self.alertmanager = starting.enter_context(
                RunningAlertmanager(self._folder, routes_to(self.sink, self._routes))
            )
            self.prometheus = starting.enter_context(
                RunningPrometheus(
                    self._folder,
                    scraping(
                        self._targets,
                        every=EVERY,
                        rules=[self._rules],
                        alertmanagers=[self.alertmanager.address],
                    ),
                )
            )
            self._held = starting.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """Stop them."""
        self._held.close()

    def wait_for(self, true: Callable[[], T | None], what: str) -> T:
        """Ask *true* until it gives something that is not false, and return that."""
        deadline = time.monotonic() + 2 * PATIENCE_S
        while not (found := true()):
            assert time.monotonic() < deadline, (
                f"in vain: {what}; told: {self.sink.told()}; alerts: "
                f"{self.prometheus.ask('alerts')['alerts']}"
            )
            time.sleep(0.2)
        return found

    def wait_until_told(self, status: str = "firing", *, receiver: str = "", **labels: str) -> Told:
        """The first of what somebody was told of *labels*, once there is something."""
        return self.wait_for(
            lambda: next(
                (
                    each
                    for each in self.sink.told(receiver=receiver, **labels)
                    if each.status == status
                ),
                None,
            ),
            f"{receiver or 'somebody'} is told {status} of {labels}",
        )

    def alerts(self, state: str, since_s: float, **labels: str) -> list[Series]:
        """Those with *labels* that were `firing` or `pending`, with a point for each second."""
        matchers = "".join(f',{label}="{value}"' for label, value in labels.items())
        return self.prometheus.query_range(
            f'ALERTS{{alertstate="{state}"{matchers}}}',
            start_s=since_s,
            end_s=time.time(),
            step_s=1.0,
        )


def routes_to(sink: Sink, routes: Path = ROUTES) -> Config:
    """The shipped routes, with the sink in place of every webhook."""
    config: dict[str, Any] = yaml.safe_load(routes.read_text(encoding="utf-8"))
    for receiver in config["receivers"]:
        for webhook in receiver.get("webhook_configs", []):
            webhook["url"] = f"{sink.base}/{receiver['name']}"
    return config


def with_waits(path: Path, *, keep: str, hold: Mapping[str, str]) -> Path:
    """A rule file at *path*: what is shipped, but for how long rules wait.

    Args:
        path: where to write it.
        keep: how long every page of the floor counts as firing after its breach.
        hold: how long the breach has to last first, by alert.
    """

    def waits(rule: Any) -> Any:
        if not isinstance(rule, Alert):
            return rule
        held = replace(rule, hold=hold.get(rule.name, rule.hold))
        return replace(held, keep=keep) if rule.keep else held

    groups = [replace(group, rules=tuple(map(waits, group.rules))) for group in GROUPS]
    path.write_text(as_yaml(prometheus_rules(groups, Places())), encoding="utf-8")
    return path


def now_ms() -> int:
    """This moment."""
    return time.time_ns() // 1_000_000
