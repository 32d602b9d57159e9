"""How far a request reaches, in words and as figures; what it could leave out; who may not decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safehold.access import Grant, Price
from safehold.portal.boardroom.figure import Bar
from safehold.portal.shown import count, day
from safehold.portal.words import Translate, mark

MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """One version of a request beside the others.

    Args:
        bar: Its name and how far it reaches.
        percent: Of the reach of what was asked.
        people: People.
        days: Days.
        runs: Runs.
        minutes: Minutes.
    """

    bar: Bar
    percent: int
    people: int | None
    days: int | None
    runs: int | None
    minutes: int | None


def words(grant: Grant, price: Price, *, t: Translate) -> list[str]:
    """Return how far a request reaches, a sentence each."""
    found = [
        t("It reaches at most {n} people.", n=count(price.people)),
        t("It opens {kinds}.", kinds=", ".join(price.classes) or t("nothing")),
        t(
            "It covers {n} days, from {first} to {last}.",
            n=price.days,
            first=day(grant.first_day),
            last=day(grant.first_day + price.days - 1),
        ),
    ]
    if len(price.models) == 1:
        found.append(
            t("One model was made from the same data; what leaked here would touch it too.")
        )
    elif price.models:
        found.append(
            t(
                "{n} models were made from the same data; what leaked here would touch them too.",
                n=len(price.models),
            )
        )
    else:
        found.append(t("No model was made from the same data yet."))
    if price.epsilon_micro:
        found.append(
            t(
                "It may spend epsilon {spent} of {left} that the purpose has left.",
                spent=f"{price.epsilon_micro / MICRO:.2f}",
                left=f"{price.epsilon_left_micro / MICRO:.2f}",
            )
        )
    else:
        found.append(t("It spends nothing of the privacy budget."))
    return found


def dimensions(price: Price, *, t: Translate) -> list[Bar]:
    """Return what the reach is the product of."""
    return [
        Bar(name=t("People"), value=price.people),
        Bar(name=t("Kinds of data"), value=len(price.classes)),
        Bar(name=t("Days"), value=price.days),
        Bar(name=t("Models made from the same data"), value=len(price.models)),
    ]


_LESS = {
    "days": mark("Only the last week"),
    "place": mark("Only one place"),
    "runs": mark("Only one run"),
    "minutes": mark("Only for an hour"),
    "all": mark("All of it together"),
}


def reaches(whole: int, less: Sequence[Mapping[str, Any]], *, t: Translate) -> list[Reach]:
    """Return a request and what it could be instead, each with how far it reaches.

    Args:
        whole: The reach of what was asked.
        less: The narrower versions, as the keeper priced them.
        t: Translates.
    """
    rows = [
        Reach(
            bar=Bar(name=t("As it was asked"), value=whole),
            percent=100,
            people=None,
            days=None,
            runs=None,
            minutes=None,
        )
    ]
    for one in less:
        name = t(_LESS[one["leaves_out"]])
        if one["leaves_out"] == "place":
            name = f"{name}: {', '.join(place.upper() for place in one['places'])}"
        rows.append(
            Reach(
                bar=Bar(name=name, value=one["reach"]),
                percent=round(100 * one["reach"] / whole) if whole else 0,
                people=one["people"],
                days=one["days"],
                runs=one["runs"],
                minutes=one["minutes"],
            )
        )
    return rows


_WHY = {
    "": mark("may decide"),
    "asked": mark("may not: its holder asked for this"),
    "operates": mark("may not: an agent of its holder asked for this"),
    "decided": mark("has decided"),
    "person": mark("does not count again: its holder agreed through another seat"),
    "emergency": mark("may not: the charter does not name it for emergencies"),
}
_SAID = {"": mark("nothing yet"), "approve": mark("approved"), "deny": mark("denied")}


def conflicts(seats: Sequence[Mapping[str, Any]], *, t: Translate) -> list[tuple[str, str, str]]:
    """Return of each seat its name, what it said, and whether it may decide and why not."""
    return [(one["seat"], t(_SAID[one["said"]]), t(_WHY[one["why"]])) for one in seats]
