"""Rights in a real Kafka: read from the document for operators, given to users and taken away."""

from __future__ import annotations

import argparse
import asyncio
import re
import shlex
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any, Final, NamedTuple

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest

DOCUMENT: Final = Path(__file__).parents[2] / "deploy" / "kafka" / "ACLS.md"

# Kafka's own numbers, of its protocol.
_KINDS: Final = {"topic": 2, "group": 3}
_PATTERNS: Final = {"literal": 3, "prefixed": 4}
_OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
_ALLOW: Final = 3


class Granted(NamedTuple):
    """One right that a command of the document gives."""

    user: str
    operation: str
    kind: str
    name: str
    pattern: str

    def __str__(self) -> str:
        """As floorwatch calls it."""
        return f"{self.operation} on {self.kind} {self.name!r}"


def of_document() -> list[Granted]:
    """Every right that the commands of the document give, in their order."""
    commands = argparse.ArgumentParser(exit_on_error=False)
    commands.add_argument("program", choices=["kafka-acls.sh"])
    for option in ("bootstrap-server", "command-config", "allow-principal"):
        commands.add_argument(f"--{option}", required=True)
    commands.add_argument("--add", action="store_true", required=True)
    commands.add_argument("--resource-pattern-type", choices=_PATTERNS, default="literal")
    commands.add_argument("--operation", choices=_OPERATIONS, action="append", required=True)
    for kind in _KINDS:
        commands.add_argument(f"--{kind}", action="append", default=[])
    blocks = re.findall(r"(?ms)^```\n(.*?)^```$", DOCUMENT.read_text(encoding="utf-8"))
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [
        Granted(given.allow_principal, operation, kind, name, given.resource_pattern_type)
        for given in (commands.parse_args(shlex.split(line)) for line in lines)
        for kind in _KINDS
        for name, operation in product(getattr(given, kind), given.operation)
    ]


def grant(bootstrap: str, rights: Iterable[Granted]) -> None:
    """Give *rights*; return when the broker says so."""
    asyncio.run(_ask(bootstrap, [CreateAclsRequest(*_told(right)) for right in rights]))


def take_away(bootstrap: str, rights: Iterable[Granted]) -> None:
    """Take *rights* away again; return when the broker says so."""
    asyncio.run(_ask(bootstrap, [DeleteAclsRequest(*_told(right)) for right in rights]))


def _told(right: Granted) -> tuple[Any, ...]:
    return (
        _KINDS[right.kind],
        right.name,
        _PATTERNS[right.pattern],
        right.user,
        "*",
        _OPERATIONS[right.operation],
        _ALLOW,
    )


async def _ask(bootstrap: str, requests: list[Any]) -> None:
    client = AIOKafkaClient(bootstrap_servers=bootstrap)
    await client.bootstrap()
    try:
        for request in requests:
            answer = await client.send(client.get_random_node(), request)
            [result] = answer.to_object().popitem()[1]
            assert result["error_code"] == 0, result["error_message"]
    finally:
        await client.close()
