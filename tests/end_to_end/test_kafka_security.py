"""Every way into a real Kafka that is not open to all, and what is said where there is none."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from click.testing import CliRunner

from streams.cli import main
from streams.kafka_access import kafka_access
from streams.kafka_admin import BrokerUnreachable
from streams.settings import load_settings
from streams.topics import look
from tests.end_to_end.test_worker import BEGINS_MS, answered_calls
from tests.support.certificates import Authority
from tests.support.commands import floorwatch
from tests.support.guarded_kafka import ANYTHING, PASSWORD, GuardedKafka
from tests.support.oracle import to_text
from tests.support.perfect import net_counters
from tests.support.running import Feed, RunningWorker, parsed, settings_file

WRONG: Final = "wrong-horse-battery"
CALLS: Final = 50
END_MS: Final = BEGINS_MS + 1_000 * CALLS + 10_000

Settings = dict[str, Any]


def installation(name: str) -> Settings:
    """Settings of an installation with one topic, for events of another day."""
    return {
        "name": name,
        "clock": "event",
        "snapshot_every": "1s",
        "topics": {"calls": f"{name}.calls", "chats": "off", "queues": "off"},
    }


def by(way: str, guarded: GuardedKafka) -> Settings:
    """The settings with which *way* is open to the user who may do everything."""
    if way == "MUTUAL":
        return guarded.by_certificate(guarded.authority.sign(ANYTHING))
    return guarded.by_password(ANYTHING, way)


def has_counted_all(worker: RunningWorker) -> bool:
    counted = net_counters(parsed(worker.metrics()), "sales", "voice")
    return counted.get("answered") == counted.get("offered") == CALLS


@pytest.mark.parametrize("way", ["SCRAM", "PLAIN", "CLEAR", "MUTUAL"])
def test_a_worker_runs_whole_and_its_figures_are_right(
    way: str, guarded: GuardedKafka, unique: str, tmp_path: Path
) -> None:
    settings = {**installation(unique), **by(way, guarded)}
    with Feed(settings_file(tmp_path, settings)) as feed:
        feed.send_until(answered_calls(CALLS), END_MS)
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(lambda: has_counted_all(worker), "all was counted")
            stopped = worker.stop()
        log = worker.log()

    assert stopped == 0
    assert not re.search("WARNING|ERROR|Traceback", log)
    assert PASSWORD not in log


@pytest.mark.parametrize("way", ["SCRAM", "MUTUAL"])
def test_every_command_gets_in(
    way: str, guarded: GuardedKafka, unique: str, tmp_path: Path
) -> None:
    path = str(settings_file(tmp_path, {**installation(unique), **by(way, guarded)}))
    recorded = tmp_path / "calls.jsonl.gz"
    recorded.write_bytes(
        gzip.compress(b"".join(call.value + b"\n" for call in answered_calls(CALLS)))
    )

    def said(command: str, *options: str) -> str:
        done = CliRunner().invoke(main, [command, "--settings", path, *options])
        assert done.exit_code == 0, done.output
        assert PASSWORD not in done.output
        return done.stdout

    assert f"topic {unique}.calls: created" in said("create-topics")
    assert f"sent {2 * CALLS}" in said("replay", str(recorded))
    hour = ["--from", to_text(BEGINS_MS), "--to", to_text(BEGINS_MS + 3_600_000)]
    assert said("simulate", *hour[:2], "--for", "5m", "--speed", "max").startswith("sent ")
    checked = said("check", "--state")
    assert f"state of {unique}.calls[0]: nothing yet" in checked
    bootstrap = yaml.safe_load(Path(path).read_text())["bootstrap"]
    reported = said("report", "--bootstrap", bootstrap, *hour, "--format", "json")
    assert "sales" in reported


def test_check_warns_of_a_way_that_others_can_read(guarded: GuardedKafka, tmp_path: Path) -> None:
    warning = "warn  broker: what is said to it can be read on the way"
    for way, is_open in (("CLEAR", True), ("PLAIN", False)):
        path = settings_file(tmp_path, guarded.by_password(ANYTHING, way))

        checked = CliRunner().invoke(main, ["check", "--settings", str(path)])

        assert (warning in checked.stdout) == is_open


# What keeps us out. Each is one line that says what to correct and holds no secret.

Broken = Callable[[GuardedKafka, Authority], Settings]


def wrong_password(guarded: GuardedKafka, foreign: Authority) -> str:
    path = guarded.folder / "wrong"
    path.write_text(WRONG)
    return str(path)


SIGNED_IN_WRONG: Final = (
    r"user or password are wrong; correct kafka\.username_file, kafka\.password_file"
)
OTHER_LISTENER: Final = r"hangs up; start it, or correct kafka\.security_protocol, if its listener"
OUR_CERTIFICATE: Final = r"it does not accept our certificate \(.*\); correct kafka\.certificate"

KEPT_OUT: Final[Mapping[str, tuple[Broken, str]]] = {
    "wrong password, SCRAM": (
        lambda kafka, ca: kafka.by_password(ANYTHING, password_file=wrong_password(kafka, ca)),
        SIGNED_IN_WRONG,
    ),
    "wrong password, PLAIN": (
        lambda kafka, ca: kafka.by_password(
            ANYTHING, "PLAIN", password_file=wrong_password(kafka, ca)
        ),
        SIGNED_IN_WRONG,
    ),
    "wrong password in the clear": (
        lambda kafka, ca: kafka.by_password(
            ANYTHING, "CLEAR", password_file=wrong_password(kafka, ca)
        ),
        SIGNED_IN_WRONG,
    ),
    "unknown user, SCRAM": (lambda kafka, _: kafka.by_password("nobody"), SIGNED_IN_WRONG),
    "unknown user, PLAIN": (
        lambda kafka, _: kafka.by_password("nobody", "PLAIN"),
        SIGNED_IN_WRONG,
    ),
    "another mechanism": (
        lambda kafka, _: kafka.by_password(ANYTHING, sasl_mechanism="SCRAM-SHA-256"),
        r"it does not take SCRAM-SHA-256; correct kafka\.sasl_mechanism",
    ),
    "their certificate is of another authority": (
        lambda kafka, ca: kafka.by_password(ANYTHING, ca_file=str(ca.ca)),
        r"its certificate was not signed by kafka\.ca_file \(.*foreign\.crt\)",
    ),
    "their certificate is of no authority of the system": (
        lambda kafka, _: kafka.by_password(ANYTHING, ca_file=None),
        r"its certificate was not signed by this system's authorities .*; correct kafka\.ca_file",
    ),
    "their certificate has expired": (
        lambda kafka, _: kafka.by_certificate(kafka.authority.sign("ours"), "EXPIRED"),
        "its certificate has expired; renew it",
    ),
    "their certificate is for another host": (
        lambda kafka, _: kafka.by_certificate(kafka.authority.sign("ours"), "ELSEWHERE"),
        r"its certificate is not for 127\.0\.0\.1; have one made for this name",
    ),
    "our certificate has expired": (
        lambda kafka, _: kafka.by_certificate(kafka.authority.sign("old", valid=False)),
        OUR_CERTIFICATE,
    ),
    "our certificate is of another authority": (
        lambda kafka, ca: kafka.by_certificate(ca.sign("alien")),
        OUR_CERTIFICATE,
    ),
    "we show no certificate": (
        lambda kafka, _: kafka.by_certificate(
            kafka.authority.sign("ours"), certificate_file=None, key_file=None
        ),
        r"it asks for a certificate of ours; set kafka\.certificate_file",
    ),
    "no TLS where they have it": (
        lambda kafka, _: {"bootstrap": kafka.at("MUTUAL")},
        f"{OTHER_LISTENER} is not made for plaintext",
    ),
    "no TLS where they have it, with a user": (
        lambda kafka, _: {**kafka.by_password(ANYTHING, "CLEAR"), "bootstrap": kafka.at("SCRAM")},
        f"{OTHER_LISTENER} is not made for sasl_plaintext",
    ),
    "TLS where they have none": (
        lambda kafka, _: {
            **kafka.by_certificate(kafka.authority.sign("ours")),
            "bootstrap": kafka.bootstrap,
        },
        f"{OTHER_LISTENER} is not made for ssl",
    ),
    "no user where they ask for one": (
        lambda kafka, _: {
            **kafka.by_certificate(kafka.authority.sign("ours")),
            "bootstrap": kafka.at("SCRAM"),
        },
        f"{OTHER_LISTENER} is not made for ssl",
    ),
    "a user where they know none": (
        lambda kafka, _: {
            **kafka.by_password(ANYTHING, "CLEAR"),
            "bootstrap": kafka.bootstrap,
        },
        r"it knows no users there; correct kafka\.security_protocol, if",
    ),
}


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("foreign"), "foreign")


@pytest.mark.parametrize("what", KEPT_OUT)
def test_what_keeps_us_out_is_one_line_that_says_what_to_correct(
    what: str, guarded: GuardedKafka, foreign: Authority, tmp_path: Path
) -> None:
    settings, says = KEPT_OUT[what]
    path = settings_file(tmp_path, settings(guarded, foreign))

    with pytest.raises(BrokerUnreachable) as kept_out:
        look(kafka_access(load_settings(path, {})), ["calls"])

    line = str(kept_out.value)
    assert re.search(says, line), line
    assert "Kafka at 127.0.0.1:" in line or line.startswith("no Kafka answers at 127.0.0.1:")
    assert "\n" not in line
    assert not {PASSWORD, WRONG} & set(re.findall(r"[\w-]+", line))


@pytest.mark.parametrize(
    "command",
    ["worker", "create-topics", "replay", "simulate", "report", "check"],
)
def test_every_command_that_is_kept_out_ends_with_that_line(
    command: str, guarded: GuardedKafka, foreign: Authority, tmp_path: Path
) -> None:
    settings, says = KEPT_OUT["wrong password, SCRAM"]
    given = settings(guarded, foreign)
    path = settings_file(tmp_path, given)
    recorded = tmp_path / "calls.jsonl"
    recorded.write_bytes(answered_calls(1)[0].value)
    options = {
        "replay": [str(recorded)],
        "simulate": ["--speed", "max", "--for", "1m"],
        "report": ["--bootstrap", given["bootstrap"]],
    }

    ended = floorwatch(command, "--settings", str(path), *options.get(command, ()))

    assert ended.returncode == (1 if command == "check" else 3), ended.stderr
    *before, line = (ended.stdout + ended.stderr).splitlines()
    assert all(" INFO " in each or each.startswith("ok  ") for each in before)
    assert re.search(says, line)
    assert not {PASSWORD, WRONG} & set(re.findall(r"[\w-]+", ended.stdout + ended.stderr))


# Files that cannot be used: the operator's, so exit code 2, before anything is sent.


def unusable_files(folder: Path, authority: Authority) -> dict[str, tuple[dict[str, str], str]]:
    """What is wrong with the files of `kafka`: the settings, and what is said."""
    ours = authority.sign("ours")
    sealed = authority.sign("sealed", password=b"sesame")
    files = {
        "empty": "",
        "two-lines": f"{PASSWORD}\n{WRONG}\n",
        "text": "no certificate\n",
        "sesame": "sesame\n",
        "wrong": f"{WRONG}\n",
    }
    at = {name: str(folder / name) for name in files}
    for name, content in files.items():
        (folder / name).write_text(content)
    tls = {"security_protocol": "ssl", "certificate_file": str(ours.certificate)}
    user = {
        "security_protocol": "sasl_ssl",
        "sasl_mechanism": "PLAIN",
        "username_file": at["text"],
        "password_file": at["sesame"],
    }
    sealed_key = {
        **tls,
        "certificate_file": str(sealed.certificate),
        "key_file": str(sealed.key),
    }
    return {
        "missing": (
            {**user, "password_file": str(folder / "none")},
            "kafka.password_file: cannot read the file that it names: No such file or directory",
        ),
        "folder": (
            {**user, "username_file": str(folder)},
            "kafka.username_file: cannot read the file that it names: Is a directory",
        ),
        "empty": (
            {**user, "password_file": at["empty"]},
            "kafka.password_file: {folder}/empty: expected one line that is not empty",
        ),
        "two lines": (
            {**user, "password_file": at["two-lines"]},
            "kafka.password_file: {folder}/two-lines: expected one line that is not empty",
        ),
        "no authority": (
            {**tls, "ca_file": at["text"]},
            "kafka.ca_file: {folder}/text: expected certificates in PEM",
        ),
        "no certificate": (
            {**tls, "certificate_file": at["text"]},
            "kafka.certificate_file: {folder}/text: expected certificates in PEM",
        ),
        "no key": (
            {**tls, "key_file": at["text"]},
            "kafka.key_file: {folder}/text: expected a private key in PEM",
        ),
        "certificate without key": (
            tls,
            f"kafka.certificate_file: {ours.certificate}: expected a private key in PEM",
        ),
        "key of another": (
            {**tls, "key_file": str(authority.sign("another").key)},
            f"it is not the key of the certificate in {ours.certificate}",
        ),
        "sealed key": (
            sealed_key,
            f"kafka.key_file: {sealed.key}: it has a password: expected kafka.key_password_file",
        ),
        "sealed key, wrong password": (
            {**sealed_key, "key_password_file": at["wrong"]},
            f"kafka.key_file: {sealed.key}: the password in {at['wrong']} does not open it",
        ),
    }


UNUSABLE: Final = (
    *("missing", "folder", "empty", "two lines", "no authority", "no certificate", "no key"),
    *("certificate without key", "key of another", "sealed key", "sealed key, wrong password"),
)


@pytest.mark.parametrize("what", UNUSABLE)
def test_a_file_that_cannot_be_used_is_named_with_its_setting_and_exit_code_2(
    what: str, tmp_path: Path
) -> None:
    kafka, says = unusable_files(tmp_path, Authority(tmp_path, "ca"))[what]
    path = settings_file(tmp_path, {"bootstrap": "127.0.0.1:9", "kafka": kafka})

    ended = CliRunner().invoke(main, ["create-topics", "--settings", str(path)])

    assert ended.exit_code == 2
    (line,) = ended.stderr.splitlines()
    assert says.format(folder=tmp_path) in line
    assert not {PASSWORD, WRONG, "sesame"} & set(re.findall(r"[\w-]+", line))


def test_a_key_with_a_password_lets_us_in_with_it(guarded: GuardedKafka, tmp_path: Path) -> None:
    sealed = guarded.authority.sign(ANYTHING, password=b"open sesame")
    (tmp_path / "password").write_text("open sesame\n")
    settings = guarded.by_certificate(sealed, key_password_file=str(tmp_path / "password"))
    access = kafka_access(load_settings(settings_file(tmp_path, settings), {}))

    assert look(access, []).brokers == 1


def test_the_password_is_not_in_what_a_way_in_looks_like(
    guarded: GuardedKafka, tmp_path: Path
) -> None:
    path = settings_file(tmp_path, guarded.by_password(ANYTHING))

    assert PASSWORD not in repr(kafka_access(load_settings(path, {})))
    assert kafka_access(load_settings(path, {})).security["sasl_plain_password"] == PASSWORD


def test_brokers_with_new_certificates_are_trusted_by_a_worker_started_anew(
    unique: str, tmp_path: Path
) -> None:
    ours = tmp_path / "ours.crt"
    with GuardedKafka(tmp_path, Authority(tmp_path, "ca"), (ANYTHING,)) as kafka:
        ours.write_bytes(kafka.authority.ca.read_bytes())
        settings = {
            **installation(unique),
            **kafka.by_password(ANYTHING, ca_file=str(ours)),
        }
        with Feed(settings_file(tmp_path, settings)) as feed:
            feed.send_until(answered_calls(CALLS), END_MS)
        renewed = Authority(tmp_path, "renewed")
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(lambda: has_counted_all(worker), "all was counted")
            kafka.halt()
            kafka.certify(renewed)
            kafka.start()
            worker.wait_until(
                lambda: "certificate was not signed by kafka.ca_file" in worker.log(),
                "it said that it trusts the brokers no more",
            )
            ours.write_bytes(renewed.ca.read_bytes())
            assert worker.stop() == 0
        with RunningWorker(tmp_path, settings) as worker:
            worker.wait_until(lambda: has_counted_all(worker), "all was there")
            assert worker.stop() == 0
