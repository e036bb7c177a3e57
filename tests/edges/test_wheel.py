"""What is installed is what is in the checkout: built, installed and run outside it."""

import json
import site
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PACKAGES = ("dashboards", "schemas", "streams")


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder, cwd=CHECKOUT)
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with the wheel and, by a path, its needs."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    [packages] = folder.glob("lib/python3*/site-packages")
    # Lines of a path file add folders, not the path files in them: no editable install leaks in.
    (packages / "needs.pth").write_text("\n".join(site.getsitepackages()))
    programs = folder / "bin"
    pip = (sys.executable, "-m", "pip", "--quiet", "--python", str(programs / "python"))
    run(*pip, "install", "--no-deps", "--no-index", wheel, cwd=folder)
    return programs


def test_the_wheel_holds_every_file_of_our_packages_and_no_other_package(wheel: Path) -> None:
    ours = {
        path.relative_to(CHECKOUT).as_posix()
        for package in PACKAGES
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}

    assert held == ours
    assert held >= {f"{package}/py.typed" for package in PACKAGES}
    assert held >= {"streams/local_kafka.lock", "dashboards/wallboard/page.html"}
    assert any(name.startswith("schemas/generated/") for name in held)


def test_the_installed_names_belong_to_us_alone(installed: Path, tmp_path: Path) -> None:
    program = (
        "import importlib.metadata, json\n"
        "print(json.dumps(importlib.metadata.packages_distributions()))\n"
    )

    owners = json.loads(run(installed / "python", "-I", "-c", program, cwd=tmp_path))

    assert [owners[name] for name in PACKAGES] == [["floorwatch"]] * 3


def test_the_installed_page_can_be_read(installed: Path, tmp_path: Path) -> None:
    program = (
        "import dashboards.wallboard, importlib.resources\n"
        "page = importlib.resources.files('dashboards.wallboard') / 'page.html'\n"
        "print(dashboards.wallboard.__file__, page.read_text().lstrip()[:15])\n"
    )

    path, start = run(installed / "python", "-I", "-c", program, cwd=tmp_path).split(maxsplit=1)

    assert Path(path).is_relative_to(installed.parent)
    assert start.strip().lower() == "<!doctype html>"


def test_the_installed_boards_need_nothing_that_builds_them(
    installed: Path, tmp_path: Path
) -> None:
    program = (
        "import sys\n"
        "from dashboards.grafana import shipped\n"
        "print(*sorted(shipped('berlin')))\n"
        "assert not [name for name in sys.modules if name.startswith('grafana_foundation_sdk')]\n"
    )

    uids = run(installed / "python", "-I", "-c", program, cwd=tmp_path).split()

    assert "berlin-wall" in uids
    assert len(uids) == 6


def test_the_installed_program_explains_itself(installed: Path, tmp_path: Path) -> None:
    text = run(installed / "floorwatch", "--help", cwd=tmp_path)

    for command in ("demo", "worker", "simulate", "replay", "report", "check"):
        assert command in text
