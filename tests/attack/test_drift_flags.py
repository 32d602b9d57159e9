"""Every flag of the running configuration, one at a time: each stops recording and is named by its clause (S12).

The flags are not listed by hand: they are the clauses of the charter in force, what the next sandbox is told, the
compiled rules and the types, budgets, and what the machine and the files outside offer. A clause that has no other
legal value cannot run otherwise; those are named here, so that a new one does not slip through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold import canonical
from safehold.charter import Charter
from safehold.charter.clauses import clauses
from safehold.charter.compile import build
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, SafeholdError
from safehold.keeper import intake as intake_module
from safehold.keeper.drift import SHOWN
from safehold.keeper.running import PARTS, clause_of_rule, differing
from safehold.ledger import Panel
from safehold.telemetry.stream import STREAM_TO_WHAT, Level

FIVE_MINUTES = 300 * SECOND_US
ONE_VALUE = {  # the language knows one value only
    "charter",
    "participation.default",
    "participation.manager_visibility_of_choice",
    "participation.pause.effect",
    "participation.pause.max",
    "participation.withdraw.detriment",
    "jurisdictions.counterpart_rule",
    "audit.bundle",
    "oversight.break_glass",
    "participation.opt_in_by",  # said only where it is not the default
    "purposes.train_ui_agent.privacy.unit",
    "set_aside",  # takes a purpose of its own beside it, so it does not change alone
}
OTHERS = ("L1", "L2", "dropped", "class_only", "speech", "hr", "badge", "words", "ticket", "US-CA", "DE",
          "direct", "query", "metrics_dp", "identifiers", "read_rows", "operate", "sh:prompt", "dpv:Marketing",
          "marketing", "pd:Tax", "crypto_shred", "access_log", "keys", "verify", "ccpa", "E4", "E3", "E2", "x")  # fmt: skip

PARTS_OF_A_CHARTER = (
    {"unit": "person", "epsilon_micro": 1, "delta_pico": 1, "min_people": 50},
    {"max_s": 3600, "token_s": 600, "approvers": 2, "reason": None, "budget": None},
    {"rows": 1, "bytes_out": 1, "runs": 1},
)

GATE = {
    "id": "g",
    "attack": "invert",
    "level": None,
    "measure": "auc",
    "must_be": {"op": "<=", "micro": 1},
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"), people=("ana", "bo"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def other_values(value: Any) -> Iterator[Any]:
    match value:
        case bool():
            yield not value
        case int():
            yield from (value + 1, value - 1, value * 2)
        case str():
            yield from (f"{value}-x", f"{value} x", *OTHERS)
        case list() if all(isinstance(item, str) for item in value):
            yield from (value[:at] + value[at + 1 :] for at in range(len(value)))
            yield from ([*value, one] for one in (*OTHERS, GATE))
        case None:
            yield from (1, True, *OTHERS, *([one] for one in OTHERS), *PARTS_OF_A_CHARTER)
        case _:
            pass


def changes(tree: Any, put: Callable[[Any], Any]) -> Iterator[Iterator[Any]]:
    """Yield for each leaf of a tree the whole tree with another value in its place, in several tries."""
    if isinstance(tree, dict):
        for key, inner in tree.items():
            yield from changes(inner, lambda new, key=key: put({**tree, key: new}))
    elif isinstance(tree, list) and any(isinstance(item, dict) for item in tree):
        for at, inner in enumerate(tree):
            yield from changes(inner, lambda new, at=at: put([*tree[:at], new, *tree[at + 1 :]]))
    else:
        yield (put(value) for value in other_values(tree))


def other_charters(charter: Charter) -> dict[str, Charter]:
    """Return for each clause a legal charter in which it has another value."""
    before, found = clauses(charter), {}
    tree = canonical.decode(canonical.encode(charter.to_json()))
    for tries in changes(tree, lambda new: new):
        for one in tries:
            try:
                other = Charter.from_json(one)
            except SafeholdError:
                continue
            if named := differing(before, clauses(other)):
                found |= {clause: other for clause in named if clause not in found}
                break
    return found


def look(bench: Bench) -> tuple[str, set[str]]:
    """Return the clause by which recording is refused five minutes later, and all that were found."""
    bench.clock.at_us += FIVE_MINUTES
    with pytest.raises(DeniedError) as error:
        bench.take("ana", name="more")
    rule, found = str(error.value.rule), bench.verbs.drift.found
    assert rule == f"drift.{found[0].clause}"
    assert found[0].sentence in str(error.value)
    return rule.removeprefix("drift."), {one.clause for one in found}


def settle(bench: Bench) -> None:
    bench.clock.at_us += FIVE_MINUTES
    assert bench.verbs.drift.check() == ()


def test_every_clause_that_can_have_another_value_is_a_flag(bench: Bench) -> None:
    every, others = clauses(bench.charter()), other_charters(bench.charter())
    assert every.keys() - others.keys() == ONE_VALUE
    assert len(others) > 200


@pytest.mark.parametrize("where", ["memory", "file"])
def test_every_clause_of_the_charter(bench: Bench, where: str) -> None:
    """In the memory of the keeper, as after a deployment of another charter; and in its file."""
    trust, file = bench.desk.trust, bench.home.charter_file
    signed, written = trust.signed(), file.read_bytes()
    promised, seen = clauses(signed.charter), 0
    others = other_charters(signed.charter)
    for clause in promised.keys() & others.keys():
        other = others[clause]
        if where == "memory":
            trust._enacted._signed = replace(signed, charter=other)
        else:
            tree = canonical.decode(written) | {"charter": other.to_json()}
            file.write_bytes(canonical.encode(tree))
        first, named = look(bench)
        changed = set(differing(promised, clauses(other)))
        assert clause in named or len(changed) > SHOWN, (clause, named)
        assert first in changed | ({"version"} if where == "memory" else set()), (clause, first)
        trust._enacted._signed = signed
        file.write_bytes(written)
        seen += 1
    assert seen == len(promised) - len(ONE_VALUE)
    settle(bench)
    bench.take("ana", name="as signed")


def test_everything_that_a_sandbox_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = intake_module.streams_of, 0
    told = real(bench.charter())
    other = {
        "level": lambda level: int(Level.L1) if level != Level.L1 else int(Level.L2),
        "apps": lambda apps: ["x"] if apps is None else None,
        "channels": lambda channels: ["direct"] if channels is None else [*channels, "direct"],
        "drop": lambda drop: drop[1:] if drop else ["clipboard"],
        "groups": lambda groups: groups[1:] if groups else ["identifiers"],
        "titles": lambda titles: "class_only" if titles == "dropped" else "dropped",
    }
    for stream, rules in told.items():
        assert rules.keys() - {"stream"} == other.keys() == PARTS.keys() | {"level"}
        for part, turn in other.items():
            with monkeypatch.context() as patch:

                def deployed(charter: Charter, stream=stream, part=part, turn=turn) -> dict:
                    found = real(charter)
                    found[stream][part] = turn(found[stream][part])
                    return found

                patch.setattr(intake_module, "streams_of", deployed)
                clause = f"collect.{STREAM_TO_WHAT[stream]}.minimise.{PARTS.get(part, part)}"
                assert look(bench) == (clause, {clause})
            settle(bench)
            seen += 1
    assert seen == 6 * len(told) >= 30
    orders = bench.verbs.intake.orders
    for stream in told:
        clause = f"collect.{STREAM_TO_WHAT[stream]}.keep"
        longer = {stream: bench.charter().retention(stream) + 1}
        changed = lambda longer=longer: orders() | {"keep_days": orders()["keep_days"] | longer}  # noqa: E731
        bench.verbs.drift._orders = changed
        assert look(bench) == (clause, {clause})
        less = {name: rules for name, rules in told.items() if name != stream}
        other = orders() | {"rules": less | {"covert": told[stream] | {"level": 9}}}
        bench.verbs.drift._orders = lambda other=other: other
        assert "collect.covert.minimise.level" in look(bench)[1]
    bench.verbs.drift._orders = lambda: orders() | {"places": ["DE"]}
    assert look(bench)[0] == "jurisdictions.collect_in"
    bench.verbs.drift._orders = orders
    settle(bench)


@pytest.mark.parametrize("how", ["gone", "another"])
def test_every_compiled_rule(bench: Bench, how: str) -> None:
    trust = bench.desk.trust
    real = trust.policy()
    assert len(real.rules) > 40
    for at, rule in enumerate(real.rules):
        other = [] if how == "gone" else [replace(rule, terms=(*rule.terms, "1 == 1"))]
        changed = [*real.rules[:at], *other, *real.rules[at + 1 :]]
        trust._enacted._policy = build(trust.charter(), changed)
        clause = clause_of_rule(rule.id)
        assert look(bench) == (clause, {clause, "policy.text"})
        trust._enacted._policy = real
    trust._enacted._policy = replace(real, schema=real.schema + " ")
    assert look(bench) == ("policy.types", {"policy.types"})


def test_every_budget(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    trust = bench.desk.trust
    budget, least = trust.allowed, trust.least_people
    for name, purpose in bench.charter().purposes.items():
        if purpose.privacy is None:
            continue
        for part, change in (("epsilon", "epsilon_micro"), ("delta", "delta_e12")):
            with monkeypatch.context() as patch:
                more = lambda name, change=change: replace(budget(name), **{change: 9})  # noqa: E731
                patch.setattr(trust, "allowed", more)
                clause = f"purposes.{name}.privacy.{part}"
                assert look(bench) == (clause, {clause})
            settle(bench)
        with monkeypatch.context() as patch:
            patch.setattr(trust, "least_people", lambda name: least(name) - 1)
            clause = f"purposes.{name}.privacy.min_people"
            assert look(bench) == (clause, {clause})
        settle(bench)


def test_every_sensitivity_and_every_part_of_the_list_of_witnesses(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for reached in range(3):
        with monkeypatch.context() as patch:
            patch.setattr(bench.workshop, "level", lambda reached=reached: f"E{reached}")
            weak = {
                f"assurance.sensitivity_{item.sensitivity}"
                for item in bench.charter().collect
                if bench.charter().assurance.least(item.sensitivity) > reached
            }
            assert look(bench)[1] == weak
        settle(bench)
    file = bench.home.witnesses_file
    before = file.read_bytes() if file.exists() else None
    for change in ({"strict": not Panel().strict}, {"quorum": 1}):
        assert change.keys() <= {one.name for one in fields(Panel)}
        replace(bench.desk.panel, **change).write(file)
        assert look(bench)[0] == "audit.witnesses"
    file.write_bytes(b"{")
    assert look(bench)[0] == "audit.witnesses"
    file.unlink() if before is None else file.write_bytes(before)
    settle(bench)


def test_a_home_of_real_people_cannot_be_run_as_one_of_made_up_ones(bench: Bench) -> None:
    """The flag that excuses a home from witnesses and sandboxes is compared with the ledger as well."""
    home = bench.desk.home
    object.__setattr__(home, "synthetic", True)
    bench.clock.at_us += FIVE_MINUTES
    with pytest.raises(DeniedError) as error:
        bench.call("ingest", source={"kind": "synthetic", "spec": {}})
    assert error.value.rule == "drift.data_subjects.include"
