"""A real Prometheus and a real Alertmanager on loopback, and what a test may ask them.

with (
    RunningWorker(tmp_path / "worker", settings) as worker,
    RunningPrometheus(tmp_path, scraping({"floorwatch": [worker.address]})) as prometheus,
):
    prometheus.wait_for_scrape()
    assert prometheus.value("sum(floorwatch_contacts_waiting)") == 3
"""

from __future__ import annotations

import http.client
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, Self, TypeVar
from urllib.parse import urlencode

import orjson
import yaml

from requirements.build_programs import built
from streams import leash
from tests.support.running import HOST, PATIENCE_S

T = TypeVar("T")
Config = Mapping[str, Any]

_LISTENING: Final = re.compile(r'msg="Listening on".* address=127\.0\.0\.1:(\d+)')


class Refused(AssertionError):
    """A program answered a request with an error; the text is what it said."""


class Sample(NamedTuple):
    """One value of an instant query, with the labels of its series and without its name."""

    labels: dict[str, str]
    value: float


class Series(NamedTuple):
    """One series of a range query: its labels, and (time in seconds, value) of each point."""

    labels: dict[str, str]
    points: list[tuple[float, float]]


def scraping(
    targets: Mapping[str, Sequence[str]],
    *,
    every: str = "1s",
    rules: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
) -> dict[str, Any]:
    """A configuration of Prometheus that scrapes and evaluates its rules *every* so often.

    Args:
        targets: `HOST:PORT` of each target by the name of its job.
        every: the interval of scrapes and of rule evaluations.
        rules: rule files.
        alertmanagers: `HOST:PORT` of each Alertmanager that is told of alerts.
    """
    return {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": every,
            "evaluation_interval": every,
        },
        "rule_files": [str(path.resolve()) for path in rules],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [*alertmanagers]}]}]},
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [*addresses]}]}
            for job, addresses in targets.items()
        ],
    }


