"""Check one tlog-proof: an entry, its path and the head it leads to (C2SP tlog-proof)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from safehold_verify.errors import VerificationError
from safehold_verify.merkle import HASH, leaf_hash, verify_inclusion
from safehold_verify.notes import (
    Checkpoint,
    open_note,
    parse_base64,
    parse_checkpoint,
    parse_decimal,
)
from safehold_verify.policy import Policy

_HEADER = "c2sp.org/tlog-proof@v1"


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed tlog-proof; its ``extra`` line is not authenticated and therefore dropped."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


def parse_proof(data: bytes) -> Proof:
    """Read a tlog-proof.

    Raises:
        VerificationError: Wrong syntax.
    """
    head, gap, checkpoint = data.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise VerificationError("not ASCII", where="proof") from error
    if not gap or lines.pop(0) != _HEADER:
        raise VerificationError("not a tlog-proof", where="proof, line 1")
    if lines and lines[0].startswith("extra "):
        parse_base64(lines.pop(0)[6:], where="proof, line 2")
    if not lines or not lines[0].startswith("index "):
        raise VerificationError("no index", where="proof")
    index = parse_decimal(lines.pop(0)[6:], where="proof, index")
    path = tuple(parse_base64(line, where="proof, path") for line in lines)
    if len(path) > 63 or any(len(one) != HASH for one in path):
        raise VerificationError("not a path of hashes", where="proof, path")
    return Proof(index, path, checkpoint)


def verify_proof(proof: bytes, leaf: bytes, policy: Policy) -> tuple[int, Checkpoint]:
    """Check that an entry is in a log whose head a policy accepts; return its index and that head.

    Args:
        proof: The tlog-proof.
        leaf: The bytes of the entry.
        policy: Whose word counts.

    Raises:
        VerificationError: It does not hold.
    """
    said = parse_proof(proof)
    note = open_note(said.checkpoint, policy.keys())
    head = parse_checkpoint(note.text)
    signers: Sequence[object] = [one.key for one in note.signatures]
    if not any(key in signers and key.name == head.origin for key in policy.logs):
        raise VerificationError("no trusted log has signed it", where="proof, checkpoint")
    policy.check_quorum([one.key for one in note.signatures], where="proof, checkpoint")
    verify_inclusion(said.index, head.size, leaf_hash(leaf), said.path, head.root)
    return said.index, head
