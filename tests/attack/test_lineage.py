"""What is derived inherits, at any depth, and the keeper refuses by what ledger and catalogue say.

Each test of a refusal takes away one thing that a rule of ``judgement`` asks for, and finds the rule in the error and
the refusal in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.lineage_desk import (
    ENGINEER,
    HE,
    OTHER,
    PEOPLE,
    SHE,
    apart,
    ask,
    begin,
    derived,
    erase,
    found,
    made_of,
    opened,
    pool,
    release,
)
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.assurance import measure
from safehold.catalog.algebra import Inherited
from safehold.catalog.lineage import Node
from safehold.clock import DAY_US
from safehold.errors import DeniedError, MissingError, TamperedError
from safehold.keeper.derived import Part
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


def refused(bench: Bench, wanted: Any, asker: Any = ENGINEER) -> str:
    """Return the rule by which a use is refused; nothing was opened, and the ledger has it."""
    packed, size = len(bench.workshop.packed), bench.desk.ledger.size

    def use() -> None:
        with opened(bench, wanted, asker):
            pass

    error = raised(use)
    assert isinstance(error, DeniedError | TamperedError)
    assert len(bench.workshop.packed) == packed, "nothing was opened"
    if isinstance(error, DeniedError):
        (refusal,) = [i for i, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "refusal"]
        assert error.entry == refusal
        assert bench.desk.ledger.detail(refusal)["detail"]["rule"] == error.rule
    assert "access.intent" not in bench.leaves(size)
    return error.rule or ""


def deep(bench: Bench) -> tuple[str, str, str]:
    """Return a table of several people, one made of it, and one made of that."""
    first = pool(bench, "first").dataset
    second = pool(bench, "second", ask("table", first)).dataset
    return first, second, pool(bench, "third", ask("table", second)).dataset


def test_what_is_derived_carries_everything_at_any_depth(shared: Bench) -> None:
    sources = shared.desk.catalog.blocks(
        kind="telemetry", streams=["pointer"], after_day=shared.today
    )
    first = pool(shared, "first")
    third = pool(
        shared, "third", ask("table", pool(shared, "second", ask("table", first.dataset)).dataset)
    )
    label = shared.desk.lineage.label(third.dataset)
    assert (label.people, third.people) == (len(PEOPLE), len(PEOPLE))
    assert label.streams == {"pointer"}
    assert label.purposes == {PURPOSE, OTHER}
    assert label.jurisdictions == {"US-CA", "US-WA"}
    assert label.categories == {"user.behavior", "pd:Interaction", "sh:pointer"}
    assert label.sensitivity == 3
    assert label.expires == min(block.label.expires for block in sources) == third.expires
    assert (label.first_day, label.last_day) == (shared.today - 1, shared.today - 1)
    (leaf,) = [leaf for _, leaf in shared.desk.ledger.leaves(third.entry, third.entry + 1)]
    assert (leaf["k"], leaf["pub"]) == ("derived", {"state": "made", "rows": 1})
    held = shared.desk.ledger.detail(third.entry)["detail"]["node"]
    assert held == shared.desk.lineage.node(third.dataset).to_record(), "ledger and catalogue agree"
    assert not any(one in canonical.encode(held).decode() for one in shared.desk.people.everybody())
    with opened(shared, ask("table", third.dataset)):
        headers = shared.workshop.packed[-1]
    assert [(one["person"], one["dataset"]) for one in headers] == [("", third.dataset)]


def test_a_table_of_each_person_lies_under_their_own_key(bench: Bench) -> None:
    vectors = apart(bench, "typing")
    deeper = apart(bench, "typing-two", ask("vectors", vectors.dataset))
    with opened(bench, ask("vectors", deeper.dataset)) as opening:
        assert len(opening.blocks) == len(PEOPLE)
        assert all(len(blocks) == 1 for blocks in opening.blocks.values())
    bench.call("people.choose", person=SHE, choice="withdraw")
    with opened(bench, ask("vectors", deeper.dataset)) as opening:
        assert len(opening.blocks) == len(PEOPLE) - 1
    assert not bench.desk.catalog.lives("nothing", after_day=0)


def test_another_purpose(shared: Bench) -> None:
    table = pool(shared, "keys", ask(streams=frozenset({"key"})), features=made_of("key.kind"))
    assert refused(shared, ask("table", table.dataset, purpose=OTHER)) == "lineage.purpose"
    both = ask(streams=frozenset({"key", "pointer"}))
    mixed = pool(shared, "mixed", both, features=made_of("pointer.x"))
    assert refused(shared, ask("table", mixed.dataset, purpose=OTHER)) == "lineage.purpose"
    alone = pool(shared, "pointer")
    with opened(shared, ask("table", alone.dataset, purpose=OTHER)):
        pass


@pytest.mark.parametrize("depth", [0, 2])
def test_its_time_is_over(bench: Bench, depth: int) -> None:
    name = deep(bench)[depth]
    ends = bench.desk.lineage.label(name).expires
    bench.clock.advance((ends - bench.today) * DAY_US)
    assert refused(bench, ask("table", name)) == "lineage.expired"
    bench.call("dataset.sweep")
    with pytest.raises(MissingError):
        bench.desk.vault._objects.get(bench.desk.lineage.node(name).sealed["object"])


def test_the_time_of_tables_of_each_person_is_over(bench: Bench) -> None:
    name = apart(bench, "typing").dataset
    bench.clock.advance((bench.desk.lineage.label(name).expires - bench.today) * DAY_US)
    assert refused(bench, ask("vectors", name)) == "lineage.expired"


@pytest.mark.parametrize(
    "choice",
    [
        {"choice": "withdraw"},
        {"choice": "object", "purposes": [PURPOSE]},
        {"choice": "consent", "streams": ["key", "metric"], "evidence": "a letter"},
    ],
)
def test_somebody_in_it_or_in_what_it_was_made_from_takes_no_part(
    bench: Bench, choice: dict[str, Any]
) -> None:
    first, _, third = deep(bench)
    bench.call("people.choose", person=SHE, **choice)
    assert refused(bench, ask("table", first)) == "lineage.people"
    assert refused(bench, ask("table", third)) == "lineage.people"


def test_whoever_comes_back_is_not_in_what_was_made_before(bench: Bench) -> None:
    _, _, third = deep(bench)
    bench.call("people.choose", person=SHE, choice="withdraw")
    bench.clock.advance(1)
    bench.call(
        "people.choose", person=SHE, choice="consent", streams=["pointer", "key"], evidence="x"
    )
    assert refused(bench, ask("table", third)) == "lineage.people"


@pytest.mark.parametrize("depth", [0, 1, 2])
def test_somebody_in_it_was_erased(bench: Bench, depth: int) -> None:
    name = deep(bench)[depth]
    erase(bench)
    assert refused(bench, ask("table", name)) == "lineage.ended"


def test_what_was_made_of_something_that_ended(shared: Bench) -> None:
    """Its own key is there: only a look at its parents tells."""
    first, _, third = deep(shared)
    derived(shared).pool.end([shared.desk.lineage.node(first)])
    assert derived(shared).pool.there(shared.desk.lineage.node(third))
    assert refused(shared, ask("table", third)) == "lineage.ended"


def test_a_charter_that_names_fewer_places_and_fewer_kinds_of_data(bench: Bench) -> None:
    table = pool(bench, "first").dataset
    keys = apart(bench, "keys", ask(streams=frozenset({"key"})), features=made_of("key.kind"))

    def less(purposes: dict[str, Any]) -> dict[str, Any]:
        kept = {**purposes[PURPOSE], "sources": ["pointer", "performance_metrics"]}
        return {**purposes, PURPOSE: kept}

    bench.enact(
        bench.changed(
            places=lambda places: {**places, "collect_in": ["US-CA"]},
            purposes=less,
        )
    )
    assert refused(bench, ask("table", table)) == "lineage.place"
    assert refused(bench, ask("vectors", keys.dataset)) == "lineage.category"


def test_kinds_of_data_beyond_the_grant(shared: Bench) -> None:
    """A grant over features that also names telemetry covers what was made of that telemetry, and nothing else."""
    name = pool(
        shared, "keys", ask(streams=frozenset({"key"})), features=made_of("key.kind")
    ).dataset
    judge = release(shared)._heritage._judge

    class Claims:
        streams = frozenset({"feature", "pointer"})

    error = raised(
        lambda: judge.judge(ask("table", name), replace(ENGINEER, claims=Claims()), [name])
    )
    assert error.rule == "lineage.category"
    Claims.streams |= {"key"}
    judge.judge(ask("table", name), replace(ENGINEER, claims=Claims()), [name])


def test_two_that_are_allowed_alone_cross_a_line_together(shared: Bench) -> None:
    """Keystrokes, where whatever judges somebody's work is masked, beside figures of their performance."""
    keys = pool(
        shared, "keys", ask(streams=frozenset({"key"})), features=made_of("key.kind")
    ).dataset
    rated = pool(
        shared, "rated", ask(streams=frozenset({"metric"})), features=made_of("metric.value")
    ).dataset
    for name in (keys, rated):
        with opened(shared, ask("table", name)):
            pass
    assert refused(shared, ask("table", keys, rated)) == "lineage.together"
    # and so are those that were made of them
    further = [pool(shared, "further", ask("table", one)).dataset for one in (keys, rated)]
    assert refused(shared, ask("table", *further)) == "lineage.together"


