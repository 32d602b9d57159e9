"""The vocabularies are linked: what is forbidden in the words of one cannot be had in the words of another.

Every term of every vocabulary is sorted here by hand, by what it means and not by what the program says of it.
A new term fails until somebody sorts it.
"""

# ruff: noqa: SIM905 - words, as a charter has them

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests import boardroom
from tests.amendments import line
from tests.unit.test_charter_compile import breaches

from safehold.charter import compile, terms  # noqa: A004
from safehold.charter.compile import build
from safehold.charter.difference import compare
from safehold.charter.difference.field import ORDERS
from safehold.charter.gaps import gaps
from safehold.charter.model import Category, Charter, RedLine
from safehold.charter.prove import prove
from safehold.charter.prove.promise import forbidden_uses
from safehold.charter.review import BY_ITSELF, review
from safehold.charter.types import banned_terms
from safehold.errors import InvalidError, RedLineError
from safehold.telemetry.stream import WHAT_TO_STREAM

EXAMPLE = boardroom.charter("example")
DOCS = Path(__file__).parents[2] / "docs" / "reference" / "terms.md"
ASK = RedLine(id="no-such-use", plain="Nobody does this.", forbid_terms=("marketing",))

# credentials, health, money, marks of the body, and what describes a person as one of a population; and what holds these
NEVER = """
fides:user fides:user.authorization fides:user.authorization.credentials fides:user.authorization.password
fides:user.authorization.biometric
pd:Internal pd:Authenticating pd:Password pd:PINCode pd:SecretText
fides:user.health_and_medical fides:user.health_and_medical.record_id fides:user.health_and_medical.genetic
pd:External pd:MedicalHealth pd:HealthRecord pd:Health pd:MentalHealth pd:PhysicalHealth pd:Genetic pd:Disability
pd:Prescription
fides:user.financial fides:user.financial.bank_account fides:user.financial.credit_card fides:user.payment
pd:Financial pd:FinancialAccount pd:BankAccount pd:PaymentCard pd:Tax pd:Income pd:IncomeBracket pd:Salary
pd:Professional
fides:user.biometric fides:user.biometric.voice fides:user.biometric.health fides:user.biometric.fingerprint
fides:user.biometric.retinal
pd:Identifying pd:Biometric pd:FacialPrint pd:Fingerprint pd:Retina
fides:user.demographic fides:user.demographic.political_opinion fides:user.demographic.religious_belief
fides:user.demographic.race_ethnicity fides:user.demographic.age_range fides:user.demographic.date_of_birth
fides:user.demographic.gender fides:user.demographic.language fides:user.demographic.marital_status
fides:user.demographic.sexual_orientation
pd:Demographic pd:Ethnicity pd:EthnicOrigin pd:Race pd:Nationality pd:Language pd:PhysicalCharacteristic pd:Age
pd:AgeRange pd:BirthDate pd:Gender pd:Sexual pd:SexualPreference pd:PoliticalAffiliation pd:PoliticalOpinion
pd:Religion pd:MaritalStatus pd:KnowledgeBelief pd:PhilosophicalBelief pd:ReligiousBelief pd:TradeUnionMembership
pd:GroupMembership pd:SocialNetwork pd:PublicLife pd:Social
""".split()
OTHER = """
fides:user.behavior fides:user.behavior.browsing_history fides:user.behavior.search_history fides:user.childrens
fides:user.contact fides:user.contact.email fides:user.content fides:user.content.private fides:user.content.public
fides:user.content.self_image fides:user.criminal_history fides:user.device fides:user.government_id
fides:user.location fides:user.location.precise fides:user.name fides:user.social fides:user.telemetry
fides:user.unique_id fides:user.unique_id.pseudonymous fides:user.workplace fides:user.job_title
pd:Tracking pd:Behavioural pd:Interaction pd:Communication pd:EmailContent pd:PerformanceAtWork
pd:ProfessionalEvaluation pd:DisciplinaryAction pd:BrowsingBehaviour pd:VoiceCommunicationRecording pd:VoiceMail
pd:Name pd:OfficialID pd:UID pd:Picture pd:Criminal pd:Contact pd:EmailAddress pd:Location pd:DeviceBased
sh:pointer sh:keystroke_timing sh:prompt sh:transcript sh:screen_content sh:embedding sh:model_artifact sh:access_log
""".split()
# judging or managing people, emotions, finding out who, passing on, selling, advertising; and what holds these
FORBIDDEN = """
fides:employment fides:employment.recruitment dpv:HumanResourceManagement dpv:PersonnelManagement dpv:PersonnelHiring
dpv:PersonnelPayment dpv:PersonnelPerformanceManagement dpv:PersonnelPerformanceEvaluation
dpv:PersonnelPerformancePrediction dpv:PersonnelMonitoring dpv:PersonnelBehaviourMonitoring
dpv:PersonnelPerformanceMonitoring dpv:PersonnelPromotionManagement dpv:PersonnelTerminationManagement
dpv:PersonnelWorkloadManagement sh:score_person sh:infer_emotion sh:reidentify
fides:marketing fides:marketing.advertising fides:marketing.advertising.profiling
fides:marketing.advertising.third_party fides:marketing.communications fides:sales fides:third_party_sharing
fides:third_party_sharing.legal_obligation dpv:Marketing dpv:Advertising dpv:PersonalisedAdvertising
dpv:DirectMarketing dpv:SellProducts dpv:SellDataToThirdParties dpv:ServiceProvision
fides:personalize fides:personalize.profiling dpv:Personalisation
fides:collect dpv:Purpose
""".split()
FREE = """
fides:analytics fides:analytics.reporting fides:essential fides:essential.service fides:essential.service.security
fides:essential.service.operations fides:essential.service.operations.improve fides:essential.legal_obligation
fides:functional fides:functional.service fides:functional.service.improve fides:train_ai_system
dpv:ResearchAndDevelopment dpv:ScientificResearch dpv:EnforceSecurity dpv:MisusePreventionAndDetection
""".split()
PLAIN = {
    "category": Category(fides="user.behavior", dpv="pd:Interaction"),
    "use": Category(fides="train_ai_system", dpv="dpv:ResearchAndDevelopment"),
}


