"""The lineage in memory: every dataset that holds, read once, and a piece of it read again at each look.

Holds: what a look returns was written by this keeper and checked: its code, its row, its edges. What this keeper has
written since the last look is read at this one. Besides, each look reads the next ``PAGE`` rows of all there are with
their edges, round and round: a row that was changed, taken away or put there by somebody else is found when its turn
comes, and in a home of up to ``PAGE`` datasets at once. Until then the keeper goes by what it wrote.
Does not hold: that somebody's change of a row is told at the next look. Whoever must know asks for the whole.

Why not everything each time: a build names every source that it was made from, so edges grow with builds times sources.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from sys import intern
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import sqlalchemy as sa

from safehold.catalog import tables
from safehold.catalog.parents import Names, Parents
from safehold.errors import TamperedError

if TYPE_CHECKING:
    from safehold.catalog.lineage import Node

PAGE: Final = 500  # rows of all there are that one look reads again
PAGE_EDGES: Final = 20_000  # and edges, but for those of its last row
AT_ONCE: Final = 50  # rows on their way at once: one of a build can be some hundred KB
_EDGES: Final = 500  # edges on their way at once
_FEW: Final = 100  # rows looked up by name in one statement
_WAITS_S: Final = (
    3_600.0  # how long a row that was written is looked for: its transaction may have failed
)
_MARK: Final = 32  # bytes of a digest
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_LOST: Final = "lost"


class Outlook:
    """What is known of the lineage.

    Args:
        engine: The control database.
        check: Returns the node of a row whose code is right, else raises ``TamperedError``.
    """

    def __init__(self, engine: sa.Engine, check: Callable[[Any], Node]) -> None:
        self._engine = engine
        self._check = check
        self._lock = threading.Lock()
        self._written: dict[str, float] = {}  # by id until when its row is looked for
        self.names = Names()
        # by number of a name
        self._nodes: list[Node | None] = []
        self._marks = bytearray()  # digests of what rows said when they were checked
        self._turns = bytearray()  # in which round a row was seen last
        self._round = 1
        self._at: str | None = None  # where the next page begins
        self._complete = False
        self._wrong: dict[str, tuple[str, int]] = {}  # by id its kind, and the round
        self._shown: dict[str, Node] = {}
        self._newest: tuple[int, int] = (-1, -1)
        self._added: list[Node] = []
        self._mended = False  # something is other than additions
        self.rows = 0  # how many rows were read so far
        self.edges = 0

    def note(self, dataset: str) -> None:
        """Say that a row was written, in a transaction that may still fail."""
        self._written[dataset] = time.monotonic() + _WAITS_S

    def look(self, *, whole: bool = False) -> tuple[dict[str, Node], dict[str, str]]:
        """Return every dataset that holds, oldest first, and by id the kind of those whose rows were changed.

        Args:
            whole: Read every row again.
        """
        with self._lock:
            with self._engine.execution_options(reading=True).begin() as connection:
                if whole or not self._complete:
                    self._begin_anew()
                self._take_written(connection)
                if whole or not self._complete:
                    while not self._turn_page(connection):
                        pass
                    self._complete = True
                else:
                    self._turn_page(connection)
            return self._show(), {name: kind for name, (kind, _) in self._wrong.items()}

    def same(self, row: Any) -> Node | None:
        """Return the node of a row that says byte for byte what it said when it was checked, whatever its edges say."""
        number = self.names.find(row.id)
        if not 0 <= number < len(self._nodes):
            return None
        mark, place = (
            hashlib.sha256(row.label).digest(),
            slice(number * _MARK, (number + 1) * _MARK),
        )
        node = self._nodes[number]
        # the mark is looked at last: it is taken away before another node comes to its place
        if node is None or (row.kind, row.created_us) != (node.kind, node.created_us):
            return None
        return node if self._marks[place] == mark else None

    def below(self, datasets: Iterable[str], nodes: Mapping[str, Node]) -> list[str]:
        """Return what was made of some datasets, however often in between, oldest first.

        Args:
            datasets: Their ids.
            nodes: What a look returned.
        """
        wanted = np.zeros(len(self.names), dtype=bool)
        # what another look names meanwhile is nobody's parent among these nodes
        starts = [n for one in datasets if 0 <= (n := self.names.find(one)) < len(wanted)]
        wanted[starts] = True
        made = [
            (node.id, node.parents) for node in nodes.values() if isinstance(node.parents, Parents)
        ]
        found: dict[str, None] = {}
        before = -1
        while len(found) > before:  # once, and once more to see that nothing was left behind
            before = len(found)
            for name, parents in made:
                if name not in found and parents.meets(wanted):
                    found[name] = None
                    wanted[self.names.find(name)] = True
        return list(found)

    def _begin_anew(self) -> None:
        """Begin a round in which nothing was seen yet: what half a round came upon may be gone since."""
        self._at = None
        self._turns = bytearray(len(self._turns))
        self._wrong = {name: (kind, 0) for name, (kind, _) in self._wrong.items()}

    def _take_written(self, connection: sa.Connection) -> None:
        now, waiting = time.monotonic(), list(self._written)
        for start in range(0, len(waiting), _FEW):
            some = waiting[start : start + _FEW]
            row, edge = tables.dataset.c.id.in_(some), tables.edge.c.child.in_(some)
            page, _ = self._read(connection, sa.select(tables.dataset).where(row), edge)
            for name in page:
                self._written.pop(name, None)
            for name in some:
                if self._written.get(name, now) < now:
                    self._written.pop(name, None)

    def _turn_page(self, connection: sa.Connection) -> bool:
        """Read the next page; return whether it was the last of a round."""
        query = sa.select(tables.dataset)
        edge: sa.ColumnElement[bool] = sa.true()
        if self._at is not None:
            query = query.where(tables.dataset.c.id > self._at)
            edge = tables.edge.c.child > self._at
        query = query.order_by(tables.dataset.c.id).limit(PAGE)
        page, cut = self._read(connection, query, edge, ends=True)
        if cut:
            self._at = next(reversed(page))
            return False
        self._at = None
        self._end_round()
        return True

    def _end_round(self) -> None:
        """Forget what this round did not come upon."""
        for number, node in enumerate(self._nodes):
            if node is not None and self._turns[number] != self._round:
                self._drop(number)
        for name, (_, turn) in list(self._wrong.items()):
            if turn != self._round:
                del self._wrong[name]
        self._round = 3 - self._round

    def _read(
        self,
        connection: sa.Connection,
        query: sa.Select[Any],
        among: sa.ColumnElement[bool],
        *,
        ends: bool = False,
    ) -> tuple[dict[str, Node | None], bool]:
        """Take rows and then their edges.

        Args:
            connection: The connection.
            query: Which rows.
            among: Which edges.
            ends: It is a page: it may be cut off, its edges end with it then, and an edge of no row is lost.

        Returns:
            What the rows say, None of one that does not hold; and whether the page was cut off.
        """
        page: dict[str, Node | None] = {}
        weight = 0
        for row in stream(connection, query, AT_ONCE):
            self.rows += 1
            page[row.id] = node = self._take(row)
            weight += 0 if node is None else len(node.parents)
            if ends and weight >= PAGE_EDGES:
                break
        cut = ends and (len(page) == PAGE or weight >= PAGE_EDGES)
        if cut:
            among = sa.and_(among, tables.edge.c.child <= next(reversed(page)))
        edges = sa.select(tables.edge).where(among).order_by(tables.edge.c.child)
        waiting = {name for name, node in page.items() if node is not None and node.parents}
        for name, several in groupby(stream(connection, edges, _EDGES), lambda one: one.child):
            found = sorted(one.parent for one in several)
            self.edges += len(found)
            waiting.discard(name)
            node = page.get(name)
            if node is not None and found != list(node.parents):
                self._refuse(name, node.kind)
            elif ends and name not in page:
                self._wrong[name] = (_LOST, self._round)
        for name in waiting:  # the edges of it are gone
            self._refuse(name, str(getattr(page[name], "kind", _LOST)))
        return page, cut

    def _take(self, row: Any) -> Node | None:
        number = self._place(row.id)
        mark = hashlib.sha256(row.label).digest()
        place = slice(number * _MARK, (number + 1) * _MARK)
        node = self._nodes[number]
        if node is None or (row.kind, row.created_us, mark) != (
            node.kind, node.created_us, bytes(self._marks[place]),
        ):  # fmt: skip
            try:
                fresh = self._small(number, self._check(row))
            except TamperedError:
                self._refuse(row.id, str(row.kind))
                return None
            if node is not None:
                self._drop(number)
            self._marks[place] = bytes(_MARK)  # see ``same``
            self._nodes[number] = node = fresh
            self._marks[place] = mark
            self._added.append(fresh)
        self._turns[number] = self._round
        self._wrong.pop(row.id, None)
        return node

    def _place(self, name: str) -> int:
        number = self.names.number(name)
        if more := len(self.names) - len(self._nodes):
            self._nodes += [None] * more
            self._marks += bytes(more * _MARK)
            self._turns += bytes(more)
        return number

    def _refuse(self, name: str, kind: str) -> None:
        self._drop(self._place(name))
        self._wrong[name] = (kind, self._round)

    def _drop(self, number: int) -> None:
        if self._nodes[number] is not None:
            self._nodes[number] = None
            self._mended = True

    def _small(self, number: int, node: Node) -> Node:
        """Return a node that shares with others what it says alike; labels do by themselves."""
        return replace(
            node,
            id=self.names[number],
            kind=intern(node.kind),
            parents=Parents(self.names, node.parents) if node.parents else (),
            facts=node.facts or _NOTHING,
        )

    def _show(self) -> dict[str, Node]:
        """Return all nodes in order; the same again as long as nothing changed."""
        if not self._added and not self._mended:
            return self._shown
        added = sorted(self._added, key=_order)
        if self._mended or _order(added[0]) < self._newest:
            everything = sorted((one for one in self._nodes if one is not None), key=_order)
            self._shown = {one.id: one for one in everything}
            self._newest = _order(everything[-1]) if everything else (-1, -1)
        else:
            self._shown = self._shown | {one.id: one for one in added}
            self._newest = _order(added[-1])
        self._added, self._mended = [], False
        return self._shown


def _order(node: Node) -> tuple[int, int]:
    """Within one microsecond in the order of their intents, so that a parent comes before its child."""
    return node.created_us, int(node.facts.get("intent", -1))


def stream(connection: sa.Connection, query: sa.Select[Any], count: int) -> Iterator[sa.Row[Any]]:
    """Yield rows as they come, so that there is never a list of all of them."""
    with connection.execute(query.execution_options(yield_per=count)) as rows:
        yield from rows
