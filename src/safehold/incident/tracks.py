"""What the ledger tells of uses, column by column, so that a million entries are looked through at once.

Holds: every row comes of a leaf and of what its checked side-car says; people are bits in numbered places, and a place
is known by a tag that only the person's own ledger key gives. Who asked is a tag too.
Does not hold: whose a place was once that person is erased. Their bit is taken out of every set then, and what is left
is how many of an entry were erased: two entries of somebody who left can no longer be told to be about the same.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from safehold.ledger.entry import Opening

Column = NDArray[np.int64]

NONE: Final = -1
_NO_ROWS: Final = np.zeros(0, dtype=np.int64)
# what is kept of each kind of row; `leaf` is always an index of the ledger, and words are numbers of words
TABLES: Final[Mapping[str, tuple[str, ...]]] = {
    # people: number of a set; erased: how many more of it are gone; -1 where nobody can tell any more
    "uses": (
        "leaf", "at", "grant", "actor", "what", "purpose", "segments", "behind", "first", "last", "people", "erased",
        "tokens", "artifact", "epsilon", "delta",
    ),
    # blocks: how many were opened, -1 where nobody wrote it
    "results": ("leaf", "row", "outcome", "blocks", "sent"),
    "made": ("row", "what"),
    "left": ("leaf", "row", "kind", "what"),
    "born": ("what", "at"),
    "grants": (
        "leaf", "at", "ends", "parent", "id", "asker", "operator", "purpose", "segments", "streams", "first", "last",
        "filter",
    ),
    "ends": ("grant", "at"),
    "narrowed": ("grant", "token", "at"),
    "erasures": ("leaf",),
}  # fmt: skip
OPENED: Final = frozenset({"access.intent", "access.result", "derived", "grant", "ingest"})
PULL: Final = "pull_artifact"


class Table:
    """Rows of whole numbers that only grow."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._columns = {name: array("q") for name in names}
        self._seen: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._columns[self.names[0]])

    def add(self, *values: int) -> None:
        """Add a row."""
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def __getitem__(self, name: str) -> Column:
        found = self._seen.get(name)
        if found is None or len(found) != len(self):
            found = np.array(self._columns[name], dtype=np.int64)
            found.setflags(write=False)
            self._seen[name] = found
        return found

    def find(self, name: str, value: int) -> int:
        """Return the row of a value in a column that ascends, or -1."""
        column = self._columns[name]
        at = bisect_left(column, value)
        return at if at < len(column) and column[at] == value else NONE

    def replace(self, name: str, values: Column) -> None:
        """Put other values into a column."""
        self._columns[name] = array("q", values.tolist())
        self._seen.pop(name, None)

    def cut(self, start: int) -> dict[str, Column]:
        """Return the rows from one on, as they are written down: eight bytes each, and no object."""
        return {
            name: np.frombuffer(column[start:], dtype=np.int64) if start < len(column) else _NO_ROWS
            for name, column in self._columns.items()
        }

    def extend(self, rows: Mapping[str, Sequence[int]]) -> None:
        """Add rows as they were written down."""
        for name, column in self._columns.items():
            column.extend(rows[name])


class Words:
    """Words by number; -1 is no word."""

    def __init__(self) -> None:
        self.all: list[str] = []
        self._numbers: dict[str, int] = {}

    def number(self, word: str) -> int:
        """Return the number of a word, which is new if it must be."""
        if not word:
            return NONE
        found = self._numbers.setdefault(word, len(self.all))
        if found == len(self.all):
            self.all.append(word)
        return found

    def find(self, word: str) -> int:
        """Return the number of a word; -2, which no row has, if it is not known."""
        return self._numbers.get(word, -2)

    def __getitem__(self, number: int) -> str:
        return "" if number < 0 else self.all[number]


