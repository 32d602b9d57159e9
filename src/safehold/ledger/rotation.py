"""The entry that says when a key of the log begins to sign and when it ends."""

from __future__ import annotations

from hashlib import sha256

from safehold.ledger.entry import Entry
from safehold.ledger.signer import LogSigner


def rotation(key: LogSigner, state: str) -> Entry:
    """Return the entry for a key of the log, with state ``begin`` or ``retired``.

    Its Ed25519 verifier key is public, so that whoever follows the log learns of it there; the
    ML-DSA-44 key is too long for a public fact, which has its SHA-256.
    """
    lattice = key.lattice.text()
    return Entry(
        kind="key.rotate",
        actor="keeper",
        object="log",
        detail={"vkey": key.vkey.text(), "lattice": lattice},
        public={
            "state": state,
            "vkey": key.vkey.text(),
            "lattice": sha256(lattice.encode()).hexdigest(),
        },
    )
