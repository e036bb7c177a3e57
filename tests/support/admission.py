"""Rendered objects before a real API server: whether it would take them, without keeping any."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.support.control_plane import ControlPlane
from tests.support.kubernetes_yaml import Object


def admit(cluster: ControlPlane, namespace: str, objects: Sequence[Mapping[str, Any]]) -> int:
    """Have *objects* and the pods of their templates judged; how many they were.

    An object without a namespace is judged in *namespace*; another one that is missing is created.
    Unknown and repeated fields, values that a kind's schema refuses, and what Pod Security warns of
    are all refusals.

    Raises:
        CommandFailed: one is refused; the text says which, and why.
    """
    judged = [
        {**each, "metadata": {"namespace": namespace, **each["metadata"]}}
        for each in (*objects, *pods_of(objects))
    ]
    for pod in judged:
        if pod["kind"] == "Pod":  # of an account that is not there yet it is refused for that alone
            pod["spec"] = {**pod["spec"], "serviceAccountName": "default"}
    there = {each["metadata"]["name"] for each in cluster.get("default", "namespaces")}
    for missing in {each["metadata"]["namespace"] for each in judged} - there:
        cluster.namespace(missing)
    cluster.kubectl("create", "--dry-run=server", "--validate=strict", "--filename=-", given=judged)
    return len(judged)


def pods_of(objects: Sequence[Mapping[str, Any]]) -> list[Object]:
    """A pod of each template in *objects*: controllers make them later, when nobody looks."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{each['metadata']['name']}-as-made",
                "namespace": each["metadata"].get("namespace", "default"),
                "labels": each["spec"]["template"]["metadata"].get("labels", {}),
            },
            "spec": each["spec"]["template"]["spec"],
        }
        for each in objects
        if "template" in each.get("spec", {})
    ]


def mappings(found: Any) -> Iterator[Object]:
    """Every mapping in *found*, however deep, outer ones first."""
    if isinstance(found, dict):
        yield found
    parts = found.values() if isinstance(found, dict) else found if isinstance(found, list) else ()
    for part in parts:
        yield from mappings(part)


def each_where(
    has: str, change: Callable[[Object], object]
) -> Callable[[Sequence[Mapping[str, Any]]], None]:
    """A mutation: *change* every mapping that has the key *has*.

    It fails where there is none: a mutation that changes nothing would be survived by anything.
    """

    def mutate(objects: Sequence[Mapping[str, Any]]) -> None:
        met = [each for each in mappings([*objects]) if has in each]
        assert met, f"nothing has {has}"
        for each in met:
            change(each)

    return mutate
