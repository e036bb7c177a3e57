"""Renderings of the chart that are kept word by word, so that a change of them is looked at.

`python -m tests.support.golden_charts` writes them anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.support.commands import ROOT
from tests.support.rendered_chart import CHART, Refused, rendered_text

FOLDER: Final = ROOT / "tests" / "deploying" / "golden"
NAMES: Final = ("minimal", "everything", "kafka-mutual-tls", "http-tokens", "openshift")
LARGE: Final[Mapping[str, str]] = {
    "dashboards.enabled": "equal to the shipped boards",
    "prometheusRule.enabled": "equal to the tested rules",
}
"""What is left out of them, and how else it is held."""


def golden() -> dict[str, str]:
    """Each of them by the name of its values in the chart's `ci`."""
    off = [f"--set={path}=false" for path in LARGE]
    return {name: rendered_text(CHART / "ci" / f"{name}-values.yaml", *off) for name in NAMES}


if __name__ == "__main__":
    try:
        for name, text in golden().items():
            (FOLDER / f"{name}.yaml").write_text(text, encoding="utf-8")
    except Refused as refused:
        raise SystemExit(str(refused)) from None
