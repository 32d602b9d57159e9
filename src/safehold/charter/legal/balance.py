"""Model of the balancing test for a legitimate interest, GDPR Article 6(1)(f)."""

from __future__ import annotations

from safehold.charter.legal.page import begin, limits, purposes, safeguards, said
from safehold.charter.model import Charter


def balancing_test(charter: Charter) -> str:
    """Return the three steps of the test: is there an interest, is this necessary, do people's interests weigh more."""
    page = begin(charter, "Balancing test: model (GDPR Article 6(1)(f))")
    page.say(f"The legal basis that the charter names: {charter.participation.legal_basis}.")
    page.head("1. The interest")
    page.items(words for _, words in purposes(charter))
    page.ask("why this is a lawful, real and present interest, and whose it is")
    page.head("2. Necessity")
    page.items(
        f"{said('what', one.what)}: at level {one.minimise.level}, for {said('days', one.keep_days)}"
        for one in charter.collect
    )
    page.ask("why less data, made-up data or paid volunteers would not do")
    page.head("3. Balance")
    page.say(
        "At work people cannot easily refuse, so consent alone is weak (WP249).",
        "The choice to take part is therefore an additional safeguard and not the basis.",
    )
    page.head("What people may expect", 3)
    page.ask("would an employee expect this; how were they told")
    page.head("What it may do to them", 3)
    page.ask("feeling watched, changed behaviour, effects on those who do not take part")
    page.head("What protects them", 3)
    page.items(safeguards(charter))
    page.say(
        "Leaving and pausing are possible at any time and have no drawback.",
        "Managers never learn who takes part.",
    )
    page.head("What remains", 3)
    page.items(limits())
    page.head("Result")
    page.ask("does the interest prevail; signed by whom, when; to be looked at again when")
    return page.text()
