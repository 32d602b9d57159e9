"""What the lineage keeps in memory: one node a dataset, however often it is looked at, and one set for what many say."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from safehold import canonical
from safehold.catalog import DatasetLabel, Lineage
from safehold.catalog.tables import dataset, edge
from safehold.db import metadata, open_engine

COUNT = 40


def label(number: int) -> DatasetLabel:
    return DatasetLabel(
        people=number,
        streams=frozenset({"key", "pointer"}),
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
def lineage(engine: sa.Engine) -> Lineage:
    made = Lineage(engine, key=bytes(32))
    for number in range(COUNT):
        made.add(
            f"src_{number:03}", kind="source", label=label(number), parents=(), created_us=number
        )
    parents = ["src_000", "src_001"]
    made.add("made", kind="feature", label=label(1), parents=parents, created_us=COUNT)
    return made


def test_what_did_not_change_is_not_made_again(lineage: Lineage) -> None:
    before, _ = lineage.look()
    lineage.add("src_new", kind="source", label=label(1), parents=(), created_us=COUNT + 1)
    with patch.object(canonical, "decode", wraps=canonical.decode) as decoded:
        after, broken = lineage.look()
    assert decoded.call_count == 1
    assert not broken
    assert list(after) == [*before, "src_new"]
    assert all(after[name] is node for name, node in before.items())


def test_labels_share_what_they_say_alike(lineage: Lineage) -> None:
    nodes, _ = lineage.look()
    assert len(nodes) == COUNT + 1
    assert len({id(one.label.streams) for one in nodes.values()}) == 1
    assert len({id(one.label.purposes) for one in nodes.values()}) == 1


def test_a_row_that_is_changed_later_is_found_and_found_again(
    lineage: Lineage, engine: sa.Engine
) -> None:
    lineage.look()
    with engine.begin() as connection:
        other = connection.execute(
            sa.select(dataset.c.label).where(dataset.c.id == "src_002")
        ).scalar_one()
        connection.execute(dataset.update().where(dataset.c.id == "src_001").values(label=other))
        connection.execute(dataset.update().where(dataset.c.id == "src_003").values(created_us=77))
        connection.execute(dataset.update().where(dataset.c.id == "src_004").values(kind="model"))
        connection.execute(edge.delete().where(edge.c.parent == "src_000"))
        connection.execute(edge.insert().values(parent="src_000", child="nobody"))
    for _ in range(2):
        nodes, broken = lineage.look()
        assert broken == {
            "src_001": "source",
            "src_003": "source",
            "src_004": "model",
            "made": "feature",
            "nobody": "lost",
        }
        assert not nodes.keys() & broken.keys()


def test_what_is_gone_is_forgotten(lineage: Lineage, engine: sa.Engine) -> None:
    lineage.look()
    with engine.begin() as connection:
        connection.execute(edge.delete())
        connection.execute(dataset.delete())
    assert lineage.look() == ({}, {})
    assert not any(lineage.outlook._nodes)
