"""Run a command that must not outlive whoever started it.

`python leash.py [--removing FOLDER] COMMAND...` runs COMMAND and ends it when standard input
closes, which also happens when the starting process is killed. FOLDER is removed then, unless the
last word on standard input was `KEEP`. Standard library only and no import of ours, so that it
starts in milliseconds in an isolated interpreter.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import threading
from typing import Final

KEEP: Final = b"keep"
PATIENCE_S: Final = 15.0
PR_SET_PDEATHSIG: Final = 1  # prctl(2): the signal for this process when its parent's thread ends


def die_with_parent() -> None:
    """On Linux, have the kernel kill this process when its parent ends, however it ends."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end(command: subprocess.Popen[bytes]) -> None:
    """Ask *command* to end, and kill it when it has not after `PATIENCE_S` seconds."""
    command.terminate()
    try:
        command.wait(PATIENCE_S)
    except subprocess.TimeoutExpired:
        command.kill()


def main() -> int:
    """Run the command; its exit code is ours."""
    arguments = sys.argv[1:]
    folder = None
    if arguments[0] == "--removing":
        folder, arguments = arguments[1], arguments[2:]
    # The fork happens here, in the main thread: the kernel watches the thread, not the process.
    command = subprocess.Popen(  # noqa: S603 - the caller's own command, no shell
        arguments,
        stdin=subprocess.DEVNULL,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - no other thread runs yet
    )
    last_words: list[bytes] = []

    def end_when_released() -> None:
        last_words.append(os.read(0, len(KEEP)))  # a buffered read would lock at our own exit
        end(command)

    threading.Thread(target=end_when_released, daemon=True).start()
    code = command.wait()
    if folder is not None and last_words and last_words != [KEEP]:
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
