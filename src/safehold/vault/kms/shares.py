"""The root key as k-of-n word lists held by board seats; it is nowhere on disk.

SLIP-39 shares are checksummed: a typo, or too few of them, is refused instead of yielding another
key. The file beside the home holds only how many there are and a check value of the root they make.

Source: SLIP-0039.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import shamir_mnemonic
from shamir_mnemonic import MnemonicError

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, QuorumError, SignInError, TamperedError
from safehold.vault import durable
from safehold.vault.guarded import scrub
from safehold.vault.kms.local import LocalRoot
from safehold.vault.kms.sealed import VERSION, carried_by, carrying, read_record

MOST_SHARES: Final = 16  # SLIP-0039 encodes counts in four bits


def create_shared(
    path: Path, *, threshold: int, count: int, carried: bytes | None = None
) -> tuple[LocalRoot, list[str]]:
    """Make a root key and split it; any ``threshold`` of the ``count`` shares make it again.

    Args:
        path: File for the public record; it must not exist.
        threshold: Shares needed, at least 2.
        count: Shares made, at most 16.
        carried: The derivation secret of the root before this one, if there was one.

    Returns:
        The root, and the shares as 33 words each. Hand each to its seat and keep none.

    Raises:
        InvalidError: The numbers make no sense.
        ConflictError: The file exists.
    """
    if not 2 <= threshold <= count <= MOST_SHARES:
        raise InvalidError(
            "the numbers of shares make no sense", rule="root.shares", fix="2 <= k <= n <= 16"
        )
    root = LocalRoot.generate(carried=carried, kind="shares")
    raw = root.secret()
    (shares,) = shamir_mnemonic.generate_mnemonics(1, [(threshold, count)], raw)
    scrub(raw)
    record = {
        "v": VERSION,
        "kind": "shares",
        "threshold": threshold,
        "count": count,
        "check": b64(root.check()),
    }
    durable.write_new(path, canonical.encode(record | carrying(root)))
    return root, list(shares)


def open_shared(path: Path, shares: Sequence[str]) -> LocalRoot:
    """Make the root from shares.

    Raises:
        MissingError: There is no record file.
        QuorumError: Fewer distinct shares than the threshold.
        SignInError: A share is mistyped, or the shares belong to another root.
        TamperedError: The record is damaged.
    """
    record = read_record(path)
    match record:
        case {
            "kind": "shares",
            "threshold": int(threshold),
            "count": int(),
            "check": str(check),
        } if set(record) <= {"v", "kind", "threshold", "count", "check", "derivation"}:
            pass
        case _:
            raise TamperedError("the root file is not one of shares", rule="root.record")
    # order and case are the holder's; the words decide
    distinct = list(dict.fromkeys(" ".join(share.lower().split()) for share in shares))
    if len(distinct) < threshold:
        raise QuorumError(
            f"{len(distinct)} of {threshold} shares were given",
            rule="root.shares",
            fix="ask further board seats for theirs",
        )
    try:
        raw = shamir_mnemonic.combine_mnemonics(distinct[:threshold])
        root = LocalRoot(raw, kind="shares")
        expected = unb64(check)
    except (MnemonicError, InvalidError):
        # the library's own message quotes words of a share
        raise SignInError(
            "the shares do not fit together",
            rule="root.shares",
            fix="check each word; every share must come from the same splitting",
        ) from None
    if not hmac.compare_digest(root.check(), expected):
        raise SignInError("the shares make another root key", rule="root.shares")
    if "derivation" in record:
        root = LocalRoot(raw, carried=carried_by(record, raw), kind="shares")
    scrub(raw)
    return root
