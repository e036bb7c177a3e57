"""What `check` finds in recorded events, and what it never shows of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from schemas.instants import read_instant, write_instant
from streams.cli import main
from tests.support.wire_examples import ABSENT, QUEUED_MS, a_record

Check = Callable[..., Result]
H = 3_600_000


@pytest.fixture
def check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Run `check` on a file of these lines."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FLOORWATCH_SETTINGS", raising=False)

    def run(lines: Sequence[bytes], *options: str) -> Result:
        Path("events").write_bytes(b"\n".join(lines) + b"\n")
        return CliRunner().invoke(main, ["check", *options, "events"])

    return run


def call(kind: str, after_ms: int = 0, **fields: object) -> bytes:
    """An event of call-71 so long after it was queued."""
    time = write_instant(QUEUED_MS + after_ms)
    return a_record(**{"id": f"{kind}/{after_ms}", "type": kind, "time": time} | fields)


def findings(result: Result, level: str) -> list[str]:
    """What was said at that level."""
    lines = result.stdout.splitlines()
    return [line[6:] for line in lines if line.startswith(f"{level:<4}  ")]


WHOLE = (call("contact.queued"), call("contact.answered", 5_000), call("contact.ended", 60_000))


def test_a_file_without_fault_passes(check: Check) -> None:
    checked = check(WHOLE)

    assert checked.exit_code == 0
    assert findings(checked, "ok") == ["every record can be read"]
    assert not findings(checked, "warn")
    assert not findings(checked, "FAIL")


def test_the_types_seen_are_counted_with_the_span_of_their_times(check: Check) -> None:
    first, *rest = check([*WHOLE, call("contact.queued", 90_000)]).stdout.splitlines()

    assert first == (
        "4 records, from 2026-11-24T07:00:03.250Z to 2026-11-24T07:01:33.250Z; 1 contacts, 2 visits"
    )
    assert [line.split() for line in rest[:3]] == [
        ["contact.queued", "2"],
        ["contact.answered", "1"],
        ["contact.ended", "1"],
    ]


def test_a_reject_has_its_reason_and_the_place_of_the_first_and_fails(check: Check) -> None:
    checked = check([*WHOLE, b"nonsense", call("contact.ended", contact=ABSENT), b"more of it"])

    assert checked.exit_code == 1
    assert findings(checked, "FAIL") == [
        "rejected, not_json: 2, the first at events:4",
        "rejected, missing_field: 1, the first at events:5",
    ]


def test_nothing_of_a_record_is_ever_shown(check: Check) -> None:
    number = "+49301234567"
    lines = [
        f'{{"customer":"{number}"'.encode(),
        call("contact.answered", by=number, customer=number, reason=number),
        call("contact.left", reason=number, contact=number),
        call(number, contact=number),
        call("contact.queued", time=number),
    ]

    assert number not in check([*WHOLE, *lines]).output


def test_an_event_later_than_allowed_fails_and_one_just_in_time_does_not(check: Check) -> None:
    now = call("contact.queued", 4 * H, contact="call-72")

    assert check([now, *WHOLE[:1]]).exit_code == 0
    checked = check([now, call("contact.queued", -1)])

    assert checked.exit_code == 1
    assert findings(checked, "FAIL") == ["later than 4h, so not counted: 1, the first at events:2"]


def test_what_was_sent_twice_is_noted_and_counts_once(check: Check) -> None:
    checked = check([*WHOLE, WHOLE[0]])

    assert checked.exit_code == 0
    assert "sent more than once, counted once: 1, the first at events:4" in findings(
        checked, "note"
    )
    assert "1 contacts, 1 visits" in checked.stdout


def test_one_id_with_two_contents_is_a_warning(check: Check) -> None:
    checked = check([*WHOLE, call("contact.queued", id="contact.ended/60000")])

    assert "one id with different contents: 1 times" in findings(checked, "warn")


def test_a_contact_that_never_closes_is_found_where_it_begins(check: Check) -> None:
    open_one = call("contact.queued", 1_000, contact="call-72")

    assert findings(check([WHOLE[0], open_one, *WHOLE[1:]]), "warn") == [
        "contacts never closed: 1, the first at events:2; 0 of them expired, "
        "1 still waited at the end"
    ]


def test_a_contact_that_waits_longer_than_its_channel_allows_has_expired(check: Check) -> None:
    two_hours_on = call("contact.refused", 2 * H, contact="call-72", reason="full")

    (found,) = findings(check([call("contact.queued"), two_hours_on]), "warn")

    assert found.endswith("1 of them expired, 0 still waited at the end")


def test_a_type_that_is_not_known_is_a_warning_with_its_place(check: Check) -> None:
    checked = check([*WHOLE, call("contact.sang", 1)])

    assert checked.exit_code == 0
    assert findings(checked, "warn") == [
        "of a type that is not known, so ignored: 1, the first at events:4"
    ]


def test_a_file_of_another_format_fails_and_asks_for_the_format(check: Check) -> None:
    checked = check([b"1700000020|1700000019.1|sales|NONE|ENTERQUEUE||15550001|1"])

    assert checked.exit_code == 1
    assert findings(checked, "FAIL")[0] == (
        "there is not one readable event; is --source-format right?"
    )


def test_an_asterisk_log_is_read_as_one(check: Check) -> None:
    checked = check(
        [
            b"1700000020|1700000019.1|sales|NONE|ENTERQUEUE||15550001|1",
            b"1700000021|1700000019.1|sales|NONE|DID|4930555000",
            b"1700000024|1700000019.1|sales|PJSIP/1|CONNECT|4|1700000020.2|1",
        ],
        "--source-format",
        "asterisk-queue-log",
    )

    assert checked.exit_code == 0
    assert "lines that make no event, unmapped: 1, the first at line 2" in findings(checked, "note")
    assert "1555" not in checked.output


def test_local_times_of_a_log_are_of_the_zone_given(check: Check) -> None:
    line = b"2026-11-24 13:00:00.000000|1700000019.1|sales|NONE|ENTERQUEUE||15550001|1"

    checked = check([line], "--source-format", "asterisk-queue-log", "--tz", "+03:00")

    assert f"from {write_instant(read_instant('2026-11-24T10:00:00Z'))}" in checked.stdout


# What stays empty


@pytest.mark.parametrize(
    ("lines", "missing"),
    [
        (WHOLE, "no agent.changed: agents by state stay empty"),
        (WHOLE, "no queue.opened or queue.closed: whether a queue is in service stays unknown"),
        (WHOLE, "no source.alive: a source that falls silent is noticed only"),
        (WHOLE, "no segment in any event: instant service by segment"),
        (WHOLE[1:], "no contact.queued: a wait is known only when it is over"),
        (WHOLE[:2], "no contact.abandoned or contact.ended: abandoned stays 0"),
        ([call("contact.messaged")], "no visit to any queue: nothing is offered"),
        (WHOLE[:1], "no contact.answered and no human contact.replied: nobody counts as answered"),
    ],
)
def test_a_figure_that_nothing_feeds_is_named_with_what_is_missing(
    check: Check, lines: Sequence[bytes], missing: str
) -> None:
    assert any(note.startswith(missing) for note in findings(check(lines), "note"))


def test_a_channel_on_which_no_person_replied_has_no_initial_response(check: Check) -> None:
    chat = {"contact": "chat-1", "channel": "chat"}
    lines = [*WHOLE, call("contact.queued", 1, **chat), call("contact.answered", 2, **chat)]
    missing = "no human contact.replied on chat: initial response stays empty there"

    bot = call("contact.replied", 3, by="bot", **chat)
    human = call("contact.replied", 3, by="human", **chat)

    assert missing in findings(check([*lines, bot]), "note")
    assert missing not in findings(check([*lines, human]), "note")


def test_what_feeds_a_figure_is_not_called_missing(check: Check) -> None:
    fed = call("source.alive", contact=ABSENT, queue=ABSENT, channel=ABSENT)

    notes = findings(check([*WHOLE, fed, call("contact.refused", 1, reason="full")]), "note")

    assert not any("source.alive" in note or "refused" in note for note in notes)


# An installation


def test_a_wrong_setting_fails_before_any_broker_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOORWATCH_TICK", "7s")

    checked = CliRunner().invoke(main, ["check"])

    assert checked.exit_code == 1
    (only,) = checked.stdout.splitlines()
    assert only.startswith("FAIL  settings: FLOORWATCH_TICK: tick='7s': expected")


@pytest.mark.parametrize(("threshold", "level", "code"), [("119m", "ok  ", 0), ("3h", "FAIL", 1)])
def test_offline_the_policy_is_judged_and_no_broker_asked(
    threshold: str, level: str, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"queues: {{sales: {{threshold: {threshold}}}}}", encoding="utf-8")
    monkeypatch.setenv("FLOORWATCH_POLICY_FILE", str(policy))

    checked = CliRunner().invoke(main, ["check", "--offline", "--bootstrap", "127.0.0.1:9"])

    (only,) = checked.stdout.splitlines()
    assert only.startswith(f"{level}  settings: ")
    assert checked.exit_code == code


@pytest.mark.parametrize("asks", [["--state"], ["--worker", "http://127.0.0.1:1"], [__file__]])
def test_offline_goes_with_nothing_that_asks_or_reads(asks: list[str]) -> None:
    checked = CliRunner().invoke(main, ["check", "--offline", *asks])

    assert checked.exit_code == 2
    assert "--offline" in checked.stderr


def test_a_broker_that_does_not_answer_fails() -> None:
    checked = CliRunner().invoke(main, ["check", "--bootstrap", "127.0.0.1:9"])

    assert checked.exit_code == 1
    assert findings(checked, "FAIL") == [
        "broker: no Kafka answers at 127.0.0.1:9; start it, or correct the address"
    ]
