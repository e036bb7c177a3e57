"""How Kafka's jars come into the cache, with a repository of our own making."""

import hashlib
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from streams import local_kafka
from streams.local_kafka import KafkaDidNotStart, fetched_jars

JARS = {"org.example:broker:4.3": b"the broker", "org.example.log:logger:2.1": b"the logger"}


class Repository:
    """Stands where Maven Central stands; counts what was fetched from it."""

    def __init__(self) -> None:
        self.jars = dict(JARS)
        self.fetched: list[str] = []
        self.before_each: Callable[[], object] = lambda: None

    def context(self, *, repo_cache: Path, timeout: int) -> SimpleNamespace:
        def resolve(coordinate: str) -> Path:
            self.before_each()
            self.fetched.append(coordinate)
            path = repo_cache / coordinate.replace(":", "-")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.jars[coordinate])
            return path

        def create_dependency(coordinate: str) -> SimpleNamespace:
            artifact = SimpleNamespace(resolve=lambda: resolve(coordinate))
            return SimpleNamespace(artifact=artifact)

        return SimpleNamespace(create_dependency=create_dependency)


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    lock = tmp_path / "local_kafka.lock"
    lock.write_text(
        "".join(
            f"{coordinate} sha256:{hashlib.sha256(content).hexdigest()}\n"
            for coordinate, content in JARS.items()
        )
    )
    ours = Repository()
    monkeypatch.setattr(local_kafka, "LOCK_FILE", lock)
    monkeypatch.setitem(sys.modules, "jgo.maven", SimpleNamespace(MavenContext=ours.context))
    return ours


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_jars_are_fetched_once_and_in_the_order_of_the_lock(
    repository: Repository, cache: Path
) -> None:
    first = fetched_jars(cache)
    second = fetched_jars(cache)

    assert [jar.name for jar in first] == ["broker-4.3.jar", "logger-2.1.jar"]
    assert [jar.read_bytes() for jar in first] == list(JARS.values())
    assert second == first
    assert sorted(repository.fetched) == sorted(JARS)


def test_a_jar_that_is_not_the_one_of_the_lock_is_refused(
    repository: Repository, cache: Path
) -> None:
    repository.jars["org.example.log:logger:2.1"] = b"another logger"

    with pytest.raises(KafkaDidNotStart, match=r"org\.example\.log:logger:2\.1 has the hash"):
        fetched_jars(cache)

    repository.jars = dict(JARS)
    assert [jar.read_bytes() for jar in fetched_jars(cache)] == list(JARS.values())


def test_an_interrupted_fetch_is_begun_again(repository: Repository, cache: Path) -> None:
    def break_off() -> None:
        raise OSError("connection reset")

    repository.before_each = break_off
    with pytest.raises(KafkaDidNotStart, match=r"connection reset\nWhat would do: a network"):
        fetched_jars(cache)

    repository.before_each = lambda: None
    assert [jar.read_bytes() for jar in fetched_jars(cache)] == list(JARS.values())


def test_two_that_ask_at_once_fetch_once(repository: Repository, cache: Path) -> None:
    both_asked = threading.Event()
    told: list[str] = []
    repository.before_each = lambda: both_asked.wait(60)

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(fetched_jars, cache, told.append) for _ in range(2)]
        both_asked.set()
        jars = [future.result() for future in asked]

    assert jars[0] == jars[1]
    assert sorted(repository.fetched) == sorted(JARS)
    assert len(told) == 1


def test_a_missing_package_is_named_with_what_to_install(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)

    with pytest.raises(KafkaDidNotStart, match=r"'jgo'\n.*pip install floorwatch\[demo\]"):
        fetched_jars(cache)


def test_a_cache_that_cannot_be_written_is_named(repository: Repository, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    with pytest.raises(KafkaDidNotStart, match=rf"{in_the_way}.*\n.*XDG_CACHE_HOME"):
        fetched_jars(in_the_way / "cache")

    assert not repository.fetched
