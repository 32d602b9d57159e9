"""The versioned list of what a leaf can say, and which facts of it stay readable for ever.

Public facts are small, closed and never personal: they are what a fold over the log needs (budgets,
charter versions, stops) after the side-cars are gone. Nothing that tells one person's choice from
another's is public.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from safehold.errors import InvalidError

VERSION = "sh-audit/1"

_WORD = re.compile(r"[A-Za-z0-9._:/+=@-]{1,256}")
_GATE = {
    **dict.fromkeys(
        ("gate", "dataset", "held", "behind", "stream", "level", "attackers", "op", "state"), str
    ),
    **dict.fromkeys(("bound", "people", "fewest", "micro", "upper", "confidence", "of"), int),
}
_ARTIFACT = {
    **dict.fromkeys(("artifact", "state", "reason", "format", "sha256"), str),
    "size": int,  # bytes, rounded up to a power of two
}
_ATTACK = {
    **dict.fromkeys(("artifact", "gate", "attack", "measure", "op", "state"), str),
    **dict.fromkeys(
        ("version", "bound", "micro", "lower", "upper", "confidence", "detectable"), int
    ),
    **dict.fromkeys(("members", "others", "planted", "candidates"), int),
}
# what a pull, or an attack that opens no rows, says beside: whose turn it was is committed to, never public
_OF_ARTIFACT = {"action": str, "artifact": str, "record": str, "size": int}
_INCIDENT = {
    # its state and severity after a step, and which step; who took it, and every word of theirs, is sealed
    **dict.fromkeys(("state", "step", "about", "seat", "notice", "decision", "sha256"), str),
    **dict.fromkeys(("severity", "since"), int),
}
_CONTAINMENT = {
    # what is held back; its name only where that is nobody's: never of a grant, a token or a principal
    **dict.fromkeys(("what", "target", "state"), str),
}
_DRILL = {
    **dict.fromkeys(("run", "scenario", "of", "level", "state"), str),
    # how many were exposed, at rest or live, and how long it took; absent where nothing was measured
    **dict.fromkeys(("people", "records", "segments", "canaries", "missing"), int),
    **dict.fromkeys(("detect_ms", "contain_ms"), int),
}
_AUDIT = {
    # every word of an auditor is its leaf: what it says, and their signature over exactly that
    **dict.fromkeys(("state", "sha256", "key", "org", "seat", "by", "sig"), str),
    **dict.fromkeys(("opinion", "root", "epochs", "counters", "listed", "severity"), str),
    **dict.fromkeys(("control", "owner", "evidence", "how"), str),
    **dict.fromkeys(("first", "last", "starts", "ends", "size", "findings", "at"), int),
    **dict.fromkeys(("number", "due", "answer", "engagement"), int),
}
_CHARGE = {"purpose": str, "epsilon_micro": int, "delta_e12": int, "unit": str}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What leaves of one kind may carry.

    Args:
        public: Allowed public facts and their types.
        refers: Kinds that ``ref`` may point back to.
        needs_ref: True if ``ref`` must be there.
    """

    public: Mapping[str, type]
    refers: tuple[str, ...] = ()
    needs_ref: bool = False


def _kind(public: Mapping[str, type] | None = None, *refers: str, needs: bool = False) -> Kind:
    return Kind(public=public or {}, refers=refers, needs_ref=needs)


