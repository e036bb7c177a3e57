"""Write what is generated of the chart; with `--check`, only say what is not as written.

Values, their schema and their table come from `options`; rules, boards and routes from where they
are kept and tested, with marks in place of what a release says: Helm reads only files in a chart.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from dashboards.alerts.annotations import Places
from dashboards.alerts.catalogue import GROUPS
from dashboards.alerts.documents import as_yaml, prometheus_rules
from dashboards.grafana import shipped
from deploy.helm.conditions import CONDITIONS
from deploy.helm.option import Option, Section, rows, schema_of
from deploy.helm.options import ROOT
from deploy.helm.policy_options import DEFINITIONS

CHART: Final = Path(__file__).parent / "floorwatch"
_HERE: Final = Path(__file__).parent
_ROUTES: Final = _HERE.parent / "prometheus" / "alertmanager.yml"

NAME: Final = "@NAME@"
OWN: Final = "@OWN@"
"""Where the matchers of a release go in a rule; they end with a comma."""

GRAFANA: Final = "@GRAFANA@"
RUNBOOKS: Final = "@RUNBOOKS@"

_WIDTH: Final = 100
_SELECTED: Final = re.compile(r"(?<![\w:])(floorwatch_\w+|up)\b(\{)?")
_QUOTED: Final = re.compile(r'("[^"]*")')
_BY_NAME: Final = re.compile(r"(?<!\w)\{(?=__name__)")
_RECEIVERS: Final[Mapping[str, str]] = {
    "boards": "boards",
    "duty-manager": "dutyManager",
    "sre": "sre",
    "sre-tickets": "sreTickets",
    "watchdog": "watchdog",
}
"""Of the shipped routes, and the value of the chart that says who it is."""

_GENERATED: Final = "# Written by `python -m deploy.helm.generate`; change it in deploy/helm.\n"


def documents() -> dict[str, str]:
    """Every generated file: path in the chart, and text."""
    return {
        "values.yaml": values_yaml(),
        "values.schema.json": _json(values_schema()),
        "README.md": readme(),
        "files/alerts.yaml": _GENERATED + _without_comment(as_yaml(alert_rules())),
        "files/routes.yaml": _GENERATED + yaml.safe_dump(routes(), sort_keys=False, width=_WIDTH),
        **{f"files/dashboards/{slug}.json": text for slug, text in boards().items()},
    }


def values_schema() -> dict[str, Any]:
    """The closed JSON Schema of the values.

    Of draft 7, which both Helm 4 and the older ones know.
    """
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "floorwatch",
        **schema_of(ROOT),
        "allOf": list(CONDITIONS),
        "definitions": DEFINITIONS,
    }


def values_yaml() -> str:
    """The defaults, each under what it means."""
    return _GENERATED + "\n" + "\n".join(_written(ROOT, 0))


def readme() -> str:
    """The words of `deploy/helm/readme.md`, with the table of values in their place."""
    table = ["| value | what it is | default |", "|---|---|---|"]
    for path, option in rows(ROOT):
        default = json.dumps(option.default, ensure_ascii=False).replace("|", "\\|")
        table.append(f"| `{path}` | {_cell(option)} | `{default}` |")
    words = (_HERE / "readme.md").read_text(encoding="utf-8")
    return words.replace("<!-- values -->\n", "\n".join(table) + "\n")


def alert_rules() -> dict[str, Any]:
    """The rules, with marks for what a release says."""
    rules = prometheus_rules(GROUPS, Places(name=NAME, boards=GRAFANA, runbooks=RUNBOOKS))
    for group in rules["groups"]:
        for rule in group["rules"]:
            rule["expr"] = of_one_release(rule["expr"])
    return rules


def of_one_release(expr: str) -> str:
    """*expr* with the mark of a release in each of its selectors."""
    return "".join(part if part.startswith('"') else _marked(part) for part in _QUOTED.split(expr))


def _marked(expr: str) -> str:
    marked = _SELECTED.sub(lambda m: f"{m[1]}{{{OWN}" + ("" if m[2] else "}"), expr)
    return _BY_NAME.sub(f"{{{OWN}", marked)


def boards() -> dict[str, str]:
    """The boards by slug, with marks for the name and the runbooks, in one line each."""
    texts = {}
    for uid, board in shipped(NAME).items():
        for variable in board["templating"]["list"]:
            if variable["name"] == "runbooks":
                variable["query"] = RUNBOOKS
        slug = uid.removeprefix(f"{NAME}-")
        texts[slug] = json.dumps(board, sort_keys=True, ensure_ascii=False) + "\n"
    return dict(sorted(texts.items()))


def routes() -> dict[str, Any]:
    """The shipped routes and inhibitions as an AlertmanagerConfig has them, without receivers."""
    shipped_routes = yaml.safe_load(_ROUTES.read_text(encoding="utf-8"))
    return {
        "route": _route(shipped_routes["route"]),
        "inhibitRules": [
            {
                "sourceMatch": [_matcher(each) for each in rule["source_matchers"]],
                "targetMatch": [_matcher(each) for each in rule["target_matchers"]],
                "equal": rule["equal"],
            }
            for rule in shipped_routes["inhibit_rules"]
        ],
    }


def _route(route: Mapping[str, Any]) -> dict[str, Any]:
    keys = {
        "group_by": "groupBy",
        "group_wait": "groupWait",
        "group_interval": "groupInterval",
        "repeat_interval": "repeatInterval",
    }
    written: dict[str, Any] = {"receiver": _RECEIVERS[route["receiver"]]}
    written |= {new: route[old] for old, new in keys.items() if old in route}
    if "matchers" in route:
        written["matchers"] = [_matcher(each) for each in route["matchers"]]
    if "routes" in route:
        written["routes"] = [_route(each) for each in route["routes"]]
    return written


def _matcher(text: str) -> dict[str, str]:
    """`severity =~ "critical|warning"` in the words of the operator."""
    name, kind, value = text.split(" ", 2)
    return {"name": name, "matchType": kind, "value": value.strip('"')}


def _cell(option: Option) -> str:
    words = option.schema.get("enum")
    said = option.text.replace("|", "\\|")
    if words and len(words) <= 6:
        said += " One of " + ", ".join(f"`{json.dumps(each)}`" for each in words) + "."
    return said


def _written(section: Section, depth: int) -> Iterator[str]:
    indent = "  " * depth
    for name, part in section.options.items():
        if depth == 0:
            yield ""
        for line in textwrap.wrap(part.text, _WIDTH - len(indent) - 2):
            yield f"{indent}# {line}"
        if isinstance(part, Section):
            yield f"{indent}{name}:"
            yield from _written(part, depth + 1)
        else:
            dumped = yaml.safe_dump(
                {name: part.default}, sort_keys=False, width=_WIDTH, allow_unicode=True
            )
            yield from textwrap.indent(dumped.rstrip("\n"), indent).split("\n")
    if depth == 0:
        yield ""


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _without_comment(text: str) -> str:
    return text.partition("\n")[2]


def main() -> int:
    """Write or compare; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.helm.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, only compare")
    check = parser.parse_args().check
    wanted = documents()
    there = {
        path.relative_to(CHART).as_posix(): path.read_text(encoding="utf-8")
        for path in (*(CHART / name for name in wanted), *(CHART / "files").rglob("*"))
        if path.is_file()
    }
    differing = sorted(
        path for path in wanted.keys() | there.keys() if wanted.get(path) != there.get(path)
    )
    for path in differing:
        if check:
            sys.stderr.write(f"{CHART.name}/{path} is not what `{parser.prog}` writes\n")
        elif path in wanted:
            (CHART / path).parent.mkdir(parents=True, exist_ok=True)
            (CHART / path).write_text(wanted[path], encoding="utf-8")
        else:
            (CHART / path).unlink()
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main())
