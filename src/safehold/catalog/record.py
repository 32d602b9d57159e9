"""How a sealed block is written down in its row."""

from __future__ import annotations

from sys import intern
from typing import Any

from safehold.canonical import b64, unb64
from safehold.vault import Label, SealedBlock

_PLAIN = (
    "person",
    "stream",
    "segment",
    "window",
    "object",
    "offset",
    "length",
    "rows",
    "generation",
    "sequence",
)


def to_record(sealed: SealedBlock) -> dict[str, Any]:
    """Return a sealed block as canonical JSON values."""
    record: dict[str, Any] = {name: getattr(sealed, name) for name in _PLAIN}
    record["block_id"] = b64(sealed.block_id)
    record["sha256"] = b64(sealed.sha256)
    record["label"] = sealed.label.to_record()
    return record


def from_record(record: dict[str, Any]) -> SealedBlock:
    """Read a sealed block back; words that many blocks say are kept once."""
    plain: dict[str, Any] = {
        name: intern(one) if type(one) is str else one
        for name, one in ((name, record[name]) for name in _PLAIN)
    }
    return SealedBlock(
        **plain,
        block_id=unb64(record["block_id"]),
        sha256=unb64(record["sha256"]),
        label=Label.from_record(record["label"]),
    )
