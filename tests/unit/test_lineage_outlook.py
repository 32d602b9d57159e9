"""What a look at the lineage reads: what is new, and one page of the rest; and what it keeps of edges."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from safehold import canonical
from safehold.catalog import DatasetLabel, Lineage, outlook
from safehold.catalog.lineage import Node
from safehold.catalog.parents import Names, Parents
from safehold.catalog.tables import dataset, edge
from safehold.db import metadata, open_engine
from safehold.errors import TamperedError

COUNT = 40
PAGE = 8
LABEL = DatasetLabel(
    people=3,
    streams=frozenset({"key"}),
    purposes=frozenset({"train"}),
    jurisdictions=frozenset({"DE"}),
    expires=20_000,
    first_day=19_000,
    last_day=19_500,
)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[sa.Engine]:
    held = open_engine(tmp_path / "control.sqlite")
    metadata.create_all(held)
    yield held
    held.dispose()


@pytest.fixture
def lineage(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> Lineage:
    monkeypatch.setattr(outlook, "PAGE", PAGE)
    made = Lineage(engine, key=bytes(32))
    for number in range(COUNT):
        add(made, number)
    return made


def add(lineage: Lineage, number: int, *parents: str) -> str:
    name = f"made_{number:03}" if parents else f"src_{number:03}"
    kind = "feature" if parents else "source"
    lineage.add(name, kind=kind, label=LABEL, parents=parents, created_us=number)
    return name


def rows_of(lineage: Lineage) -> int:
    """Look, and return how many rows were read."""
    before = lineage.outlook.rows
    lineage.look()
    return lineage.outlook.rows - before


def looks_until(lineage: Lineage, wanted: str, *, there: bool = False) -> int:
    """Return how many looks it takes until a row is told as broken, or until it is (not) known."""
    for number in range(1, 2 * COUNT):
        nodes, broken = lineage.look()
        if (wanted in nodes) if there else (wanted in broken):
            return number
    raise AssertionError(f"{wanted} is never told")


def test_a_look_reads_what_is_new_and_one_page(lineage: Lineage) -> None:
    assert rows_of(lineage) >= COUNT  # the first one reads everything
    assert rows_of(lineage) == PAGE
    new = [add(lineage, COUNT + number) for number in range(3)]
    assert rows_of(lineage) == 3 + PAGE
    nodes, broken = lineage.look()
    assert (list(nodes)[-3:], broken) == (new, {})


def test_of_a_larger_home_a_look_reads_no_more(lineage: Lineage) -> None:
    lineage.look()
    before = rows_of(lineage)
    for number in range(COUNT, 4 * COUNT):
        add(lineage, number)
    lineage.look()
    assert rows_of(lineage) == before == PAGE


def test_what_is_known_is_the_same_again(lineage: Lineage) -> None:
    first, _ = lineage.look()
    assert lineage.look()[0] is first
    add(lineage, COUNT)
    assert lineage.look()[0] is not first
    assert len(first) == COUNT  # who still holds the old one sees no change


def test_older_things_that_come_late_stand_where_they_belong(lineage: Lineage) -> None:
    lineage.look()
    lineage.add("late", kind="source", label=LABEL, parents=(), created_us=3)
    nodes, _ = lineage.look()
    assert list(nodes) == sorted(nodes, key=lambda name: nodes[name].created_us)


def test_a_changed_row_is_found_in_its_turn_and_by_a_whole_look_at_once(
    lineage: Lineage, engine: sa.Engine
) -> None:
    lineage.look()
    with engine.begin() as connection:
        connection.execute(dataset.update().where(dataset.c.id == "src_030").values(kind="model"))
    assert lineage.look(whole=True)[1] == {"src_030": "model"}
    with engine.begin() as connection:
        connection.execute(dataset.update().where(dataset.c.id == "src_030").values(kind="source"))
    looks_until(lineage, "src_030", there=True)
    assert not lineage.look()[1]
    with engine.begin() as connection:
        connection.execute(dataset.update().where(dataset.c.id == "src_030").values(kind="model"))
    assert 1 < looks_until(lineage, "src_030") <= COUNT // PAGE + 1


def test_edges_are_held_against_their_rows_page_by_page(
    lineage: Lineage, engine: sa.Engine
) -> None:
    for number in range(COUNT, COUNT + 4):
        add(lineage, number, "src_001", "src_002")
    assert not lineage.look()[1]
    with engine.begin() as connection:
        connection.execute(edge.delete().where(edge.c.child == "made_040"))
        connection.execute(
            edge.delete().where(edge.c.child == "made_041", edge.c.parent == "src_001")
        )
        connection.execute(edge.insert().values(parent="src_003", child="made_042"))
        connection.execute(edge.insert().values(parent="src_003", child="src_004"))
        connection.execute(edge.insert().values(parent="src_003", child="nobody"))
    for _ in range(COUNT // PAGE + 2):
        nodes, broken = lineage.look()
    assert broken == {
        "made_040": "feature",
        "made_041": "feature",
        "made_042": "feature",
        "src_004": "source",
        "nobody": "lost",
    }
    assert not nodes.keys() & broken.keys()
    with engine.begin() as connection:
        connection.execute(edge.delete().where(edge.c.child.in_(["nobody", "src_004"])))
    for _ in range(2 * (COUNT // PAGE + 2)):  # told until a whole round did not come upon it
        nodes, broken = lineage.look()
    assert broken.keys() == {"made_040", "made_041", "made_042"}
    assert "src_004" in nodes


def test_what_others_put_there_or_took_away_is_found_within_a_round(
    lineage: Lineage, engine: sa.Engine
) -> None:
    lineage.look()
    add(Lineage(engine, key=bytes(32)), COUNT)  # another keeper, in its turn
    add(Lineage(engine, key=bytes(31) + b"x"), COUNT + 1)  # nobody's
    assert looks_until(lineage, f"src_{COUNT:03}", there=True) <= COUNT // PAGE + 2
    assert looks_until(lineage, f"src_{COUNT + 1:03}") <= COUNT // PAGE + 2
    with engine.begin() as connection:  # an older copy of the database
        connection.execute(dataset.delete().where(dataset.c.id >= "src_020"))
    for _ in range(2 * (COUNT // PAGE + 1)):
        nodes, broken = lineage.look()
    assert (list(nodes), broken) == ([f"src_{number:03}" for number in range(20)], {})


def test_a_row_is_looked_for_until_its_transaction_is_over(
    lineage: Lineage, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lineage.look()
    with pytest.raises(RuntimeError), engine.begin() as connection:
        lineage.insert(connection, node("failed"))
        raise RuntimeError
    with engine.begin() as connection:
        lineage.insert(connection, node("slow"))
        nodes, broken = lineage.look()
        assert "slow" not in nodes
        assert not broken
    assert "slow" in lineage.look()[0]
    assert lineage.outlook._written.keys() == {"failed"}
    monkeypatch.setattr(outlook.time, "monotonic", lambda: float("inf"))
    lineage.look()
    assert not lineage.outlook._written


def node(name: str) -> Node:
    return Node(id=name, kind="source", label=LABEL, parents=(), created_us=COUNT)


def test_a_source_that_is_written_again_is_read_again(lineage: Lineage) -> None:
    lineage.look()
    more = DatasetLabel.from_record({**LABEL.to_record(), "people": 9})
    lineage.renew_source("src_035", more)
    assert lineage.look()[0]["src_035"].label.people == 9


def test_builds_of_everything_cost_a_bit_for_each_source(lineage: Lineage) -> None:
    sources = [f"src_{number:03}" for number in range(COUNT)]
    for number in range(COUNT, 3 * COUNT):
        sources.append(add(lineage, number))
        add(lineage, number + 1000, *sources)
    nodes, broken = lineage.look()
    assert not broken
    builds = [one.parents for one in nodes.values() if one.kind == "feature"]
    assert len(builds) == 2 * COUNT
    assert all(isinstance(one, Parents) for one in builds)
    edges = sum(map(len, builds))
    assert sum(len(one._packed) for one in builds) < edges / 4  # a tuple takes 8 bytes for each
    names = {id(name) for name in nodes}
    assert all(id(name) in names for one in builds for name in one)  # and no name of its own
    assert len({id(one.label) for one in nodes.values()}) <= 2


def test_a_page_is_bounded_in_edges(
    lineage: Lineage, engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "PAGE_EDGES", 2 * COUNT)
    sources = [f"src_{number:03}" for number in range(COUNT)]
    for number in range(COUNT, COUNT + 6):
        add(lineage, number, *sources)
    lineage.look()
    most = 0
    for _ in range(COUNT):
        before = lineage.outlook.edges
        lineage.look()
        most = max(most, lineage.outlook.edges - before)
    assert COUNT <= most <= 2 * COUNT
    with engine.begin() as connection:
        connection.execute(edge.delete().where(edge.c.child == "made_045"))
    looks_until(lineage, "made_045")


def test_what_was_made_of_something_is_told_as_far_as_it_goes(lineage: Lineage) -> None:
    draw = random.Random(5)
    made: dict[str, list[str]] = {}
    for number in range(COUNT, 2 * COUNT):
        there = [f"src_{one:03}" for one in range(4)] + list(made)
        above = draw.sample(there, min(2, len(there)))
        made[add(lineage, number, *above)] = above
    nodes, _ = lineage.look()
    for start in ("src_000", "src_003", "made_045", "nobody"):
        wanted: set[str] = set()
        for name, above in made.items():
            if not {start, *wanted}.isdisjoint(above):
                wanted.add(name)
        assert lineage.outlook.below([start], nodes) == [one for one in nodes if one in wanted]


@given(st.lists(st.integers(0, 400), unique=True), st.integers(0, 400))
def test_packed_parents_are_as_a_sorted_tuple(numbers: list[int], other: int) -> None:
    names = Names()
    for number in (7, 300, 2, 5):  # numbers of names do not follow their order
        names.number(f"n{number}")
    expected = tuple(sorted(f"n{number}" for number in numbers))
    packed = Parents(names, expected)
    assert packed == expected
    assert expected == packed
    assert (len(packed), bool(packed), list(packed)) == (
        len(expected), bool(expected), list(expected),
    )  # fmt: skip
    assert (f"n{other}" in packed) == (other in numbers)
    assert packed[:2] == expected[:2]
    assert packed == Parents(names, expected)
    assert packed != (*expected, "more")


def test_what_is_known_is_not_decoded_again(lineage: Lineage, engine: sa.Engine) -> None:
    build = add(lineage, COUNT, "src_001", "src_002")
    lineage.look()
    with patch.object(canonical, "decode", wraps=canonical.decode) as decoded:
        assert lineage.above([build]).keys() == {build, "src_001", "src_002"}
    assert not decoded.call_count
    with engine.begin() as connection:
        connection.execute(dataset.update().where(dataset.c.id == "src_001").values(label=b"{}"))
    with pytest.raises(TamperedError):
        lineage.above([build])
    with engine.begin() as connection:
        connection.execute(edge.delete().where(edge.c.parent == "src_002"))
    with pytest.raises(TamperedError):
        lineage.node(build)


def test_a_whole_look_in_the_middle_of_a_round_forgets_what_is_gone(
    lineage: Lineage, engine: sa.Engine
) -> None:
    lineage.look()
    lineage.look()  # the first page of a round came upon these
    with engine.begin() as connection:
        connection.execute(edge.insert().values(parent="src_003", child="src_0001"))
    lineage.look(whole=True)
    lineage.look()
    with engine.begin() as connection:
        connection.execute(edge.delete())
        connection.execute(dataset.delete().where(dataset.c.id == "src_003"))
    nodes, broken = lineage.look(whole=True)
    assert "src_003" not in nodes
    assert len(nodes) == COUNT - 1
    assert not broken


def test_what_nobody_signed_stands_for_no_label(engine: sa.Engine) -> None:
    alone = DatasetLabel.from_record({**LABEL.to_record(), "people": 1, "digest": "of one"})
    ours = Lineage(engine, key=bytes(32))
    ours.add("source", kind="source", label=alone, parents=(), created_us=1)
    said = canonical.decode(ours._write(ours.node("source")))
    said["label"] |= {"people": True, "digest": "of another"}  # equal to one, and no number
    true = canonical.encode({**said, "id": "before"})
    with engine.begin() as connection:
        row = {"id": "before", "kind": "source", "created_us": 1, "label": true}
        connection.execute(dataset.insert().values(row))
    assert ours.look()[1] == {"before": "source"}
    other = DatasetLabel.from_record({**alone.to_record(), "digest": "of another"})
    ours.add("later", kind="source", label=other, parents=(), created_us=2)
    assert all(type(one.label.people) is int for one in ours.look()[0].values())
    assert type(DatasetLabel.from_record({**other.to_record(), "people": True}).people) is int
