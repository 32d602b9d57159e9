"""What is new to somebody: a first use, and too much that is new within a week."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

from safehold.sentinel.evidence import (
    MOST_AMISS,
    MOST_TAUGHT,
    NEW,
    NO_GRANT,
    Finding,
    Held,
    explained,
)
from safehold.sentinel.measure import rarity, too_many
from safehold.sentinel.profile import FIRST_DAYS, KEPT, Profile, came
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.weights import weigh

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

HEARD: Final = 0.8  # less is no evidence of a first use
MOST_OFF: Final = 1.0  # how far a fetch or an export is off its grant, at most
MOST_NEW: Final = 64
MOST_DEEDS: Final = 256  # grants of one principal that are remembered
DAYS_OF_WORK: Final = 5.0  # of a week
LEAST_NEW: Final = 0.05  # what a new thing counts at least that all colleagues use, and
HARDLY_NEW: Final = 0.4  # a new segment or purpose
WEEK_US: Final = 7 * 24 * HOUR_US


def first_time(sentinel: Sentinel, held: Held) -> Iterator[Finding]:
    """A segment or an object that is new to the principal: each sign of that it is not theirs adds.

    How few use it, how far it lies from their work, that it is much used but always by the same, or by nobody of their
    kind, that nobody asked for it, that its grant is none or another's, the action and the hour. A new grant of its own
    takes off. An object counts by itself only where they are at home already.

    Args:
        sentinel: Who knows who else uses it.
        held: The use.
    """
    who, event = held.who, held.event
    new = {key: held.felt[key] for key in _new_of(held)}
    if not new:
        return
    signs = _signs_of(sentinel, held, new)
    channel = "segment" if signs["segment"] else "object"
    score = weigh(channel, signs)
    if score < HEARD:
        return
    things = ((rare, key) for key, rare in new.items() if key[0] == "o")
    key = "s:" + event.segment if signs["segment"] else max(things, default=(0.0, ""))[1]
    facts = {"what": channel, "key": key, "times": who.today.rare.get(key, 1), "grant": event.grant is not None,
             "approved": held.approved > 0}  # fmt: skip
    yield Finding(channel, score, (), facts)


def odd_use(sentinel: Sentinel, held: Held, statistic: str, **more: float) -> float:
    """Return how odd it is that an artifact is fetched, or something taken out, by its signs, as in ``first_time``.

    Most who take what is not theirs do what they never do, or under a grant of something else. How many are fetched in
    a row is judged apart: it is what most often is out of line on ordinary days.

    Args:
        sentinel: Who knows who else uses it.
        held: The use.
        statistic: Whose weights count: ``artifact`` or ``export``.
        more: Signs that only such uses have.
    """
    return weigh(statistic, _signs_of(sentinel, held, held.felt) | more)


def _new_of(held: Held) -> list[str]:
    return [key for key in held.felt if key[0] in "so" and key not in held.who.known]


def _signs_of(sentinel: Sentinel, held: Held, parts: Mapping[str, float]) -> dict[str, float]:
    """Return the signs of that a use is not of somebody's own work, by the names that ``weights`` has for them.

    Args:
        sentinel: Who knows who else uses it.
        held: The use.
        parts: Those of its parts of which the rarest segment, object and family count.
    """
    who, event, wide, new = held.who, held.event, sentinel.circles["*"], _new_of(held)
    rarest = {"s": 0.0, "o": 0.0, "f": 0.0}
    for key, score in parts.items():
        if score > rarest.get(key[0], score):
            rarest[key[0]] = score
    return {
        "segment": rarest["s"],
        "object": rarest["o"],
        "family": rarest["f"],
        "apart": max((_apart_of(sentinel, who, key) for key in new), default=0.0),
        "closed": max((wide.closed(key) for key in new), default=0.0),
        "far": max(held.far.values(), default=0.0),
        "unasked": held.unasked,
        "amiss": held.amiss,
        # else whoever leaves the grant out is quieter than who uses another's
        "bare": min(MOST_AMISS, held.felt.get(NO_GRANT, 0.0)),
        "strange": held.strange,
        "off": min(MOST_OFF, held.strange),
        "extra": held.extra,
        "action": held.felt["a:" + (held.meaning or event.action)],
        "hour": held.hour,
        "denied": float(event.outcome == "denied"),
        "again": float(held.again),
        "machine": float(event.kind != "human"),
        "approved": held.approved,
    }


def _apart_of(sentinel: Sentinel, who: Profile, key: str) -> float:
    """Return how far something is a thing of another kind of principals; asked once a day, as all its users count."""
    kept = who.today.apart
    found = kept.get(key)
    if found is None:
        found = sentinel.circles["*"].apart_from(sentinel.people, who, key)
        if len(kept) < sentinel.settings.most_today:
            kept[key] = found
    return found


def scope(sentinel: Sentinel, held: Held) -> Iterator[Finding]:
    """New segments, purposes or objects within seven days, against how many a week had brought before those days.

    Each counts by how few colleagues use it, and less if a new grant of its own explains it. The first days of somebody
    bring everything: they say nothing of how often something new comes.

    Args:
        sentinel: Who knows who else uses it, and how often others have something new.
        held: The use.
    """
    who = held.who
    best: dict[str, Finding] = {}
    for key in held.unseen:
        if key in who.known or key[0] not in "souf":
            continue
        kind = key[0].upper()
        ring = sentinel.ring(who)
        taught = who.today.taught
        if key[0] in NEW and taught.get("O" if kind == "F" else kind, 0.0) < MOST_TAUGHT:
            known = ring[0].others(who.name, key)[0] > 0
            sentinel.habit(NEW[key[0]]).learn(0.0 if known else 1.0, 0.01)
        if kind == "F":
            continue
        share = explained(who, key, ring)
        least = LEAST_NEW if kind == "O" else HARDLY_NEW
        weight = min(1.0, max(least, rarity(share) / 1.2)) * (1.0 - 0.3 * held.approved)
        # counted apart from what is told: the first days of somebody tell nothing, and teach no more than others do
        taught[kind] = taught.get(kind, 0.0) + weight
        if who.active < FIRST_DAYS:
            weight = 0.0
        channel = "reach" if kind == "O" else "scope"
        for one in widened(sentinel, held, kind, weight, channel):
            if channel not in best or one.score > best[channel].score:
                best[channel] = one
    yield from best.values()


def papers(sentinel: Sentinel, held: Held, grant: str) -> Iterator[Finding]:
    """Grants that somebody never used before, within seven days, against how many a week had brought before those days.

    Args:
        sentinel: Who knows how often others have new ones.
        held: The use.
        grant: Its grant.
    """
    who, day = held.who, held.day
    first = grant not in who.deeds
    if first and len(who.deeds) >= MOST_DEEDS:
        del who.deeds[min(who.deeds, key=lambda one: (who.deeds[one], one))]
    who.deeds[grant] = day
    if first:
        yield from widened(sentinel, held, "D", 0.0 if who.active < FIRST_DAYS else 1.0, "papers")


def widened(
    sentinel: Sentinel, held: Held, kind: str, weight: float, channel: str
) -> Iterator[Finding]:
    """Note something new, and return how rare so much of it within seven days is.

    Args:
        sentinel: Who knows how often others have such.
        held: The use.
        kind: Of what kind it is.
        weight: How much it counts.
        channel: Whose finding it is.
    """
    who = held.who
    who.today.new[kind] += weight
    who.new.append([held.t_us, kind, weight, held.event.number])
    who.new = [one for one in who.new if one[0] > held.t_us - WEEK_US][-MOST_NEW:]
    mine = [one for one in who.new if one[1] == kind and one[2]]
    usual = 0.25 + DAYS_OF_WORK * who.came_of(kind, sentinel.habit(came(kind, who.kind)))
    score = too_many(sum(one[2] for one in mine), usual)
    if score:
        numbers = tuple(one[3] for one in mine[-KEPT:] if one[3] != held.event.number)
        facts = {"count": len(mine), "usual": usual, "what": kind}
        yield Finding(channel, score, numbers, facts)
