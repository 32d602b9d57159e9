"""Which dataset was made from which, and what each of them inherits.

Holds: a row says what the keeper wrote, its label and its parents with it, or it is refused; nothing but a source is
written without parents, and nothing ends later than what it was made from unless a declared release made it.

Doesn't: know anything that the ledger does not. Which datasets there ever were is asked of leaves.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final

import sqlalchemy as sa

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.catalog import tables
from safehold.catalog.label import DatasetLabel
from safehold.catalog.outlook import AT_ONCE, Outlook, stream
from safehold.errors import DeniedError, MissingError, SafeholdError, TamperedError

SOURCE, MODEL = "source", "model"
_MARK: Final = b"sh/lineage/v2\0"
_VERSION: Final = 2
_AT_ONCE: Final = 500  # rows
_PEOPLE: Final = b"sh/lineage/people/v1\0"
# what a row of an older version says, which carried no code
_OLD: Final = frozenset(
    {"people", "streams", "purposes", "jurisdictions", "expires", "first_day", "last_day"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One dataset.

    Args:
        id: Its id.
        kind: ``source``, ``feature``, ``table``, ``vectors``, ``model`` or ``aggregate``.
        label: What it inherits.
        parents: What it was made from, sorted: a tuple, or ``Parents``, which equals it.
        created_us: When, microseconds.
        facts: Small facts: ``intent``, ``purpose``, ``mode``, ``recipe``, ``rows``.
        release: Epsilon (millionths) and delta (1e-12) of what a declared declassifier made; None of anything else.
        sealed: Where a table of several people rests; None for what lies in blocks of each person.
    """

    id: str
    kind: str
    label: DatasetLabel
    parents: Sequence[str]
    created_us: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    release: Mapping[str, int] | None = None
    sealed: Mapping[str, Any] | None = None

    @property
    def pooled(self) -> bool:
        """Whether several people's data was made into one table, so that it goes when one of them goes."""
        return self.facts.get("mode") == "pooled"

    def to_record(self) -> dict[str, Any]:
        """Return the node as canonical JSON values."""
        return {
            "v": _VERSION,
            "id": self.id,
            "kind": self.kind,
            "label": self.label.to_record(),
            "parents": list(self.parents),
            "created_us": self.created_us,
            "facts": dict(self.facts),
            "release": None if self.release is None else dict(self.release),
            "sealed": None if self.sealed is None else dict(self.sealed),
        }

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Node:
        """Read a node back."""
        return cls(
            id=record["id"],
            kind=record["kind"],
            label=DatasetLabel.from_record(record["label"]),
            parents=tuple(record["parents"]),
            created_us=record["created_us"],
            facts=record["facts"],
            release=record["release"],
            sealed=record["sealed"],
        )


