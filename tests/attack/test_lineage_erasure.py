"""After an erasure the receipt tells what became of everything, and nothing calls it complete before it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.containing import contain, lift
from tests.keeper_desk import Bench
from tests.lineage_desk import (
    HE,
    PEOPLE,
    RECIPE,
    SHE,
    apart,
    ask,
    begin,
    erase,
    found,
    opened,
    pool,
    release,
    statuses,
)
from tests.world import PURPOSE, raised

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.clock import DAY_US
from safehold.errors import ShreddedError, TamperedError, UnavailableError
from safehold.keeper.rebuilding import Rebuild
from safehold_verify import VerificationError
from safehold_verify.erasure import ErasureReport, tell_erasure, verify_erasure


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found(tmp_path_factory.mktemp("effects"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(made, tmp_path)
    yield copy
    copy.stop()


def again(bench: Bench) -> Callable[[Rebuild], str]:
    """Return what makes a table once more, from who is left."""

    def build(wanted: Rebuild) -> str:
        assert (wanted.kind, wanted.recipe, wanted.purpose) == ("table", RECIPE, PURPOSE)
        assert wanted.remember == {"query": 7}
        return pool(bench, wanted.name, remember=wanted.remember).dataset

    return build


def checked(bench: Bench, answer: dict[str, Any]) -> ErasureReport:
    return verify_erasure(answer["receipt"].encode(), bench.home.policy_file)


def says_complete(answer: dict[str, Any], report: ErasureReport) -> bool:
    """Return whether anything that somebody reads calls the erasure complete; all of it must agree."""
    told = "\n".join(tell_erasure(report))
    shown = {**answer, "receipt": ""}
    found = {
        "complete" in json.dumps(shown).lower(),
        "complete" in told.lower(),
        "complete" in json.dumps(report.payload()).lower(),
        report.complete,
    }
    assert len(found) == 1
    return found.pop()


def released(bench: Bench, name: str, *, charged: bool) -> str:
    """Publish a result: of the privacy budget, or of nothing."""
    wanted = ask(price=(500_000, 1_000) if charged else (0, 0))
    with opened(bench, wanted) as opening:
        dataset = f"aggregate/{name}:{opening.intent.index}"
        bench.desk.lineage.add(
            dataset,
            kind="aggregate",
            label=opening.label,
            parents=opening.datasets,
            created_us=bench.desk.now_us(),
            facts={"intent": opening.intent.index, "purpose": PURPOSE},
            release={"epsilon_micro": 500_000, "delta_e12": 1_000} if charged else None,
        )
    return dataset


def test_everything_is_listed_and_what_is_due_is_amended(bench: Bench) -> None:
    bench.verbs.rebuilding.recipes[RECIPE] = again(bench)
    table = pool(bench, "counts", remember={"query": 7}).dataset
    deeper = pool(bench, "deeper", ask("table", table), recipe="script").dataset
    vectors = apart(bench, "typing").dataset
    figure = released(bench, "mean", charged=True)
    answer = erase(bench)
    expected = {
        table: "pending",
        deeper: "shredded",  # nobody has said how that recipe runs again
        vectors: "shredded",
        figure: "bounded",
    }
    assert {
        name: status for name, status in statuses(answer).items() if name in expected
    } == expected
    assert "unsupported" not in statuses(answer).values()
    first = checked(bench, answer)
    assert not says_complete(answer, first)
    assert first.outstanding() == {"unsupported": 0, "pending": 1}
    assert bench.call("dataset.sweep")["rebuilt"] == 1
    later = bench.call("people.erased", request=answer["request"])
    report = checked(bench, later)
    (rebuilt,) = [one for one in report.effects if one.id == table]
    assert rebuilt.status == "rebuilt"
    assert rebuilt.by.startswith("table/counts:")
    assert rebuilt.by != table
    assert says_complete(later, report)
    (bounded,) = [one for one in report.effects if one.id == figure]
    assert (bounded.epsilon, bounded.delta) == (0.5, 1e-9)
    with opened(bench, ask("table", rebuilt.by)) as opening:
        assert len(opening.blocks) == len(PEOPLE) - 1
    assert bench.call("dataset.sweep")["rebuilt"] == 0
    assert statuses(erase(bench, HE))[rebuilt.by] == "pending", "he is in the newer one"


def test_a_result_without_a_bound_is_never_complete(bench: Bench) -> None:
    figure = released(bench, "mean", charged=False)
    answer = erase(bench)
    assert statuses(answer)[figure] == "unsupported"
    assert not says_complete(answer, checked(bench, answer))


def test_a_bound_that_no_leaf_was_charged_for_is_none(bench: Bench) -> None:
    """A row that the keeper wrote says epsilon; the ledger charged nothing."""
    wanted = ask()
    with opened(bench, wanted) as opening:
        bench.desk.lineage.add(
            "aggregate/free:1",
            kind="aggregate",
            label=opening.label,
            parents=opening.datasets,
            created_us=bench.desk.now_us(),
            facts={"intent": opening.intent.index},
            release={"epsilon_micro": 1, "delta_e12": 1},
        )
    assert statuses(erase(bench))["aggregate/free:1"] == "unsupported"


def test_what_left_of_a_run_that_kept_nothing_is_listed_with_its_bound(bench: Bench) -> None:
    """An answer to a query or a script: the ledger alone tells of it."""
    with opened(bench, ask(price=(250_000, 1_000))) as opening:
        answered = opening.intent.index
    bench.call("people.choose", person=HE, choice="withdraw")
    with opened(bench, ask(price=(250_000, 1_000))):
        pass
    with opened(bench, ask()):  # nothing was charged, and nothing left
        pass
    answer = erase(bench, HE)
    (effect,) = [one for one in answer["effects"] if one["kind"] == "aggregate"]
    assert effect["id"] == f"feature:{answered}"
    assert (effect["status"], effect["epsilon_micro"]) == ("bounded", 250_000)
    assert says_complete(answer, checked(bench, answer))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM edge WHERE child = :name",
        "DELETE FROM dataset WHERE id = :name",
        "UPDATE dataset SET label = x'7b7d' WHERE id = :name",
        "UPDATE dataset SET kind = 'source' WHERE id = :name",
    ],
)
def test_a_lineage_that_was_changed_is_said_and_hides_nothing(bench: Bench, sql: str) -> None:
    name = pool(bench, "counts").dataset
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql(sql, {"name": name})
    answer = erase(bench)
    (effect,) = [one for one in answer["effects"] if one["id"] == name]
    assert (effect["kind"], effect["status"]) == ("lost", "unsupported")
    report = checked(bench, answer)
    assert not says_complete(answer, report)
    assert "nobody can say" in "\n".join(tell_erasure(report))


@pytest.mark.parametrize(
    ("registered", "charged", "status"),
    [(True, True, "bounded"), (True, False, "unsupported"), (False, True, "unsupported")],
)
def test_a_model_is_bounded_only_if_it_was_charged_and_lineage_knows_its_parents(
    bench: Bench, registered: bool, charged: bool, status: str
) -> None:
    with opened(bench, ask(price=(700_000, 1_000) if charged else (0, 0))) as opening:
        artifact = bench.verbs.models.keep(
            b"weights",
            recipe="train",
            purpose=PURPOSE,
            metrics={},
            datasets=opening.datasets,
            expires=opening.label.expires,
            intent=opening.intent.index,
            level="E3",
            started_us=bench.desk.now_us(),
        )
        if registered:
            bench.desk.lineage.add(
                artifact,
                kind="model",
                label=opening.label,
                parents=opening.datasets,
                created_us=bench.desk.now_us(),
                facts={"intent": opening.intent.index},
                release={"epsilon_micro": 700_000, "delta_e12": 1_000} if charged else None,
            )
    answer = erase(bench)
    (effect,) = [one for one in answer["effects"] if one["id"] == artifact]
    assert (effect["kind"], effect["status"]) == ("model", status)
    assert effect.get("epsilon_micro") == (700_000 if status == "bounded" else None)
    assert says_complete(answer, checked(bench, answer)) is (status == "bounded")


def test_whoever_is_not_in_it_is_not_told_of_it(bench: Bench) -> None:
    bench.call("people.choose", person=SHE, choice="withdraw")
    name = pool(bench, "counts").dataset
    with bench.desk.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM dataset WHERE id = ?", (name,))
    assert name not in statuses(erase(bench))


def test_a_rebuild_that_fails_half_way_stays_due(bench: Bench) -> None:
    name = pool(bench, "counts", remember={"query": 7}).dataset
    recipes = bench.verbs.rebuilding.recipes
    recipes[RECIPE] = again(bench)
    answer = erase(bench)

    def unavailable(_wanted: Rebuild) -> str:
        raise UnavailableError("no sandbox", rule="sandbox.level")

    def nothing(_wanted: Rebuild) -> str:
        return "table/counts:999999"

    def older(_wanted: Rebuild) -> str:
        return name

    def another(_wanted: Rebuild) -> str:
        return pool(bench, "something-else").dataset

    for fails in (unavailable, nothing, older, another):
        recipes[RECIPE] = fails
        assert bench.call("dataset.sweep")["rebuilt"] == 0
        later = bench.call("people.erased", request=answer["request"])
        assert statuses(later)[name] == "pending"
        assert not says_complete(later, checked(bench, later))
    bench.restart()
    bench.workshop.scripts["feature"] = lambda _spec: iter(())
    bench.verbs.rebuilding.recipes[RECIPE] = again(bench)
    assert bench.call("dataset.sweep")["rebuilt"] == 1
    later = bench.call("people.erased", request=answer["request"])
    assert says_complete(later, checked(bench, later))


def test_what_is_contained_does_not_come_back_under_another_id(bench: Bench) -> None:
    name = pool(bench, "counts", remember={"query": 7}).dataset
    bench.verbs.rebuilding.recipes[RECIPE] = again(bench)
    entry = contain(bench, "dataset", name)["entry"]
    answer = erase(bench)
    assert bench.call("dataset.sweep")["rebuilt"] == 0
    later = bench.call("people.erased", request=answer["request"])
    assert statuses(later)[name] == "pending"
    assert not says_complete(later, checked(bench, later))
    lift(bench, entry)
    assert bench.call("dataset.sweep")["rebuilt"] == 1


def test_what_nobody_can_make_again_when_its_time_comes_is_shredded(bench: Bench) -> None:
    name = pool(bench, "counts", remember={"query": 7}).dataset
    bench.verbs.rebuilding.recipes[RECIPE] = again(bench)
    ends = bench.desk.lineage.label(name).expires
    answer = erase(bench)
    bench.clock.advance((ends - bench.today) * DAY_US)
    bench.call("dataset.sweep")
    later = bench.call("people.erased", request=answer["request"])
    assert statuses(later)[name] == "shredded"
    assert says_complete(later, checked(bench, later))


@pytest.mark.parametrize("step", ["destroy", "forget", "result"])
def test_a_crash_does_not_leave_the_key_of_a_table(bench: Bench, step: str) -> None:
    node = bench.desk.lineage.node(pool(bench, "counts").dataset)

    def cut(reached: str) -> None:
        if reached == step:
            raise KeyboardInterrupt

    bench.verbs.erasure.reached = cut
    with pytest.raises(KeyboardInterrupt):
        erase(bench)
    bench.restart()
    assert not release(bench).derived.pool.there(node)
    (one,) = bench.call("people.erased")["erasures"]
    assert one["state"] == "done"


def test_a_database_from_before_opens_no_table(bench: Bench) -> None:
    """Its row of keys is put back, and its epoch is gone."""
    node = bench.desk.lineage.node(pool(bench, "counts").dataset)
    with bench.desk.engine.begin() as connection:
        rows = connection.exec_driver_sql("SELECT * FROM vault_key WHERE kind = 'artifact'").all()
        names = connection.exec_driver_sql("SELECT * FROM vault_key").keys()
        assert rows
    erase(bench)
    with bench.desk.engine.begin() as connection:
        marks = ", ".join("?" * len(list(names)))
        for row in rows:
            connection.exec_driver_sql(
                f"INSERT INTO vault_key VALUES ({marks})",  # noqa: S608
                tuple(row),
            )
    bench.restart()
    pool_ = release(bench).derived.pool
    assert not pool_.there(node)
    error = raised(lambda: pool_.open(type("P", (), {"node": node})()))
    assert isinstance(error, ShreddedError | TamperedError)


def change_amended(said: dict[str, Any], change: Callable[[dict[str, Any]], object]) -> None:
    told = said["amended"][0]["told"]["det"]
    detail = canonical.decode(unb64(told["value"]))
    change(detail)
    told["value"] = b64(canonical.encode(detail))


@pytest.fixture(scope="module")
def amended(
    made: Bench, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Bench, dict[str, Any]]]:
    bench = begin(made, tmp_path_factory.mktemp("amended"))
    bench.verbs.rebuilding.recipes[RECIPE] = again(bench)
    pool(bench, "counts", remember={"query": 7})
    answer = erase(bench)
    bench.call("dataset.sweep")
    yield bench, bench.call("people.erased", request=answer["request"])
    bench.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said["amended"].append(said["amended"][0]),
        lambda said: said["amended"].append(said["done"]),
        lambda said: said["amended"][0].update(index=said["amended"][0]["index"] - 1),
        lambda said: said["amended"][0]["path"].pop(),
        lambda said: said.update(amended=7),
        lambda said: said.update(done=said["amended"][0]),
        lambda said: change_amended(
            said, lambda detail: detail["effects"][0].update(status="bounded")
        ),
        lambda said: change_amended(
            said, lambda detail: detail["effects"][0].update(by="table/x:1")
        ),
    ],
)
def test_an_amendment_that_says_something_else_does_not_hold(
    amended: tuple[Bench, dict[str, Any]], change: Callable[[dict[str, Any]], object]
) -> None:
    bench, answer = amended
    assert checked(bench, answer).amended
    said = json.loads(answer["receipt"])
    change(said)
    with pytest.raises(VerificationError):
        verify_erasure(canonical.encode(said), bench.home.policy_file)


def test_a_receipt_without_its_amendment_says_less_and_not_more(
    amended: tuple[Bench, dict[str, Any]],
) -> None:
    bench, answer = amended
    said = json.loads(answer["receipt"])
    del said["amended"]
    report = verify_erasure(canonical.encode(said), bench.home.policy_file)
    assert not report.complete
    assert "NOT finished" in "\n".join(tell_erasure(report))
