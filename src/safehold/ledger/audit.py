"""What an independent auditor needs to compute the index of one epoch again.

A bundle holds everybody's key of that one epoch, the lists, and of every entry the items with what
derives its padding: no names, and nothing that helps with another epoch. It is sealed to the
auditor (HPKE base mode, RFC 9180, X25519, HKDF-SHA-256, AES-256-GCM). People who were erased
between closing and bundle cannot be in it; their rows are given as they stand in the tree.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from safehold import canonical
from safehold.canonical import b64
from safehold.errors import InvalidError
from safehold.ledger.index import EpochIndex
from safehold.ledger.subjects import epoch_key, label_of

BUNDLE = "safehold.audit/1"

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


def make_bundle(index: EpochIndex, epoch: int, keys: Iterable[bytes], *, origin: str) -> bytes:
    """Return the bundle of a closed epoch, not sealed yet.

    Args:
        index: The log's epochs.
        epoch: Which.
        keys: The ledger key of everybody who is not erased.
        origin: Name of the log.

    Raises:
        MissingError: The epoch is not closed, or its tree is gone.
    """
    _, rows = index.tree(epoch)
    known = {label_of(key): key for key in (epoch_key(one, epoch) for one in keys)}
    people = [
        [b64(known[one]), rows[one].places(known[one])] for one in sorted(rows) if one in known
    ]
    gone = [[b64(one), b64(rows[one].value)] for one in sorted(rows) if one not in known]
    entries = [
        [
            at,
            b64(opening.people.nonce),
            b64(opening.people.pad),
            b64(b"".join(opening.people.items)),
        ]
        for at, opening, _ in index.entries(epoch)
    ]
    return canonical.encode(
        {
            "v": BUNDLE,
            "origin": origin,
            "epoch": epoch,
            "seed": b64(index.seed(epoch)),
            "people": people,
            "closed": gone,
            "entries": entries,
        }
    )


def seal_bundle(bundle: bytes, auditor: bytes) -> bytes:
    """Seal a bundle to an auditor's opening key, 32 bytes of X25519.

    Raises:
        InvalidError: It is no such key.
    """
    try:
        key = X25519PublicKey.from_public_bytes(auditor)
        return bytes(_SUITE.encrypt(bundle, key, BUNDLE.encode()))
    except ValueError as error:
        raise InvalidError("not an auditor's opening key", rule="index.auditor") from error
