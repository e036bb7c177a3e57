"""What `deploy/Dockerfile` says, for tests that do it without an engine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"

_CONTINUED: Final = re.compile(r"\\\n\s*")
_HEALTHCHECK: Final = re.compile(r"(?:--\S+ )*CMD (\[.*\])")


class Image(NamedTuple):
    """What a container of it begins with."""

    user: str
    entrypoint: list[str]
    command: list[str]
    healthcheck: list[str]
    variables: dict[str, str]
    labels: dict[str, str]


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction with what is behind it, in the order of the file; comments are left out."""
    lines = _CONTINUED.sub("", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
    return [
        (word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines) if word
    ]


def image() -> Image:
    """The last stage of `deploy/Dockerfile`; ENTRYPOINT, CMD and HEALTHCHECK have to be lists."""
    said = _said()
    begins = max(at for at, (word, _) in enumerate(said) if word == "FROM")
    last = dict(said[begins:])
    health = _HEALTHCHECK.fullmatch(last["HEALTHCHECK"])
    assert health, f"no list: HEALTHCHECK {last['HEALTHCHECK']}"
    return Image(
        user=last["USER"],
        entrypoint=json.loads(last["ENTRYPOINT"]),
        command=json.loads(last["CMD"]),
        healthcheck=json.loads(health[1]),
        variables=_variables(last["ENV"]),
        labels=dict(re.findall(r'([\w.]+)="([^"]*)"', last["LABEL"])),
    )


def install(folder: Path) -> Path:
    """Do by hand, below *folder*, what the first stage says; the folder of what the last one takes.

    Each COPY, ENV and RUN is done as it is written, but for where the results are: this machine is
    no container. Only what `.dockerignore` lets through is there to be copied.
    """
    tools = folder / "bin"
    tools.mkdir(parents=True)
    (tools / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3")
    context = folder / "context"
    for source in let_through():
        _copy(ROOT / source, context / source)
    work, made = folder / "build", folder / "opt" / "floorwatch"
    work.mkdir()
    environment = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    said = _said()
    stages = [at for at, (word, _) in enumerate(said) if word == "FROM"]
    for word, rest in said[stages[0] : stages[1]]:
        if word == "ENV":
            environment |= _variables(rest)
            environment.pop("PIP_NO_CACHE_DIR")  # it keeps the image small, and the tests slow
        elif word == "COPY":
            *sources, into = rest.split()
            for source in sources:
                name = "" if not into.endswith("/") else Path(source).name
                _copy(context / source, work / into / name)
        elif word == "RUN":
            done = subprocess.run(
                ["sh", "-c", rest.replace("/opt/floorwatch", str(made))],
                cwd=work,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=600,
                check=False,
            )
            assert done.returncode == 0, f"RUN {rest}\n{done.stdout}{done.stderr}"
    return made


def let_through() -> list[str]:
    """What `.dockerignore` leaves in the context; it begins with leaving out everything."""
    rules = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    first, *further = [rule for rule in rules if rule and not rule.startswith("#")]
    assert first == "*"
    return [rule[1:] for rule in further if rule.startswith("!")]


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(source, target)


def _said() -> list[tuple[str, str]]:
    return instructions(DOCKERFILE.read_text(encoding="utf-8"))


def _variables(rest: str) -> dict[str, str]:
    return dict(each.split("=", 1) for each in rest.split())
