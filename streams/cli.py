"""The command `floorwatch`: each of its commands, loaded when it is called.

What the operator did wrong is one line on standard error that says what to do; anything else is a
bug and shows its traceback.
"""

from __future__ import annotations

import importlib
import logging
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

EXIT_USAGE: Final = 2
EXIT_NO_KAFKA: Final = 3
EXIT_INTERRUPTED: Final = 130


class _Entry(NamedTuple):
    """Where a command is, and what it is for."""

    place: str
    summary: str


COMMANDS: Final[dict[str, _Entry]] = {
    "demo": _Entry("streams.demo:demo_command", "A whole floor on this machine, to look at."),
    "worker": _Entry("streams.cli:worker_command", "Events from Kafka in, the floor out."),
    "simulate": _Entry("streams.simulate:simulate_command", "A made-up centre's events to Kafka."),
    "replay": _Entry("streams.replay:replay_command", "Recorded events to Kafka."),
    "report": _Entry("streams.report:report_command", "The numbers of recorded events."),
    "alive": _Entry("streams.alive:alive_command", "Whether the worker on this machine is alive."),
    "check": _Entry("streams.check:check_command", "What is wrong with set-up or recordings."),
    "create-topics": _Entry(
        "streams.create_topics:create_topics_command", "The topics of an installation."
    ),
    "provision": _Entry(
        "streams.provision:provision_command", "Dashboards and alert rules into a Grafana."
    ),
}


class Commands(click.Group):
    """The commands by name; none is imported before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """The command *name*, imported."""
        if name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[name].place.partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in the help, out of the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.summary) for name, entry in COMMANDS.items()])

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 # click's signature
        """Run, and exit with a code: see the help."""
        extra |= {"standalone_mode": False, "prog_name": "floorwatch"}
        try:
            code = super().main(*args, **extra)
        except click.Abort:
            sys.exit(EXIT_INTERRUPTED)
        except click.exceptions.NoArgsIsHelpError as no_arguments:
            click.echo(no_arguments.format_message())
            sys.exit(EXIT_USAGE)
        except click.ClickException as wrong:
            context = getattr(wrong, "ctx", None)
            hint = f" (see {context.command_path} --help)" if context is not None else ""
            _tell(" ".join(wrong.format_message().split()) + hint)
            sys.exit(EXIT_USAGE)
        except Exception as fault:
            code = _code_of(fault)
            if code is None:
                raise
            _tell(_text_of(fault))
        sys.exit(code if isinstance(code, int) else 0)


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Examples:
  floorwatch demo
  floorwatch check --settings floorwatch.yaml
  floorwatch worker --settings floorwatch.yaml

\b
Exit codes: 0 fine, 1 something found, refused or broken, 2 a wrong option, setting or file,
3 no Kafka, none that lets us in, no topic, no free port or no Grafana, 4 another number of
partitions, 5 another worker has set the policy anew, 130 interrupted.""",
)
@click.version_option(package_name="floorwatch", prog_name="floorwatch")
def main() -> None:
    """Real-time service levels of a contact centre: the same numbers whatever goes wrong."""
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())


@click.command(
    "worker",
    epilog="""\b
Examples:
  floorwatch worker --settings floorwatch.yaml
  FLOORWATCH_BOOTSTRAP=kafka:9092 FLOORWATCH_HOST=0.0.0.0 floorwatch worker

\b
Exit codes: 0 stopped by SIGTERM or Ctrl-C, 2 a wrong option or setting,
3 no Kafka or none that lets us in, a right that is missing, no topic or no free port,
4 a source topic with another number of partitions,
5 a worker started with --rebuild has set the policy anew.""",
)
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka, in place of the settings'.")
@click.option(
    "--settings",
    "settings_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Settings file; else the one that FLOORWATCH_SETTINGS names.",
)
@click.option(
    "--rebuild",
    is_flag=True,
    help="Count the topics from their first record again, whatever state was kept, under the policy"
    " as it is written.",
)
@click.option(
    "--accept-partitions",
    type=click.IntRange(1),
    metavar="N",
    help="Go on although a source topic has N partitions now and had others before.",
)
def worker_command(
    settings_file: Path | None, bootstrap: str | None, rebuild: bool, accept_partitions: int | None
) -> int:
    """Read events from Kafka and show the floor.

    The wall is at http://HOST:PORT/, metrics at /metrics. The topics of events have to be there:
    `floorwatch check` says which is missing. Records that cannot be read are kept on the topic
    NAME.rejected, `floorwatch.rejected` unless the settings give another name; what is counted is
    kept on NAME.state, from where a restarted worker goes on. Both are created where they are
    missing.
    """
    from streams.parameters import settings_of  # noqa: PLC0415
    from streams.worker import run_worker  # noqa: PLC0415 # Faust takes a second to load

    settings = settings_of(settings_file, bootstrap)
    return run_worker(settings, accept_partitions=accept_partitions, rebuild=rebuild)


def _tell(text: str) -> None:
    click.echo(f"floorwatch: {text}", err=True)


def _code_of(fault: Exception) -> int | None:
    """The exit code of what an operator can mend; None for a bug."""
    from aiokafka.errors import KafkaError  # noqa: PLC0415 # only when something is wrong

    from streams.core.policy import BadSetting  # noqa: PLC0415
    from streams.kafka_admin import BrokerUnreachable, NotAllowed  # noqa: PLC0415
    from streams.local_kafka import KafkaDidNotStart  # noqa: PLC0415
    from streams.sources.recorded import UnreadableFile  # noqa: PLC0415
    from streams.topics import TopicMissing  # noqa: PLC0415

    if isinstance(fault, BadSetting | UnreadableFile):
        return EXIT_USAGE
    if isinstance(fault, OSError) and fault.filename is not None:
        return EXIT_USAGE
    if isinstance(
        fault, KafkaDidNotStart | BrokerUnreachable | NotAllowed | TopicMissing | KafkaError
    ):
        return EXIT_NO_KAFKA
    return None


def _text_of(fault: Exception) -> str:
    if isinstance(fault, OSError):
        return f"{fault.filename}: {fault.strerror}"
    return str(fault)


if __name__ == "__main__":
    main()
