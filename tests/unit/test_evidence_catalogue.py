"""The control catalogue: whole, strict, and no row claims more than its probes show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import evidence_desk as desk
from tests.evidence_desk import begin, standings
from tests.identities import human
from tests.keeper_desk import Bench, copy_bench

from safehold.app.evidence import bundle as building
from safehold.app.evidence import gather as gathering
from safehold.app.evidence.gather import gather
from safehold.assurance.control import (
    AUTO,
    NOT_MEASURED,
    NOT_SATISFIED,
    SATISFIED,
    STATES,
    Verdict,
    count,
    parse,
    shipped,
    stand,
)
from safehold.assurance.control.catalogue import FILE
from safehold.assurance.probe import PROBES, judge
from safehold.assurance.probe.facts import Callers, Facts, Figure
from safehold.assurance.probe.record import Leaf, read
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, MissingError
from safehold_verify import verify_evidence

ROOT = Path(__file__).parents[2]
CATALOGUE = shipped()
TEXT = FILE.read_text("utf-8")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return desk.sound(tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def facts(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """What a sound home tells."""
    bench = begin(copy_bench(made, tmp_path_factory.mktemp("facts")))
    found = gather(bench.verbs, anew=True)
    bench.stop()
    return found


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = begin(copy_bench(made, tmp_path))
    yield copy
    copy.stop()


def test_every_automatic_row_names_a_live_probe_and_every_probe_is_used() -> None:
    for row in CATALOGUE.rows:
        assert row.probes, row.id
        assert set(row.probes) <= set(PROBES), row.id
        assert row.mode != AUTO or len(row.probes) >= 1
    assert set(CATALOGUE.probes()) == set(PROBES)


def test_the_frameworks_of_the_plan_are_there() -> None:
    assert list(CATALOGUE.frameworks) == [
        "gdpr", "ccpa", "aiact", "nist-800-207", "nist-800-226", "ai-rmf", "iso-42001", "iso-27701", "soc-2",
    ]  # fmt: skip
    rows = {row.id for row in CATALOGUE.rows}
    assert {f"nist-800-207-{tenet}" for tenet in range(1, 8)} <= rows
    assert {f"iso-42001-a{clause}" for clause in range(2, 11)} <= rows
    assert len(CATALOGUE.limits) == 4


def test_no_row_is_better_than_what_its_probes_said() -> None:
    everything = {name: Verdict(state=SATISFIED, reason="Good.") for name in PROBES}
    assert {one.state for one in stand(CATALOGUE, everything)} == {SATISFIED}
    for row in CATALOGUE.rows:
        for probe in row.probes:
            for state in (NOT_SATISFIED, NOT_MEASURED):
                said = everything | {probe: Verdict(state=state, reason="No.")}
                one = next(found for found in stand(CATALOGUE, said) if found.row == row)
                assert (one.state, one.reason, one.because) == (state, "No.", (probe,))
    both = dict(everything)
    row = next(row for row in CATALOGUE.rows if len(row.probes) > 1)
    both[row.probes[0]] = Verdict(state=NOT_MEASURED, reason="Unknown.")
    both[row.probes[1]] = Verdict(state=NOT_SATISFIED, reason="Bad.")
    one = next(found for found in stand(CATALOGUE, both) if found.row == row)
    assert (one.state, one.reason) == (NOT_SATISFIED, "Bad.")
    with pytest.raises(MissingError):
        stand(CATALOGUE, {})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("catalogue: safehold-controls/1", "catalogue: safehold-controls/2"),
        ("    mode: auto\n", "    mode: automatic\n"),
        ("    framework: gdpr\n", "    framework: gdrp\n"),
        ("controls: [TRN-1]", "controls: [TRN-9]"),
        ("controls: [TRN-1]", "controls: []"),
        ("probes: [charter.signed, document.notice]", "probes: []"),
        ("probes: [charter.signed, document.notice]", "probes: [charter.signed, charter.signed]"),
        ("probes: [charter.signed, document.notice]", "probes: [Charter!]"),
        ("  - id: gdpr-5-1-b\n", "  - id: gdpr-5-1-a\n"),
        ("  - id: gdpr-5-1-b\n", "  - id: gdpr-5-1-b\n    owner: nobody\n"),
        ("    clause: Art. 5(1)(a)\n", ""),
        ("  MEA-1:", '  MEA-2: {says: "No row names this."}\n  MEA-1:'),
        ('    limits: ["Whether the interest outweighs, people decide."]', "    limits: []"),
    ],
)  # fmt: skip
def test_a_catalogue_that_is_wrong_anywhere_is_refused(old: str, new: str) -> None:
    assert old in TEXT
    with pytest.raises(InvalidError):
        parse(TEXT.replace(old, new, 1))


def test_a_sound_home_gives_every_probe_a_sentence_and_names_tests_that_exist(
    facts: Facts,
) -> None:
    found = judge(facts)
    assert set(found) == set(PROBES)
    for name, one in found.items():
        assert one.state in STATES, name
        assert re.fullmatch(r"[^\n]+\.", one.reason), name
        assert all((ROOT / test).is_file() for test in one.tests), name
        assert one.state != SATISFIED or one.shown or one.tests, (
            f"{name} is satisfied, and nothing shows it"
        )
    counted = count(standings(found))
    assert sum(sum(one.values()) for one in counted.values()) == len(CATALOGUE.rows)
    assert sum(one[SATISFIED] for one in counted.values()) >= 50


def test_what_is_not_there_is_not_measured(facts: Facts) -> None:
    nothing = replace(
        facts, record=read([]), datasets=(), models=(), mishaps=(), figures={}, budgets={},
        keys=replace(facts.keys, rows=0), missing=(None, "nothing can be read"), leaving=(None, "nobody"),
    )  # fmt: skip
    found = judge(nothing)
    for name in (
        "record.complete", "notice.first", "people.choices", "people.rights", "people.withdrawal", "people.export", "retention.keys",
        "retention.derived", "lineage.labels", "lineage.places", "keys.inventory", "access.results", "access.grants",
        "privacy.budget", "privacy.charge", "privacy.accountant", "privacy.audit", "model.gates", "model.cards",
        "sentinel.reads", "incident.clocks", "incident.contained", "incident.restart", "promises.kept",
        "promises.series", "promise.stop.p100_seconds", "drill.S01",
    ):  # fmt: skip
        assert found[name].state == NOT_MEASURED, name
    assert found["record.age"].state == NOT_SATISFIED, "a record without its first entry was cut"


def test_a_record_of_half_a_year_is_old_enough(facts: Facts) -> None:
    later = replace(facts, now_ms=facts.now_ms + 200 * DAY_US // 1000)
    found = judge(later)["record.age"]
    assert found.state == SATISFIED
    assert "more than six months" in found.reason
    year = judge(replace(facts, now_ms=facts.now_ms + 400 * DAY_US // 1000))["record.age"]
    assert "more than twelve months" in year.reason


def test_a_copy_that_was_not_given_is_red_until_it_is(facts: Facts) -> None:
    record, size = facts.record, facts.record.size
    asked = Leaf(index=size, at_ms=facts.now_ms, kind="access.intent", facts={"purpose": "right-of-access"}, ref=-1, charter="")  # fmt: skip
    failed = replace(asked, index=size + 1, kind="access.result", facts={"outcome": "failed"}, ref=size)  # fmt: skip
    with_one = replace(record, intents=record.intents | {size: asked}, answered=record.answered | {size: failed})  # fmt: skip
    assert judge(replace(facts, record=with_one))["people.export"].state == NOT_SATISFIED
    given = replace(failed, index=size + 2, facts={"outcome": "ok"})
    with_two = replace(with_one, answered=record.answered | {size: given})
    assert judge(replace(facts, record=with_two))["people.export"].state == SATISFIED


def test_levels_callers_witnesses_and_places_are_judged(facts: Facts) -> None:
    def state(name: str, **changes: object) -> str:
        return judge(replace(facts, **changes))[name].state

    assert state("keeper.level") == NOT_SATISFIED
    assert state("keeper.level", synthetic=True) == NOT_MEASURED
    assert state("keeper.level", keys=replace(facts.keys, level="K2")) == SATISFIED
    known = Callers(kinds={"human": 2}, shared=0, identified=True)
    assert state("access.principals", callers=known) == SATISFIED
    assert state("access.principals", callers=replace(known, shared=1)) == NOT_SATISFIED
    head = facts.head
    assert state("record.witnesses", head=replace(head, remote=2)) == SATISFIED
    assert state("record.witnesses", head=replace(head, remote=2, shortfall="too few")) == NOT_SATISFIED  # fmt: skip
    assert state("record.head", head=replace(head, cosigned=head.published - 1)) == NOT_SATISFIED
    assert state("record.head", head=replace(head, unreachable=("a",))) == NOT_SATISFIED
    abroad = tuple(replace(one, places=frozenset({"DE"})) for one in facts.datasets)
    assert state("lineage.places", datasets=abroad) == NOT_SATISFIED
    longer = tuple(replace(one, expires=one.expires + 999) if one.parents else one for one in facts.datasets)  # fmt: skip
    assert state("retention.derived", datasets=longer) == NOT_SATISFIED


def test_the_board_is_judged_by_the_charter_in_force(facts: Facts) -> None:
    board = facts.board
    assert board is not None
    charter = board.charter

    def state(name: str, **changes: object) -> str:
        other = replace(charter, **changes)
        return judge(replace(facts, board=replace(board, charter=other)))[name].state

    lonely = replace(charter.oversight, widen=replace(charter.oversight.widen, must_include=()))
    assert state("board.worker", oversight=lonely) == NOT_SATISFIED
    slow = replace(charter.oversight, stop=replace(charter.oversight.stop, approve=2))
    assert state("board.stop", oversight=slow) == NOT_SATISFIED
    assert state("redline.emotion", red_lines=()) == NOT_SATISFIED
    assert state("board.worker") == SATISFIED
    expired = judge(replace(facts, board=replace(board, roster_expired=True)))
    assert expired["board.worker"].state == NOT_SATISFIED


def test_a_figure_that_is_old_says_nothing(facts: Facts) -> None:
    measure = "stop.p100_seconds"
    figure: Figure = facts.figures[measure]
    old = replace(figure, at_ms=facts.now_ms - 3 * DAY_US // 1000)
    found = judge(replace(facts, figures=facts.figures | {measure: old}))
    assert found[f"promise.{measure}"].state == NOT_MEASURED
    none = replace(figure, micro=None, sentence="nothing was ever stopped")
    found = judge(replace(facts, figures=facts.figures | {measure: none}))
    assert "nothing was ever stopped" in found[f"promise.{measure}"].reason


def test_one_framework_is_asked_for_by_its_name(bench: Bench) -> None:
    found = bench.call("evidence.controls", framework="soc-2")
    assert [one["id"] for one in found["controls"]] == ["soc-2-cc6", "soc-2-cc7"]
    assert set(found["counts"]) == set(found["frameworks"]) == {"soc-2"}
    named = {probe for one in found["controls"] for probe in one["probes"]}
    assert set(found["probes"]) == named
    assert len(found["limits"]) == 4
    with pytest.raises(MissingError):
        bench.call("evidence.controls", framework="soc-3")
    with pytest.raises(InvalidError):
        bench.call("evidence.controls", framework=2)


def test_a_look_takes_what_was_measured_lately_and_measures_when_it_is_asked_to(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    real = gathering.take
    monkeypatch.setattr(gathering, "take", lambda one, verbs: taken.append(one) or real(one, verbs))
    found = bench.call("evidence.controls")["probes"]["record.complete"]
    assert found["state"] == SATISFIED
    assert "measured uses without a result" in found["reason"]
    assert "trail.missing_entries" not in taken
    bench.call("evidence.controls", measure=True)
    assert "trail.missing_entries" in taken


def test_auditors_and_operators_get_evidence_and_nobody_else(bench: Bench) -> None:
    for role in ("auditor", "engineer"):
        assert human(bench.call, f"one-{role}", role).ask("evidence.controls")["controls"]
        assert human(bench.call, f"two-{role}", role).ask("evidence.history")["promises"]
    for role, rule in (("employee", "door.role"), ("data_scientist", "door.role")):
        who = human(bench.call, f"three-{role}", role)
        for verb in ("evidence.controls", "evidence.history", "evidence.build"):
            with pytest.raises(DeniedError) as caught:
                who.ask(verb)
            assert caught.value.rule == rule
            assert caught.value.entry is not None
    with pytest.raises(InvalidError):
        bench.call("evidence.build")


def test_an_auditor_builds_a_bundle_and_the_record_says_who(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "installed", lambda: False)
    auditor = human(bench.call, "auditor-one", "auditor")
    file = tmp_path / "bundle.zip"
    with file.open("xb") as handle:
        proof = auditor.proof("evidence.build", {})
        said = bench.call("evidence.build", handle.fileno(), caller=dict(proof))
    assert said["bytes"] == file.stat().st_size
    report = verify_evidence(file, bench.home.policy_file)
    assert (report.entry, report.counts) == (said["entry"], said["counts"])
    assert bench.desk.ledger.detail(said["entry"])["actor"] == "auditor-one"
    leaf = bench.call("ledger.show", index=said["entry"])["leaf"]
    assert leaf["k"] == "evidence"
    assert leaf["pub"]["satisfied"] == said["totals"]["satisfied"]
