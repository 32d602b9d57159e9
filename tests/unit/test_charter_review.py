"""What a charter must mean: terms, purposes, red lines, roles, board."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom
from tests.conftest import SHARED

from safehold import charter as charters
from safehold.charter import terms
from safehold.charter.difference.field import ORDERS
from safehold.charter.model import RedLine
from safehold.charter.redline import KNOWN, WORDS
from safehold.charter.review import review
from safehold.errors import DeniedError, InvalidError
from safehold.telemetry.stream import Level

TEXT = charters.shipped("example").read_text("utf-8")
USES = '{fides: train_ai_system, dpv: "dpv:ResearchAndDevelopment"}'


def refuse(old: str, new: str) -> InvalidError:
    assert old in TEXT
    with pytest.raises(InvalidError) as caught:
        charters.parse(TEXT.replace(old, new, 1), name="c.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("uses", "line"),
    [
        ('{fides: employment, dpv: "dpv:ResearchAndDevelopment"}', "no-performance-use"),
        (
            '{fides: employment.recruitment, dpv: "dpv:ResearchAndDevelopment"}',
            "no-performance-use",
        ),
        (
            '{fides: train_ai_system, dpv: "dpv:PersonnelPerformanceEvaluation"}',
            "no-performance-use",
        ),
        (
            '{fides: train_ai_system, dpv: "dpv:PersonnelTerminationManagement"}',
            "no-performance-use",
        ),
        ('{fides: train_ai_system, dpv: "dpv:Purpose"}', "no-performance-use"),
        ('{fides: train_ai_system, dpv: "dpv:DirectMarketing"}', "no-onward-transfer"),
        (
            '{fides: marketing.advertising.profiling, dpv: "dpv:ResearchAndDevelopment"}',
            "no-onward-transfer",
        ),
        (
            '{fides: train_ai_system, dpv: "dpv:ResearchAndDevelopment", sh: "sh:infer_emotion"}',
            "no-emotion-inference",
        ),
    ],
)
def test_a_purpose_under_a_forbidden_term_does_not_compile_in_any_vocabulary(uses, line):
    error = refuse(USES, uses)
    assert error.rule == f"charter.red_line.{line}"
    row = TEXT[: TEXT.index(USES)].count("\n") + 1
    assert f"row {row}" in error.message


@pytest.mark.parametrize(
    "category",
    [
        '{fides: user.financial.bank_account, dpv: "pd:Interaction", sh: "sh:pointer"}',
        '{fides: user.financial, dpv: "pd:Interaction", sh: "sh:pointer"}',
        '{fides: user, dpv: "pd:Interaction", sh: "sh:pointer"}',
    ],
)
def test_what_is_never_collected_is_refused_with_all_that_lies_under_or_over_it(category):
    error = refuse('{fides: user.behavior, dpv: "pd:Interaction", sh: "sh:pointer"}', category)
    assert error.rule == "charter.never_collect"


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("fides: train_ai_system", "fides: train_ai_sytem", "charter.term"),
        ('dpv: "dpv:ResearchAndDevelopment"', 'dpv: "dpv:ResearchAndDevelopmen"', "charter.term"),
        ("forbid_terms: [employment,", "forbid_terms: [employmnt,", "charter.term"),
        (
            "never_collect: [user.authorization.credentials",
            "never_collect: [user.creds",
            "charter.term",
        ),
        ("include: [employee,", "include: [employe,", "charter.term"),
        (
            "    forbid_actions: [read_raw, read_rows, export_vectors, bulk_export]\n",
            "    rule: no human ever receives raw pointer, keystroke or prompt data\n",
            None,
        ),
        (
            # the form built in for this id was made for other words
            "    forbid_actions: [read_raw, read_rows, export_vectors, bulk_export]\n",
            "    rule: nobody sees rows\n",
            "charter.red_line.machine_form",
        ),
        (
            "    min_people: 50\n",
            "    rule: no answer about fewer than 500 people\n",
            "charter.red_line.machine_form",
        ),
        ("    min_people: 50\n", "    min_people: 1\n", "charter.red_line.min_people"),
        ("  - id: no-reidentification", "  - id: no-emotion-inference", "charter.red_line.id"),
        (
            '    forbid_terms: ["sh:reidentify"]\n',
            "    rule: be nice\n",
            "charter.red_line.machine_form",
        ),
        ("widen:  {approve: 5", "widen:  {approve: 4", "charter.quorum.widen"),
        (
            "must_include: [privacy, employee_representative]",
            "must_include: [privacy]",
            "charter.quorum.widen",
        ),
        ("narrow: {approve: 1", "narrow: {approve: 0", "charter.quorum"),
        ("seats: [security, ", "seats: [", "charter.seats"),
        ("token: 60m", "token: 61m", "charter.role.token"),
        ("token: 15m", "token: 16m", "charter.role.token"),
        ("approvers: 2, reason", "approvers: 0, reason", "charter.role.approvers"),
        ("stages: [self]}", "stages: [audit]}", "charter.role"),
        ("do: [operate]", "do: [operate, read_raw]", "charter.role"),
        ("from: [pointer, focus]", "from: [pointer, access_log, focus, keys]", None),
        ("level: L3", "level: L0", "charter.level"),
        ("sensitivity: 3", "sensitivity: 5", "charter.sensitivity"),
        ("  - what: screen ", "  - what: speech ", "charter.collect.twice"),
        ("version: 1", "version: 0", "charter.version"),
        ("  improve_tools:", "  none:", "charter.reserved"),
        ("  engineer: ", "  other: ", "charter.reserved"),
        ("collect_in: [US-CA, US-WA]", "collect_in: []", "charter.jurisdiction"),
        ("collect_in: [US-CA, US-WA]", "collect_in: [US-CA, other]", "charter.reserved"),
    ],
)
def test_meaning_is_checked(old, new, rule):
    if rule is None:
        assert charters.parse(TEXT.replace(old, new, 1)).id
        return
    assert refuse(old, new).rule == rule


def test_a_purpose_cannot_use_what_is_not_collected_nor_go_without_a_budget():
    text = (
        TEXT[: TEXT.index("  - what: performance_metrics")] + TEXT[TEXT.index("never_collect:") :]
    )
    with pytest.raises(InvalidError) as caught:
        charters.parse(text)
    assert caught.value.rule == "charter.purpose.from"
    assert refuse(
        "    privacy: {unit: person, epsilon: 4.0, delta: 1.0e-6, min_people: 50}\n", ""
    ).rule == ("charter.purpose.privacy")


def test_compile_checks_the_meaning_of_a_stored_charter_again():
    tree = boardroom.charter("example").to_json()
    tree["purposes"]["train_ui_agent"]["uses"]["fides"] = "employment.recruitment"
    with pytest.raises(InvalidError) as caught:
        charters.compile(charters.Charter.from_json(tree))
    assert caught.value.rule == "charter.red_line.no-performance-use"


def test_the_shared_example_passes_and_its_prose_has_machine_forms():
    path = SHARED / "examples" / "charter.yaml"
    if not path.is_file():
        pytest.skip("the shared example is not on this machine")
    policy = charters.compile(charters.load(path))
    for line in ("no-raw-to-people", "no-single-person-query", "no-cross-join"):
        assert policy.rule(f"red_line.{line}").head.startswith("forbid")
    findings = charters.check(policy.charter)
    assert {"red_line.no-performance-use", "guard.consent"} <= {f.id for f in findings.promises}


def test_rules_for_a_stream_are_named_by_stream_or_by_charter_name():
    promise = boardroom.charter()
    rules = promise.rules("key")
    assert rules == promise.rules("keys")
    assert (rules.stream, rules.level, rules.keep_days) == ("key", Level.L3, 14)
    assert "password_fields" in rules.drop
    assert promise.rules("chat").channels == frozenset({"public"})
    assert promise.retention("pointer") == 30
    assert promise.purposes_of("key") == ("train_ui_agent",)
    assert promise.purposes_of("feature") == ("train_ui_agent",)
    assert promise.jurisdictions == ("US-CA", "US-WA")
    for missing in ("screen", "nonsense"):
        with pytest.raises(DeniedError):
            promise.rules(missing)
    with pytest.raises(DeniedError):
        promise.purpose("hr_layoff")
    with pytest.raises(DeniedError):
        promise.role("king")


def test_the_hierarchy_of_terms():
    assert terms.ancestors("dpv:PersonnelPerformanceEvaluation") >= {
        "dpv:PersonnelManagement",
        "dpv:HumanResourceManagement",
    }
    assert "fides:employment.recruitment" in terms.within("fides:employment")
    assert not terms.overlaps("fides:train_ai_system", "fides:employment")
    names = terms.catalogue()
    assert len(names) >= 40
    for term in names.values():
        assert set(term.under) <= set(names), term.name
        assert term.name not in terms.ancestors(term.name)
    with pytest.raises(InvalidError):
        terms.find("employment", kind="category")


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("effect: crypto_shred_within 24h", "effect: crypto_shred", "charter.effect"),
        ("effect: crypto_shred_within 24h", "effect: crypto_shred_within 0h", "charter.effect"),
        ("effect: revoke_all_keys_within 60s", "effect: revoke_all_keys", "charter.effect"),
        ("{id: erasure,", "{id: no-drift,", "charter.promises.id"),
        ("{id: canary,", "{id: membership,", "charter.gates.id"),
    ],
)
def test_an_effect_has_a_deadline_and_an_id_is_one_thing(old: str, new: str, rule: str) -> None:
    error = refuse(old, new)
    assert error.rule == rule
    assert "row " in error.message
    if rule.endswith(".id"):
        assert error.fix is not None


def test_an_effect_without_a_deadline_is_refused_and_wider_however_it_is_written() -> None:
    charter = boardroom.charter("example")
    never = replace(charter.participation.withdraw.effect, within_s=0)
    leaves = replace(charter.participation.withdraw, effect=never)
    told = list(
        review(replace(charter, participation=replace(charter.participation, withdraw=leaves)))
    )
    assert [one.rule for one in told] == ["charter.effect"]
    stop = replace(
        charter.oversight.stop, effect=replace(charter.oversight.stop.effect, within_s=0)
    )
    told = list(review(replace(charter, oversight=replace(charter.oversight, stop=stop))))
    assert [one.rule for one in told] == ["charter.effect"]
    for key in ("participation.withdraw.effect", "oversight.stop.effect"):
        day = replace(never, within_s=86_400)
        assert [step.side for step in ORDERS[key].steps(day, never)] == ["wider"]
        assert [step.side for step in ORDERS[key].steps(never, day)] == ["narrower"]


@pytest.mark.parametrize(
    ("name", "less"),
    [
        ("no-raw-to-people", {"min_people": 60}),
        ("no-raw-to-people", {"forbid_actions": ("read_raw", "read_rows", "export_vectors")}),
        ("no-single-person-query", {"min_people": 49}),
        ("no-cross-join", {"forbid_actions": ("join_external",), "forbid_beside": ("hr",)}),
    ],
)
def test_words_that_stand_for_a_form_go_with_no_lesser_one(name, less):
    """Such a line would say one thing to people, with a form that bans less, and be proved."""
    base = boardroom.charter("example")
    others = tuple(one for one in base.red_lines if one.id != name)

    def said(rule, **form):
        made = RedLine(id=name, rule=rule, **form)
        return {one.rule for one in review(replace(base, red_lines=(*others, made)))}

    assert said(WORDS[name], **less) == {"charter.red_line.words"}
    assert not said(WORDS[name])
    assert not said(WORDS[name], **KNOWN[name])
    assert not said(WORDS[name], **KNOWN[name], forbid_terms=("sh:reidentify",))
    assert not said("said in other words", **less)