def promtool(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Prometheus's own checker to its end, with *given* on standard input."""
    return _run("promtool", *arguments, given=given)


def amtool(*arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run Alertmanager's own checker to its end, with *given* on standard input."""
    return _run("amtool", *arguments, given=given)


def _run(program: str, *arguments: str | Path, given: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [built(program), *arguments],
        input=given,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


class _Running:
    """A program that listens on a free port of loopback; a context manager.

    It ends with the test, also when the test's process is killed. Its log is in the message of
    every wait that is in vain.
    """

    program: str
    ready: str

    def __init__(self, folder: Path, config: Config, options: Sequence[str] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder.resolve()
        self.config_file = self.folder / f"{self.program}.yml"
        self._write(config)
        self._options = options
        self._log_file = self.folder / f"{self.program}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0

    def command(self, listen: str) -> list[str]:
        """Its options when it is to listen at *listen*."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        """Start it; return once it is ready. Started again, it listens where it did."""
        program = built(self.program)
        with self._log_file.open("ab") as log:
            begins_at = log.tell()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", leash.__file__, str(program)),
                    *self.command(f"{HOST}:{self._port}"),
                    *self._options,
                ],
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            self._port = self.wait_until(
                lambda: self._said_port(begins_at), f"{self.program} said where it listens"
            )
            self.wait_until(
                lambda: self.request("GET", self.ready)[0] == 200, f"{self.program} was ready"
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
        """`HOST:PORT`, known from the first start on."""
        return f"{HOST}:{self._port}"

    @property
    def is_running(self) -> bool:
        """Whether its process is there."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """All that it has written."""
        return self._log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> None:
        """End it in good order, and what it keeps stays in its folder."""
        if self._process is None:
            return
        process, self._process = self._process, None
        try:
            process.communicate(timeout=leash.PATIENCE_S + 15.0)  # a closed leash sends SIGTERM
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise

    def reload(self, config: Config) -> None:
        """Go on with another configuration.

        Raises:
            Refused: it is not a right one.
        """
        self._write(config)
        status, body = self.request("POST", "/-/reload")
        if status != 200:
            raise Refused(body.decode())

    def wait_until(self, true: Callable[[], T | None], what: str) -> T:
        """Ask *true* until it gives something that is not false, and return that."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := true()):
            tail = "\n".join(self.log().splitlines()[-40:])
            assert self.is_running, f"{self.program} ended before {what}; its log:\n{tail}"
            assert time.monotonic() < deadline, f"in vain: {what}; the log:\n{tail}"
            time.sleep(0.05)
        return found

    def request(self, method: str, path: str, **parameters: str) -> tuple[int, bytes]:
        """The status and body of its answer, with *parameters* in the query string."""
        connection = http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE_S)
        try:
            connection.request(method, f"{path}?{urlencode(parameters)}" if parameters else path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def _write(self, config: Config) -> None:
        self.config_file.write_text(yaml.safe_dump(dict(config)), encoding="utf-8")

    def _said_port(self, begins_at: int) -> int | None:
        found = _LISTENING.search(self.log()[begins_at:])
        return int(found[1]) if found else None


class RunningPrometheus(_Running):
    """A real Prometheus with *config*, for instance one of `scraping`, in *folder*.

    Its blocks are in `storage`: what is put there before the start is there to ask.
    """

    program = "prometheus"
    ready = "/-/ready"

    @property
    def storage(self) -> Path:
        """Where it keeps its blocks."""
        return self.folder / "data"

    def command(self, listen: str) -> list[str]:
        """Its options when it is to listen at *listen*."""
        return [
            f"--config.file={self.config_file}",
            f"--storage.tsdb.path={self.storage}",
            "--storage.tsdb.retention.time=100y",  # tests have blocks of 1999
            f"--web.listen-address={listen}",
            "--web.enable-lifecycle",
            # An alert that fires before its Alertmanager is known is told again this much later.
            "--rules.alert.resend-delay=2s",
        ]

    def ask(self, path: str, **parameters: str) -> Any:
        """The `data` of its answer to GET `/api/v1/` *path*, for instance `alerts` or `targets`.

        Raises:
            Refused: it answered with an error, for instance of a query that is none.
        """
        _, body = self.request("GET", f"/api/v1/{path}", **parameters)
        answer = orjson.loads(body)
        if answer["status"] != "success":
            raise Refused(f"{answer['errorType']}: {answer['error']} ({path} {parameters})")
        return answer["data"]

    def query(self, promql: str, *, at_s: float | None = None) -> list[Sample]:
        """The instant vector, or scalar, that *promql* is at *at_s* (None: now)."""
        asked = {"query": promql} if at_s is None else {"query": promql, "time": f"{at_s:.3f}"}
        data = self.ask("query", **asked)
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(_labels(each), float(each["value"][1])) for each in data["result"]]

    def value(self, promql: str, *, at_s: float | None = None) -> float:
        """The one value that *promql* has."""
        found = self.query(promql, at_s=at_s)
        assert len(found) == 1, f"{promql} gives {found}, expected one value"
        return found[0].value

    def query_range(
        self, promql: str, *, start_s: float, end_s: float, step_s: float
    ) -> list[Series]:
        """What *promql* is at start, start + step, ... up to the end."""
        data = self.ask(
            "query_range",
            query=promql,
            start=f"{start_s:.3f}",
            end=f"{end_s:.3f}",
            step=f"{step_s:.3f}",
        )
        return [
            Series(_labels(each), [(at_s, float(value)) for at_s, value in each["values"]])
            for each in data["result"]
        ]

    def wait_for_scrape(self, *addresses: str) -> None:
        """Return when each of *addresses*, or every target, is up and was scraped anew from now."""
        since_s = time.time()

        def all_scraped() -> bool:
            targets = self.ask("targets", state="active")["activeTargets"]
            wanted = set(addresses) or {each["labels"]["instance"] for each in targets}
            scraped = {
                sample.labels["instance"]
                for sample in self.query("timestamp(up) and up == 1")
                if sample.value >= since_s
            }
            return bool(wanted) and wanted <= scraped

        self.wait_until(all_scraped, "the targets were scraped")


class RunningAlertmanager(_Running):
    """A real Alertmanager with *config* in *folder*."""

    program = "alertmanager"
    ready = "/-/ready"

    def command(self, listen: str) -> list[str]:
        """Its options when it is to listen at *listen*."""
        return [
            f"--config.file={self.config_file}",
            f"--storage.path={self.folder / 'data'}",
            f"--web.listen-address={listen}",
            "--cluster.listen-address=",  # alone: it would open a port to others
        ]

    def alerts(self) -> list[dict[str, Any]]:
        """The alerts that it knows, as its API has them."""
        _, body = self.request("GET", "/api/v2/alerts")
        alerts: list[dict[str, Any]] = orjson.loads(body)
        return alerts


def _labels(result: Mapping[str, Any]) -> dict[str, str]:
    return {name: value for name, value in result["metric"].items() if name != "__name__"}
