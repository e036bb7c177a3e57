"""What Checkov, which knows nothing of us, has against the objects of the chart."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.commands import ROOT
from tests.support.rendered_chart import CHART, rendered_text

CHECKOV: Final = ROOT / ".venv-checkov" / "bin" / "checkov"

ALL: Final = (
    "floor-floorwatch",
    "floor-floorwatch-check",
    "floor-floorwatch-topics",
    "floor-floorwatch-precheck",
)
ACCEPTED: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {
    "CKV_K8S_8": (ALL[1:2], "a pod that asks once and ends has no life to probe"),
    "CKV_K8S_9": (ALL[1:2], "nor is it ever ready for anything"),
    "CKV_K8S_43": (ALL, "a digest is a value: the chart cannot know it"),
    "CKV_K8S_15": (ALL, "a worker starts without a registry, too; a tag is never moved"),
}
"""By check, of which objects it does not hold, and why."""

_OFF: Final = ("--set=dashboards.enabled=false", "--set=prometheusRule.enabled=false")
"""Large, and nothing that Checkov has a check for."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    assert CHECKOV.exists(), "there is no Checkov: make .venv-checkov/.done"
    folder: Path = tmp_path_factory.mktemp("rendered")
    for name in ("everything", "minimal", "topics-create"):
        values = CHART / "ci" / f"{name}-values.yaml"
        (folder / f"{name}.yaml").write_text(rendered_text(values, *_OFF), encoding="utf-8")
    done = subprocess.run(
        [
            *(CHECKOV, "--directory", folder, "--framework", "kubernetes"),
            *("--skip-download", "--quiet", "--compact", "--output", "json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_checkov_finds_nothing_that_is_not_meant(report: dict[str, Any]) -> None:
    failed = {
        (each["check_id"], each["resource"].rpartition(".")[2]): each["check_name"]
        for each in report["results"]["failed_checks"]
    }

    accepted = {(check, name) for check, (names, _) in ACCEPTED.items() for name in names}
    assert {key: name for key, name in failed.items() if key not in accepted} == {}
    assert accepted <= failed.keys(), "accepted, and found no more"
    assert report["summary"]["passed"] > 400
    assert report["summary"]["parsing_errors"] == 0
