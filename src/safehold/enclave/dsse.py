"""in-toto statements in DSSE envelopes: written in one form, and read in no other.

Sources: secure-systems-lab/dsse v1.0 (protocol and envelope), in-toto attestation framework v1 (statement).

Rules, in this order; the first that fails ends it:
1. the envelope is canonical JSON of exactly payload, payloadType and one signature with keyid and sig;
2. its type is that of in-toto statements;
3. the key that it names is one of those given, and its signature covers type and payload;
4. only then the payload is read: canonical JSON, a statement of version 1, of the wanted predicate, about exactly the
   wanted files.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from safehold.canonical import b64, decode, encode, unb64
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey, VerifyKey

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
LARGEST: Final = 4 << 20  # bytes of an envelope


def state(predicate_type: str, predicate: Mapping[str, Any], files: Mapping[str, str]) -> Any:
    """Return a statement about files.

    Args:
        predicate_type: What is said, as a URI.
        predicate: What is said.
        files: SHA-256 of each file by its name, hex.
    """
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": one}} for name, one in files.items()],
        "predicateType": predicate_type,
        "predicate": dict(predicate),
    }


def seal(statement: Mapping[str, Any], key: SigningKey) -> bytes:
    """Return an envelope around a statement, as canonical JSON."""
    payload = encode(dict(statement))
    signature = key.sign_envelope(PAYLOAD_TYPE, payload)
    return encode(
        {
            "payload": b64(payload),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key.public.key_id, "sig": b64(signature)}],
        }
    )


def open_envelope(
    envelope: bytes, *, predicate_type: str, files: Mapping[str, str], keys: Sequence[VerifyKey]
) -> dict[str, Any]:
    """Return the statement of an envelope.

    Args:
        envelope: What ``seal`` returned.
        predicate_type: What it must say.
        files: What it must be about: SHA-256 by name, hex; an empty name stands for any.
        keys: Keys that may have signed.

    Raises:
        TamperedError: No key signed it, it is not in its only form, or it is about something else.
    """
    if len(envelope) > LARGEST:
        raise TamperedError("provenance is no envelope", rule="artifact.envelope")
    try:
        outer = decode(envelope)
        payload = unb64(outer["payload"])
        ((signature),) = outer["signatures"]
        signed, key_id = unb64(signature["sig"]), signature["keyid"]
    except (InvalidError, KeyError, TypeError, ValueError, AttributeError):
        raise TamperedError("provenance is no envelope", rule="artifact.envelope") from None
    if (
        set(outer) != {"payload", "payloadType", "signatures"}
        or set(signature) != {"keyid", "sig"}
        or outer["payloadType"] != PAYLOAD_TYPE
    ):
        raise TamperedError("provenance of another type", rule="artifact.envelope")
    named = [key for key in keys if key.key_id == key_id]
    if not named:
        raise TamperedError("provenance signed by nobody we know", rule="artifact.signer")
    named[0].verify_envelope(PAYLOAD_TYPE, payload, signed)
    try:
        statement = decode(payload)
    except InvalidError:
        raise TamperedError("provenance is no statement", rule="artifact.statement") from None
    if (
        not isinstance(statement, dict)
        or set(statement) != {"_type", "subject", "predicateType", "predicate"}
        or statement["_type"] != STATEMENT
        or statement["predicateType"] != predicate_type
        or not isinstance(statement["predicate"], dict)
    ):
        raise TamperedError("provenance says something else", rule="artifact.statement")
    if not _about(statement["subject"], files):
        raise TamperedError("provenance is about another file", rule="artifact.subject")
    return statement


def _about(subject: Any, files: Mapping[str, str]) -> bool:
    if not isinstance(subject, list) or len(subject) != len(files):
        return False
    for said, (name, digest) in zip(subject, files.items(), strict=True):
        if not isinstance(said, dict) or set(said) != {"name", "digest"}:
            return False
        if said["digest"] != {"sha256": digest} or (name and said["name"] != name):
            return False
    return True