def of_kind(kind: str) -> set[str]:
    return {name for name, term in terms.catalogue().items() if term.kind == kind}


def slot_of(name: str) -> str:
    home = terms.vocabulary_of(name)
    return next(slot for slot, homes in terms.SLOTS.items() if home in homes)


def labelled(name: str) -> Charter:
    """Return the example with pointers of a category, and everything else as it is."""
    category = replace(PLAIN["category"], **{slot_of(name): name})
    collect = tuple(
        replace(one, category=category) if one.what == "pointer" else one for one in EXAMPLE.collect
    )
    return replace(EXAMPLE, collect=collect)


def used_for(name: str, charter: Charter = EXAMPLE) -> Charter:
    """Return a charter with a purpose of a use, and everything else as it is."""
    uses = replace(PLAIN["use"], **{slot_of(name): name})
    purpose = replace(charter.purposes["train_ui_agent"], uses=uses)
    return replace(charter, purposes={**charter.purposes, "train_ui_agent": purpose})


def test_every_term_is_sorted() -> None:
    assert sorted(NEVER + OTHER) == sorted(of_kind("category"))
    assert sorted(FORBIDDEN + FREE) == sorted(of_kind("use"))


@pytest.mark.parametrize("name", NEVER)
def test_what_is_never_collected_is_not_collected_under_any_name(name: str) -> None:
    assert {one.rule for one in review(labelled(name))} == {"charter.never_collect"}


@pytest.mark.parametrize("name", OTHER)
def test_what_may_be_collected_may_be_called_by_its_name(name: str) -> None:
    assert not list(review(labelled(name)))


@pytest.mark.parametrize("name", FORBIDDEN)
def test_no_purpose_crosses_a_red_line_under_any_name(name: str) -> None:
    with pytest.raises(InvalidError) as caught:
        compile(used_for(name))
    assert str(caught.value.rule).startswith("charter.red_line.")


@pytest.mark.parametrize("name", FREE)
def test_an_honest_purpose_may_be_called_by_its_name(name: str) -> None:
    assert not list(review(used_for(name)))


@pytest.mark.parametrize("link", terms.links(), ids=lambda link: f"{link.term}-{link.other}")
def test_a_ban_reaches_along_each_link(link: terms.Link) -> None:
    kinds = {terms.catalogue()[name].kind for name in (link.term, link.other)}
    assert len(kinds) == 1
    assert link.because
    # whoever bans the broader, or the same, bans this; and whoever wants the broader meets a ban on this
    pairs = [(link.other, link.term), (link.term, link.other)]
    for ban, asked in pairs:
        if kinds == {"category"}:
            charter = replace(labelled(asked), never_collect=(ban,))
            found = [one for one in review(charter) if "collect.1" in one.field]
            assert {one.rule for one in found} == {"charter.never_collect"}, (ban, asked)
        else:
            charter = used_for(
                asked, replace(EXAMPLE, red_lines=(replace(ASK, forbid_terms=(ban,)),))
            )
            found = [one for one in review(charter) if "train_ui_agent" in one.field]
            assert {one.rule for one in found} == {"charter.red_line.no-such-use"}, (ban, asked)
    assert link.term in terms.within(link.other)
    assert (link.other in terms.within(link.term)) == (link.relation == terms.SAME)


