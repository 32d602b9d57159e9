"""What could be opened: every live block and what was made of it, column by column.

Holds: blocks whose keys were destroyed are not in it, since the register forgets them with their keys. A reach is an
upper bound: it does not ask who took part, so that it never tells who chose what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.access.grant import DERIVED, EMBEDDING
from safehold.access.people import PeopleFilter
from safehold.catalog.lineage import MODEL, SOURCE, Node
from safehold.catalog.mirror import Held, Mirror
from safehold.catalog.register import TELEMETRY
from safehold.clock import SECOND_US
from safehold.incident.tracks import Tracks

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

Mask = NDArray[np.bool_]
FRESH_US: Final = 60 * SECOND_US  # what ends by the clock ends without a leaf of its own
_WORDS: Final = ("person", "stream", "segment", "sources", "kind", "purposes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What one grant covered, for as long as it lived.

    Args:
        purpose: Its purpose.
        segments: Segments.
        streams: Streams.
        first: First day.
        last: Last day.
        people: Whom it means.
        until: When it ended, milliseconds.
    """

    purpose: str
    segments: frozenset[str]
    streams: frozenset[str]
    first: int
    last: int
    people: PeopleFilter
    until: int


class Holdings:
    """The blocks of one home.

    Args:
        desk: What the keeper works with.
        models: Returns whether a model still opens.
        pooled: Returns whether a table of several people still opens.
    """

    def __init__(
        self, desk: Desk, *, models: Callable[[str], bool], pooled: Callable[[Node], bool]
    ) -> None:
        self._desk = desk
        self._models = models
        self._pooled = pooled
        self._mirror = Mirror(desk.engine, key=desk.vault.derive("catalog-mac"))
        self._seen, self._at_us = -1, 0
        self._held: list[Held] = []
        self.names: dict[str, list[Any]] = {}
        self._column: dict[str, NDArray[np.int64]] = {}
        self.nodes: dict[str, Node] = {}
        self.broken: dict[str, str] = {}
        self._born: NDArray[np.int64] = np.zeros(0, np.int64)
        self._alive: Mask = np.zeros(0, dtype=bool)

    @property
    def changed(self) -> int:
        """How many rows of the register do not hold."""
        return self._mirror.broken + len(self.broken)

    def refresh(self, tracks: Tracks, *, moves: int) -> None:
        """Look again if anything came in, was made or ended since the last time.

        Args:
            tracks: What the ledger tells.
            moves: How many leaves changed what there is.
        """
        now = self._desk.now_us()
        if moves == self._seen and 0 <= now - self._at_us < FRESH_US:
            return
        self._held = self._mirror.refresh()
        self.nodes, self.broken = self._desk.lineage.look()
        for at, field in enumerate(Held._fields):
            values = [one[at] for one in self._held]
            if field not in _WORDS:
                self._column[field] = np.array(values, dtype=np.int64)
                continue
            names = list(dict.fromkeys(values))
            number = {name: index for index, name in enumerate(names)}
            self.names[field] = names
            self._column[field] = np.array([number[one] for one in values], dtype=np.int64)
        born, find = self._born_of(tracks), tracks.words.find

        def since(source: str) -> int:
            number = find(source)
            return int(born[number]) if 0 <= number < len(born) else 0

        # a block that several were joined to is there since the first of them was
        by_source = np.array(
            [min(map(since, several)) for several in self.names["sources"]], dtype=np.int64
        )
        self._born = by_source[self._column["sources"]] if len(self._held) else by_source
        self._alive = self._column["expires"] > self._desk.today()
        self._seen, self._at_us = moves, now

    @staticmethod
    def _born_of(tracks: Tracks) -> NDArray[np.int64]:
        """Return since when each source or build was there, milliseconds, by its number as a word.

        What no leaf tells of was there always: 0.
        """
        known, made, uses = tracks["born"], tracks["made"], tracks["uses"]
        rows, things, sources, at = made["row"], made["what"], known["what"], known["at"]
        of_use, told = uses["at"], (rows >= 0) & (things >= 0)
        # words last: whoever reads leaves meanwhile adds some
        found = np.zeros(len(tracks.words.all), dtype=np.int64)
        # of several the first counts, and what was taken in before what was made: so it is written last
        found[things[told][::-1]] = of_use[rows[told][::-1]]
        found[sources[sources >= 0][::-1]] = at[sources >= 0][::-1]
        return found

    def all(self) -> Mask:
        """Return every block whose time is not over."""
        return self._alive.copy()

    def none(self) -> Mask:
        """Return no block."""
        return np.zeros(len(self._held), dtype=bool)

    def where(self, field: str, wanted: Callable[[Any], bool]) -> Mask:
        """Return the blocks whose word in a column is wanted; each word is asked for once."""
        chosen = np.array([wanted(one) for one in self.names[field]], dtype=bool)
        return chosen[self._column[field]] if len(self._held) else self.none()

    def of_segments(self, segments: Collection[str]) -> Mask:
        """Return the blocks of some segments."""
        return self.where("segment", lambda one: one in segments)

    def of_people(self, people: Collection[str]) -> Mask:
        """Return the blocks of some people."""
        return self.where("person", lambda one: one in people)

    def of_sources(self, sources: Collection[str]) -> Mask:
        """Return the blocks of some sources and builds."""
        wanted = frozenset(sources)
        return self.where("sources", lambda several: not wanted.isdisjoint(several))

    def reach(self, terms: Terms) -> tuple[Mask, list[Node]]:
        """Return the blocks that a grant covered, and the tables of several people."""
        if not len(self._held):
            return self.none(), []
        derived = bool({DERIVED, EMBEDDING} & terms.streams)
        everybody = self._desk.people.everybody()
        mask = self._alive & self.of_segments(terms.segments)
        mask &= self.where("stream", lambda one: one in terms.streams)
        mask &= self.where("purposes", lambda one: terms.purpose in one)
        mask &= self.where(
            "person",
            lambda one: one in everybody and terms.people.chooses(one, everybody[one].jurisdiction),
        )
        mask &= self._born <= terms.until
        within = self.where(
            "sources", lambda several: all(self._within(one, terms) for one in several)
        )
        telemetry = self.where("kind", lambda one: one == TELEMETRY)
        window = self._column["window"]
        mask &= np.where(telemetry, (terms.first <= window) & (window <= terms.last), within)
        tables = [
            node
            for node in self.nodes.values()
            if derived
            and node.pooled
            and terms.purpose in node.label.purposes
            and terms.first <= node.label.first_day
            and node.label.last_day <= terms.last
            and node.created_us // 1000 <= terms.until
            and self._pooled(node)
        ]
        return mask, tables

    def _within(self, source: str, terms: Terms) -> bool:
        """Return whether all days behind something derived are days of a grant; of what nobody can say, yes."""
        node = self.nodes.get(source)
        if node is None:
            return True
        return terms.first <= node.label.first_day and node.label.last_day <= terms.last

    def people(self, mask: Mask) -> set[str]:
        """Return whose blocks some are."""
        return set(self._words("person", mask))

    def days(self, mask: Mask) -> list[int]:
        """Return the days of the telemetry among some blocks, or behind what was made of it."""
        telemetry = self.where("kind", lambda one: one == TELEMETRY)
        found = set(np.unique(self._column["window"][mask & telemetry]).tolist())
        for source in self.sources(mask & ~telemetry):
            if source in self.nodes:
                label = self.nodes[source].label
                found |= set(range(label.first_day, label.last_day + 1))
        return sorted(found)

    def sources(self, mask: Mask) -> list[str]:
        """Return the sources and builds that some blocks are of."""
        return list(
            dict.fromkeys(one for several in self._words("sources", mask) for one in several)
        )

    def classes(self, mask: Mask) -> tuple[set[str], set[str]]:
        """Return the streams of telemetry in or behind some blocks, and their terms in the charter."""
        streams: set[str] = set()
        terms: set[str] = set()
        telemetry = self.where("kind", lambda one: one == TELEMETRY)
        streams |= set(self._words("stream", mask & telemetry))
        for source in self.sources(mask):
            if source in self.nodes:
                label = self.nodes[source].label
                terms |= label.categories
                if self.nodes[source].kind != SOURCE:
                    streams |= label.streams
        return streams, terms

    def _words(self, field: str, mask: Mask) -> list[Any]:
        names = self.names[field]
        return [names[one] for one in np.unique(self._column[field][mask]).tolist()]

    def count(self, mask: Mask) -> int:
        """Return how many blocks some are."""
        return int(np.count_nonzero(mask))

    def below(self, names: Iterable[str]) -> list[str]:
        """Return what was made of some datasets, however often in between; oldest first."""
        return self._desk.lineage.outlook.below(names, self.nodes)

    def above(self, names: Iterable[str]) -> set[str]:
        """Return some datasets and what they were made from."""
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                node = self.nodes.get(name)
                waiting += () if node is None else node.parents
        return found

    def tell(self, name: str) -> Mapping[str, Any]:
        """Return what is told of a dataset or model: what it is, whether it opens, and for what it may be used."""
        node = self.nodes.get(name)
        if node is None:
            kind = self.broken.get(name, MODEL if name.startswith("art") else "lost")
            return {"id": name, "kind": kind, "status": "broken", "parents": [], "purposes": []}
        return {
            "id": name,
            "kind": node.kind,
            "status": self._status(node),
            "parents": list(node.parents),
            "purposes": sorted(node.label.purposes),
        }

    def _status(self, node: Node) -> str:
        if node.kind == MODEL:
            lives = self._models(node.id)
        elif node.kind == "aggregate":
            lives = True  # it is out, and nothing takes it back
        else:
            lives = self._pooled(node) if node.pooled else node.id in self._sources()
        return "live" if lives else "ended"

    def _sources(self) -> Collection[str]:
        return {one for several in self.names.get("sources", ()) for one in several}
