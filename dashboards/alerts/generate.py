"""Write the rule files; with `--check`, only say which of them are not what would be written."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import (
    as_yaml,
    grafana_rules,
    prometheus_rule_manifest,
    prometheus_rules,
)

ROOT: Final = Path(__file__).parents[2]


def documents(places: Places) -> dict[str, str]:
    """Every generated file: path below the checkout, and text."""
    return {
        "deploy/prometheus/floorwatch.rules.yml": as_yaml(prometheus_rules(GROUPS, places)),
        "deploy/prometheus/floorwatch.prometheusrule.yaml": as_yaml(
            prometheus_rule_manifest(GROUPS, places)
        ),
        "deploy/grafana/alerting/floorwatch.rules.yaml": as_yaml(grafana_rules(GROUPS, places)),
    }


def drift(folder: Path, expected: dict[str, str]) -> list[str]:
    """Those of *expected* that are missing below *folder* or have another text there."""
    return [
        path
        for path, text in expected.items()
        if not (folder / path).exists() or (folder / path).read_text(encoding="utf-8") != text
    ]


def main(arguments: list[str] | None = None) -> int:
    """Write the files, or with `--check` name those that drifted and return 1."""
    usual = Places()
    parser = argparse.ArgumentParser(
        prog="python -m dashboards.alerts.generate", description=__doc__
    )
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    parser.add_argument("--into", type=Path, default=ROOT, help="folder that gets `deploy/`")
    parser.add_argument("--name", default=usual.name, help="name of the installation")
    parser.add_argument("--boards-url", default=usual.boards, help="address of Grafana")
    parser.add_argument("--runbooks-url", default=usual.runbooks, help="folder of the runbooks")
    parser.add_argument("--datasource", default=usual.datasource, help="uid in Grafana")
    given = parser.parse_args(arguments)
    places = Places(
        name=given.name,
        boards=given.boards_url.rstrip("/"),
        runbooks=given.runbooks_url.rstrip("/"),
        datasource=given.datasource,
    )
    expected = documents(places)
    drifted = drift(given.into, expected)
    if given.check:
        for path in drifted:
            sys.stderr.write(f"{path} is not what `{parser.prog}` writes\n")
        return 1 if drifted else 0
    for path in drifted:
        (given.into / path).parent.mkdir(parents=True, exist_ok=True)
        (given.into / path).write_text(expected[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
