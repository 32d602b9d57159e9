"""What of the record goes into a bundle: proofs of single entries, and heads with the proofs that join them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import safehold_verify
from safehold import canonical
from safehold.canonical import b64
from safehold.ledger import Ledger
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import text_of
from safehold_verify.head import open_head
from safehold_verify.policy import Policy

MOST_HEADS: Final = 16
CHAIN: Final = "safehold.evidence-heads/1"


def prove_all(
    ledger: Ledger, indices: Iterable[int], note: bytes
) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (name, leaf, tlog-proof) for entries, all against one published head.

    Args:
        ledger: The record.
        indices: Which entries.
        note: The head.
    """
    size = Checkpoint.parse(text_of(note)).size
    path = ledger.prover(size)
    for index in indices:
        yield f"{index:010}", ledger.leaf(index), write_proof(index, path(index), note)


def write_proof(index: int, path: Iterable[bytes], note: bytes) -> bytes:
    """Return a tlog-proof (C2SP)."""
    lines = ["c2sp.org/tlog-proof@v1", f"index {index}", *map(b64, path)]
    return "\n".join([*lines, "", ""]).encode() + note


def heads(ledger: Ledger, newest: bytes, policy: Policy) -> list[tuple[int, bytes]]:
    """Return published heads that a policy accepts, oldest first, the newest last; sixteen at most.

    Args:
        ledger: The record.
        newest: The head that the bundle rests on.
        policy: Whose word counts; a head of before its witnesses were named is left out.
    """
    last = Checkpoint.parse(text_of(newest)).size
    found: dict[int, bytes] = {}
    for step in range(MOST_HEADS - 1):
        head = ledger.published(max(last * step // (MOST_HEADS - 1), 1))
        if head is None or head[0] >= last or head[0] in found:
            continue
        try:
            open_head(head[1], policy, "head")
        except safehold_verify.VerificationError:
            continue
        found[head[0]] = head[1]
    return [*sorted(found.items()), (last, newest)]


def write_chain(ledger: Ledger, some: list[tuple[int, bytes]]) -> dict[str, bytes]:
    """Return the files of a chain of heads: each head, and what joins it to the one before."""
    files, listed, before = {}, [], 0
    for size, note in some:
        name = f"{size:010}.head"
        files[f"heads/{name}"] = note
        proof = ledger.consistency(before, size) if before else []
        listed.append({"size": size, "file": name, "proof": [b64(one) for one in proof]})
        before = size
    files["heads/chain.json"] = canonical.encode({"v": CHAIN, "heads": listed})
    return files
