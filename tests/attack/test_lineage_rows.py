"""Rows of the register against their leaves: changed, taken away, cut short by a crash, of an older version."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.lineage_desk import (
    OTHER,
    PEOPLE,
    apart,
    ask,
    begin,
    deep,
    derived,
    found,
    opened,
    pool,
    refused,
    release,
    rewrite,
)
from tests.world import raised

from safehold import canonical
from safehold.assurance import measure
from safehold.catalog.algebra import Inherited
from safehold.errors import TamperedError
from safehold.ledger import Entry


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found(tmp_path_factory.mktemp("lineage"))


@pytest.fixture(scope="module")
def shared(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A keeper for tests that change neither people nor charter nor the time."""
    copy = begin(made, tmp_path_factory.mktemp("shared"))
    yield copy
    copy.stop()


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(made, tmp_path)
    yield copy
    copy.stop()


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("DELETE FROM edge WHERE child = :third", "catalog.lineage"),
        ("INSERT INTO edge (parent, child) VALUES ('x', :second)", "catalog.lineage"),
        ("UPDATE dataset SET kind = 'model' WHERE id = :second", "catalog.lineage"),
        ("UPDATE dataset SET created_us = 1 WHERE id = :first", "catalog.lineage"),
        (
            "UPDATE dataset SET label = (SELECT label FROM dataset WHERE id = :first) WHERE id = :third",
            "catalog.lineage",
        ),
        ("DELETE FROM dataset WHERE id = :third", "lineage.label"),
        ("DELETE FROM dataset WHERE id = :first", "lineage.label"),
    ],
)
def test_a_label_that_was_changed_or_taken_away(shared: Bench, sql: str, rule: str) -> None:
    names = dict(zip(("first", "second", "third"), deep(shared), strict=True))
    with shared.desk.engine.begin() as connection:
        wanted = {name: value for name, value in names.items() if f":{name}" in sql}
        connection.exec_driver_sql(sql, wanted)
    assert refused(shared, ask("table", names["third"])) == rule


def test_a_row_that_says_less_than_its_leaf(shared: Bench) -> None:
    node = shared.desk.lineage.node(pool(shared, "first").dataset)
    rewrite(shared, replace(node, label=replace(node.label, streams=frozenset())))
    assert refused(shared, ask("table", node.id)) == "catalog.lineage"


def test_a_row_that_counts_others_than_its_leaf(shared: Bench) -> None:
    node = shared.desk.lineage.node(pool(shared, "first").dataset)
    rewrite(shared, replace(node, label=replace(node.label, people=node.label.people - 1)))
    assert refused(shared, ask("table", node.id)) == "lineage.people"


def test_one_that_no_leaf_tells_of(shared: Bench) -> None:
    node = shared.desk.lineage.node(pool(shared, "first").dataset)
    with shared.desk.engine.begin() as connection:
        shared.desk.lineage.insert(connection, replace(node, id="table/other:999999"))
    assert refused(shared, ask("table", "table/other:999999")) == "lineage.label"


@pytest.mark.parametrize("form", ["pooled", "apart"])
@pytest.mark.parametrize("step", ["staged", "leaf", "live"])
def test_a_crash_leaves_all_of_it_or_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, form: str, step: str
) -> None:
    desk, made = bench.desk, derived(bench)

    def crash(*_given: Any, **_more: Any) -> Any:
        raise KeyboardInterrupt

    def log(_desk: Any, *entries: Entry) -> Any:
        if entries[0].kind == "derived":
            raise KeyboardInterrupt
        return desk.ledger.append(entries)

    match step:
        case "staged":
            monkeypatch.setattr(type(desk.lineage), "digest", lambda _self, _people: "0" * 64)
            monkeypatch.setattr(type(made), "_turn_live", crash)
            monkeypatch.setattr(type(desk), "log", log)
        case "leaf":
            monkeypatch.setattr(type(made), "_turn_live", crash)
        case "live":
            monkeypatch.setattr(type(desk.catalog.builds), "turn_live", crash)
    with pytest.raises(KeyboardInterrupt):
        pool(bench, "first") if form == "pooled" else apart(bench, "first")
    monkeypatch.undo()
    bench.restart()
    found = [one["id"] for one in bench.call("dataset.list")["datasets"] if one["kind"] != "source"]
    leaves = [leaf for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "derived"]
    if step == "staged":
        assert (found, leaves) == ([], [])
        assert bench.desk.catalog.objects() == set(bench.desk.vault._objects.names())
        return
    (name,) = found
    assert len(leaves) == 1
    bench.workshop.scripts["feature"] = lambda _spec: iter(())
    with opened(bench, ask("table" if form == "pooled" else "vectors", name)) as opening:
        assert len(opening.blocks) == len(PEOPLE)
    known = bench.desk.catalog.objects() | derived(bench).pool.objects()
    assert known == set(bench.desk.vault._objects.names())


def test_an_older_database_lacks_what_a_leaf_names(bench: Bench) -> None:
    pool(bench, "first")
    bench.desk.engine.dispose()
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM edge WHERE child LIKE 'table/%'")
        connection.exec_driver_sql("DELETE FROM dataset WHERE id LIKE 'table/%'")
        connection.exec_driver_sql("DELETE FROM vault_key WHERE kind = 'artifact'")
    bench.stop()
    with pytest.raises(TamperedError) as caught:
        bench.start()
    assert caught.value.rule == "catalog.rollback"


def test_the_algebra_is_what_opens(shared: Bench) -> None:
    """The label that is judged is the join of what ledger and row say."""
    name = pool(shared, "first").dataset
    node = shared.desk.lineage.node(name)
    narrow = replace(node, label=replace(node.label, purposes=frozenset({OTHER})))
    rewrite(shared, narrow)
    assert refused(shared, ask("table", name)) == "lineage.purpose"
    held = release(shared)._heritage._judge._label(narrow)
    assert isinstance(held, Inherited)
    assert held.purposes == {OTHER}


def test_a_source_of_an_older_version_is_labelled_by_its_blocks(bench: Bench) -> None:
    """A row without a code that says more than the blocks do changes nothing."""
    before = {one["id"]: one["label"] for one in bench.call("dataset.list")["datasets"]}
    old = ("people", "streams", "purposes", "jurisdictions", "expires", "first_day", "last_day")
    for name, label in before.items():
        said = {field: label[field] for field in old} | {"expires": 2**30, "purposes": ["anything"]}
        with bench.desk.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE dataset SET label = ? WHERE id = ?", (canonical.encode(said), name)
            )
    assert raised(lambda: pool(bench, "first")).rule == "catalog.lineage"
    bench.restart()
    bench.workshop.scripts["feature"] = lambda _spec: iter(())
    assert {one["id"]: one["label"] for one in bench.call("dataset.list")["datasets"]} == before
    pool(bench, "first")


def test_what_is_registered_is_no_use_that_the_trail_misses(bench: Bench) -> None:
    pool(bench, "counted")
    assert "0 derived things" in measure.count_missing(bench.verbs).sentence
