"""What a request would reach at most: people x classes x days x downstream models, and epsilon.

Everybody in the register whom the request covers is counted, whether they take part or not: a price is shown to
approvers, and must not tell them who chose what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from safehold.access import Grant, PeopleFilter, Price
from safehold.access.grant import DERIVED, EMBEDDING, whats
from safehold.access.narrower import narrower, places_of
from safehold.errors import DeniedError
from safehold.keeper.terms import sources_of
from safehold.telemetry.stream import segment_name

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MODEL = "model"


def price_grant(desk: Desk, grant: Grant, people: PeopleFilter) -> Price:
    """Return the price of a grant now."""
    charter = desk.trust.charter()
    sources = frozenset(grant.streams) - {DERIVED, EMBEDDING}
    if {DERIVED, EMBEDDING} & set(grant.streams):  # what they were made from lies behind them
        sources |= sources_of(charter, grant.purpose)
    try:
        left = desk.trust.left(grant.purpose).epsilon_micro
    except DeniedError:  # a purpose that may release nothing
        left = 0
    return Price(
        grant=grant.digest().hex(),
        people=_count(desk, grant, people),
        classes=whats(tuple(sources | frozenset(grant.streams))),
        days=max(min(grant.last_day, desk.today()) - grant.first_day + 1, 1),
        models=_models(desk, grant, sources),
        epsilon_micro=grant.epsilon_micro,
        epsilon_left_micro=left,
        at_us=desk.now_us(),
    )


def price_narrower(desk: Desk, grant: Grant, people: PeopleFilter) -> list[dict[str, Any]]:
    """Return what a grant could leave out, each with its price; one that means too few people is none."""
    privacy = desk.trust.charter().purpose(grant.purpose).privacy
    least = 0 if privacy is None else privacy.min_people
    found = []
    for kind, less in narrower(grant, today=desk.today()):
        price = price_grant(desk, less, people)
        if price.people >= least:
            found.append(
                {
                    "leaves_out": kind,
                    "places": list(places_of(less)),
                    "minutes": less.minutes,
                    "runs": less.max_runs,
                    "people": price.people,
                    "days": price.days,
                    "epsilon_micro": less.epsilon_micro,
                    "reach": price.reach,
                }
            )
    return found


def _count(desk: Desk, grant: Grant, people: PeopleFilter) -> int:
    segments = set(grant.segments)
    places = {
        place
        for place in desk.trust.charter().jurisdictions
        if any(segment_name(place, stream) in segments for stream in grant.streams)
    }
    return sum(
        one.jurisdiction in places and people.chooses(person, one.jurisdiction)
        for person, one in desk.people.everybody().items()
    )


def _models(desk: Desk, grant: Grant, sources: frozenset[str]) -> tuple[str, ...]:
    """Return the models that were made from data of the same streams and days."""
    found = []
    nodes, broken = desk.lineage.look()
    # of a row that was changed nobody can say what it was made from: it counts
    found += [name for name, kind in broken.items() if kind == MODEL]
    for name, node in nodes.items():
        label = node.label
        if (
            node.kind == MODEL
            and label.streams & sources
            and label.first_day <= grant.last_day
            and grant.first_day <= label.last_day
        ):
            found.append(name)
    return tuple(sorted(found))
