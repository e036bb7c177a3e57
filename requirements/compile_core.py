"""The hot part of the core as machine code, from the same source: optional, by mypyc.

    python -m requirements.compile_core FOLDER

FOLDER holds the packages `schemas` and `streams`, as an install or a copy of them has it. Extension
modules are put beside their sources there, and Python takes them instead of these. Needs mypy,
setuptools and a C compiler. Whoever changes a source afterwards has to run it again, so it is never
run on the checkout itself.
"""

import os
import shutil
import sys
from pathlib import Path
from typing import Final

from mypyc.build import mypycify
from setuptools import Distribution
from setuptools.command.build_ext import build_ext

MODULES: Final = (
    "schemas/codec.py",
    "schemas/instants.py",
    *(
        f"streams/core/{name}.py"
        for name in (
            *("blocks", "calendar", "contact", "panes", "partition", "policy", "queue_tally"),
            *("schedule", "sources", "tally"),
            *("reporting", "snapshot"),  # have classes derived from those
        )
    ),
)
"""What every event goes through. A compiled class has no subclass that is not."""

BESIDE: Final = "build-of-the-core"


def compile_in(folder: Path) -> None:
    """Compile `MODULES` under *folder*, in place."""
    os.chdir(folder)
    options = ["--config-file=", "--no-error-summary", *MODULES]
    extensions = mypycify(options, opt_level="3", target_dir=BESIDE)
    command = build_ext(Distribution({"ext_modules": extensions}))
    command.inplace = True
    command.build_temp = command.build_lib = BESIDE
    command.ensure_finalized()
    command.run()
    shutil.rmtree(BESIDE)


if __name__ == "__main__":
    compile_in(Path(sys.argv[1]))
