"""What should be in a Grafana for one installation: its folder, its dashboards, its alert rules."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from dashboards.provision.differences import duration_ms

PRODUCT: Final = "floorwatch"

LONGEST_UID: Final = 40
"""Of anything in Grafana."""

EXPRESSION: Final = "__expr__"
"""The data source of what Grafana computes itself."""

STEP_S: Final = 10
"""Grafana evaluates rules at multiples of this."""


class NotProvisionable(Exception):
    """A shipped or given file says something that Grafana would not take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """Where all of an installation's things are, at the top unless somebody has moved it."""

    uid: str
    title: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A dashboard in its classic JSON.

    Attributes:
        content: without `id` and `version`, which are Grafana's.
        shipped: the content without our tag, as a file of Grafana's own provisioning has it.
    """

    uid: str
    title: str
    folder_uid: str
    content: Mapping[str, Any]
    shipped: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleGroup:
    """Alert rules that are evaluated together, as Grafana's HTTP API writes them."""

    name: str
    folder_uid: str
    interval_s: int
    rules: tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that an installation has in Grafana.

    Attributes:
        name: of the installation; all uids begin with it.
        groups: empty where Grafana is not to alert.
    """

    name: str
    folder: Folder
    dashboards: tuple[Dashboard, ...]
    groups: tuple[RuleGroup, ...] = ()

    @property
    def prefix(self) -> str:
        """What the uid of every dashboard and rule of this installation begins with."""
        return f"{self.name}-"

    @property
    def datasources(self) -> tuple[str, ...]:
        """The uids of the data sources that the alert rules ask, each once."""
        queries = (query for group in self.groups for rule in group.rules for query in rule["data"])
        uids = dict.fromkeys(query["datasourceUid"] for query in queries)
        return tuple(uid for uid in uids if uid != EXPRESSION)

    @property
    def tag(self) -> str:
        """What every dashboard of this installation, and no other, is tagged with."""
        return tag_of(self.name)


def tag_of(name: str) -> str:
    """The tag by which the dashboards of the installation *name* are known as its own."""
    return f"{PRODUCT}:{name}"


def wanted(
    name: str,
    dashboards: Iterable[Mapping[str, Any]],
    alerting: Mapping[str, Any] | None = None,
) -> Wanted:
    """What the installation *name* should have.

    Args:
        name: of up to 30 characters, as the settings allow.
        dashboards: classic JSON; every uid begins with the name.
        alerting: a file of Grafana's alert provisioning, read, with uids that begin with the
            name; None for no alert rules.

    Raises:
        NotProvisionable: a uid is too long, has the wrong beginning or is there twice, or a rule
            is not as Grafana's file provisioning has it.
    """
    folder = Folder(uid=name, title=name)
    boards = tuple(_dashboard(content, name, folder.uid) for content in dashboards)
    groups: tuple[RuleGroup, ...] = ()
    if alerting is not None:
        groups = tuple(_group(group, folder.uid) for group in alerting["groups"])
    _require_uids("dashboard", [board.uid for board in boards], name)
    _require_uids("alert rule", [rule["uid"] for group in groups for rule in group.rules], name)
    _require_one_of_each("rule group", [group.name for group in groups])
    return Wanted(name=name, folder=folder, dashboards=boards, groups=groups)


def _require_uids(kind: str, uids: Sequence[str], name: str) -> None:
    for uid in uids:
        if not uid.startswith(f"{name}-"):
            raise NotProvisionable(f"{kind} {uid!r}: expected a uid that begins with {name}-")
        if len(uid) > LONGEST_UID:
            raise NotProvisionable(
                f"{kind} {uid!r}: a uid of {len(uid)} characters, and Grafana takes {LONGEST_UID}; "
                f"give the installation a name of at most {len(name) + LONGEST_UID - len(uid)}"
            )
    _require_one_of_each(kind, uids)


def _require_one_of_each(kind: str, names: Sequence[str]) -> None:
    twice = sorted({each for each in names if names.count(each) > 1})
    if twice:
        raise NotProvisionable(
            f"{kind} {twice[0]!r}: there are two of it; a shorter name of the installation may "
            "tell them apart"
        )


def _dashboard(content: Mapping[str, Any], name: str, folder_uid: str) -> Dashboard:
    """One dashboard, with the tag that makes it ours."""
    kept = {key: value for key, value in content.items() if key not in ("id", "version")}
    tags = [*(content.get("tags") or ()), tag_of(name)]
    return Dashboard(
        uid=content["uid"],
        title=content["title"],
        folder_uid=folder_uid,
        content={**kept, "tags": tags},
        shipped=kept,
    )


# -- alert rules: from Grafana's file provisioning to its HTTP API ---------------------------------

_RENAMED: Final = {
    "keepFiringFor": "keep_firing_for",
    "missing_series_evals_to_resolve": "missingSeriesEvalsToResolve",
}
_KEPT: Final = frozenset(
    {"title", "condition", "noDataState", "execErrState", "for", "isPaused", "record"}
)
_HANDLED: Final = frozenset(
    {
        *_KEPT,
        *_RENAMED,
        "uid",
        "data",
        "labels",
        "annotations",
        "dashboardUid",
        "panelId",
        "notification_settings",
    }
)


def _group(group: Mapping[str, Any], folder_uid: str) -> RuleGroup:
    title = str(group["name"])
    try:
        interval_s, rest_ms = divmod(duration_ms(group["interval"]), 1_000)
    except ValueError as wrong:
        raise NotProvisionable(f"rule group {title!r}: interval: {wrong}") from None
    if rest_ms or interval_s < STEP_S or interval_s % STEP_S:
        raise NotProvisionable(
            f"rule group {title!r}: interval {group['interval']!r}: Grafana evaluates every "
            f"{STEP_S}s or a multiple of it"
        )
    return RuleGroup(
        name=title,
        folder_uid=folder_uid,
        interval_s=interval_s,
        rules=tuple(_rule(rule, folder_uid, title) for rule in group["rules"]),
    )


def _rule(rule: Mapping[str, Any], folder_uid: str, group: str) -> dict[str, Any]:
    """*rule* of a provisioning file as the HTTP API takes it.

    Beside the names of fields, two things differ: a file has `$$` for `$` outside of annotations
    and queries, and says a panel in two fields where the API has two annotations.
    """
    title = rule["title"]
    unknown = sorted(set(rule) - _HANDLED)
    if unknown:
        raise NotProvisionable(f"alert rule {title!r}: no such field: {', '.join(unknown)}")
    annotations = dict(rule.get("annotations") or {})
    if rule.get("dashboardUid"):
        annotations["__dashboardUid__"] = rule["dashboardUid"]
        annotations["__panelId__"] = str(rule.get("panelId", 0))
    written: dict[str, Any] = {
        "uid": rule["uid"],
        "folderUID": folder_uid,
        "ruleGroup": group,
        "noDataState": "NoData",
        "execErrState": "Alerting",
        "for": "0s",
        "isPaused": False,
        **{key: _literal(rule[key]) for key in rule if key in _KEPT},
        **{_RENAMED[key]: rule[key] for key in rule if key in _RENAMED},
        "annotations": annotations,
        "labels": _literal(dict(rule.get("labels") or {})),
        "data": [
            {"queryType": "", "relativeTimeRange": {"from": 0, "to": 0}, **query}
            for query in rule["data"]
        ],
    }
    if rule.get("notification_settings"):
        written["notification_settings"] = _literal(rule["notification_settings"])
    return written


def _literal(value: Any) -> Any:  # noqa: ANN401 # JSON
    """*value* as it is after Grafana has read it from a file."""
    if isinstance(value, str):
        return value.replace("$$", "$")
    if isinstance(value, Mapping):
        return {key: _literal(below) for key, below in value.items()}
    if isinstance(value, list):
        return [_literal(below) for below in value]
    return value
