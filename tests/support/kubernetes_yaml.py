"""YAML as Kubernetes and Helm read it: a time is a text, and `=` is one too."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import yaml

Object: TypeAlias = dict[str, Any]

_UNKNOWN: Final = ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value")
_Fastest: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):  # type: ignore[misc] # of C or not
    yaml_implicit_resolvers = {  # noqa: RUF012 # as PyYAML declares it
        first: [(tag, pattern) for tag, pattern in resolvers if tag not in _UNKNOWN]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def read(text: str) -> Any:
    """The one document in *text*."""
    return yaml.load(text, Loader=_Loader)  # noqa: S506 # a SafeLoader


def objects_in(text: str) -> list[Object]:
    """The objects of a text of several YAML documents."""
    return [each for each in yaml.load_all(text, Loader=_Loader) if each]  # a SafeLoader
