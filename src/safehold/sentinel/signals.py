"""The statistic of every signal: each takes an event that was held against its profile and yields what it finds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from math import log, sqrt
from typing import TYPE_CHECKING, Final

from safehold.sentinel.bursts import rarest
from safehold.sentinel.evidence import MOST_TAUGHT, Finding, Held
from safehold.sentinel.idle import paired
from safehold.sentinel.measure import Running, rarity, too_many
from safehold.sentinel.newness import first_time, odd_use, papers, scope
from safehold.sentinel.nights import count_night
from safehold.sentinel.profile import KEPT, Profile, keep
from safehold.sentinel.runs import quick
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.sizes import LEAST
from safehold.sentinel.volume import slow
from safehold.sentinel.weights import weigh
from safehold.sentinel.words import ARTIFACT, DOWNLOAD, EMBEDDING, EXPORT, JOIN, PAPER

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

UNHEARD: Final = 2.5
NIGHT_RARE: Final = 1.0
MOST_VISITS: Final = 6.0  # of a night that count: more of it is a long night, not an odder one
EXCUSES: Final = 1.5
ALONE: Final = 1.4  # an agent has no nights of its own: it is there when its operator is
MOST_USES: Final = 24  # actions of one principal whose sizes are kept
LEAST_REFUSED: Final = 0.01
MANY_RETRIES: Final = 3
LOOPS: Final = 8  # times the same in a row, without which no machine is in a loop
FAST: Final = 12  # events in five minutes, and
SPREAD: Final = 0.3  # least deviation of the logarithm of a greatest number of a day
BROAD: Final = 6  # different things in an hour, without which no machine is running away
TOLD: Final = 0.5  # from how rare a row is on a sentence says it
LASTS: Final = 1.0  # weight of an hour beside five minutes
UNKNOWN: Final = 30.0
MOST_LARGE: Final = 3.0  # deviations above one that a size adds to an export


def find(sentinel: Sentinel, held: Held) -> list[Finding]:
    """Return what an event is evidence of, and note it in the profile.

    Args:
        sentinel: Whose profiles.
        held: The event.
    """
    event = held.event
    found: list[Finding] = []
    if held.meaning != PAPER:
        of_data(sentinel, held, found)
    if held.hour >= NIGHT_RARE:
        found += off_hours(held)
    if event.kind != "human":
        found += runaway(sentinel, held)
    if held.again or event.outcome == "denied":
        found += denied(held)
    return found


def of_data(sentinel: Sentinel, held: Held, found: list[Finding]) -> None:
    """Add what a use of data is evidence of; to ask for it is none.

    Args:
        sentinel: Whose profiles.
        held: The event.
        found: What is found is put there.
    """
    event = held.event
    if held.unseen or held.who.today.rare or held.amiss >= 1.0:
        found += first_time(sentinel, held)
    if held.unseen:
        found += scope(sentinel, held)
    if event.grant is not None and held.who.deeds.get(event.grant) != held.day:
        found += papers(sentinel, held, event.grant)
    if held.meaning or held.pairs:
        found += sensitive(sentinel, held)
    elif held.size is not None and held.felt["a:" + event.action] >= UNHEARD:
        found += unheard(held, held.size)
    if held.size is not None:
        found += slow(sentinel, held, held.size)
    if event.purpose or event.grant is not None:
        found += drift(held)


def sensitive(sentinel: Sentinel, held: Held) -> Iterator[Finding]:
    """Exports, artifacts and joins: how rare the action, what it is done to, its size, its number and its hour are."""
    who, event, felt = held.who, held.event, held.felt
    use = held.meaning or JOIN
    count = who.today.counts[use] = who.today.counts.get(use, 0) + 1
    habit = who.of_use.setdefault(use, [0, 0.0, 0.0, 0, 0.0, 0.0])
    large = larger(sentinel, held, use, count) if held.size is not None else 0.0
    prior = sentinel.habit(f"{use}s/{who.kind}")
    often = Running.from_json(habit[3:]).far(log(1.0 + count), 0.4, prior)
    row = rarest(sentinel.bursts, who, use, event, held.t_us)
    crowded = row.score if row is not None else 0.0
    much = max(large, often)  # size alone, or number alone, is enough if it is far enough
    strange, place = max(((felt[key], key) for key in felt if key[0] in "sof"), default=(0.0, ""))
    key = "a:" + (held.meaning or event.action)
    action = felt[key]
    facts = {"count": count, "large": large, "often": often, "hour": held.hour, "use": use, "key": key,
             "row": row if crowded >= TOLD else None, "strange": place if strange > action else ""}  # fmt: skip
    rare = refused(sentinel, held, use)
    if held.meaning in (ARTIFACT, DOWNLOAD):
        score = odd_use(sentinel, held, "artifact", refused=rare)
        yield Finding("artifact", score, (), facts, held.again)
        yield Finding("row-artifact", crowded, (), facts, held.again)
        yield Finding("artifacts", much, (), facts | {"strange": ""}, held.again)
        if held.meaning == ARTIFACT:
            yield from pairs(sentinel, held, count)
    elif held.meaning in (EXPORT, EMBEDDING):
        beyond_one = min(MOST_LARGE, max(0.0, large - 1.0))
        score = odd_use(sentinel, held, "export", refused=rare, larger=beyond_one, row=crowded)
        # to search or build is less than to take something out
        part = 0.75 if held.meaning == EMBEDDING else 1.0
        yield Finding("export", score * part, (), facts, held.again)
        yield Finding(
            "exports" if held.meaning == EXPORT else "searches", much, (), facts, held.again
        )
        if held.meaning == EXPORT:
            yield Finding("row-export", crowded, (), facts, held.again)
    if held.pairs or held.meaning == JOIN:
        pair, name = max(((felt[key], key) for key in held.pairs), default=(0.0, ""))
        yield Finding(
            "join", together(sentinel, held, pair, action), (), facts | {"pair": name}, held.again
        )


def together(sentinel: Sentinel, held: Held, pair: float, action: float) -> float:
    """Return how odd it is that things come together: each sign adds.

    How rare the pair of objects, of their families and of the segments they are at home in are, that these segments
    would have met by chance and did not, how rare the rarest object is, that it is much used but always by the same.

    Args:
        sentinel: Who knows where objects are at home.
        held: The use.
        pair: How rare the rarest pair is.
        action: How rare the action is.
    """
    felt, who, wide = held.felt, held.who, sentinel.circles["*"]
    homes = [key[2:] for key in felt if key[0] == "j" and len(key) > 2]
    if len(homes) == 1:
        pair = 0.0  # of one segment: that it is new is no matter of the join
    families = max((felt[key] for key in felt if key[0] == "q"), default=0.0)
    # by the homes and not by the key: a segment may have the separator in its name
    unmet = max((wide.unmet(*two) for two in combinations(sorted(homes), 2)), default=0.0)
    things = [key for key in felt if key[0] == "o"]
    closed = max((wide.closed(key) for key in things if key not in who.known), default=0.0)
    segments = max((felt[key] for key in felt if key[0] == "x"), default=0.0)
    signs = {
        "pair": pair,
        "homes": segments,
        "families": families,
        "unmet": unmet,
        "many": float(len(homes)),
        "object": max((felt[key] for key in things), default=0.0),
        "closed": closed,
        "far": max(held.far.values(), default=0.0),
        "extra": held.extra,
        "action": action,
        "approved": held.approved,
    }
    return weigh("join", signs)


def larger(sentinel: Sentinel, held: Held, use: str, count: int) -> float:
    """Return by how many deviations a use is larger than others of the same action, and learn from it.

    A model is as large as it is: only beside other fetches of the same one is it large.

    Args:
        sentinel: Who knows what is usual.
        held: The use; it has a size.
        use: What it means.
        count: Which of the day it is.
    """
    who, event, size = held.who, held.event, (held.size or 0) / 2.0
    name = f"{use}/{event.action}"
    habit = who.of_use.get(name)
    if habit is None:
        if (
            len(who.of_use) >= MOST_USES
        ):  # it is held against what all of a kind do, and teaches nothing
            others = sentinel.habits.get(f"{name}/{who.kind}")
            return 0.0 if others is None else Running().far(size, 1.0, others)
        habit = who.of_use[name] = [0, 0.0, 0.0, 0, 0.0, 0.0]
    prior = sentinel.habit(f"{name}/{who.kind}")
    own = Running.from_json(habit[:3])
    large = own.far(size, 1.0, prior)
    if count <= MOST_TAUGHT and not who.today.anomalous:
        # what is out of line teaches only that there is more, not how much
        for known in (own, prior):
            most = known.mean + 2.5 * sqrt(known.spread + 1.0)
            known.learn(min(size, most) if known.count else size, 0.06 if known is own else 0.02)
        habit[:3] = own.to_json()
    if held.meaning == ARTIFACT:
        return min(
            large, sentinel.usual.above(event.action, event.objects, event.rows, event.bytes)
        )
    return large


def pairs(sentinel: Sentinel, held: Held, count: int) -> Iterator[Finding]:
    """Different artifacts in a row that nothing gave a reason to fetch.

    Args:
        sentinel: Who knows for how long artifacts are idle.
        held: The fetch.
        count: Which of the day it is.
    """
    pair = paired(sentinel, held.who, held.event, held.t_us)
    if pair is not None:
        yield Finding("pair", pair.score, (), {"count": count, "pair": pair}, held.again)


def refused(sentinel: Sentinel, held: Held, use: str) -> float:
    """Return what it adds that a use was refused, or is tried again after that: how rare refusals of such a use are.

    Args:
        sentinel: Who knows how often they are, in all of a kind.
        held: The event.
        use: What it means.
    """
    if use not in (EXPORT, ARTIFACT, DOWNLOAD):
        return 0.7 if held.again else 0.0
    denied = held.event.outcome == "denied"
    share = sentinel.habit(f"{use}-/{held.who.kind}")
    rare = rarity(max(LEAST_REFUSED, (share.mean * share.count + 1.0) / (share.count + 20.0)))
    if held.who.today.counts[use] <= MOST_TAUGHT:
        share.learn(float(denied), 0.005)
    return (0.5 * rare if denied else 0.0) + (0.3 + 0.5 * rare if held.again else 0.0)


def unheard(held: Held, size: int) -> Iterator[Finding]:
    """An export renamed: hardly anybody uses the action, and more comes out than what is large for the principal."""
    sizes, key = held.who.sizes, "a:" + held.event.action
    octaves = (size - sizes.cut) / 2.0 if sizes.total >= LEAST else 0.0
    score = 0.5 * held.felt[key] + min(2.0, max(0.0, 0.25 * octaves)) + held.extra
    facts = {"use": "", "key": key}
    yield Finding("renamed", score - 0.7 * held.approved, (), facts, held.again)


def off_hours(held: Held) -> Iterator[Finding]:
    """Visits within three hours at which the principal is hardly ever there: the first few of them add to it.

    What is new to somebody is told by what is new; a night makes it no odder than a day does.
    """
    rare = held.hour - EXCUSES * held.excused
    if rare < NIGHT_RARE:
        return
    night = held.who.night
    count = count_night(held.who, held.t_us, rare)
    score = night[2] * (1.0 + 0.5 * log(min(count, MOST_VISITS))) + 0.15 * held.amiss
    if held.event.kind == "agent":
        score *= ALONE
    facts = {"count": night[6], "hour": held.t_us // HOUR_US % 24}
    yield Finding("hour", score, tuple(night[3][-KEPT:]), facts)
    keep(night[3], held.event.number)


def runaway(sentinel: Sentinel, held: Held) -> Iterator[Finding]:
    """Events of a machine in two minutes, five and an hour, and different things and refusals in an hour.

    All of it against the greatest of its days; and how fast the last uses in a row came, against its other runs.
    """
    who, event = held.who, held.event
    rate = who.count_rate(held.t_us)
    hourly = who.count_hour(held.t_us)
    keep(who.recent, event.number)
    key = event.segment + "\x1f" + (event.objects[0] if event.objects else "")
    broad = who.count_breadth(held.t_us, key, sentinel.settings.most_today)
    swift = quick(sentinel, who, held.t_us)
    same = who.count_same(held.t_us, "\x1f".join((event.action, *event.objects)))
    if same >= LOOPS and (score := beyond(sentinel, who, "same", same)) >= 1.0:
        yield Finding("loop", score, tuple(who.recent[-min(same, KEPT) : -1]), {"same": same})
    if rate < FAST and broad < BROAD:
        return
    # a burst is over soon: what goes on for longer than theirs do is seen in the hour
    fast = max(beyond(sentinel, who, "rate", rate), beyond(sentinel, who, "soon", who.soon_sum))
    if hourly >= FAST:
        fast = max(fast, LASTS * beyond(sentinel, who, "hourly", hourly) + 0.5 * max(0.0, fast))
    wide = beyond(sentinel, who, "broad", broad)
    refused = too_many(who.denied_n + who.retried, usual_denied(who))
    score = max(0.0, fast) + 0.7 * max(0.0, wide) + 0.5 * min(refused, 6.0)
    if score >= 1.0 or swift.score >= 1.0:
        facts = {
            "soon": who.soon_sum,
            "rate": rate,
            "hourly": hourly,
            "broad": broad,
            "denied": who.denied_n,
            "retried": who.retried,
        }
        numbers = tuple(who.recent[-KEPT:-1])
        again = who.retried >= MANY_RETRIES
        yield Finding("agent", score, numbers, facts, again)
        yield Finding("swift", swift.score, numbers, {"swift": swift}, again)


def beyond(sentinel: Sentinel, who: Profile, name: str, count: int) -> float:
    """Return how many deviations a count of a machine is above the greatest of its days.

    While no day of any machine of the kind is known, thirty in each of the windows count as usual.

    Args:
        sentinel: Who knows the kind.
        who: The machine.
        name: ``soon``, ``rate``, ``hourly``, ``broad`` or ``same``.
        count: The count.
    """
    own: Running = getattr(who, "most_" + name)
    prior = sentinel.habit(f"{name}/{who.kind}")
    if own.count or prior.count:
        return own.far(log(1.0 + count), SPREAD, prior)
    return (log(1.0 + count) - log(1.0 + UNKNOWN)) / SPREAD


def denied(held: Held) -> Iterator[Finding]:
    """Refusals in an hour, and what was tried again after one, against what is usual."""
    who = held.who
    keep(who.refused, held.event.number)
    score = too_many(who.denied_n + who.retried, usual_denied(who))
    if score:
        facts = {"count": who.denied_n, "retried": who.retried}
        yield Finding(
            "denied", score, tuple(who.refused[-KEPT:-1]), facts, who.retried >= MANY_RETRIES
        )


def drift(held: Held) -> Iterator[Finding]:
    """A purpose that is new to the principal, or a use off what its grant has been used for."""
    event, who = held.event, held.who
    score = held.strange
    key = "u:" + event.purpose if event.purpose else ""
    if key and key not in who.known and (score or key in held.unseen):
        score += held.felt[key]
    if score:
        yield Finding("drift", score, (), {"key": key})


def usual_denied(who: Profile) -> float:
    """Return how many refusals in an hour are usual: some for everybody, more for whoever had more or does much.

    Args:
        who: The principal.
    """
    return 2.0 + 2.0 * who.most_denied.mean + 0.02 * who.today.uses
