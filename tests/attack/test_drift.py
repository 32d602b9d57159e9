"""One changed flag: what runs differs from what the board signed, and nothing is recorded until it does not (S12)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, batch, chunk, copy_bench, found_bench

from safehold import canonical
from safehold.charter import Rosters
from safehold.charter.clauses import clauses
from safehold.charter.compile import build
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, MissingError, UnavailableError
from safehold.keeper import drift as drift_module
from safehold.keeper import intake as intake_module
from safehold.keeper.running import clause_of_rule, differing, running_clauses
from safehold.keeper.terms import streams_of
from safehold.ledger import Panel
from safehold.telemetry.stream import Level

PEOPLE = ("ana", "bo", "cy")
FIVE_MINUTES = 300 * SECOND_US


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def wait(bench: Bench, us: int) -> None:
    bench.clock.at_us += us


def refused(bench: Bench) -> DeniedError:
    with pytest.raises(DeniedError) as found:
        bench.take("ana", name="more")
    return found.value


def edit_file(bench: Bench, change: Callable[[dict[str, Any]], None]) -> bytes:
    before = bench.home.charter_file.read_bytes()
    tree = canonical.decode(before)
    change(tree["charter"])
    bench.home.charter_file.write_bytes(canonical.encode(tree))
    return before


def other_orders(monkeypatch: pytest.MonkeyPatch, stream: str, **rules: Any) -> None:
    def deployed(charter: Any) -> dict[str, dict[str, Any]]:
        found = streams_of(charter)
        found[stream] |= rules
        return found

    monkeypatch.setattr(intake_module, "streams_of", deployed)


def without_red_line(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    trust = bench.desk.trust
    rules = [rule for rule in trust.policy().rules if rule.id != "red_line.no-performance-use"]
    trust._enacted._policy = build(trust.charter(), rules)


def another_charter(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    trust = bench.desk.trust
    charter = trust.charter()
    item = replace(charter.collect[0], keep_days=charter.collect[0].keep_days + 1)
    wider = replace(charter, collect=(item, *charter.collect[1:]))
    trust._enacted._signed = replace(trust.signed(), charter=wider)


def in_the_file(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    def change(tree: dict[str, Any]) -> None:
        tree["collect"][0]["keep_days"] += 1

    edit_file(bench, change)


def red_line_in_the_file(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    def change(tree: dict[str, Any]) -> None:
        line = next(one for one in tree["red_lines"] if one["min_people"])
        line["min_people"] = 2

    edit_file(bench, change)


def file_gone(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    bench.home.charter_file.unlink()


def lower_level(_bench: Bench, patch: pytest.MonkeyPatch) -> None:
    other_orders(patch, "key", level=int(Level.L1))


def less_masked(_bench: Bench, patch: pytest.MonkeyPatch) -> None:
    other_orders(patch, "key", groups=["identifiers"])


def more_kept(_bench: Bench, patch: pytest.MonkeyPatch) -> None:
    other_orders(patch, "key", drop=[])


def more_channels(_bench: Bench, patch: pytest.MonkeyPatch) -> None:
    other_orders(patch, "chat", channels=["direct", "private", "public"])


def more_budget(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    trust = bench.desk.trust
    real = trust.allowed
    patch.setattr(trust, "allowed", lambda name: replace(real(name), epsilon_micro=9_000_000))


def fewer_people(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bench.desk.trust, "least_people", lambda _name: 2)


def fewer_witnesses(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    replace(Panel(), strict=False).write(bench.home.witnesses_file)


def weaker_sandbox(bench: Bench, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(bench.workshop, "level", lambda: "E1")


def another_board(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    trust = bench.desk.trust
    trust.board._rosters = Rosters([replace(trust.roster, version=trust.roster.version + 1)])


def let_off(bench: Bench, _patch: pytest.MonkeyPatch) -> None:
    """An administrator ends somebody's part in it by hand, beside their own choice."""
    people = bench.desk.people
    person = people.find("bo")
    people.change(person, lambda standing: replace(standing, streams=frozenset()))


