"""Notice to the people whose data it is, GDPR Articles 13 and 14; also to those who only wrote to them."""

from __future__ import annotations

from safehold.charter.legal.page import begin, kept, limits, masked, purposes, said
from safehold.charter.model import Charter


def privacy_notice(charter: Charter) -> str:
    """Return the notice that must reach people before anything is recorded."""
    page = begin(charter, "What we record of your work, and your rights (GDPR Articles 13 and 14)")
    choice = charter.participation
    page.head("Do I have to take part?")
    page.say(
        "No. Nobody takes part who has not agreed, and saying no costs you nothing.",
        "You can pause whenever you like, and then nothing is recorded.",
        "You can leave whenever you like: nothing of yours is used from that moment, and on request your keys are"
        f" destroyed within {said('seconds', choice.withdraw.effect.within_s)}.",
        "Nobody who leads you sees what you chose.",
        f"The same holds for {said('name', choice.applies_equally_to)}.",
    )
    page.head("Who answers for this")
    page.say(
        f"{charter.controller.name}, {charter.controller.contact}.",
        f"The data protection officer: {charter.controller.dpo}.",
    )
    page.head("What is recorded")
    page.table(
        ("what", "how much of it", "kept for"),
        [
            (
                said("what", one.what),
                f"level {one.minimise.level} of L1 (most detail) to L4; masked: {masked(one.minimise)}",
                said("days", one.keep_days),
            )
            for one in charter.collect
        ],
    )
    page.say(f"Never recorded: {said('term', charter.never_collect)}.")
    page.head("What for, and on which legal basis")
    page.items(words for _, words in purposes(charter))
    page.say(
        f"The legal basis is {choice.legal_basis}, and your own choice comes on top of it.",
        "Our legitimate interest is written down in the balancing test, which you may read.",
    )
    page.head("What nobody may do with it")
    page.items(line.words() for line in charter.red_lines)
    page.head("Who receives it")
    page.say(
        "No person receives raw data. A model may leave only with differential privacy, and figures only with noise.",
        "Each use is an entry in a record, and you can see every use of your own data: safehold people trail.",
    )
    page.head("How long it is kept")
    page.table(("what", "kept for"), kept(charter))
    page.head("Other countries")
    page.say(f"Only data of people who work in {said('place', charter.jurisdictions)} is recorded.")
    page.ask("where the machines stand")
    page.head("Your rights")
    page.items(
        (
            "see your data and each use of it (Article 15)",
            "have it corrected (16) or erased (17)",
            "have its use paused (18) or object to it (21)",
            "take it along (20)",
            "complain to a supervisory authority (77)",
        )
    )
    page.ask("the supervisory authority with its address")
    page.say(
        "No decision about you is made with it, by a machine or by a person (22): that is a red line."
        if any("employment" in line.terms() for line in charter.red_lines)
        else "Whether decisions about you may be made with it is not ruled out by this charter.",
        "You need not give this data by law or contract.",
    )
    page.head("If you do not take part but wrote to somebody who does")
    page.say(
        "What you wrote is dropped before it is stored, unless you agreed as well.",
        "It would have come from the work applications of the person you wrote to (Article 14).",
    )
    page.head("What we cannot promise")
    page.items(limits())
    return page.text()
