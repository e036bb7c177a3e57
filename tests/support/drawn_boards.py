"""A board drawn by Grafana's own components, over a real Prometheus. It is not Grafana itself."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from tests.support.boards import VALUES, Board, interpolated
from tests.support.node_packages import drawing_page
from tests.support.prometheus import RunningPrometheus
from tests.support.running import HOST

PICTURES: Final = Path(__file__).parents[2] / "build" / "pictures"
"""Where pictures are left for people to look at; git does not know the folder."""


class _Server(SimpleHTTPRequestHandler):
    def __init__(
        self, *given: Any, board: bytes, prometheus: RunningPrometheus, **more: Any
    ) -> None:
        self._board = board
        self._prometheus = prometheus
        super().__init__(*given, **more)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a test reads what is drawn."""

    def do_GET(self) -> None:  # the name that the library calls
        """The board, an answer of Prometheus, or a file of the page."""
        asked = urlsplit(self.path)
        if asked.path == "/board.json":
            self._answer(200, self._board)
        elif asked.path.startswith("/api/"):
            self._answer(
                *self._prometheus.request("GET", asked.path, **dict(parse_qsl(asked.query)))
            )
        else:
            super().do_GET()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def drawn(
    board: Board, prometheus: RunningPrometheus, values: Mapping[str, str] = VALUES
) -> Iterator[str]:
    """The address of a page that draws *board*, with *values* for its variables."""
    handler = partial(
        _Server,
        board=json.dumps(with_values(board, values)).encode(),
        prometheus=prometheus,
        directory=str(drawing_page()),
    )
    with ThreadingHTTPServer((HOST, 0), handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://{HOST}:{server.server_port}/"
        finally:
            server.shutdown()
            serving.join()


def with_values(board: Board, values: Mapping[str, str]) -> Board:
    """*board* with queries and titles as Grafana shows them."""

    def shown(panel: dict[str, Any]) -> dict[str, Any]:
        targets = [
            {**each, "expr": interpolated(each["expr"], values)}
            for each in panel.get("targets", ())
        ]
        return {
            **panel,
            "title": interpolated(panel["title"], values),
            **({"targets": targets} if targets else {}),
        }

    return {**board, "panels": [shown(panel) for panel in board["panels"]]}
