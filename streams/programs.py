"""Where the real Prometheus, Alertmanager and other programs of Go modules are on this machine.

Only looks; `make programs` and `make cluster-programs` build them into the user's cache, from the
locks in `requirements/go`: a folder per Go module, named as what is built from it.
"""

from __future__ import annotations

import hashlib
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Final

from streams.user_cache import user_cache

LOCKS: Final = Path(__file__).parents[1] / "requirements" / "go"
"""In a checkout; an installed package has none."""

LOCK_FILES: Final = ("go.mod", "go.sum", "files.txt", "ldflags.txt")
"""`files.txt` only where a module's own files are wanted: a line `MODULE PATTERN` for each.
`ldflags.txt` only where a program has to be told something, such as its version."""

_TOOL: Final = re.compile(r"^(?:tool |\t)([\w./-]+)$", re.MULTILINE)
_MAJOR_VERSION: Final = re.compile(r"v\d+")


def default_folder() -> Path:
    """Where built programs are kept between runs."""
    return user_cache("programs")


def find_program(name: str) -> Path | None:
    """The program *name* of the locked version, else the first one on the PATH, else None."""
    for lock in locks():
        if name in programs_of(lock):
            built = home_of(lock, default_folder()) / name
            if built.exists():
                return built
    on_path = shutil.which(name)
    return None if on_path is None else Path(on_path)


def locks() -> list[Path]:
    """The folders of `requirements/go`; none outside a checkout."""
    return sorted(file.parent for file in LOCKS.glob("*/go.mod"))


def programs_of(lock: Path) -> list[str]:
    """The names of the programs that the `tool` lines of the folder *lock* ask for."""
    packages = _TOOL.findall((lock / "go.mod").read_text(encoding="utf-8"))
    paths = [package.split("/") for package in packages]
    return [path[-2] if _MAJOR_VERSION.fullmatch(path[-1]) else path[-1] for path in paths]


def files_of(lock: Path) -> list[tuple[str, str]]:
    """The files that the folder *lock* asks for: (module, pattern of paths inside it) each."""
    wanted = lock / "files.txt"
    lines = wanted.read_text(encoding="utf-8").splitlines() if wanted.exists() else []
    return [(module, pattern) for module, pattern in map(str.split, lines)]


def home_of(lock: Path, folder: Path) -> Path:
    """Where in *folder* the programs and files of the folder *lock* are, once they are built.

    Another version is another folder, so checkouts of different ages share a cache.
    """
    key = hashlib.sha256()
    for name in LOCK_FILES:
        if (lock / name).exists():
            key.update((lock / name).read_bytes())
    key.update(f"{sys.platform} {platform.machine()}".encode())
    return folder / f"{lock.name}-{key.hexdigest()[:12]}"
