"""What a command finds, a line each, and its exit code."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple

import click

EXIT_FINDINGS: Final = 1

Level = Literal["ok", "note", "warn", "FAIL"]


class Finding(NamedTuple):
    """One line of a check.

    Attributes:
        level: `note` is worth knowing, `warn` may surprise, `FAIL` has to be mended.
        text: what is so, and what would do.
    """

    level: Level
    text: str

    def __str__(self) -> str:
        """The line."""
        return f"{self.level:<4}  {self.text}"


def tell(findings: Iterable[Finding]) -> int:
    """Print the findings; the exit code."""
    code = 0
    for finding in findings:
        click.echo(str(finding))
        if finding.level == "FAIL":
            code = EXIT_FINDINGS
    return code