FLAGS: dict[str, tuple[Callable[[Bench, pytest.MonkeyPatch], None], str]] = {
    "a term in the charter's file": (in_the_file, "collect.keys.keep"),
    "a red line in the charter's file": (
        red_line_in_the_file,
        "red_lines.no-single-person-query.min_people",
    ),
    "the charter's file": (file_gone, "signatures"),
    "the charter in memory": (another_charter, "collect.keys.keep"),
    "a red line of the policy": (without_red_line, "policy.text"),
    "the level a sandbox is told": (lower_level, "collect.keys.minimise.level"),
    "what is masked": (less_masked, "collect.keys.minimise.dlp"),
    "what is dropped": (more_kept, "collect.keys.minimise.drop"),
    "the channels": (more_channels, "collect.chat.minimise.channels"),
    "the budget": (more_budget, "purposes.train_ui_agent.privacy.epsilon"),
    "the fewest people": (fewer_people, "purposes.train_ui_agent.privacy.min_people"),
    "the list of witnesses": (fewer_witnesses, "audit.witnesses"),
    "the sandbox": (weaker_sandbox, "assurance.sensitivity_4"),
    "the board": (another_board, "oversight.seats"),
    "the register of people": (let_off, "participation.applies_equally_to"),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_one_changed_flag_stops_recording_within_five_minutes_and_names_the_clause(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, flag: str
) -> None:
    bench.take("ana")
    change, clause = FLAGS[flag]
    change(bench, monkeypatch)
    wait(bench, FIVE_MINUTES)
    error = refused(bench)
    named = {one.clause for one in bench.verbs.drift.found}
    assert clause in named
    assert error.rule == f"drift.{bench.verbs.drift.found[0].clause}"
    (leaf,) = [leaf for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "drift"]
    assert leaf["pub"]["state"] == "found"
    assert leaf["pub"]["clause"] in named
    assert clause in bench.call("status")["drift"]


def test_a_home_that_runs_as_signed_records(bench: Bench) -> None:
    for number in range(8):
        wait(bench, FIVE_MINUTES)
        bench.take("ana", name=f"n{number}", first=10 * number)
    assert bench.call("drift")["ok"]
    assert "drift" not in bench.leaves()


def test_what_is_put_back_is_noted_and_recording_goes_on(bench: Bench) -> None:
    before = edit_file(bench, lambda tree: tree["collect"][0].update(keep_days=99))
    wait(bench, FIVE_MINUTES)
    refused(bench)
    wait(bench, FIVE_MINUTES)
    refused(bench)
    bench.home.charter_file.write_bytes(before)
    wait(bench, FIVE_MINUTES)
    bench.take("ana", name="after")
    said = [
        (leaf["pub"]["state"], leaf.get("ref"))
        for _, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "drift"
    ]
    at = bench.leaves().index("drift")
    assert said == [("found", None), ("clear", at)]


def test_a_source_that_is_being_taken_in_is_ended_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deploy() -> None:
        lower_level(bench, monkeypatch)
        wait(bench, drift_module.OLDEST_US)

    day = bench.today - 1
    with pytest.raises(DeniedError, match="not what the board signed"):
        bench.ingest(
            batch("ana", day),
            chunk(0),
            deploy,
            batch("ana", day, first=10, chunk=1),
            chunk(1),
            batch("ana", day, first=20, chunk=2),
            chunk(2),
        )


def test_leases_end_and_no_new_one_is_given(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[bool] = []
    monkeypatch.setattr(bench.verbs.leases._lessor, "end_all", lambda: ended.append(True) or 0)
    lower_level(bench, monkeypatch)
    wait(bench, drift_module.OLDEST_US)
    for verb, arguments in (
        ("lease.obtain", {"person": "ana"}),
        ("lease.submit", {"envelope": "", "device": ""}),
    ):
        with pytest.raises(DeniedError) as found:
            bench.call(verb, **arguments)
        assert found.value.rule == "drift.collect.keys.minimise.level"
    assert ended


def test_a_ledger_that_takes_no_word_of_it_does_not_let_anything_in(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lower_level(bench, monkeypatch)
    wait(bench, drift_module.OLDEST_US)

    def full(*_entries: Any) -> Any:
        raise UnavailableError("the disk is full", rule="test")

    monkeypatch.setattr(type(bench.desk), "log", lambda *_arguments: full())
    with pytest.raises(UnavailableError):
        bench.verbs.drift.require_none()
    with pytest.raises(DeniedError):  # and the look just taken is not forgotten
        bench.verbs.drift.require_none()


@pytest.mark.parametrize(
    "trouble", [MissingError("gone", rule="test"), OSError(5, "disk"), TypeError(), KeyError("x")]
)
def test_a_register_that_cannot_be_compared_is_not_taken_for_a_clean_one(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    let_off(bench, monkeypatch)
    wait(bench, FIVE_MINUTES)
    refused(bench)

    def fail(*_arguments: Any) -> Any:
        raise trouble

    monkeypatch.setattr(bench.verbs.drift, "_register", fail)
    for _ in range(3):
        wait(bench, FIVE_MINUTES)
        assert refused(bench).rule == "drift.participation.applies_equally_to"
    states = [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "drift"
    ]
    assert "clear" not in states


def test_a_store_that_is_down_is_no_difference_and_no_clean_look_either(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("ana")
    compare = bench.verbs.drift._register

    def fail(*_arguments: Any) -> Any:
        raise UnavailableError("the database is silent", rule="db.unavailable")

    monkeypatch.setattr(bench.verbs.drift, "_register", fail)
    wait(bench, FIVE_MINUTES)
    for number in range(2):  # the look before does not stand in for it
        with pytest.raises(UnavailableError) as caught:
            bench.take("ana", name=f"more{number}", first=10)
        assert caught.value.rule == "db.unavailable"
    let_off(bench, monkeypatch)
    monkeypatch.setattr(bench.verbs.drift, "_register", compare)
    assert refused(bench).rule == "drift.participation.applies_equally_to"
    states = [
        leaf["pub"]["state"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "drift"
    ]
    assert states == ["found"]


def test_a_keeper_that_starts_anew_looks_before_it_records(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.take("ana")
    lower_level(bench, monkeypatch)
    bench.restart()
    assert refused(bench).rule == "drift.collect.keys.minimise.level"


def test_an_unguarded_intake_takes_nothing(bench: Bench) -> None:
    bench.verbs.intake.guard = intake_module.unguarded
    with pytest.raises(UnavailableError):
        bench.take("ana")


def test_every_clause_has_a_running_counterpart(bench: Bench) -> None:
    promised = clauses(bench.charter())
    runs = running_clauses(bench.desk, bench.verbs.intake.orders())
    assert not differing(promised, runs)
    assert promised.keys() == runs.keys()
    assert len(promised) > 100
    tree = bench.charter().to_json()
    assert promised["collect.keys.keep"] == tree["collect"][0]["keep_days"]


def test_each_single_clause_is_compared(bench: Bench) -> None:
    promised = clauses(bench.charter())
    for clause in promised:
        assert differing(promised, promised | {clause: "another"}) == [clause]
        less = {name: value for name, value in promised.items() if name != clause}
        assert differing(promised, less) == [clause]


def test_a_rule_belongs_to_its_clause() -> None:
    assert clause_of_rule("red_line.no-cross-join/2") == "red_lines.no-cross-join/2"
    assert clause_of_rule("guard.consent") == "policy.guard.consent"
