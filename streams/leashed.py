"""Another program beside this one, which ends when this one does, however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from streams import leash

ENDS_WITHIN_S: Final = 6.0
LINES_KEPT: Final = 15


class EndedByItself(RuntimeError):
    """A program that should go on has ended; the text has its last words."""


class Leashed:
    """A program as a process of its own; a context manager.

    Leaving it ends the program, gently if that takes no longer than `ENDS_WITHIN_S` seconds.

    Args:
        name: what people call it.
        command: the program and its arguments.
        environment: all of its variables; None for those of this process.
        removing: a folder that goes when it ends, even when this process is killed.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        removing: Path | None = None,
    ) -> None:
        self._name = name
        self._command = command
        self._environment = environment
        self._removing = removing
        self._words: deque[str] = deque(maxlen=LINES_KEPT)

    def __enter__(self) -> Leashed:
        """Start it; it may take seconds to come up."""
        removing = [] if self._removing is None else ["--removing", str(self._removing)]
        self._process = subprocess.Popen(  # noqa: S603 # the caller's own command, no shell
            [sys.executable, "-I", leash.__file__, *removing, *self._command],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,  # a terminal's Ctrl-C is for this process, which then ends it
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        """End it."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._listener.join()
        if process.stdout is not None:
            process.stdout.close()

    def require_running(self) -> None:
        """Do nothing while it runs.

        Raises:
            EndedByItself: it has ended.
        """
        if self._process.poll() is not None:
            self._listener.join()
            raise EndedByItself(f"{self._name} ended by itself; it said:\n{self.last_words()}")

    def last_words(self) -> str:
        """The last lines that it wrote."""
        return "".join(self._words).rstrip()

    def _listen(self) -> None:
        if self._process.stdout is not None:
            self._words.extend(self._process.stdout)
