"""Each control is broken for real on a home of its own: exactly the lines turn red that rest on it, and say why."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests import evidence_desk as desk
from tests.evidence_desk import begin, held, log, red, standings, verdicts, voice
from tests.keeper_desk import CROWD, Bench, copy_bench, found_bench

from safehold import canonical
from safehold.assurance import measure
from safehold.assurance.control import shipped
from safehold.assurance.measure import Measured
from safehold.assurance.milestone import measure_all
from safehold.charter.compile import build
from safehold.charter.value import MICRO
from safehold.clock import DAY_US, SECOND_US
from safehold.ledger import Entry

HOUR_US = 3600 * SECOND_US
AS_MADE = {
    "keeper.level",
    "access.principals",
}  # nobody has a user id of its own here, and nobody must sign in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return desk.sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(copy_bench(made, tmp_path))
    yield copy
    copy.stop()


def edit_charter(bench: Bench) -> None:
    tree = canonical.decode(bench.home.charter_file.read_bytes())
    tree["charter"]["collect"][0]["keep_days"] += 1
    bench.home.charter_file.write_bytes(canonical.encode(tree))


def open_policy(bench: Bench) -> None:
    trust = bench.desk.trust
    rules = [one for one in trust.policy().rules if not one.id.startswith(("red_line.", "guard."))]
    trust._enacted._policy = build(trust.charter(), rules)


def weaken_sandbox(bench: Bench) -> None:
    bench.workshop.level = lambda: "E1"


def lose_witness(bench: Bench) -> None:
    bench.home.witness.rename(bench.home.witness.with_name("gone"))
    log(bench, "refusal")


def damage_witnesses(bench: Bench) -> None:
    record = {"v": "safehold-witnesses/1", "quorum": 2, "strict": True, "remote": []}
    bench.home.witnesses_file.write_bytes(canonical.encode(record))


def break_scenario(bench: Bench) -> None:
    held(bench, "S02", state="broken")


def keep_expired_key(bench: Bench) -> None:
    with sqlite3.connect(bench.home.control) as base:
        base.execute("UPDATE vault_key SET period = 1 WHERE kind = 'person' AND period > 0")


def keep_strange_key(bench: Bench) -> None:
    with sqlite3.connect(bench.home.control) as base:
        assert base.execute(
            "UPDATE vault_key SET owner = 'per_nobody' WHERE id ="
            " (SELECT min(id) FROM vault_key WHERE kind = 'person')"
        ).rowcount


def edit_register(bench: Bench) -> None:
    name = bench.desk.people.find(CROWD[0])
    bench.desk.people.change(name, lambda one: replace(one, streams=frozenset({"chat"})))


def edit_label(bench: Bench) -> None:
    with sqlite3.connect(bench.home.control) as base:
        assert base.execute("UPDATE dataset SET created_us = 1 WHERE kind = 'model'").rowcount


def edit_document(bench: Bench) -> None:
    file = bench.home.documents / "dpia.md"
    file.write_text(file.read_text().replace("14 days", "140 days"))


def let_request_wait(bench: Bench) -> None:
    voice(bench).choose("object", purposes=["train_ui_agent"], text="it is about me alone")
    bench.clock.at_us += 31 * DAY_US
    bench.call("dataset.sweep")
    held(bench)
    measure_all(bench.verbs)


def leave_keys(bench: Bench) -> None:
    class PowerCutError(Exception):
        pass

    def cut(step: str) -> None:
        if step == "destroy":
            raise PowerCutError

    bench.verbs.erasure.reached = cut
    with pytest.raises(PowerCutError):
        bench.call("people.erase", person=CROWD[0], evidence="a letter")
    bench.clock.at_us += 25 * HOUR_US


def make_uncharged(bench: Bench) -> None:
    known = next(one["id"] for one in bench.desk.lineage.show() if one["kind"] == "feature")
    bench.desk.lineage.add(
        "art_00000000000000000000000000", kind="model", label=bench.desk.lineage.label(known),
        parents=[known], created_us=bench.desk.now_us(), facts={"intent": 3},
    )  # fmt: skip


def refund(bench: Bench) -> None:
    bench.desk.trust._spent.clear()


def overspend(bench: Bench) -> None:
    receipt = bench.desk.trust._ledger.append(
        [
            Entry(
                kind="access.intent", actor="ana", object="train", detail={},
                charter=bench.desk.trust.digest(),
                public={
                    "purpose": "train_ui_agent", "epsilon_micro": 9_000_000, "delta_e12": 1, "unit": "person",
                },
            )
        ]
    )[0]  # fmt: skip
    log(bench, "access.result", receipt.index, outcome="ok", rows=0)


def leave_use_open(bench: Bench) -> None:
    log(bench, "access.intent", purpose="train_ui_agent")
    bench.clock.at_us += 2 * HOUR_US


def close_grant_over_others(bench: Bench) -> None:
    grant = next(
        index for index, leaf in bench.desk.ledger.leaves()
        if leaf["k"] == "grant" and leaf["pub"]["state"] == "approved"
    )  # fmt: skip
    log(bench, "grant.closed", grant, state="expired", uses=9, first=0, last=1)


def let_vectors_out(bench: Bench) -> None:
    log(bench, "embed.export", rows=9, action="export", what="vectors", size="9", state="sent")


def fail_gate(bench: Bench) -> None:
    leaf = next(leaf for _, leaf in bench.desk.ledger.leaves() if leaf["k"] == "attack")
    log(bench, "attack", leaf["ref"], **(leaf["pub"] | {"state": "failed"}))


def lose_card(bench: Bench) -> None:
    (name, *_), *_ = bench.verbs.models.names()
    with sqlite3.connect(bench.home.control) as base:
        base.execute("DELETE FROM vault_key WHERE kind = 'artifact' AND owner <> ?", (name,))
    bench.verbs.models.check = _raise


def _raise(*_arguments: Any) -> None:
    from safehold.errors import TamperedError

    raise TamperedError("the statement does not hold", rule="test")


def leave_incident(bench: Bench) -> None:
    bench.call("incident.open", text="somebody saw something", severity=1)
    bench.clock.at_us += 73 * HOUR_US
    measure_all(bench.verbs)


def resume_without_cause(bench: Bench) -> None:
    bench.call("stop", **bench.order("stop", "privacy"))
    held(bench)
    measure_all(bench.verbs)
    bench.call("resume", **bench.order("resume"))


def break_promise(bench: Bench) -> None:
    with pytest.MonkeyPatch.context() as patch:
        found = Measured(micro=3 * MICRO, sentence="three seconds too many")
        patch.setitem(measure.MEASURES, "erasure.p100_hours", lambda _verbs: found)
        found = Measured(micro=90 * MICRO, sentence="a minute and a half")
        patch.setitem(measure.MEASURES, "stop.p100_seconds", lambda _verbs, one=found: one)
        measure_all(bench.verbs)


def stop_measuring(bench: Bench) -> None:
    bench.clock.at_us += 3 * DAY_US


def deafen(bench: Bench) -> None:
    intent = log(bench, "access.intent", purpose="secure_the_pipeline", action="watch")
    log(bench, "access.result", intent, outcome="ok", rows=0)
    bench.clock.at_us += 25 * HOUR_US


# what breaks, and exactly the probes that turn red with it
BREAKAGES: dict[Callable[[Bench], None], set[str]] = {
    edit_charter: {"charter.drift", "minimise.running"},
    open_policy: {
        "charter.drift", "charter.proved", "redline.emotion", "redline.employment", "redline.join", "redline.raw",
        "redline.transfer",
    },
    weaken_sandbox: {"charter.drift", "sandbox.level"},
    lose_witness: {"record.head"},
    damage_witnesses: {"charter.drift", "record.witnesses"},
    break_scenario: {"drill.S02", "promise.replay.people_exposed"},
    keep_expired_key: {"retention.keys"},
    keep_strange_key: {"keys.inventory"},
    edit_register: {"charter.default", "people.choices"},
    edit_label: {"lineage.labels"},
    edit_document: {"document.dpia"},
    let_request_wait: {"people.rights", "promise.rights.overdue"},
    leave_keys: {"people.withdrawal"},
    make_uncharged: {"privacy.charge", "record.complete"},
    refund: {"privacy.budget"},
    overspend: {"privacy.budget"},
    leave_use_open: {"access.results"},
    close_grant_over_others: {"access.grants"},
    let_vectors_out: {"egress.vectors"},
    fail_gate: {"model.gates"},
    lose_card: {"model.cards"},
    leave_incident: {"incident.clocks", "incident.contained", "promise.incident.open_past_clock"},
    resume_without_cause: {"incident.restart"},
    break_promise: {"promise.erasure.p100_hours", "promise.stop.p100_seconds", "promises.kept"},
    stop_measuring: {"promises.series"},
    deafen: {"sentinel.reads"},
}  # fmt: skip


@pytest.mark.parametrize("breaking", BREAKAGES, ids=lambda one: one.__name__)
def test_breaking_a_control_turns_exactly_its_lines_red(
    bench: Bench, breaking: Callable[[Bench], None]
) -> None:
    before = verdicts(bench)
    assert red(before) == AS_MADE
    breaking(bench)
    after = verdicts(bench)
    turned = red(after) - red(before)
    assert turned == BREAKAGES[breaking]
    assert all(after[name].reason.endswith(".") for name in turned)
    lines = {one.row.id: one for one in standings(after) if one.state == "not-satisfied"}
    were = {one.row.id for one in standings(before) if one.state == "not-satisfied"}
    resting = {row.id for row in shipped().rows if turned & set(row.probes)}
    assert lines.keys() - were == resting - were, "the lines that rest on what broke, and no other"
    assert all(after[lines[one].because[0]].reason for one in resting)
    reasons = {after[name].reason for name in turned | AS_MADE}
    assert all(lines[one].reason in reasons for one in resting)


def test_enough_is_broken() -> None:
    assert len(BREAKAGES) >= 15
    broken = set().union(*BREAKAGES.values())
    assert {name.split(".")[0] for name in broken} >= {
        "access", "charter", "document", "drill", "egress", "incident", "keys", "lineage", "minimise", "model",
        "people", "privacy", "promise", "promises", "record", "redline", "retention", "sandbox", "sentinel",
    }  # fmt: skip


def test_a_drill_that_is_too_old_proves_nothing(bench: Bench) -> None:
    bench.clock.at_us += 9 * DAY_US
    measure_all(bench.verbs)
    after = verdicts(bench)
    assert after["drill.S01"].state == "not-measured"
    assert "eight days" in after["drill.S01"].reason
    assert red(after) == AS_MADE


def test_a_trainer_that_spends_more_than_it_says_and_fails_its_audit_is_red(tmp_path: Path) -> None:
    bench = begin(desk.sound(tmp_path, epsilon_rdp=9.0, epsilon_pld=8.9, audit="failed"))
    assert red(verdicts(bench)) - AS_MADE == {"privacy.accountant", "privacy.audit"}
    bench.stop()


def test_a_notice_that_came_after_the_data_is_red_for_ever(tmp_path: Path) -> None:
    bench = found_bench(tmp_path).start()
    early = verdicts(bench)["notice.first"]
    assert early.state == "not-measured"
    bench.take("ana", "bo", "cy")
    assert "no notice" in verdicts(bench)["notice.first"].reason
    for name in ("notice", "risk"):
        bench.call("document.publish", name=name)
    found = verdicts(bench)
    assert found["document.notice"].state == "satisfied"
    for name in ("notice.first", "risk.first"):
        assert found[name].state == "not-satisfied"
        assert "after the first telemetry" in found[name].reason
    bench.stop()


def test_without_a_charter_nothing_is_called_satisfied_by_it(tmp_path: Path) -> None:
    bench = found_bench(tmp_path).start()
    bench.desk.trust._enacted.digest = b""
    found = verdicts(bench)
    assert found["charter.signed"].state == found["charter.proved"].state == "not-satisfied"
    assert found["redline.employment"].state == "not-satisfied"
    for name in ("board.stop", "privacy.budget", "lineage.places", "record.witnesses"):
        assert found[name].state == "not-measured"
    bench.stop()
