"""Checking the journal of a portal, against itself and against what the ledger says of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from safehold.errors import TamperedError
from safehold.portal.heads import name_of, own_key
from safehold.portal.journal import FOLDER, verify_journal


def check_journal(folder: Path, leaves: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return how far a journal goes, and how far the ledger vouches for it.

    Args:
        folder: The portal's own.
        leaves: Of the ledger, each with ``index`` and ``leaf``.

    Raises:
        TamperedError: A line was changed, left out or put in between; or the ledger knows another journal.
    """
    name = name_of(own_key(folder))
    told: dict[int, tuple[int, str]] = {}
    for one in leaves:
        if one["leaf"]["k"] == "portal" and one["leaf"]["pub"]["portal"] == name:
            said = one["leaf"]["pub"]
            told[int(said["size"])] = (int(one["index"]), str(said["head"]))
    lines, newest, met = 0, "", 0
    for head in verify_journal(folder):
        lines, newest = head.size, head.digest
        known = told.get(head.size)
        if known is None:
            continue
        if known[1] != head.digest:
            raise TamperedError(
                f"the ledger knows another journal: entry {known[0]}", rule="portal.journal"
            )
        met += 1
    if told and max(told) > lines:
        raise TamperedError(
            f"the ledger knows of {max(told)} lines, and there are {lines}", rule="portal.journal"
        )
    return {
        "journal": str(folder / FOLDER),
        "lines": lines,
        "newest": newest,
        "vouched": max(told, default=0),
        "heads": met,
        "says": "lines after the newest head in the ledger could still be cut off",
    }
