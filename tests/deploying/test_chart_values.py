"""The chart rendered by the real Helm: with random values, one option at a time, wrongly."""

from __future__ import annotations

import re
import shutil
import textwrap
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.helm.option import rows
from deploy.helm.options import ROOT as OPTIONS
from streams.core.policy import BadSetting, VisitPolicy
from streams.settings import load_settings
from tests.support.chart_checks import complaints
from tests.support.chart_rendering import Rendering
from tests.support.drawn_values import DEFAULTS, PATHS, drawn, drawn_wrong, merged, written_paths
from tests.support.kubernetes_yaml import read
from tests.support.rendered_chart import (
    CHART,
    Refused,
    Values,
    helm,
    notes,
    rendered,
    rendered_text,
)

DRAWN: Final = 300
WRONG: Final = 40
AT_ONCE: Final = 2

ONE_BY_ONE: Final = sorted((CHART / "ci").glob("*-values.yaml"))
REFUSED: Final = sorted((CHART / "ci" / "refused").glob("*.yaml"))
BETWEEN_TWO: Final = ("expected more than its ", "expected at most the critical limit")
MINIMAL: Final[Values] = {"kafka": {"bootstrap": "kafka.example:9092"}}


def each_rendered(many: Sequence[Values | Path]) -> Iterator[Rendering | Refused]:
    """What became of each of *many*, in their order."""

    def one(values: Values | Path) -> Rendering | Refused:
        given = read(values.read_text(encoding="utf-8")) if isinstance(values, Path) else values
        try:
            return Rendering(rendered(values), given)
        except Refused as refused:
            return refused

    with ThreadPoolExecutor(AT_ONCE) as threads:
        yield from threads.map(one, many)


def test_whatever_the_schema_allows_is_rendered_and_kept_by_all_rules() -> None:
    sets = [drawn(seed) for seed in range(DRAWN)]
    wrong = {}
    for seed, became in enumerate(each_rendered(sets)):
        said = [str(became)] if isinstance(became, Refused) else complaints(became)
        if said:
            wrong[seed] = said[:3]

    assert wrong == {}


def test_every_option_is_drawn_with_and_without_its_default() -> None:
    written: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    for seed in range(DRAWN):
        values = drawn(seed)
        written.update(written_paths(values))
        changed.update(path for path in written_paths(values) if at(values, path) != default(path))

    # These two are in values for a person: no container of a draw is of their kind.
    empty = {"workers.extraContainers", "workers.initContainers"}
    assert {path for path in PATHS if not written[path]} == set()
    assert {path for path in PATHS if not changed[path]} == empty


def test_whatever_the_schema_refuses_helm_refuses_too() -> None:
    sets = [drawn_wrong(seed) for seed in range(WRONG)]

    rendered_all = [
        seed
        for seed, became in enumerate(each_rendered(sets))
        if not (isinstance(became, Refused) and "the schema" in str(became))
    ]

    assert rendered_all == []


def test_each_file_of_one_option_is_rendered_and_kept_by_all_rules() -> None:
    wrong = {}
    for path, became in zip(ONE_BY_ONE, each_rendered(ONE_BY_ONE), strict=True):
        said = [str(became)] if isinstance(became, Refused) else complaints(became)
        if said:
            wrong[path.name] = said[:3]

    assert wrong == {}


def test_every_option_has_a_file_that_changes_it() -> None:
    changed = {
        path
        for file in ONE_BY_ONE
        for values in [read(file.read_text(encoding="utf-8"))]
        for path in written_paths(values)
        if at(values, path) != default(path)
    }

    assert set(PATHS) - changed == set()


@pytest.mark.parametrize("path", REFUSED, ids=lambda path: path.stem)
def test_a_wrong_value_is_refused_with_the_words_that_its_file_says(path: Path) -> None:
    expected = path.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")

    with pytest.raises(Refused) as refused:
        rendered(path)

    assert expected in str(refused.value)


def test_all_that_templates_refuse_is_said_at_once() -> None:
    values = {"topics": {"calls": "cc", "chats": "cc"}, "fullnameOverride": "x" * 31}

    with pytest.raises(Refused) as refused:
        rendered(values)

    for said in ("kafka.bootstrap: ", "name: ", "topics: "):
        assert said in str(refused.value)


