"""Faults planted in the product, which the soak has to find: `python -m tests.support.planted`.

Each is one change of one line or two, made in a copy of the checkout, whose soak then has to find
a difference. Names as arguments choose some of them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.commands import ROOT

FOUND: Final = re.compile(r"^seed (\d+), .*", re.MULTILINE)
LEFT_OUT: Final = (".git", ".venv*", ".*_cache", ".hypothesis", "__pycache__")


@dataclass(frozen=True)
class Fault:
    """One way to break the product: in *file*, *right* becomes *wrong*.

    Attributes:
        kinds: what has to go wrong outside for it to matter; all kinds where it is empty.
    """

    name: str
    file: str
    right: str
    wrong: str
    kinds: str = ""

    def plant(self, root: Path) -> None:
        """Break the checkout at *root*.

        Raises:
            ValueError: what it breaks is not there, or stands there twice.
        """
        path = root / self.file
        code = path.read_text(encoding="utf-8")
        if code.count(self.right) != 1:
            raise ValueError(f"{self.name}: {self.file} has {code.count(self.right)} such places")
        path.write_text(code.replace(self.right, self.wrong), encoding="utf-8")


_CLAIMED: Final = (
    "                    await _read_to(consumer, await self._claim(claimed), ledgers, patience)\n"
    "                    left = [\n"
    "                        tp\n"
)

FAULTS: Final = (
    Fault(
        "seek: seven records too far",
        "streams/transport.py",
        "starts[tp] = firsts[tp] if start is None else start\n",
        "starts[tp] = firsts[tp] if start is None else min(ends[tp], start + 7)\n",
    ),
    Fault(
        "claim: everybody owns in the same epoch",
        "streams/state_log.py",
        "claimed = {tp: max(ledgers[tp].epoch, epochs[tp]) + 1 for tp in left}\n"
        + _CLAIMED
        + "                        for tp in left\n",
        "claimed = dict.fromkeys(left, 1)\n" + _CLAIMED + "                        for tp in ()\n",
        "freeze,silence,kill,stop",
    ),
    Fault(
        "manifest order: what it replaces is removed before it is written",
        "streams/snapshots.py",
        "        key = manifest_key(tp, owned.epoch, owned.serial)\n",
        "        key = manifest_key(tp, owned.epoch, owned.serial)\n"
        "        written = {part_key(tp, owned.epoch, p.serial) for p in owned.written.values()}\n"
        "        await self._remove(owned, written)\n"
        "        await asyncio.sleep(1.0)\n",
        "kill",
    ),
    Fault(
        "dedupe: whatever comes twice counts twice",
        "streams/core/partition.py",
        "if key in life.ids or (life.earlier is not None and _is_known(life.earlier, key)):",
        "if key == key + life.home * 0 + '!':",
    ),
    Fault(
        "counter restore: totals begin at zero again",
        "streams/core/snapshot.py",
        "            tally.counters = counters\n",
        "            tally.counters = dict.fromkeys(counters, 0)\n",
        "kill,stop,add,remove",
    ),
    Fault(
        "tick alignment: restored panes stand one tick later",
        "streams/core/snapshot.py",
        "tally.put_pane(number, sums)",
        "tally.put_pane(number + 1, sums)",
        "kill,stop,add,remove",
    ),
)


def main() -> int:
    """Plant the faults one after another; the exit code: 1 if one was not found."""
    parser = argparse.ArgumentParser(prog="planted", description=__doc__)
    parser.add_argument("names", nargs="*", help="beginnings of names; all faults without any")
    parser.add_argument("--schedules", type=int, default=20, help="how many may pass at most")
    parser.add_argument("--lanes", type=int, default=2)
    asked = parser.parse_args()
    missed = 0
    for fault in FAULTS:
        if asked.names and not fault.name.startswith(tuple(asked.names)):
            continue
        found = _found_by(fault, asked.schedules, asked.lanes)
        missed += found is None
        print(f"{fault.name}\n    {found or 'NOT FOUND'}", flush=True)
    return int(missed > 0)


def _found_by(fault: Fault, schedules: int, lanes: int) -> str | None:
    """The first schedule that finds *fault*, with the first difference; None if none does."""
    with tempfile.TemporaryDirectory(prefix="floorwatch-planted-") as name:
        root = Path(name) / "floorwatch"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
        fault.plant(root)
        soak = subprocess.run(
            [
                *(sys.executable, "-m", "tests.support.soak", "--until-found"),
                *("--schedules", str(schedules), "--lanes", str(lanes)),
                *(("--kinds", fault.kinds) if fault.kinds else ()),
            ],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
        )
    seed = FOUND.search(soak.stdout)
    if seed is None:
        return None
    return "\n    ".join(soak.stdout[seed.start() :].splitlines()[:3])


if __name__ == "__main__":
    sys.exit(main())