def test_compiler_and_promise_mean_the_same_terms() -> None:
    """The promise walks up and the compiler walks down: each closes over hierarchies and links by itself."""
    for name in sorted(of_kind("use")):
        ban = replace(ASK, forbid_terms=(name,))
        promised = set(forbidden_uses(EXAMPLE, ban)) - set(EXAMPLE.purposes)
        assert promised == set(banned_terms(ban)), name
        touches = {
            title
            for title, purpose in EXAMPLE.purposes.items()
            if any(terms.overlaps(terms.find(word, kind="use", vocabulary=slot).name, name)
                   for slot, word in purpose.uses.slots())
        }  # fmt: skip
        assert set(forbidden_uses(EXAMPLE, ban)) & set(EXAMPLE.purposes) == touches, name


def test_a_compiler_that_forgets_the_links_is_not_proved() -> None:
    charter = replace(
        EXAMPLE,
        red_lines=(replace(ASK, forbid_terms=("marketing",)), *EXAMPLE.red_lines[1:-1]),
    )
    policy = compile(charter)
    assert breaches(policy, "red_line.no-such-use") == 0
    prove(policy)
    forgot = [
        replace(rule, terms=tuple(term.replace('Purpose::"dpv:Advertising", ', "") for term in rule.terms))
        if rule.id == "red_line.no-such-use" else rule
        for rule in policy.rules
    ]  # fmt: skip
    assert forgot != list(policy.rules)
    lesser = build(charter, forgot)
    assert breaches(lesser, "red_line.no-such-use") > 0
    with pytest.raises(RedLineError) as caught:
        prove(lesser)
    assert caught.value.rule == "charter.red_line.no-such-use"
    assert '"Advertising"' in caught.value.message


@pytest.mark.parametrize(
    ("slot", "word"),
    [("dpv", "fides:user.behavior"), ("dpv", "sh:pointer"), ("dpv", "pointer"), ("fides", "pd:Interaction"),
     ("fides", "sh:pointer"), ("fides", "pointer"), ("sh", "fides:user.behavior"), ("sh", "pd:Interaction")],
)  # fmt: skip
def test_a_slot_takes_terms_of_its_own_vocabulary_alone(slot: str, word: str) -> None:
    (wrong,) = review(labelled_in(slot, word))
    assert wrong.rule == "charter.term.vocabulary"
    assert wrong.fix is not None
    assert wrong.field.endswith(f"category.{slot}")


def labelled_in(slot: str, word: str) -> Charter:
    category = replace(PLAIN["category"], **{slot: word})
    collect = tuple(
        replace(one, category=category) if one.what == "pointer" else one for one in EXAMPLE.collect
    )
    return replace(EXAMPLE, collect=collect)


def test_the_older_spelling_of_a_ban_takes_dpv_alone() -> None:
    other = line("no-emotion-inference", dpv=("fides:marketing",))
    assert {one.rule for one in review(other)} == {"charter.term.vocabulary"}
    # without its vocabulary a word is of this one, and bans what the whole name bans
    bare, whole = (
        line("no-emotion-inference", dpv=(word,)) for word in ("Marketing", "dpv:Marketing")
    )
    assert not [*review(bare)]
    assert [banned_terms(one) for one in bare.red_lines] == [
        banned_terms(one) for one in whole.red_lines
    ]
    assert gaps(bare) == gaps(whole)


def test_a_ban_that_only_one_vocabulary_has_a_word_for_is_a_gap() -> None:
    assert not gaps(EXAMPLE)
    said = gaps(replace(EXAMPLE, never_collect=(*EXAMPLE.never_collect, "user.childrens")))
    assert [
        one for one in said if one.startswith("never_collect") and "fides:user.childrens" in one
    ]
    said = gaps(line("no-emotion-inference", forbid_terms=("analytics",)))
    assert [one for one in said if "no-emotion-inference" in one and "fides:analytics" in one]