def test_what_a_recipe_declares_takes_nothing_away_that_its_parents_told(shared: Bench) -> None:
    """It says that its column came from a stream that tells less; the parent's rating is in it all the same."""
    keys = pool(
        shared, "keys", ask(streams=frozenset({"key"})), features=made_of("key.kind")
    ).dataset
    both = ask(streams=frozenset({"metric", "pointer"}))
    rated = pool(shared, "rated", both, features=made_of("metric.value")).dataset
    washed = pool(shared, "washed", ask("table", rated), features=made_of("pointer.x")).dataset
    node = shared.desk.lineage.node
    assert node(rated).label.tells <= node(washed).label.tells
    assert refused(shared, ask("table", keys, washed)) == "lineage.together"


def test_what_nobody_declares_tells_what_was_opened(shared: Bench) -> None:
    wanted = ask(streams=frozenset({"key"}))
    size = shared.desk.ledger.size
    assert raised(lambda: pool(shared, "keys", wanted)).rule == "lineage.tells"
    tells = made_of("key.key")
    assert raised(lambda: pool(shared, "keys", wanted, features=tells)).rule == "dlp.lineage.errors"
    other = made_of("pointer.x")
    assert raised(lambda: pool(shared, "keys", wanted, features=other)).rule == "lineage.tells"
    columns = made_of("key.kind", name="m")
    assert (
        raised(lambda: pool(shared, "keys", wanted, features=columns)).rule == "dlp.lineage.column"
    )
    assert "derived" not in shared.leaves(size)


