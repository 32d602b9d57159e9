"""Signed notes (C2SP signed-note).

Rules: a note splits at its last blank line. A signature of a known key that fails rejects the whole
note; a signature of an unknown key is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from safehold.canonical import unb64
from safehold.errors import InvalidError, TamperedError
from safehold.ledger.checkpoint import Checkpoint, parse_decimal
from safehold.ledger.signer import Cosigner, LogSigner
from safehold.ledger.vkey import (
    COSIGNATURE,
    ED25519,
    LATTICE,
    VKey,
    check_key,
    check_name,
    cosigned,
)

LARGEST_NOTE = 1_000_000  # bytes, as in golang.org/x/mod/sumdb/note
MOST_SIGNATURES = 100

_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")  # every control character but the end of a line

__all__ = [
    "COSIGNATURE",
    "ED25519",
    "LARGEST_NOTE",
    "LATTICE",
    "MOST_SIGNATURES",
    "Checkpoint",
    "Cosigner",
    "LogSigner",
    "Signature",
    "VKey",
    "check_key",
    "check_name",
    "cosigned",
    "line_of",
    "open_note",
    "parse_decimal",
    "split_note",
    "text_of",
]


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who says so, and the bytes."""

    name: str
    key_id: bytes
    blob: bytes


def split_note(note: bytes) -> tuple[bytes, list[Signature]]:
    """Return the text of a note and its signature lines, unverified.

    Raises:
        InvalidError: The bytes are no signed note.
    """
    wrong = InvalidError("not a signed note", rule="ledger.note.syntax")
    cut = note.rfind(b"\n\n")
    if len(note) > LARGEST_NOTE or cut < 0 or not note.endswith(b"\n"):
        raise wrong
    try:
        whole = note.decode()
    except UnicodeDecodeError as error:
        raise wrong from error
    if _CONTROL.search(whole):
        raise wrong
    lines = note[cut + 2 : -1].decode().split("\n")
    if len(lines) > MOST_SIGNATURES:
        raise wrong
    signatures = []
    for line in lines:
        name, space, data = line.removeprefix(_DASH).partition(" ")
        if not line.startswith(_DASH) or not space:
            raise wrong
        raw = unb64(data)
        if len(raw) < 5:
            raise wrong
        signatures.append(Signature(check_name(name), raw[:4], raw[4:]))
    return note[: cut + 1], signatures


def open_note(note: bytes, vkeys: Sequence[VKey]) -> tuple[bytes, dict[VKey, int]]:
    """Return the text of a note and which keys signed it, each with its time in seconds (or 0).

    Raises:
        InvalidError: Wrong syntax.
        TamperedError: A known key's signature fails, or no known key signed.
    """
    text, signatures = split_note(note)
    known = {(key.name, key.key_id): key for key in vkeys}
    held: dict[VKey, int] = {}
    for signature in signatures:
        key = known.get((signature.name, signature.key_id))
        if key is not None:
            held[key] = key.verify(text, signature.blob)
    if not held:
        raise TamperedError("no known key has signed this note", rule="ledger.note.unsigned")
    return text, held


def text_of(note: bytes) -> bytes:
    """Return the text of a note, unverified and empty if it has none."""
    return note[: note.rfind(b"\n\n") + 1]


def line_of(text: bytes, note: bytes, key: VKey) -> bytes:
    """Return the signature line of a key as it stands in a note of that text, empty if absent."""
    for line in note[len(text) + 1 :].splitlines(keepends=True):
        _, found, blob = line.decode().split(" ")
        if found == key.name and unb64(blob.strip())[:4] == key.key_id:
            return line
    return b""
