"""A joint figure of two houses takes a purpose, a grant and a budget in each, and is in both ledgers before it is used."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.houses import (
    EPSILON,
    FAIR,
    Authority,
    ask,
    begin,
    found_house,
    grant_for,
    joining,
    order,
)
from tests.keeper_desk import Bench, copy_bench
from tests.world import raised

from safehold.charter import load
from safehold.errors import (
    BudgetSpentError,
    DeniedError,
    RedLineError,
    SafeholdError,
    UnavailableError,
)
from safehold.keeper.commitment import commit, salt_of
from safehold.keeper.joins import COMMITMENT, PSI_SUM, SUM

HERE = {f"p{number:03}": 1 + number % 3 for number in range(50)}  # rows of the pointer
THERE = {f"p{number:03}": number for number in range(10, 60)}  # a metric
BOTH = sorted(HERE.keys() & THERE.keys())
TRUE = sum(min(THERE[one], 100) for one in BOTH)
# at this epsilon the two noises of a sum are together beyond FAR once in 10^10 sessions, those of a count never beyond FEW
FAR, FEW = 500, 20


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Bench]:
    charter = joining(least=20)
    return (
        found_house(tmp_path_factory.mktemp("tel"), "pointer", HERE, charter),
        found_house(tmp_path_factory.mktemp("hr"), "metric", THERE, charter),
    )


@pytest.fixture
def houses(made: tuple[Bench, Bench], tmp_path: Path) -> Iterator[tuple[Bench, Bench]]:
    pair = tuple(
        begin(copy_bench(one, tmp_path / name))
        for one, name in zip(made, ("tel", "hr"), strict=True)
    )
    yield pair
    for one in pair:
        one.stop()


@pytest.fixture(scope="module")
def standing(
    made: tuple[Bench, Bench], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bench]:
    """One house for tests that only ask for what is refused."""
    bench = begin(copy_bench(made[0], tmp_path_factory.mktemp("standing")))
    yield bench
    bench.stop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def join(
    houses: tuple[Bench, Bench],
    authority: Authority,
    *,
    verb: str = PSI_SUM,
    left: Mapping[str, Any] | None = None,
    right: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Let both keepers carry out a session; return what each answered or raised."""
    listener = socket.create_server(("127.0.0.1", 0))
    names = ("tel.example", "hr.example")
    one, two = (authority.issue(name) for name in names)
    asked = (
        order("set", names[0], one, answers=[names[1]], **(left or {})),
        order(
            "values",
            names[1],
            two,
            calls={names[0]: ["127.0.0.1", listener.getsockname()[1]]},
            **(right or {}),
        ),
    )

    def run(bench: Bench, given: Mapping[str, Any], ear: socket.socket | None) -> Any:
        try:
            return ask(bench, verb, given, listener=ear)
        except SafeholdError as error:
            return error

    with listener, ThreadPoolExecutor(2) as pool:
        had = pool.submit(run, houses[0], asked[0], listener)
        other = pool.submit(run, houses[1], asked[1], None)
        return had.result(), other.result()


def public(bench: Bench, kind: str) -> list[dict[str, Any]]:
    return [leaf.get("pub", {}) for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == kind]


def test_both_houses_get_one_noisy_figure_and_each_ledger_tells_it(houses, authority) -> None:
    left, right = join(houses, authority)
    for answer in (left, right):
        assert abs(answer["people"] - len(BOTH)) <= FEW
        assert abs(answer["sum"] - TRUE) <= FAR
        assert answer["at_least"] <= len(BOTH)
    assert {name: left[name] for name in ("people", "sum", "session")} == {
        name: right[name] for name in ("people", "sum", "session")
    }
    for bench, answer, peer in zip(houses, (left, right), (right, left), strict=True):
        kinds = bench.leaves()
        intent = answer["intent"]
        assert kinds[intent:] == ["access.intent", "join", "join", "release", "access.result"]
        committed, done = public(bench, "join")
        assert committed == {"state": "committed", "commitment": answer["commitment"]}
        assert done["session"] == answer["session"]
        assert done["theirs"] == peer["commitment"]  # each ledger names what the other committed to
        charged = public(bench, "access.intent")[-1]
        assert charged["epsilon_micro"] == EPSILON
        assert charged["delta_e12"] == 500_000


def test_what_was_committed_to_can_be_shown_later(houses, authority) -> None:
    _, right = join(houses, authority)
    desk = houses[1].desk
    salt = salt_of(desk.vault.derive(COMMITMENT), right["intent"])
    brought = [(name, min(value, 100)) for name, value in THERE.items()]
    assert commit(brought, salt) == right["commitment"]
    assert commit(brought[1:], salt) != right["commitment"]
    assert commit(brought, bytes(32)) != right["commitment"]


