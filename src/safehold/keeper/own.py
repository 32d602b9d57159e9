"""Which entries of the ledger are about one person, found fast enough to be looked at page by page.

Holds: of closed epochs the person's row in the index is read, which their own key opens; of the epoch that goes on the
handles of each entry, once, as they come. Together that is every entry about them up to this moment, and no other.
Does not hold: that the index is the one in the log. Whoever wants that proved takes a package.

Nothing about anybody is kept at rest here; what is held in memory is bounded, and goes with whoever is erased.
"""

from __future__ import annotations

import threading
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.canonical import b64
from safehold.errors import ShreddedError
from safehold.ids import PersonId
from safehold.ledger.held import Held
from safehold.ledger.subjects import HANDLE, epoch_key, item_of, label_of
from safehold.ledger.tree import EMPTY

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

Numbers = NDArray[np.int64]

HELD: Final = 64 << 20  # bytes of lists that are held
EACH: Final = 4 * 8  # bytes of one entry of a list
CROWD: Final = 64  # people of an entry from which on they are noted as one set
NO_PURPOSE: Final = ""
_NOBODY: Final = b64(EMPTY)


@dataclass(frozen=True, slots=True)
class Columns:
    """Entries, ascending, with what is public of each.

    Args:
        index: Where each stands in the log.
        at_ms: When each was written.
        kind: Number of its kind.
        purpose: Number of its purpose.
    """

    index: Numbers
    at_ms: Numbers
    kind: Numbers
    purpose: Numbers

    def __len__(self) -> int:
        return len(self.index)

    def where(self, wanted: NDArray[np.bool_]) -> Columns:
        """Return some of them."""
        return Columns(
            self.index[wanted], self.at_ms[wanted], self.kind[wanted], self.purpose[wanted]
        )

    def then(self, more: Columns) -> Columns:
        """Return them with later ones behind."""
        pairs = zip(self._all(), more._all(), strict=True)
        return Columns(*(np.concatenate(pair) for pair in pairs))

    def _all(self) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        return self.index, self.at_ms, self.kind, self.purpose


class _Rows:
    """Columns that grow."""

    def __init__(self) -> None:
        self._columns = tuple(array("q") for _ in range(4))

    def __len__(self) -> int:
        return len(self._columns[0])

    def add(self, *values: int) -> None:
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def at(self, rows: Numbers) -> Columns:
        """Return some rows; all of them are looked at where they lie, and only those are copied."""
        if not len(rows):
            return Columns(*(np.empty(0, dtype=np.int64) for _ in self._columns))
        return Columns(*(np.frombuffer(one, dtype=np.int64)[rows] for one in self._columns))

    def all(self) -> Columns:
        """Return every row."""
        return self.at(np.arange(len(self), dtype=np.int64))


class _Epoch:
    """An epoch that goes on: its entries about people, and by handle whom each is about.

    A crowd comes again and again: of a large set its people are noted once, and each of its entries once.
    """

    def __init__(self) -> None:
        self.rows = _Rows()
        self.hidden: list[int] = []  # rows whose handles a key hid for good
        self._of: dict[bytes, array[int]] = {}  # by handle rows about few
        self._crowds_of: dict[bytes, array[int]] = {}  # by handle numbers of crowds
        self._crowds: list[array[int]] = []  # by number the rows of a crowd
        self._known: dict[bytes, int] = {}

    def note(self, row: int, handles: Iterable[bytes]) -> None:
        """Note whom a row is about."""
        people = sorted(handles)
        if len(people) < CROWD:
            for handle in people:
                self._of.setdefault(handle, array("q")).append(row)
            return
        name = sha256(b"".join(people)).digest()
        number = self._known.setdefault(name, len(self._crowds))
        if number == len(self._crowds):
            self._crowds.append(array("q"))
            for handle in people:
                self._crowds_of.setdefault(handle, array("q")).append(number)
        self._crowds[number].append(row)

    def about(self, handle: bytes) -> list[int]:
        """Return the rows about whoever has a handle; those whose handles are hidden are not among them."""
        found = list(self._of.get(handle, ()))
        for number in self._crowds_of.get(handle, ()):
            found += self._crowds[number]
        return found