def test_the_worker_itself_reads_the_settings_of_every_set(tmp_path: Path) -> None:
    refused = {}
    key = tmp_path / "identity-key"
    key.write_bytes(b"0123456789abcdef")
    every_sixth = [drawn(seed) for seed in range(0, DRAWN, 6)]
    for number, became in enumerate(each_rendered([*every_sixth, *ONE_BY_ONE])):
        assert isinstance(became, Rendering)
        written, settings = became.settings("worker")
        policy = tmp_path / "policy.yaml"
        policy.write_text(policy_of(became), encoding="utf-8")
        file = tmp_path / "floorwatch.yaml"
        here = written.replace(settings["policy_file"], str(policy))
        here = here.replace(settings.get("identity_key_file", "\0"), str(key))
        file.write_text(here, encoding="utf-8")
        try:
            load_settings(file, {})
        except BadSetting as wrong:
            # That two values contradict each other only the worker sees.
            if not any(said in str(wrong) for said in BETWEEN_TWO):
                refused[number] = str(wrong)

    assert refused == {}


def policy_of(rendering: Rendering) -> str:
    """The policy that it mounts; none where somebody else has it."""
    held = rendering.named("ConfigMap", f"{rendering.fullname}-policy")
    return "{}" if held is None else str(held["data"]["policy.yaml"])


def test_helm_has_nothing_to_say_against_the_chart(tmp_path: Path) -> None:
    said = helm("lint", "--strict", CHART, "--values", CHART / "ci" / "minimal-values.yaml")

    assert "[WARNING]" not in said
    assert "[ERROR]" not in said
    helm("package", CHART, "--destination", tmp_path)
    [archive] = tmp_path.glob("*.tgz")
    # With what it makes, a release has to fit into a Secret of 1 MiB.
    assert archive.stat().st_size < 150_000


def test_two_releases_share_nothing_of_their_own() -> None:
    one, other = (
        Rendering(rendered(everything(), release=name), everything(), release=name)
        for name in ("berlin", "madrid")
    )

    named = [{(each["kind"], each["metadata"]["name"]) for each in r.ours} for r in (one, other)]
    assert named[0] & named[1] == set()
    assert one.settings("worker")[1]["name"] == "berlin-floorwatch"
    assert other.settings("worker")[1]["name"] == "madrid-floorwatch"
    for service in one.all("Service"):
        selector = service["spec"]["selector"].items()
        assert not selector <= other.pods["worker"]["metadata"]["labels"].items()


def test_a_new_policy_changes_no_pod_and_new_settings_change_them() -> None:
    before = Rendering(rendered(MINIMAL), MINIMAL)
    policy = Rendering(rendered({**MINIMAL, "policy": {"defaults": {"target": 0.9}}}), MINIMAL)
    settings = Rendering(rendered({**MINIMAL, "settings": {"rest": "1h"}}), MINIMAL)

    assert policy.pods["worker"] == before.pods["worker"]
    assert policy.all("ConfigMap") != before.all("ConfigMap")
    assert settings.pods["worker"] != before.pods["worker"]


def test_the_notes_say_the_next_commands_and_the_flags_of_what_is_off() -> None:
    said = notes(MINIMAL)

    for words in (
        "kubectl --namespace contact-centre rollout status statefulset/floor-floorwatch",
        "helm test floor --namespace contact-centre",
        "port-forward service/floor-floorwatch 6066:6066",
        "--set topics.create.enabled=true",
        "--set serviceMonitor.enabled=true --set serviceMonitor.labels.release=",
        "--set prometheusRule.enabled=true --set prometheusRule.labels.release=",
        "--set dashboards.enabled=true",
        "--set alertmanagerConfig.enabled=true",
        "audience = floor, severity = critical     -> duty manager",
        "whoever reaches the pods may read: wall api metrics",
        "Pods may reach Kafka on port 9092 only",
    ):
        assert words in said


def test_the_notes_say_nothing_of_what_is_on() -> None:
    said = notes(everything())

    assert "--set" not in said
    assert "may read" not in said
    assert "https://wall.example/" in said


