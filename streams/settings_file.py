"""YAML as the settings want it: plain values are texts, keys stand once, every key has its line."""

import re
from pathlib import Path
from typing import Any, Final

import yaml

from streams.core.policy import BadSetting
from streams.core.readers import named


class _Loader(yaml.SafeLoader):
    """Plain values stay as they are written.

    YAML itself reads `no`, `007`, `+10:00` and a date as a truth value, a number, a count of
    minutes and a date; the settings know better what each of them is meant to be.
    """

    # The merge key is part of the notation, not a value.
    yaml_implicit_resolvers = {  # noqa: RUF012 # as PyYAML declares it
        "<": [("tag:yaml.org,2002:merge", re.compile("<<"))],
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """*node* as a dict, or an error at the second of two equal keys."""
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"the key {key.value} stands here for the second time"
                    raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


class SettingsFile:
    """A YAML file, and the lines of its keys."""

    def __init__(self, path: Path) -> None:
        """Read *path*.

        Raises:
            BadSetting: when it cannot be read, with the reason; when it is not YAML, with the line;
                when it is not a mapping.
        """
        self.path: Final = path
        try:
            written = path.read_bytes()
        except OSError as unreadable:
            reason = unreadable.strerror or "unreadable"
            raise BadSetting(str(path), f"cannot read the settings: {reason}") from None
        self.tree: Final = dict(named(read_yaml(written, str(path)), str(path)))
        self._written = written

    def position(self, key: str) -> str:
        """`path:line` of *key*, or of the nearest key above it that stands in the file."""
        return position_in(self._written, self.path, key)


def position_in(written: bytes, path: Path, key: str) -> str:
    """`path:line` of *key* in what is *written* there, or of the nearest key above it."""
    line = _line(yaml.compose(written, Loader=_Loader), key)
    return str(path) if line is None else f"{path}:{line}"


def read_yaml(written: bytes | str, name: str) -> object:
    """The one document in *written*; None when it is empty.

    Raises:
        BadSetting: at `name:line:column`, saying what is wrong but never quoting the text, which
            may hold a secret.
    """
    try:
        return yaml.load(written, Loader=_Loader)  # noqa: S506 # a SafeLoader
    except yaml.MarkedYAMLError as broken:
        mark = broken.problem_mark
        place = name if mark is None else f"{name}:{mark.line + 1}:{mark.column + 1}"
        raise BadSetting(place, f"this is not YAML: {broken.problem}") from None
    except (yaml.YAMLError, RecursionError):
        raise BadSetting(name, "this is not YAML in UTF-8") from None


def _line(node: yaml.Node | None, key: str) -> int | None:
    """The line of *key* under *node*; names within it may have dots of their own."""
    if not isinstance(node, yaml.MappingNode):
        return None
    for name, below in node.value:
        rest = key.removeprefix(name.value)
        if (
            isinstance(name.value, str)
            and key.startswith(name.value)
            and rest[:1] in {"", ".", "["}
        ):
            deeper = _line(below, rest.lstrip("."))
            return deeper or name.start_mark.line + 1
    return None
