"""What is contained now: a fold over the leaves of containments, and the one question that every door asks of it.

Holds: what a leaf says is held back stays held back until a later leaf lifts it; no row of a database, no charter, no
grant and no restart does. Of whom or what nobody may read in public, the name lies in the sealed part of the leaf. If
that can no longer be read, everything of its kind is held back: a gap is a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from safehold.errors import DeniedError

Thing = tuple[str, str]  # what it is, and the key by which doors know it

GRANT, CAPABILITY, PRINCIPAL = "grant", "capability", "principal"
SEGMENT, PURPOSE, ARTIFACT, DATASET = "segment", "purpose", "artifact", "dataset"
RUN, COLLECTION = "run", "collection"
ALL: Final = "all"  # of collection
SEALED: Final = frozenset({GRANT, CAPABILITY, PRINCIPAL})  # whose name stands in no public fact
KINDS: Final = (
    GRANT, CAPABILITY, PRINCIPAL, SEGMENT, PURPOSE, ARTIFACT, DATASET, RUN, COLLECTION,
)  # fmt: skip
BEGUN, LIFTED = "begun", "lifted"
LEAF: Final = "containment"
FIX: Final = "safehold containment list; the board lifts what is over: safehold containment lift"
_SAID: Final = {
    GRANT: "this grant, or one above it, is contained",
    CAPABILITY: "this token is contained",
    PRINCIPAL: "whoever asks, or whom they act for, is contained",
    SEGMENT: "a segment that this would open is contained",
    PURPOSE: "this purpose is contained",
    ARTIFACT: "this artifact is contained",
    DATASET: "a dataset that this would open, or something it was made from, is contained",
    RUN: "this run was contained while it went on",
    COLLECTION: "collection is contained here",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One containment in force.

    Args:
        what: What is held back, one of ``KINDS``.
        key: The key by which doors know it; empty where nobody can read it any more.
        entry: Index of the leaf that began it.
        at_ms: When, milliseconds.
        grant: Leaf of the grant that a contained token was minted of; -1 of anything else.
        board: Whether a seat ordered it; known of what is named in the sealed part alone.
    """

    what: str
    key: str
    entry: int
    at_ms: int
    grant: int = -1
    board: bool = False

    def refusal(self) -> DeniedError:
        """Return what whoever comes across it is told."""
        return DeniedError(
            f"{_SAID[self.what]} (entry {self.entry})", rule=f"containment.{self.what}", fix=FIX
        )


