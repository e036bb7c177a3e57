"""What a Grafana lacks of what is wanted, and how it gets there.

One thing after another is read, compared and, where it is otherwise, written. What Grafana answers
409 or 412 to (or, for an alert rule that is there already, 400) is read again: somebody else was
quicker, or our own request arrived and its answer was lost. So a run that was cut off is finished
by the next one, and a run after that finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Final, Literal, NamedTuple
from urllib.parse import quote, urlencode

from dashboards.provision.adapter import Grafana, GrafanaRefused, NotGrafana
from dashboards.provision.differences import (
    SINCE_12,
    Difference,
    between_dashboards,
    between_rules,
)
from dashboards.provision.wanted import Dashboard, Folder, RuleGroup, Wanted

Kind = Literal["folder", "dashboard", "alert rules", "alert rule"]
Action = Literal["create", "update", "delete"]

FORBIDDEN: Final = 403
NOT_THERE: Final = 404
PENDING: Final = 202
_ABSENT: Final = frozenset({NOT_THERE})
_TAKEN: Final = frozenset({400, 409, 412})
_TRIES: Final = 3
_PAGE: Final = 1_000

EDITABLE: Final = {"X-Disable-Provenance": "true"}
"""Leaves alert rules open to be paused and mended in Grafana, as the dashboards are."""


class Change(NamedTuple):
    """Something that is to be, or has been, made otherwise.

    Attributes:
        name: the uid, of alert rules the name of their group.
        differences: of an update.
    """

    action: Action
    kind: Kind
    name: str
    title: str
    differences: tuple[Difference, ...] = ()


class Fault(NamedTuple):
    """A thing that could not be read or written; the others go on without it."""

    kind: Kind
    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a run has found.

    Attributes:
        changes: made, or to be made where nothing was to be written.
        equal: things that were as they should be.
        leftover: things of ours that nothing wants any more and that stay.
        notes: what is worth knowing of this Grafana.
    """

    changes: tuple[Change, ...]
    equal: int
    leftover: tuple[Change, ...]
    notes: tuple[str, ...]
    faults: tuple[Fault, ...]


class _Held(Exception):
    """This thing stays as it is; the text says why and what would do."""


class _Step(NamedTuple):
    """What has to be done about one thing, as it was last read."""

    change: Change
    write: Callable[[], None]