def test_a_set_that_differs_in_one_person_is_charged_again_and_the_budget_ends_it(
    houses, authority
) -> None:
    join(houses, authority)
    houses[0].call("people.choose", **leaving(houses[0], BOTH[0]))
    again, _ = join(houses, authority)
    assert again["session"]
    before = [len(bench.leaves()) for bench in houses]
    for bench, role in zip(houses, ("set", "values"), strict=True):
        with pytest.raises(BudgetSpentError):
            alone(bench, authority, role)
    assert [public(bench, "join")[-1]["state"] for bench in houses] == ["done", "done"]
    assert all(len(bench.leaves()) > size for bench, size in zip(houses, before, strict=True))


def leaving(bench: Bench, person: str) -> dict[str, Any]:
    return {"person": person, "choice": "withdraw"}


def alone(bench: Bench, authority: Authority, role: str, **changes: Any) -> dict[str, Any]:
    """Ask one keeper whose peer does not exist: whoever gets as far as calling it fails there."""
    given = {
        "calls": {"nobody.example": ["127.0.0.1", 9]},
        "party": f"{role}.example",
        **changes,
    }
    party, holder = given.pop("party"), given.pop("holder", None)
    return ask(bench, PSI_SUM, order(role, party, authority.issue(party), **given), holder=holder)


def test_performance_beside_keystrokes_is_refused_before_anything_is_charged_or_sent(
    houses, authority
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as ear:
        ear.settimeout(0.2)
        given = {"calls": {"other.example": ["127.0.0.1", ear.getsockname()[1]]}}
        for bench, role, stream, beside in (
            (houses[0], "set", "key", "metric"),
            (houses[1], "values", "metric", "key"),
        ):
            before = len(bench.leaves())
            changes = {**given, "stream": stream, "beside": [beside]}
            refused = raised(partial(alone, bench, authority, role, **changes))
            assert isinstance(refused, RedLineError)
            assert refused.rule == "charter.red_line.no-cross-join"
            after = bench.leaves()[before:]
            assert "access.intent" not in after
            assert after[-1] == "refusal"
        with pytest.raises(TimeoutError):  # nobody called
            ear.accept()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"purpose": "train_ui_agent"}, "charter.red_line.no-cross-join"),
        ({"beside": ["chat"]}, "purpose.from"),
        ({"beside": ["nothing"]}, "join.streams"),
        ({"beside": []}, "join.streams"),
        ({"epsilon_micro": 45_000_000}, "privacy.budget"),
        ({"purpose": "unheard"}, "charter.purpose"),
        ({"answers": ["a", "b"]}, "join.parties"),
        ({"measure": ""}, "join.word"),
        ({"calls": []}, "join.order"),
        ({"clamp": 0}, "join.number"),
    ],
)
def test_what_no_session_starts_with(standing, authority, change, rule) -> None:
    refused = raised(lambda: alone(standing, authority, "set", **change))
    assert refused.rule == rule
    assert "join" not in standing.leaves()


def test_a_peer_that_is_not_there_costs_what_was_asked(houses, authority) -> None:
    bench = houses[0]
    bench.desk.crossing = Impatient(bench.desk.crossing)
    before = bench.desk.trust.left(FAIR).epsilon_micro
    with pytest.raises(UnavailableError):
        alone(bench, authority, "set")
    assert bench.desk.trust.left(FAIR).epsilon_micro == before - EPSILON
    assert bench.leaves()[-3:] == ["access.intent", "join", "access.result"]
    assert public(bench, "access.result")[-1]["outcome"] == "failed"


class Impatient:
    """Waits half a second for the other house."""

    def __init__(self, crossing: Any) -> None:
        self._crossing = crossing

    def start(self, given: Mapping[str, Any], listener: int | None) -> Any:
        return self._crossing.start({**given, "patience_s": 0.5, "idle_s": 5}, listener)


def test_too_few_in_both_is_refused_on_both_sides_without_a_number_and_costs(
    houses, authority
) -> None:
    # nobody of the set house has four rows
    left, right = join(houses, authority, left={"at_least": 4})
    for bench, error in zip(houses, (left, right), strict=True):
        assert isinstance(error, DeniedError)
        assert error.rule == "join.min_people"
        assert not any(letter.isdigit() for letter in error.message)
        assert public(bench, "access.result")[-1]["outcome"] == "denied"
        assert bench.desk.trust.left(FAIR).epsilon_micro == EPSILON
        assert "release" not in bench.leaves()


