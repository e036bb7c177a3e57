"""`deploy/compose.yaml` as Compose's own loader reads it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from requirements.build_programs import built

COMPOSE_FILE: Final = Path(__file__).parents[2] / "deploy" / "compose.yaml"
LOADER: Final = "cmd"
"""The loader of the Compose Specification's Go module; it is called as its folder is."""

Service = dict[str, Any]


class Refused(AssertionError):
    """The loader takes the file for none; the text is what it said."""


def loaded(file: Path = COMPOSE_FILE) -> dict[str, Any]:
    """All of *file*, checked against the schema and for consistency, with its paths in full.

    Raises:
        Refused: something is wrong with it.
    """
    done = subprocess.run(
        [built(LOADER), "--format", "json", file.name],
        cwd=file.parent,
        env={"COMPOSE_PROFILES": "*", "PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    model: dict[str, Any] = json.loads(done.stdout)
    return model


def services(file: Path = COMPOSE_FILE) -> dict[str, Service]:
    """Every service, of every profile, by its name."""
    found: dict[str, Service] = loaded(file)["services"]
    return found