class Reconciler:
    """Makes a Grafana what is wanted, or only says what that would be.

    Args:
        write: False to look only.
        prune: delete what is ours and not wanted any more.
    """

    def __init__(self, grafana: Grafana, wanted: Wanted, *, write: bool, prune: bool) -> None:
        self._grafana = grafana
        self._wanted = wanted
        self._write = write
        self._prune = prune
        self._changes: list[Change] = []
        self._leftover: list[Change] = []
        self._notes: list[str] = []
        self._faults: list[Fault] = []
        self._equal = 0
        self._has_folder = False

    def run(self) -> Outcome:
        """Look at everything, in the order in which one thing depends on another.

        Raises:
            GrafanaUnreachable: Grafana has stopped answering.
            GrafanaRefused: the account may not log in.
            NotGrafana: something else answers.
        """
        self._meet()
        wanted = self._wanted
        self._one("folder", wanted.folder.uid, lambda: self._folder(wanted.folder))
        for dashboard in wanted.dashboards:
            self._one("dashboard", dashboard.uid, partial(self._dashboard, dashboard))
        for uid in wanted.datasources:
            self._one("alert rules", uid, partial(self._look_for_datasource, uid))
        for group in wanted.groups:
            self._one("alert rules", group.name, partial(self._group, group))
        self._one("dashboard", wanted.tag, self._other_dashboards)
        if wanted.groups or self._prune:
            self._one("alert rules", wanted.folder.uid, self._other_rules)
        return Outcome(
            changes=tuple(self._changes),
            equal=self._equal,
            leftover=tuple(self._leftover),
            notes=tuple(dict.fromkeys(self._notes)),
            faults=tuple(self._faults),
        )

    def _meet(self) -> None:
        """Ask whether it is a Grafana at all; its health needs no login.

        Raises:
            NotGrafana: it is something else.
        """
        url = self._grafana.url
        try:
            body = self._grafana.call("GET", "/api/health").body
        except GrafanaRefused as refused:
            if refused.status != NOT_THERE:
                return  # somebody in between guards it; what follows will tell
            body = None
        if not isinstance(body, dict) or "database" not in body:
            raise NotGrafana(
                f"{url}: what answers there is no Grafana; name its address, with its path"
            )

    def _one(self, kind: Kind, name: str, look: Callable[[], Iterator[_Step | None]]) -> None:
        """Do all about one thing; a refusal concerns it alone, unless nobody is logged in."""
        try:
            for step in look():
                if step is None:
                    self._equal += 1
                else:
                    self._changes.append(step.change)
        except _Held as held:
            self._faults.append(Fault(kind, name, str(held)))
        except GrafanaRefused as refused:
            if refused.status == 401:
                raise
            self._faults.append(Fault(kind, name, str(refused)))

    def _settle(self, look: Callable[[], _Step | None]) -> _Step | None:
        """Look, write, and look again where something came in between; what was done."""
        for tries in count(1):
            step = look()
            if step is None or not self._write:
                return step
            try:
                step.write()
            except GrafanaRefused as refused:
                if refused.status not in _TAKEN or tries == _TRIES:
                    raise
                again = look()
                if again is not None and again.change == step.change:
                    raise
                if again is None:
                    return step
            else:
                return step
        raise AssertionError("unreachable")

    # -- folder --------------------------------------------------------------------------------

    def _folder(self, folder: Folder) -> Iterator[_Step | None]:
        yield self._settle(lambda: self._look_at_folder(folder))
        self._has_folder = self._has_folder or self._write

    def _look_at_folder(self, folder: Folder) -> _Step | None:
        path = f"/api/folders/{quote(folder.uid)}"
        answer = self._grafana.call("GET", path, but=_ABSENT)
        if answer.status == NOT_THERE:
            return _Step(
                Change("create", "folder", folder.uid, folder.title),
                lambda: self._call(
                    "POST", "/api/folders", {"uid": folder.uid, "title": folder.title}
                ),
            )
        self._has_folder = True
        theirs = answer.body["title"]
        if theirs == folder.title:
            return None
        change = Change(
            "update",
            "folder",
            folder.uid,
            folder.title,
            (Difference("title", theirs, folder.title),),
        )
        return _Step(
            change,
            lambda: self._call("PUT", path, {"title": folder.title, "overwrite": True}),
        )

    # -- dashboards ----------------------------------------------------------------------------

    def _dashboard(self, dashboard: Dashboard) -> Iterator[_Step | None]:
        yield self._settle(lambda: self._look_at_dashboard(dashboard))

    def _look_at_dashboard(self, dashboard: Dashboard) -> _Step | None:
        answer = self._grafana.call("GET", _dashboard_path(dashboard.uid), but=_ABSENT)
        # Never "overwrite": Grafana up to 11 would replace a stranger of the same title with it.
        body = {
            "dashboard": dict(dashboard.content),
            "folderUid": dashboard.folder_uid,
            "message": "floorwatch provision",
            "overwrite": False,
        }
        if answer.status == NOT_THERE:
            return _Step(
                Change("create", "dashboard", dashboard.uid, dashboard.title),
                lambda: self._save(dashboard, body),
            )
        theirs, meta = answer.body["dashboard"], answer.body["meta"]
        if meta.get("provisioned") and not between_dashboards(theirs, dashboard.shipped):
            return None  # a file put it there, as it is shipped: it is the same in any folder
        found = between_dashboards(theirs, dashboard.content)
        if (meta.get("folderUid") or "") != dashboard.folder_uid:
            found.insert(0, Difference("folder", meta.get("folderUid") or "", dashboard.folder_uid))
        if not found:
            return None
        if meta.get("provisioned"):
            raise _Held(
                f"dashboard {dashboard.uid!r} comes from a file of Grafana's own provisioning and "
                "differs from ours: provision it there or here, not both"
            )
        body["dashboard"] = {**dashboard.content, "version": theirs["version"]}
        return _Step(
            Change("update", "dashboard", dashboard.uid, dashboard.title, tuple(found)),
            lambda: self._save(dashboard, body),
        )

    def _save(self, dashboard: Dashboard, body: Mapping[str, Any]) -> None:
        answer = self._grafana.call("POST", "/api/dashboards/db", body)
        if answer.status == PENDING:
            raise _Held(
                f"dashboard {dashboard.uid!r}: Grafana has passed it on and not saved it (202, "
                "pending): approve it where its changes are approved"
            )

    def _other_dashboards(self) -> Iterator[_Step | None]:
        """Those that carry our tag and our name, and are wanted no more."""
        names = {dashboard.uid for dashboard in self._wanted.dashboards}
        for uid in sorted(set(self._tagged()) - names):
            if not uid.startswith(self._wanted.prefix):
                continue  # somebody's copy keeps the tag, but not the name
            answer = self._grafana.call("GET", _dashboard_path(uid), but=_ABSENT)
            if answer.status == NOT_THERE:
                continue  # the search knows it for a while after it has gone
            content = answer.body["dashboard"]
            if self._wanted.tag not in (content.get("tags") or ()):
                continue
            change = Change("delete", "dashboard", uid, content.get("title", ""))
            yield from self._remove(change, f"/api/dashboards/uid/{quote(uid)}", None)

    def _tagged(self) -> Iterator[str]:
        for page in count(1):
            query = urlencode(
                {"type": "dash-db", "tag": self._wanted.tag, "limit": _PAGE, "page": page}
            )
            hits = self._grafana.call("GET", f"/api/search?{query}").body or []
            yield from (hit["uid"] for hit in hits)
            if len(hits) < _PAGE:
                return

    # -- alert rules ---------------------------------------------------------------------------

    def _look_for_datasource(self, uid: str) -> Iterator[_Step | None]:
        """Tell if it is not there; whoever may not look is not told. There is nothing to do."""
        path = f"/api/datasources/uid/{quote(uid, safe='')}"
        if self._grafana.call("GET", path, but=_ABSENT | {FORBIDDEN}).status == NOT_THERE:
            self._notes.append(
                f"there is no data source with the uid {uid!r}, so the alert rules fail until "
                "there is; --datasource names another"
            )
        yield from ()

    def _group(self, group: RuleGroup) -> Iterator[_Step | None]:
        yield self._settle(lambda: self._look_at_group(group))

    def _look_at_group(self, group: RuleGroup) -> _Step | None:
        path = _group_path(group)
        theirs: Mapping[str, Any] = {}
        if self._has_folder:
            answer = self._grafana.call("GET", path, but=_ABSENT)
            theirs = answer.body or {} if answer.status != NOT_THERE else {}
        there = {rule["uid"]: rule for rule in theirs.get("rules") or ()}
        if not there:
            change = Change("create", "alert rules", group.name, f"{len(group.rules)} rules")
            return _Step(change, lambda: self._write_group(group, there))
        found: list[Difference] = []
        if theirs.get("interval") != group.interval_s:
            found.append(Difference("interval", theirs.get("interval"), group.interval_s))
        for rule in group.rules:
            uid = rule["uid"]
            if uid not in there:
                found.append(Difference(uid, "nothing", rule["title"]))
                continue
            found += [
                each._replace(path=f"{uid}.{each.path}") for each in between_rules(there[uid], rule)
            ]
            if SINCE_12 in rule and SINCE_12 not in there[uid]:
                self._notes.append(
                    "this Grafana is older than 12 and knows no keep_firing_for: its alerts end as "
                    "soon as their reason does"
                )
        if not found:
            return None
        if any(rule.get("provenance") == "file" for rule in there.values()):
            raise _Held(
                f"alert rules {group.name!r} come from a file of Grafana's own provisioning and "
                "differ from ours: provision them there or here, not both"
            )
        change = Change(
            "update", "alert rules", group.name, f"{len(group.rules)} rules", tuple(found)
        )
        return _Step(change, lambda: self._write_group(group, there))

    def _write_group(self, group: RuleGroup, there: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the rules of *group*; whoever else's are in it stay.

        Rules that are not there yet are made one by one: Grafana before 11.5.2 refuses a group with
        uids that it has not seen.
        """
        for rule in group.rules:
            if rule["uid"] not in there and not self._is_there(rule["uid"]):
                self._call("POST", "/api/v1/provisioning/alert-rules", rule)
        ours = {rule["uid"] for rule in group.rules}
        others = [rule for uid, rule in there.items() if uid not in ours]
        body = {
            "title": group.name,
            "folderUid": group.folder_uid,
            "interval": group.interval_s,
            "rules": [*group.rules, *others],
        }
        self._call("PUT", _group_path(group), body)

    def _is_there(self, uid: str) -> bool:
        path = f"/api/v1/provisioning/alert-rules/{quote(uid)}"
        return self._grafana.call("GET", path, but=_ABSENT).status != NOT_THERE

    def _other_rules(self) -> Iterator[_Step | None]:
        """Those in our folder that have our name and are wanted no more."""
        if not self._has_folder:
            return
        wanted = {rule["uid"] for group in self._wanted.groups for rule in group.rules}
        path = "/api/v1/provisioning/alert-rules"
        for rule in self._grafana.call("GET", path, but=_ABSENT).body or ():
            uid = rule["uid"]
            is_ours = uid.startswith(self._wanted.prefix)
            if rule.get("folderUID") != self._wanted.folder.uid or not is_ours or uid in wanted:
                continue
            change = Change("delete", "alert rule", uid, rule.get("title", ""))
            yield from self._remove(change, f"{path}/{quote(uid)}", EDITABLE)

    # -- all -----------------------------------------------------------------------------------

    def _remove(
        self, change: Change, path: str, headers: dict[str, str] | None
    ) -> Iterator[_Step | None]:
        if not self._prune:
            self._leftover.append(change)
            return
        if self._write:
            try:
                self._grafana.call("DELETE", path, headers=headers, but=_ABSENT)
            except GrafanaRefused as refused:
                if refused.status == 401:
                    raise
                self._faults.append(Fault(change.kind, change.name, str(refused)))
                return
        yield _Step(change, lambda: None)

    def _call(self, method: Literal["POST", "PUT"], path: str, body: Mapping[str, Any]) -> None:
        headers = EDITABLE if path.startswith("/api/v1/provisioning") else None
        self._grafana.call(method, path, body, headers=headers)


def _dashboard_path(uid: str) -> str:
    # From 13 on, without the version of its own API a dashboard is read in the newest form.
    return f"/api/dashboards/uid/{quote(uid)}?apiVersion=v0alpha1"


def _group_path(group: RuleGroup) -> str:
    folder, name = quote(group.folder_uid, safe=""), quote(group.name, safe="")
    return f"/api/v1/provisioning/folder/{folder}/rule-groups/{name}"
