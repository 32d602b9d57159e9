"""Whose blocks the keeper may open for itself, to join them: what nobody may use, nobody opens."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from safehold.catalog.rewriting import Candidate
from safehold.charter import Charter
from safehold.clock import day_of
from safehold.errors import ConsentError
from safehold.ids import PersonId
from safehold.keeper.contained import things
from safehold.keeper.terms import end_of, opted_in
from safehold.subjects import Standing
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MARGIN: Final = 2  # days: what ends so soon is not rewritten


def openable_now(desk: Desk) -> Callable[[Candidate], bool]:
    """Return what says of a block whether it may be opened, by the choices and containments of this moment."""
    charter, today, now = desk.trust.charter(), desk.today(), desk.now_us()
    people, erasing, gone = desk.people.everybody(), set(desk.erasing), set(desk.gone)
    contained = desk.trust.contained

    @lru_cache(maxsize=64)
    def uses(stream: str) -> frozenset[str]:
        """Return the purposes for which a stream could be opened now."""
        return frozenset(
            purpose
            for purpose in charter.purposes_of(stream)
            if not any(map(contained.find, things(purpose=purpose)))
        )

    def may(one: Candidate) -> bool:
        person = PersonId(one.sealed.person)
        standing = people.get(person)
        return (
            standing is not None
            and person not in erasing
            and person not in gone
            and _may_be_used(
                charter,
                standing,
                one.sealed,
                uses=uses(one.sealed.stream),
                today=today,
                now_us=now,
            )
            and not any(
                map(
                    contained.find,
                    things(
                        segments=[one.sealed.segment],
                        datasets=[source for source, _ in one.parts],
                    ),
                )
            )
        )

    return may


def _may_be_used(
    charter: Charter,
    standing: Standing,
    block: SealedBlock,
    *,
    uses: AbstractSet[str],
    today: int,
    now_us: int,
) -> bool:
    """Return whether a block could be opened for any of its purposes, by what its person chose and the charter says.

    Whoever withdrew, paused, restricted or contests is left alone, and so is what no purpose in force could use.
    """
    try:
        allowed = standing.allowed(at_us=now_us)
    except ConsentError:
        return False
    return (
        opted_in(charter, standing)
        and block.stream in allowed
        and {block.label.jurisdiction, standing.jurisdiction} <= set(charter.jurisdictions)
        and end_of(charter, block) > today + MARGIN
        and not (standing.anew_us and block.window <= day_of(standing.anew_us))
        and any(
            standing.bar(purpose, block.stream, block.window) is None
            for purpose in uses & set(block.label.purposes)
        )
    )
