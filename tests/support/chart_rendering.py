"""What the chart made of some values, and how tests look at it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from tests.support.drawn_values import merged
from tests.support.kubernetes_yaml import Object, read
from tests.support.rendered_chart import NAMESPACE, RELEASE

MARK: Final = "app.kubernetes.io/"
COMPONENTS: Final = {"StatefulSet": "worker", "Job": "topics", "Pod": "test"}
CONTAINERS: Final = {
    "worker": "worker",
    "topics": "topics",
    "test": "check",
    "precheck": "precheck",
}


@dataclass(frozen=True)
class Rendering:
    """What the chart made of some values.

    Attributes:
        objects: all of them.
        given: the values that were not the defaults.
    """

    objects: list[Object]
    given: Mapping[str, Any]
    release: str = RELEASE
    release_namespace: str = NAMESPACE

    @cached_property
    def values(self) -> dict[str, Any]:
        """The values with the defaults."""
        return merged(self.given)

    @cached_property
    def ours(self) -> list[Object]:
        """Without what `extraDeploy` adds."""
        return [each for each in self.objects if not each["metadata"]["name"].startswith("more")]

    @property
    def namespace(self) -> str:
        """Where it is installed."""
        return str(self.values["namespaceOverride"] or self.release_namespace)

    @property
    def fullname(self) -> str:
        """What its workers, and with a suffix all else, are called."""
        [stateful] = self.all("StatefulSet")
        return str(stateful["metadata"]["name"])

    def all(self, kind: str) -> list[Object]:
        """The objects of *kind*."""
        return [each for each in self.ours if each["kind"] == kind]

    def named(self, kind: str, name: str) -> Object | None:
        """The object of *kind* called *name*, if there is one."""
        found = [each for each in self.all(kind) if each["metadata"]["name"] == name]
        return found[0] if found else None

    @cached_property
    def pods(self) -> dict[str, Object]:
        """By component, what pods are made of: metadata and spec."""
        found = {}
        for kind, usual in COMPONENTS.items():
            for each in self.all(kind):
                is_precheck = each["metadata"]["name"].endswith("-precheck")
                found["precheck" if is_precheck else usual] = (
                    each if kind == "Pod" else each["spec"]["template"]
                )
        return found

    def jobs(self, component: str) -> list[Object]:
        """The Jobs of *component*, of which there is at most one."""
        name = f"{self.fullname}-{component}"
        return [each for each in self.all("Job") if each["metadata"]["name"] == name]

    def container(self, component: str) -> Object:
        """The container of the pods of *component*."""
        [container] = [
            each
            for each in self.pods[component]["spec"]["containers"]
            if each["name"] == CONTAINERS[component]
        ]
        return dict(container)

    def settings(self, component: str) -> tuple[str, dict[str, Any]]:
        """The settings of *component* as written and as read."""
        for volume in self.pods[component]["spec"]["volumes"]:
            if volume["name"] == "settings":
                held = self.named("ConfigMap", volume["configMap"]["name"])
                assert held is not None, "no ConfigMap with the settings"
                text = held["data"]["floorwatch.yaml"]
                return text, read(text)
        raise AssertionError("no volume with the settings")


def environment(rendering: Rendering, component: str) -> list[Object]:
    return list(rendering.container(component)["env"])


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return bool(selector) and selector.items() <= labels.items()


def selects_only(rendering: Rendering, selector: Mapping[str, str], component: str) -> bool:
    """Whether pods of *component* are selected, of this release alone, and none of the others."""
    identity = {f"{MARK}instance", f"{MARK}component", f"{MARK}name"}
    return identity <= selector.keys() and {
        each for each, pod in rendering.pods.items() if selects(selector, pod["metadata"]["labels"])
    } == {component}
