"""`floorwatch report` on recordings whose answers were worked out without it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas.instants import write_instant
from streams.report import report_command
from tests.support.oracle import Policy, row, to_ms
from tests.support.wire_examples import QUEUED_MS, a_record

DATA = Path(__file__).parents[1] / "data"
SMALL = DATA / "small-floor.jsonl"
SHARED = Path(__file__).parents[3] / "shared" / "data"
BANK = SHARED / "bank-1999-08.jsonl.gz"
ASTERISK = SHARED / "asterisk-2013.queue_log"

COLUMNS = {
    "offered": "offered",
    "answered": "answered",
    "abandoned": "abandoned",
    "immediate": "instant",
    "waited": "sent_to_wait",
    "answered_le_T": "answered_within",
    "abandoned_le_T": "abandoned_within",
    "short_abandons_le_5": "abandoned_short",
    "asa_mean": "wait_s.mean",
    "asa_p90_disc": "wait_s.p90",
    "asa_max": "wait_s.max",
    "abandon_wait_mean": "abandon_wait_s.mean",
    "abandonment_rate": "abandonment_ratio",
    "instant_ratio_of_offered": "instant_service_ratio",
    "sl_of_offered": "service_level.of_offered",
    "sl_of_answered": "service_level.answered_only",
    "sl_excluding_short_abandons": "service_level.icmi_4",
    "sl_counting_short_abandons": "service_level.icmi_1",
}
"""Names in the recordings' answers, and ours."""


def report(*arguments: object) -> list[dict[str, Any]]:
    """The JSON rows of a report."""
    output = text(*arguments, "--format", "json")
    return [json.loads(line) for line in output.splitlines()]


