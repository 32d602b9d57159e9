"""Looks that read a piece at a time against one that reads everything, after histories in which others write too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from unittest.mock import patch

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from safehold.catalog import DatasetLabel, Lineage, outlook
from safehold.catalog.lineage import Node
from safehold.catalog.tables import dataset, edge
from safehold.db import metadata, open_engine

OURS, THEIRS = bytes(32), bytes(31) + b"x"
KINDS = (
    "add", "add", "add", "late", "other keeper", "nobody", "rolled back", "gone", "no edges", "one edge less",
    "one edge more", "lost edge", "word", "kind", "put back", "older copy", "look", "look", "look", "whole", "cut short",
    "whole, cut short", "taken over", "written again",
)  # fmt: skip
STEPS = st.lists(
    st.tuples(st.sampled_from(KINDS), st.integers(0, 40), st.integers(0, 7)),
    min_size=25,
    max_size=50,
)


class Stop(Exception):
    """A database that goes away while something is read."""


class History:
    """A lineage of a keeper, and what happens to its rows."""

    def __init__(self) -> None:
        self.engine = open_engine(Path(":memory:"))
        metadata.create_all(self.engine)
        self.lineage = Lineage(self.engine, key=OURS)
        self.clock = count(1000)
        self.copy: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
        self.touched: set[str] = set()  # whose rows somebody else changed
        self.owned: set[str] = set()  # what this keeper wrote, or read whole
        for number in range(1, 9):
            self.owned.add(self.write(self.lineage, number))
        self.lineage.look()

    def rows(self) -> list[str]:
        with self.engine.begin() as connection:
            return list(
                connection.execute(sa.select(dataset.c.id).order_by(dataset.c.id)).scalars()
            )

    def run(self, statement: Any) -> None:
        with self.engine.begin() as connection:
            connection.execute(statement)

    def some(self, number: int, lineage: Lineage) -> tuple[str, ...]:
        """Return parents that hold, by whatever wrote them."""
        nodes, _ = Lineage(self.engine, key=lineage._key).look()
        there = sorted(nodes)
        return tuple(one for at, one in enumerate(there) if (number + at) % 3) if number % 3 else ()

    def write(self, lineage: Lineage, number: int, *, early: bool = False) -> str:
        now = next(self.clock)
        parents = self.some(number, lineage) if not early else ()
        # names whose order is not that in which they come
        name = f"{number:02}-{now}"
        lineage.add(
            name,
            kind="feature" if parents else "source",
            label=_label(number),
            parents=parents,
            created_us=now - 5000 if early else now,
        )
        return name

    def read(self, *, whole: bool = False, rows: int | None = None) -> None:
        """Look; after some rows the database goes away."""
        left = count(rows if rows is not None else 10_000, -1)
        real = outlook.stream

        def stream(*given: Any) -> Iterator[Any]:
            for row in real(*given):
                if next(left) <= 0:
                    raise Stop
                yield row

        with patch.object(outlook, "stream", stream), suppress(Stop):
            self.lineage.look(whole=whole)

    def happen(self, kind: str, number: int, more: int) -> None:
        names = self.rows()
        one = names[number % len(names)] if names else ""
        match kind:
            case "add" | "late":
                self.owned.add(self.write(self.lineage, number, early=kind == "late"))
            case "other keeper":
                self.write(Lineage(self.engine, key=OURS), number)
            case "nobody":
                self.write(Lineage(self.engine, key=THEIRS), number)
            case "rolled back":
                with suppress(Stop), self.engine.begin() as connection:
                    node = Node(
                        id=f"{number:02}-never", kind="source", label=_label(1), parents=(), created_us=7,
                    )  # fmt: skip
                    self.lineage.insert(connection, node)
                    raise Stop
            case "gone":
                self.run(dataset.delete().where(dataset.c.id == one))
                self.run(edge.delete().where(edge.c.child == one))
            case "no edges":
                self.run(edge.delete().where(edge.c.child == one))
            case "one edge less":
                first = sa.select(sa.func.min(edge.c.parent)).where(edge.c.child == one)
                self.run(
                    edge.delete().where(
                        edge.c.child == one, edge.c.parent == first.scalar_subquery()
                    )
                )
            case "one edge more" | "lost edge":
                child = one if kind == "one edge more" and one else f"{number:02}-lost"
                self.touched.add(child)
                with suppress(sa.exc.IntegrityError):
                    self.run(edge.insert().values(parent=f"{more:02}-lost", child=child))
            case "word":
                others = sa.select(dataset.c.label).order_by(dataset.c.id).offset(more).limit(1)
                self.run(
                    dataset.update().where(dataset.c.id == one).values(
                        label=sa.func.coalesce(others.scalar_subquery(), b"{}")
                    )
                )  # fmt: skip
            case "kind":
                self.run(dataset.update().where(dataset.c.id == one).values(kind="model"))
            case "put back":
                with self.engine.begin() as connection:
                    self.copy = tuple(
                        [dict(row._mapping) for row in connection.execute(sa.select(table))]
                        for table in (dataset, edge)
                    )  # type: ignore[assignment]
                return
            case "older copy":
                if not self.copy[0]:
                    return
                self.touched |= set(names) | {row["id"] for row in self.copy[0]}
                for table, rows in zip((edge, dataset), reversed(self.copy), strict=True):
                    self.run(table.delete())
                    if rows:
                        self.run(table.insert().values(rows))
            case "look":
                self.read()
            case "whole":
                expected = Lineage(self.engine, key=OURS).look()
                _agree(self.lineage.look(whole=True), expected)
            case "cut short" | "whole, cut short":
                self.read(whole=kind != "cut short", rows=number)
            case "taken over":
                self.lineage = Lineage(self.engine, key=OURS)
            case "written again":
                nodes, _ = Lineage(self.engine, key=OURS).look()
                if one in nodes and nodes[one].kind == "source":
                    self.lineage.renew_source(one, _label(more))
                    self.touched.add(one)
        if kind in {"gone", "no edges", "one edge less", "word", "kind"}:
            self.touched.add(one)


def _label(number: int) -> DatasetLabel:
    return DatasetLabel(
        people=1 + number % 3,
        streams=frozenset({f"s{number % 5}"}),
        purposes=frozenset({"train"}),
        jurisdictions=frozenset({f"J{number % 2}"}),
        expires=20_000,
        first_day=19_000 + number,
        last_day=19_500,
    )


def _below(nodes: Mapping[str, Node], starts: list[str]) -> list[str]:
    found: set[str] = set()
    while more := {
        name
        for name, node in nodes.items()
        if name not in found and not {*starts, *found}.isdisjoint(node.parents)
    }:
        found |= more
    return [name for name in nodes if name in found]


@given(STEPS, st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_known_is_what_is_there(
    steps: list[tuple[str, int, int]], page: int, edges: int
) -> None:
    history = History()
    with (
        patch.object(outlook, "PAGE", page),
        patch.object(outlook, "PAGE_EDGES", edges),
        patch.object(outlook, "_FEW", 2),
        patch.object(outlook, "AT_ONCE", 2),
    ):
        for kind, number, more in steps:
            history.happen(kind, number, more)
        # what this keeper wrote and nobody touched is there at once, whatever was read so far
        nodes, broken = history.lineage.look()
        for name in history.owned - history.touched:
            assert name in nodes, name
            for parent in set(nodes[name].parents) - history.touched:  # a label has all of theirs
                assert nodes[parent].label.streams <= nodes[name].label.streams
                assert nodes[parent].label.first_day >= nodes[name].label.first_day
        looks = 2 * (len(history.rows()) + 2)  # two rounds at the most
        expected = Lineage(history.engine, key=OURS).look(whole=True)
        whole = history.lineage.look(whole=True)
        _agree(whole, expected)
        for _ in range(looks):
            nodes, broken = history.lineage.look()
        _agree((nodes, broken), expected)
        for start in [*nodes, "07-lost"]:
            assert history.lineage.outlook.below([start], nodes) == _below(nodes, [start])


@given(STEPS, st.integers(1, 4), st.integers(1, 9))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_rounds_come_upon_everything(
    steps: list[tuple[str, int, int]], page: int, edges: int
) -> None:
    history = History()
    with (
        patch.object(outlook, "PAGE", page),
        patch.object(outlook, "PAGE_EDGES", edges),
        patch.object(outlook, "_FEW", 2),
    ):
        for kind, number, more in steps:
            history.happen(kind, number, more)
        for _ in range(2 * (len(history.rows()) + 3)):
            found = history.lineage.look()
        _agree(found, Lineage(history.engine, key=OURS).look())


def _agree(
    found: tuple[dict[str, Node], dict[str, str]], expected: tuple[dict[str, Node], dict[str, str]]
) -> None:
    assert found[1] == expected[1]
    assert list(found[0]) == list(expected[0])
    for name, node in found[0].items():
        assert node.to_record() == expected[0][name].to_record()
        assert list(node.parents) == list(expected[0][name].parents)
