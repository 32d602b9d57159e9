"""Sealed artifacts: bytes that are no rows (a model, a report), each under a key of its own.

::

    'SHA1' | object id (16) | commitment (32) | sealed payload, padded to a bucket

The header (canonical JSON of name, segment, label, plain length and object) is not stored: the
reader builds it from the record held outside, and it is both additional data of the seal and an
input of the key.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.vault import keys, pad
from safehold.vault.label import Label
from safehold.vault.objects import name_id

MAGIC: Final = b"SHA1"
LARGEST: Final = 1 << 30  # bytes
_HEAD_BYTES: Final = 4 + 16 + 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedArtifact:
    """Where an artifact rests and what it must turn out to be.

    Args:
        name: Name of the artifact.
        segment: Segment whose keys seal it.
        label: What it may be used for.
        object: Opaque name of the object.
        size: Bytes of the object.
        length: Bytes of the artifact in the clear.
        sha256: SHA-256 of the whole object.
    """

    name: str
    segment: str
    label: Label
    object: str
    size: int
    length: int
    sha256: bytes

    def to_record(self) -> dict[str, Any]:
        """Return it as canonical JSON values, to be sealed with what it is about."""
        return {
            "name": self.name,
            "segment": self.segment,
            "object": self.object,
            "size": self.size,
            "length": self.length,
            "sha256": b64(self.sha256),
            "label": self.label.to_record(),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> SealedArtifact:
        """Read what ``to_record`` made."""
        return cls(
            name=record["name"],
            segment=record["segment"],
            object=record["object"],
            size=record["size"],
            length=record["length"],
            sha256=unb64(record["sha256"]),
            label=Label.from_record(record["label"]),
        )


def seal_artifact_bytes(
    data: bytes | memoryview, *, name: str, segment: str, label: Label, place: str, key: bytes
) -> tuple[bytes, SealedArtifact]:
    """Return the bytes of a new artifact object and its record."""
    if not 0 < len(data) <= LARGEST:
        raise InvalidError("an artifact has 1 byte to 1 GiB", rule="artifact.size")
    object_id = name_id(place)
    header = _header(name=name, segment=segment, label=label, length=len(data), place=object_id)
    one = keys.block_keys(key, block_id=object_id, header=header)
    plain = bytearray(pad.bucket(len(data)))
    plain[: len(data)] = data
    sealed = keys.encrypt(one.key, one.nonce, plain, header)
    out = b"".join((MAGIC, object_id, one.commitment, sealed))
    return out, SealedArtifact(
        name=name,
        segment=segment,
        label=label,
        object=place,
        size=len(out),
        length=len(data),
        sha256=hashlib.sha256(out).digest(),
    )


def open_artifact_bytes(data: bytes, artifact: SealedArtifact, *, key: bytes) -> bytes:
    """Return an artifact after every check.

    Raises:
        TamperedError: It is not what the record says.
    """
    if len(artifact.sha256) != 32:
        raise InvalidError("an artifact is read only against its digest", rule="artifact.freshness")
    if not hmac.compare_digest(hashlib.sha256(data).digest(), artifact.sha256):
        raise TamperedError("a sealed artifact is not the expected one", rule="artifact.digest")
    object_id = name_id(artifact.object)
    if len(data) < _HEAD_BYTES + keys.TAG_BYTES or data[:20] != MAGIC + object_id:
        raise TamperedError("a sealed artifact is malformed", rule="artifact.parse")
    header = _header(
        name=artifact.name,
        segment=artifact.segment,
        label=artifact.label,
        length=artifact.length,
        place=object_id,
    )
    one = keys.block_keys(key, block_id=object_id, header=header)
    if not hmac.compare_digest(one.commitment, data[20:52]):
        raise TamperedError("an artifact is sealed under another key", rule="artifact.commitment")
    plain = keys.decrypt(
        one.key,
        one.nonce,
        memoryview(data)[_HEAD_BYTES:],
        header,
        what="an artifact",
        rule="artifact.seal",
    )
    if len(plain) != pad.bucket(artifact.length):
        raise TamperedError("an artifact has another length", rule="artifact.length")
    return plain[: artifact.length]


def _header(*, name: str, segment: str, label: Label, length: int, place: bytes) -> bytes:
    record: dict[str, Any] = {
        "v": "sha/1",
        "name": name,
        "segment": segment,
        "object": place.hex(),
        "length": length,
        "charter": b64(label.charter),
        "expires": label.expires,
        "jurisdiction": label.jurisdiction,
        "purposes": list(label.purposes),
    }
    return canonical.encode(record)
