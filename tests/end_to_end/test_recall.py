"""Reports from topics are those of the file that was sent to them."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from streams.local_kafka import LocalKafka
from streams.replay import replay_command
from streams.report import report_command

SMALL = Path(__file__).parents[1] / "data" / "small-floor.jsonl"


def rows(*arguments: str) -> dict[tuple[str, str], dict[str, Any]]:
    result = CliRunner().invoke(
        report_command,
        [*arguments, "--format", "json", "--by", "queue,channel"],
        catch_exceptions=False,
    )
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return {(line["queue"], line["channel"]): line for line in lines}


def test_a_report_from_topics_equals_one_from_the_file(
    kafka: LocalKafka, unique: str, tmp_path: Path
) -> None:
    settings = tmp_path / "floorwatch.yaml"
    settings.write_text(
        f"name: {unique}\nbootstrap: {kafka.bootstrap}\n"
        f"topics: {{calls: {unique}.c, chats: {unique}.t, queues: {unique}.q}}\n"
    )
    sent = CliRunner().invoke(
        replay_command, ["--settings", str(settings), str(SMALL)], catch_exceptions=False
    )
    assert sent.exit_code in (0, None), sent.output

    from_topics = rows("--settings", str(settings), "--bootstrap", kafka.bootstrap)

    assert from_topics == rows(str(SMALL))