class Tracks:
    """The fold.

    Args:
        blind: Returns what stands for the name of a principal.
    """

    def __init__(self, blind: Callable[[str], str]) -> None:
        self.blind = blind
        self.words = Words()
        self.tables = {name: Table(columns) for name, columns in TABLES.items()}
        self.places: list[str] = []  # by place the tag of who has it; empty once they are erased
        self.sets: list[int] = []  # by number the bits of a set of people
        self._place_of: dict[str, int] = {}
        self._set_of: dict[int, int] = {}
        self.done = 0  # leaves that were taken

    def __getitem__(self, name: str) -> Table:
        return self.tables[name]

    def place(self, tag: str) -> int:
        """Return the place of a person, which is new if it must be."""
        found = self._place_of.setdefault(tag, len(self.places))
        if found == len(self.places):
            self.places.append(tag)
        return found

    def place_of(self, tag: str) -> int | None:
        """Return the place of a person, if any entry is about them."""
        return self._place_of.get(tag)

    def take(
        self, index: int, leaf: Mapping[str, Any], opening: Opening | None, people: tuple[int, int]
    ) -> None:
        """Take the next leaf.

        Args:
            index: Its number.
            leaf: What it says.
            opening: What its side-car says, if that was opened.
            people: Of an intent the bits of its living people, and how many of it are gone; -1 if nobody can tell.
        """
        self.done = index + 1
        facts, ref = leaf.get("pub", {}), leaf.get("ref", NONE)
        match leaf["k"]:
            case "access.intent":
                self._take_use(index, leaf, opening, people)
            case "access.result":
                self._take_result(index, ref, facts, opening)
            case "derived" if opening is not None:
                self._make(self["uses"].find("leaf", ref), opening.object)
            case "ingest" if opening is not None and opening.detail.get("step") == "live":
                self["born"].add(self.words.number(opening.object), leaf["t"])
            case "grant" | "grant.closed":
                self._take_grant(index, leaf, opening)
            case "release" | "join" | "embed.export" as kind:
                row = self["uses"].find("leaf", ref)
                state = str(facts.get("state") or facts.get("unit") or kind)
                self["left"].add(index, row, self.words.number(kind), self.words.number(state))
            case "federation" if facts.get("state") == "step":
                run = self.words.number(f"{facts['run']}/{ref}")
                self["left"].add(index, NONE, self.words.number("federation"), run)
            case "erasure" if ref == NONE:
                self["erasures"].add(index)
            case _:
                pass

    def _take_use(
        self,
        index: int,
        leaf: Mapping[str, Any],
        opening: Opening | None,
        people: tuple[int, int],
    ) -> None:
        number, facts = self.words.number, leaf.get("pub", {})
        said: Mapping[str, Any] = {} if opening is None else opening.detail
        days = list(said.get("days") or (NONE, NONE))
        label = said.get("label", {})
        segments = sorted(said.get("segments", ()))
        streams = label.get("streams") or sorted({one.rpartition(".")[2] for one in segments})
        behind = [list(streams), list(label.get("categories", ()))]
        self["uses"].add(
            index,
            leaf["t"],
            leaf.get("ref", NONE),
            NONE if opening is None else number(self.blind(opening.actor)),
            NONE if opening is None else number(opening.object),
            number(str(facts.get("purpose", ""))),
            number(join(segments)),
            number(orjson.dumps(behind).decode()) if streams else NONE,
            days[0],
            days[-1],
            self.number_set(people[0]),
            people[1] if opening is not None else NONE,
            number(join(sorted(mark(one) for one in said.get("tokens", ())))),
            number(str(facts.get("artifact", ""))),
            int(facts.get("epsilon_micro", 0)),
            int(facts.get("delta_e12", 0)),
        )

    def _take_result(
        self, index: int, ref: int, facts: Mapping[str, Any], opening: Opening | None
    ) -> None:
        row = self["uses"].find("leaf", ref)
        said: Mapping[str, Any] = {} if opening is None else opening.detail
        outcome = str(facts.get("outcome", "ok"))
        self["results"].add(
            index,
            row,
            self.words.number(outcome),
            int(said.get("blocks", NONE)),
            int(facts.get("bytes", NONE)),
        )
        if outcome == "ok" and self["uses"]["artifact"][row] == NONE:
            for name in ("dataset", "artifact"):
                if name in said:
                    self._make(row, str(said[name]))

    def _make(self, row: int, name: str) -> None:
        self["made"].add(row, self.words.number(name))

    def _take_grant(self, index: int, leaf: Mapping[str, Any], opening: Opening | None) -> None:
        facts, ref = leaf.get("pub", {}), leaf.get("ref", NONE)
        if leaf["k"] == "grant.closed" or facts.get("state") == "revoked":
            self["ends"].add(ref, leaf["t"])
            return
        if "block" in facts:
            token = self.words.number(str(facts["block"])[:32])
            self["narrowed"].add(ref, token, leaf["t"])
            return
        said = None if opening is None else opening.detail.get("grant")
        if ref != NONE or not isinstance(said, dict) or "columns" not in said:
            return  # nobody can say any more what it covered, or nobody may use one of that version
        number, asker = self.words.number, said["requester"]
        ends_ms = min(said["expires_us"] // 1000, leaf["t"] + said["minutes"] * 60_000)
        operator = str(asker.get("operator", ""))
        self["grants"].add(
            index,
            leaf["t"],
            ends_ms,
            int(facts.get("parent", NONE)),
            number(said["id"]),
            number(self.blind(asker["id"])),
            number(self.blind(operator)) if operator else NONE,
            number(said["purpose"]),
            number(join(sorted(said["segments"]))),
            number(join(sorted(said["streams"]))),
            said["first_day"],
            said["last_day"],
            number(said["people"]),
        )

    def number_set(self, bits: int) -> int:
        """Return the number of a set of people."""
        found = self._set_of.setdefault(bits, len(self.sets))
        if found == len(self.sets):
            self.sets.append(bits)
        return found

    def prune(self, living: Iterable[str]) -> bool:
        """Take everybody who is no longer there out of every set; return whether anybody was."""
        there = set(living)
        gone = [place for place, tag in enumerate(self.places) if tag and tag not in there]
        if not gone:
            return False
        mask = 0
        for place in gone:
            mask |= 1 << place
            del self._place_of[self.places[place]]
            self.places[place] = ""
        old, self.sets, self._set_of = self.sets, [], {}
        counts = np.array([(bits & mask).bit_count() for bits in old], dtype=np.int64)
        renamed = np.array([self.number_set(bits & ~mask) for bits in old], dtype=np.int64)
        uses = self["uses"]
        if len(uses):
            people, erased = uses["people"], uses["erased"]
            uses.replace("erased", np.where(erased < 0, erased, erased + counts[people]))
            uses.replace("people", renamed[people])
        return True

    def unite(self, numbers: Column) -> int:
        """Return the bits of everybody in some sets."""
        bits = 0
        for number in distinct(numbers):
            bits |= self.sets[number]
        return bits


def distinct(numbers: Column) -> list[int]:
    """Return the different numbers in a column, ascending, -1 among them; one pass, since they are small."""
    if not len(numbers):
        return []
    there = np.zeros(int(numbers.max()) + 2, dtype=bool)
    there[numbers + 1] = True
    found: list[int] = (np.flatnonzero(there) - 1).tolist()
    return found


def among(numbers: Column, wanted: Iterable[int]) -> NDArray[np.bool_]:
    """Return which numbers of a column are wanted; one pass. Less than -1 is no number."""
    there = np.zeros(int(numbers.max()) + 2 if len(numbers) else 1, dtype=bool)
    chosen = np.array([one for one in wanted if -1 <= one < len(there) - 1], dtype=np.int64)
    there[chosen + 1] = True
    found: NDArray[np.bool_] = there[numbers + 1]
    return found


def join(words: Iterable[str]) -> str:
    """Return several words as one."""
    return "+".join(words)


def mark(token: str) -> str:
    """Return what stands for the revocation id of a token: the front of the hash that its revocation names."""
    return hashlib.sha256(token.encode()).hexdigest()[:32]
