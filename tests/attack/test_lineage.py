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
    deep,
    derived,
    erase,
    found,
    made_of,
    opened,
    pool,
    refused,
    release,
    rewrite,
)
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.clock import DAY_US
from safehold.errors import MissingError
from safehold.keeper.derived import Part


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
