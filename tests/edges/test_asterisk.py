"""What an Asterisk queue_log says, as canonical events."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta, timezone, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.codec import Decoder, encode
from schemas.events import (
    Abandoned,
    AgentChanged,
    Answered,
    ContactEvent,
    Ended,
    Event,
    Left,
    Queued,
    Refused,
    SourceStarted,
    Transferred,
    Unanswered,
    type_name,
)
from schemas.instants import read_instant
from streams.sources.asterisk import QueueLogReader, Reading, read_queue_log
from streams.sources.follow import FollowedLine, follow

EVERY_EVENT = Path(__file__).parent.parent / "data" / "every-event.queue_log"
BERLIN = ZoneInfo("Europe/Berlin")


def events_of(*lines: str, zone: tzinfo = UTC, reading: Reading | None = None) -> list[Event]:
    return list(read_queue_log(lines, zone=zone, file_id="f", reading=reading))


def contact_events(*lines: str, zone: tzinfo = UTC) -> list[ContactEvent]:
    return [event for event in events_of(*lines, zone=zone) if isinstance(event, ContactEvent)]


def time_of(line: str, *, zone: tzinfo = UTC) -> str:
    [event] = events_of(line, zone=zone)
    return event.time


@pytest.fixture
def every_event() -> list[Event]:
    return events_of(*EVERY_EVENT.read_text().splitlines())


@pytest.fixture
def reading() -> Reading:
    reading = Reading()
    events_of(*EVERY_EVENT.read_text().splitlines(), reading=reading)
    return reading


# Lines and what they stand for


def test_a_call_that_is_answered_is_queued_answered_and_ended() -> None:
    queued, answered, ended = contact_events(
        "1366720340|1366720339.1|sales|NONE|ENTERQUEUE||15550001|1",
        "1366720350|1366720339.1|sales|SIP/8007|CONNECT|10|1366720341.2|4",
        "1366720410|1366720339.1|sales|SIP/8007|COMPLETEAGENT|10|60|1",
    )

    assert queued == Queued(
        id="f:1",
        time="2013-04-23T12:32:20.000Z",
        source="asterisk",
        sequence=10,
        contact="1366720339.1",
        queue="sales",
        channel="voice",
    )
    assert isinstance(answered, Answered)
    assert (answered.agent, answered.time) == ("SIP/8007", "2013-04-23T12:32:30.000Z")
    assert isinstance(ended, Ended)
    assert (ended.agent, ended.by) == ("SIP/8007", "agent")


ENTERED = "1700000000|1700000000.1|sales|NONE|ENTERQUEUE||15550001|1"


@pytest.mark.parametrize(
    ("ending", "kind", "said"),
    [
        ("NONE|ABANDON|1|1|60", Abandoned, {}),
        ("SIP/1|ABANDON|1|1|60", Abandoned, {"agent": "SIP/1"}),
        ("NONE|EXITWITHTIMEOUT|1|1|60", Left, {"reason": "timeout"}),
        ("NONE|EXITEMPTY|1|1|60", Left, {"reason": "empty"}),
        ("NONE|LEAVEEMPTY|", Left, {"reason": "empty"}),
        ("NONE|EXITWITHKEY|9|1|1|60", Left, {"reason": "key"}),
        ("NONE|WITHDRAW|1|1|60|why", Left, {"reason": "withdrawn"}),
        ("SIP/1|SYSCOMPAT|", Left, {"reason": "error"}),
        ("SIP/1|CONNECT|60|1700000050.2|5", Answered, {"agent": "SIP/1"}),
        ("SIP/1|RINGNOANSWER|15000", Unanswered, {"agent": "SIP/1"}),
        ("SIP/1|AGENTDUMP|", Unanswered, {"agent": "SIP/1"}),
    ],
)
def test_each_way_out_of_the_queue_has_its_event(
    ending: str, kind: type[ContactEvent], said: dict[str, str]
) -> None:
    _, event = contact_events(ENTERED, f"1700000060|1700000000.1|sales|{ending}")

    assert type(event) is kind
    assert {name: getattr(event, name) for name in said} == said
    assert (event.contact, event.queue, event.channel) == ("1700000000.1", "sales", "voice")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("FULL", "full"),
        ("DIVERT_CA_RATIO", "full"),
        ("DIVERT_HOLDTIME", "full"),
        ("CLOSED", "closed"),
        ("JOINEMPTY", "no_agents"),
    ],
)
def test_lines_that_the_dialplan_writes_at_the_door_are_refusals(name: str, reason: str) -> None:
    [event] = contact_events(f"1700000000|1700000000.1|sales|NONE|{name}|")

    assert isinstance(event, Refused)
    assert event.reason == reason


def test_a_caller_who_hangs_up_in_the_welcome_has_left_before_any_queue() -> None:
    [event] = contact_events("1700000000|1700000000.1|sales|NONE|ABANDONWEL|15550001")

    assert isinstance(event, Left)
    assert event.reason == "bot"


def test_a_transfer_to_a_queue_of_this_log_names_it_and_does_not_end_the_call() -> None:
    events = contact_events(
        "1700000000|1700000000.8|support|NONE|ENTERQUEUE||15550009|1",
        ENTERED,
        "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5",
        "1700000070|1700000000.1|sales|SIP/1|BLINDTRANSFER|support|from-internal|10|60|1",
        "1700000070|1700000000.1|support|NONE|ENTERQUEUE||15550001|1",
    )[2:]

    assert [type_name(type(event)) for event in events] == [
        "contact.answered",
        "contact.transferred",
        "contact.queued",
    ]
    transferred = events[1]
    assert isinstance(transferred, Transferred)
    assert (transferred.to, transferred.mode, transferred.agent) == ("support", "blind", "SIP/1")


@pytest.mark.parametrize(
    "passed_on",
    [
        "ATTENDEDTRANSFER|BRIDGE|a-bridge|10|60|1",
        "ATTENDEDTRANSFER|APP|VoiceMail|10|60|1",
        "ATTENDEDTRANSFER|LINK|SIP/1-01|SIP/15550009-02|10|60|1",
    ],
)
def test_an_attended_transfer_of_any_form_is_a_consult_without_a_target(passed_on: str) -> None:
    events = contact_events(
        ENTERED,
        "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5",
        f"1700000070|1700000000.1|sales|SIP/1|{passed_on}",
    )

    transferred = events[-1]
    assert isinstance(transferred, Transferred)
    assert (transferred.to, transferred.mode) == ("", "consult")
    assert len(events) == 3


def test_a_start_of_asterisk_is_a_start_of_the_source() -> None:
    [event] = events_of("1700000000|NONE|NONE|NONE|QUEUESTART|")

    assert isinstance(event, SourceStarted)
    assert event.source == "asterisk"


@pytest.mark.parametrize("name", ["CONFIGRELOAD", "OUTCALL|ANSWER|20", "RINGCANCELED|4000"])
def test_lines_without_a_canonical_event_make_none(name: str) -> None:
    reading = Reading()

    assert events_of(f"1700000000|1700000000.1|sales|NONE|{name}", reading=reading) == []
    assert reading.skipped["unmapped"].count == 1


@pytest.mark.parametrize("call", ["NONE", "REALTIME", "MANAGER", "CLI", ""])
def test_what_stands_in_the_place_of_a_call_id_is_no_contact(call: str) -> None:
    reading = Reading()

    assert events_of(f"1700000000|{call}|sales|NONE|ENTERQUEUE||1|1", reading=reading) == []
    assert reading.skipped["no_call"].count == 1


def test_every_event_of_the_fixture_is_counted_and_what_is_skipped_has_a_reason(
    reading: Reading,
) -> None:
    lines = EVERY_EVENT.read_text().count("\n")

    assert reading.lines == lines == reading.by_event.total() + 1
    assert reading.events == {
        "source.started": 1,
        "contact.queued": 11,
        "contact.answered": 4,
        "contact.unanswered": 3,
        "contact.ended": 2,
        "contact.transferred": 2,
        "contact.abandoned": 1,
        "contact.left": 7,
        "contact.refused": 3,
        "agent.changed": 17,
    }
    assert {reason: (seen.count, seen.first_line) for reason, seen in reading.skipped.items()} == {
        "unmapped": (6, 2),
        "unknown": (1, lines - 1),
        "malformed": (1, lines),
    }
    assert reading.repaired == 0


def test_every_event_can_be_read_back_by_the_worker(every_event: list[Event]) -> None:
    decoder = Decoder()

    for event in every_event:
        assert decoder.decode(encode(event)) == (event, read_instant(event.time))
    assert decoder.unknown_fields == 0


# Privacy


def test_no_number_of_a_caller_leaves_the_adapter(every_event: list[Event]) -> None:
    assert "1555" in EVERY_EVENT.read_text()

    for event in every_event:
        assert b"1555" not in encode(event)
        assert b"crm.example" not in encode(event)


def test_a_transfer_to_a_number_does_not_say_the_number() -> None:
    event = contact_events(
        ENTERED,
        "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5",
        "1700000070|1700000000.1|sales|SIP/1|BLINDTRANSFER|15550042|outbound|10|60|1",
    )[-1]

    assert isinstance(event, Transferred)
    assert event.to == ""


def test_the_file_id_does_not_depend_on_the_caller() -> None:
    ids = {
        next(iter(read_queue_log([f"1700000000|1.1|sales|NONE|ENTERQUEUE||{n}|1"], zone=UTC))).id
        for n in ("15550001", "15550002")
    }

    assert len(ids) == 1


def test_a_reading_holds_no_content(reading: Reading) -> None:
    assert "1555" not in repr(reading)
    assert "1700000" not in repr(reading)


# Times


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("1366720340", "2013-04-23T12:32:20.000Z"),
        ("1366720340.998", "2013-04-23T12:32:20.998Z"),
        ("1366720340.9989", "2013-04-23T12:32:20.998Z"),
        ("2013-04-23 12:32:20.998877", "2013-04-23T12:32:20.998Z"),
        ("2013-04-23 12:32:20", "2013-04-23T12:32:20.000Z"),
        ("2013-04-23T12:32:20.5+02:00", "2013-04-23T10:32:20.500Z"),
        ("2013-04-23 12:32:20Z", "2013-04-23T12:32:20.000Z"),
    ],
)
def test_both_forms_of_time_are_read_to_the_millisecond(written: str, instant: str) -> None:
    assert time_of(f"{written}|1.1|sales|NONE|ENTERQUEUE||1|1") == instant


def test_a_time_without_offset_is_in_the_zone_given() -> None:
    line = "2013-07-23 16:13:29.464232|1374576197.106|Billing|NONE|ENTERQUEUE||111|1"

    assert time_of(line, zone=timezone(timedelta(hours=5, minutes=30))) == (
        "2013-07-23T10:43:29.464Z"
    )


@pytest.mark.parametrize(
    "written",
    ["", "x", "13667203401234", "-5", "2013-02-30 00:00:00", "2013-04-23", "0000-01-01 00:00:00"],
)
def test_what_is_no_time_is_counted_and_makes_no_event(written: str) -> None:
    reading = Reading()

    assert events_of(f"{written}|1.1|sales|NONE|ENTERQUEUE||1|1", reading=reading) == []
    assert reading.skipped["bad_time"].first_line == 1


def test_in_the_hour_that_comes_twice_file_order_decides() -> None:
    times = [
        event.time
        for event in events_of(
            "2024-10-27 02:10:00|a|sales|NONE|ENTERQUEUE||1|1",
            "2024-10-27 02:50:00|a|sales|NONE|ABANDON|1|1|2400",
            "2024-10-27 02:05:00|b|sales|NONE|ENTERQUEUE||1|1",
            "2024-10-27 02:50:00|b|sales|NONE|ABANDON|1|1|2700",
            "2024-10-27 03:00:00|c|sales|NONE|ENTERQUEUE||1|1",
            zone=BERLIN,
        )
    ]

    assert times == [
        "2024-10-27T00:10:00.000Z",
        "2024-10-27T00:50:00.000Z",
        "2024-10-27T01:05:00.000Z",
        "2024-10-27T01:50:00.000Z",
        "2024-10-27T02:00:00.000Z",
    ]


def test_lines_a_moment_out_of_order_do_not_jump_an_hour() -> None:
    first, second = events_of(
        "2024-10-27 02:10:00.500|a|sales|NONE|ENTERQUEUE||1|1",
        "2024-10-27 02:10:00.400|b|sales|NONE|ENTERQUEUE||1|1",
        zone=BERLIN,
    )

    assert (first.time, second.time) == ("2024-10-27T00:10:00.500Z", "2024-10-27T00:10:00.400Z")


def test_a_call_is_never_in_the_log_before_it_was_born() -> None:
    born_s = read_instant("2024-10-27T01:20:00Z") // 1000

    [event] = events_of(f"2024-10-27 02:20:01|{born_s}.7|q|NONE|ENTERQUEUE||1|1", zone=BERLIN)

    assert event.time == "2024-10-27T01:20:01.000Z"


# Ids and order


def test_two_equal_lines_of_one_second_stay_two_events() -> None:
    first, second = contact_events(
        "1700000004|1700000000.1|sales|SIP/1|RINGNOANSWER|4000",
        "1700000004|1700000000.1|sales|SIP/1|RINGNOANSWER|4000",
    )

    assert first.id != second.id


def test_lines_of_one_second_keep_their_order() -> None:
    events = contact_events(
        ENTERED,
        "1700000000|1700000000.1|sales|SIP/1|CONNECT|0|1700000000.2|0",
        "1700000000|1700000000.1|sales|SIP/1|BLINDTRANSFER|9|ctx|0|0|1",
        "1700000000|1700000000.1|support|NONE|ENTERQUEUE||1|1",
    )

    assert [event.sequence for event in events] == sorted({event.sequence for event in events})


def test_a_file_read_again_makes_the_same_events() -> None:
    lines = EVERY_EVENT.read_text().splitlines()

    assert list(read_queue_log(lines, zone=UTC)) == list(read_queue_log(lines, zone=UTC))


def test_ids_of_two_files_of_one_asterisk_differ() -> None:
    reader = QueueLogReader(zone=UTC)
    reader.begin_file()
    [first] = reader.read(ENTERED)
    reader.begin_file()
    [second] = reader.read("1700000001|1700000001.1|sales|NONE|ENTERQUEUE||1|1")

    assert first.id != second.id


def test_ids_stay_when_the_file_begins_with_blank_lines_or_a_byte_order_mark() -> None:
    [plain] = list(read_queue_log(["\n", ENTERED], zone=UTC))
    [marked] = list(read_queue_log(["\ufeff\n", ENTERED + "\r\n"], zone=UTC))

    assert plain == marked


# What the log leaves out


def test_a_call_whose_entry_is_in_no_file_is_queued_by_its_logged_wait() -> None:
    reading = Reading()
    queued, answered = events_of(
        "1700000060|1700000000.1|sales|SIP/1|CONNECT|45|1700000050.2|5", reading=reading
    )

    assert isinstance(queued, Queued)
    assert isinstance(answered, Answered)
    assert read_instant(answered.time) - read_instant(queued.time) == 45_000
    assert reading.repaired == 1


def test_an_entry_in_the_file_before_is_not_made_up_again() -> None:
    reader = QueueLogReader(zone=UTC)
    reader.begin_file()
    reader.read(ENTERED)
    reader.begin_file()

    events = reader.read("1700000060|1700000000.1|sales|SIP/1|CONNECT|60|1700000050.2|5")

    assert [type(event) for event in events] == [Answered]


def test_a_completed_call_without_a_connect_was_answered_after_its_logged_hold() -> None:
    for line in (
        "SIP/1|COMPLETECALLER|12|60|1",
        "SIP/1|BLINDTRANSFER|9|ctx|12|60|1",
        "SIP/1|ATTENDEDTRANSFER|LINK|a|b|12|60|1",
    ):
        queued, answered, _ = contact_events(ENTERED, f"1700000072|1700000000.1|sales|{line}")

        assert isinstance(answered, Answered)
        assert read_instant(answered.time) - read_instant(queued.time) == 12_000


def test_a_call_that_enters_another_queue_has_left_the_first() -> None:
    _, left, queued = contact_events(
        ENTERED, "1700000060|1700000000.1|support|NONE|ENTERQUEUE||15550001|1"
    )

    assert isinstance(left, Left)
    assert (left.queue, left.reason) == ("sales", "overflow")
    assert (queued.queue, queued.time) == ("support", left.time)
    assert left.sequence < queued.sequence


def test_an_entry_written_twice_is_no_second_visit() -> None:
    assert [type(event) for event in contact_events(ENTERED, ENTERED)] == [Queued, Queued]


def test_what_was_open_before_a_start_is_not_repaired_after_it() -> None:
    events = contact_events(
        ENTERED,
        "1700000030|NONE|NONE|NONE|QUEUESTART|",
        "1700000060|1700000000.1|support|NONE|ENTERQUEUE||15550001|1",
    )

    assert [type(event) for event in events] == [Queued, Queued]


# Members


def states(*lines: str) -> list[tuple[str, tuple[str, ...]]]:
    return [
        (event.state, event.queues)
        for event in events_of(*lines)
        if isinstance(event, AgentChanged)
    ]


def test_a_member_serves_the_queues_joined_and_not_left() -> None:
    assert states(
        "1700000000|REALTIME|sales|SIP/1|ADDMEMBER|",
        "1700000001|REALTIME|support|SIP/1|ADDMEMBER|",
        "1700000002|REALTIME|sales|SIP/1|REMOVEMEMBER|",
        "1700000003|REALTIME|support|SIP/1|REMOVEMEMBER|",
    ) == [
        ("available", ("sales",)),
        ("available", ("sales", "support")),
        ("available", ("support",)),
        ("logged_out", ()),
    ]


def test_who_is_paused_in_one_queue_is_available_in_the_other() -> None:
    assert states(
        "1700000000|REALTIME|sales|SIP/1|ADDMEMBER|",
        "1700000001|REALTIME|support|SIP/1|ADDMEMBER|PAUSED",
        "1700000002|NONE|sales|SIP/1|PAUSE|lunch",
        "1700000003|NONE|NONE|SIP/1|UNPAUSEALL|",
    ) == [
        ("available", ("sales",)),
        ("not_ready", ("sales", "support")),
        ("available", ("sales", "support")),
    ]


def test_a_member_is_on_contact_from_connect_to_completion() -> None:
    assert states(
        "1700000000|REALTIME|sales|SIP/1|ADDMEMBER|",
        ENTERED,
        "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5",
        "1700000070|1700000000.1|sales|SIP/1|COMPLETEAGENT|10|60|1",
    ) == [
        ("available", ("sales",)),
        ("on_contact", ("sales",)),
        ("available", ("sales",)),
    ]


def test_a_start_of_asterisk_ends_every_talk() -> None:
    assert states(
        "1700000000|REALTIME|sales|SIP/1|ADDMEMBER|",
        ENTERED,
        "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5",
        "1700000020|NONE|NONE|NONE|QUEUESTART|",
    )[-1] == ("available", ("sales",))


def test_an_agent_who_logs_in_is_available_and_shows_the_queue_when_taking_a_call() -> None:
    assert states(
        "1700000000|1700000000.9|NONE|Agent/7|AGENTLOGIN|SIP/7",
        ENTERED,
        "1700000010|1700000000.1|sales|Agent/7|CONNECT|10|1700000005.2|5",
        "1700000020|1700000000.9|NONE|Agent/7|AGENTLOGOFF|SIP/7|20",
    ) == [
        ("available", ()),
        ("on_contact", ("sales",)),
        ("logged_out", ("sales",)),
    ]


def test_who_answers_without_ever_being_added_is_not_reported() -> None:
    assert states(ENTERED, "1700000010|1700000000.1|sales|SIP/1|CONNECT|10|1700000005.2|5") == []


# Hostile logs

FIELD = st.text(max_size=8) | st.sampled_from(
    ["NONE", "1700000000", "1700000000.1", "sales", "SIP/1", "", "9" * 300]
)
NAME = st.text(max_size=8) | st.sampled_from(
    [
        *("ENTERQUEUE", "CONNECT", "ABANDON", "COMPLETECALLER", "BLINDTRANSFER"),
        *("ATTENDEDTRANSFER", "QUEUESTART", "ADDMEMBER", "REMOVEMEMBER", "PAUSE"),
        *("UNPAUSEALL", "AGENTLOGOFF", "FULL"),
    ]
)
ANY_LINE = st.text(max_size=60) | st.builds(
    lambda head, name, data: "|".join([*head, name, *data]),
    st.lists(FIELD, min_size=4, max_size=4),
    NAME,
    st.lists(FIELD, max_size=6),
)


@given(st.lists(ANY_LINE, max_size=30))
def test_no_line_can_stop_the_reader_or_make_an_event_that_cannot_be_read(
    lines: list[str],
) -> None:
    reading = Reading()
    decoder = Decoder()

    events = events_of(*lines, reading=reading)

    assert reading.lines == len(lines)
    assert len({event.id for event in events}) == len(events)
    for event in events:
        decoder.decode(encode(event))


def test_names_of_events_cannot_grow_the_report_without_bound() -> None:
    reading = Reading()
    events_of(*(f"1700000000|1.1|q|NONE|E{n}|" for n in range(1_000)), reading=reading)

    assert len(reading.by_event) <= 201
    assert reading.by_event["other"] == 800


# A live log


class Script:
    """Stands in for sleeping: each call changes the file; after the last the test is over."""

    def __init__(self, *steps: Callable[[], object]) -> None:
        self._steps = iter(steps)
        self.is_over = False

    def __call__(self) -> None:
        step = next(self._steps, None)
        if step is None:
            self.is_over = True
        else:
            step()

    def lines_of(self, path: Path) -> Iterator[FollowedLine]:
        for line in follow(path, sleep=self):
            if self.is_over:
                return
            if line is not None:
                yield line


def append(path: Path, text: str) -> Callable[[], object]:
    def write() -> None:
        with path.open("a") as log:
            log.write(text)

    return write


def test_following_gives_each_line_once_it_is_complete(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_text("one\ntw")

    lines = list(Script(append(log, "o"), append(log, "\nthree\n")).lines_of(log))

    assert lines == [("one", True), ("two", False), ("three", False)]


def test_following_goes_on_through_a_rotation_and_loses_nothing(tmp_path: Path) -> None:
    log, old = tmp_path / "queue_log", tmp_path / "queue_log.1"
    log.write_text("one\n")

    script = Script(
        lambda: log.rename(old),
        append(old, "two\nthree"),
        append(log, "four\n"),
        append(log, "five\n"),
    )

    assert list(script.lines_of(log)) == [
        ("one", True),
        ("two", False),
        ("three", False),
        ("four", True),
        ("five", False),
    ]


def test_a_truncated_log_is_read_again_as_another_file(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_text("one\ntwo\n")

    lines = list(Script(lambda: log.write_text("three\n")).lines_of(log))

    assert lines == [("one", True), ("two", False), ("three", True)]


def test_a_log_that_was_truncated_and_has_grown_past_its_old_end_is_noticed(
    tmp_path: Path,
) -> None:
    log = tmp_path / "queue_log"
    log.write_text("one\n")

    lines = list(Script(lambda: log.write_text("another one\nand more\n")).lines_of(log))

    assert lines == [("one", True), ("another one", True), ("and more", False)]


def test_a_log_that_does_not_exist_yet_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"

    lines = list(Script(lambda: None, append(log, "one\n")).lines_of(log))

    assert lines == [("one", True)]


def test_a_copy_in_place_of_the_log_is_another_file(tmp_path: Path) -> None:
    log, copy = tmp_path / "queue_log", tmp_path / "copy"
    log.write_text("one\n")
    copy.write_text("two\n")

    lines = list(Script(lambda: shutil.move(copy, log), lambda: None).lines_of(log))

    assert lines == [("one", True), ("two", True)]
