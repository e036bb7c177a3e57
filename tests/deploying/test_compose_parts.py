"""The composition without an engine: its real programs, started as it says, in a network of theirs.

Commands, variables, names and ports are those of `deploy/compose.yaml`; only the folders that
volumes would be are others. What is ours runs as the image has it: installed by the Dockerfile's
own steps, on a read-only root, as a user that nobody is, without any right, in an empty folder.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from requirements.build_programs import built
from streams import local_kafka
from tests.support import dockerfile
from tests.support.composed import services
from tests.support.enclosed import House, Lock, Village

PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CONFIGURES: Final = "kafka.docker.KafkaDockerWrapper"
"""What the image apache/kafka makes a configuration with, out of its variables."""

LOGGING: Final = """\
Configuration:
  Appenders:
    Console: {name: STDOUT}
  Loggers:
    Root: {level: warn, AppenderRef: {ref: STDOUT}}
"""


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user may look into, as those of pytest are not."""
    folder = Path(tempfile.mkdtemp(prefix="floorwatch-composed-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(open_folder: Path) -> Path:
    """The folder of programs that the image would have."""
    return dockerfile.install(open_folder / "image") / "bin"


class Composition:
    """The services, started by name as the composition says; `checked` asks its health check."""

    def __init__(self, village: Village, folder: Path, programs: Path) -> None:
        self.village = village
        self.services = services()
        self._folder = folder
        self._image = dockerfile.image()
        ours = f"{programs}:{PATH}"
        theirs = f"{built('promtool').parent}:{built('amtool').parent}:{PATH}"
        self._path = {"topics": ours, "worker": ours, "simulator": ours, "kafka": PATH}
        self._else = theirs

    def variables(self, name: str) -> dict[str, str]:
        """Its environment: what the composition says over what our image says."""
        said = {
            key: str(value) for key, value in self.services[name].get("environment", {}).items()
        }
        own = self._image.variables if self._is_ours(name) else {}
        return {**own, **said, "PATH": self._path.get(name, self._else)}

    def command(self, name: str) -> list[str]:
        """What it runs."""
        said: list[str] = self.services[name].get("command", self._image.command)
        program = self._image.entrypoint if self._is_ours(name) else [str(built(name))]
        return [*program, *(self.placed(name, word) for word in said)]

    def placed(self, name: str, word: str) -> str:
        """*word* with the folders of its volumes as they are on this machine."""
        option, equals, path = word.rpartition("=")
        for each in self.services[name].get("volumes", []):
            if path == each["target"] or path.startswith(f"{each['target']}/"):
                here = each["source"] if each["type"] == "bind" else self._volume(each["source"])
                path = path.replace(each["target"], str(here), 1)
                break
        return f"{option}{equals}{path}"

    def start(self, name: str) -> House:
        """Begin with it."""
        return self.village.start(name, self.command(name), self.variables(name), self.lock(name))

    def checked(self, name: str) -> bool:
        """Whether its health check says that it is well."""
        kind, *command = self.services[name]["healthcheck"]["test"]
        assert kind == "CMD"
        done = self.village.run(command, self.variables(name), self.lock(name))
        return done.returncode == 0

    def lock(self, name: str) -> Lock:
        """Hardened as the composition says: what it writes to are its volumes alone.

        Ours run as nobody; theirs as who runs the tests, for whom their programs were built.
        """
        service = self.services[name]
        assert service["read_only"]
        volumes = [
            self._volume(each["source"])
            for each in service.get("volumes", [])
            if each["type"] == "volume"
        ]
        scratch = [self.scratch(each.partition(":")[0]) for each in service.get("tmpfs", [])]
        return Lock(self._is_ours(name), [*volumes, *scratch])

    def scratch(self, place: str) -> Path:
        """The folder here that is the tmpfs at *place*."""
        return self._made("scratch", place.strip("/").replace("/", "-"))

    def well(self, house: House) -> None:
        """Return once *house* is well."""
        house.wait_until(lambda: self.checked(house.name), f"{house.name} was well")

    def _is_ours(self, name: str) -> bool:
        image: str = self.services[name]["image"]
        return image.startswith("floorwatch:")

    def _volume(self, name: str) -> Path:
        return self._made("volumes", name)

    def _made(self, kind: str, name: str) -> Path:
        folder = self._folder / kind / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder


@pytest.fixture(scope="module")
def composition(open_folder: Path, installed: Path) -> Iterator[Composition]:
    with Village(open_folder / "village", list(services())) as village:
        yield Composition(village, open_folder, installed)


def kafka_of(composition: Composition, folder: Path) -> House:
    """Kafka with what its image's own program makes of the composition's variables.

    The image's scripts are not here: only what they call.
    """
    variables = composition.variables("kafka")
    variables["KAFKA_LOG_DIRS"] = composition.placed("kafka", variables["KAFKA_LOG_DIRS"])
    final = composition.scratch("/opt/kafka/config")
    defaults, mounted = folder / "defaults", folder / "mounted"
    for each in (defaults, mounted):
        each.mkdir(parents=True)
    for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
        (defaults / name).write_text("" if name.endswith("properties") else LOGGING)
    jars = local_kafka.fetched_jars(local_kafka.default_cache())
    java = [
        *(str(local_kafka._java()), "-Xmx512m", *local_kafka.JVM_OPTIONS),
        *("-cp", ":".join(map(str, jars)), f"-Djava.io.tmpdir={composition.scratch('/tmp')}"),  # noqa: S108 # its name in the image
        f"-Dlog4j2.configurationFile={defaults / 'log4j2.yaml'}",
    ]
    made = composition.village.run(
        [
            *(*java, CONFIGURES, "setup", "--default-configs-dir", str(defaults)),
            *("--mounted-configs-dir", str(mounted), "--final-configs-dir", str(final)),
        ],
        variables,
        composition.lock("kafka"),
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return composition.village.start(
        "kafka",
        [*java, "kafka.Kafka", str(final / "server.properties")],
        variables,
        composition.lock("kafka"),
    )


def asked(composition: Composition, promql: str) -> list[dict[str, Any]]:
    """What Prometheus answers, asked with its own tool."""
    command = ["promtool", "query", "instant", "--format=json", "http://prometheus:9090", promql]
    done = composition.village.run(
        command, composition.variables("prometheus"), Lock(as_nobody=False)
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


def test_the_parts_begin_in_order_find_each_other_and_end_well(
    composition: Composition, tmp_path: Path
) -> None:
    composition.well(kafka_of(composition, tmp_path))
    topics = composition.start("topics")
    assert topics.ended() == 0, topics.log()
    worker = composition.start("worker")
    composition.well(worker)
    simulator = composition.start("simulator")
    alertmanager = composition.start("alertmanager")
    composition.well(alertmanager)
    prometheus = composition.start("prometheus")
    composition.well(prometheus)

    prometheus.wait_until(
        lambda: asked(composition, "sum(floorwatch_contacts_offered_total) > 0"),
        "what the simulator sent was counted by the worker and scraped by Prometheus",
    )
    [up] = asked(composition, "up")
    assert (up["metric"]["instance"], up["value"][1]) == ("worker:6066", "1")
    alertmanager.wait_until(
        lambda: "FloorwatchWatchdog" in alerts(composition),
        "the shipped rules reached Alertmanager",
    )

    assert simulator.is_running
    assert worker.stop() == 0, worker.log()
    assert not composition.checked("worker")


def alerts(composition: Composition) -> str:
    """What Alertmanager has, asked with its own tool."""
    command = ["amtool", "--alertmanager.url=http://alertmanager:9093", "alert", "query"]
    variables = composition.variables("alertmanager")
    return composition.village.run(command, variables, Lock(as_nobody=False)).stdout
