"""A Grafana for provisioning tests: its HTTP API as it is documented, on loopback, with a memory.

It keeps folders, dashboards with their versions, and alert rules; it adds what Grafana adds, and
refuses what Grafana refuses, as of the version that it plays. Scripted answers come before its own.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN: Final = "glsa_correct-horse-battery_staple"  # noqa: S105 # of nobody
USER: Final = "ops"
PASSWORD: Final = "wrong:pony/but+long"  # noqa: S105 # of nobody

Reply = tuple[int, Any]

PAGE: Final = (
    "<html><head><title>502 Bad\n Gateway</title></head><body>message: oh no</body></html>"
)


@dataclass(frozen=True, slots=True)
class Request:
    """One that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(slots=True)
class Scripted:
    """An answer in place of Grafana's own, to the next request that it is meant for.

    Attributes:
        done: Grafana does what it was asked to all the same, only its answer is lost.
        meanwhile: happens first; then Grafana answers as it does.
    """

    method: str
    path: str
    status: int = 0
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    slow_s: float = 0.0
    cut: bool = False
    done: bool = False
    meanwhile: Callable[[], object] | None = None


class FakeGrafana:
    """Listens on loopback while it is entered.

    Attributes:
        version: whose manners it has.
        role: of whoever logs in; a `Viewer` may not write, and only an `Admin` sees data sources.
    """

    def __init__(
        self,
        version: tuple[int, int, int] = (12, 4, 0),
        *,
        prefix: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.version = version
        self.role = "Admin"
        self.folders: dict[str, dict[str, Any]] = {}
        self.dashboards: dict[str, dict[str, Any]] = {}
        self.datasources = {"prometheus"}
        self.rules: dict[str, dict[str, Any]] = {}
        self.intervals_s: dict[tuple[str, str], int] = {}
        self.requests: list[Request] = []
        self.script: list[Scripted] = []
        self.still_found: list[dict[str, Any]] = []
        self._ids = 0
        self._prefix = prefix
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _handler(self))
        self._scheme = "http"
        if tls is not None:
            self._scheme = "https"
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> FakeGrafana:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self._server.server_address[1]}{self._prefix}"

    @property
    def writes(self) -> list[str]:
        """What was asked for that changes something, as `METHOD path`."""
        return [f"{each.method} {each.path}" for each in self.requests if each.method != "GET"]

    def answer_next(self, method: str, path: str, **answer: Any) -> None:
        """Answer the next *method* to a path that begins with *path* otherwise."""
        self.script.append(Scripted(method, path, **answer))

    def handle(self, request: Request) -> tuple[Scripted | None, Reply]:
        """What to answer, and what came of it."""
        with self._lock:
            self.requests.append(request)
            scripted = self._scripted(request)
            if scripted is not None and scripted.meanwhile is not None:
                scripted.meanwhile()
                scripted = None
            if scripted is not None and not scripted.done:
                return scripted, (scripted.status, scripted.body)
            return scripted, self._own(request)

    def _scripted(self, request: Request) -> Scripted | None:
        for each in self.script:
            if each.method == request.method and request.path.startswith(each.path) and each.times:
                each.times -= 1
                return each
        return None

    def _own(self, request: Request) -> Reply:
        path = request.path
        if not path.startswith(f"{self._prefix}/"):
            return 404, {"message": "Not found"}
        split = urlsplit(path.removeprefix(self._prefix))
        if split.path == "/api/health":
            return 200, {"database": "ok", "version": ".".join(map(str, self.version))}
        if not self._is_known(request.headers.get("Authorization", "")):
            return 401, {"message": "Invalid API key"}
        if self.role == "Viewer" and request.method != "GET":
            return 403, {"accessErrorId": "ACE1", "message": "You'll need additional permissions"}
        for method, pattern, route in _ROUTES:
            found = re.fullmatch(pattern, split.path)
            if found and method == request.method:
                query = {key: values[0] for key, values in parse_qs(split.query).items()}
                return route(self, request, [unquote(part) for part in found.groups()], query)
        return 404, {"message": "Not found"}

    def _is_known(self, written: str) -> bool:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return written in (f"Bearer {TOKEN}", f"Basic {pair}")

    def _next_id(self) -> int:
        self._ids += 1
        return self._ids

    # -- folders -------------------------------------------------------------------------------

    def get_folder(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        if at[0] not in self.folders:
            return 404, {"status": "not-found", "message": "folder not found"}
        return 200, self.folders[at[0]]

    def post_folder(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        uid, title = request.body["uid"], request.body["title"]
        if uid in self.folders:
            return 412, {"message": "a folder with the same uid already exists"}
        if any(folder["title"] == title for folder in self.folders.values()):
            return 409, {"message": "a folder with the same name already exists in the location"}
        self.folders[uid] = {"id": self._next_id(), "uid": uid, "title": title, "version": 1}
        return 200, self.folders[uid]

    def put_folder(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        if at[0] not in self.folders:
            return 404, {"status": "not-found", "message": "folder not found"}
        folder = self.folders[at[0]]
        is_current = request.body.get("version") == folder["version"]
        if not request.body.get("overwrite") and not is_current:
            return 412, {"status": "version-mismatch", "message": "the folder has been changed"}
        folder |= {"title": request.body["title"], "version": folder["version"] + 1}
        return 200, folder

    # -- dashboards ----------------------------------------------------------------------------

    def get_dashboard(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        if at[0] not in self.dashboards:
            return 404, {"message": "Dashboard not found"}
        kept = self.dashboards[at[0]]
        return 200, {"dashboard": kept["content"], "meta": {"slug": "x", **kept["meta"]}}

    def post_dashboard(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        sent = json.loads(json.dumps(request.body["dashboard"]))
        folder, uid = request.body.get("folderUid", ""), sent["uid"]
        if folder and folder not in self.folders:
            return 400, {"message": "folder not found"}
        there = self.dashboards.get(uid)
        if there is not None and there["meta"].get("provisioned"):
            return 400, {"message": "Cannot save provisioned dashboard"}
        if not request.body.get("overwrite"):
            if there is not None and sent.get("version") != there["content"]["version"]:
                if self.version >= (13, 0, 0):
                    return 409, {
                        "message": "Dashboard already exists. Use overwrite flag to update."
                    }
                return 412, {"status": "version-mismatch", "message": "changed by someone else"}
            if self.version < (12, 0, 0) and self._has_title(sent["title"], folder, uid):
                return 412, {"status": "name-exists", "message": "A dashboard with the same name"}
        before = there["content"] if there else {"id": self._next_id(), "version": 0}
        version = before["version"] + 1
        content = {**sent, "id": before["id"], "uid": uid, "version": version}
        self.dashboards[uid] = {
            "content": content,
            "meta": {"folderUid": folder, "provisioned": False, "version": version},
        }
        return 200, {"status": "success", "uid": uid, "version": version, "id": before["id"]}

    def _has_title(self, title: str, folder: str, uid: str) -> bool:
        return any(
            each["content"]["title"] == title and each["meta"]["folderUid"] == folder and at != uid
            for at, each in self.dashboards.items()
        )

    def delete_dashboard(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        if at[0] not in self.dashboards:
            return 404, {"message": "Dashboard not found"}
        gone = self.dashboards.pop(at[0])
        self.still_found.append(_hit(gone))
        return 200, {"title": gone["content"]["title"], "message": "deleted", "uid": at[0]}

    def search(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        hits = [_hit(each) for each in self.dashboards.values()] + self.still_found
        hits = [hit for hit in hits if query["tag"] in hit["tags"]]
        limit, page = int(query["limit"]), int(query.get("page", 1))
        return 200, hits[(page - 1) * limit : page * limit]

    # -- alert rules ---------------------------------------------------------------------------

    def get_datasource(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        if self.role == "Editor":
            return 403, {"message": "You'll need additional permissions"}
        if at[0] not in self.datasources:
            return 404, {"message": "Data source not found"}
        return 200, {"uid": at[0], "type": "prometheus"}

    def get_rules(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        return 200, list(self.rules.values())

    def get_rule(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        return (200, self.rules[at[0]]) if at[0] in self.rules else (404, None)

    def post_rule(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        rule = request.body
        if rule["uid"] in self.rules:
            return 400, {"message": "a conflicting alert rule is found: rule UID should be unique"}
        refused = self._wrong_with(rule)
        if refused is not None:
            return refused
        self._keep_rule(rule, rule["folderUID"], rule["ruleGroup"], request)
        self.intervals_s.setdefault((rule["folderUID"], rule["ruleGroup"]), 60)
        return 201, self.rules[rule["uid"]]

    def get_group(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        folder, group = at
        rules = self._rules_of(folder, group)
        if not rules:
            return 404, {"message": "rule group not found"}
        interval_s = self.intervals_s[folder, group]
        return 200, {"title": group, "folderUid": folder, "interval": interval_s, "rules": rules}

    def put_group(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        folder, group = at
        for rule in request.body["rules"]:
            refused = self._wrong_with({**rule, "folderUID": folder})
            if refused is not None:
                return refused
            if rule["uid"] not in self.rules and self.version < (11, 5, 2):
                return 500, {"message": "Internal Server Error", "traceID": ""}
        uids = {rule["uid"] for rule in request.body["rules"]}
        for rule in self._rules_of(folder, group):
            if rule["uid"] not in uids:
                del self.rules[rule["uid"]]
        for rule in request.body["rules"]:
            self._keep_rule(rule, folder, group, request)
        self.intervals_s[folder, group] = request.body["interval"]
        return 200, request.body

    def delete_rule(self, request: Request, at: list[str], query: dict[str, str]) -> Reply:
        rule = self.rules.get(at[0])
        if rule is not None and rule["provenance"] not in ("", "api"):
            return 409, {"messageId": "alerting.provenanceMismatch", "message": "needs 'file'"}
        self.rules.pop(at[0], None)
        return 204, None

    def _rules_of(self, folder: str, group: str) -> list[dict[str, Any]]:
        return [
            rule
            for rule in self.rules.values()
            if (rule["folderUID"], rule["ruleGroup"]) == (folder, group)
        ]

    def _wrong_with(self, rule: dict[str, Any]) -> Reply | None:
        if rule["folderUID"] not in self.folders:
            return 404, {"message": "folder does not exist"}
        if not re.fullmatch(r"[a-zA-Z0-9-_]{1,40}", rule["uid"]):
            return 400, {"message": "invalid alert rule: uid"}
        if not all("refId" in query for query in rule["data"]):
            return 400, {"message": "invalid alert rule: refId is missing"}
        kept = self.rules.get(rule["uid"])
        if kept is not None and kept["provenance"] == "file":
            return 409, {"message": "cannot change provenance from 'file' to ''"}
        return None

    def _keep_rule(self, sent: dict[str, Any], folder: str, group: str, request: Request) -> None:
        """As Grafana keeps it: with what it adds, and durations in its own spelling."""
        rule = json.loads(json.dumps(sent))
        for query in rule["data"]:
            query["model"] = {"intervalMs": 1000, "maxDataPoints": 43200, **query["model"]}
        is_open = "x-disable-provenance" in {key.lower() for key in request.headers}
        kept = {
            "notification_settings": None,
            "record": None,
            "keep_firing_for": "0s",
            **rule,
            "id": self.rules.get(rule["uid"], {}).get("id") or self._next_id(),
            "orgID": 1,
            "folderUID": folder,
            "ruleGroup": group,
            "updated": "2026-11-25T10:00:00Z",
            "provenance": "" if is_open else "api",
        }
        kept["for"] = _respelt(kept["for"])
        kept["keep_firing_for"] = _respelt(kept["keep_firing_for"])
        if self.version < (12, 0, 0):
            del kept["keep_firing_for"]
        self.rules[rule["uid"]] = kept


def _respelt(written: str) -> str:
    """`60s` is `1m` and `90m` is `1h30m` in the answers of Grafana."""
    found = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", written)
    assert found is not None, written
    hours, minutes, seconds = (int(each or 0) for each in found.groups())
    minutes, seconds = minutes + seconds // 60, seconds % 60
    hours, minutes = hours + minutes // 60, minutes % 60
    parts = [(hours, "h"), (minutes, "m"), (seconds, "s")]
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def _hit(kept: dict[str, Any]) -> dict[str, Any]:
    content = kept["content"]
    return {
        "uid": content["uid"],
        "title": content["title"],
        "type": "dash-db",
        "tags": content.get("tags", []),
        "folderUid": kept["meta"]["folderUid"],
    }


_PROVISIONING: Final = "/api/v1/provisioning"
_GROUP: Final = rf"{_PROVISIONING}/folder/([^/]+)/rule-groups/([^/]+)"
_Route = Callable[[FakeGrafana, Request, list[str], dict[str, str]], Reply]

_ROUTES: Final[tuple[tuple[str, str, _Route], ...]] = (
    ("GET", "/api/folders/([^/]+)", FakeGrafana.get_folder),
    ("POST", "/api/folders", FakeGrafana.post_folder),
    ("PUT", "/api/folders/([^/]+)", FakeGrafana.put_folder),
    ("GET", "/api/dashboards/uid/([^/]+)", FakeGrafana.get_dashboard),
    ("POST", "/api/dashboards/db", FakeGrafana.post_dashboard),
    ("DELETE", "/api/dashboards/uid/([^/]+)", FakeGrafana.delete_dashboard),
    ("GET", "/api/search", FakeGrafana.search),
    ("GET", "/api/datasources/uid/([^/]+)", FakeGrafana.get_datasource),
    ("GET", f"{_PROVISIONING}/alert-rules", FakeGrafana.get_rules),
    ("POST", f"{_PROVISIONING}/alert-rules", FakeGrafana.post_rule),
    ("GET", f"{_PROVISIONING}/alert-rules/([^/]+)", FakeGrafana.get_rule),
    ("DELETE", f"{_PROVISIONING}/alert-rules/([^/]+)", FakeGrafana.delete_rule),
    ("GET", _GROUP, FakeGrafana.get_group),
    ("PUT", _GROUP, FakeGrafana.put_group),
)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self) -> None:
        """Without the look-up of a host name, which takes a second where nobody answers it."""
        socketserver.TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that trusts nobody hangs up; that is what some tests are about."""


def _handler(grafana: FakeGrafana) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _do(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(
                self.command, self.path, dict(self.headers), json.loads(sent) if sent else None
            )
            scripted, (status, body) = grafana.handle(request)
            if scripted is not None:
                time.sleep(scripted.slow_s)
                if scripted.cut:
                    self._cut()
                    return
                if scripted.done:
                    status, body = scripted.status, scripted.body
            is_page = isinstance(body, str)
            written = b"" if body is None else (body if is_page else json.dumps(body)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if is_page else "application/json")
            for name, value in (scripted.headers if scripted else {}).items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(written)))
            self.end_headers()
            self.wfile.write(written)

        do_GET = do_POST = do_PUT = do_DELETE = _do  # noqa: N815 # http.server's names

        def _cut(self) -> None:
            """Half an answer, then nothing."""
            self.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"dash')
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)

        def log_message(self, format: str, *arguments: Any) -> None:
            pass

    return Handler
