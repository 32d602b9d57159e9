"""One event held against what was usual before it: how rare is each part of it for this principal?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from safehold.sentinel.crowd import Circle, share_of
from safehold.sentinel.event import Event
from safehold.sentinel.measure import rarity
from safehold.sentinel.nights import LEAST_DAYS, rare_hour
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.sizes import bucket_of
from safehold.sentinel.ties import distance
from safehold.sentinel.words import PAPER, asks, family_of, meaning_of

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

OWN: Final = 3.0  # days that colleagues count as beside somebody's own
LEAST_FRESH: Final = 0.02  # even whoever never touches anything new does on one day in fifty
LEAST_SHARE: Final = 0.0005
RARE: Final = 1.5
MOST_AMISS: Final = 3.0
ODD_HOUR: Final = 1.0
MOST_REASONS: Final = 64
MOST_OBJECTS: Final = 5  # of one event that are told apart
KIN: Final = 0.3  # as what part of the others a family counts that is one's own
NEW_TO_ALL: Final = 0.3
# the habits that tell which part of what is new to somebody is new to all
NEW: Final = {"o": "new", "s": "new/s", "f": "new/f"}
FROM_THE_BEGINNING: Final = 6  # days
ASKED: Final = "asked"  # the habit that tells which part of new segments was asked for
FEW_ASKED: Final = 4.0
ASKED_DAYS: Final = 30  # for which a request explains a first use
MOST_TAUGHT: Final = 20  # of one principal in a day: more of it teaches nothing about all
LEAST_UNASKED: Final = 0.02
HOURS: Final = tuple(f"h:{hour}" for hour in range(24))
NO_GRANT: Final = "g:none"
BARE: Final = "g:bare"  # a use under a grant that nobody else was seen to approve


@dataclass(slots=True)
class Finding:
    """A score worth looking at.

    Args:
        channel: Whose.
        score: How much.
        numbers: Numbers of earlier events that belong to it.
        facts: What the sentence is made of.
        retried: True if it is tried again after a denial.
    """

    channel: str
    score: float
    numbers: tuple[int, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    retried: bool = False


@dataclass(slots=True)
class Held:
    """An event with how rare its parts are.

    Args:
        event: The event.
        who: Whose.
        t_us: When.
        day: The day of it.
        meaning: What the action means; empty for an ordinary use.
        felt: How rare each part is: ``s:`` segment, ``o:`` object, ``p:`` pair of objects, ``a:`` action,
            ``u:`` purpose, ``g:`` no grant, ``f:`` family of objects, ``q:`` pair of families, ``x:`` pair of segments.
        unseen: Parts that were not seen on this day before.
        pairs: Those parts that are pairs.
        size: Size of it; None if nothing came out.
        hour: How rare the hour is.
        excused: How far the purpose goes with such hours.
        extra: What is added to what it is evidence of: no grant where grants are usual, or refused.
        approved: How far its grant explains it, 0 to 1.
        again: True if it tries what was refused within ten minutes.
        strange: How far it is off what its grant has been used for.
        amiss: How rare it is that a use has no grant, or one that is for something or somebody else.
        far: How far the objects lie from what the principal works with.
        unasked: How rare it is that nobody asked for a segment that is new to them.
    """

    event: Event
    who: Profile
    t_us: int
    day: int
    meaning: str
    felt: dict[str, float]
    unseen: list[str]
    pairs: list[str]
    size: int | None
    hour: float = 0.0
    excused: float = 0.0
    extra: float = 0.0
    approved: float = 0.0
    again: bool = False
    strange: float = 0.0
    amiss: float = 0.0
    far: dict[str, float] = field(default_factory=dict)
    unasked: float = 0.0


def hold(sentinel: Sentinel, event: Event, who: Profile, t_us: int, day: int) -> Held:
    """Hold an event against its principal's profile, and note it there.

    Args:
        sentinel: Whose profiles.
        event: The event.
        who: Whose profile.
        t_us: When.
        day: The day of it.
    """
    today, denied = who.today, event.outcome == "denied"
    meaning = meaning_of(event.action)
    objects = told_apart(who, event.objects)
    keys = parts_of(event, meaning, objects)
    pairs = [key for key in keys if key[0] == "p"] if len(event.objects) > 1 else []
    if pairs:
        keys += _apart(sentinel, objects)
    elif event.objects and event.segment and not denied and meaning != PAPER:
        key, most = "o:" + event.objects[0], sentinel.settings.most_today
        first = key not in today.scores and len(today.scores) < most
        sentinel.homes.learn(event, first=first)
    felt: dict[str, float] = {}
    unseen: list[str] = []
    ring, odd = _weigh(sentinel, who, keys, day, denied, felt, unseen)
    # who was refused was given no right, and to look up is not to ask
    if meaning == PAPER and event.segment and not denied and asks(event.action):
        _ask(who, event.segment, day)
    size = bucket_of(event.rows, event.bytes) if event.rows or event.bytes else None
    held = Held(event, who, t_us, day, meaning, felt, unseen, pairs, size)
    if today.far:
        held.far = {key: today.far[key] for key in felt if key in today.far}
    if denied or who.denied_n:  # of whoever was not refused lately nothing is to be noted
        held.again = who.count_denied(
            t_us, "\x1f".join((event.action, event.segment, *event.objects[:1])), denied=denied
        )
    key = "s:" + event.segment
    if key in felt and key not in who.known:
        first = key in unseen
        held.unasked = _unasked(sentinel, who, event.segment, first=first, denied=denied)
    held.hour = _hour(sentinel, who, t_us, ring)
    _reason(sentinel, held)
    if meaning != PAPER:
        _permit(sentinel, held, odd=odd)
    if denied:
        held.extra += 0.4
    own = who.active / sentinel.settings.own_days
    # whoever was there from the beginning is as well known as anybody: what they do sets the thresholds
    if own < 1.0 and who.first > sentinel.begun + FROM_THE_BEGINNING:
        held.extra -= 0.8 * (1.0 - own)  # of whoever is still learned, less is certain
    return held


def _weigh(  # noqa: PLR0917  # called for every event
    sentinel: Sentinel,
    who: Profile,
    keys: Sequence[str],
    day: int,
    denied: bool,  # noqa: FBT001
    felt: dict[str, float],
    unseen: list[str],
) -> tuple[Sequence[Circle] | None, bool]:
    """Fill in how rare each part is and which were not seen today; return the circles, if asked, and if one is odd."""
    today, known = who.today, who.known
    scores, rare, ok = today.scores, today.rare, today.ok
    ring: Sequence[Circle] | None = None
    odd = False
    for key in keys:
        score = scores.get(key)
        if score is None:
            if ring is None:
                ring = sentinel.ring(who)
            score = surprise(sentinel, who, key, ring)
            # what is too much to be told apart is no change of a team's work: that is bounded by this too
            if key not in known and len(ring) == 3 and len(scores) < sentinel.settings.most_today:
                ring[2].touch(who.name, key, day)
            _place(sentinel, who, key, ring)
            unseen.append(key)
            if len(scores) < sentinel.settings.most_today:
                scores[key] = score
        felt[key] = score
        if score >= RARE:
            odd = True
            if key in scores:
                rare[key] = rare.get(key, 0) + 1
        if not denied and key in scores:
            ok[key] = 1
    return ring, odd


def told_apart(who: Profile, objects: tuple[str, ...]) -> tuple[str, ...]:
    """Return the objects of one event that are told apart: of too many those that are new to the principal first.

    Else whoever names five of their own before it takes what they like as the sixth.

    Args:
        who: The principal.
        objects: All that the event names.
    """
    if len(objects) <= MOST_OBJECTS:
        return objects
    known = who.known
    new = islice((name for name in objects if "o:" + name not in known), MOST_OBJECTS)
    return tuple(
        islice(chain(new, (name for name in objects if "o:" + name in known)), MOST_OBJECTS)
    )


def _apart(sentinel: Sentinel, objects: Sequence[str]) -> tuple[str, ...]:
    """Return what can be usual or not of where the objects of a join are at home."""
    found = {home for name in objects if (home := sentinel.homes.of(name))}
    homes = sorted(found)
    return ("j:", *("j:" + home for home in homes), *pairs_of(homes, "x:"))


def _ask(who: Profile, segment: str, day: int) -> None:
    """Note that somebody asked for a segment; of too many the oldest goes."""
    if len(who.asked) >= MOST_REASONS and segment not in who.asked:
        del who.asked[min(who.asked, key=lambda one: (who.asked[one], one))]
    who.asked[segment] = day


def _place(sentinel: Sentinel, who: Profile, key: str, ring: Sequence[Circle]) -> None:
    """Note how far an object that is new to the principal lies from what they work with."""
    if key[0] == "o" and key not in who.known:
        far = distance(sentinel.people, who, key[2:], ring)
        if far and len(who.today.far) < sentinel.settings.most_today:
            who.today.far[key] = far


def _unasked(sentinel: Sentinel, who: Profile, segment: str, *, first: bool, denied: bool) -> float:
    """Return how rare it is that somebody uses a new segment without having asked for it; learn from the first use."""
    asked = who.day - who.asked.get(segment, who.day - ASKED_DAYS) < ASKED_DAYS
    habit = sentinel.habit(f"{ASKED}/{who.kind}")
    share = habit.mean * habit.count / (habit.count + FEW_ASKED)
    # on somebody's first days everything is new; a refusal is no use; and nobody alone teaches what is usual for all
    taught = who.today.taught
    if first and not denied and who.active >= LEAST_DAYS and taught.get(ASKED, 0) < MOST_TAUGHT:
        taught[ASKED] = taught.get(ASKED, 0) + 1
        habit.learn(float(asked), 0.02)
    return 0.0 if asked else rarity(max(LEAST_UNASKED, 1.0 - share))


def _reason(sentinel: Sentinel, held: Held) -> None:
    """Note the purpose, and how far it explains the hour."""
    purpose, reasons, odd = held.event.purpose, held.who.today.reasons, held.hour >= ODD_HOUR
    if odd:
        held.excused = sentinel.reasons.excuse(held.who, purpose)
    if len(reasons) < MOST_REASONS or purpose in reasons:
        reasons[purpose] = reasons.get(purpose, 0) or int(odd)


def _permit(sentinel: Sentinel, held: Held, *, odd: bool) -> None:
    """Note what the grant says: there is none where there always is, it is for something else, or it is new.

    One that nobody was seen to approve explains as much as such grants are used beside approved ones.
    """
    event, who = held.event, held.who
    bare = event.grant is not None and not sentinel.grants.backed(event.grant, who.name)
    if bare and event.outcome == "ok":
        today = who.today
        if BARE in today.scores or len(today.scores) < sentinel.settings.most_today:
            today.scores[BARE], today.ok[BARE] = 0.0, 1
    if NO_GRANT in held.felt:
        held.amiss = min(MOST_AMISS, held.felt[NO_GRANT])
        held.extra = min(2.0, 0.5 * held.felt[NO_GRANT])
    elif event.grant is not None:
        held.strange = sentinel.grants.strange(event.grant, who.name, event.segment, event.purpose)
        held.amiss = min(MOST_AMISS, held.strange)
        held.extra = min(1.5, 0.5 * held.strange)
    if odd:
        held.approved = sentinel.grants.evidence(event.grant, who.name, event.segment, held.day)
        if bare and held.approved:
            share = 10.0 ** -surprise(sentinel, who, BARE, sentinel.ring(who))
            held.approved *= min(1.0, share / max(1.0 - share, LEAST_SHARE))


def parts_of(event: Event, meaning: str, objects: tuple[str, ...]) -> tuple[str, ...]:
    """Return what of an event can be usual or not.

    Args:
        event: The event.
        meaning: What its action means.
        objects: Those of its objects that are told apart.
    """
    if meaning == PAPER:
        return ("a:" + event.action,)
    none = NO_GRANT if event.grant is None and event.segment else ""
    return _parts(meaning or event.action, event.segment, objects, event.purpose, none)


@lru_cache(maxsize=16_384)
def _parts(
    action: str, segment: str, objects: tuple[str, ...], purpose: str, none: str
) -> tuple[str, ...]:
    keys = ["a:" + action]
    if segment:
        keys.append("s:" + segment)
    keys += ["o:" + name for name in objects]
    if purpose:
        keys.append("u:" + purpose)
    if none:
        keys.append(none)
    families = sorted({family for name in objects if (family := family_of(name))})
    keys += ["f:" + family for family in families]
    if len(objects) > 1:
        keys += pairs_of(objects)
        if len(families) > 1:
            keys += pairs_of(families, "q:")
    return tuple(keys)


def surprise(sentinel: Sentinel, who: Profile, key: str, ring: Sequence[Circle]) -> float:
    """Return how rare it is that a principal uses something on a day.

    What they have used before is judged by on how many days. What is new to them is judged by how often a day brings
    them something new, times how many of their colleagues use it.

    Args:
        sentinel: Who knows how often something is new to all.
        who: The principal.
        key: What.
        ring: Their circles, widest first.
    """
    prefix = key[0]
    if prefix == "a" and len(ring) == 3:
        ring = (
            ring[0],
            ring[2],
            ring[1],
        )  # what somebody does follows their role, with what their team
    share = explained(who, key, ring)
    weight = who.known.get(key)
    if weight is not None or prefix == "g":
        return rarity(min(1.0, ((weight or 0.0) + OWN * share) / (who.active + OWN)))
    if prefix in NEW and not ring[0].others(who.name, key)[0]:
        share = max(share, NEW_TO_ALL * sentinel.habit(NEW[prefix]).mean)
    fresh = who.fresh_of(prefix)
    if prefix == "a":
        fresh *= 0.5  # there are few kinds of actions, so they are all known sooner
    return rarity(max(fresh, LEAST_FRESH) * share)


def explained(who: Profile, key: str, ring: Sequence[Circle]) -> float:
    """Return which part of the others uses a thing, or what it belongs to; of one's own families the like is expected.

    Args:
        who: The principal.
        key: What.
        ring: Their circles, widest first.
    """
    share = max(share_of(ring, who.name, key), LEAST_SHARE)
    prefix = key[0]
    if key in who.known or prefix not in "op":
        return share
    if prefix == "o":
        return max(share, KIN * _kin(who, "f:" + family_of(key[2:]), ring))
    one, other = key[2:].split("\x1f", 1)
    first, second = sorted((family_of(one), family_of(other)))
    if first and first == second:
        return max(share, KIN)  # of one family: that it is new is no matter of the join
    if first:
        share = max(share, KIN * _kin(who, f"q:{first}\x1f{second}", ring))
    # what is used by itself anyway may come together by chance
    return max(share, 0.5 * _alone(who, one, ring) * _alone(who, other, ring))


def _kin(who: Profile, family: str, ring: Sequence[Circle]) -> float:
    """Return 1 for a family, or a pair of them, of one's own, and else the share of others; 0 for no family."""
    if len(family) == 2:
        return 0.0
    return 1.0 if family in who.known else share_of(ring, who.name, family)


def _alone(who: Profile, name: str, ring: Sequence[Circle]) -> float:
    own = who.known.get("o:" + name, 0.0) / (who.active + OWN)
    return max(own, share_of(ring, who.name, "o:" + name))


def _hour(sentinel: Sentinel, who: Profile, t_us: int, ring: Sequence[Circle] | None) -> float:
    """Return how rare it is that a principal is there at this hour, and for a human on this day of the week."""
    hour = t_us // HOUR_US % 24
    key = HOURS[hour]
    score = who.today.at.get(key)
    if score is None:
        # whoever has no days yet has no hours
        known = who.active >= LEAST_DAYS
        score = rare_hour(who, hour, ring or sentinel.ring(who)) if known else 0.0
        who.today.at[key] = score
        who.today.hours |= 1 << hour
    return score


def pairs_of(objects: Sequence[str], prefix: str = "p:") -> list[str]:
    """Return the names of all pairs of objects, without order.

    Args:
        objects: The objects of one event.
        prefix: What the names begin with.
    """
    names = sorted(set(objects))
    return [
        f"{prefix}{one}\x1f{other}"
        for place, one in enumerate(names)
        for other in names[place + 1 :]
    ]
