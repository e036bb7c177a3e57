"""The image itself, built and run by a real engine: `make test-image`, not part of `make test`.

Needs root, and podman, runc and mmdebstrap, which Debian has. No image of others can be fetched
everywhere, so the base is made of Debian's own packages and called as the Dockerfile calls its own:
the same minor version of Python, on another release of Debian.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from streams.kafka_access import KafkaAccess
from streams.local_kafka import PORTS, LocalKafka, free_port
from streams.topic_creation import create_topics
from streams.user_cache import user_cache
from tests.support import dockerfile
from tests.support.dockerfile import DOCKERFILE, ROOT

PROGRAMS: Final = ("podman", "runc", "mmdebstrap")
DEBIAN: Final = "bookworm"  # the release whose Python is that of the Dockerfile
BASE: Final = "docker.io/library/python:3.11-slim-trixie"
IMAGE: Final = "localhost/floorwatch:trial"
REVISION: Final = "0123456789abcdef"
PATIENCE_S: Final = 180.0

# A machine without all rights of root cannot give a container more files or processes than it has.
LIMITS: Final = ("--ulimit", "nofile=4096:4096", "--ulimit", "nproc=1024:1024")
HARDENED: Final = (
    *("--read-only", "--read-only-tmpfs=false", "--cap-drop", "all"),
    *("--security-opt", "no-new-privileges", "--user", "54321:54321", "--network", "host"),
)
CERTIFICATES: Final = Path("/etc/ssl/certs")


class Engine:
    """Podman with its images in *folder*."""

    def __init__(self, folder: Path) -> None:
        self._command = [
            *("podman", "--root", str(folder / "images"), "--runroot", str(folder / "run")),
            *("--runtime", "runc", "--log-level", "fatal"),
        ]

    def tried(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it to its end."""
        return subprocess.run(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=1_200,
            check=False,
        )

    def __call__(self, *arguments: str) -> str:
        """What it says; it has to succeed."""
        done = self.tried(*arguments)
        assert done.returncode == 0, f"podman {' '.join(arguments)}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    assert not missing, f"apt-get install --no-install-recommends {' '.join(missing)}"
    assert os.geteuid() == 0, "only root may make the base"
    folder = Path(tempfile.mkdtemp(prefix="floorwatch-engine-"))
    podman = Engine(folder)
    yield podman
    podman("rm", "--all", "--force", "--time", "0")
    podman("rmi", "--all", "--force")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def base(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> str:
    """What stands for the base of the Dockerfile, made once and kept in the user's cache."""
    archive = user_cache("image") / f"{DEBIAN}.tar"
    if not archive.exists():
        archive.parent.mkdir(parents=True, exist_ok=True)
        partial = archive.with_name("partial.tar")
        packages = "python3,python3-venv,ca-certificates"
        subprocess.run(
            ["mmdebstrap", "--variant=essential", f"--include={packages}", DEBIAN, partial],
            timeout=1_200,
            check=True,
        )
        partial.rename(archive)
    imported = engine("import", str(archive))
    folder = tmp_path_factory.mktemp("base")
    (folder / "Dockerfile").write_text(
        f"FROM {imported}\nRUN ln -s /usr/bin/python3 /usr/local/bin/python\n"
    )
    engine("build", *LIMITS, "--tag", BASE, str(folder))
    return BASE


@pytest.fixture(scope="module")
def image(engine: Engine, base: str) -> str:
    """`deploy/Dockerfile` as it is, but for the certificates that this machine trusts."""
    assert dockerfile.DOCKERFILE.read_text(encoding="utf-8").count(base.rpartition("/")[2]) == 2
    engine(
        *("build", *LIMITS, "--pull=never", "--network", "host", "--format", "docker"),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"),
        *("--build-arg", f"REVISION={REVISION}", "--file", str(DOCKERFILE)),
        *("--tag", IMAGE, str(ROOT)),
    )
    return IMAGE


@pytest.fixture(scope="module")
def kafka() -> Iterator[LocalKafka]:
    with LocalKafka() as broker:
        create_topics(KafkaAccess(broker.bootstrap), {"calls": 1, "chats": 1, "queues": 1})
        yield broker


def until(true: Callable[[], bool], what: Callable[[], str]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, what()
        time.sleep(0.5)


def test_it_says_what_it_is(engine: Engine, image: str) -> None:
    [found] = json.loads(engine("image", "inspect", image))
    config: dict[str, Any] = found["Config"]
    labels = {key.rpartition(".")[2]: value for key, value in config["Labels"].items()}
    said = dockerfile.image()

    assert (config["User"], config["Entrypoint"], config["Cmd"]) == (
        *(said.user, said.entrypoint),
        said.command,
    )
    assert [*config["ExposedPorts"]] == ["6066/tcp"]
    assert config["StopSignal"] == "SIGTERM"
    assert found["Healthcheck"]["Test"] == ["CMD", *said.healthcheck]
    assert (labels["title"], labels["revision"]) == ("floorwatch", REVISION)


def test_what_it_is_made_of_cannot_be_changed_by_whom_it_runs_as(
    engine: Engine, image: str
) -> None:
    program = (
        "import os\n"
        "print([f'{at}/{name}' for at, _, names in os.walk('/opt') for name in names\n"
        "    if os.access(f'{at}/{name}', os.W_OK)])"
    )

    said = engine(
        *("run", "--rm", *LIMITS, "--entrypoint", "/opt/floorwatch/bin/python", image),
        *("-c", program),
    )

    assert said == "[]"


def test_it_works_hardened_as_anybody_and_ends_well(
    engine: Engine, image: str, kafka: LocalKafka
) -> None:
    port = free_port(PORTS)
    worker = engine(
        *("run", "--detach", *LIMITS, *HARDENED),
        *("--env", f"FLOORWATCH_BOOTSTRAP={kafka.bootstrap}", "--env", f"FLOORWATCH_PORT={port}"),
        image,
    )
    asked = ("exec", worker, "floorwatch", "alive", "--ready")

    until(lambda: engine.tried(*asked).returncode == 0, lambda: engine("logs", worker))
    assert engine.tried("healthcheck", "run", worker).returncode == 0
    # The engine itself puts hosts and the like into /etc.
    assert {*engine("diff", worker).splitlines()} <= {"C /etc"}
    engine("stop", "--time", "60", worker)
    assert engine("inspect", "--format", "{{.State.ExitCode}}", worker) == "0"


def test_its_health_check_fails_while_nobody_answers(engine: Engine, image: str) -> None:
    alone = engine(
        *("run", "--detach", *LIMITS, *HARDENED, "--env", f"FLOORWATCH_PORT={free_port(PORTS)}"),
        *(
            "--entrypoint",
            "/opt/floorwatch/bin/python",
            image,
            "-c",
            "import time; time.sleep(600)",
        ),
    )

    assert engine.tried("healthcheck", "run", alone).returncode != 0
