"""A model leaves only under a grant, after every attack on it, out of quarantine, and never unseen.

Each test takes away one thing that the guard asks for and shows that no byte leaves.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save
from tests.keeper_desk import PURPOSE, Bench, copy_bench
from tests.model_desk import (
    ATTACK,
    GATES,
    MANY,
    begin,
    canary,
    found,
    gated,
    membership,
    order,
    permit,
    proved,
    pull,
    train_as,
    trained,
    weights,
)
from tests.world import raised

from safehold import canonical
from safehold.access import PeopleFilter, Price, approve
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.catalog import tables
from safehold.clock import SECOND_US
from safehold.errors import ERRORS
from safehold.keeper.caller import AGENT, WORKLOAD
from safehold.keeper.door import KINDS_OF
from safehold.keeper.models import _aad
from safehold.keeper.pull import Pull
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A home that has not trained yet."""
    bench = found(tmp_path_factory.mktemp("built"))
    bench.stop()
    return bench


@pytest.fixture(scope="module")
def made(built: Bench, tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = begin(copy_bench(built, tmp_path_factory.mktemp("made")))
    trained(bench)
    bench.stop()
    return bench


@pytest.fixture
def fresh(built: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(copy_bench(built, tmp_path))
    yield copy
    copy.stop()


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(copy_bench(made, tmp_path))
    yield copy
    copy.stop()


def model(bench: Bench) -> str:
    (one,) = bench.call("artifact.list")["artifacts"]
    return one["id"]


def state(bench: Bench, name: str | None = None) -> str:
    listed = bench.call("artifact.list")["artifacts"]
    return next(one["state"] for one in listed if name in (None, one["id"]))


def refused(bench: Bench, *, purpose: str = PURPOSE, holder=None) -> str | None:
    size = bench.desk.ledger.size
    error = raised(lambda: pull(bench, model(bench), holder, purpose=purpose))
    assert "access.intent" not in bench.leaves(size)  # nothing was opened
    assert error.entry is not None
    leaf = bench.call("ledger.show", index=error.entry)["leaf"]
    assert leaf["k"] == "refusal"
    assert leaf["pub"] == {"action": "pull_artifact"}  # what whoever watches the ledger counts
    return error.rule


def test_a_model_is_pulled_once_every_gate_has_passed(bench: Bench) -> None:
    name = model(bench)
    assert state(bench) == "kept"
    assert refused(bench) == "charter.guard.gates"
    (one,) = membership(bench, name)["gates"]
    assert (one["state"], one["members"], one["others"]) == ("passed", 202, 51)
    assert "would have failed this gate in 19 of 20" in one["power"]
    assert refused(bench) == "charter.guard.gates"  # one of two is not both
    (two,) = canary(bench, name)["gates"]
    assert (two["state"], two["planted"]) == ("passed", 10)
    body, answer = pull(bench, name)
    assert body == weights()
    leaf = bench.call("ledger.show", index=answer["entry"])["leaf"]
    assert leaf["k"] == "access.intent"
    assert leaf["pub"]["artifact"] == name
    assert leaf["pub"]["action"] == "pull_artifact"
    assert leaf["pub"]["size"] == 1 << (len(body) - 1).bit_length()
    card = canonical.decode(answer["record"].encode())
    assert {one["gate"]: one["state"] for one in card["gates"]} == {
        "membership": "passed", "canary": "passed", "inversion": "inapplicable",
    }  # fmt: skip
    assert card["privacy"]["epsilon_micro"] == 1_000_000
    bench.restart()
    shown = bench.call("artifact.show", artifact=name)["record"]
    assert [one["entry"] for one in shown["pulls"]] == [answer["entry"]]


def test_an_attack_that_finds_members_puts_the_model_in_quarantine(bench: Bench) -> None:
    name = model(bench)
    canary(bench, name)
    done = membership(bench, name, hits=150)
    assert (done["gates"][0]["state"], done["state"]) == ("failed", "quarantined")
    assert refused(bench) == "artifact.quarantine"
    (lies,) = bench.call("artifact.quarantine")["quarantine"]
    assert (lies["artifact"], lies["reason"]) == (name, "gate.failed")
    # however often it is tried again, and whoever agrees: the charter promises that gate
    assert membership(bench, name)["gates"][0]["state"] == "failed"
    assert raised(lambda: bench.call("artifact.decide", **order(bench, name, "release"))).rule == (
        "artifact.gate-failed"
    )


def test_a_threshold_that_hides_a_leak_at_another_one_fails_too(bench: Bench) -> None:
    done = membership(bench, model(bench), even_hits=200)
    assert done["gates"][0]["upper"] <= 150_000
    assert done["gates"][0]["state"] == "failed"


def test_an_exposed_canary_puts_the_model_in_quarantine(bench: Bench) -> None:
    done = canary(bench, model(bench), exposed=1, deepest=14_000)
    assert (done["gates"][0]["state"], done["state"]) == ("failed", "quarantined")


def test_a_model_without_planted_sequences_is_not_judged(tmp_path: Path) -> None:
    bench = found(tmp_path, GATES[0])
    trained(bench)
    bench.enact(bench.changed(gates=lambda _: gates_of(*GATES)))
    done = canary(bench, model(bench))
    assert (done["gates"][0]["state"], done["state"]) == ("unmeasured", "quarantined")
    assert "nothing was planted" in done["gates"][0]["power"]
    bench.stop()


def gates_of(*gates):
    return canonical.decode(canonical.encode(gated(*gates).to_json()))["gates"]


def test_gates_of_another_charter_open_nothing(bench: Bench) -> None:
    name = model(bench)
    membership(bench, name)
    canary(bench, name)
    bench.enact(bench.changed(title="another"))
    assert refused(bench) == "charter.guard.gates"
    assert {
        one["state"] for one in bench.call("artifact.show", artifact=name)["record"]["gates"]
    } == {"stale"}


def pass_all(bench: Bench) -> str:
    name = model(bench)
    membership(bench, name)
    canary(bench, name)
    return name


def test_a_charter_that_changes_while_a_pull_is_decided_ends_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pass_all(bench)
    attest = bench.desk.notary.attest

    def changing(*arguments: Any) -> bytes:
        bench.enact(bench.changed(title="another"))
        return attest(*arguments)

    monkeypatch.setattr(bench.desk.notary, "attest", changing)
    assert refused(bench) == "charter.changed"


def test_a_model_that_is_deleted_before_its_bytes_left_does_not_leave(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The intent is in the ledger and waits for witnesses; a seat is faster."""
    name = pass_all(bench)
    told = order(bench, name, "delete", "privacy")
    prove, written = Pull._prove, []

    def deleting(*arguments: Any) -> Any:
        bench.call("artifact.decide", **told)
        return prove(*arguments)

    monkeypatch.setattr(Pull, "_prove", deleting)
    monkeypatch.setattr("safehold.keeper.pull._write", lambda _out, body: written.append(body))
    assert raised(lambda: pull(bench, name)).rule == "artifact.deleted"
    assert not written
    results = [
        leaf["pub"] for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.result"
    ]
    assert results[-1]["outcome"] == "denied"


def test_a_pull_takes_a_grant_for_pulling_this_purpose_and_in_time(bench: Bench) -> None:
    pass_all(bench)
    assert refused(bench, holder=permit(bench, "train")) == "capability.recipe"
    assert refused(bench, purpose="other") == "capability.purpose"
    held = permit(bench, "pull", max_runs=1)
    pull(bench, model(bench), held)
    assert refused(bench, holder=held) in ("grant.runs", "grant.closed", "capability.runs")
    small = permit(bench, "pull", max_bytes=1_000)
    error = raised(lambda: pull(bench, model(bench), small))
    assert error.rule == "grant.bytes"  # noticed before a byte left, and its intent has a result
    late = permit(bench, "pull")
    bench.clock.at_us += 5 * 3_600 * 1_000_000
    assert refused(bench, holder=late) in ("capability.expired", "grant.expired")


def test_neither_an_agent_nor_a_pipeline_takes_a_model_out() -> None:
    assert KINDS_OF["artifact.pull"].isdisjoint({AGENT, WORKLOAD})
    assert KINDS_OF["artifact.import"].isdisjoint({AGENT, WORKLOAD})
    assert AGENT not in KINDS_OF["artifact.decide"] | KINDS_OF["attack.canary"]


def test_a_model_whose_file_was_changed_is_not_handed_out(bench: Bench) -> None:
    name = pass_all(bench)
    (place,) = bench.verbs.models.objects()
    files = [
        one
        for one in bench.home.path.rglob("*")
        if one.is_file() and place.split("/")[-1] in one.name
    ]
    data = bytearray(files[0].read_bytes())
    data[200] ^= 1
    files[0].chmod(0o600)
    files[0].write_bytes(data)
    assert raised(lambda: pull(bench, name)).code == "tampered"


def test_a_statement_that_does_not_hold_puts_the_model_in_quarantine(bench: Bench) -> None:
    name = pass_all(bench)
    models = bench.verbs.models
    record = models.find(name)
    other = canonical.decode(record["provenance"].encode())
    other["signatures"][0]["sig"] = other["signatures"][0]["sig"][::-1].replace("=", "") + "=="
    forge(bench, name, provenance=canonical.encode(other).decode())
    assert raised(lambda: pull(bench, name)).code == "tampered"
    assert state(bench) == "quarantined"


def forge(bench: Bench, name: str, **changes) -> None:
    """Change what is kept with a model, as only somebody with the keeper's own keys could."""
    with bench.desk.engine.begin() as connection:
        row = connection.execute(tables.artifact.select().where(tables.artifact.c.id == name)).one()
        record = bench.verbs.models._open(row) | changes
        connection.execute(
            tables.artifact.update()
            .where(tables.artifact.c.id == name)
            .values(record=bench.desk.sealer.seal(canonical.encode(record), aad=_aad(name)))
        )


def test_what_a_scan_finds_in_weights_lies_in_quarantine_from_the_first_leaf_on(
    fresh: Bench,
) -> None:
    bench = fresh
    body = save({"w": np.ones(3, np.float32)}, metadata={"note": "mail jane.roe@example.com"})
    train_as(bench, body)
    name = trained(bench)
    assert state(bench, name) == "quarantined"
    assert bench.call("artifact.quarantine")["quarantine"][0]["reason"] == "scan"
    # five of six seats may let it out, and any one may have it deleted
    few = order(bench, name, "release", "privacy", "legal")
    assert raised(lambda: bench.call("artifact.decide", **few)).code == "denied.quorum"
    done = bench.call("artifact.decide", **order(bench, name, "release"))
    assert (done["state"], state(bench, name)) == ("released", "released")
    same, other = order(bench, name, "release"), order(bench, name, "release", reason="again")
    assert raised(lambda: bench.call("artifact.decide", **same)).rule == "artifact.order"
    assert raised(lambda: bench.call("artifact.decide", **other)).rule == "artifact.state"


def test_an_order_counts_once_for_one_file_of_one_home(bench: Bench) -> None:
    name = model(bench)
    membership(bench, name, hits=150)
    for changes, rule in (
        ({"home": "another"}, "artifact.order"),
        ({"sha256": "00"}, "artifact.order"),
        ({"at_us": bench.clock.now_us() - 4 * 86_400_000_000}, "artifact.order"),
    ):
        told = order(bench, name, "delete", "privacy", **changes)
        assert raised(lambda told=told: bench.call("artifact.decide", **told)).rule == rule
    assert state(bench) == "quarantined"


def test_one_seat_deletes_a_model_for_good(bench: Bench) -> None:
    name = pass_all(bench)
    bench.call("artifact.decide", **order(bench, name, "delete", list(bench.seats)[2]))
    assert state(bench) == "deleted"
    assert not bench.verbs.models.lives(name)
    assert refused(bench) == "artifact.deleted"
    assert raised(lambda: bench.call("artifact.show", artifact=name)).code == "shredded"


def test_a_deletion_that_a_crash_cut_off_is_carried_on(bench: Bench) -> None:
    name = model(bench)
    bench.verbs.quarantine._shred = lambda _name: None  # the keeper dies here
    bench.call("artifact.decide", **order(bench, name, "delete", "privacy"))
    assert bench.verbs.models.lives(name)
    bench.restart()
    assert not bench.verbs.models.lives(name)


def test_people_who_left_are_neither_members_nor_others(bench: Bench) -> None:
    name = model(bench)
    for person in MANY[:1]:
        bench.call("people.choose", person=person, choice="withdraw")
    (one,) = membership(bench, name)["gates"]
    assert one["members"] + one["others"] == len(MANY) - 1


def test_nobody_chooses_whom_an_attack_is_tried_on(bench: Bench) -> None:
    listed = sorted(str(one) for one in bench.desk.people.everybody())[:-1]
    some, key, now = PeopleFilter(people=tuple(listed)), SigningKey.generate(), bench.clock.now_us()
    asked = replace(
        draft_grant(
            bench.charter(), requester="ana", purpose=PURPOSE, reason="a test", minutes=60, holder=key,
            recipe="membership", people=some,
        ),
        asked_us=now, expires_us=now + 3600 * SECOND_US,
        first_day=bench.today - 40, last_day=bench.today + 1,
    )  # fmt: skip
    filed = bench.call("request.new", grant=asked.to_json(), people=some.to_json())
    approvals = [
        approve(
            asked, Price.from_json(filed["price"]), seat, bench.seats[seat], now_us=now
        ).to_json()
        for seat in ("privacy", "legal")
    ]
    token = bench.call("grant.enact", grant=asked.to_json(), approvals=approvals)["token"]
    holder = Holder(token, key)
    size = bench.desk.ledger.size
    error = raised(
        lambda: bench.call(
            ATTACK, artifact=model(bench), purpose=PURPOSE, **proved(bench, holder, ATTACK)
        )
    )
    assert error.rule == "attack.people"
    assert "access.intent" not in bench.leaves(size)
    assert state(bench) == "kept"


def test_a_model_of_another_recipe_is_not_let_past_a_gate_on_vectors(bench: Bench) -> None:
    """Only of a recipe that is known to make no vectors there is nothing to invert."""
    intent = next(at for at, leaf in bench.desk.ledger.leaves() if leaf["k"] == "access.intent")
    name = bench.verbs.models.keep(
        weights(), recipe="train", purpose=PURPOSE, metrics={}, datasets=(), expires=bench.today + 9, intent=intent,
        level="E0", started_us=1, trial={"recipe": "embed", "cut": "", "planted": 0},
    )  # fmt: skip
    canary(bench, name)
    shown = bench.call("artifact.show", artifact=name)["record"]["gates"]
    assert [one["state"] for one in shown if one["attack"] == "invert"] == ["unmeasured"]


def test_the_sides_are_those_of_the_training(fresh: Bench) -> None:
    """Whom the training was told to hold out are the others of the attack, and nobody else."""
    bench = fresh
    name = trained(bench)
    told = [spec for recipe, spec in bench.workshop.specs if recipe == "train"][-1]
    rows = dict(_aliases(bench))
    membership(bench, name)
    attacked = [spec for recipe, spec in bench.workshop.specs if recipe == "membership"][-1]
    now = dict(_aliases(bench))
    held = {rows[one] for one in told["held_out"]}
    assert len(held) == 51
    assert {now[one] for one in attacked["others"]} == held
    assert not {now[one] for one in attacked["members"]} & held


def _aliases(bench: Bench):
    """Yield run-scoped names with the block that lay under them, in the order of opening."""
    blocks = [
        str(block.person)
        for block in bench.desk.catalog.blocks(kind="derived", streams=("feature",), after_day=0)
    ]
    packed = [one["person"] for one in bench.workshop.packed[-1] if one.get("stream") == "feature"]
    real = [one for one in packed if one not in bench_planted(bench)]
    return zip(real, sorted(blocks), strict=True)


def bench_planted(bench: Bench) -> set[str]:
    headers = bench.workshop.packed[-1]
    return {one["person"] for one in headers[: len(headers) - len(MANY)] if "person" in one}


def test_the_training_cannot_tell_what_is_planted_and_nobody_is_made_up_for(fresh: Bench) -> None:
    bench = fresh
    trained(bench)
    spec = [spec for recipe, spec in bench.workshop.specs if recipe == "train"][-1]
    planted = bench_planted(bench)
    assert len(planted) == 10
    assert not planted & set(spec["held_out"])
    assert spec["min_people"] == bench.desk.trust.least_people(PURPOSE) + len(planted)
    keys = {tuple(sorted(one)) for one in bench.workshop.packed[-1]}
    assert keys == {("person", "stream", "window")}
    assert "planted" not in str(spec)


def test_no_leaf_about_a_model_names_a_person(bench: Bench) -> None:
    name = pass_all(bench)
    _, answer = pull(bench, name)
    people = {
        str(block.person)
        for block in bench.desk.catalog.blocks(kind="derived", streams=("feature",), after_day=0)
    }
    text = answer["record"] + answer["statements"]
    for index, leaf in bench.desk.ledger.leaves():
        if leaf["k"] in ("artifact", "attack"):
            text += str(bench.call("ledger.show", index=index))
    assert not [one for one in people if one in text]
    assert not [one for one in MANY if f"'{one}'" in text and one != "ana"]  # who asked


def test_an_attack_needs_its_own_grant(bench: Bench) -> None:
    held = permit(bench, "train")
    error = raised(
        lambda: bench.call(
            ATTACK, artifact=model(bench), purpose=PURPOSE, **proved(bench, held, ATTACK)
        )
    )
    assert error.code in ERRORS
    assert error.rule == "capability.recipe"