def test_a_link_never_makes_a_change_narrower() -> None:
    # each ban below bans what the other does, by a link; yet to give one up for the other takes the quorum
    for ban, kept in (("marketing", "dpv:Marketing"), ("dpv:Marketing", "marketing")):
        both = line("no-onward-transfer", forbid_terms=("marketing", "dpv:Marketing"))
        fewer = line("no-onward-transfer", forbid_terms=(kept,))
        assert compare(both, fewer).direction == "widen", ban
        assert compare(fewer, both).direction == "narrow", ban
    never = replace(EXAMPLE, never_collect=(*EXAMPLE.never_collect, "pd:Financial"))
    assert compare(never, EXAMPLE).direction == "widen"
    assert compare(EXAMPLE, never).direction == "narrow"
    # and a use that lies under the old one by a link alone is another use
    old, new = used_for("fides:sales"), used_for("fides:marketing")
    old, new = (replace(one, red_lines=(ASK_EMOTION,)) for one in (old, new))
    assert compare(new, old).direction == "widen"


ASK_EMOTION = replace(ASK, forbid_terms=("sh:infer_emotion",))


def test_a_ban_lost_through_a_link_alone_counts_as_lost() -> None:
    # fideslang knows three kinds of content; what stands on a screen is content by a link, and of none of the three
    old, new = (
        ("user.content",),
        ("user.content.private", "user.content.public", "user.content.self_image"),
    )
    assert {one.side for one in ORDERS["never_collect"].steps(old, new)} == {"wider"}
    # likewise, who is hired by DPV alone
    old, new = ("dpv:PersonnelHiring",), ("employment.recruitment",)
    assert "wider" in {one.side for one in ORDERS["red_lines[].forbid_terms"].steps(old, new)}


def test_the_page_of_terms_tells_each_term_and_each_link() -> None:
    text = DOCS.read_text("utf-8")
    for name in terms.catalogue():
        assert f"`{name}`" in text, name
    for link in terms.links():
        row = f"| `{link.term}` | {link.relation} | `{link.other}` | {link.because} |"
        assert row in text, row
    assert text.count("\n| `") == len(terms.links()) + len(terms.catalogue())


@pytest.mark.parametrize(
    ("what", "ban"),
    [
        ("ai_prompts", "sh:prompt"), ("speech", "sh:transcript"), ("screen", "sh:screen_content"),
        ("pointer", "sh:pointer"), ("chat", "pd:Communication"), ("chat", "user.content"),
        ("focus", "pd:Behavioural"), ("performance_metrics", "pd:PerformanceAtWork"),
        ("keys", "user.telemetry"), ("keys", "sh:keystroke_timing"),
    ],
)  # fmt: skip
def test_another_label_takes_what_is_recorded_from_under_no_ban(what: str, ban: str) -> None:
    """What a stream of a recorder is does not hang on what the charter calls it."""
    place = next(n for n, one in enumerate(EXAMPLE.collect) if one.what == what)
    level = "L2" if ban == "sh:keystroke_timing" else "L3"

    def called(never: str) -> set[str]:
        one = EXAMPLE.collect[place]
        mild = Category(fides="user.device", dpv="pd:DeviceBased")
        other = replace(one, category=mild, minimise=replace(one.minimise, level=level))
        collect = (*EXAMPLE.collect[:place], other, *EXAMPLE.collect[place + 1 :])
        charter = replace(EXAMPLE, collect=collect, never_collect=(never,))
        return {one.rule for one in review(charter) if one.field == f"collect.{place}.category"}

    assert called(ban) == {"charter.never_collect"}
    # what is narrower than all that a stream may hold is not what it is
    for other in ("user.financial", "pd:EmailContent", "user.behavior.search_history"):
        assert not called(other)


def test_keys_without_times_tell_none() -> None:
    mild = Category(fides="user.device", dpv="pd:DeviceBased")
    keys = replace(EXAMPLE.collect[0], category=mild)
    assert (keys.what, keys.minimise.level) == ("keys", "L3")
    never = (*EXAMPLE.never_collect, "sh:keystroke_timing")
    charter = replace(EXAMPLE, never_collect=never, collect=(keys, *EXAMPLE.collect[1:]))
    assert not [one for one in review(charter) if one.field.startswith("collect.0.")]


def test_each_kind_of_data_is_something_by_itself() -> None:
    assert set(BY_ITSELF) == set(WHAT_TO_STREAM)
    assert all(terms.catalogue()[name].kind == "category" for name in BY_ITSELF.values())
