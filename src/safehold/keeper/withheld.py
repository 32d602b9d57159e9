"""Why one block of somebody who takes part is left out of a use. Pure; everything is given."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from safehold.charter import Charter
from safehold.clock import day_of
from safehold.keeper.ask import RECORDED, Ask
from safehold.keeper.terms import end_of, opted_in
from safehold.subjects import Standing
from safehold.vault import SealedBlock


def why_withheld(
    ask: Ask,
    block: SealedBlock,
    standing: Standing,
    *,
    charter: Charter,
    allowed: AbstractSet[str],
    places: AbstractSet[str],
    today: int,
) -> str | None:
    """Return the rule that leaves a block out, or None if it may be opened.

    Args:
        ask: The use.
        block: Which block.
        standing: What its person chose.
        charter: The charter in force.
        allowed: Streams the person opted in to.
        places: Where the charter collects.
        today: UTC day number.
    """
    label, fresh = block.label, ask.kind in RECORDED
    rules = (  # the first that holds
        ("subjects.proxy", not opted_in(charter, standing)),
        ("subjects.stream", fresh and block.stream not in allowed),
        ("charter.place", not {label.jurisdiction, standing.jurisdiction} <= places),
        ("label.purpose", ask.purpose not in label.purposes),
        ("charter.retention", fresh and end_of(charter, block) <= today),
        # from before they had withdrawn
        ("subjects.anew", fresh and standing.anew_us and block.window <= day_of(standing.anew_us)),
        # features of a wider charter: build them again
        ("label.charter", not fresh and label.charter != charter.digest()),
    )
    first = next((rule for rule, holds in rules if holds), None)
    return first or (
        standing.bar(ask.purpose, block.stream, block.window)
        if fresh
        else standing.bar(ask.purpose)
    )