def test_one_that_would_outlive_what_it_was_made_from(shared: Bench) -> None:
    first = shared.desk.lineage.node(pool(shared, "first").dataset)
    longer = replace(first.label, expires=first.label.expires + 1)
    rules = []
    for change in (
        {"label": longer},
        {"label": replace(longer, expires=1, purposes=frozenset({"any"}))},
    ):
        node = replace(first, id="table/longer:1", parents=(first.id,), **change)
        with shared.desk.engine.begin() as connection:
            rules.append(raised(lambda: shared.desk.lineage.insert(connection, node)).rule)  # noqa: B023
    assert rules == ["lineage.outlives", "lineage.purpose"]
    # and one that got in all the same, with a code that holds, is not opened
    rewrite(shared, replace(first, label=longer))
    assert refused(shared, ask("table", first.id)) == "lineage.outlives"


def test_one_that_outlives_its_parent_by_its_leaf_too(shared: Bench) -> None:
    first, second, _ = deep(shared)
    parent = shared.desk.lineage.node(first)
    rewrite(shared, replace(parent, label=replace(parent.label, expires=shared.today + 1)))
    assert refused(shared, ask("table", second)) == "lineage.outlives"


def rewrite(bench: Bench, node: Node) -> None:
    """Write a row as only the keeper can."""
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE dataset SET label = ? WHERE id = ?", (bench.desk.lineage._write(node), node.id)
        )


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


def test_telemetry_is_not_asked_for_as_a_derived_set(shared: Bench) -> None:
    (source, *_) = [one["id"] for one in shared.call("dataset.list")["datasets"]]
    assert refused(shared, ask("table", source)) == "lineage.label"


def test_nothing_is_made_from_nothing(shared: Bench) -> None:
    node = shared.desk.lineage.node(pool(shared, "first").dataset)
    add = shared.desk.lineage.add

    def model_of(*parents: str) -> None:
        add("art_1", kind="model", label=node.label, parents=parents, created_us=1)

    assert raised(model_of).rule == "lineage.parents"
    assert raised(lambda: model_of("nobody-knows")).rule == "lineage.parents"


def test_a_recipe_that_sees_several_people_makes_one_table(shared: Bench) -> None:
    assert raised(lambda: apart(shared, "x", recipe="script")).rule == "lineage.apart"
    first = pool(shared, "first").dataset
    assert (
        raised(lambda: apart(shared, "x", ask("table", first), people=[])).rule == "lineage.parts"
    )

    def of_pooled() -> None:
        wanted = ask("table", first)
        with opened(shared, wanted) as opening:
            (person, *_) = opening.blocks
            derived(shared).register(
                opening, ask=wanted, actor="x", kind="vectors", name="x", recipe="embed",
                parts=[Part(table=_figures(), person=person)],
            )  # fmt: skip

    assert raised(of_pooled).rule == "lineage.apart"
    assert raised(lambda: apart(shared, "x", people=["prs_nobody"])).rule == "lineage.people"


def _figures() -> Any:
    from tests.lineage_desk import figures

    return figures()


def test_somebody_leaves_while_a_table_is_made(bench: Bench) -> None:
    wanted = ask()

    def leave(choose: Any) -> str:
        def run() -> None:
            with opened(bench, wanted) as opening:
                choose()
                derived(bench).register(
                    opening, ask=wanted, actor="x", kind="table", name="x", recipe="pool",
                    parts=[Part(table=_figures())],
                )  # fmt: skip

        return raised(run).rule or ""

    assert (
        leave(lambda: bench.call("people.choose", person=SHE, choice="withdraw"))
        == "subjects.erased"
    )
    assert leave(lambda: erase(bench, HE)) == "subjects.erased"
    assert not [one for one in bench.call("dataset.list")["datasets"] if one["kind"] == "table"]


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
