"""Keeps the tracks up with the ledger, and at rest.

Holds: what is at rest only saves time. It is sealed under the key of an index epoch, which every erasure destroys, and
bound to its place and to the root that the ledger had then; what does not open, lies elsewhere or is of another history
is thrown away and read again from leaves. An older copy only tells less, and the rest is read again.
Does not hold: that people of an entry are all there; closing an epoch checks that. Here the handles of an open epoch
and the lists of a closed one are believed, each sealed by the keeper.
"""

from __future__ import annotations

import hmac
import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from safehold.errors import MissingError, SafeholdError, ShreddedError, TamperedError
from safehold.incident.tracks import NONE, OPENED, TABLES, Tracks
from safehold.ledger.entry import INDEX_SEGMENT, Opening
from safehold.ledger.files import replace_file
from safehold.ledger.subjects import HANDLE, epoch_key, item_of, label_of

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
_PLACE: Final = b"sh/reach/place/v1"
_FILE: Final = b"sh/reach/file/v1"
_PAD: Final = 1 << 16  # bytes: how long a file is says little
VERSION: Final = 1
EACH: Final = 1 << 16  # leaves of one file
ENOUGH: Final = 1 << 12  # new leaves that are worth writing down
# after one of these, what may be opened is no longer what it was
MOVING: Final = frozenset(
    {"ingest", "access.result", "compaction", "derived", "erasure", "retention", "choice"}
)