class Own:
    """Finds them.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.RLock()
        self._words: list[str] = []
        self._numbers: dict[str, int] = {}
        self._open: dict[int, _Epoch] = {}
        self._done = 0  # leaves of epochs that go on, up to here, were read
        self._held: Held[PersonId, tuple[int, Columns]] = Held(HELD)

    def forget(self) -> None:
        """Hold no list of anybody any more: somebody was erased."""
        self._held.forget()

    def number(self, word: str) -> int:
        """Return the number of a kind or a purpose; -1 of one that no entry has."""
        return self._numbers.get(word, -1)

    def word(self, number: int) -> str:
        """Return the kind or the purpose of a number."""
        return self._words[number]

    def keep_up(self) -> None:
        """Read what came since, so that whoever asks waits for little."""
        with self._lock:
            self._read()

    def of(self, person: PersonId) -> Columns:
        """Return every entry about a person.

        Raises:
            MissingError: They are being erased, or an index was deleted that cannot be made again.
            TamperedError: An index or a side-car was changed.
        """
        desk = self._desk
        (subject,) = desk.subjects([person])
        with self._lock:
            closed = self._read()
            done, found = self._held.get(person) or (0, _Rows().all())
            if done < closed:
                found = found.then(self._closed(subject.key, done, closed))
                self._held.put(person, (closed, found), 200 + len(found) * EACH)
            for epoch in sorted(self._open):
                found = found.then(self._going(subject.key, epoch))
            return found

    def _closed(self, key: bytes, first: int, stop: int) -> Columns:
        index = self._desk.index
        places = [
            place
            for epoch in range(first, stop)
            for place in index.places(epoch, epoch_key(key, epoch))
        ]
        rows = _Rows()
        for at, leaf in self._desk.ledger.pick(places):
            self._add(rows, at, leaf)
        return rows.all()

    def _going(self, key: bytes, epoch: int) -> Columns:
        held = self._open[epoch]
        own = epoch_key(key, epoch)
        found = held.about(label_of(own)[:HANDLE])
        for row in held.hidden:
            (index,) = held.rows.at(np.array([row], dtype=np.int64)).index.tolist()
            people = self._desk.ledger.opening(index).people
            if item_of(own, people.nonce) in people.items:
                found.append(row)
        return held.rows.at(np.array(sorted(found), dtype=np.int64))

    def _read(self) -> int:
        """Take the newest leaves; return how many epochs are closed."""
        ledger = self._desk.ledger
        epochs, size = ledger.epochs, ledger.size
        closed = epochs.closed()
        for epoch in [one for one in self._open if one < closed]:
            del self._open[epoch]
        start = max(self._done, epochs.begin(closed))
        for index, raw, leaf, opening in ledger.openings(start, size, opens=_about_people):
            if opening is None:
                continue
            epoch = epochs.of(index)
            held = self._open.setdefault(epoch, _Epoch())
            row = len(held.rows)
            try:
                held.note(row, ledger.handles_in(raw, opening, epoch=epoch))
            except ShreddedError:
                held.hidden.append(row)
            self._add(held.rows, index, leaf)
            self._done = index + 1
        self._done = max(self._done, size)
        return closed

    def _add(self, rows: _Rows, index: int, leaf: Mapping[str, Any]) -> None:
        purpose = str(leaf.get("pub", {}).get("purpose", NO_PURPOSE))
        rows.add(index, int(leaf["t"]), self._word(leaf["k"]), self._word(purpose))

    def _word(self, word: str) -> int:
        found = self._numbers.setdefault(word, len(self._words))
        if found == len(self._words):
            self._words.append(word)
        return found


def _about_people(leaf: dict[str, Any]) -> bool:
    return bool(leaf["sub"] != _NOBODY)
