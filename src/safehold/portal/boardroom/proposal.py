"""How a proposal stands, for people: who agreed, what is missing, when it can count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from safehold.portal.words import Translate, mark

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One proposal as a page shows it.

    Args:
        index: Its leaf.
        title: What it is about, in a sentence.
        direction: What the keeper computed, in a sentence.
        tally: How many agree of how many that are needed, in a sentence.
        missing: What it still takes, a sentence each.
        votes: Of each seat its name, holder and what it said, translated.
        ready: Whether it could be put in force now.
        allows: What becomes possible, a sentence each.
        ends: What ends, a sentence each.
        tree: What the keeper answered.
    """

    index: int
    title: str
    direction: str
    tally: str
    missing: tuple[str, ...]
    votes: tuple[tuple[str, str, str], ...]
    ready: bool
    allows: tuple[str, ...]
    ends: tuple[str, ...]
    tree: Mapping[str, Any]


def standing(
    tree: Mapping[str, Any], seats: Sequence[Mapping[str, Any]], *, now_us: int, t: Translate
) -> Standing:
    """Return how a proposal stands.

    Args:
        tree: One of ``charter.proposals``.
        seats: The seats of ``board.show``.
        now_us: The time, microseconds.
        t: Translates.
    """
    if "trouble" in tree:
        return Standing(
            index=tree["proposal"],
            title=t("A proposal that can no longer be read"),
            direction=str(tree["trouble"]),
            tally="",
            missing=(),
            votes=(),
            ready=False,
            allows=(),
            ends=(),
            tree=tree,
        )
    people = {one["seat"]: one["person"] for one in seats}
    agreed = {people[name] for name in tree["signed"] if name in people}
    missing = tuple(_missing(tree, len(agreed), now_us, t))
    return Standing(
        index=tree["proposal"],
        title=_title(tree, t),
        direction=t(_DIRECTIONS.get(tree["direction"], _DIRECTIONS["widen"])),
        tally=t("{n} of {needed} people agree", n=len(agreed), needed=tree["needed"]),
        missing=missing,
        votes=tuple((name, person, _said(name, tree, t)) for name, person in people.items()),
        ready=not missing,
        allows=_allows(tree, t),
        ends=tuple(tree.get("ends", ())),
        tree=tree,
    )


def votes_of(tree: Mapping[str, Any], seats: Sequence[str], person: str) -> list[tuple[str, str]]:
    """Return which votes somebody may still give: seat, and ``sign`` or ``refuse``.

    Args:
        tree: One of ``charter.proposals``.
        seats: The seats that they hold.
        person: Who they are: whoever would take a seat agrees for it with the new key.
    """
    if "question" not in tree:
        return []
    found = [
        (seat, decision)
        for seat in seats
        for decision in ("sign", "refuse")
        if seat not in tree["refused"] and not (decision == "sign" and seat in tree["signed"])
    ]
    change = tree.get("change", {})
    if change.get("person") == person and tree.get("newcomer_signed") is False:
        found = [one for one in found if one != (change["seat"], "sign")]
        found.insert(0, (change["seat"], "sign"))
    return found


def left(until_us: int, now_us: int, t: Translate) -> str:
    """Return how long it is until a moment, in whole days or hours."""
    rest = max(until_us - now_us, 0)
    if rest >= 2 * DAY_US:
        return t("in {n} days", n=rest // DAY_US)
    return t("in {n} hours", n=-(-rest // (DAY_US // 24)))


_DIRECTIONS = {
    "widen": mark("It allows more, or protects less, somewhere. So it takes many people and time."),
    "narrow": mark("It only allows less. One seat is enough."),
}


def _title(tree: Mapping[str, Any], t: Translate) -> str:
    if tree["about"] == "charter":
        return t("Another charter: version {n}", n=tree["version"])
    change = tree.get("change", {})
    match change.get("kind"):
        case "replace":
            return t("Somebody else for the seat {seat}", seat=change["seat"])
        case "renew":
            return t("The roster expires later")
        case _:
            return t("Other witnesses by whose clocks a notice counts")


def _allows(tree: Mapping[str, Any], t: Translate) -> tuple[str, ...]:
    """Return what becomes possible; the keeper tells charters in the visitor's language, and a roster is told here."""
    change = tree.get("change", {})
    match change.get("kind"):
        case "replace":
            words = t(
                "{person} holds the seat {seat}, with a new key.",
                person=change["person"],
                seat=change["seat"],
            )
        case "renew":
            words = t("The roster expires later.")
        case "witnesses":
            pinned = change["pinned"]
            words = t(
                "A notice counts by {n} of these witnesses: {names}.",
                n=pinned["quorum"],
                names=", ".join(one["name"] for one in pinned["witnesses"]),
            )
        case _:
            return tuple(tree["allows"])
    return (words,)


def _said(seat: str, tree: Mapping[str, Any], t: Translate) -> str:
    if seat in tree["refused"]:
        return t("refuses")
    return t("agrees") if seat in tree["signed"] else t("has not said anything")


def _missing(tree: Mapping[str, Any], agreed: int, now_us: int, t: Translate) -> list[str]:
    found = []
    match max(tree["needed"] - agreed, 0):
        case 0:
            pass
        case 1:
            found.append(t("one more person must agree"))
        case more:
            found.append(t("{n} more people must agree", n=more))
    if silent := [one for one in tree["must_include"] if one not in tree["signed"]]:
        found.append(t("among them: {seats}", seats=", ".join(silent)))
    if tree.get("newcomer_signed") is False:
        found.append(t("whoever takes the seat must agree with the new key"))
    if tree["notice_s"]:
        begun = tree["enact_from_us"]
        if begun is None:
            found.append(t("its notice has not begun: no quorum of witnesses has seen it yet"))
        elif begun > now_us:
            found.append(t("its notice ends {when}", when=left(begun, now_us, t)))
    return found
