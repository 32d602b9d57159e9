"""Verify a ledger offline, and read its leaves: no key, no keeper."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson

import safehold_verify
from safehold.app.journal import store_of
from safehold.canonical import b64
from safehold.errors import MissingError, SafeholdError, TamperedError, UnavailableError
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import text_of
from safehold.ledger.sidecars import check_sidecars
from safehold.ledger.store_sqlite import JOURNAL
from safehold.ledger.tile import tile_path, unpack_entries
from safehold.settings import Home

BUNDLE = 256  # leaves in a full bundle


def verify_home(path: Path) -> dict[str, Any]:
    """Verify the whole exported ledger of a home against what lies outside it.

    Args:
        path: The home, or its ``ledger`` directory.

    Raises:
        TamperedError: It does not hold; says where.
        UnavailableError: The files hold, and the database of the journal cannot be asked.
    """
    home = Home.open(
        path.parent if path.name == "ledger" and not (path / "home.json").exists() else path
    )
    heads = [
        _with_cosignatures(home, file.read_bytes())
        for file in sorted(home.witness.glob("**/checkpoint"))
        if file.is_file()
    ]
    if not heads:
        raise TamperedError(
            "the witness outside the home has no head, so nothing vouches for this ledger",
            rule="ledger.witness",
        )
    try:
        report = safehold_verify.verify_log(home.ledger, home.policy_file, heads=heads)
    except safehold_verify.VerificationError as error:
        raise TamperedError(str(error), rule="ledger.verify") from error
    except OSError as error:
        raise TamperedError("the ledger cannot be read", rule="ledger.verify") from error
    _check_journal(home, report)
    sidecars = check_sidecars(home.ledger) if (home.ledger / JOURNAL).exists() else None
    return {
        "verified": True,
        "size": report.size,
        "root": report.root,
        "witnesses": list(report.witnesses),
        "sidecars": asdict(sidecars) if sidecars is not None else None,
    }


def _with_cosignatures(home: Home, note: bytes) -> bytes:
    """Return a head that the local witness remembers with the lines of the other witnesses.

    Size and root stay those from outside. The lines lie in the journal, and the policy judges them.
    """
    text = text_of(note)
    try:
        head = Checkpoint.parse(text)
        whole = store_of(home).published(head.origin, head.size)
    except SafeholdError:
        return note
    return whole if whole is not None and text_of(whole) == text else note


def _check_journal(home: Home, report: safehold_verify.Report) -> None:
    """Pass if the journal beside the files is there and at least as new as they are.

    It holds what they do not, the sealed details. These are compared with their leaves next; whether every other
    byte of it is right is found when a keeper opens it.
    """
    try:
        head = store_of(home).published(report.origin, report.size)
    except UnavailableError as error:
        raise UnavailableError(
            f"the exported files hold; of the journal nothing is known: {error.message}",
            rule=error.rule,
            fix="ask again when the database answers; `safehold-verify log` needs none",
        ) from error
    said = head.split(b"\n")[:3] if head is not None else []
    wanted = [report.origin, str(report.size), b64(bytes.fromhex(report.root))]
    if said != [word.encode() for word in wanted]:
        raise TamperedError(
            "the journal is older than the files beside it, or another log's",
            rule="ledger.journal",
            fix="put back the newest journal",
        )


def leaves(path: Path, count: int) -> list[dict[str, Any]]:
    """Return the newest leaves from the exported bundles."""
    home = Home.open(path)
    checkpoint = home.ledger / "checkpoint"
    if not checkpoint.exists():
        raise MissingError("the ledger was never published", rule="ledger.checkpoint")
    size = int(checkpoint.read_text("utf-8").splitlines()[1])
    found: list[dict[str, Any]] = []
    for number in range(max(size - count, 0) // BUNDLE, -(-size // BUNDLE)):
        width = min(size - number * BUNDLE, BUNDLE)
        data = (home.ledger / tile_path("entries", number, width)).read_bytes()
        found += [
            {"index": number * BUNDLE + place, "leaf": orjson.loads(entry)}
            for place, entry in enumerate(unpack_entries(data))
        ]
    return found[-count:]
