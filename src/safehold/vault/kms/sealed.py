"""The root key in a file, sealed by a passphrase.

The file is canonical JSON with a version, the cost of the key derivation, and the sealed key; every
other field is bound to the sealing. Cost figures are bounded before they are used: a doctored file
can neither exhaust the machine nor ask for a derivation too cheap to mean anything.

Sources: RFC 9106 (Argon2id), RFC 7914 (scrypt, where this build of OpenSSL has no Argon2).
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from safehold import canonical, ids
from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, MissingError, SignInError, TamperedError, UnavailableError
from safehold.vault import durable, keys
from safehold.vault.guarded import scrub
from safehold.vault.kms.local import DERIVATION, LocalRoot

VERSION: Final = "safehold-root/1"
LARGEST_FILE: Final = 4096  # bytes
SHORTEST_PASSPHRASE: Final = 8  # characters
_MEMORY_KIB: Final = range(8 * 1024, 1024 * 1024 + 1)  # 8 MiB to 1 GiB
_ITERATIONS: Final = range(1, 17)
_LANES: Final = range(1, 17)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What opening the root file costs.

    Args:
        memory_kib: Memory in KiB, 8192 to 1048576.
        iterations: Passes over it, 1 to 16.
        lanes: Lanes, 1 to 16.
    """

    memory_kib: int = 64 * 1024  # the second recommended option of RFC 9106 section 4
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        if (
            self.memory_kib not in _MEMORY_KIB
            or self.iterations not in _ITERATIONS
            or self.lanes not in _LANES
        ):
            raise InvalidError(
                "the cost of the root file is out of bounds",
                rule="root.cost",
                fix="8192 to 1048576 KiB, 1 to 16 iterations, 1 to 16 lanes",
            )


def create_sealed(
    path: Path, passphrase: str, *, cost: Cost | None = None, carried: bytes | None = None
) -> LocalRoot:
    """Make a root key and write it, sealed, to a new file that only its owner can read.

    Args:
        path: The file; it must not exist.
        passphrase: At least 8 characters; spelled in Unicode NFKC whatever the keyboard sent.
        cost: Cost of one attempt at the passphrase.
        carried: The derivation secret of the root before this one, if there was one.

    Raises:
        ConflictError: The file exists.
        InvalidError: The passphrase is too short.
    """
    root = LocalRoot.generate(carried=carried, kind="passphrase")
    durable.write_new(path, _seal(root, passphrase, cost or Cost()))
    return root


def open_sealed(path: Path, passphrase: str) -> LocalRoot:
    """Open a root file.

    Raises:
        MissingError: There is no such file.
        SignInError: The passphrase is wrong (or the sealed bytes were changed; the two look alike).
        TamperedError: The file is not a root file, or its cost is out of bounds.
        UnavailableError: This build cannot compute the file's key derivation.
    """
    record = read_record(path)
    match record:
        case {"kind": "passphrase", "kdf": dict(kdf), "sealed": str(sealed)} if set(record) <= {
            *("v", "kind", "kdf", "sealed", "derivation")
        }:
            pass
        case _:
            raise TamperedError(
                "the root file is not one sealed by a passphrase", rule="root.record"
            )
    key = _stretch(passphrase, kdf)
    try:
        raw = keys.open_bytes(key, _field(sealed), aad=_bound(kdf))
    except TamperedError:
        raise SignInError(
            "the root key does not open: the passphrase is wrong, or the file was changed",
            rule="root.passphrase",
            fix="check the passphrase and the keyboard layout",
        ) from None
    finally:
        scrub(key)
    root = LocalRoot(raw, carried=carried_by(record, raw), kind="passphrase")
    scrub(raw)
    return root


def carried_by(record: dict[str, Any], raw: bytes) -> bytes | None:
    """Return the derivation secret that a root file carries from the root before it, or None.

    Raises:
        TamperedError: It is not under this root.
    """
    if "derivation" not in record:
        return None
    sealed = record["derivation"]
    if not isinstance(sealed, str):
        raise TamperedError("the root file is damaged", rule="root.record")
    root = LocalRoot(raw)
    try:
        return root.unwrap(_field(sealed), context=DERIVATION)
    finally:
        root.close()


def carrying(root: LocalRoot) -> dict[str, str]:
    """Return the field that carries an older derivation secret in a root file, if there is one."""
    if not root.carried:
        return {}
    secret = root.derivation()
    try:
        return {"derivation": b64(root.wrap(secret, context=DERIVATION))}
    finally:
        scrub(secret)