def everything() -> dict[str, Any]:
    """Values with every object, locked as far as it goes."""
    values: dict[str, Any] = read((CHART / "ci" / "everything-values.yaml").read_text("utf-8"))
    return values


def at(values: Values, path: str) -> Any:
    """The value at *path*."""
    found: Any = values
    for name in path.split("."):
        found = found[name]
    return found


def default(path: str) -> Any:
    """Its default."""
    return at(DEFAULTS, path)


def test_the_defaults_are_those_of_the_file() -> None:
    # Nothing in the file is more or less than what values are drawn around.
    assert merged(read((CHART / "values.yaml").read_text(encoding="utf-8"))) == DEFAULTS
    assert {path for path, _ in rows(OPTIONS)} == set(PATHS)


@pytest.mark.parametrize("file", ["README.md", "UPGRADING.md", "templates/NOTES.txt"])
def test_people_are_told_what_of_a_policy_changes_from_an_instant_to_come_alone(file: str) -> None:
    text = (CHART / file).read_text(encoding="utf-8")
    deciding = {field.name.removesuffix("_ms") for field in fields(VisitPolicy)}

    for key in {*deciding, "was", "zone", "{from: "}:
        assert key in text, key


def test_the_notes_say_how_a_locked_worker_is_scraped_and_reached() -> None:
    http = {
        "tls": {"existingSecret": "wall-tls"},
        "tokens": {"existingSecret": "doors", "metrics": True},
    }
    ingress = {"enabled": True, "hosts": [{"host": "wall.example"}]}

    said = notes({**MINIMAL, "http": http, "ingress": ingress})

    assert "`scheme: https`" in said
    assert "secret wall-tls" in said
    assert "secret doors, key metrics-token" in said
    assert "nginx.ingress.kubernetes.io/backend-protocol: HTTPS" in said


@pytest.mark.parametrize("file", ["README.md", "UPGRADING.md", "templates/NOTES.txt"])
def test_flags_that_people_are_told_are_options(file: str) -> None:
    text = (CHART / file).read_text(encoding="utf-8")
    maps = tuple(f"{path}." for path in PATHS if isinstance(default(path), dict))
    told = re.findall(r"--set ([\w.]+)=", text) + re.findall(
        r"\b(?:workers|networkPolicy|http|prometheusRule|topics|alertmanagerConfig)\.\w[\w.]*\w",
        re.sub(r"\{\{.*?\}\}", "", text),
    )

    assert told or file == "UPGRADING.md"
    for path in told:
        is_section = any(each.startswith(f"{path}.") for each in PATHS)
        assert path in PATHS or path.startswith(maps) or is_section, path


def test_the_values_in_the_readme_are_rendered() -> None:
    text = (CHART / "README.md").read_text(encoding="utf-8")
    [block] = re.findall(r"^    # values.yaml\n((?:    .*\n)+)", text, re.MULTILINE)
    values = read(textwrap.dedent(block).replace("sha256:...", "sha256:" + "0" * 64))

    assert complaints(Rendering(rendered(values), values)) == []


def test_it_can_be_a_part_of_another_chart(tmp_path: Path) -> None:
    shutil.copytree(CHART, tmp_path / "charts" / "floorwatch")
    about = (
        "apiVersion: v2\nname: contact-centre\nversion: 0.0.1\n"
        "dependencies: [{name: floorwatch, version: 0.1.0, alias: floor}]\n"
    )
    (tmp_path / "Chart.yaml").write_text(about, encoding="utf-8")
    own = {**MINIMAL, "security": {"runAsUser": None}}
    values = {"floor": own, "global": {"imageRegistry": "registry.example", "of": "others"}}

    objects = rendered(values, chart=tmp_path)

    given = {**own, "global": {"imageRegistry": "registry.example"}}
    assert complaints(Rendering(objects, given)) == []


def test_an_older_kubernetes_is_refused() -> None:
    with pytest.raises(Refused, match=r"requires kubeVersion: >=1\.29\.0-0"):
        rendered_text(MINIMAL, "--kube-version=1.28.9")

    assert rendered_text(MINIMAL, "--kube-version=1.29.0")
