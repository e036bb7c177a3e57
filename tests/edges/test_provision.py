"""A Grafana made what is wanted: created, found equal, found changed, pruned, shared by two."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.provision.adapter import Grafana, GrafanaRefused, NotGrafana, Patience
from dashboards.provision.credentials import Credentials
from dashboards.provision.differences import between_dashboards, between_rules, duration_ms
from dashboards.provision.reconciling import Outcome, Reconciler
from dashboards.provision.wanted import NotProvisionable, Wanted, wanted
from tests.support.fake_grafana import TOKEN, FakeGrafana
from tests.support.grafana_files import BOARDS, alerting, dashboard, rule, wishes

GROUP = "/api/v1/provisioning/folder/floorwatch/rule-groups/floor%3A%20now%20%2F%20soon"

VERSIONS = [(10, 4, 19), (11, 5, 1), (12, 4, 0), (13, 1, 0)]


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with FakeGrafana() as running:
        yield running


def provision(
    at: FakeGrafana, what: Wanted | None = None, *, write: bool = True, prune: bool = False
) -> Outcome:
    """One run of what `floorwatch provision` does, without pauses."""
    patience = Patience(timeout_s=30, retries=3, sleep=lambda _: None)
    at.requests.clear()
    with Grafana(at.url, Credentials(token=TOKEN), patience=patience) as client:
        return Reconciler(client, what or wishes(), write=write, prune=prune).run()


def told(outcome: Outcome) -> list[str]:
    return [f"{change.action} {change.kind} {change.name}" for change in outcome.changes]


def edited(at: FakeGrafana, uid: str) -> dict[str, Any]:
    """The content of a dashboard, for somebody to save something else in."""
    content: dict[str, Any] = at.dashboards[uid]["content"]
    content["version"] += 1
    return content


# What is created


@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_run_finds_all_of_the_first_and_writes_nothing(
    version: tuple[int, int, int],
) -> None:
    with FakeGrafana(version) as grafana:
        first = provision(grafana)
        second = provision(grafana)

        assert told(first) == [
            "create folder floorwatch",
            "create dashboard floorwatch-wall",
            "create dashboard floorwatch-floor-lead",
            "create alert rules floor: now / soon",
        ]
        assert first.faults == second.faults == ()
        assert second.changes == second.leftover == ()
        assert second.equal == 4
        assert grafana.writes == []


def test_a_run_that_may_not_write_says_what_it_would_and_writes_nothing(
    grafana: FakeGrafana,
) -> None:
    outcome = provision(grafana, write=False)

    assert len(outcome.changes) == 4
    assert grafana.writes == []
    assert not grafana.folders


def test_dashboards_arrive_in_the_folder_with_our_tag_and_never_replace_a_stranger(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)

    saves = [each.body for each in grafana.requests if each.path == "/api/dashboards/db"]
    assert [save["folderUid"] for save in saves] == ["floorwatch"] * 2
    assert [save["overwrite"] for save in saves] == [False] * 2
    assert [save["dashboard"]["tags"] for save in saves] == [
        ["floorwatch", "floorwatch:floorwatch"]
    ] * 2
    assert not any("id" in save["dashboard"] for save in saves)


def test_alert_rules_arrive_as_the_http_api_names_their_fields_and_stay_editable(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)

    kept = grafana.rules["floorwatch-closed"]
    assert (kept["folderUID"], kept["ruleGroup"]) == ("floorwatch", "floor: now / soon")
    assert (kept["for"], kept["keep_firing_for"]) == ("1m", "5m")
    assert kept["provenance"] == ""
    assert kept["labels"]["price"] == "$5"  # a file says $$ for it
    assert kept["annotations"]["summary"] == "{{ .Labels.queue }}: $$"  # but not here
    assert grafana.intervals_s == {("floorwatch", "floor: now / soon"): 10}


def test_without_alerts_no_alert_rule_is_written_or_even_looked_at(grafana: FakeGrafana) -> None:
    provision(grafana, wishes(alerts=False))

    assert grafana.rules == {}
    assert not any("provisioning" in each.path for each in grafana.requests)


# What differs


def test_what_somebody_changed_in_a_dashboard_is_shown_and_taken_back(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)
    content = edited(grafana, "floorwatch-wall")
    content["panels"][0]["targets"][0]["expr"] = "42"
    content["panels"][0]["fieldConfig"]["defaults"]["min"] = 0

    looked = provision(grafana, write=False)
    provision(grafana)
    after = provision(grafana)

    (change,) = looked.changes
    assert [str(difference) for difference in change.differences] == [
        'panels[0].targets[0].expr: "42" -> "sum(floorwatch_contacts_waiting)"',
        "panels[0].fieldConfig.defaults.min: 0 -> nothing",
    ]
    assert after.changes == ()
    assert grafana.dashboards["floorwatch-wall"]["content"]["version"] == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_a_change_is_taken_back_on_every_version_that_is_supported(
    version: tuple[int, int, int],
) -> None:
    with FakeGrafana(version) as grafana:
        provision(grafana)
        edited(grafana, "floorwatch-wall")["title"] = "Mine"
        grafana.rules["floorwatch-closed"]["for"] = "2h"
        grafana.folders["floorwatch"]["title"] = "Stuff"

        outcome = provision(grafana)

        assert told(outcome) == [
            "update folder floorwatch",
            "update dashboard floorwatch-wall",
            "update alert rules floor: now / soon",
        ]
        assert provision(grafana).changes == ()


def test_a_dashboard_moved_to_another_folder_comes_back(grafana: FakeGrafana) -> None:
    provision(grafana)
    grafana.dashboards["floorwatch-wall"]["meta"]["folderUid"] = ""

    (change,) = provision(grafana).changes

    assert [str(each) for each in change.differences] == ['folder: "" -> "floorwatch"']
    assert grafana.dashboards["floorwatch-wall"]["meta"]["folderUid"] == "floorwatch"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("isPaused", True),
        ("for", "2m"),
        ("keep_firing_for", "0s"),
        ("condition", "B"),
        ("noDataState", "NoData"),
        ("title", "Other"),
        ("labels", {"severity": "warning"}),
        ("annotations", {}),
        ("notification_settings", {"receiver": "mine"}),
        ("data", []),
    ],
)
def test_whatever_somebody_changed_in_an_alert_rule_is_found(
    grafana: FakeGrafana, key: str, value: Any
) -> None:
    provision(grafana)
    grafana.rules["floorwatch-closed"][key] = value

    (change,) = provision(grafana, write=False).changes

    assert change.differences
    assert all(each.path.startswith(f"floorwatch-closed.{key}") for each in change.differences)


@pytest.mark.parametrize(
    ("theirs", "ours", "differ"),
    [
        ({"missingSeriesEvalsToResolve": 2}, {"missingSeriesEvalsToResolve": 90}, True),
        ({"missingSeriesEvalsToResolve": 90}, {"missingSeriesEvalsToResolve": 90}, False),
        ({}, {"missingSeriesEvalsToResolve": 90}, False),
        ({"missingSeriesEvalsToResolve": -1}, {}, False),
    ],
)
def test_how_long_a_series_may_be_missing_is_compared_where_both_say_it(
    theirs: dict[str, Any], ours: dict[str, Any], differ: bool
) -> None:
    found = between_rules(theirs, ours)

    assert [each.path for each in found] == ["missingSeriesEvalsToResolve"] * differ


def test_the_expression_of_a_rule_and_the_interval_of_its_group_are_compared(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)
    grafana.rules["floorwatch-closed"]["data"][0]["model"]["expr"] = "1"
    grafana.intervals_s["floorwatch", "floor: now / soon"] = 60

    (change,) = provision(grafana, write=False).changes

    assert [str(each) for each in change.differences] == [
        "interval: 60 -> 10",
        'floorwatch-closed.data[0].model.expr: "1" -> "floorwatch_queue_open == 0"',
    ]


def test_what_grafana_adds_to_a_dashboard_is_no_difference() -> None:
    ours = dashboard("wall")
    theirs = copy.deepcopy(ours) | {"id": 7, "version": 12, "uid": "x", "iteration": None}
    theirs["panels"][0] |= {"links": [], "description": "", "transparent": None}
    theirs["panels"][0]["fieldConfig"]["defaults"].pop("noValue")

    assert between_dashboards(theirs, ours) == []


@pytest.mark.parametrize(
    "extra", [{"transparent": False}, {"maxDataPoints": 0}, {"links": [{"title": "x"}]}]
)
def test_a_key_that_holds_something_is_a_difference_even_if_only_grafana_has_it(
    extra: dict[str, Any],
) -> None:
    ours = dashboard("wall")
    theirs = copy.deepcopy(ours)
    theirs["panels"][0] |= extra

    assert [each.path for each in between_dashboards(theirs, ours)] == [
        f"panels[0].{key}" for key in extra
    ]


def test_one_is_not_true_and_a_panel_more_is_found() -> None:
    ours = dashboard("wall", panels=[{"id": 1, "on": True}])
    theirs = dashboard("wall", panels=[{"id": 1, "on": 1}, {"id": 2}])

    assert [str(each) for each in between_dashboards(theirs, ours)] == [
        "panels[0].on: 1 -> true",
        'panels[1]: {"id":2} -> nothing',
    ]


@pytest.mark.parametrize(
    ("written", "ms"),
    [("0", 0), ("0s", 0), (None, 0), ("5m", 300_000), ("5m0s", 300_000), ("1d", 86_400_000)],
)
def test_a_duration_is_compared_by_its_length(written: str | None, ms: int) -> None:
    assert duration_ms(written) == ms


def test_a_grafana_before_12_is_not_asked_for_keep_firing_for_and_says_so_once() -> None:
    with FakeGrafana((11, 6, 0)) as grafana:
        provision(grafana)
        outcome = provision(grafana)

    assert outcome.changes == ()
    assert outcome.notes == (
        "this Grafana is older than 12 and knows no keep_firing_for: its alerts end as soon as "
        "their reason does",
    )


def test_a_rule_is_equal_to_itself_as_grafana_spells_it() -> None:
    ours = {"for": "60s", "labels": {}, "data": []}

    assert between_rules({"for": "1m0s", "labels": None, "data": None}, ours) == []


def test_a_data_source_that_is_not_there_is_told_to_who_may_know(grafana: FakeGrafana) -> None:
    grafana.datasources.clear()
    grafana.role = "Editor"

    assert provision(grafana).notes == ()
    grafana.role = "Admin"
    assert provision(grafana).notes == (
        "there is no data source with the uid 'prometheus', so the alert rules fail until there "
        "is; --datasource names another",
    )
    grafana.datasources.add("prometheus")
    assert provision(grafana).notes == ()


# What belongs to others


def test_somebody_elses_rule_in_our_group_stays_when_the_group_is_written(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)
    grafana.rules["theirs"] = grafana.rules["floorwatch-closed"] | {"uid": "theirs", "title": "T"}
    grafana.rules["floorwatch-closed"]["for"] = "2m"

    provision(grafana, prune=True)

    assert set(grafana.rules) == {"floorwatch-closed", "floorwatch-longest-wait", "theirs"}
    assert grafana.rules["floorwatch-closed"]["for"] == "1m"


def test_what_nothing_wants_any_more_is_told_and_goes_only_with_prune(
    grafana: FakeGrafana,
) -> None:
    provision(grafana, wanted("floorwatch", [*BOARDS, dashboard("old")], alerting()))
    fewer = wanted(
        "floorwatch",
        BOARDS,
        alerting({"name": "floor: now / soon", "interval": "10s", "rules": [rule("closed")]}),
    )

    kept = provision(grafana, fewer)

    assert kept.changes == ()
    assert [change.name for change in kept.leftover] == [
        "floorwatch-old",
        "floorwatch-longest-wait",
    ]
    assert grafana.writes == []

    pruned = provision(grafana, fewer, prune=True)

    assert told(pruned) == [
        "delete dashboard floorwatch-old",
        "delete alert rule floorwatch-longest-wait",
    ]
    assert set(grafana.rules) == {"floorwatch-closed"}
    assert provision(grafana, fewer, prune=True).changes == ()  # the search still finds the old one


def test_prune_without_alerts_takes_our_alert_rules_away(grafana: FakeGrafana) -> None:
    provision(grafana)

    provision(grafana, wishes(alerts=False), prune=True)

    assert grafana.rules == {}


def test_prune_leaves_what_others_made_even_if_it_looks_like_ours(grafana: FakeGrafana) -> None:
    provision(grafana)
    ours = grafana.dashboards["floorwatch-wall"]
    for uid, tags in (
        ("copied-from-ours", ["floorwatch", "floorwatch:floorwatch"]),
        ("floorwatch-by-hand", ["floorwatch"]),
        ("floorwatch-b-wall", ["floorwatch-b", "floorwatch:floorwatch-b"]),
    ):
        copied = copy.deepcopy(ours)
        copied["content"] |= {"uid": uid, "tags": tags}
        grafana.dashboards[uid] = copied
    theirs = grafana.rules["floorwatch-closed"]
    grafana.rules["mine"] = theirs | {"uid": "mine", "ruleGroup": "mine"}
    grafana.rules["floorwatch-x"] = theirs | {"uid": "floorwatch-x", "folderUID": "elsewhere"}

    outcome = provision(grafana, prune=True)

    assert outcome.changes == ()
    assert len(grafana.dashboards) == 2 + 3
    assert len(grafana.rules) == 2 + 2


def test_prune_asks_grafana_itself_for_the_tag_not_its_search(grafana: FakeGrafana) -> None:
    provision(grafana)
    copied = copy.deepcopy(grafana.dashboards["floorwatch-wall"])
    copied["content"] |= {"uid": "floorwatch-mine", "tags": ["mine"]}
    grafana.dashboards["floorwatch-mine"] = copied
    grafana.still_found.append({"uid": "floorwatch-mine", "tags": ["floorwatch:floorwatch"]})

    assert provision(grafana, prune=True).changes == ()


def test_two_installations_share_a_grafana_and_neither_prunes_the_other(
    grafana: FakeGrafana,
) -> None:
    provision(grafana, wishes("floor"))
    provision(grafana, wishes("floor-b"))

    assert provision(grafana, wishes("floor"), prune=True).changes == ()
    assert provision(grafana, wishes("floor-b"), prune=True).changes == ()
    assert set(grafana.folders) == {"floor", "floor-b"}
    content = grafana.dashboards["floor-b-floor-lead"]["content"]
    assert content["tags"] == ["floor-b", "floorwatch:floor-b"]


def test_more_than_a_page_of_dashboards_is_searched_to_the_end(grafana: FakeGrafana) -> None:
    provision(grafana)
    stray = grafana.dashboards["floorwatch-wall"]
    for number in range(1_000):
        uid = f"floorwatch-{number}"
        grafana.dashboards[uid] = stray | {"content": stray["content"] | {"uid": uid}}

    assert len(provision(grafana).leftover) == 1_000


# What gets in between


def test_an_answer_that_is_lost_after_the_work_is_done_is_no_fault(grafana: FakeGrafana) -> None:
    for path in ("/api/folders", "/api/dashboards/db", "/api/v1/provisioning/alert-rules"):
        grafana.answer_next("POST", path, cut=True, done=True)
    grafana.answer_next("PUT", GROUP, cut=True, done=True)

    outcome = provision(grafana)

    assert outcome.faults == ()
    assert len(outcome.changes) == 4
    assert provision(grafana).changes == ()


@pytest.mark.parametrize("version", VERSIONS)
def test_somebody_who_saves_at_the_same_moment_is_seen_and_then_taken_back(
    version: tuple[int, int, int],
) -> None:
    with FakeGrafana(version) as grafana:
        provision(grafana)
        edited(grafana, "floorwatch-wall")["title"] = "First"
        grafana.answer_next(
            "POST",
            "/api/dashboards/db",
            meanwhile=lambda: edited(grafana, "floorwatch-wall").update(title="Second"),
        )

        outcome = provision(grafana)

        assert outcome.faults == ()
        (change,) = outcome.changes
        assert [str(each) for each in change.differences] == [
            'title: "Second" -> "floorwatch / Wall"'
        ]
        assert provision(grafana).changes == ()


def test_a_dashboard_of_the_same_title_in_the_folder_of_an_old_grafana_is_not_replaced() -> None:
    with FakeGrafana((10, 4, 19)) as grafana:
        provision(grafana)
        gone = grafana.dashboards.pop("floorwatch-wall")
        gone["content"]["uid"] = "somebodys"
        grafana.dashboards["somebodys"] = gone

        outcome = provision(grafana)

    (fault,) = outcome.faults
    assert fault.name == "floorwatch-wall"
    assert fault.text == (
        "POST /api/dashboards/db: Grafana answers 412 ('A dashboard with the same name'): "
        "something is in its place, or has just been changed; look at it there, then try again"
    )
    assert outcome.equal == 3


def test_a_dashboard_that_a_file_put_there_as_shipped_is_as_it_should_be(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)
    kept = grafana.dashboards["floorwatch-wall"]
    kept["meta"] |= {"provisioned": True, "folderUid": "from-files"}
    kept["content"]["tags"] = ["floorwatch"]

    outcome = provision(grafana)

    assert (outcome.faults, outcome.changes) == ((), ())
    assert outcome.equal == 4


def test_a_dashboard_that_comes_from_a_file_and_differs_is_left_and_told(
    grafana: FakeGrafana,
) -> None:
    provision(grafana)
    kept = grafana.dashboards["floorwatch-wall"]
    kept["meta"]["provisioned"] = True
    kept["content"]["title"] = "Older"
    outcome = provision(grafana)

    (fault,) = outcome.faults
    assert "'floorwatch-wall' comes from a file of Grafana's own provisioning" in fault.text
    assert grafana.writes == []


def test_alert_rules_that_come_from_a_file_are_left_and_told(grafana: FakeGrafana) -> None:
    provision(grafana)
    grafana.rules["floorwatch-closed"] |= {"provenance": "file", "for": "2m"}

    (fault,) = provision(grafana).faults

    assert "'floor: now / soon' come from a file of Grafana's own provisioning" in fault.text
    assert grafana.writes == []


def test_a_change_that_waits_for_approval_is_told_as_not_made(grafana: FakeGrafana) -> None:
    pending = {"status": "pending", "message": "changes were broadcast to the gitops listener"}
    grafana.answer_next("POST", "/api/dashboards/db", status=202, body=pending)

    outcome = provision(grafana)

    (fault,) = outcome.faults
    assert "'floorwatch-wall': Grafana has passed it on and not saved it (202, pending)" in (
        fault.text
    )
    assert len(outcome.changes) == 3


@pytest.mark.parametrize("status", [400, 403, 404, 409, 412, 422, 500])
def test_a_refusal_concerns_one_thing_and_the_others_go_on(
    grafana: FakeGrafana, status: int
) -> None:
    grafana.answer_next(
        "POST", "/api/dashboards/db", status=status, body={"message": "no"}, times=1
    )

    outcome = provision(grafana)

    (fault,) = outcome.faults
    assert (fault.kind, fault.name) == ("dashboard", "floorwatch-wall")
    assert fault.text.startswith(f"POST /api/dashboards/db: Grafana answers {status} ('no'): ")
    assert told(outcome)[1:] == [
        "create dashboard floorwatch-floor-lead",
        "create alert rules floor: now / soon",
    ]


def test_who_may_not_log_in_is_told_at_once(grafana: FakeGrafana) -> None:
    with (
        Grafana(grafana.url, Credentials(token="glsa_old")) as client,  # noqa: S106 # of nobody
        pytest.raises(GrafanaRefused, match=r"401 \('Invalid API key'\): it does not know"),
    ):
        Reconciler(client, wishes(), write=True, prune=False).run()


def test_something_else_that_speaks_json_is_no_grafana(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", "/api/health", status=200, body={"ok": True})

    with pytest.raises(NotGrafana, match="what answers there is no Grafana"):
        provision(grafana)


# What could not be provisioned


@pytest.mark.parametrize(
    ("boards", "alerts", "says"),
    [
        ([dashboard("a" * 30)], None, r"a uid of 41 characters, and Grafana takes 40"),
        (
            [dashboard("a") | {"uid": "x"}],
            None,
            r"'x': expected a uid that begins with floorwatch-",
        ),
        ([dashboard("a"), dashboard("a")], None, r"'floorwatch-a': there are two of it"),
        ([], alerting({"name": "g", "interval": "5s", "rules": []}), r"every 10s or a multiple"),
        ([], alerting({"name": "g", "interval": "soon", "rules": []}), r"'soon': expected a dur"),
        (
            [],
            alerting({"name": "g", "interval": "10s", "rules": [rule("a", fro="1m")]}),
            r"'Floorwatch a': no such field: fro",
        ),
        (
            [],
            alerting({"name": "g", "interval": "10s", "rules": [rule("a", "other")]}),
            r"alert rule 'other-a': expected a uid that begins with floorwatch-",
        ),
    ],
)
def test_a_file_that_grafana_would_refuse_is_refused_before_anything_is_asked(
    boards: list[dict[str, Any]], alerts: dict[str, Any] | None, says: str
) -> None:
    with pytest.raises(NotProvisionable, match=says):
        wanted("floorwatch", boards, alerts)


def test_a_panel_of_a_rule_becomes_two_annotations() -> None:
    file = alerting(
        {
            "name": "g",
            "interval": "1m",
            "rules": [rule("a", dashboardUid="floorwatch-wall", panelId=7)],
        }
    )

    (group,) = wanted("floorwatch", BOARDS, file).groups

    assert group.interval_s == 60
    assert group.rules[0]["annotations"]["__dashboardUid__"] == "floorwatch-wall"
    assert group.rules[0]["annotations"]["__panelId__"] == "7"