KINDS: Mapping[str, Kind] = {
    "access.intent": _kind({**_CHARGE, **_OF_ARTIFACT, "rows": int}, "grant"),
    "access.result": _kind(
        {"outcome": str, "rows": int, "bytes": int}, "access.intent", needs=True
    ),
    "ingest": _kind({"rows": int, "objects": int}, "lease"),
    "feature": _kind({"rows": int, "objects": int}, "access.intent"),
    "embed.export": _kind(
        {"rows": int, "action": str, "what": str, "size": str, "state": str},
        "access.intent",
        "grant",
    ),
    "train.start": _kind({"unit": str}, "access.intent", "grant"),
    "train.end": _kind({"outcome": str}, "train.start", "access.intent"),
    "artifact": _kind(_ARTIFACT, "access.intent", "artifact"),
    "artifact.get": _kind({}, "release", "train.end"),
    "attack": _kind(_ATTACK, "access.intent", needs=True),
    "grant": _kind({"state": str, "block": str, "parent": int}, "grant"),
    "grant.closed": _kind(
        {"state": str, "first": int, "last": int, "uses": int}, "grant", needs=True
    ),
    "charter": _kind({"version": int, "direction": str}, "proposal"),
    # what one person is told of uses: by name, or later; which uses is sealed under their own key
    "disclosure": _kind({"state": str, "until": int}),
    "document": _kind({"name": str, "sha256": str, "version": int}),
    # blocks were joined inside the keeper: begun before one is opened, made before the register says so, then done
    "compaction": _kind({"state": str, "blocks": int, "objects": int}, "compaction"),
    "derived": _kind({"state": str, "rows": int}, "access.intent", needs=True),
    "drift": _kind({"state": str, "clause": str}, "drift"),
    "erasure": _kind({"state": str}, "erasure"),
    # a bundle of evidence that was written: the hash of its manifest, and how its obligations stand
    "evidence": _kind({"sha256": str, "satisfied": int, "unsatisfied": int, "unmeasured": int}),
    "incident": _kind(_INCIDENT, "incident", "alert"),
    "alert": _kind({"signal": str, "severity": int, "state": str}, "alert"),
    "containment": _kind(_CONTAINMENT, "containment", "incident", "alert"),
    "drill": _kind(_DRILL, "drill", "drill.begin"),
    # what is going to be tried, before it is: a run that nobody reports on is seen by this leaf
    "drill.begin": _kind({"run": str, "nonce": str, "program": str, "scenarios": str}),
    "blast": _kind({"state": str}, "incident", "alert"),
    "audit": _kind(_AUDIT, "audit"),
    "index.epoch": _kind(
        {"state": str, "epoch": int, "first": int, "stop": int, "root": str}, "index.epoch"
    ),
    "key.change": _kind({"level": str, "state": str, "kept": str, "count": int}, "key.change"),
    "key.rotate": _kind({"state": str, "vkey": str, "lattice": str}),
    "lease": _kind({}),
    "gate": _kind(_GATE, "access.intent", needs=True),
    "join": _kind(
        {"state": str, "commitment": str, "session": str, "theirs": str},
        "access.intent",
        needs=True,
    ),
    "milestone": _kind({"promise": str, "state": str, "op": str, "bound": int, "micro": int}),
    "proposal": _kind(
        {"state": str, "about": str, "direction": str, "version": int, "seat": str}, "proposal"
    ),
    # how far the journal of a portal goes: lines, and the hash of the newest
    "portal": _kind({"portal": str, "size": int, "head": str}),
    "principal": _kind({"state": str, "version": int, "digest": str}),
    "session": _kind({"state": str}),
    "tool": _kind({"tool": str}),
    # a run over several houses, by a random id: joined, a step or a check that is used up, done
    "federation": _kind({"run": str, "state": str, "number": int}, "grant"),
    "gap": _kind({}),
    "choice": _kind({}),
    "stop": _kind({"state": str}),
    "resume": _kind({"state": str}, "stop"),
    "request": _kind({"state": str, "seat": str}, "request"),
    "review": _kind({"outcome": str, "seat": str}, "grant", needs=True),
    "retention": _kind({"day": int, "keys": int}),
    "roster": _kind({"version": int, "change": str, "seat": str}, "proposal"),
    "release": _kind(_CHARGE, "access.intent"),
    "refusal": _kind({"rule": str, "action": str}, "access.intent", "grant"),
    # its first entry; later ones say that its databases and objects lie elsewhere from here on
    "home": _kind({"version": str, "synthetic": int, "build": str, "profile": str}),
}


def check_public(kind: str, public: Mapping[str, int | str]) -> None:
    """Let only the closed, small facts of a kind through.

    Raises:
        InvalidError: An unknown key, a wrong type, a negative or too large number, or a long text.
    """
    allowed = KINDS[kind].public
    for key, value in public.items():
        if type(value) is not allowed.get(key):
            raise InvalidError(
                f"a leaf of kind {kind} has no such public fact of that type",
                rule="ledger.public",
                fix=f"use only {', '.join(sorted(allowed)) or 'none'}",
                field=str(key),
            )
        if isinstance(value, str):
            if not _is_word(value):
                raise InvalidError("a public fact is one word", rule="ledger.public", field=key)
        elif not 0 <= value < 2**53:
            raise InvalidError("a public number is out of range", rule="ledger.public", field=key)


@lru_cache(1024)  # purposes, units and outcomes come again and again
def _is_word(text: str) -> bool:
    return _WORD.fullmatch(text) is not None
