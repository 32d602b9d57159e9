"""What comes in a row: uses of one meaning within an hour, and different artifacts within ten minutes.

Held against other days of the person, the role and the kind. Whoever fetches a model again has not got more, whoever
takes one after another has: so these are counted too, and in a shorter time, in which hardly anybody needs several.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from safehold.sentinel.event import Event
from safehold.sentinel.measure import rarity
from safehold.sentinel.profile import Profile
from safehold.sentinel.settings import HOUR_US
from safehold.sentinel.words import ARTIFACT, EXPORT


class Row(NamedTuple):
    """What is counted.

    Args:
        name: What its counts are kept under.
        within_us: In how many microseconds.
        different: True if only different things count.
        weight: Of how rare it is, beside what else is odd about a use.
    """

    name: str
    within_us: int
    different: bool
    weight: float


class Told(NamedTuple):
    """The rarest row that a use belongs to.

    Args:
        score: How rare so many are, given that there is one at all, times the weight of the row.
        uses: How many.
        row: Which.
    """

    score: float
    uses: int
    row: Row


ROWS: Final[dict[str, tuple[Row, ...]]] = {
    EXPORT: (Row("export", HOUR_US, different=False, weight=1.0),),
    ARTIFACT: (
        Row("artifact", HOUR_US, different=False, weight=1.0),
        Row("artifact/other", HOUR_US // 6, different=True, weight=1.6),
    ),
}
MOST_OBJECTS: Final = 5  # of one event that are told apart
MOST: Final = 8  # counts that are told apart; what is beyond counts as this many
PULL: Final = 4.0  # days that the wider circle counts as beside the narrower one
NOTHING: Final = 0.5  # chance of one more where nobody has shown anything yet


class Bursts:
    """Of each use: how many days had so many of it in their fullest window, at least."""

    __slots__ = ("seen",)

    def __init__(self) -> None:
        self.seen: dict[str, list[float]] = {}

    def chance(self, who: Profile, use: str, count: int) -> float:
        """Return on which part of the days with such a use at least so many come in a row.

        Args:
            who: Whose; their own days count most, then those of their role, then those of all of a kind.
            use: What for: the name of a row.
            count: How many it are now.
        """
        if count <= 1:
            return 1.0
        place = min(count, MOST) - 1
        share = NOTHING**place
        for days in (
            self.seen.get(f"{use}/{who.kind}"),
            self.seen.get(f"{use}/{who.kind}/{who.role}"),
            who.bursts.get(use),
        ):
            if days:
                share = (days[place] + PULL * share) / (days[0] + PULL)
        return share

    def learn(self, who: Profile, fullest: dict[str, int]) -> None:
        """Note a day.

        Args:
            who: Whose.
            fullest: Of each use, how many came in the fullest window.
        """
        for use, count in fullest.items():
            for days in (
                self.seen.setdefault(f"{use}/{who.kind}", [0.0] * MOST),
                self.seen.setdefault(f"{use}/{who.kind}/{who.role}", [0.0] * MOST),
                who.bursts.setdefault(use, [0.0] * MOST),
            ):
                for place in range(min(count, MOST)):
                    days[place] += 1.0

    def fade(self, fade: float) -> None:
        """Let a week pass."""
        self.seen = faded(self.seen, fade)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return self.seen

    @classmethod
    def from_json(cls, tree: dict[str, Any]) -> Bursts:
        """Return what ``to_json`` wrote."""
        made = cls()
        made.seen = tree
        return made


def rarest(bursts: Bursts, who: Profile, use: str, event: Event, t_us: int) -> Told | None:
    """Note a use, and return the rarest row that it makes longer; None for a use of another meaning.

    Args:
        bursts: Who knows other days.
        who: Whose.
        use: What for.
        event: The use.
        t_us: When.
    """
    found: Told | None = None
    for row in ROWS.get(use, ()):
        count = count_use(who, row, event, t_us)
        score = row.weight * rarity(bursts.chance(who, row.name, count))
        if found is None or score > found.score:
            found = Told(score, count, row)
    return found


def count_use(who: Profile, row: Row, event: Event, t_us: int) -> int:
    """Note a use and return how many are in its row; not more than can be told apart.

    Args:
        who: Whose.
        row: Which.
        event: The use; one that names several things is several of them.
        t_us: When.
    """
    kept = [one for one in who.lately.get(row.name, ()) if one[0] > t_us - row.within_us]
    if row.different:
        names = list(dict.fromkeys(event.objects[:MOST_OBJECTS])) or [event.segment]
        kept = [one for one in kept if one[1] not in names]
        kept += [[t_us, name] for name in names]
    else:
        kept.append([t_us, ""])
    who.lately[row.name] = kept = kept[-MOST:]
    today = who.today.fullest
    today[row.name] = max(today.get(row.name, 0), len(kept))
    return len(kept)


def faded(seen: dict[str, list[float]], fade: float) -> dict[str, list[float]]:
    """Return counts after a week.

    Args:
        seen: The counts.
        fade: What is left of them.
    """
    return {
        name: [one * fade for one in days] for name, days in seen.items() if days[0] * fade >= 0.1
    }