def test_houses_that_state_different_terms_do_not_meet(houses, authority) -> None:
    left, right = join(houses, authority, left={"clamp": 99})
    assert {left.rule, right.rule} == {"join.terms"}
    assert all("release" not in bench.leaves() for bench in houses)


def test_the_sum_of_vectors_has_noise_of_every_house(houses, authority) -> None:
    given = {"group": "level", "clamp": 100}
    left, right = join(houses, authority, verb=SUM, left=given, right=given)
    assert left["cells"] == right["cells"]
    assert list(left["cells"]) == ["staff", "manager", "executive"]
    true = sum(HERE.values()) + sum(min(one, 100) for one in THERE.values())
    assert abs(left["cells"]["staff"] - true) <= FAR
    assert abs(left["cells"]["executive"]) <= FAR
    assert public(houses[0], "access.intent")[-1]["delta_e12"] == 0


def test_a_stop_ends_a_session_and_no_figure_follows_it(houses, authority) -> None:
    bench = houses[0]
    seen: list[str] = []

    class Stopping:
        def __init__(self, crossing: Any) -> None:
            self.crossing = crossing

        def start(self, given: Mapping[str, Any], listener: int | None) -> Any:
            seen.append("started")
            bench.call("stop", **bench.order("stop", "privacy"))
            return self.crossing.start(given, listener)

    bench.desk.crossing = Stopping(bench.desk.crossing)
    refused = raised(lambda: alone(bench, authority, "set"))
    assert seen == ["started"]
    assert (refused.rule or "").startswith("oversight")
    assert "release" not in bench.leaves()


def test_an_erasure_ends_a_session_that_holds_the_person(houses, authority) -> None:
    bench = houses[0]
    erased: list[Any] = []

    class Erasing:
        def __init__(self, crossing: Any) -> None:
            self.crossing = crossing

        def start(self, given: Mapping[str, Any], listener: int | None) -> Any:
            erased.append(bench.call("people.erase", person=BOTH[0], evidence="a test"))
            return self.crossing.start(given, listener)

    bench.desk.crossing = Erasing(bench.desk.crossing)
    refused = raised(lambda: alone(bench, authority, "set"))
    assert refused.rule == "subjects.erased"
    assert "release" not in bench.leaves()
    # the other house may have had its figure by then, so the receipt names what it can tell at most
    (effect,) = [one for one in erased[0]["effects"] if one["kind"] == "aggregate"]
    assert effect["id"].startswith("join:")
    assert effect["status"] == "bounded"


def test_nobody_who_left_after_the_measure_goes_to_the_other_house(houses, authority) -> None:
    """The sandbox is done, the session not yet begun: what was committed to still counts them."""
    bench = houses[0]
    real, begun = bench.verbs.work.release.run, []

    class Counting:
        def __init__(self, crossing: Any) -> None:
            self.crossing = crossing

        def start(self, given: Mapping[str, Any], listener: int | None) -> Any:
            begun.append(given)
            return self.crossing.start(given, listener)

    def run(*given: Any, **more: Any) -> Any:
        found = real(*given, **more)
        bench.call("people.choose", person=BOTH[0], choice="withdraw")
        return found

    bench.desk.crossing = Counting(bench.desk.crossing)
    bench.verbs.work.release.run = run
    refused = raised(lambda: alone(bench, authority, "set"))
    assert (refused.rule, begun) == ("subjects.left", [])


def test_a_grant_for_another_stage_or_recipe_reaches_no_join(standing, authority) -> None:
    assert raised(partial(grant_for, standing, stages=("training",))).rule == "grant.stage"
    holder = grant_for(standing, recipes=("train",))
    refused = raised(partial(alone, standing, authority, "set", holder=holder))
    assert isinstance(refused, DeniedError)
    assert "join" not in standing.leaves()


@pytest.mark.real
def test_the_shared_example_keeps_performance_from_keystrokes() -> None:
    """The example of the evaluation, where it is there, and the project's own."""
    from safehold.keeper.together import check_together

    for path in (Path("/work/shared/examples/charter.yaml"), shipped_example()):
        if not path.exists():
            continue
        charter = load(path)
        check_together(charter, FAIR, mine=("focus",), theirs=("metric",))
        for mine, theirs in ((("key",), ("metric",)), (("metric",), ("key",))):
            refused = raised(partial(check_together, charter, FAIR, mine=mine, theirs=theirs))
            assert isinstance(refused, RedLineError)
            assert refused.rule == "charter.red_line.no-cross-join"


def shipped_example() -> Path:
    from safehold.charter import shipped

    return shipped("example")
