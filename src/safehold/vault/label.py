"""What a block is, before and after sealing."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import pyarrow as pa

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError

MOST_PURPOSES: Final = 64
LONGEST_NAME: Final = 128  # characters of a person, stream, purpose or jurisdiction


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What data may be used for, where, and until when.

    Args:
        purposes: Names of purposes, sorted, without repetition.
        jurisdiction: Where the data may be processed.
        expires: UTC day number on which the keys are destroyed; the day before is the last day
            of use.
        charter: SHA-256 of the charter in force at sealing, 32 bytes.
    """

    purposes: tuple[str, ...]
    jurisdiction: str
    expires: int
    charter: bytes

    def __post_init__(self) -> None:
        if not 1 <= len(self.purposes) <= MOST_PURPOSES:
            raise InvalidError(
                "a label has 1 to 64 purposes",
                rule="label.purposes",
                fix="data without a purpose is not kept",
            )
        if list(self.purposes) != sorted(set(self.purposes)):
            raise InvalidError("purposes are sorted and unique", rule="label.purposes")
        for name in (*self.purposes, self.jurisdiction):
            check_name(name, "label.name")
        if not 0 < self.expires < 2**31:
            raise InvalidError("a label needs a day of expiry", rule="label.expires")
        if len(self.charter) != 32:
            raise InvalidError("a label names its charter by 32 bytes", rule="label.charter")

    def to_record(self) -> dict[str, Any]:
        """Return the label as canonical JSON values."""
        return {
            "purposes": list(self.purposes),
            "jurisdiction": self.jurisdiction,
            "expires": self.expires,
            "charter": b64(self.charter),
        }

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Label:
        """Read a label back: one for all blocks that say the same, which are thousands."""
        return _read(
            tuple(record["purposes"]), record["jurisdiction"], record["expires"], record["charter"]
        )


@lru_cache(maxsize=4096, typed=True)
def _read(purposes: tuple[str, ...], jurisdiction: str, expires: int, charter: str) -> Label:
    return Label(
        purposes=purposes, jurisdiction=jurisdiction, expires=expires, charter=unb64(charter)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainBlock:
    """Rows of one person, stream and window, to be sealed.

    Args:
        person: Pseudonym of the person.
        stream: Name of the stream.
        window: UTC day number.
        label: What the rows may be used for.
        table: The rows.
    """

    person: str
    stream: str
    window: int
    label: Label
    table: pa.Table = field(repr=False)

    def __post_init__(self) -> None:
        check_name(self.person, "block.person")
        check_name(self.stream, "block.stream")
        if not 0 <= self.window < 2**31:
            raise InvalidError("a window is a UTC day number", rule="block.window")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBlock:
    """Where a sealed block lies and what it must turn out to be.

    A caller keeps it outside the object store: without ``sha256`` from elsewhere, an older copy of
    an object could not be told from the newest.

    Args:
        block_id: 16 random bytes.
        person: Pseudonym of the person.
        stream: Name of the stream.
        segment: Segment whose keys seal it.
        window: UTC day number.
        label: What the rows may be used for.
        object: Opaque name of the object.
        offset: First byte of the block in the object.
        length: Bytes of the block.
        rows: Rows in it.
        sha256: SHA-256 of the whole sealed block.
        generation: Which rewriting of the data this is, from 1.
        sequence: Place among the object's blocks, from 0.
    """

    block_id: bytes
    person: str
    stream: str
    segment: str
    window: int
    label: Label
    object: str
    offset: int
    length: int
    rows: int
    sha256: bytes
    generation: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedObject:
    """A sealed object as it rests.

    Args:
        name: Opaque name.
        root: SHA-256 over header, every sealed block and index.
        size: Bytes.
        blocks: Its blocks.
    """

    name: str
    root: bytes
    size: int
    blocks: tuple[SealedBlock, ...]


def check_name(name: str, rule: str) -> None:
    """Refuse an empty, overlong or unprintable name.

    Raises:
        InvalidError: The name is one of these.
    """
    if not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
        raise InvalidError("a name has 1 to 128 printable characters", rule=rule)
