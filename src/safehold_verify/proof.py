"""Check one tlog-proof: an entry, its path and the head it leads to (C2SP tlog-proof)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from safehold_verify.errors import VerificationError
from safehold_verify.files import LARGEST_ENTRY, LARGEST_TEXT, read_file
from safehold_verify.head import Head, open_head
from safehold_verify.merkle import HASH, leaf_hash, verify_inclusion
from safehold_verify.notes import parse_base64, parse_decimal
from safehold_verify.policy import Policy, load_policy

SUFFIX = ".tlog-proof"
_HEADER = "c2sp.org/tlog-proof@v1"
_LONGEST_PATH = 63  # hashes


@dataclass(frozen=True, slots=True)
class Proof:
    """A parsed tlog-proof; its ``extra`` line is not authenticated and therefore dropped."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Inclusion:
    """An entry that is in a log.

    Args:
        index: Number of the entry, from 0.
        head: The head that it was proved against.
    """

    index: int
    head: Head

    def payload(self) -> dict[str, object]:
        """Return it as JSON values."""
        return {"index": self.index, **asdict(self.head)}


def parse_proof(data: bytes) -> Proof:
    """Read a tlog-proof.

    Raises:
        VerificationError: Wrong syntax.
    """
    if type(data) is not bytes or len(data) > LARGEST_TEXT:
        raise VerificationError("not a tlog-proof", where="proof")
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
    if len(lines) > _LONGEST_PATH:
        raise VerificationError("not a path of hashes", where="proof, path")
    path = tuple(parse_base64(line, where="proof, path") for line in lines)
    if any(len(one) != HASH for one in path):
        raise VerificationError("not a path of hashes", where="proof, path")
    return Proof(index, path, checkpoint)


def verify_proof(
    path: Path | str, policy: Policy | Path | str, *, leaf: Path | str | bytes | None = None
) -> Inclusion:
    """Check that an entry is in a log whose head a policy accepts.

    Args:
        path: The ``NAME.tlog-proof`` file.
        policy: Whose word counts; parsed, or the path of its file.
        leaf: The entry, as its bytes or the path of its file; ``NAME.leaf`` beside the proof if
            absent.

    Raises:
        VerificationError: It does not hold.
    """
    file = Path(path)
    if leaf is None:
        name = file.name.removesuffix(SUFFIX)
        leaf = file.parent / f"{name}.leaf"
    if not isinstance(leaf, bytes):
        leaf = read_file(leaf, Path(leaf).name, limit=LARGEST_ENTRY)
    return check_proof(read_file(file, file.name, limit=LARGEST_TEXT), leaf, load_policy(policy))


def check_proof(proof: bytes, leaf: bytes, policy: Policy) -> Inclusion:
    """Check that an entry is in a log whose head a policy accepts, all of it in memory.

    Args:
        proof: The tlog-proof.
        leaf: The bytes of the entry.
        policy: Whose word counts.

    Raises:
        VerificationError: It does not hold.
    """
    said = parse_proof(proof)
    head, signed = open_head(said.checkpoint, policy, "proof, checkpoint")
    verify_inclusion(said.index, head.size, leaf_hash(leaf), said.path, head.root)
    return Inclusion(index=said.index, head=signed)
