"""Where the assessments that other laws ask for find their parts, so that nobody writes them twice."""

from __future__ import annotations

from typing import Final

from safehold.charter import Charter
from safehold.charter.legal.page import begin, limits, purposes, said

RISK: Final = "documents/risk.md or drafts/risk.md"
DPIA: Final = "documents/dpia.md or drafts/dpia.md"


def rights_pack(charter: Charter) -> str:
    """Return the pack for an assessment of the impact on fundamental rights (AI Act Article 27), where it applies.

    What is measured or written elsewhere is filled in or named; what needs judgement is left open and marked.
    """
    board = charter.oversight
    page = begin(charter, "Impact on fundamental rights: pack (AI Act Article 27(1))")
    page.say(
        "Whether Article 27 applies is for counsel: this charter excludes what would make the system one of high risk."
    )
    page.head("(a) The process in which the system is used")
    page.items(f"{name}: {words}" for name, words in purposes(charter))
    page.head("(b) For how long, and how often")
    page.items(
        f"{said('what', one.what)} is kept for {said('days', one.keep_days)}"
        for one in charter.collect
    )
    page.ask("from when, and until when")
    page.head("(c) Who is likely to be affected")
    page.say(
        f"{said('term', charter.data_subjects.include)} in {said('place', charter.jurisdictions)},"
        " and people who only wrote to them, whose words are dropped."
    )
    page.head("(d) Risks of harm")
    page.say(f"See the risks of the impact assessment: {DPIA}; and of the risk assessment: {RISK}.")
    page.ask("which fundamental rights beyond data protection are touched")
    page.head("(e) Human oversight")
    page.say(
        f"A board of {len(board.seats)} seats; any {board.stop.approve} of them stops everything;"
        f" a widening takes {board.widen.approve}, with {', '.join(board.widen.must_include)}."
    )
    page.head("(f) What happens when the risk comes true")
    page.say("Incidents have a severity, a scope and clocks; complaints are requests with a clock.")
    page.ask("the internal way to complain, and who answers")
    page.head("What this does not prove")
    page.items(limits())
    return page.text()
