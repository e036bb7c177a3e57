"""Persons under other names: what has to be told apart without anybody having to know who it is."""

from __future__ import annotations

from hashlib import blake2b


class Pseudonyms:
    """Keyed hashes of names: the same for the same name and key, and no way back without the key.

    Attributes:
        fingerprint: tells keys apart, and nothing else of them.
    """

    def __init__(self, key: bytes) -> None:
        self._key = blake2b(key, digest_size=32, person=b"floorwatch").digest()
        self.fingerprint = blake2b(key=self._key, digest_size=8, person=b"fingerprint").hexdigest()

    def of(self, name: str) -> str:
        """What *name* is called here."""
        return blake2b(name.encode(), key=self._key, digest_size=16).hexdigest()
