"""Grafana boards: built with the Grafana Foundation SDK, shipped as JSON.

What is shipped is in `generated`, for an installation of the name `floorwatch`, and needs no SDK.
`python -m dashboards.grafana.generate` writes it anew from `boards`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final

DEFAULT_NAME: Final = "floorwatch"
"""The installation whose boards are shipped."""

_OWN: Final = re.compile(rf"(?<=/d/){DEFAULT_NAME}(?=-)")


def shipped(installation: str = DEFAULT_NAME) -> dict[str, dict[str, Any]]:
    """Every board by its uid, with uids, links, titles and tags of *installation*."""
    boards = {}
    for file in files(__package__).joinpath("generated").iterdir():
        if file.name.endswith(".json"):
            board = of_installation(json.loads(file.read_text(encoding="utf-8")), installation)
            boards[board["uid"]] = board
    return boards


def of_installation(board: Mapping[str, Any], installation: str) -> dict[str, Any]:
    """*board*, which is the default installation's, as that of *installation*."""
    renamed = {key: _with_links_to(installation, part) for key, part in board.items()}
    return renamed | {
        "uid": installation + board["uid"].removeprefix(DEFAULT_NAME),
        "title": installation + board["title"].removeprefix(DEFAULT_NAME),
        "tags": [installation],
    }


def _with_links_to(installation: str, part: object) -> object:
    if isinstance(part, list):
        return [_with_links_to(installation, each) for each in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _OWN.sub(installation, value)
        if key == "url" and isinstance(value, str)
        else _with_links_to(installation, value)
        for key, value in part.items()
    }
