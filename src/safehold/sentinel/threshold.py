"""How much is too much: a threshold for each channel, set from past days to a budget of false alerts."""

from __future__ import annotations

from math import log10
from typing import Any, Final

from safehold.sentinel.settings import Channel, Settings

SCALE: Final = 100.0  # the budget is for so many principals
KEPT_DAYS: Final = 35
MOST: Final = 512  # scores kept of one channel in one block
RISE: Final = 1.05  # the most that a threshold rises in a week
RISE_FAST: Final = 1.15  # and if many times the budget was told
MANY: Final = 4.0
FALL: Final = 0.90
WEEK: Final = 7
ENOUGH_DAYS: Final = 10
LEAST_DAYS: Final = 4  # of scores, before they set a threshold
TAIL: Final = 0.6  # by how much scores rise where they are ten times as rare
JUST: Final = 0.02
ALONE: Final = 1.5  # times the greatest score of anybody else that one principal's may count
UNSET: Final = 2.5  # times the floor that a threshold is at most before it is set
STEP: Final = 1.3  # by how much a share of the budget is corrected in a week
MOST_GROWN: Final = 2.0
LEAST_GROWN: Final = 0.5


class Thresholds:
    """The scores of past days, and the thresholds that follow from them.

    Scores are kept as the greatest of one principal in one episode, so what is counted is what would be told.

    Args:
        settings: Budget and channels.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.now: dict[str, float] = {
            name: min((channel.floor + channel.cap) / 2, UNSET * channel.floor)
            for name, channel in settings.channels.items()
        }
        self.past: dict[str, list[list[Any]]] = {name: [] for name in settings.channels}
        self.told: dict[str, dict[str, int]] = {name: {} for name in settings.channels}
        self.set: dict[str, int] = {}  # channels that were set at least once
        self.set_on = -1
        self.grown: dict[str, float] = {}  # what the budget of a channel is multiplied with

    def tell(self, name: str, day: int) -> None:
        """Count an alert.

        Args:
            name: The channel.
            day: When.
        """
        told = self.told[name]
        told[str(day)] = told.get(str(day), 0) + 1

    def note(self, name: str, principal: str, day: int, score: float) -> None:
        """Keep a score.

        Args:
            name: The channel.
            principal: Whose.
            day: When.
            score: What it was.
        """
        block = day * 24 // self.settings.channels[name].hours
        blocks = self.past[name]
        if not blocks or blocks[-1][0] != block:
            blocks.append([block, {}])
        scores: dict[str, float] = blocks[-1][1]
        if score > scores.get(principal, 0.0):
            scores[principal] = score
            if len(scores) > MOST:
                best = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
                blocks[-1][1] = dict(best[: MOST // 2])

    def turn(self, day: int, begun: int, principals: float) -> None:
        """Set the thresholds anew if it is time: when learning ends, and each week after it.

        Args:
            day: The day that begins.
            begun: The day of the first event.
            principals: How many principals there are on an ordinary day.
        """
        learned = self.settings.learn_days
        if day < begun + learned or (self.set_on >= 0 and day < self.set_on + WEEK):
            return
        for name, channel in self.settings.channels.items():
            from_day = max(
                begun + max(learned // 2, learned - ENOUGH_DAYS),
                begun + channel.lag,
                day - KEPT_DAYS,
            )
            if day - from_day >= LEAST_DAYS:
                self._set(name, channel, from_day, day - from_day, principals)
        self.set_on = day

    def _set(
        self, name: str, channel: Channel, from_day: int, days: int, principals: float
    ) -> None:
        self.past[name] = [
            block for block in self.past[name] if (block[0] + 1) * channel.hours > from_day * 24
        ]
        scores = ranked(self.past[name])
        budget = self.settings.budget * self.settings.margin * channel.share
        told = sum(self.told[name].values())
        if name in self.set:
            self._correct(name, told, budget * WEEK * max(principals, 10.0) / SCALE)
        # the fewer days, the less they tell of what is rare
        budget *= self.grown.get(name, 1.0) * min(1.0, days / ENOUGH_DAYS)
        wanted = bearing(scores, budget * days * max(principals, 10.0) / SCALE, channel.floor)
        if name in self.set:
            wanted = min(
                max(wanted, self.now[name] * FALL),
                self.now[name] * self._rise(told, budget, principals),
            )
        self.told[name] = {}
        self.set[name] = 1
        self.now[name] = min(max(wanted, channel.floor), channel.cap)

    def _correct(self, name: str, told: int, borne: float) -> None:
        """Give a channel more of the budget if it told less than it may, and less if it told more: within bounds."""
        step = STEP if told < 0.5 * borne else 1.0 / STEP if told > 1.5 * borne + 1.0 else 1.0
        self.grown[name] = min(MOST_GROWN, max(LEAST_GROWN, self.grown.get(name, 1.0) * step))

    def _rise(self, told: int, budget: float, principals: float) -> float:
        """Return how far a threshold may rise; what was told may have been true, so that is little as a rule."""
        return RISE_FAST if told > 2.0 + MANY * budget * WEEK * principals / SCALE else RISE

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "now": self.now,
            "past": self.past,
            "told": self.told,
            "set": self.set,
            "set_on": self.set_on,
            "grown": self.grown,
        }

    def take(self, tree: dict[str, Any]) -> None:
        """Go on from what ``to_json`` wrote."""
        self.now, self.past, self.told = tree["now"], tree["past"], tree["told"]
        self.set, self.set_on, self.grown = tree["set"], tree["set_on"], tree["grown"]


def ranked(blocks: list[list[Any]]) -> list[float]:
    """Return the scores of past episodes, largest first; whose are the largest counts no more than others bear out.

    So nobody, by one day of doing far more than anybody, makes a statistic deaf for all.

    Args:
        blocks: Of each episode the greatest score of each principal.
    """
    best: dict[str, float] = {}
    for _, found in blocks:
        for name, score in found.items():
            best[name] = max(best.get(name, 0.0), score)
    second = sorted(best.values(), reverse=True)[1:2]
    most = ALONE * second[0] if second else 0.0
    scores = [score for _, found in blocks for score in found.values()]
    return sorted((min(score, most) if most else score for score in scores), reverse=True)


def bearing(scores: list[float], borne: float, least: float) -> float:
    """Return the threshold that so many of the scores are above.

    Args:
        scores: Largest first.
        borne: How many may be above; may be less than one.
        least: What it is if there are too few.
    """
    place = int(borne)
    if place >= len(scores):
        return least
    if place:
        return scores[place] + JUST
    # not even one is borne: as far above the largest as such scores thin out
    return scores[0] + JUST + TAIL * log10(1.0 / max(borne, 0.01))
