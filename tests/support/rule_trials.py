"""Rules tried by the real promtool."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.support.prometheus import promtool

LANES: Final = 2
"""Programs at a time: one alone evaluates one rule after the other."""


@dataclass(frozen=True)
class Trial:
    """Rules, and tests of them alone: every test evaluates every rule beside it.

    Attributes:
        name: of its files.
        rules: as in a rule file.
        tests: as promtool reads them.
    """

    name: str
    rules: Mapping[str, Any]
    tests: Sequence[Mapping[str, Any]]


def failures(folder: Path, trials: Iterable[Trial]) -> dict[str, list[str]]:
    """Run *trials*: what was not as expected, by alert, each with its time and what it was.

    What is not about an alert stands under "".
    """
    files = []
    for trial in trials:
        rules, tests = folder / f"{trial.name}.rules.yml", folder / f"{trial.name}.tests.yml"
        rules.write_text(_yaml(trial.rules), encoding="utf-8")
        wanted = {
            "rule_files": [rules.name],
            "evaluation_interval": trial.tests[0]["interval"],
            "tests": trial.tests,
        }
        tests.write_text(_yaml(wanted), encoding="utf-8")
        files.append(tests)
    with ThreadPoolExecutor(LANES) as lanes:
        # One file each, or a busy machine runs into the time that a program is given.
        ran = lanes.map(lambda file: promtool("test", "rules", file), files)
        said = "".join([each.stdout + each.stderr for each in ran])
    found: dict[str, list[str]] = {}
    for block in said.split("FAILED:")[1:]:
        compared = _COMPARED.findall(block)
        for name, text in compared or [("", block)]:
            found.setdefault(name, []).append(text)
    if said.count("SUCCESS") + said.count("FAILED:") != len(files):
        found.setdefault("", []).append(said)
    return found


_COMPARED: Final = re.compile(
    r"expr: \"ALERTS\{alertname=\\\"(\w+)(.*?)(?=\n *(?:alertname|expr|name): |\n\n|\Z)", re.DOTALL
)


def _yaml(document: object) -> str:
    return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, width=1_000_000)
