"""The command line: help, faults in one line, exit codes, and the simulator into a file."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from datetime import timedelta, timezone
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from schemas.instants import read_instant
from streams.cli import COMMANDS, main
from streams.parameters import read_moment, read_speed
from streams.settings import load_settings
from streams.topics import rejected_topic
from tests.support.commands import floorwatch, started, surroundings
from tests.support.wire_examples import a_record

TEN = "2026-11-24T10:00:00Z"


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLOORWATCH_SETTINGS", raising=False)


def run(*arguments: str) -> Result:
    """Run the command within this process."""
    return CliRunner().invoke(main, arguments)


def simulated(path: Path, *arguments: str) -> list[dict[str, str]]:
    """The events that `simulate` writes to *path*."""
    result = run("simulate", "--from", TEN, "--to-file", str(path), *arguments)
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in path.read_text().splitlines()]


# Help


def test_help_lists_the_commands_and_loads_neither_faust_nor_a_kafka_client() -> None:
    program = (
        "import sys; from streams.cli import main\n"
        "try: main(['--help'])\n"
        "finally: print({'faust', 'aiokafka', 'aiohttp'} & set(sys.modules))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program],
        env=surroundings(),
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    at = [shown.index(f"\n  {name} ") for name in COMMANDS]
    assert at == sorted(at)
    assert shown.endswith("set()\n")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_has_an_example_and_its_exit_codes(command: str) -> None:
    shown = run(command, "--help")

    assert shown.exit_code == 0
    assert f"  floorwatch {command}" in shown.output.split("Examples:")[1]
    assert "Exit codes: 0 " in shown.output


def test_help_of_the_worker_names_the_topic_of_rejected_records_as_it_is_called() -> None:
    shown = " ".join(run("worker", "--help").output.split())

    assert rejected_topic(load_settings(None, {})) == "floorwatch.rejected"
    assert "NAME.rejected, `floorwatch.rejected` unless the settings give another name" in shown


def test_without_a_command_the_help_is_shown_and_that_is_a_usage_error() -> None:
    shown = run()

    assert shown.exit_code == 2
    assert "Commands:" in shown.output


# What the operator can mend


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'. (see floorwatch --help)"),
        (["replay"], "Missing argument 'FILE...'. (see floorwatch replay --help)"),
        (["replay", "absent.jsonl"], "File 'absent.jsonl' does not exist"),
        (["replay", "."], "is a directory"),
        (["report", "absent.jsonl"], "absent.jsonl"),
        (["report"], "name a FILE of recorded events, `-` for standard input, or --bootstrap"),
        (["report", "--bootstrap", "here:9092", "-"], "FILE and --bootstrap: events come from"),
        (
            ["report", "--bootstrap", "here:9092", "--source-format", "canonical"],
            "--source-format is of files",
        ),
        (["report", "--window", "15m", "-"], "--window: windows are looked at with --every"),
        (["report", "--every", "5m", "--window", "7s", "-"], "'7s': expected day, or a whole"),
        (["report", "--every", "5m", "--by", "queue,hour", "-"], "--by hour: with --every rows"),
        (["report", "--visits", "--every", "5m", "-"], "--visits and --every: one line per visit"),
        (["report", "--visits", "--by", "queue", "-"], "--visits and --by: lines of visits have"),
        (["report", "--visits", "--attribute", "arrival", "-"], "--visits and --attribute:"),
        (["report", "--visits", "--formula", "strict", "-"], "--visits and --formula: a visit"),
        (["report", "--from", "noon", "-"], "'noon': expected a time such as"),
        (
            ["report", "--from", TEN, "--to", TEN, "-"],
            f"--to: '{TEN}': expected a time after --from '{TEN}'",
        ),
        (["check", "--bootstrap", "here:9092", "-"], "FILE and --bootstrap: recorded events or"),
        (["check", "--tz", "UTC"], "--tz is of recorded events: name a FILE of them"),
        (["check", "--source-format", "canonical"], "--source-format is of recorded events"),
        (["check", "--tz", "Mars", "-"], "'Mars': expected an IANA zone"),
        (["check", "--source-format", "cdr", "-"], "'cdr' is not one of 'canonical'"),
        (["replay", "--speed", "fast", "-"], "'fast': expected max, or times faster than life"),
        (["replay", "--until", "noon", "-"], "'noon': expected a time such as"),
        (["replay", "--rebase", "now", "-"], "name a file, or a --speed"),
        (["replay", "--follow", "-"], "--follow takes one log of --source-format"),
        (["replay", "--follow", "--rebase", "now", "-"], "--follow is live"),
        (["replay", "--bootstrap", "nowhere", "-"], "--bootstrap: bootstrap='nowhere': expected"),
        (["worker", "--settings", "absent.yaml"], "absent.yaml: cannot read the settings"),
        (["simulate", "--for", "5"], "'5': expected a duration such as 0s"),
        (["simulate", "--speed", "max"], "--speed max needs an end"),
        (["simulate", "--to-file", "endless.jsonl"], "--to-file needs an end"),
        (["simulate", "--rate", "0", "--for", "1m"], "rate 0.0: expected a number above 0"),
        (["simulate", "--incident", "flood@1m"], "unknown kind 'flood'; expected one of"),
        (["simulate", "--incident", "surge@1m:moon", "--for", "1m"], "there is no queue 'moon'"),
        (["demo", "--port", "0"], "0 is not in the range"),
    ],
)
def test_what_is_written_wrong_is_one_line_that_says_what_would_be_right(
    arguments: list[str], says: str
) -> None:
    refused = run(*arguments)

    assert refused.exit_code == 2
    assert refused.stdout == ""
    (line,) = refused.stderr.splitlines()
    assert line.startswith("floorwatch: ")
    assert says in line


def test_a_wrong_setting_is_one_line_with_its_key_and_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FLOORWATCH_TICK", "7s")

    refused = run("worker")

    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith("floorwatch: FLOORWATCH_TICK: tick='7s': expected")


def test_a_damaged_file_is_one_line_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "damaged.jsonl.gz"
    path.write_bytes(gzip.compress(a_record() + b"\n")[:-6])

    refused = run("check", str(path))

    assert refused.exit_code == 2
    (line,) = refused.stderr.splitlines()
    assert line.startswith(f"floorwatch: {path}: compressed data is damaged or cut off")


@pytest.mark.parametrize("command", ["replay", "simulate", "demo"])
def test_a_kafka_that_does_not_answer_is_one_line_and_exit_code_3(
    command: str, tmp_path: Path
) -> None:
    path = tmp_path / "one.jsonl"
    path.write_bytes(a_record())
    files = [str(path)] if command == "replay" else []

    refused = floorwatch(command, "--bootstrap", "127.0.0.1:9", *files)

    assert refused.returncode == 3
    assert refused.stderr == (
        "floorwatch: no Kafka answers at 127.0.0.1:9; start it, or correct the address\n"
    )


def test_ctrl_c_is_exit_code_130_and_no_traceback() -> None:
    with started("simulate", "--speed", "max", "--to-file", "-") as endless:
        assert endless.stdout is not None
        endless.stdout.readline()
        endless.send_signal(signal.SIGINT)
        _, stderr = endless.communicate(timeout=60)

    assert endless.returncode == 130
    assert "Traceback" not in stderr


# Simulating into a file


def test_the_same_seed_and_beginning_write_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"

    simulated(one, "--for", "2m", "--seed", "7", "--incident", "late@10s")
    simulated(other, "--for", "2m", "--seed", "7", "--incident", "late@10s")

    assert one.read_bytes() == other.read_bytes()


def test_another_seed_writes_another_centre(tmp_path: Path) -> None:
    one, other = tmp_path / "one.jsonl", tmp_path / "other.jsonl"

    simulated(one, "--for", "2m", "--seed", "7")
    simulated(other, "--for", "2m", "--seed", "8")

    assert one.read_bytes() != other.read_bytes()


def test_a_simulated_heartbeat_is_written_once_however_many_topics_it_goes_to(
    tmp_path: Path,
) -> None:
    beats = [
        event["id"]
        for event in simulated(tmp_path / "beats.jsonl", "--for", "1m")
        if event["type"] == "source.alive"
    ]

    assert len(beats) == len(set(beats)) == 2 * 6  # two sources, every ten seconds


def test_the_past_lies_between_the_beginning_and_the_live_part(tmp_path: Path) -> None:
    events = simulated(tmp_path / "past.jsonl", "--past", "2m", "--for", "1m")

    times_ms = [read_instant(event["time"]) for event in events]
    assert min(times_ms) == read_instant(TEN)
    assert 2 * 60_000 < max(times_ms) - read_instant(TEN) < 3 * 60_000


# How values are written


@pytest.mark.parametrize(
    ("text", "speed"), [("max", None), ("1x", 1.0), ("60x", 60.0), ("0.5x", 0.5), ("60", 60.0)]
)
def test_a_speed_is_times_faster_than_life(text: str, speed: float | None) -> None:
    assert read_speed(text) == speed


@pytest.mark.parametrize("text", ["", "x", "0x", "-1x", "nan", "inf", "1e999", "xx"])
def test_what_is_no_speed_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected max, or times faster than life"):
        read_speed(text)


def test_a_moment_without_offset_is_of_the_zone_given() -> None:
    zone = timezone(timedelta(hours=3))

    assert read_moment("2026-11-24T13:00:00", zone) == read_instant(TEN)
    assert read_moment("2026-11-24 13:00", zone) == read_instant(TEN)
    assert read_moment("2026-11-24T11:00:00+01:00", zone) == read_instant(TEN)


@pytest.mark.parametrize("text", ["", "noon", "2026-13-01T00:00:00"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="expected a time such as"):
        read_moment(text, timezone(timedelta(hours=3)))
