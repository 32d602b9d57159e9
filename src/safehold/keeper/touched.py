"""What a use touches: all that could be contained and would have to end it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from safehold.access import Claims, Grant, operator_of
from safehold.catalog import DatasetLabel
from safehold.catalog.register import TELEMETRY
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.caller import caller
from safehold.keeper.contained import Thing, things
from safehold.keeper.days import Behind
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


def by_asker(desk: Desk, asker: Asker, purpose: str) -> frozenset[Thing]:
    """Return what is touched by whoever asks: they, whom they act for and who delegated to them, token and grants."""
    who = caller()
    touched = things(
        purpose=purpose,
        principals=(
            asker.principal.id,
            operator_of(asker.principal),
            *asker.above,
            *((who.id, who.operator) if who.proved else ()),
        ),
    )
    if asker.claims is None or asker.grant is None:
        return touched
    return touched | by_token(desk, asker.claims, asker.grant)


def by_token(desk: Desk, claims: Claims, grant: int) -> frozenset[Thing]:
    """Return what the use of a token touches before anything is chosen for it.

    Args:
        desk: What the keeper works with.
        claims: What it says.
        grant: Leaf of its grant.
    """
    return things(
        purpose=claims.purpose,
        principals=(claims.principal.id, operator_of(claims.principal)),
        grants=(grant, *desk.trust.above(grant)),
        tokens=claims.revocation_ids,
    )


def by_grant(grant: Grant, entries: Iterable[int] = ()) -> frozenset[Thing]:
    """Return what asking for a grant touches, agreeing to it, or being given a token of it.

    Args:
        grant: The grant.
        entries: Its leaf, and those above it, where there are any.
    """
    return things(
        purpose=grant.purpose,
        principals=(grant.requester.id, operator_of(grant.requester)),
        segments=grant.segments,
        grants=entries,
    )


def by_release(
    desk: Desk, ask: Ask, *, segments: Iterable[str], behind: Behind, label: DatasetLabel
) -> frozenset[Thing]:
    """Return what opening data touches: what is derived inherits the segments and datasets that it was made from.

    Args:
        desk: What the keeper works with.
        ask: The use.
        segments: Segments of the blocks that it opens.
        behind: What lies behind them.
        label: What all that comes of it inherits.
    """
    if ask.kind == TELEMETRY:
        return things(segments=segments, datasets=behind.sources) | ask.about
    made_from = (
        segment_name(place, stream) for place in label.jurisdictions for stream in label.streams
    )
    above = desk.lineage.above(behind.sources)
    return things(segments=(*segments, *made_from), datasets=above) | ask.about
