"""The chart as the real Helm renders it."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from requirements.build_programs import built
from tests.support.commands import ROOT
from tests.support.kubernetes_yaml import Object, objects_in

CHART: Final = ROOT / "deploy" / "helm" / "floorwatch"
RELEASE: Final = "floor"
NAMESPACE: Final = "contact-centre"

Values: TypeAlias = Mapping[str, Any]


class Refused(Exception):
    """Helm did not do it; the text is what it said."""


def helm(*arguments: str | Path) -> str:
    """What `helm` says to *arguments*.

    Raises:
        Refused: it ended with an error.
    """
    done = subprocess.run([built("helm"), *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Refused(done.stderr)
    return done.stdout


def rendered_text(
    values: Values | Path,
    *options: str,
    chart: Path = CHART,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> str:
    """What `helm template` prints for *values*, hooks and tests too.

    Raises:
        Refused: by schema or template.
    """
    where = (release, chart, "--namespace", namespace)
    if isinstance(values, Path):
        return helm("template", *where, "--values", values, *options)
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(dict(values), file, allow_unicode=True)
        file.flush()
        return helm("template", *where, "--values", file.name, *options)


def rendered(
    values: Values | Path,
    *,
    chart: Path = CHART,
    release: str = RELEASE,
    namespace: str = NAMESPACE,
) -> list[Object]:
    """The objects that the chart makes of *values*.

    Raises:
        Refused: by schema or template.
    """
    return objects_in(rendered_text(values, chart=chart, release=release, namespace=namespace))


def notes(values: Values, *, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """What an SRE reads after an install with *values*."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:
        yaml.safe_dump(dict(values), file, allow_unicode=True)
        file.flush()
        options = ("--dry-run=client", "--namespace", namespace, "--values", file.name)
        return helm("install", release, CHART, *options).partition("\nNOTES:\n")[2]
