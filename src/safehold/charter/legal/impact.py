"""Skeletons of two assessments: GDPR Article 35 (impact) and the California regulations on risk assessments."""

from __future__ import annotations

from safehold.charter.legal.page import (
    Page,
    begin,
    category,
    kept,
    limits,
    masked,
    purposes,
    safeguards,
    said,
)
from safehold.charter.model import Charter

RISKS = (
    ("anybody in the company reads the data", "replay.any_employee_records"),
    ("one stolen right opens much of it", "replay.max_segments_exposed"),
    ("somebody is recognised by how they type or move", "reidentify.top1"),
    ("a model tells who was in its training data, or what they wrote", "membership.advantage"),
    ("secrets and health, money or private matters are recorded by accident", "dlp.recall"),
    ("the data is used to judge somebody's work", "a red line, proved for each version"),
    ("recording goes on after a pause or a stop", "stop.p100_seconds"),
    ("data stays readable after somebody left", "erasure.p100_hours"),
    ("uses are hidden from the people they are about", "trail.missing_entries"),
    ("what runs is not what was agreed", "drift.unapproved_config"),
)


def impact_assessment(charter: Charter) -> str:
    """Return the skeleton of a data protection impact assessment, in the order of Article 35(7)."""
    page = begin(charter, "Data protection impact assessment: skeleton (GDPR Article 35)")
    page.say("The measured parts are filled in. What needs judgement is left open and marked.")
    page.head("(a) What is done, and what for")
    _processing(page, charter)
    page.table(("what", "kept for"), kept(charter))
    page.head("(b) Necessity and proportionality")
    page.table(
        ("purpose", "budget (epsilon, delta)", "fewest people", "kept after"),
        [
            (
                name,
                "none stated"
                if one.privacy is None
                else f"{said('epsilon', one.privacy.epsilon_micro)}, {said('delta', one.privacy.delta_pico)}",
                "" if one.privacy is None else str(one.privacy.min_people),
                said("days", one.derived_keep_days)
                if one.derived_keep_days is not None
                else "ends with its sources",
            )
            for name, one in charter.purposes.items()
        ],
    )
    page.ask("for each kind of data: why the purpose cannot be reached without it")
    page.ask("which milder means were considered, and why they do not suffice (WP249)")
    page.head("(c) Risks to people")
    _risks(page, "risk", "likelihood and severity")
    page.head("(d) Measures against them")
    page.items(safeguards(charter))
    page.head("Residual risk")
    page.items(limits())
    page.ask("is the residual risk acceptable; must the authority be consulted (Article 36)")
    page.head("Views of those concerned, and advice (Article 35(2) and (9))")
    page.ask("what the employees or their representatives said")
    page.ask("what the data protection officer advised")
    _approval(page, charter)
    return page.text()


def risk_assessment(charter: Charter) -> str:
    """Return the skeleton of a risk assessment under the CCPA regulations, in force since 2026-01-01."""
    page = begin(charter, "Risk assessment: skeleton (CCPA regulations)")
    page.say(
        "It must be done before the processing begins. Processing that was under way must be assessed by 2027-12-31,",
        "and filing starts in April 2028. Staff who carry out the processing take part.",
    )
    page.head("Why it is needed")
    page.items(
        (
            "workers are observed systematically",
            "personal information trains automated decision technology or other AI",
        )
    )
    page.head("Purpose")
    page.items(words for _, words in purposes(charter))
    page.head("Categories of personal information, and how little is enough")
    _processing(page, charter)
    page.ask("for each category: the least that the purpose needs")
    page.head("How it is carried out")
    page.table(("what", "kept for"), kept(charter))
    page.ask("about how many consumers (workers) it concerns")
    page.ask("what is disclosed to them, and where")
    page.ask("names of service providers, contractors and third parties, and why")
    page.head("Benefits")
    page.ask("to the business, to the workers, to others; in figures where possible")
    page.head("Negative impacts")
    _risks(page, "impact", "how it could come about")
    page.head("Safeguards")
    page.items(safeguards(charter))
    page.head("What is left")
    page.items(limits())
    page.head("Decision")
    page.ask("will the processing be carried out; who contributed, reviewed and approved, and when")
    _approval(page, charter)
    return page.text()


def _processing(page: Page, charter: Charter) -> None:
    page.table(
        ("kind", "terms", "level", "masked", "sensitivity (1 to 4)", "least sandbox"),
        [
            (
                said("what", one.what),
                category(one.category),
                one.minimise.level,
                masked(one.minimise),
                str(one.sensitivity),
                f"E{charter.assurance.least(one.sensitivity)}",
            )
            for one in charter.collect
        ],
    )
    page.items(f"{name}: {words}" for name, words in purposes(charter))
    page.say(
        f"People: {said('term', charter.data_subjects.include)}, in {said('place', charter.jurisdictions)}.",
        f"Legal basis: {charter.participation.legal_basis}, with a choice to take part on top.",
    )
    if charter.gates:
        page.say("A model leaves only after these attacks on it failed:")
        page.items(
            f"{gate.id}: {gate.measure} {said('bound', (gate.must_be.op, gate.must_be.micro))}"
            for gate in charter.gates
        )


def _risks(page: Page, what: str, judged: str) -> None:
    page.table(
        (what, "measured by", judged),
        [(risk, measure, "[to be completed]") for risk, measure in RISKS],
    )


def _approval(page: Page, charter: Charter) -> None:
    page.head("Who agreed")
    page.table(
        ("seat", "name", "date", "view"),
        [(seat, "", "", "[to be completed]") for seat in charter.oversight.seats],
    )
