"""A policy file beside a worker, and what all workers agree on; the topic is a list in memory."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streams import policy_reload
from streams.core.policy import Place, PolicyBook
from streams.policy_log import PolicyLog
from streams.policy_reload import PolicyReload, PolicySetAnew
from streams.settings import policy_of
from tests.support.core_events import ms, policy
from tests.support.oracle_policy import to_text

NOW = ms(0)
MET = frozenset({("sales", "voice")})
TWENTY = "channels: {voice: {threshold: 20s}}"
THIRTY = f"channels: {{voice: {{threshold: [20s, {{from: '{to_text(ms(60))}', value: 30s}}]}}}}"


class Topic:
    """Records of the policy in the order of their log; every reader gets each of them."""

    def __init__(self) -> None:
        self.records: dict[tuple[int, str], bytes] = {}
        self.readers: list[PolicyLog] = []
        self.is_away = False

    def reader(self) -> PolicyLog:
        """A worker's own view of it, read to its end."""
        reader = PolicyLog(self._write)
        for (version, id_), body in self.records.items():
            reader.take(version, id_, body)
        self.readers.append(reader)
        return reader

    async def _write(self, version: int, id_: str, body: bytes | None) -> None:
        await asyncio.sleep(0)
        if self.is_away:
            raise TimeoutError
        if body is None:
            del self.records[version, id_]
        else:
            self.records[version, id_] = body
        for reader in self.readers:
            reader.take(version, id_, body)


class Site:
    """Workers with a policy file each."""

    def __init__(self, folder: Path) -> None:
        self.topic = Topic()
        self._folder = folder
        self.met: frozenset[Place] | None = MET

    def file(self, name: str, written: str = TWENTY) -> Path:
        path = self._folder / f"{name}.yaml"
        path.write_text(written)
        return path

    def worker(self, path: Path) -> PolicyReload:
        return PolicyReload(
            policy_of(path.read_bytes(), path),
            path,
            self.topic.reader(),
            counted_until_ms=lambda: NOW,
            met=lambda: self.met,
        )


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(policy_reload, "LOOK_EVERY_S", 0.01)
    monkeypatch.setattr(policy_reload, "RETRY_FROM_S", 0.01)
    return Site(tmp_path)


@contextlib.asynccontextmanager
async def watching(*workers: PolicyReload) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(worker.watch(lambda _: None)) for worker in workers]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.005)


def threshold_s(worker: PolicyReload, at_s: float = 61) -> float:
    return worker.book.visit("sales", "voice", ms(at_s)).threshold_ms / 1000


# -- what is agreed on ---------------------------------------------------------------------------


async def test_of_two_proposals_at_once_all_take_the_first_in_the_log() -> None:
    topic = Topic()
    ann, ben = topic.reader(), topic.reader()
    one, other = policy(defaults={"threshold": "1s"}), policy(defaults={"threshold": "2s"})

    await asyncio.gather(ann.propose(one.deciding), ben.propose(other.deciding))

    assert ann.deciding == ben.deciding == topic.reader().deciding == one.deciding


async def test_what_is_replaced_is_removed_and_what_comes_too_late_counts_for_nobody() -> None:
    topic = Topic()
    ann = topic.reader()
    first, second = policy(defaults={"threshold": "1s"}), policy(defaults={"threshold": "2s"})
    await ann.propose(first.deciding)
    [((version, id_), body)] = topic.records.items()
    await ann.propose(second.deciding)

    assert len(topic.records) == 1
    topic.records[version, id_] = body
    for reader in (ann, topic.reader()):
        reader.take(version, id_, body)
        assert reader.deciding == second.deciding


async def test_what_cannot_be_read_changes_nothing() -> None:
    topic = Topic()
    ann = topic.reader()
    await ann.propose(PolicyBook().deciding)

    for number, rubbish in enumerate((b"", b"x" * 100, b"x\x9c\x03\x00\x00\x00\x00\x01")):
        ann.take(2, f"{number}", rubbish)

    assert ann.deciding == PolicyBook().deciding


# -- a file --------------------------------------------------------------------------------------


