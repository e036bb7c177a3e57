"""What a connection to Kafka is made with, where no broker is needed to see it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.core.policy import BadSetting
from streams.kafka_access import kafka_access
from streams.settings import load_settings
from tests.support.certificates import Authority

PATIENCE_S = 60.0


def kafka_settings(**kafka: object) -> dict[str, str]:
    """The variables that say so."""
    return {f"FLOORWATCH_KAFKA__{key.upper()}": str(value) for key, value in kafka.items()}


@contextlib.contextmanager
def silent_server(folder: Path, authority: Authority) -> Iterator[int]:
    """Its port: it agrees on TLS with one client, then never says or hears a word more."""
    signed = authority.sign("silent")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed.certificate, signed.key)
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            plain, _ = listener.accept()
            with context.wrap_socket(plain, server_side=True):
                over.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            thread.join()


async def test_a_connection_is_closed_without_waiting_for_a_broker_that_says_nothing(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path, "ca")
    variables = kafka_settings(security_protocol="ssl", ca_file=authority.ca)
    context = kafka_access(load_settings(None, variables)).security["ssl_context"]
    with silent_server(tmp_path, authority) as port:
        _, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, ssl_shutdown_timeout=10 * PATIENCE_S
        )

        writer.close()

        await asyncio.wait_for(writer.wait_closed(), PATIENCE_S)


def test_without_settings_nothing_is_encrypted_and_nobody_signs_in() -> None:
    assert kafka_access(load_settings(None, {})).client == {"bootstrap_servers": "localhost:9092"}


def test_name_and_password_are_the_line_in_their_files_without_its_end(tmp_path: Path) -> None:
    (tmp_path / "name").write_bytes(b"ann\r\n")
    (tmp_path / "password").write_bytes("  pä ss ".encode())
    variables = kafka_settings(
        security_protocol="sasl_plaintext",
        sasl_mechanism="SCRAM-SHA-256",
        username_file=tmp_path / "name",
        password_file=tmp_path / "password",
    )

    assert kafka_access(load_settings(None, variables)).security == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "ann",
        "sasl_plain_password": "  pä ss ",
    }


def test_certificate_and_host_name_are_checked_and_tls_is_not_old(tmp_path: Path) -> None:
    context = kafka_access(load_settings(None, kafka_settings(security_protocol="ssl"))).security[
        "ssl_context"
    ]

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("kafka", "says"),
    [
        (
            {"security_protocol": "SASL_SSL"},
            "kafka.security_protocol='SASL_SSL': expected one of plaintext, ssl, sasl_plaintext, "
            "sasl_ssl; did you mean sasl_ssl?",
        ),
        ({"securty_protocol": "ssl"}, "unknown key; did you mean security_protocol?"),
        (
            {"ca_file": "/ca.crt"},
            "kafka.ca_file: has no effect while kafka.security_protocol is plaintext; expected "
            "ssl or sasl_ssl there, or nothing here",
        ),
        (
            {"security_protocol": "ssl", "password_file": "/p"},
            "kafka.password_file: has no effect while kafka.security_protocol is ssl",
        ),
        (
            {"security_protocol": "sasl_ssl"},
            "kafka.sasl_mechanism: expected one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512: sasl_ssl "
            "asks for it",
        ),
        (
            {"security_protocol": "sasl_ssl", "sasl_mechanism": "PLAIN", "username_file": "/u"},
            "kafka.password_file: expected a file: sasl_ssl asks for it",
        ),
        (
            {"security_protocol": "ssl", "key_file": "/k"},
            "kafka.key_file: has no effect without kafka.certificate_file",
        ),
    ],
)
def test_settings_that_do_not_fit_together_are_named(kafka: dict[str, str], says: str) -> None:
    with pytest.raises(BadSetting) as wrong:
        load_settings(None, kafka_settings(**kafka))

    assert says in str(wrong.value)
