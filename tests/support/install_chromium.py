"""Make sure that this machine has a Chromium: find one, else install Debian's.

`python -m tests.support.install_chromium`, as `make test` does.
"""

import os
import shutil
import subprocess
import sys

from tests.support.chromium import ChromiumMissing, find_chromium

COMMANDS = (
    ("apt-get", "update", "-qq"),
    ("apt-get", "install", "-qq", "--yes", "--no-install-recommends", "chromium"),
)


def installed() -> bool:
    """Install Debian's package where this user may; say whether that worked."""
    rights = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if not all(shutil.which(program) for program in (*rights[:1], "apt-get")):
        return False
    surroundings = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return all(
        subprocess.run(
            [*rights, *command],
            check=False,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
        ).returncode
        == 0
        for command in COMMANDS
    )


def main() -> int:
    """0 when there is a Chromium in the end; else one line that says what would do."""
    try:
        find_chromium()
    except ChromiumMissing as missing:
        if not installed():
            sys.stderr.write(f"the tests need a Chromium: {missing}\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