def change_passphrase(path: Path, old: str, new: str, *, cost: Cost | None = None) -> None:
    """Seal the same root under another passphrase; the file is replaced in one step.

    Copies of the old file still open with the old passphrase.

    Raises:
        SignInError: The old passphrase is wrong.
        InvalidError: The new passphrase is too short.
    """
    root = open_sealed(path, old)
    durable.replace(path, _seal(root, new, cost or Cost()))


def read_record(path: Path) -> dict[str, Any]:
    """Return the fields of a root file, version checked.

    Raises:
        MissingError: There is no such file.
        TamperedError: It is too large, not canonical, or of another version.
    """
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise MissingError(
            f"no root file {path.name}", rule="root.record", fix="safehold init"
        ) from error
    if len(data) > LARGEST_FILE:
        raise TamperedError("the root file is too large", rule="root.record")
    try:
        record = canonical.decode(data)
    except InvalidError as error:
        raise TamperedError("the root file is damaged", rule="root.record") from error
    if not isinstance(record, dict) or record.get("v") != VERSION:
        raise TamperedError("the root file has an unknown version", rule="root.record")
    return record


def _seal(root: LocalRoot, passphrase: str, cost: Cost) -> bytes:
    if len(passphrase) < SHORTEST_PASSPHRASE:
        raise InvalidError(
            "the passphrase is too short",
            rule="root.passphrase",
            fix=f"use {SHORTEST_PASSPHRASE} characters or more; several words are best",
        )
    salt = b64(ids.random_bytes(16))
    kdf: dict[str, Any] = {
        "name": "argon2id",
        "memory_kib": cost.memory_kib,
        "iterations": cost.iterations,
        "lanes": cost.lanes,
        "salt": salt,
    }
    try:
        key = _stretch(passphrase, kdf)
    except UnavailableError:
        kdf = {"name": "scrypt", "log2_n": 17, "r": 8, "p": 1, "salt": salt}
        key = _stretch(passphrase, kdf)
    raw = root.secret()
    try:
        sealed = keys.seal_bytes(key, raw, aad=_bound(kdf))
    finally:
        scrub(raw)
        scrub(key)
    record = {"v": VERSION, "kind": "passphrase", "kdf": kdf, "sealed": b64(sealed)}
    return canonical.encode(record | carrying(root))


def _stretch(passphrase: str, kdf: dict[str, Any]) -> bytes:
    secret = unicodedata.normalize("NFKC", passphrase).encode()
    match kdf:
        case {
            "name": "argon2id",
            "memory_kib": int(memory),
            "iterations": int(iterations),
            "lanes": int(lanes),
            "salt": str(salt),
        } if len(kdf) == 5:
            _refuse_unless(memory in _MEMORY_KIB and iterations in _ITERATIONS and lanes in _LANES)
            try:
                return Argon2id(
                    salt=_field(salt, 16),
                    length=32,
                    iterations=iterations,
                    lanes=lanes,
                    memory_cost=memory,
                ).derive(secret)
            except UnsupportedAlgorithm as error:
                raise UnavailableError(
                    "this build of OpenSSL has no Argon2id", rule="root.kdf"
                ) from error
        case {"name": "scrypt", "log2_n": int(log2_n), "r": 8, "p": 1, "salt": str(salt)} if (
            len(kdf) == 5
        ):
            _refuse_unless(14 <= log2_n <= 20)  # 16 MiB to 1 GiB
            return Scrypt(salt=_field(salt, 16), length=32, n=1 << log2_n, r=8, p=1).derive(secret)
        case _:
            raise TamperedError("the root file names an unknown derivation", rule="root.kdf")


def _refuse_unless(bounded: bool) -> None:  # noqa: FBT001 - one private predicate
    if not bounded:
        raise TamperedError("the cost in the root file is out of bounds", rule="root.cost")


def _field(text: str, length: int | None = None) -> bytes:
    try:
        data = unb64(text)
    except InvalidError as error:
        raise TamperedError("the root file is damaged", rule="root.record") from error
    if length is not None and len(data) != length:
        raise TamperedError("the root file is damaged", rule="root.record")
    return data


def _bound(kdf: dict[str, Any]) -> bytes:
    return canonical.encode({"v": VERSION, "kind": "passphrase", "kdf": kdf})
