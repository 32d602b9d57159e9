"""A signature over the files of a model, as OpenSSF model signing v1.0 has it.

Sources: model-signing 1.1 (OpenSSF, sigstore/model-transparency): in-toto statement with the predicate
``https://model_signing/signature/v1.0`` in a DSSE envelope in a sigstore bundle v0.3, signed with ECDSA on P-256
over SHA-256 and the hash of a public key as verification material. Its own tools verify what is written here:

    model_signing verify key DIR --signature DIR/model.sig --public_key KEY.pem

The tools of OpenSSF know no Ed25519, hence a second key; both come from the keeper's derivation secret.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson

from safehold.canonical import b64, unb64
from safehold.enclave.dsse import PAYLOAD_TYPE, STATEMENT
from safehold.errors import InvalidError, TamperedError
from safehold.signing import PointKey, PointVerifyKey, pre_authenticate

PREDICATE: Final = "https://model_signing/signature/v1.0"
BUNDLE: Final = "application/vnd.dev.sigstore.bundle.v0.3+json"
SIGNATURE: Final = "model.sig"
# never part of what is signed: the signature itself, and what the ledger says of it afterwards
BESIDE: Final = (SIGNATURE, "pull.leaf", "pull.tlog-proof")
LARGEST: Final = 4 << 20  # bytes
_METHOD: Final = {
    "method": "files",
    "hash_type": "sha256",
    "allow_symlinks": False,
    "ignore_paths": list(BESIDE),
}


def sign_files(name: str, files: Mapping[str, bytes], key: PointKey) -> bytes:
    """Return the bytes of ``model.sig``.

    Args:
        name: Name of the model.
        files: SHA-256 of each file by its name, 32 bytes.
        key: Signs it.
    """
    payload = orjson.dumps(_statement(name, files))
    return orjson.dumps(
        {
            "mediaType": BUNDLE,
            "verificationMaterial": {
                "publicKey": {"hint": key.public.hint},
                "tlogEntries": [],
            },
            "dsseEnvelope": {
                "payload": b64(payload),
                "payloadType": PAYLOAD_TYPE,
                "signatures": [
                    {"sig": b64(key.sign(pre_authenticate(PAYLOAD_TYPE, payload))), "keyid": ""}
                ],
            },
        }
    )


def verify_files(bundle: bytes, files: Mapping[str, bytes], key: PointVerifyKey) -> str:
    """Return the name of a model whose files are those that were signed, no more and no fewer.

    Args:
        bundle: The bytes of ``model.sig``.
        files: SHA-256 of each file there is, by its name, 32 bytes; without the signature itself.
        key: Who must have signed.

    Raises:
        TamperedError: It is no such signature, of another key, or about other files.
    """
    payload = _payload(bundle, key)
    said = _read(payload)
    try:
        (subject,) = said["subject"]
        name = subject["name"]
        serialization = said["predicate"]["serialization"]
        listed = {
            one["name"]: (one["algorithm"], bytes.fromhex(one["digest"]))
            for one in said["predicate"]["resources"]
        }
        count = len(said["predicate"]["resources"])
        root = bytes.fromhex(subject["digest"]["sha256"])
    except (KeyError, TypeError, ValueError):
        raise _broken("the signature of the files is malformed") from None
    if said["_type"] != STATEMENT or said["predicateType"] != PREDICATE:
        raise _broken("the signature of the files says something else")
    if not isinstance(serialization, dict) or serialization.get("method") != "files":
        raise _broken("the files were hashed in a way that is not known here")
    if count != len(listed) or listed != {one: ("sha256", digest) for one, digest in files.items()}:
        raise TamperedError(
            "the files are not those that were signed", rule="artifact.manifest.files"
        )
    if root != _root(files) or not isinstance(name, str):
        raise _broken("the signature of the files contradicts itself")
    return name


def _payload(bundle: bytes, key: PointVerifyKey) -> bytes:
    said = _read(bundle)
    try:
        envelope = said["dsseEnvelope"]
        (signature,) = envelope["signatures"]
        payload, signed = unb64(envelope["payload"]), unb64(signature["sig"])
        kind, media = envelope["payloadType"], said["mediaType"]
        hint = said["verificationMaterial"]["publicKey"]["hint"]
    except (InvalidError, KeyError, TypeError, ValueError, AttributeError):
        raise _broken("the signature of the files is malformed") from None
    if kind != PAYLOAD_TYPE or media != BUNDLE:
        raise _broken("the signature of the files is of another type")
    if hint != key.hint:
        raise TamperedError("the files were signed by another key", rule="artifact.manifest.key")
    key.verify(pre_authenticate(PAYLOAD_TYPE, payload), signed)
    return payload


def _read(raw: bytes) -> dict[str, Any]:
    if len(raw) > LARGEST:
        raise _broken("the signature of the files is too long")
    try:
        said = orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError):
        raise _broken("the signature of the files is no JSON") from None
    if not isinstance(said, dict):
        raise _broken("the signature of the files is no object")
    return said


def _statement(name: str, files: Mapping[str, bytes]) -> dict[str, Any]:
    return {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _root(files).hex()}}],
        "predicateType": PREDICATE,
        "predicate": {
            "serialization": _METHOD,
            "resources": [
                {"name": one, "algorithm": "sha256", "digest": files[one].hex()}
                for one in sorted(files)
            ],
        },
    }


def _root(files: Mapping[str, bytes]) -> bytes:
    return hashlib.sha256(b"".join(files[one] for one in sorted(files))).digest()


def _broken(message: str) -> TamperedError:
    return TamperedError(message, rule="artifact.manifest")
