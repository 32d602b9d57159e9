"""Slowly more: large uses, more uses, more bytes a row, larger uses than before, over a week."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, log2
from typing import TYPE_CHECKING, Any, Final

from safehold.sentinel.evidence import Finding, Held
from safehold.sentinel.measure import Running, above_count, above_share
from safehold.sentinel.pace import Pace
from safehold.sentinel.profile import KEPT, Profile
from safehold.sentinel.sizes import LEAST, WEEK

if TYPE_CHECKING:
    from safehold.sentinel.detector import Sentinel

FLOODED: Final = 4.0  # times the usual number of uses; what is beyond does not water a share down
MOST_ACTIONS: Final = 12  # of one principal that are counted apart
MOST_KINDS: Final = 20_000  # of things whose usual size is kept
FLOOR: Final = 0.35  # least deviation of the logarithm of a number of uses
DOUBT: Final = 0.25  # how well the mean of a week is known
DOUBT_USE: Final = 0.25  # the same, in deviations of a use
NARROW, COARSE = 0.3, 0.7  # least deviations of bytes a row and of size, powers of two
MOST_AWAY: Final = 4.0
KNOWN: Final = 5  # uses of a thing before their size says anything
MOST_COUNT: Final = (
    3.0  # deviations that mere numbers add to a share: how many is for the pace to say
)


class Usual:
    """What size a use of each thing has, by everybody: bytes a row, and bytes."""

    __slots__ = ("kept",)

    def __init__(self) -> None:
        self.kept: dict[str, list[float]] = {}

    def above(self, action: str, objects: Sequence[str], rows: int, amount: int) -> float:
        """Return by how many deviations a use is larger than others of the same thing; 0 while few are known.

        Args:
            action: What was done.
            objects: To what.
            rows: Rows opened.
            amount: Bytes that came out.
        """
        kept = self.kept.get(f"{action}\x1f{objects[0] if objects else ''}")
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
        size = log2((amount or rows) + 1.0)
        wide = log2((amount + 1.0) / rows) if rows and amount else None
        found: list[float | None] = []
        for place, value, floor in ((0, wide, NARROW), (3, size, COARSE)):
            if value is None:
                found.append(None)
                continue
            known = Running.from_json(kept[place : place + 3])
            away = known.far(value, floor) if known.count >= KNOWN else 0.0
            found.append(max(-MOST_AWAY, min(MOST_AWAY, away)))
            known.learn(value, 0.02)
            kept[place : place + 3] = known.to_json()
        return found[0], found[1] or 0.0


def slow(sentinel: Sentinel, held: Held, size: int) -> Iterator[Finding]:
    """Large uses of a week: their share, and their number, against the time before that week.

    What is large for somebody was set before the week too. A share that has risen for all of a kind is taken off; small
    uses in any number do not water a share down.
    """
    who, today, sizes = held.who, held.who.today, held.who.sizes
    today.sizes[size] = today.sizes.get(size, 0) + 1
    yield from steady(sentinel, held)
    if size <= sizes.cut:
        return
    today.hits += 1
    who.large = [*who.large, [held.day, held.event.number]][-KEPT:]
    if sizes.total < LEAST:
        return
    days = len(sizes.week) + 1
    hits, tries = sizes.hits + today.hits, sizes.tries + sum(today.sizes.values())
    base = min(0.6, sizes.share * sentinel.drifted(who.kind))
    bound = FLOODED * sizes.usual * days
    more = above_share(hits, min(tries, bound), base)
    if more > 0.5 or tries > bound:
        count = min(MOST_COUNT, above_count(hits, base * sizes.usual * days))
        score = 0.8 * max(0.0, more) + 0.4 * count
        facts = {
            "hits": hits,
            "tries": tries,
            "share": base,
            "usual": sizes.usual * days,
            "days": days,
        }
        numbers = tuple(one for day, one in who.large[:-1] if day > held.day - WEEK)
        yield Finding("slow", score, numbers, facts)


def steady(sentinel: Sentinel, held: Held) -> Iterator[Finding]:
    """More uses of one action in a week than before it, wider ones, or larger ones, all of a kind taken off."""
    who, event, today = held.who, held.event, held.who.today
    wide, large = sentinel.usual.away(
        event.action, event.objects[0] if event.objects else "", event.rows, event.bytes
    )
    name = "n:" + event.action
    if name in today.sums or len(today.sums) < MOST_ACTIONS:
        today.sums[name] = [today.sums.get(name, (0.0,))[0] + 1.0, 0.0]
    for key, value in (("wide", wide), ("large", large)):
        if value is not None:
            total = today.sums.setdefault(key, [0.0, 0.0])
            total[0] += value
            total[1] += 1.0
    who.large_of_week = [*who.large_of_week, [held.day, event.number]][-KEPT:]
    for channel, key in (("pace", name), ("wide", "wide"), ("larger", "large")):
        pace = who.paces.get(key)
        if pace is None or key not in today.sums or (key == "wide" and wide is None):
            continue
        value = value_of(key, today.sums[key])
        if value <= pace.old.mean:
            continue
        common = sentinel.shifted(who.kind, key)
        if key == name:
            spread = pace.old.spread + FLOOR * FLOOR
            score = pace.above(held.day, value, 1.0, common=common, spread=spread, doubt=DOUBT)
        else:
            score = pace.above(
                held.day, value, today.sums[key][1], common=common, spread=1.0, doubt=DOUBT_USE
            )
        if score > 1.0:
            facts: dict[str, Any] = {
                "what": channel,
                "mean": pace.old.mean,
                "value": value,
                "days": pace.old.count,
            }
            numbers = tuple(one for day, one in who.large_of_week[:-1] if day > held.day - WEEK)
            yield Finding(channel, score, numbers, facts)


def value_of(key: str, total: list[float]) -> float:
    """Return the number of a day from its sum: of uses the logarithm, of what is measured the mean.

    Args:
        key: Which number.
        total: Sum and count.
    """
    if key.startswith("n:"):
        return log(1.0 + total[0])
    return total[0] / total[1] if total[1] else 0.0


def close(
    who: Profile, sums: dict[str, list[float]], *, learn: bool, severe: bool
) -> dict[str, float]:
    """Close a day of somebody; return by how much each number was above what is usual for them.

    Args:
        who: Who.
        sums: The sums of the day.
        learn: False if the day must not become habit.
        severe: True if something severe was told: the day then leaves no trace, it was told.
    """
    away: dict[str, float] = {}
    if severe:
        return away
    counted = [key for key in who.paces if key.startswith("n:") and key not in sums]
    for key in sorted([*sums, *counted]):
        pace = who.paces.get(key)
        if pace is None:
            if len(who.paces) >= MOST_ACTIONS + 2:
                continue
            pace = who.paces[key] = Pace()
        value = value_of(key, sums.get(key, [0.0, 0.0]))
        if pace.old.count >= 5:
            away[key] = max(-1.0, min(1.0, value - pace.old.mean))
        weight = 1.0 if key.startswith("n:") else sums[key][1]
        if weight:
            pace.roll(who.day, value, weight, learn=learn)
    return away
