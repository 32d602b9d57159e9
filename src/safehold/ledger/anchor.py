"""Anchors: somebody outside who attests that a signed head existed. Off unless configured.

An anchor is given the SHA-256 of a head and nothing else, unless it is a witness, which is given
the head itself: that is what a witness is for. Head and receipt are kept side by side, outside the
home, and every receipt can be checked again without asking anybody.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ledger.files import replace_file
from safehold.ledger.note import Checkpoint, VKey, open_note, split_note
from safehold.ledger.proof import prove_consistency
from safehold.ledger.published import Published, published_nodes, read_checkpoint
from safehold.ledger.witness import Answer


class Anchor(Protocol):
    """Somebody who attests to a digest."""

    def anchor(self, digest: bytes) -> bytes:
        """Return a receipt for the SHA-256 of a signed head, checked.

        Raises:
            UnavailableError: It cannot be had now.
            TamperedError: What came is no receipt for it.
        """
        ...

    def verify(self, digest: bytes, receipt: bytes) -> int:
        """Return the time that a receipt attests, in seconds since 1970-01-01 UTC; asks nobody.

        Raises:
            TamperedError: It does not attest this digest.
        """
        ...


class Cosigner(Protocol):
    """What a second witness does."""

    @property
    def vkey(self) -> str:
        """Its verifier key."""
        ...

    def head(self, origin: str) -> bytes | None:
        """Return the last head of a log that it has cosigned."""
        ...

    def add_checkpoint(self, old: int, proof: Sequence[bytes], note: bytes) -> Answer:
        """Cosign a head that extends that one."""
        ...


class WitnessAnchor:
    """A second witness, outside the quorum of the policy: the cosigned head is the receipt.

    Args:
        witness: The witness.
        log: Where the log is published; proofs are made from its tiles.
    """

    def __init__(self, witness: Cosigner, log: Published) -> None:
        self._witness = witness
        self._key = VKey.parse(witness.vkey)
        self._log = log

    def anchor(self, digest: bytes) -> bytes:
        """Return the newest head with the cosignature of the witness; see ``Anchor``."""
        note = read_checkpoint(self._log)
        if hashlib.sha256(note).digest() != digest:
            raise UnavailableError("the log has a newer head by now", rule="anchor.head")
        head = Checkpoint.parse(split_note(note)[0])
        known = self._witness.head(head.origin)
        old = Checkpoint.parse(split_note(known)[0]).size if known else 0
        if old > head.size:
            raise TamperedError(f"the witness knows {old} leaves already", rule="anchor.witness")
        proof = prove_consistency(published_nodes(self._log, head.size), old, head.size)
        answer = self._witness.add_checkpoint(old, proof, note)
        if answer.status != 200:
            raise TamperedError(
                f"the witness refuses the head (status {answer.status})", rule="anchor.witness"
            )
        receipt = note + answer.body
        self.verify(digest, receipt)
        return receipt

    def verify(self, digest: bytes, receipt: bytes) -> int:
        """Return when the witness cosigned the head; see ``Anchor``."""
        wrong = TamperedError("not a cosignature of this head", rule="anchor.witness")
        lines = receipt.splitlines(keepends=True)
        if not any(
            hashlib.sha256(b"".join(lines[:at])).digest() == digest for at in range(len(lines))
        ):
            raise wrong
        try:
            _, held = open_note(receipt, [self._key])
        except (InvalidError, TamperedError) as error:
            raise wrong from error
        return held[self._key]


@dataclass(frozen=True, slots=True)
class Kept:
    """A head and the receipt for it.

    Args:
        name: Name of the files, which tells the size of the head.
        size: Leaves of the head.
        digest: SHA-256 of the head.
        receipt: The receipt.
    """

    name: str
    size: int
    digest: bytes
    receipt: bytes


class Receipts:
    """The receipts of one anchor.

    Args:
        directory: Where they lie; made if absent.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def keep(self, note: bytes, receipt: bytes) -> None:
        """Keep a head and its receipt durably; the receipt last, so that none lacks its head."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        size = Checkpoint.parse(split_note(note)[0]).size
        name = f"{size:012d}-{hashlib.sha256(note).hexdigest()[:16]}"
        replace_file(self._directory / f"{name}.head", note)
        replace_file(self._directory / f"{name}.receipt", receipt)

    def listing(self) -> list[Kept]:
        """Return what is kept, oldest first.

        Raises:
            TamperedError: A receipt lies there without its head.
        """
        found = []
        for file in sorted(self._directory.glob("*.receipt")):
            try:
                note = file.with_suffix(".head").read_bytes()
                size = Checkpoint.parse(split_note(note)[0]).size
            except (OSError, InvalidError) as error:
                raise TamperedError(
                    f"{file.name} has lost its head", rule="anchor.receipt"
                ) from error
            digest = hashlib.sha256(note).digest()
            found.append(Kept(file.stem, size, digest, file.read_bytes()))
        return found
