"""The composition as Compose's own loader reads it: hardened, pinned, on loopback, in order."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from streams.local_kafka import KAFKA_VERSION
from streams.settings import load_settings
from tests.support.composed import COMPOSE_FILE, Refused, Service, loaded, services
from tests.support.dockerfile import ROOT

DEPLOY: Final = COMPOSE_FILE.parent
SERVICES: Final = (
    "alertmanager",
    "grafana",
    "kafka",
    "prometheus",
    "simulator",
    "topics",
    "worker",
)
OURS: Final = ("topics", "worker", "simulator")
ENDS: Final = ("topics",)


@pytest.fixture(scope="module")
def composed() -> dict[str, Service]:
    return services()


def locked(module: str, program: str) -> tuple[int, ...]:
    """The version of the Go module *module* that the lock of *program* has."""
    lock = (ROOT / "requirements" / "go" / program / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^\t{re.escape(module)} v(\d+)\.(\d+)\.(\d+)", lock, re.MULTILINE)
    assert found
    return tuple(map(int, found.groups()))


def test_every_service_is_tried_here(composed: dict[str, Service]) -> None:
    assert tuple(sorted(composed)) == SERVICES


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    wrong = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
    wrong["services"]["worker"]["read_onyl"] = True
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(wrong), encoding="utf-8")

    with pytest.raises(Refused, match="read_onyl"):
        loaded(file)


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_and_a_root_that_is_read_only(
    name: str, composed: dict[str, Service]
) -> None:
    service = composed[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "network_mode", "pid", "user"} & set(service)


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_reached_from_this_machine_alone(name: str, composed: dict[str, Service]) -> None:
    ports = composed[name].get("ports", [])

    assert all(port["host_ip"] == "127.0.0.1" for port in ports)
    assert bool(ports) == (name not in {"topics", "simulator"})


@pytest.mark.parametrize("name", SERVICES)
def test_files_of_this_machine_are_there_and_are_only_read(
    name: str, composed: dict[str, Service]
) -> None:
    bound = [each for each in composed[name].get("volumes", []) if each["type"] == "bind"]

    assert all(each["read_only"] for each in bound)
    assert all(Path(each["source"]).exists() for each in bound)


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_has_a_full_version(name: str, composed: dict[str, Service]) -> None:
    assert re.fullmatch(r"[a-z/]+:v?\d+\.\d+\.\d+", composed[name]["image"])


def test_images_are_of_the_versions_that_the_tests_run(composed: dict[str, Service]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    _, minor, patch = locked("github.com/prometheus/prometheus", "prometheus")
    alertmanager = locked("github.com/prometheus/alertmanager", "alertmanager")

    assert {composed[name]["image"] for name in OURS} == {f"floorwatch:{project['version']}"}
    assert composed["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"
    # The module of Prometheus 3.5.2 is called 0.305.2.
    assert (
        composed["prometheus"]["image"] == f"prom/prometheus:v{minor // 100}.{minor % 100}.{patch}"
    )
    assert (
        composed["alertmanager"]["image"]
        == f"prom/alertmanager:v{'.'.join(map(str, alertmanager))}"
    )


def test_one_service_builds_our_image_and_the_others_come_after_it(
    composed: dict[str, Service],
) -> None:
    assert [name for name in composed if "build" in composed[name]] == ["topics"]
    for name in {*OURS} - {"topics"}:
        assert composed[name]["pull_policy"] == "never"
        assert composed[name]["depends_on"]["topics"]["required"] is True


@pytest.mark.parametrize("name", SERVICES)
def test_nobody_begins_before_those_it_needs_are_there(
    name: str, composed: dict[str, Service]
) -> None:
    for other, how in composed[name].get("depends_on", {}).items():
        expected = "service_completed_successfully" if other in ENDS else "service_healthy"
        assert how["condition"] == expected
        checked = composed[other].get("healthcheck", {})
        assert other in ENDS or checked["test"][0] == "CMD"


def test_the_simulator_is_of_the_demo_alone(composed: dict[str, Service]) -> None:
    assert {
        name: service["profiles"] for name, service in composed.items() if "profiles" in service
    } == {"simulator": ["demo"]}


@pytest.mark.parametrize("name", OURS)
def test_our_variables_are_settings(name: str, composed: dict[str, Service]) -> None:
    variables: dict[str, Any] = composed[name]["environment"]

    assert all(variable.startswith("FLOORWATCH_") for variable in variables)
    assert load_settings(None, variables).bootstrap == "kafka:9092"


def test_the_worker_is_reached_where_prometheus_looks(composed: dict[str, Service]) -> None:
    worker = load_settings(None, composed["worker"]["environment"])
    config = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    [job] = config["scrape_configs"]

    assert job["static_configs"] == [{"targets": [f"worker:{worker.port}"]}]
    assert [port["target"] for port in composed["worker"]["ports"]] == [worker.port]


def test_alerts_are_of_prometheus_and_not_of_grafana_too(composed: dict[str, Service]) -> None:
    bound = {each["target"]: each["source"] for each in composed["grafana"]["volumes"][:-1]}

    assert {Path(source).relative_to(ROOT).as_posix() for source in bound.values()} == {
        "deploy/grafana/datasources",
        "deploy/grafana/dashboards",
        "dashboards/grafana/generated",
    }
    provided = yaml.safe_load((DEPLOY / "grafana/dashboards/floorwatch.yaml").read_text("utf-8"))
    [provider] = provided["providers"]
    assert bound[provider["options"]["path"]] == str(ROOT / "dashboards/grafana/generated")
    [source] = yaml.safe_load((DEPLOY / "grafana/datasources/floorwatch.yaml").read_text("utf-8"))[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
