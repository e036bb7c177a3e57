"""`deploy/Dockerfile` as far as reading it goes: what runs it is in `tests/deploying`."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from tests.support.dockerfile import DOCKERFILE, ROOT, image, instructions, let_through

HADOLINT = Path(sys.executable).with_name("hadolint")


def hadolint(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HADOLINT, "--no-color", file], capture_output=True, text=True, timeout=120, check=False
    )


def test_hadolint_finds_nothing(tmp_path: Path) -> None:
    clean = hadolint(DOCKERFILE)
    assert (clean.returncode, clean.stdout) == (0, "")

    wrong = tmp_path / "Dockerfile"
    text = DOCKERFILE.read_text(encoding="utf-8")
    wrong.write_text(text.replace('ENTRYPOINT ["floorwatch"]', "ENTRYPOINT floorwatch"))
    assert "DL3025" in hadolint(wrong).stdout


def test_it_begins_as_a_worker_that_is_not_root_and_needs_no_shell() -> None:
    last = image()

    assert last.user == "10001:10001"
    assert [*last.entrypoint, *last.command] == ["floorwatch", "worker"]
    assert last.healthcheck == ["floorwatch", "alive"]


def test_both_stages_have_the_one_python_that_is_pinned() -> None:
    said = instructions(DOCKERFILE.read_text(encoding="utf-8"))
    pinned = [rest for word, rest in said if word == "ARG" and rest.startswith("BASE=")]
    based = [rest for word, rest in said if word == "FROM"]

    assert len(pinned) == 1
    assert re.fullmatch(r"BASE=python:3\.11-slim-[a-z]+", pinned[0])
    assert based == ["${BASE} AS build", "${BASE}"]


def test_packages_are_installed_by_their_hashes_from_an_index_that_nobody_names() -> None:
    text = DOCKERFILE.read_text(encoding="utf-8")
    commands = [
        command.strip()
        for word, rest in instructions(text)
        if word == "RUN"
        for command in rest.split("&&")
        if "bin/pip" in command
    ]

    assert len(commands) == 3
    for command in commands:
        by_hash = "--require-hashes --no-deps --only-binary :all:" in command
        assert by_hash or command.endswith("--no-deps --no-index wheel/*.whl")
    assert "://" not in text


def test_what_is_copied_is_let_through_and_nothing_else_is() -> None:
    copied = {
        source
        for word, rest in instructions(DOCKERFILE.read_text(encoding="utf-8"))
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }

    assert copied == {*let_through()}
    assert all((ROOT / source).exists() for source in copied)


def test_its_version_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    said = instructions(DOCKERFILE.read_text(encoding="utf-8"))

    assert ("ARG", f"VERSION={project['version']}") in said
    assert image().labels["org.opencontainers.image.version"] == "${VERSION}"
    assert image().labels["org.opencontainers.image.licenses"] == project["license"]
    assert f"--tag floorwatch:{project['version']}" in DOCKERFILE.read_text(encoding="utf-8")
