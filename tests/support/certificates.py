"""Certificates for tests, made on the spot: authorities, brokers, clients, valid or not."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, each in a PEM file.

    Attributes:
        certificate: the file with the certificate.
        key: the file with its key.
    """

    certificate: Path
    key: Path


class Authority:
    """Signs certificates; its own is in the file *ca*.

    Args:
        folder: where all files go.
        name: what it is called, and its files.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.ca: Final = folder / f"{name}.crt"
        self._folder = folder
        self._name = _named(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        own = begun(self._name, self._key.public_key(), self._name, valid=True)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        own = own.add_extension(
            x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
        )
        self.ca.write_bytes(_pem(own.sign(self._key, hashes.SHA256())))

    def sign(
        self,
        name: str,
        *,
        address: str = "127.0.0.1",
        valid: bool = True,
        password: bytes | None = None,
    ) -> Signed:
        """A certificate for *name* at *address*, an IP address; not *valid* expired yesterday.

        The key is sealed with *password*, if there is one.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        unsigned = begun(_named(name), key.public_key(), self._name, valid=valid)
        unsigned = unsigned.add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]),
            critical=False,
        )
        unsigned = unsigned.add_extension(
            x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            ),
            critical=False,
        )
        unsigned = unsigned.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
            critical=False,
        )
        signed = Signed(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        signed.certificate.write_bytes(_pem(unsigned.sign(self._key, hashes.SHA256())))
        seal = (
            serialization.NoEncryption()
            if password is None
            else serialization.BestAvailableEncryption(password)
        )
        signed.key.write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, seal)
        )
        return signed


def key_store(signed: Signed, folder: Path) -> Path:
    """The one PEM file that Kafka wants for a listener: the key, then the certificate."""
    path = folder / f"{signed.certificate.stem}.pem"
    path.write_bytes(signed.key.read_bytes() + signed.certificate.read_bytes())
    return path


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def begun(
    subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name, *, valid: bool = True
) -> x509.CertificateBuilder:
    """A certificate to be signed, valid for another day, or no longer since yesterday."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now + (_DAY if valid else -_DAY))
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
