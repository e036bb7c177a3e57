"""The boards as Grafana reads them, written beside this module.

`python -m dashboards.grafana.generate` writes them, `--check` only says whether what is there is
what would be written (exit code 1 if not).
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Final

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.grafana import DEFAULT_NAME
from dashboards.grafana.boards import BOARDS

FOLDER: Final = Path(__file__).parent / "generated"


def rendered(installation: str = DEFAULT_NAME) -> dict[str, str]:
    """The text of every file by its name, for *installation*."""
    texts = {}
    for build in BOARDS:
        board = build(installation)
        if board.uid is None:
            raise ValueError(f"the board {board.title!r} has no uid, so it has no file")
        name = board.uid.removeprefix(f"{installation}-")
        plain = as_meant(json.loads(json.dumps(board, cls=JSONEncoder)))
        encoded = json.dumps(plain, sort_keys=True, indent=2, ensure_ascii=False)
        texts[f"{name}.json"] = f"{encoded}\n"
    return texts


def as_meant(board: dict[str, Any]) -> dict[str, Any]:
    """*board* without what the SDK says although nobody has asked for it.

    It hides links and annotations in a menu, gives every variable the steps of an interval, and
    tables a footer where Grafana 13 has none.
    """
    for part in (*board["links"], *board["annotations"]["list"]):
        part.pop("placement", None)
    for variable in board["templating"]["list"]:
        for key in ("auto", "auto_count", "auto_min"):
            variable.pop(key, None)
    for panel in board["panels"]:
        if panel["type"] == "table":
            panel["options"].pop("footer", None)
    return board


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    wanted = rendered()
    there = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    differing = sorted(
        name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name)
    )
    if check:
        for name in differing:
            sys.stderr.write(f"{FOLDER.name}/{name} is not what the builders make; run this anew\n")
        return 1 if differing else 0
    for name in differing:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main())
