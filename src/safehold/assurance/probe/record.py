"""What the leaves of a ledger tell a probe: one fold over their public parts, and nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

# kinds of which every leaf is kept; of the others only how many there are, and the first and the last
KEPT: Final = frozenset(
    {
        "artifact", "attack", "charter", "document", "drift", "drill", "embed.export", "erasure", "evidence",
        "gate", "grant", "grant.closed", "home", "incident", "index.epoch", "key.change", "milestone", "principal",
        "resume", "retention", "roster", "stop",
    }
)  # fmt: skip
INTENT: Final = "access.intent"
RESULT: Final = "access.result"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One leaf, as far as it is public.

    Args:
        index: Where it stands.
        at_ms: When, milliseconds.
        kind: Its kind.
        facts: Its public facts.
        ref: The leaf it completes, -1 if none.
        charter: Digest of the charter it was written under, base64; empty without one.
    """

    index: int
    at_ms: int
    kind: str
    facts: Mapping[str, Any]
    ref: int
    charter: str


@dataclass(slots=True, kw_only=True)
class Record:
    """All of it.

    Args:
        size: How many leaves were read.
        counts: How many there are of each kind.
        first: The first of each kind.
        last: The last of each kind.
        kept: All leaves of the kinds in ``KEPT``.
        intents: Every intent.
        answered: Intents that have a result.
    """

    size: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, Leaf] = field(default_factory=dict)
    last: dict[str, Leaf] = field(default_factory=dict)
    kept: dict[str, list[Leaf]] = field(default_factory=dict)
    intents: dict[int, Leaf] = field(default_factory=dict)
    answered: dict[int, Leaf] = field(default_factory=dict)

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf."""
        kind = str(leaf["k"])
        one = Leaf(
            index=index,
            at_ms=int(leaf["t"]),
            kind=kind,
            facts=leaf.get("pub", {}),
            ref=int(leaf.get("ref", -1)),
            charter=str(leaf["chr"]),
        )
        self.size = index + 1
        self.counts[kind] += 1
        self.first.setdefault(kind, one)
        self.last[kind] = one
        if kind in KEPT:
            self.kept.setdefault(kind, []).append(one)
        elif kind == INTENT:
            self.intents[index] = one
        elif kind == RESULT:
            self.answered[one.ref] = one

    def of(self, kind: str, **facts: Any) -> list[Leaf]:
        """Return the leaves of a kept kind that carry these facts, oldest first."""
        return [
            one
            for one in self.kept.get(kind, ())
            if all(one.facts.get(name) == value for name, value in facts.items())
        ]

    def newest(self, kind: str, **facts: Any) -> Leaf | None:
        """Return the newest leaf of a kept kind that carries these facts."""
        found = self.of(kind, **facts)
        return found[-1] if found else None


def read(leaves: Iterable[tuple[int, Mapping[str, Any]]]) -> Record:
    """Return what leaves tell, given in order."""
    record = Record()
    for index, leaf in leaves:
        record.note(index, leaf)
    return record
