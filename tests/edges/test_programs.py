"""How the programs of `requirements/go` come into the cache, with a Go of our own making."""

import shutil
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from requirements import build_programs
from requirements.build_programs import CannotBuild, build, built, built_files, main
from streams import programs
from streams.programs import files_of, find_program, home_of, locks, programs_of

GO_MOD = """\
module example

go 1.25.0

tool (
\texample.org/clock/cmd/clock
\texample.org/clock/server/v3
)

require (
\texample.org/clock v1.0.0 // indirect
)
"""

# Stands where Go stands: `go build ... -o FOLDER/ tool` in a folder with a go.mod, and `go mod
# download -json MODULE`, which says where that is and mentions on the side that it was fetched.
STAND_IN = """\
#!/bin/sh
echo "$@" >> {log}
echo "$GOTOOLCHAIN $GOMODCACHE" >> {environment}
if test "$1" = mod; then
    echo "go: downloading $4" >&2
    echo '{{"Dir": "{fetched}"}}'
    exit
fi
test "$5" = -o || exit 2
mkdir -p "$6"
touch "$6/clock"
{then}
touch "$6/server"
"""

Go = Callable[[str], Path]


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of `requirements/go`."""
    folder = tmp_path / "go" / "clock"
    folder.mkdir(parents=True)
    (folder / "go.mod").write_text(GO_MOD)
    (folder / "go.sum").write_text("example.org/clock v1.0.0 h1:x=\n")
    monkeypatch.setattr(programs, "LOCKS", folder.parent)
    return folder


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "floorwatch" / "programs"


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Go:
    """Make a Go that does *then* in the middle of a build; gives the file with its commands."""

    def make(then: str) -> Path:
        log, program = tmp_path / "go.log", tmp_path / "stand-in"
        text = STAND_IN.format(
            log=log,
            environment=tmp_path / "go.environment",
            fetched=tmp_path / "fetched",
            then=then,
        )
        program.write_text(text)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setattr(build_programs, "_go_program", lambda: str(program))
        return log

    return make


def test_every_lock_of_the_project_names_its_programs() -> None:
    named = {lock.name: programs_of(lock) for lock in locks()}

    assert named["prometheus"] == ["prometheus", "promtool"]
    assert named["alertmanager"] == ["alertmanager", "amtool"]
    assert named["etcd"] == ["server"]
    assert all(named[lock.name] or files_of(lock) for lock in locks())


def test_a_program_is_named_as_its_package_without_a_major_version(lock: Path) -> None:
    assert programs_of(lock) == ["clock", "server"]


def test_what_is_built_once_is_found_and_not_built_again(lock: Path, cache: Path, go: Go) -> None:
    commands = go("true")

    first, second = built("clock"), built("server")

    assert first == home_of(lock, cache) / "clock"
    assert find_program("server") == second
    assert len(commands.read_text().splitlines()) == 1
    assert {path.name for path in cache.iterdir()} == {"building.lock", first.parent.name}


def test_another_lock_is_another_build(lock: Path, cache: Path, go: Go) -> None:
    commands = go("true")
    old = built("clock")

    (lock / "go.sum").write_text("example.org/clock v1.0.0 h1:y=\n")

    assert find_program("clock") is None
    assert built("clock") != old
    assert len(commands.read_text().splitlines()) == 2


def test_two_that_ask_at_once_build_once(lock: Path, cache: Path, go: Go, tmp_path: Path) -> None:
    both_asked = tmp_path / "both asked"
    commands = go(f"while ! test -e '{both_asked}'; do sleep 0.05; done")
    told: list[str] = []

    def tell(line: str) -> None:
        told.append(line)
        if line.startswith("waiting"):
            both_asked.touch()

    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(built, "clock", tell=tell) for _ in range(2)]
        found = {future.result() for future in asked}

    assert found == {home_of(lock, cache) / "clock"}
    assert len(commands.read_text().splitlines()) == 1
    assert sorted(line.split(" ")[0] for line in told) == ["building", "waiting"]


def test_a_build_that_was_cut_off_is_begun_again(lock: Path, cache: Path, go: Go) -> None:
    go("echo no route to host; exit 1")
    with pytest.raises(CannotBuild, match=r"clock, server could not.*\nno route.*\nWhat would do"):
        build([lock])
    assert find_program("clock") is None
    (cache / "building-left-behind").mkdir()

    go("true")

    assert built("clock").exists()
    assert not list(cache.glob("building-*"))


def test_a_build_that_lacks_a_program_is_refused(lock: Path, cache: Path, go: Go) -> None:
    go("exit 0")

    with pytest.raises(CannotBuild, match="Go built no server from"):
        built("clock")

    assert find_program("clock") is None


def test_caches_of_the_user_are_used_and_others_are_removed(
    lock: Path, cache: Path, go: Go, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go("true")
    monkeypatch.delenv("GOMODCACHE", raising=False)
    ours = built("clock")
    shutil.rmtree(ours.parent)
    monkeypatch.setenv("GOMODCACHE", str(tmp_path / "theirs"))

    built("clock")

    first, second = (tmp_path / "go.environment").read_text().splitlines()
    assert first.startswith(f"local {cache}/building-")
    assert second == f"local {tmp_path / 'theirs'}"


def test_a_cache_that_cannot_be_written_is_named(lock: Path, go: Go, tmp_path: Path) -> None:
    go("true")
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    with pytest.raises(CannotBuild, match=rf"{in_the_way}.*\n.*XDG_CACHE_HOME"):
        built("clock", folder=in_the_way / "programs")


def test_a_program_of_no_lock_is_not_built(lock: Path, cache: Path, go: Go) -> None:
    go("true")

    with pytest.raises(LookupError, match="'hour-glass'"):
        built("hour-glass")


@pytest.mark.usefixtures("lock", "cache")
def test_a_program_that_was_not_built_is_looked_for_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_program("clock") is None

    (tmp_path / "clock").touch(mode=0o755)

    assert find_program("clock") == tmp_path / "clock"


def test_a_module_has_its_files_kept_as_they_are(
    lock: Path, cache: Path, go: Go, tmp_path: Path
) -> None:
    commands = go("true")
    (lock / "go.mod").write_text("module example\n\nrequire example.org/clock v1.0.0\n")
    (lock / "files.txt").write_text("example.org/clock faces/*.yaml\n")
    faces = tmp_path / "fetched" / "faces"
    faces.mkdir(parents=True)
    (faces / "roman.yaml").write_text("XII")
    (faces / "notes.txt").write_text("not asked for")
    (faces / "roman.yaml").chmod(0o444)  # as Go keeps it

    kept = built_files("clock")

    assert built_files("clock") == kept == home_of(lock, cache)
    assert [(file.name, file.read_text()) for file in kept.iterdir()] == [("roman.yaml", "XII")]
    assert commands.read_text() == "mod download -json example.org/clock\n"


def test_other_files_are_another_fetch(lock: Path, cache: Path) -> None:
    without = home_of(lock, cache)

    (lock / "files.txt").write_text("example.org/clock faces/*.yaml\n")

    assert home_of(lock, cache) != without


def test_a_module_without_the_wanted_files_is_refused(lock: Path, cache: Path, go: Go) -> None:
    go("true")
    (lock / "files.txt").write_text("example.org/clock hands/*.yaml\n")

    with pytest.raises(CannotBuild, match=r"example\.org/clock has no hands/\*\.yaml"):
        built_files("clock")


def test_only_what_is_named_is_built(lock: Path, cache: Path, go: Go) -> None:
    commands = go("true")
    other = lock.with_name("sun-dial")
    shutil.copytree(lock, other)
    (other / "go.sum").write_text("example.org/clock v1.0.0 h1:z=\n")

    assert main(["sun-dial"]) == 0

    assert home_of(other, cache).exists()
    assert not home_of(lock, cache).exists()

    assert main([]) == 0

    assert home_of(lock, cache).exists()
    assert len(commands.read_text().splitlines()) == 2


def test_a_name_of_no_lock_is_an_error(
    lock: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hour-glass"]) == 1

    assert "'hour-glass'" in capsys.readouterr().err


def test_a_lock_says_what_its_programs_are_told(lock: Path, cache: Path, go: Go) -> None:
    commands = go("true")
    without = home_of(lock, cache)
    (lock / "ldflags.txt").write_text("-X main.version=1\n-X main.of=2026\n")

    assert built("clock") != without / "clock"

    assert " -ldflags=-s -w -X main.version=1 -X main.of=2026 -o " in commands.read_text()
