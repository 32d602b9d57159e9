"""A hiding commitment to what this house brings into a session: on record before its first message leaves.

One leaf for each member, blinded under a salt of the session, and the root of the tree over them (RFC 6962). Whoever
sees the root learns nothing of it; the keeper can make the salt again, and so show later what was brought.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from hashlib import sha256

from safehold.ledger.tree import leaf_hash, merkle_root


def salt_of(key: bytes, intent: int) -> bytes:
    """Return the salt of the session of one intent, 32 bytes.

    Args:
        key: A derived key of the home, for this alone.
        intent: Index of the intent.
    """
    return hmac.digest(key, b"safehold.join.salt.v1\0" + intent.to_bytes(8, "big"), "sha256")


def commit(members: Iterable[tuple[str, int]], salt: bytes) -> str:
    """Return the commitment to names and values, in no order, as hex."""
    blinded = sorted(
        leaf_hash(hmac.digest(salt, value.to_bytes(8, "big") + name.encode(), "sha256"))
        for name, value in members
    )
    # so that nobody who knows all members finds the root without the salt, however few there are
    return sha256(salt + merkle_root(blinded)).hexdigest()