async def test_a_worker_counts_by_what_all_agree_on_though_its_own_file_is_still_the_old_one(
    site: Site,
) -> None:
    new, old = site.worker(site.file("new", THIRTY)), site.worker(site.file("old"))
    await old.begin()
    await new.begin()

    async with watching(old):
        await until(lambda: threshold_s(old) == 30)

    assert threshold_s(new) == 30


async def test_a_file_that_is_being_written_is_not_taken(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.file("policy", "defaults: {target: 0.5}")
    worker = site.worker(path)
    await worker.begin()
    looks: list[bytes | str] = []
    halves = iter(["defaults: {target: 0.1}", "defaults: {target: 0.2}", "defaults: {target: 0.3}"])

    def writing(path: Path) -> bytes | str:
        looks.append(next(halves, "defaults: {target: 0.4}").encode())
        return looks[-1]

    taken: list[float] = []
    monkeypatch.setattr(policy_reload, "_content", writing)
    task = asyncio.create_task(
        worker.watch(lambda book: taken.append(book.queue("sales", "voice", NOW).target_ratio))
    )
    await until(lambda: bool(taken))
    task.cancel()

    assert taken == [0.4]


async def test_a_file_that_is_wrong_empty_or_gone_leaves_the_policy_until_it_is_right(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    path = site.file("policy")
    worker = site.worker(path)
    await worker.begin()

    async with watching(worker):
        for wrong in ("defaults: {target: 7}", "", None):
            if wrong is None:
                path.unlink()
            else:
                path.write_text(wrong)
            await until(lambda: worker.failed)
            path.write_text(TWENTY)
            await until(lambda: not worker.failed)

    assert threshold_s(worker) == 20
    said = [each.getMessage() for each in caplog.records if "stays as it was" in each.getMessage()]
    assert len(said) == 3
    assert "policy.defaults.target='7'" in said[0]


async def test_what_was_refused_is_told_once_and_taken_once_nothing_can_have_been_counted(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    worker = site.worker(site.file("policy"))
    await worker.begin()
    path = site.file("policy", "channels: {voice: {threshold: 30s}}")
    site.met = None
    async with watching(worker):
        await until(lambda: bool(worker.refusals))
        assert threshold_s(worker) == 20
        path.write_text("channels: {voice: {threshold: 30s}}\n# the same")
        await until(lambda: worker._taken == path.read_bytes())
        site.met = frozenset()
        await until(lambda: threshold_s(worker) == 30)

    assert worker.refusals == ()
    assert sum("stays as it was" in each.getMessage() for each in caplog.records) == 1


async def test_a_restart_refuses_what_a_reload_would(site: Site) -> None:
    before = site.worker(site.file("policy"))
    await before.begin()

    after = site.worker(site.file("policy", "channels: {voice: {threshold: 30s}}"))
    await after.begin()

    assert threshold_s(after) == 20
    assert len(after.refusals) == 1


async def test_who_begins_anew_sets_the_policy_anew_and_the_others_end(site: Site) -> None:
    other = site.worker(site.file("other"))
    await other.begin()
    anew = site.worker(site.file("anew", "channels: {voice: {threshold: 30s}}"))
    await anew.begin(rebuild=True)

    async with watching(other) as [task]:
        with pytest.raises(PolicySetAnew):
            await asyncio.wait_for(task, 60)

    assert threshold_s(anew) == 30
    assert anew.refusals == ()


async def test_who_begins_anew_with_the_same_policy_disturbs_nobody(site: Site) -> None:
    other = site.worker(site.file("other"))
    await other.begin()

    await site.worker(site.file("anew")).begin(rebuild=True)

    assert site.topic.reader().deciding == other.book.deciding


async def test_while_the_broker_is_away_the_rest_is_taken_and_what_decides_follows(
    site: Site,
) -> None:
    path = site.file("policy")
    worker = site.worker(path)
    await worker.begin()
    site.topic.is_away = True
    path.write_text(f"{THIRTY}\ndefaults: {{target: 0.5}}")

    async with watching(worker):
        await until(lambda: worker.book.queue("sales", "voice", NOW).target_ratio == 0.5)
        assert threshold_s(worker) == 20
        site.topic.is_away = False
        await until(lambda: threshold_s(worker) == 30)
