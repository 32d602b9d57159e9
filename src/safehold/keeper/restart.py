"""What a charter asks for before anything resumes after a stop.

Holds: only what the ledger says since the stop counts. A cause that was published before, or a replay that was green
before, says nothing about what was stopped.
"""

from __future__ import annotations

import hashlib
from typing import Final

from safehold.canonical import unb64
from safehold.charter import Charter
from safehold.ledger import Entry, Ledger

CAUSE: Final = "root-cause"  # name of the document
LONGEST_CAUSE: Final = 100_000  # characters
REPLAY: Final = "replay."  # how the measures of replayed incidents begin


def cause_entry(charter: Charter, text: str, *, digest: bytes) -> Entry:
    """Return the leaf that publishes a cause: its hash in the clear, its text in the side-car."""
    return Entry(
        kind="document",
        actor="board",
        object=CAUSE,
        detail={"text": text},
        charter=digest,
        public={
            "name": CAUSE,
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "version": charter.version,
        },
    )


def unmet(charter: Charter, ledger: Ledger, *, stop: int, cause: str, published: bool) -> list[str]:
    """Return what is still missing, one sentence each.

    Args:
        charter: The charter in force.
        ledger: The record.
        stop: Index of the leaf of the stop.
        cause: SHA-256 of the cause that the board names, hex, or nothing.
        published: The cause's text is handed in with the order.
    """
    documents: set[str] = set()
    measured: dict[str, str] = {}
    for _, leaf in ledger.leaves(stop + 1):
        facts = leaf.get("pub", {})
        if leaf["k"] == "document" and facts.get("name") == CAUSE:
            documents.add(facts["sha256"])
        elif leaf["k"] == "milestone":
            # under another charter other things were measured
            same = unb64(leaf["chr"]) == charter.digest()
            measured[facts["promise"]] = facts["state"] if same else "under another charter"
    missing = []
    for need in charter.oversight.restart_after_stop.needs:
        match need:
            case "root_cause_published":
                if not cause or not (published or cause in documents):
                    missing.append("no root cause was published since the stop")
            case "incident_replay_green":
                replays = [one.id for one in charter.promises if one.measure.startswith(REPLAY)]
                red = [name for name in replays if measured.get(name) != "kept"]
                if not replays:
                    missing.append("the charter promises no replay that could be green")
                elif red:
                    missing.append(f"not measured and kept since the stop: {', '.join(red)}")
            case _:
                missing.append("the charter asks for something that this version does not know")
    return missing
