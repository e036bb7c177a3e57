"""Agents are kept under other names, and nothing that is counted of them changes."""

from zlib import crc32

import msgspec
import pytest

from streams.core.partition import Partition
from streams.core.policy import PolicyBook
from streams.core.pseudonyms import Pseudonyms
from streams.core.snapshot import Cutter, SnapshotUnusable, restore
from tests.support.core_events import event, tell, told

KEY = Pseudonyms(b"a key")
OTHER_KEY = Pseudonyms(b"another key")
SHIFT = (
    event(0, "agent.changed", id="1", agent="Ines", queues=["sales", "help"], state="available"),
    event(1, "agent.changed", id="2", agent="Olaf", queues=["sales"], state="available"),
    event(2, "agent.changed", id="3", agent="Ines", state="not_ready"),
    event(2, "agent.changed", id="4", agent="Ines", state="on_contact"),
)
LATER = (
    event(3, "agent.changed", agent="Olaf", queues=["help"], state="on_contact"),
    event(1, "agent.changed", id="late", agent="Ines", queues=["help"], state="available"),
    event(2, "agent.changed", id="4", agent="Ines", state="available"),
)


def parts_of(partition: Partition) -> dict[str, bytes]:
    cutter = Cutter(partition)
    cutter.begin()
    parts = {}
    while (part := cutter.next_part()) is not None:
        parts[part[0]] = part[1]
    return parts


def of_the_first_format(partition: Partition) -> dict[str, bytes]:
    """A snapshot as it was before agents had other names."""
    parts = parts_of(partition)
    _, head = msgspec.msgpack.decode(parts["head"][8:])
    del head["agents_key"]
    body = msgspec.msgpack.encode((1, head))
    return {**parts, "head": crc32(body).to_bytes(4, "big") + b"\0\0\0\1" + body}


def test_the_same_name_and_key_give_the_same_pseudonym_and_no_others() -> None:
    assert KEY.of("Ines") == Pseudonyms(b"a key").of("Ines")
    assert len({KEY.of("Ines"), KEY.of("Olaf"), OTHER_KEY.of("Ines"), "Ines"}) == 4
    assert KEY.fingerprint == Pseudonyms(b"a key").fingerprint != OTHER_KEY.fingerprint


def test_agents_count_the_same_under_any_name() -> None:
    named, renamed = told(*SHIFT, *LATER), told(*SHIFT, *LATER, pseudonyms=KEY)

    assert renamed.staffing.agents_by_state() == named.staffing.agents_by_state()
    assert renamed.duplicates == named.duplicates


def test_no_part_of_a_snapshot_names_an_agent() -> None:
    parts = parts_of(told(*SHIFT, pseudonyms=KEY))

    assert not [name for name, body in parts.items() if b"Olaf" in body]
    assert any(b"Olaf" in body for body in parts_of(told(*SHIFT)).values())


@pytest.mark.parametrize("is_of_the_first_format", [False, True])
def test_a_snapshot_goes_on_as_if_it_had_never_stopped(is_of_the_first_format: bool) -> None:
    if is_of_the_first_format:
        parts = of_the_first_format(told(*SHIFT))
    else:
        parts = parts_of(told(*SHIFT, pseudonyms=KEY))
    restored = restore(parts, PolicyBook(), pseudonyms=KEY)
    never_stopped = told(*SHIFT, pseudonyms=KEY)

    assert restored.staffing.agents == never_stopped.staffing.agents
    for partition in (restored, never_stopped):
        tell(partition, LATER)
    assert restored.staffing.agents == never_stopped.staffing.agents
    assert restored.staffing.agents_by_state() == never_stopped.staffing.agents_by_state()


@pytest.mark.parametrize("pseudonyms", [None, OTHER_KEY])
def test_a_snapshot_under_another_key_is_of_no_use(pseudonyms: Pseudonyms | None) -> None:
    parts = parts_of(told(*SHIFT, pseudonyms=KEY))

    with pytest.raises(SnapshotUnusable, match="another key"):
        restore(parts, PolicyBook(), pseudonyms=pseudonyms)
