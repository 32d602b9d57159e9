"""The charter and the board of a bundle: the documents that the record names, with the signatures of seats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from safehold_verify.claims import Claims, Record
from safehold_verify.document import read_document, spell
from safehold_verify.errors import VerificationError
from safehold_verify.notes import parse_base64

FIRST_DOMAIN, FIRST_VERSION = b"safehold.charter.v2", "safehold-first-charter/1"
VOTE_DOMAIN, VOTE_VERSION = b"safehold.vote.v1", "safehold-vote/1"
_CHARTER, _ROSTER = "charter.json", "roster.json"


def check_charter(
    files: Mapping[str, bytes], claims: Claims, record: Record
) -> tuple[int, tuple[str, ...]]:
    """Check charter and board of a bundle, and return the charter's version and the seats whose signatures hold.

    The newest charter of the record is the one in the bundle, by its digest; so is the newest board. Whether the
    signatures suffice for what was changed is judged by the log's own rules, not here.

    Args:
        files: Of the bundle.
        claims: What it claims.
        record: Its entries.

    Raises:
        VerificationError: Something does not hold.
    """
    if claims.charter is None:
        if _CHARTER in files:
            raise VerificationError("a charter, and the claims know none", where=_CHARTER)
        return 0, ()
    tree = read_document(files.get(_CHARTER, b""), _CHARTER)
    digest = hashlib.sha256(spell(tree.get("charter"), _CHARTER)).digest()
    if digest.hex() != claims.charter.get("digest"):
        raise VerificationError("not the charter that is claimed to be in force", where=_CHARTER)
    _check_named(record, claims, "charter", digest, _CHARTER)
    try:
        rosters = json.loads(files.get(_ROSTER, b""))
        roster = rosters[-1]
        keys = {one["seat"]: one["key"] for one in _seats(roster)}
        signed = _count(tree, digest, str(roster["home"]), keys)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise VerificationError("not a board and its signatures", where=_ROSTER) from error
    body = {name: value for name, value in roster.items() if name != "signatures"}
    board = hashlib.sha256(spell(body, _ROSTER)).digest()
    _check_named(record, claims, "roster", board, _ROSTER)
    if roster["home"] != claims.home:
        raise VerificationError("the board of another home", where=_ROSTER)
    return int(tree["charter"]["version"]), signed


def _check_named(record: Record, claims: Claims, kind: str, digest: bytes, where: str) -> None:
    """Check that the newest entry of a kind names a document."""
    newest = [
        leaf
        for index, leaf in sorted(record.leaves.items())
        if leaf["k"] == kind and index < claims.read_size
    ]
    if not newest:
        raise VerificationError("no entry of the record names it", where=where)
    if parse_base64(newest[-1]["chr"], where=where) != digest:
        raise VerificationError("not the one that the record named last", where=where)


def _seats(roster: Any) -> list[dict[str, str]]:
    return [{"seat": str(one["name"]), "key": str(one["key"])} for one in roster["seats"]]


def _count(
    tree: Mapping[str, Any], digest: bytes, home: str, keys: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the seats whose signature over the charter, or over their vote on it, holds."""
    message = spell({"v": FIRST_VERSION, "home": home, "digest": digest.hex()}, _CHARTER)
    held = [
        one["seat"]
        for one in tree["signatures"]
        if _holds(keys, one["seat"], FIRST_DOMAIN, message, one["value"])
    ]
    for one in tree["votes"]:
        vote = {
            "v": VOTE_VERSION,
            **one["question"],
            "seat": one["seat"],
            "decision": one["decision"],
        }
        about = one["question"].get("digest") == digest.hex() and one["decision"] == "sign"
        if about and _holds(keys, one["seat"], VOTE_DOMAIN, spell(vote, _CHARTER), one["value"]):
            held.append(one["seat"])
    if not held:
        raise VerificationError("no seat of the board has signed it", where=_CHARTER)
    return tuple(sorted(set(held)))


def _holds(keys: Mapping[str, str], seat: str, domain: bytes, message: bytes, value: str) -> bool:
    """Tell whether a seat's key made a signature; only for counting who signed."""
    key = keys.get(seat)
    if key is None:
        return False
    raw = parse_base64(key.rpartition(":")[2], where=_ROSTER)
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(
            parse_base64(value, where=_CHARTER), domain + b"\0" + message
        )
    except (InvalidSignature, ValueError):
        return False
    return True