def text(*arguments: object) -> str:
    result = CliRunner().invoke(
        report_command, [str(each) for each in arguments], catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def figure(of: dict[str, Any], name: str) -> Any:  # figures are of several types
    value: Any = of
    for part in name.split("."):
        value = value[part]
    return value


def differences(expected: dict[str, Any], got: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Figures of the recording's answers that differ by more than 1e-5."""
    return {
        name: (expected[name], figure(got, ours))
        for name, ours in COLUMNS.items()
        if name in expected and figure(got, ours) != pytest.approx(expected[name], abs=1e-5)
    }


def test_a_small_floor_has_the_figures_worked_out_by_hand() -> None:
    expected = json.loads((DATA / "small-floor.expected.json").read_text())["queues"]

    rows = {each["queue"]: each for each in report(SMALL)}

    assert "unknown" not in rows  # there a bot contained a contact, and nothing else happened
    del expected["unknown"]
    for queue, figures in expected.items():
        got = {name: figure(rows[queue], name) for name in figures}
        assert got == pytest.approx(figures), queue


@pytest.mark.parametrize("attribute", ["arrival", "outcome"])
def test_hours_add_up_to_the_day_and_the_day_to_the_whole(attribute: str) -> None:
    whole = report("--attribute", attribute, SMALL)
    days = report("--attribute", attribute, "--by", "queue,day", SMALL)
    hours = report("--attribute", attribute, "--by", "queue,hour", SMALL)

    for parts in (days, hours):
        for each in whole:
            mine = [part for part in parts if part["queue"] == each["queue"]]
            for name in ("offered", "answered", "abandoned", "left", "instant", "refused"):
                assert sum(part[name] for part in mine) == each[name], (each["queue"], name)


def test_every_tick_of_a_report_equals_brute_force() -> None:
    events = [json.loads(line) for line in SMALL.read_text().splitlines()]
    rows = report(
        "--every", "30s", "--window", "5m,60m,day", "--attribute", "outcome",
        "--by", "queue,channel", SMALL,
    )  # fmt: skip
    spans = {"5m": ("rolling", 300_000), "60m": ("rolling", 3_600_000), "day": ("day",)}
    assert len({each["at"] for each in rows}) > 5

    for each in rows:
        expected = row(
            events,
            Policy(),
            queue=each["queue"],
            channel=each["channel"],
            window=spans[each["window"]],
            now_ms=to_ms(each["at"].replace("Z", "+00:00")),
        )
        for name in ("offered", "answered", "waiting", "expired", "initial_response_events"):
            assert each[name] == expected[name], (each["at"], each["queue"], each["window"], name)
        for formula, ratio in each["service_level"].items():
            assert ratio == pytest.approx(expected["service_level"][formula]), formula


@pytest.mark.parametrize(
    ("options", "name"),
    [(("--every", "30s", "--window", "5m,day"), "at"), (("--visits",), "opened")],
)
def test_of_a_file_the_part_from_one_moment_up_to_another_is_shown(
    options: tuple[str, ...], name: str
) -> None:
    begins, ends = "2026-11-24T10:00:30.000Z", "2026-11-24T10:01:00.000Z"
    whole = report(*options, SMALL)

    shown = report(*options, "--from", begins, "--to", ends, SMALL)

    assert shown == [each for each in whole if begins <= each[name] < ends]
    assert {begins, ends} < {each[name] for each in whole}


def test_times_of_a_part_are_of_the_zone_asked_for() -> None:
    of_ten = report("--from", "2026-11-24T10:00:05Z", "--by", "day", "--tz", "+03:00", SMALL)

    thirteen = ("--from", "2026-11-24T13:00:05", "--by", "day", "--tz", "+03:00")
    assert report(*thirteen, SMALL) == of_ten
    assert report("--by", "day", "--tz", "+03:00", SMALL) != of_ten


def test_what_is_left_out_is_said_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    late = a_record(id="late", time=write_instant(QUEUED_MS - 14_400_001))
    path.write_bytes(b"\n".join([a_record(), b"nonsense", late]))

    done = CliRunner().invoke(report_command, [str(path)], catch_exceptions=False)

    assert done.stderr == (
        "floorwatch: records left out: 1 cannot be read, 1 came more than 4h late "
        "(allowed_lateness); "
        "`floorwatch check FILE` says where\n"
    )


def test_where_nothing_is_left_out_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    just_in_time = a_record(id="late", time=write_instant(QUEUED_MS - 14_400_000))
    path.write_bytes(b"\n".join([a_record(), just_in_time]))

    assert CliRunner().invoke(report_command, [str(path)]).stderr == ""


def test_one_line_a_visit_says_what_decided_and_names_nobody() -> None:
    lines = report("--visits", SMALL)
    events = [json.loads(line) for line in SMALL.read_text().splitlines()]

    assert len(lines) == next(each["offered"] for each in report(SMALL) if each["queue"] == "*")
    assert all(line["rule"] for line in lines)
    contacts = {event["contact"] for event in events if "contact" in event}
    assert not [name for name in contacts if name in json.dumps(lines)]


def test_a_csv_has_one_column_for_each_figure() -> None:
    rows = list(csv.DictReader(io.StringIO(text("--format", "csv", SMALL))))

    assert [each["queue"] for each in rows] == [each["queue"] for each in report(SMALL)]
    assert {"wait_s.p90", "service_level.strict", "service_level_n.connect"} <= set(rows[0])


def test_a_table_shows_a_ratio_with_its_formula() -> None:
    table = text("--formula", "answered_only", SMALL)

    assert "answered_only" in table
    assert "strict" not in table


RECORDED = [
    pytest.param("20s", "overall", id="T=20"),
    pytest.param("10s", "overall_T10", id="T=10"),
    pytest.param("60s", "overall_T60", id="T=60"),
]


if BANK.exists():
    RULES = ("--short-abandon", "5s", "--instant-within", "0s", "--tz", "+03:00")

    @pytest.mark.parametrize(("threshold", "name"), RECORDED)
    def test_a_month_of_a_bank_has_its_published_figures(threshold: str, name: str) -> None:
        expected = json.loads((SHARED / "bank-1999-08.expected.json").read_text())
        rows = {each["queue"]: each for each in report("--threshold", threshold, *RULES, BANK)}

        wrong = {"*": differences(expected[name], rows["*"])}
        if name == "overall":
            for queue, figures in expected["by_queue"].items():
                wrong[queue] = differences(figures, rows[queue])

        assert not any(wrong.values()), wrong

    def test_every_hour_of_the_bank_has_its_published_figures() -> None:
        with (SHARED / "bank-1999-08.by-hour-queue.csv").open() as file:
            published = {(each["hour"], each["queue"]): each for each in csv.DictReader(file)}
        rows = report("--threshold", "20s", *RULES, "--by", "hour,queue", BANK)
        mine = {
            (each["at"][:16], each["queue"]): each
            for each in rows
            if each["queue"] != "*" and each["offered"]
        }

        assert mine.keys() == published.keys()
        wrong = {}
        for key, texts in published.items():
            numbers = {name: float(value) if value else None for name, value in texts.items()
                       if name in COLUMNS}  # fmt: skip
            if different := differences(numbers, mine[key]):
                wrong[key] = different
        assert wrong == {}


if ASTERISK.exists():

    def test_an_asterisk_log_has_its_published_waits() -> None:
        expected = json.loads((SHARED / "asterisk-2013.expected.json").read_text())
        rows = report("--source-format", "asterisk-queue-log", ASTERISK)

        got = rows[-1]

        published = expected["from_timestamps"]["*"]
        for name, ours in COLUMNS.items():
            assert figure(got, ours) == pytest.approx(published[name], abs=1e-3), name