class Index:
    """The tracks of one ledger.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._secret = desk.vault.derive("reach")
        self._directory: Path = desk.home.index
        self._lock = threading.RLock()
        self._labels: dict[int, dict[bytes, int]] = {}
        self._lists: dict[int, dict[int, int]] = {}
        self._living: dict[str, bytes] = {}  # ledger keys by tag
        self._starts: list[dict[str, int]] = []  # how large each table was where each file begins
        self.people: dict[int, str] = {}  # who has a place
        self.moves = 0  # leaves after which what may be opened is another
        self.read = 0  # leaves that this process read; the rest was at rest
        self.tracks = self._fresh()
        self._who: dict[str, str] = {}
        self._saved = 0  # leaves that are at rest
        self._loaded = False
        self._asked = False

    def _fresh(self) -> Tracks:
        return Tracks(lambda name: hmac.digest(self._secret, name.encode(), "sha256")[:16].hex())

    def catch_up(self) -> Tracks:
        """Read the leaves that came since the last time, and return the tracks up to now."""
        with self._lock:
            desk = self._desk
            fresh = not self._loaded
            if fresh:
                self._load()
                self._loaded = True
            size, start = desk.ledger.size, self.tracks.done
            if fresh or start < size:
                self._asked = False  # who is there is asked when the first leaf about people comes
                erased = self._read(start, size)
                if fresh or erased:
                    self._know()
                if self._asked:
                    self._name()
                if self._asked and self.tracks.prune(self._living):
                    self._save(0)
                elif size - self._saved >= ENOUGH:
                    self._save(self._saved // EACH)
            return self.tracks

    def save(self) -> None:
        """Write down everything up to now."""
        with self._lock:
            if self._loaded and self.tracks.done > self._saved:
                self._save(self._saved // EACH)

    def _know(self) -> None:
        """Ask who is there."""
        held = self._desk.vault.subjects.living()
        self._living = {self._tag(key): key for key in held.values()}
        self._who = {self._tag(key): person for person, key in held.items()}
        self._labels.clear()
        self._lists.clear()
        self._asked = True

    def _name(self) -> None:
        self.people = {
            place: self._who[tag]
            for place, tag in enumerate(self.tracks.places)
            if tag in self._who
        }

    def _tag(self, key: bytes) -> str:
        return hmac.digest(key, _PLACE, "sha256")[:16].hex()

    def _read(self, start: int, size: int) -> bool:
        erased = False
        self.read += size - start
        for index, raw, leaf, opening in self._desk.ledger.openings(
            start, size, opens=lambda leaf: leaf["k"] in OPENED
        ):
            if index % EACH == 0:
                self._mark(index // EACH)
            people = (0, 0)
            if leaf["k"] == "access.intent" and opening is not None and opening.people.items:
                people = self._people(index, raw, opening)
            self.tracks.take(index, leaf, opening, people)
            self.moves += leaf["k"] in MOVING
            erased = erased or leaf["k"] == "erasure"
        return erased

    def _people(self, index: int, raw: bytes, opening: Opening) -> tuple[int, int]:
        """Return the bits of the living people of an entry, and how many of it are gone."""
        if not self._asked:
            self._know()
        ledger = self._desk.ledger
        epoch = ledger.epochs.of(index)
        try:
            handles = ledger.handles_in(raw, opening, epoch=epoch)
        except ShreddedError:
            return self._left(index, opening, epoch)
        if epoch not in self._labels:
            self._labels[epoch] = {
                label_of(epoch_key(key, epoch))[:HANDLE]: self.tracks.place(tag)
                for tag, key in self._living.items()
            }
        known, bits, gone = self._labels[epoch], 0, 0
        for handle in handles:
            place = known.get(handle)
            if place is None:
                gone += 1
            else:
                bits |= 1 << place
        return bits, gone

    def _left(self, index: int, opening: Opening, epoch: int) -> tuple[int, int]:
        """Return the same of an entry whose handles were hidden for good by an erasure: by the lists of its epoch."""
        if epoch not in self._lists:
            self._lists[epoch] = self._list(epoch)
        real = len(opening.people.items) - len(opening.people.padding())
        if index in self._lists[epoch] or NONE not in self._lists[epoch]:
            bits = self._lists[epoch].get(index, 0)
        else:  # the lists are gone too: everybody is tried
            bits = 0
            for tag, key in self._living.items():
                if item_of(epoch_key(key, epoch), opening.people.nonce) in opening.people.items:
                    bits |= 1 << self.tracks.place(tag)
        return bits, real - bits.bit_count()

    def _list(self, epoch: int) -> dict[int, int]:
        """Return by entry of a closed epoch the bits of its people; with an entry -1 if the lists are gone."""
        try:
            _, rows = self._desk.index.tree(epoch)
        except (MissingError, ShreddedError):
            return {NONE: 0}
        found: dict[int, int] = {}
        for tag, key in self._living.items():
            own = epoch_key(key, epoch)
            row = rows.get(label_of(own))
            if row is not None:
                bit = 1 << self.tracks.place(tag)
                for index in row.places(own):
                    found[index] = found.get(index, 0) | bit
        return found

    # at rest: file n holds what leaves n * EACH to (n + 1) * EACH added

    def _mark(self, number: int) -> None:
        """Remember what is there before the leaves of a file."""
        del self._starts[number:]
        tracks = self.tracks
        self._starts.append(
            {
                **{name: len(table) for name, table in tracks.tables.items()},
                "words": len(tracks.words.all),
                "sets": len(tracks.sets),
                "places": len(tracks.places),
            }
        )

    def _save(self, first: int) -> None:
        """Write the files from one on; a disk that refuses costs time at the next start and nothing else."""
        tracks, ledger = self.tracks, self._desk.ledger
        if (
            first == 0
        ):  # after somebody was taken out, sets and places are others from the beginning
            self._rebase()
        epoch = ledger.epochs.current
        try:
            self._directory.mkdir(exist_ok=True, mode=0o700)
            seal = self._desk.vault.sidecar.batch(segment=INDEX_SEGMENT, month=epoch)
            for number in range(first, len(self._starts)):
                start, stop = number * EACH, min((number + 1) * EACH, tracks.done)
                plain = orjson.dumps(self._part(number), option=orjson.OPT_SERIALIZE_NUMPY)
                plain += b" " * (-len(plain) % _PAD)
                (sealed,) = seal([plain], [self._bound(number, start, stop)])
                head = epoch.to_bytes(4, "big") + stop.to_bytes(8, "big")
                replace_file(self._path(number), head + sealed)
        except (OSError, SafeholdError) as error:
            _LOG.warning("the tracks are not kept: %s", type(error).__name__)
            return
        self._saved = tracks.done

    def _rebase(self) -> None:
        """Let the first file hold all words, sets and places; rows stay where their leaves are."""
        tracks = self.tracks
        for at, start in enumerate(self._starts):
            if at:
                start |= {
                    "words": len(tracks.words.all),
                    "sets": len(tracks.sets),
                    "places": len(tracks.places),
                }

    def _part(self, number: int) -> dict[str, Any]:
        tracks, start = self.tracks, self._starts[number]
        there = self._starts[number + 1] if number + 1 < len(self._starts) else None

        def cut(name: str, rows: list[Any]) -> list[Any]:
            return rows[start[name] :] if there is None else rows[start[name] : there[name]]

        return {
            "v": VERSION,
            "words": cut("words", tracks.words.all),
            "sets": [format(bits, "x") for bits in cut("sets", tracks.sets)],
            "places": cut("places", tracks.places),
            "tables": {
                name: {
                    column: values[: None if there is None else there[name] - start[name]]
                    for column, values in table.cut(start[name]).items()
                }
                for name, table in tracks.tables.items()
            },
            "moves": self.moves,
        }

    def _load(self) -> None:
        """Take over what is at rest, as far as it holds."""
        number = 0
        while self._path(number).exists():
            try:
                part, stop = self._open(number)
            except (OSError, SafeholdError, ValueError, IndexError) as error:
                _LOG.warning(
                    "tracks are read again from leaf %d: %s", number * EACH, type(error).__name__
                )
                break
            self._mark(number)
            self._take_over(part)
            self.tracks.done = stop
            number += 1
            if stop % EACH:
                break
        self._saved = self.tracks.done

    def _open(self, number: int) -> tuple[Mapping[str, Any], int]:
        data = self._path(number).read_bytes()
        epoch, stop = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:12], "big")
        start = number * EACH
        if not start < stop <= min(start + EACH, self._desk.ledger.size):
            raise TamperedError("tracks of leaves that are not there", rule="reach.range")
        plain = self._desk.vault.sidecar.open(
            segment=INDEX_SEGMENT,
            month=epoch,
            sealed=data[12:],
            aad=self._bound(number, start, stop),
        )
        part: Mapping[str, Any] = orjson.loads(plain)
        if part["v"] != VERSION:
            raise TamperedError("tracks of another version", rule="reach.version")
        return part, stop

    def _take_over(self, part: Mapping[str, Any]) -> None:
        tracks = self.tracks
        for word in part["words"]:
            tracks.words.number(word)
        for bits in part["sets"]:
            tracks.number_set(int(bits, 16))
        for tag in part["places"]:
            if tag:
                tracks.place(tag)
            else:
                tracks.places.append("")
        for name in TABLES:
            tracks[name].extend(part["tables"][name])
        self.moves = max(self.moves, int(part["moves"]))

    def _bound(self, number: int, start: int, stop: int) -> bytes:
        place = b"".join(one.to_bytes(8, "big") for one in (number, start, stop))
        return _FILE + place + self._desk.ledger.root_at(stop)

    def _path(self, number: int) -> Path:
        return self._directory / f"reach-{number:06}.blk"