class Contained:
    """The fold. Reading takes no lock: every change puts a new table in the place of the old one."""

    def __init__(self) -> None:
        self._held: dict[Thing, Held] = {}
        self._hidden: dict[str, Held] = {}  # of each kind one whose name nobody can read
        self._by_entry: dict[int, Held] = {}
        # where collection was held back, since when and until when; what is over stays in it
        self._quiet: dict[int, tuple[str, int, int | None]] = {}

    def open(
        self,
        leaves: Iterable[tuple[int, Mapping[str, Any]]],
        read: Callable[[int], Mapping[str, Any]],
    ) -> None:
        """Take all leaves of containments as the ledger has them.

        Args:
            leaves: Index and leaf, in order.
            read: Returns the sealed detail of a leaf, or nothing if it cannot be read.
        """
        begun: dict[int, Mapping[str, Any]] = {}
        for index, leaf in leaves:
            if leaf["pub"]["state"] == LIFTED:
                begun.pop(int(leaf.get("ref", -1)), None)
                self._end(int(leaf.get("ref", -1)), int(leaf["t"]))
            else:
                begun[index] = leaf
                if leaf["pub"]["what"] == COLLECTION:
                    self._quiet[index] = (str(leaf["pub"].get("target")), int(leaf["t"]), None)
        found: dict[int, Held] = {}
        for index, leaf in begun.items():
            said = leaf["pub"]
            named = {"key": said.get("target")} if said["what"] not in SEALED else read(index)
            found[index] = Held(
                what=said["what"],
                key=str(named.get("key") or ""),
                entry=index,
                at_ms=int(leaf["t"]),
                grant=int(named.get("grant", -1)),
                board="seats" in named,
            )
        self._put(
            {**self._by_entry, **found}
        )  # once: a table for each of them would be their square

    def begin(self, held: Held) -> None:
        """Let a containment count whose leaf is durable."""
        if held.what == COLLECTION:
            self._quiet = {**self._quiet, held.entry: (held.key, held.at_ms, None)}
        self._put({**self._by_entry, held.entry: held})

    def lift(self, entry: int, *, at_ms: int) -> None:
        """Let a containment be over whose lifting is durable, since some moment."""
        self._end(entry, at_ms)
        self._put({at: held for at, held in self._by_entry.items() if at != entry})

    def quiet(self, segment: str, stream: str) -> list[tuple[int, int | None]]:
        """Return when rows of a segment and stream might not be recorded, microseconds; the last may have no end yet.

        Whoever kept events back until it was lifted has recorded them all the same, against an order.
        """
        return [
            (from_ms * 1000, None if to_ms is None else to_ms * 1000)
            for _, (key, from_ms, to_ms) in sorted(self._quiet.items())
            if key in (ALL, segment, stream)
        ]

    def _end(self, entry: int, at_ms: int) -> None:
        if entry in self._quiet:
            key, from_ms, _ = self._quiet[entry]
            self._quiet = {**self._quiet, entry: (key, from_ms, at_ms)}

    def _put(self, by_entry: dict[int, Held]) -> None:
        self._by_entry = by_entry
        self._hidden = {one.what: one for one in by_entry.values() if not one.key}
        self._held = {(one.what, one.key): one for one in by_entry.values() if one.key}

    def find(self, thing: Thing) -> Held | None:
        """Return the containment that holds a thing back, if one does."""
        return self._held.get(thing) or self._hidden.get(thing[0])

    def at(self, entry: int) -> Held | None:
        """Return a containment in force by the index of its leaf."""
        return self._by_entry.get(entry)

    def all(self) -> list[Held]:
        """Return all that are in force, oldest first."""
        return [held for _, held in sorted(self._by_entry.items())]

    def require_free(self, things: Iterable[Thing]) -> None:
        """Pass if nothing of what a use touches is held back.

        Raises:
            DeniedError: Something is; the rule says what kind of thing, the message by which leaf.
        """
        if not self._by_entry:
            return
        found = [held for thing in things if (held := self.find(thing)) is not None]
        if found:
            raise min(found, key=lambda one: one.entry).refusal()

    def require_minted(self, grants: Iterable[int]) -> None:
        """Pass if no token of some grants is contained: whoever lost one would only have another minted.

        Args:
            grants: Leaves of a grant and of all above it.

        Raises:
            DeniedError: One is.
        """
        wanted = set(grants)
        for held in self.all():
            if held.what == CAPABILITY and (not held.key or held.grant in wanted):
                raise held.refusal()

    def require_collected(self, places: Iterable[tuple[str, str]] = ()) -> None:
        """Pass if recording, or taking in, is held back neither as a whole nor in any of some places.

        Args:
            places: Segment and stream of what comes in.

        Raises:
            DeniedError: It is.
        """
        things = [(COLLECTION, name) for place in places for name in place]
        self.require_free([(COLLECTION, ALL), *things])

    def collects(self, segment: str, stream: str) -> bool:
        """Return whether rows of a segment and stream may come in."""
        things = ((COLLECTION, name) for name in (ALL, segment, stream))
        return not any(self.find(thing) for thing in things)


def block_hash(revocation_id: str) -> str:
    """Return what is written down of one token: the SHA-256 of its id, hex."""
    return sha256(revocation_id.encode()).hexdigest()


def things(
    *,
    purpose: str = "",
    principals: Iterable[str] = (),
    grants: Iterable[int] = (),
    tokens: Iterable[str] = (),
    segments: Iterable[str] = (),
    datasets: Iterable[str] = (),
    artifacts: Iterable[str] = (),
    runs: Iterable[int] = (),
) -> frozenset[Thing]:
    """Return what a use touches, as doors ask about it.

    Args:
        purpose: The stated purpose.
        principals: Who asks, and for whom.
        grants: Leaves of the grant and of all above it.
        tokens: Revocation ids of the token and of all that it was narrowed from.
        segments: Segments that are opened, or that what is opened was made from.
        datasets: Datasets that are opened, with all that they were made from.
        artifacts: Artifacts that are handed out or attacked.
        runs: Intents.
    """
    named = {
        PURPOSE: (purpose,),
        PRINCIPAL: principals,
        GRANT: map(str, grants),
        CAPABILITY: map(block_hash, tokens),
        SEGMENT: segments,
        DATASET: datasets,
        ARTIFACT: artifacts,
        RUN: map(str, runs),
    }
    return frozenset((what, key) for what, keys in named.items() for key in keys if key)
