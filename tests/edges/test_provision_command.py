"""`floorwatch provision` with what is shipped: exit codes, what is told, and no secret in it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streams.cli import main
from streams.provision import provision_command
from tests.support.fake_grafana import PASSWORD, TOKEN, USER, FakeGrafana

VARIABLES = ("GRAFANA_TOKEN", "GRAFANA_URL", "GRAFANA_USER", "GRAFANA_PASSWORD")


@pytest.fixture(autouse=True)
def _only_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (*VARIABLES, "FLOORWATCH_SETTINGS", "FLOORWATCH_NAME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("GRAFANA_TOKEN", TOKEN)


@pytest.fixture
def grafana() -> Iterator[FakeGrafana]:
    with FakeGrafana() as running:
        yield running


def run(at: FakeGrafana | str, *arguments: str) -> Result:
    """Run the command within this process."""
    url = at if isinstance(at, str) else at.url
    if isinstance(at, FakeGrafana):
        at.requests.clear()
    return CliRunner().invoke(main, ["provision", "--url", url, *arguments])


def links(value: object) -> Iterator[str]:
    """The uid of every dashboard that *value* links to."""
    for link in re.findall(r"/d/([A-Za-z0-9_-]+)", json.dumps(value)):
        yield str(link)


# What is shipped


@pytest.mark.parametrize("version", [(10, 4, 19), (11, 5, 1), (12, 4, 0), (13, 1, 0)])
def test_a_second_run_of_all_that_is_shipped_changes_nothing(
    version: tuple[int, int, int],
) -> None:
    with FakeGrafana(version) as grafana:
        first = run(grafana, "--alerts")
        second = run(grafana, "--alerts")

        assert (first.exit_code, second.exit_code) == (0, 0), first.output
        assert grafana.writes == []
        assert "left" not in second.output
        assert re.search(r"^\d+ as they should be, 0 changed$", second.stdout, re.MULTILINE)
        assert len(grafana.dashboards) >= 6
        assert len(grafana.rules) >= 20


@pytest.mark.parametrize("name", ["floorwatch", "north"])
def test_every_link_leads_to_a_dashboard_that_is_there(
    grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("FLOORWATCH_NAME", name)

    assert run(grafana, "--alerts").exit_code == 0

    assert set(grafana.folders) == {name}
    assert all(uid.startswith(f"{name}-") for uid in {*grafana.dashboards, *grafana.rules})
    linked = {*links(list(grafana.dashboards.values())), *links(list(grafana.rules.values()))}
    assert linked - set(grafana.dashboards) == set()


def test_alerts_link_to_this_grafana_and_to_the_runbooks_that_are_named(
    grafana: FakeGrafana,
) -> None:
    run(grafana, "--alerts", "--runbooks", "https://wiki.example/r/", "--datasource", "mimir")

    for rule in grafana.rules.values():
        assert rule["annotations"]["dashboard_url"].startswith(f"{grafana.url}/d/floorwatch-")
        assert rule["annotations"]["runbook_url"].startswith("https://wiki.example/r/Floorwatch")
        asked = {query["datasourceUid"] for query in rule["data"]}
        assert asked == {"mimir", "__expr__"}


def test_boards_link_to_the_runbooks_that_are_named(grafana: FakeGrafana) -> None:
    run(grafana, "--runbooks", "https://wiki.example/r/")
    again = run(grafana, "--runbooks", "https://wiki.example/r", "--check")

    variables = grafana.dashboards["floorwatch-on-call"]["content"]["templating"]["list"]
    [runbooks] = [each["query"] for each in variables if each["name"] == "runbooks"]
    assert runbooks == "https://wiki.example/r"
    assert "https://floorwatch.example" not in str(grafana.dashboards)
    assert again.exit_code == 0


def test_alert_rules_stay_out_unless_they_are_asked_for(grafana: FakeGrafana) -> None:
    assert run(grafana).exit_code == 0

    assert grafana.rules == {}


# What is told


def test_check_exits_1_where_something_differs_and_changes_nothing(grafana: FakeGrafana) -> None:
    empty = run(grafana, "--check")
    assert empty.exit_code == 1
    assert "would create  folder floorwatch (floorwatch)" in empty.stdout
    assert grafana.writes == []

    run(grafana)
    assert run(grafana, "--check").exit_code == 0
    assert run(grafana, "--check", "--alerts").exit_code == 1

    grafana.dashboards["floorwatch-wall"]["content"]["title"] = "Mine"
    drifted = run(grafana, "--check")
    assert drifted.exit_code == 1
    assert "would update  dashboard floorwatch-wall (floorwatch / Wall): 1 value\n" in (
        drifted.stdout
    )
    assert grafana.writes == []


def test_diff_shows_each_value_and_changes_nothing(grafana: FakeGrafana) -> None:
    run(grafana)
    grafana.dashboards["floorwatch-wall"]["content"]["title"] = "Mine"

    shown = run(grafana, "--diff")

    assert shown.exit_code == 0
    assert '    title: "Mine" -> "floorwatch / Wall"\n' in shown.stdout
    assert shown.stdout.endswith("6 as they should be, 1 would change\n")
    assert grafana.writes == []
    assert run(grafana, "--diff", "--check").exit_code == 1


def test_what_nothing_wants_any_more_is_told_with_the_option_that_deletes_it(
    grafana: FakeGrafana,
) -> None:
    run(grafana)
    grafana.dashboards["floorwatch-old"] = {
        "content": {"uid": "floorwatch-old", "title": "Old", "tags": ["floorwatch:floorwatch"]},
        "meta": {"folderUid": "floorwatch"},
    }

    left = run(grafana)
    assert "left          dashboard floorwatch-old (Old); nothing wants it any more, --prune" in (
        left.stdout
    )
    assert run(grafana, "--check", "--prune").exit_code == 1
    assert "floorwatch-old" in grafana.dashboards

    pruned = run(grafana, "--prune")
    assert "deleted       dashboard floorwatch-old (Old)\n" in pruned.stdout
    assert "floorwatch-old" not in grafana.dashboards
    assert run(grafana, "--check", "--prune").exit_code == 0


def test_what_grafana_refuses_is_one_line_each_and_exit_code_3(grafana: FakeGrafana) -> None:
    grafana.role = "Viewer"

    refused = run(grafana)

    assert refused.exit_code == 3
    lines = refused.stderr.splitlines()
    assert lines[0] == (
        "floorwatch: POST /api/folders: Grafana answers 403 (\"You'll need additional "
        'permissions"): the account may not do this; give it the role Admin'
    )
    assert len(lines) == 7
    assert refused.stdout == "0 as they should be, 0 changed, 7 refused\n"


def test_a_grafana_that_is_not_there_is_one_line_and_exit_code_3() -> None:
    with FakeGrafana() as gone:
        url = gone.url

    silent = run(url, "--retries", "0")

    assert silent.exit_code == 3
    assert silent.stdout == ""
    assert silent.stderr == (
        f"floorwatch: {url}, asked once: nobody listens there; start Grafana, or correct the "
        "address\n"
    )


def test_a_page_of_somebody_else_is_one_line_and_exit_code_3(grafana: FakeGrafana) -> None:
    grafana.answer_next("GET", "/api/health", status=200, body="<html><title>Log in</title>")

    page = run(grafana)

    assert page.exit_code == 3
    (line,) = page.stderr.splitlines()
    assert "answers with text/html ('Log in'), not with JSON; name the address of Grafana" in line


def test_the_help_says_what_each_exit_code_means() -> None:
    shown = CliRunner().invoke(main, ["provision", "--help"])

    assert shown.exit_code == 0
    told = " ".join(shown.output.split())
    assert "Exit codes: 0 all is as it should be" in told
    assert "1 with --check something differs" in told
    assert "3 no Grafana answers, or it refuses something" in told


# Who logs in, and what nobody may see


def test_no_secret_can_be_written_on_the_command_line() -> None:
    options = {option for param in provision_command.params for option in param.opts}

    assert {"--token-file", "--password-file"} <= options
    assert not options & {"--token", "--password", "--api-key", "--auth"}


@pytest.mark.parametrize("way", ["variable", "file", "user", "user's file"])
def test_each_way_to_log_in_works_and_shows_nothing(
    grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    secret = tmp_path / "secret"
    arguments: list[str] = []
    if way != "variable":
        monkeypatch.delenv("GRAFANA_TOKEN")
    if way == "file":
        secret.write_text(f"{TOKEN}\n")
        arguments = ["--token-file", str(secret)]
    if way == "user":
        monkeypatch.setenv("GRAFANA_USER", USER)
        monkeypatch.setenv("GRAFANA_PASSWORD", PASSWORD)
    if way == "user's file":
        secret.write_text(f"{PASSWORD}\n")
        arguments = ["--user", USER, "--password-file", str(secret)]
    pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    outputs = [run(grafana, *arguments, *more) for more in ([], ["--diff"], ["--check"])]
    echoed = {"message": f"{TOKEN} {PASSWORD} {pair}"}
    grafana.answer_next("GET", "/api/folders", status=500, body=echoed)
    grafana.folders.clear()
    outputs.append(run(grafana, *arguments))
    grafana.dashboards["floorwatch-wall"]["content"]["title"] = echoed["message"]
    outputs.append(run(grafana, *arguments, "--diff"))

    assert [each.exit_code for each in outputs] == [0, 0, 0, 3, 0]
    told = "".join(each.output for each in outputs)
    mine = [TOKEN] if "user" not in way else [PASSWORD, pair]
    assert not [each for each in mine if each in told]
    assert "***" in outputs[3].stderr
    assert "***" in outputs[4].stdout


@pytest.mark.parametrize(
    ("variables", "arguments", "says"),
    [
        ({}, [], "nothing to log in with: set GRAFANA_TOKEN or name --token-file, or --user"),
        ({"GRAFANA_USER": "ops"}, [], "no password for 'ops': set GRAFANA_PASSWORD, or name"),
        ({"GRAFANA_TOKEN": "x", "GRAFANA_USER": "ops"}, [], "a token or a user; set one"),
        ({"GRAFANA_TOKEN": "s3cret s3cret"}, [], "the token of 13 characters is empty, or has"),
        ({"GRAFANA_TOKEN": "x"}, ["--datasource", "m"], "--datasource is of alert rules: it needs"),
        ({"GRAFANA_TOKEN": "x"}, ["--insecure"], "--insecure are of https, not of http"),
        ({"GRAFANA_TOKEN": "x"}, ["--timeout", "9"], "'9': expected a duration such as"),
        ({"GRAFANA_TOKEN": "x"}, ["--retries", "99"], "99 is not in the range"),
        ({"GRAFANA_TOKEN": "x"}, ["--token-file", "absent"], "File 'absent' does not exist"),
        ({"GRAFANA_TOKEN": "x"}, ["--client-key", __file__], "it needs --client-cert"),
        (
            {"GRAFANA_TOKEN": "x"},
            ["--insecure", "--ca-file", __file__],
            "--insecure and --ca-file: trust anybody, or that authority alone",
        ),
        (
            {"GRAFANA_TOKEN": "x"},
            ["--token-file", __file__, "--password-file", __file__],
            "--token-file and --password-file: a token or a user; name one",
        ),
        ({}, ["--password-file", __file__], "--password-file: whose? name --user"),
        ({"GRAFANA_TOKEN": "x", "FLOORWATCH_NAME": "A"}, [], "FLOORWATCH_NAME: name='A': expected"),
        (
            {"GRAFANA_TOKEN": "x", "FLOORWATCH_NAME": "n" * 30},
            [],
            "and Grafana takes 40; give the installation a name of at most",
        ),
    ],
)
def test_what_is_written_wrong_is_one_line_exit_code_2_and_nothing_is_asked(
    grafana: FakeGrafana,
    monkeypatch: pytest.MonkeyPatch,
    variables: dict[str, str],
    arguments: list[str],
    says: str,
) -> None:
    monkeypatch.delenv("GRAFANA_TOKEN")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    refused = run(grafana, *arguments)

    assert refused.exit_code == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert says in line
    assert "s3cret" not in line
    assert grafana.requests == []


def test_an_address_with_a_password_is_refused_and_not_shown() -> None:
    refused = run("https://ops:hunter2@grafana.example")

    assert refused.exit_code == 2
    assert "leave them out, and set GRAFANA_TOKEN" in refused.stderr
    assert "hunter2" not in refused.output


def test_the_address_may_come_from_a_variable(
    grafana: FakeGrafana, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRAFANA_URL", grafana.url)

    assert CliRunner().invoke(main, ["provision", "--check"]).exit_code == 1


def test_insecure_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    told = run("https://127.0.0.1:9", "--insecure", "--retries", "0")

    assert told.exit_code == 3
    assert "note: --insecure: whoever answers at https://127.0.0.1:9 is trusted\n" in told.stderr
