"""`floorwatch` with every line of its log, as somebody would run it who looks for a fault.

Only the client library of Kafka stays as quiet as the worker keeps it.
"""

import logging
from typing import Any

from streams.cli import main

_configure = logging.basicConfig


def _loudly(**options: Any) -> None:
    _configure(**{**options, "level": logging.DEBUG})
    for name in ("faust", "mode"):
        logging.getLogger(name).setLevel = lambda level: None  # type: ignore[method-assign] # it is kept loud
        logging.Logger.setLevel(logging.getLogger(name), logging.DEBUG)


if __name__ == "__main__":
    logging.basicConfig = _loudly
    main()
