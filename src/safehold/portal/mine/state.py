"""How a person stands, in one word and one sentence; and what follows from each press."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safehold.portal.words import mark


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a person stands now.

    Args:
        word: ``recorded``, ``paused``, ``left``, ``restricted``, ``stopped``, ``out`` or ``elsewhere``.
        title: In a few words, to be translated.
        says: In a sentence, to be translated.
        going: Whether anything of them is recorded now.
    """

    word: str
    title: str
    says: str
    going: bool = False


RECORDED = State(
    word="recorded",
    title=mark("You are being recorded"),
    says=mark("What is listed below is recorded while you work, on devices that are yours."),
    going=True,
)
PAUSED = State(
    word="paused",
    title=mark("You have paused"),
    says=mark("Nothing of you is recorded, and nothing of yours is used, until the pause ends."),
)
LEFT = State(
    word="left",
    title=mark("You have left the study"),
    says=mark("Nothing of you is recorded. No key to your data is given out to anybody any more."),
)
RESTRICTED = State(
    word="restricted",
    title=mark("You have restricted all use"),
    says=mark("Nothing of you is recorded and nothing is used; what is held stays sealed."),
)
STOPPED = State(
    word="stopped",
    title=mark("Everything is stopped"),
    says=mark("The board has stopped the whole study. Nothing of anybody is recorded or used."),
)
OUT = State(
    word="out",
    title=mark("You do not take part"),
    says=mark("You have not agreed to anything, so nothing of you is recorded."),
)
ELSEWHERE = State(
    word="elsewhere",
    title=mark("Nothing of you is recorded"),
    says=mark("Nothing that you agreed to is recorded where you work, under the present charter."),
)


def state_of(shown: Mapping[str, Any], held: Mapping[str, Any]) -> State:
    """Return how a person stands.

    Args:
        shown: What ``people.show`` answered.
        held: What ``people.held`` answered.
    """
    rules = (
        (shown.get("withdrawn_us") is not None, LEFT),
        (shown.get("restricted_us") is not None, RESTRICTED),
        (bool(shown["paused"]), PAUSED),
        (not shown["streams"], OUT),
        (bool(held["stopped"]), STOPPED),
        (not held["recorded"], ELSEWHERE),
    )
    return next((state for holds, state in rules if holds), RECORDED)


def running_pause(shown: Mapping[str, Any], now_us: int) -> int | None:
    """Return when the pause that holds now ends, microseconds; nothing if it has no end or none holds."""
    ends = [
        end
        for start, end, *_ in shown["pauses"]
        if start <= now_us and (end is None or end > now_us)
    ]
    return None if not ends or None in ends else max(ends)


def planned_pauses(shown: Mapping[str, Any], now_us: int) -> list[tuple[int, int | None]]:
    """Return the pauses that have not begun, as beginning and end, microseconds."""
    return [(start, end) for start, end, *_ in shown["pauses"] if start > now_us]


def streams_of(shown: Mapping[str, Any], held: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return each stream of the charter, and of what is held: whether it is recorded, why, how much, until when."""
    holds = {one["stream"]: one for one in held["held"]}
    found = [
        {
            "stream": one["stream"],
            "agreed": one["stream"] in shown["streams"],
            "now": one["stream"] in held["recorded"],
            "keep_days": one["keep_days"],
            "purposes": [
                {"name": name, "plain": text, "agreed": agrees(shown, name)}
                for name, text in one["purposes"].items()
            ],
            "held": holds.pop(one["stream"], None),
        }
        for one in held["streams"]
    ]
    # what an earlier charter collected is held until it ends
    return found + [
        {"stream": name, "agreed": name in shown["streams"], "now": False, "keep_days": None,
         "purposes": [], "held": one}
        for name, one in holds.items()
    ]  # fmt: skip


def agrees(shown: Mapping[str, Any], purpose: str) -> bool:
    """Tell whether a person agreed to a purpose and does not object to it, for what the page shows."""
    purposes = shown.get("purposes")
    return purpose not in shown.get("objected", ()) and (purposes is None or purpose in purposes)


def cases_of(shown: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a person asked for, newest first: the right, about what, when, until when, and the answer."""
    return [
        {
            "case": name,
            "right": right,
            "about": about,
            "at_us": at_us,
            "due_us": due_us,
            "answered_us": answered_us,
            "outcome": outcome,
        }
        for name, right, about, (at_us, due_us, answered_us), outcome in reversed(
            shown.get("cases", [])
        )
    ]
