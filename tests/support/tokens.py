"""Token files and certificates for the tests of the one port."""

from __future__ import annotations

import base64
import hashlib
from ipaddress import ip_address
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.http_settings import HttpSettings
from tests.support.certificates import begun

WALL: Final = "wall-0123456789-abcdef"
API: Final = "api-0123456789+/abcdef=="
METRICS: Final = "metrics-0123456789-abcdef"


def token_files(folder: Path) -> dict[str, str]:
    """The settings that name a file with one token for each surface, in *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    named = {}
    for name, token in (("wall", WALL), ("api", API), ("metrics", METRICS)):
        path = folder / f"{name}-token"
        path.write_text(f"{token}\n", encoding="utf-8")
        named[f"{name}_token_file"] = str(path)
    return named


def with_tokens(folder: Path, **others: object) -> HttpSettings:
    """The settings `http` with a token for each surface."""
    files = {key: Path(path) for key, path in token_files(folder).items()}
    return HttpSettings(**files, **others)  # type: ignore[arg-type] # as the caller names them


class Signed(NamedTuple):
    """A certificate for 127.0.0.1 and localhost, its key, and the authority that signed it."""

    certificate: Path
    key: Path
    authority: Path


def signed_certificate(folder: Path, name: str = "worker") -> Signed:
    """One of a new authority, valid for a day."""
    folder.mkdir(parents=True, exist_ok=True)
    authority_key, own_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"authority of {name}")])
    authority = (
        begun(issuer, authority_key.public_key(), issuer)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False
        )
        .sign(authority_key, hashes.SHA256())
    )
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternatives = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    own = (
        begun(subject, own_key.public_key(), issuer)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
            critical=False,
        )
        .sign(authority_key, hashes.SHA256())
    )
    files = Signed(folder / f"{name}.crt", folder / f"{name}.key", folder / f"{name}-ca.crt")
    files.certificate.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    files.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        own_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return files


def fingerprint(certificate: Path) -> str:
    """Of the public key, as Chromium takes it."""
    key = x509.load_pem_x509_certificate(certificate.read_bytes()).public_key()
    der = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return base64.b64encode(hashlib.sha256(der).digest()).decode()


def lock(key: Path) -> None:
    """Give the key in a file a password."""
    plain = serialization.load_pem_private_key(key.read_bytes(), None)
    key.write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