class Lineage:
    """The graph from source to feature to model.

    Args:
        engine: The control database.
        key: 32 bytes for the MAC over rows, derived from the root.
    """

    def __init__(self, engine: sa.Engine, *, key: bytes) -> None:
        self._engine = engine
        self._key = key
        self.outlook = Outlook(engine, self._open)

    def add(
        self,
        dataset: str,
        *,
        kind: str,
        label: DatasetLabel,
        parents: Sequence[str],
        created_us: int,
        facts: Mapping[str, Any] | None = None,
        release: Mapping[str, int] | None = None,
    ) -> None:
        """Record a dataset and what it was made from; doing it twice changes nothing.

        Args:
            dataset: Its id.
            kind: As in ``Node``.
            label: What it inherits; what its parents carry is joined to it.
            parents: What it was made from; only a source has none.
            created_us: When.
            facts: As in ``Node``.
            release: Epsilon and delta, where a declared declassifier made it.

        Raises:
            DeniedError: No parents, one that nobody knows, or it would outlive them.
            TamperedError: The row of a parent was changed.
        """
        with self._engine.begin() as connection:
            self.insert(
                connection,
                Node(
                    id=dataset,
                    kind=kind,
                    label=label,
                    parents=tuple(sorted(set(parents))),
                    created_us=created_us,
                    facts=dict(facts or {}),
                    release=release,
                ),
            )

    def insert(self, connection: sa.Connection, node: Node) -> Node:
        """Record a node in the caller's transaction, with what its parents carry, and return it as it was written.

        Raises:
            DeniedError: No parents, one that nobody knows, or it would outlive them.
            TamperedError: The row of a parent was changed, or another node has this id.
        """
        known = self._find(connection, [node.id])
        if known:
            return known[node.id]
        if (node.kind == SOURCE) == bool(node.parents):
            raise DeniedError(
                "what is derived names what it was made from, and only a source names nothing",
                rule="lineage.parents",
                fix="register what it was made from first",
            )
        node = inherit_from(node, self._each(connection, node.parents))
        connection.execute(
            tables.dataset.insert().values(
                id=node.id, kind=node.kind, label=self._write(node), created_us=node.created_us
            )
        )
        edges = [{"parent": parent, "child": node.id} for parent in node.parents]
        for start in range(0, len(edges), _AT_ONCE):
            connection.execute(tables.edge.insert(), edges[start : start + _AT_ONCE])
        self.outlook.note(node.id)
        return node

    def node(self, dataset: str) -> Node:
        """Return a dataset.

        Raises:
            MissingError: It is not registered.
            TamperedError: Its row or an edge of it was changed.
        """
        with self._reading() as connection:
            found = self._find(connection, [dataset])
        if not found:
            raise MissingError("no such dataset", rule="catalog.dataset")
        return found[dataset]

    def label(self, dataset: str) -> DatasetLabel:
        """Return the label of a dataset; raises as ``node`` does."""
        return self.node(dataset).label

    def parents(self, dataset: str) -> list[str]:
        """Return what a dataset was made from, sorted; nothing for a source, or for what is not registered.

        Raises:
            TamperedError: Its row or an edge of it was changed.
        """
        with self._reading() as connection:
            found = self._find(connection, [dataset])
        return list(found[dataset].parents) if found else []

    def look(self, *, whole: bool = False) -> tuple[dict[str, Node], dict[str, str]]:
        """Return every dataset that holds, oldest first, and by id the kind of those whose rows were changed.

        What it returns is not to be changed: it is the same again until something is new. See ``outlook``.

        Args:
            whole: Read every row again, and not only what is new and the next piece of the rest.
        """
        return self.outlook.look(whole=whole)

    def above(self, datasets: Iterable[str]) -> dict[str, Node]:
        """Return datasets and everything that they were made from.

        Raises:
            DeniedError: One of them has no label.
            TamperedError: A row or an edge was changed.
        """
        found: dict[str, Node] = {}
        waiting = set(datasets)
        with self._reading() as connection:
            while waiting:
                now = self._find(connection, sorted(waiting))
                if now.keys() != waiting:
                    raise DeniedError(
                        "it has no label, or something that it was made from has none",
                        rule="lineage.label",
                        fix="make it again",
                    )
                found |= now
                waiting = {name for node in now.values() for name in node.parents} - found.keys()
        return found

    def show(self) -> list[dict[str, Any]]:
        """Return every dataset with its kind, label and parents, oldest first; of a changed row only id and kind."""
        nodes, broken = self.look()
        shown: list[dict[str, Any]] = [
            {
                "id": node.id,
                "kind": node.kind,
                "label": node.label.to_record(),
                "parents": list(node.parents),
                "created_us": node.created_us,
                "mode": str(node.facts.get("mode", "")),
                "purpose": str(node.facts.get("purpose", "")),
                **({} if node.release is None else {"release": dict(node.release)}),
            }
            for node in nodes.values()
        ]
        return shown + [
            {"id": name, "kind": kind, "label": None, "parents": [], "broken": True}
            for name, kind in sorted(broken.items())
        ]

    def old_sources(self) -> dict[str, DatasetLabel]:
        """Return sources whose rows an older version wrote, without a code, with what they say."""
        found: dict[str, DatasetLabel] = {}
        with self._reading() as connection:
            for row in connection.execute(
                sa.select(tables.dataset).where(tables.dataset.c.kind == SOURCE)
            ):
                said = canonical.decode(row.label)
                if isinstance(said, dict) and said.keys() <= _OLD:
                    found[row.id] = DatasetLabel.from_record(said)
        return found

    def renew_source(self, source: str, label: DatasetLabel) -> None:
        """Write the row of a source again, with a code."""
        with self._engine.begin() as connection:
            row = connection.execute(
                sa.select(tables.dataset).where(tables.dataset.c.id == source)
            ).one()
            node = Node(id=source, kind=SOURCE, label=label, parents=(), created_us=row.created_us)
            connection.execute(
                tables.dataset.update()
                .where(tables.dataset.c.id == source)
                .values(label=self._write(node))
            )
        self.outlook.note(source)

    def digest(self, people: Iterable[str]) -> str:
        """Return what commits to a set of people; without the key nobody can try names."""
        return hmac.digest(self._key, _PEOPLE + canonical.encode(sorted(people)), "sha256").hex()

    def _reading(self) -> AbstractContextManager[sa.Connection]:
        return self._engine.execution_options(reading=True).begin()

    def _find(self, connection: sa.Connection, names: Sequence[str]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        for start in range(0, len(names), _AT_ONCE):
            some = list(names[start : start + _AT_ONCE])
            edges = self._edges(connection, some)
            query = sa.select(tables.dataset).where(tables.dataset.c.id.in_(some))
            for row in stream(connection, query, AT_ONCE):
                found[row.id] = self._check(row, edges.get(row.id, []))
        return found

    def _each(self, connection: sa.Connection, names: Sequence[str]) -> Iterator[Node]:
        """Yield datasets, some at a time.

        Raises:
            DeniedError: Nobody knows one of them.
            TamperedError: The row of one was changed.
        """
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            found = self._find(connection, some)
            if found.keys() != set(some):
                raise DeniedError("made from something that nobody knows", rule="lineage.parents")
            yield from found.values()

    def _edges(self, connection: sa.Connection, children: Sequence[str]) -> dict[str, list[str]]:
        query = sa.select(tables.edge).where(tables.edge.c.child.in_(children))
        edges: dict[str, list[str]] = {}
        for row in connection.execute(query):
            edges.setdefault(row.child, []).append(row.parent)
        return edges

    def _check(self, row: Any, parents: Sequence[str]) -> Node:
        node = self.outlook.same(row) or self._open(row)
        if sorted(parents) != list(node.parents):
            raise TamperedError("a row of the lineage was changed", rule="catalog.lineage")
        return node

    def _open(self, row: Any) -> Node:
        """Return what a row says, whatever its edges say; raises ``TamperedError``."""
        changed = TamperedError("a row of the lineage was changed", rule="catalog.lineage")
        try:
            said = canonical.decode(row.label)
            mac = unb64(said.pop("mac"))
            good = hmac.compare_digest(self._mac(said), mac)
            node = Node.from_record(said) if good else None  # labels are kept, and only ours
        except (SafeholdError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise changed from error
        if node is None or (row.id, row.kind, row.created_us) != (
            node.id, node.kind, node.created_us,
        ):  # fmt: skip
            raise changed
        return node

    def _write(self, node: Node) -> bytes:
        record = node.to_record()
        return canonical.encode({**record, "mac": b64(self._mac(record))})

    def _mac(self, record: Mapping[str, Any]) -> bytes:
        return hmac.digest(self._key, _MARK + canonical.encode(record), "sha256")


def inherit_from(node: Node, parents: Iterable[Node]) -> Node:
    """Return a node with everything that its parents carry, except what a release ended.

    Kinds of data, places, silos and days unite whatever made it. A release keeps its own end and purposes, which the
    charter states. Sources end day by day and not as one, so the end of a source is that of the blocks that were read.

    Raises:
        DeniedError: It would end later than what it was made from, or serve what that may not.
    """
    label = node.label
    united: dict[str, Any] = label.to_record()
    for parent in parents:
        if parent.release is not None:  # the chain ends there
            continue
        more = parent.label
        for name in ("streams", "jurisdictions", "categories", "silos", "masks", "gates"):
            united[name] = sorted({*united[name], *getattr(more, name)})
        united["first_day"] = min(united["first_day"], more.first_day)
        united["last_day"] = max(united["last_day"], more.last_day)
        united["sensitivity"] = max(united["sensitivity"], more.sensitivity)
        if node.release is not None:
            continue
        if parent.kind == SOURCE:
            continue
        if node.kind == MODEL:  # its row ends with what it was made from, whatever its key does
            united["expires"] = min(united["expires"], more.expires)
        elif label.expires > more.expires:
            raise DeniedError("it would outlive what it was made from", rule="lineage.outlives")
        if not label.purposes <= more.purposes:
            raise DeniedError(
                "it would serve what it was made from may not serve", rule="lineage.purpose"
            )
    return Node.from_record({**node.to_record(), "label": united})
