"""Pulling an artifact into a folder, checking such a folder offline, and orders of the board about artifacts."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import safehold_verify
from safehold import canonical
from safehold.app.paper import add_signature, get_order, put_order
from safehold.app.permit import Pass
from safehold.canonical import unb64
from safehold.clock import SystemClock
from safehold.enclave.manifest import BESIDE, SIGNATURE, verify_files
from safehold.errors import ConflictError, TamperedError
from safehold.keeper.client import KeeperClient
from safehold.keeper.models import MODEL_FILE
from safehold.keeper.pull import RECORD_FILE, STATEMENTS_FILE
from safehold.keeper.quarantine import domain_of, write_order
from safehold.keeper.recipes import PULL_VERB
from safehold.signing import PointVerifyKey, SigningKey

PAPER: Final = "safehold-artifact-paper/1"
LEAF_FILE, PROOF_FILE = BESIDE[1:]


def pull(
    client: KeeperClient, artifact: str, permit: Pass, *, purpose: str, out: Path
) -> dict[str, Any]:
    """Pull an artifact into a new folder: all of its files, or none.

    Args:
        client: The keeper.
        artifact: Its id.
        permit: A grant for pulling.
        purpose: The purpose of the grant.
        out: The new folder.

    Raises:
        ConflictError: There is such a folder.
        DeniedError: A rule said no; the refusal is in the ledger.
    """
    if out.exists():
        raise ConflictError("there is such a folder already", rule="artifact.out", fix="--out")
    place = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    try:
        model = place / MODEL_FILE
        handle = os.open(model, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            answer = client.call(
                PULL_VERB,
                descriptors=[handle],
                artifact=artifact,
                purpose=purpose,
                **permit.prove(client, PULL_VERB, purpose),
            )
        finally:
            os.close(handle)
        _require_digest(model, answer["sha256"])
        (place / RECORD_FILE).write_text(answer["record"], encoding="utf-8")
        (place / STATEMENTS_FILE).write_text(answer["statements"], encoding="utf-8")
        (place / SIGNATURE).write_bytes(unb64(answer["signature"]))
        (place / LEAF_FILE).write_bytes(unb64(answer["leaf"]))
        if answer["proof"] is not None:
            (place / PROOF_FILE).write_text(answer["proof"], encoding="utf-8")
        place.rename(out)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    return {
        "artifact": artifact,
        "folder": str(out),
        "sha256": answer["sha256"],
        "files": sorted(one.name for one in out.iterdir()),
        "proved": answer["proof"] is not None,
        "entry": answer["entry"],
    }


def _require_digest(file: Path, digest: str) -> None:
    if hashlib.sha256(file.read_bytes()).hexdigest() != digest:
        raise TamperedError("another file came than was sent", rule="artifact.digest")


def verify(folder: Path, policy: Path) -> dict[str, Any]:
    """Check a folder that was pulled, offline: the leaf, the record, the statements, the signature over the files.

    Args:
        folder: What ``pull`` wrote.
        policy: Whose word counts.

    Raises:
        TamperedError: Something does not hold; the message says what.
    """
    try:
        report = safehold_verify.verify_release(folder, policy)
    except safehold_verify.VerificationError as error:
        raise TamperedError(str(error), rule="artifact.verify") from error
    card = canonical.decode((folder / RECORD_FILE).read_bytes())
    files = {
        one.name: hashlib.sha256(one.read_bytes()).digest()
        for one in sorted(folder.iterdir())
        if one.name not in BESIDE
    }
    name = verify_files(
        (folder / SIGNATURE).read_bytes(),
        files,
        PointVerifyKey(str(card["files_signed_by"]).encode()),
    )
    if name != report.artifact:
        raise TamperedError("the files were signed as another model", rule="artifact.manifest")
    return {"verified": True, **report.payload()}


def draw_up(home: str, shown: Mapping[str, Any], *, what: str, reason: str) -> dict[str, Any]:
    """Return an order about an artifact that nobody has signed yet.

    Args:
        home: Id of the home.
        shown: Its id and SHA-256, as the keeper tells them.
        what: ``release`` or ``delete``.
        reason: Why, in a sentence.
    """
    order = write_order(
        what,
        home=home,
        artifact=shown["id"],
        sha256=shown["sha256"],
        reason=reason,
        at_us=SystemClock().now_us(),
    )
    return {"order": order.decode(), "signatures": []}


def sign(told: Mapping[str, Any], *, seat: str, key: SigningKey) -> dict[str, Any]:
    """Return an order with a seat's signature added."""
    what = canonical.decode(str(told["order"]).encode())["what"]
    return add_signature(told, domain_of(what), seat=seat, key=key)


def put_paper(file: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """Write an order to a file that goes from seat to seat, and return what it says."""
    order = canonical.decode(str(told["order"]).encode())
    return {
        "order": order["what"],
        "artifact": order["artifact"],
        "reason": order["reason"],
        "signed": put_order(file, PAPER, told),
        "file": file.name,
    }


def read_paper(file: Path) -> dict[str, Any]:
    """Return the order in a file.

    Raises:
        MissingError: There is no such file.
        InvalidError: It is no order.
    """
    return get_order(file, PAPER, rule="artifact.paper")
