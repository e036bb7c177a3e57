"""A connection for questions about the cluster, and why there is none."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from streams.kafka_access import KafkaAccess

ANSWERS_WITHIN_S: Final = 10.0

# From OpenSSL's x509_vfy.h.
_EXPIRED: Final = 10
_FOREIGN: Final = (2, 18, 19, 20, 21)
_OTHER_HOST: Final = (62, 64)


class BrokerUnreachable(RuntimeError):
    """No Kafka answers at the given address, it has stopped answering, or it lets nobody in."""


class BrokerRefuses(BrokerUnreachable):
    """Kafka answers and lets us not in, or its certificate keeps us out; waiting mends nothing."""


class NotAllowed(RuntimeError):
    """The brokers' access control lists keep this user from something that is needed."""


@contextlib.asynccontextmanager
async def admin(kafka: KafkaAccess) -> AsyncIterator[AIOKafkaAdminClient]:
    """A connection for questions about the cluster.

    Raises:
        BrokerUnreachable: it cannot be had, or breaks.
    """
    client = AIOKafkaAdminClient(**kafka.client)
    try:
        await client.start()
        yield client
    except (KafkaError, OSError) as silent:
        raise await unreachable(kafka, silent) from silent
    finally:
        with contextlib.suppress(KafkaError, OSError):
            await client.close()


async def unreachable(kafka: KafkaAccess, error: BaseException) -> BrokerUnreachable:
    """What to raise when talking to *kafka* ended in *error*.

    aiokafka only logs why it gets no connection, so another one is tried to learn it.
    """
    refusal = await why_refused(kafka)
    if refusal is not None:
        return refusal
    why = "" if isinstance(error, KafkaConnectionError) else f" ({str(error).rstrip('.')})"
    return BrokerUnreachable(
        f"no Kafka answers at {kafka.bootstrap}{why}; start it, or correct the address"
    )


async def why_refused(kafka: KafkaAccess) -> BrokerUnreachable | None:
    """Why Kafka does not let us in, in one line that says what would do; without any secret.

    None where it does, or where nobody listens.
    """
    for host, port, _ in collect_hosts(kafka.bootstrap):
        refusal, others = await _try(kafka, host, port)
        for other in others:
            if refusal is None and other != (host, port):
                refusal, _ = await _try(kafka, *other)
        if refusal is not None:
            return refusal
    return None


async def _try(
    kafka: KafkaAccess, host: str, port: int
) -> tuple[BrokerUnreachable | None, list[tuple[str, int]]]:
    """Why the broker at *host* and *port* refuses us, if it does; else where it says others are."""
    connection: Any = None
    try:
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            connection = await create_conn(host, port, **kafka.security)
            answer = await connection.send(MetadataRequest([]))
            return None, [(broker[1], broker[2]) for broker in answer.brokers]
    except (KafkaError, OSError) as error:
        return _refusal(kafka, host, port, error), []
    finally:
        if connection is not None:
            connection.close()


def _refusal(
    kafka: KafkaAccess, host: str, port: int, error: BaseException
) -> BrokerUnreachable | None:
    """What *error* means for the operator; None where it only means that nobody listens."""
    certain = _certain(kafka, host, error)
    if certain is not None:
        return BrokerRefuses(f"Kafka at {host}:{port}: {certain}")
    silent = f"no Kafka answers at {host}:{port}"
    for cause in _causes(error):
        match cause:
            case ConnectionRefusedError():
                return None
            case socket.gaierror():
                return BrokerUnreachable(f"{silent}: there is no host of this name; correct it")
            case TimeoutError():
                within = f"within {ANSWERS_WITHIN_S:.0f} s"
                return BrokerUnreachable(f"{silent} {within}; start it, or correct the address")
            case ssl.SSLError() | ConnectionError() | asyncio.IncompleteReadError():
                return BrokerUnreachable(
                    f"{silent}: somebody there hangs up; start it, or {_is_it_made_for(kafka)}"
                )
    return None


def _certain(kafka: KafkaAccess, host: str, error: BaseException) -> str | None:
    """What in *error* no waiting can mend; None where it might."""
    for cause in _causes(error):
        words = _of_certificates(kafka, host, cause) or _of_users(kafka, cause)
        if words is not None:
            return words
    return None


def _of_certificates(kafka: KafkaAccess, host: str, error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return _untrusted(kafka, host, error)
        case ssl.SSLError() if "CERTIFICATE_REQUIRED" in (error.reason or ""):
            return "it asks for a certificate of ours; set kafka.certificate_file"
        case ssl.SSLError() if "ALERT" in (error.reason or ""):
            return (
                "it does not accept our certificate "
                f"({str(error.reason).lower().replace('_', ' ')}); correct kafka.certificate_file: "
                "one that has not expired, of an authority that the brokers trust"
            )
    return None


def _of_users(kafka: KafkaAccess, error: BaseException) -> str | None:
    match error:
        case SaslAuthenticationFailed() | AuthenticationFailedError():
            return (
                "user or password are wrong; correct kafka.username_file, kafka.password_file or "
                f"the user (mechanism {kafka.security['sasl_mechanism']})"
            )
        case UnsupportedSaslMechanismError():
            mechanism = kafka.security["sasl_mechanism"]
            return f"it does not take {mechanism}; correct kafka.sasl_mechanism"
        case IllegalSaslStateError():
            return f"it knows no users there; {_is_it_made_for(kafka)}"
    return None


def _untrusted(kafka: KafkaAccess, host: str, error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code == _EXPIRED:
        return "its certificate has expired; renew it"
    if error.verify_code in _FOREIGN:
        return (
            f"its certificate was not signed by {kafka.trusted} ({error.verify_message}); "
            "correct kafka.ca_file"
        )
    if error.verify_code in _OTHER_HOST:
        return (
            f"its certificate is not for {host}; have one made for this name, or put the name that "
            "it is for into bootstrap and the brokers' advertised.listeners"
        )
    return f"its certificate cannot be trusted ({error.verify_message})"


def _is_it_made_for(kafka: KafkaAccess) -> str:
    protocol = kafka.security.get("security_protocol", "PLAINTEXT").lower()
    return f"correct kafka.security_protocol, if its listener is not made for {protocol}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """*error*, what caused it, and so on."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__
