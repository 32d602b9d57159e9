"""Slowly more: more uses, more large ones, larger ones, more bytes a row, on most days of a week than before it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import erfc, log, log2, sqrt
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, Final

from safehold.sentinel.evidence import Finding, Held, told_apart
from safehold.sentinel.measure import Running, rarity
from safehold.sentinel.pace import LASTING, Pace
from safehold.sentinel.profile import KEPT, Profile, keep
from safehold.sentinel.sizes import LEAST, MOST_ACTIONS, WEEK, Spread, note
from safehold.sentinel.words import ARTIFACT, DOWNLOAD

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

MOST_KINDS: Final = 20_000  # of things whose usual size is kept
MOST_SPREADS: Final = 512  # kinds and actions whose sizes are kept
MOST_OF_ONE: Final = 50.0  # uses of one day of one principal that count for all of a kind
NARROW, COARSE = 0.3, 0.7  # least deviations of bytes a row and of size, powers of two
MOST_AWAY: Final = 4.0  # of what is summed
BULKY: Final = 3.7  # from where on a single use is kept as a score
TINY, VAST = 2.5, 6.0  # deviations below and above which a size teaches no more
SELDOM: Final = 4.0  # what a power of ten of how seldom theirs are as large bears of that
SLOWLY: Final = 0.02  # weight of a new use in what is usual of a thing
KNOWN: Final = 5  # uses of a thing before their size says anything
OTHERS: Final = 10.0  # uses that those of all of a kind count as beside somebody's own
UNKNOWN: Final = 0.3  # how many are as large where nothing is known
TENTH: Final = 1.0  # from which rarity on a use is large for somebody, and
FIFTH: Final = 0.7  # for what it is done to
OWN, SAME, SIZE, WIDE = "own", "same", "size", "wide"
MEANS: Final = (SIZE, WIDE)  # of the others, which are sums, the logarithm counts
CHANNEL_OF: Final = {OWN: "slow", SAME: "larger", SIZE: "size", WIDE: "wide"}
SAID: Final = 3.0  # uses that the usual mean counts as beside those of a day
FEW: Final = 0.5  # least deviation of the logarithm of a number or a sum of a day
MEAN: Final = 0.2  # least deviation of the mean of a day
FADE: Final = 0.97  # what is left of old sizes for each day that joins them
_NORMAL: Final = NormalDist()


class Usual:
    """What size a use of each thing has, by everybody: bytes a row, and bytes; and of each action, by all of a kind."""

    __slots__ = ("kept", "spreads")

    def __init__(self) -> None:
        self.kept: dict[str, list[float]] = {}
        self.spreads: dict[str, Spread] = {}

    def above(self, action: str, objects: Sequence[str], rows: int, amount: int) -> float:
        """Return by how many deviations a use is larger than others of the same thing; 0 while few are known.

        Args:
            action: What was done.
            objects: To what.
            rows: Rows opened.
            amount: Bytes that came out.
        """
        return self.beyond(action, objects[0] if objects else "", rows, amount)

    def beyond(self, action: str, name: str, rows: int, amount: int) -> float:
        """Return the same of one thing; nothing is learned from it.

        Args:
            action: What was done.
            name: To what.
            rows: Rows opened.
            amount: Bytes that came out.
        """
        kept = self.kept.get(f"{action}\x1f{name}")
        if kept is None or kept[3] < KNOWN:
            return 0.0
        return Running.from_json(kept[3:]).far(log2((amount or rows) + 1.0), COARSE)

    def away(self, action: str, name: str, rows: int, amount: int) -> tuple[float | None, float]:
        """Return by how many deviations a use is wider, and larger, than others of the same; then learn from it.

        Args:
            action: What was done.
            name: To what.
            rows: Rows opened.
            amount: Bytes that came out.
        """
        key = f"{action}\x1f{name}"
        kept = self.kept.get(key)
        if kept is None:
            if len(self.kept) >= MOST_KINDS:
                # by name, not by age: a restart must change nothing
                most = sorted(self.kept.items(), key=lambda one: (-one[1][3], one[0]))
                self.kept = dict(most[: MOST_KINDS * 3 // 4])
            kept = self.kept[key] = [0, 0.0, 0.0, 0, 0.0, 0.0]
        large = _step(kept, 3, log2((amount or rows) + 1.0), COARSE)
        if not (rows and amount):
            return None, large
        return min(MOST_AWAY, _step(kept, 0, log2((amount + 1.0) / rows), NARROW)), large

    def chance(self, who: Profile, action: str, size: int) -> float:
        """Return how many of somebody's uses of an action were as large before the last week, by all of their kind too.

        Args:
            who: Who.
            action: What they did.
            size: How large it was.
        """
        every = self.spreads.get(f"{who.kind}\x1f{action}")
        share = (every.at_least(size) + 0.5) / (every.total + 0.5) if every else UNKNOWN
        own = who.sizes.old.get(action)
        if own is None:
            return share
        return (own.at_least(size) + OTHERS * share) / (own.total + OTHERS)

    def learn(self, kind: str, sizes: dict[str, dict[int, int]]) -> None:
        """Let a day of somebody, a week ago, count for all of a kind; nobody alone counts for much.

        Args:
            kind: Of principals.
            sizes: Of each action how many uses had which size.
        """
        uses = sum(sum(counts.values()) for counts in sizes.values())
        for action in sorted(sizes):
            key = f"{kind}\x1f{action}"
            spread = self.spreads.get(key)
            if spread is None:
                if len(self.spreads) >= MOST_SPREADS:
                    continue
                spread = self.spreads[key] = Spread()
            spread.add(sizes[action], min(1.0, MOST_OF_ONE / uses))
            spread.settle()

    def fade(self, fade: float) -> None:
        """Let a week pass."""
        for spread in self.spreads.values():
            spread.fade(fade)
            spread.settle()
        self.spreads = {key: spread for key, spread in self.spreads.items() if spread.total}

    def to_json(self) -> list[Any]:
        """Return it as JSON."""
        return [self.kept, {key: spread.to_json() for key, spread in self.spreads.items()}]

    @classmethod
    def from_json(cls, tree: list[Any]) -> Usual:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.kept = tree[0]
        made.spreads = {key: Spread.from_json(one) for key, one in tree[1].items()}
        return made


def _step(kept: list[float], place: int, value: float, floor: float) -> float:
    """Return how many deviations a value lies above a mean, which then follows it, as ``Running`` does in place."""
    count, mean, spread = kept[place], kept[place + 1], kept[place + 2]
    gone = value - mean
    away = 0.0
    if count >= KNOWN:
        deviation = sqrt(spread + floor * floor)
        away = max(-MOST_AWAY, gone / deviation)
        # else a tiny use makes every large one usual; what is vast was told
        gone = max(-TINY * deviation, min(VAST * deviation, gone))
    kept[place] = count + 1
    step = max(SLOWLY, 1.0 / (count + 1))
    kept[place + 1] = mean + step * gone
    kept[place + 2] = (1.0 - step) * (spread + step * gone * gone)
    return away


def slow(sentinel: Sentinel, held: Held, size: int) -> list[Finding]:
    """Numbers of a day that lie above what they were before the last week, and did so on the days before it too.

    Uses of one action; large ones, for the principal or for what it is done to, in any number of small ones; the mean
    size; bytes a row. What has risen for all of a kind is taken off.

    Args:
        sentinel: Who knows what is usual for all.
        held: The event.
        size: Its size.
    """
    who, event, found = held.who, held.event, []
    objects = event.objects
    wide, away = sentinel.usual.away(
        event.action, objects[0] if objects else "", event.rows, event.bytes
    )
    vast = away
    if len(objects) > 1:
        for name in told_apart(who, objects)[1:]:
            vast = max(vast, sentinel.usual.beyond(event.action, name, event.rows, event.bytes))
    away = min(MOST_AWAY, away)
    chance = sentinel.usual.chance(who, event.action, size)
    if vast >= BULKY and held.meaning not in (ARTIFACT, DOWNLOAD):
        # what is large for the thing and not for whoever uses it is their work
        score = min(vast, SELDOM * rarity(chance))
        found.append(Finding("bulk", score, (), {"use": "", "away": vast}, held.again))
    note(who.today.sizes, event.action, size, who.sizes.old)
    own, same = rarity(chance), rarity(0.5 * erfc(away / sqrt(2.0)))
    today = held.day >= sentinel.begun + WEEK  # the first week only teaches what things are like
    sized = today and who.sizes.total >= LEAST
    keep(who.large_of_week, [held.day, event.number])
    if own >= TENTH or same >= FIFTH:
        keep(who.large, [held.day, event.number])
    _count(sentinel, held, "n:" + event.action, 1.0, found)
    if today:
        _count(sentinel, held, SAME, same - FIFTH, found)
        if wide is not None:
            _count(sentinel, held, WIDE, wide, found)
    if sized:
        _count(sentinel, held, OWN, own - TENTH, found)
        _count(sentinel, held, SIZE, 0.5 * (_normal(round(chance, 3)) + away), found)
    return found


def _count(sentinel: Sentinel, held: Held, key: str, value: float, found: list[Finding]) -> None:
    """Add to a number of the day, and hold it against the days before.

    Args:
        sentinel: Who knows what is usual for all.
        held: The event.
        key: Which number.
        value: What it adds; a sum takes in nothing that is less than nothing.
        found: What is found is put there.
    """
    who, mean_of_day = held.who, key in MEANS
    sums = who.today.sums
    total = sums.get(key)
    if total is None:
        # what has a pace is counted always: else whoever invents actions first hides the usual ones behind them
        if key.startswith("n:") and len(sums) >= MOST_ACTIONS and key not in who.paces:
            return
        total = sums[key] = [0.0, 0.0]
    if value <= 0.0 and not mean_of_day:
        return
    total[0] += value
    total[1] += 1.0
    pace = who.paces.get(key)
    if pace is None or len(pace.week) < LASTING - 1:
        return
    mean = pace.old.mean
    number = value_of(key, total, mean)
    if number <= mean:
        return
    floor = MEAN if mean_of_day else FEW
    score = pace.above(held.day, number, common=sentinel.shifted(who.kind, key), floor=floor)
    if score > 1.0:
        channel = CHANNEL_OF.get(key, "pace")
        facts: dict[str, Any] = {
            "what": channel,
            "mean": mean,
            "value": number,
            "days": pace.old.count,
            "large": total[1],
        }
        last = who.large if key in (OWN, SAME) else who.large_of_week
        numbers = tuple(one for day, one in last[-KEPT:-1] if day > held.day - WEEK)
        found.append(Finding(channel, score, numbers, facts))


@lru_cache(maxsize=1_024)
def _normal(chance: float) -> float:
    """Return how many deviations something of a chance lies above the mean."""
    return -_NORMAL.inv_cdf(min(0.999, max(0.0005, chance)))


def value_of(key: str, total: list[float], usual: float) -> float:
    """Return the number of a day from its sum: of what is measured the mean, else the logarithm.

    Args:
        key: Which number.
        total: Sum and count.
        usual: What the mean of a day is as a rule: as much as a few uses, as few alone say little.
    """
    if key in MEANS:
        return (total[0] + SAID * usual) / (total[1] + SAID)
    return log(1.0 + total[0])


def settle_week(who: Profile) -> None:
    """Let what was told not be told again: the week that it was told of is over, and as usual as its days are.

    Args:
        who: Whose week.
    """
    for pace in who.paces.values():
        pace.settle()


def close(sentinel: Sentinel, who: Profile, *, learn: bool) -> dict[str, float]:
    """Close a day of somebody; return by how much each number was above what is usual for them.

    If something severe was told, the day leaves no trace: it was told.

    Args:
        sentinel: Who knows what is usual for all.
        who: Who.
        learn: False if the day must not become habit.
    """
    away: dict[str, float] = {}
    today = who.today
    if today.severe:
        return away
    for gone in who.sizes.roll(who.day, today.sizes if learn else {}, fade=FADE):
        sentinel.usual.learn(who.kind, gone)
    sums = today.sums
    counted = [key for key in who.paces if key.startswith("n:") and key not in sums]
    for key in sorted([*sums, *counted]):
        pace = who.paces.get(key)
        if pace is None:
            if key.startswith("n:") and len(who.paces) >= MOST_ACTIONS:
                continue
            pace = who.paces[key] = Pace()
        value = value_of(key, sums.get(key, [0.0, 0.0]), pace.old.mean)
        if pace.old.count >= 5:
            away[key] = max(-1.0, min(1.0, value - pace.old.mean))
        pace.roll(who.day, value, learn=learn)
    return away
