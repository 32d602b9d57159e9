"""Record of processing activities, GDPR Article 30(1)."""

from __future__ import annotations

from safehold.charter.legal.page import (
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


def record_of_processing(charter: Charter) -> str:
    """Return the record that Article 30(1) asks a controller to keep, in its order (a) to (g)."""
    page = begin(charter, "Record of processing activities (GDPR Article 30)")
    page.head("(a) Who answers")
    page.say(
        f"Controller: {charter.controller.name}, {charter.controller.contact}.",
        f"Data protection officer: {charter.controller.dpo}.",
    )
    page.ask("representative in the Union and joint controllers, if there are any")
    page.head("(b) Purposes")
    page.table(
        ("purpose", "in words", "terms", "draws on", "lets out"),
        [
            (
                name,
                words,
                category(charter.purposes[name].uses),
                said("what", charter.purposes[name].sources),
                said("release", charter.purposes[name].releases),
            )
            for name, words in purposes(charter)
        ],
    )
    page.say(
        f"Legal basis: {charter.participation.legal_basis}, and on top of it each person's own choice"
        f" to take part ({charter.participation.opt_in})."
    )
    page.head("(c) Whose data, and which")
    page.say(
        f"Data of: {said('term', charter.data_subjects.include)}.",
        f"Never of: {said('term', charter.data_subjects.exclude)}.",
    )
    page.table(
        ("kind", "terms", "level", "masked", "never recorded of it"),
        [
            (
                said("what", one.what),
                category(one.category),
                one.minimise.level,
                masked(one.minimise),
                said("words", one.minimise.drop),
            )
            for one in charter.collect
        ],
    )
    page.say(f"Never recorded at all: {said('term', charter.never_collect)}.")
    page.head("(d) Who receives it")
    page.say("Nobody receives rows, vectors or raw events. What may leave is listed under (b).")
    page.table(
        ("role", "may", "approvals of a grant", "longest grant"),
        [
            (
                said("role", name),
                said("action", role.do),
                "none needed" if role.grant is None else str(role.grant.approvers),
                "" if role.grant is None else said("seconds", role.grant.max_s),
            )
            for name, role in charter.who_may.items()
        ],
    )
    page.ask("processors with access to the machines, and the contract under Article 28")
    page.head("(e) Transfers to third countries")
    page.say(
        f"Data is recorded and used only for people who work in: {said('place', charter.jurisdictions)}."
    )
    page.ask("where the machines stand, and what a transfer rests on (Articles 44 to 49)")
    page.head("(f) How long")
    page.table(("what", "kept for"), kept(charter))
    page.say("At the end the key is destroyed, so copies in backups cannot be read either.")
    page.head("(g) Security (Article 32)")
    page.items(safeguards(charter))
    page.head("What this does not prove")
    page.items(limits())
    return page.text()
