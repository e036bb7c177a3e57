"""Programs as containers run them, without an engine: Linux's own namespaces.

with Village(folder, ["kafka", "worker"]) as village:
    worker = village.start("worker", ["floorwatch", "worker"], {"PATH": path}, Lock())

A village is a network of its own in which nothing but loopback is, and its houses' names mean that.
So programs listen at the ports and call each other by the names that a composition gives them,
whatever else this machine does. Needs Linux with util-linux and iproute2, and root or user
namespaces.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple, Self, TypeVar

from streams import leash
from tests.support.running import PATIENCE_S

T = TypeVar("T")

NEEDED: Final = "no network of its own: it needs util-linux, iproute2, and root or user namespaces"

UID: Final = 54_321
"""Of nobody: no account of any machine has it, and no file of the image is its own."""

_IS_ROOT: Final = os.geteuid() == 0
_OWN_NETWORK: Final = """\
set -eu
ip link set lo up
mount --bind "$1" /etc/hosts
echo there
read over || true
"""
# Whatever is mounted is read-only, also what a container would have as a folder of its own. Should
# the Python of this machine be in a home that only root may see, all else of that home is hidden.
_READ_ONLY: Final = """\
set -eu
python=$1; aside=$2; folder=$3; kept=$4; shift 4
if ! setpriv {nobody} test -x "$python/bin/python3"; then
  home=/$(echo "$python" | cut -d / -f 2)
  mount --bind "$python" "$aside"
  mount -t tmpfs -o mode=755 tmpfs "$home"
  mkdir -p "$python"
  mount --bind "$aside" "$python"
fi
echo "$kept" | while read -r at; do
  if [ -n "$at" ]; then mount --bind "$at" "$at"; fi
done
findmnt --raw --noheadings --output TARGET | grep -vE '^/(proc|sys|dev)(/|$)' | grep -vxF "$kept" |
while read -r at; do
  if mountpoint --quiet "$at"; then mount -o remount,bind,ro "$at"; fi
done
cd "$folder"
exec setpriv {nobody} {powerless} "$@"
"""
_NOBODY: Final = f"--reuid {UID} --regid {UID} --clear-groups" if _IS_ROOT else ""
_POWERLESS: Final = "--no-new-privs --inh-caps=-all --bounding-set=-all"


class Lock(NamedTuple):
    """As a hardened container: a root that is only read, no rights, and an empty folder to be in.

    Attributes:
        as_nobody: as a user that nobody is; else as who runs the tests.
        writable: folders that are no part of the root, as volumes are.
    """

    as_nobody: bool = True
    writable: Sequence[Path] = ()


class House:
    """A program in a village; its output is in `log`."""

    def __init__(
        self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path
    ) -> None:
        self.name = name
        self._log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-I", leash.__file__, *command],
                env=dict(env),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def wait_until(self, true: Callable[[], T | None], what: str) -> T:
        """Ask *true* until it gives something that is not false, and return that."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := true()):
            tail = "\n".join(self.log().splitlines()[-30:])
            assert self.is_running, f"{self.name} ended before {what}:\n{tail}"
            assert time.monotonic() < deadline, f"in vain: {what}; {self.name} said:\n{tail}"
            time.sleep(0.2)
        return found

    def ended(self) -> int:
        """Its exit code, once it has ended by itself."""
        return self._process.wait(PATIENCE_S)

    def stop(self) -> int:
        """Send SIGTERM and wait; its exit code."""
        self._process.communicate(timeout=leash.PATIENCE_S + 30)
        return self._process.returncode


class Village:
    """A network of its own for programs that call each other by *names*; a context manager."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.folder = folder
        for name in ("aside", "empty"):
            (folder / name).mkdir(parents=True)
        self._hosts = folder / "hosts"
        here = ["localhost", os.uname().nodename, *names]
        self._hosts.write_text(f"127.0.0.1 {' '.join(here)}\n", encoding="utf-8")
        self._houses: list[House] = []
        self._keeper: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Make the network."""
        alone = [] if _IS_ROOT else ["--user", "--map-root-user"]
        self._keeper = subprocess.Popen(
            [
                *("unshare", *alone, "--net", "--mount", "sh", "-c", _OWN_NETWORK),
                *("sh", str(self._hosts)),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"there\n", NEEDED
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End all programs, the last one first, and the network."""
        for house in reversed(self._houses):
            house.stop()
        assert self._keeper is not None
        self._keeper.communicate(b"\n", timeout=PATIENCE_S)

    def start(self, name: str, command: Sequence[str], env: Mapping[str, str], lock: Lock) -> House:
        """Run *command* with the variables *env* and no others until the village ends.

        Args:
            name: what to call it, and its log.
            command: the program and its arguments.
            env: its variables.
            lock: what it may not do.
        """
        house = House(name, self._inside(command, lock), env, self.folder / f"{name}.log")
        self._houses.append(house)
        return house

    def run(
        self, command: Sequence[str], env: Mapping[str, str], lock: Lock
    ) -> subprocess.CompletedProcess[str]:
        """Run *command* to its end, as `start` does."""
        return subprocess.run(
            self._inside(command, lock),
            env=dict(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def _inside(self, command: Sequence[str], lock: Lock) -> list[str]:
        assert self._keeper is not None
        user = [] if _IS_ROOT else ["--user", "--preserve-credentials"]
        nobody = _NOBODY if lock.as_nobody else ""
        return [
            *("nsenter", "--target", str(self._keeper.pid), *user, "--net", "--mount"),
            *("unshare", "--mount", "sh", "-c"),
            _READ_ONLY.format(nobody=nobody, powerless=_POWERLESS),
            *("sh", sys.base_prefix, str(self.folder / "aside"), str(self.folder / "empty")),
            "\n".join(map(str, lock.writable)),
            *command,
        ]
