"""By what a source is known again: keyed hashes of its files and of its roster."""

from __future__ import annotations

import hmac
import os
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from safehold.dlp.roster import Roster
from safehold.errors import (
    InvalidError,
)
from safehold.vault import Vault


def identify_source(vault: Vault, source: Mapping[str, Any], inputs: Sequence[int]) -> str:
    """Return the name of a source: a keyed hash of what it is and of every byte of its files."""
    # keyed: a plain digest would let a thief of the catalogue try out what somebody typed
    state = hmac.new(vault.derive("source-identity"), b"safehold.source.v1\0", "sha256")
    shown = {key: value for key, value in source.items() if key != "name"}
    state.update(orjson.dumps(shown, option=orjson.OPT_SORT_KEYS))
    for item in inputs:
        offset = 0
        while piece := os.pread(item, 1 << 20, offset):
            state.update(piece)
            offset += len(piece)
    return state.hexdigest()


def identify_roster(vault: Vault, arguments: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return what the ledger says of the roster: how many names, and a keyed hash; never a name.

    Raises:
        InvalidError: It is no roster.
    """
    given = arguments.get("roster")
    if given is None:
        return {}, ""
    if not isinstance(given, list):
        raise InvalidError("a roster is a list", field="roster", rule="roster.entry")
    roster = Roster(given)
    digest = roster.digest(vault.derive("roster-identity"))
    return {"roster": {"people": len(roster), "digest": digest}}, f"/{digest[:16]}"
