# ruff: noqa: SIM905 - long lists of words read better as text
"""Small word lists of our own, and the plain sentences made from them."""

from __future__ import annotations

from typing import Final

from safehold.workforce.spec import Draw

_VERBS: Final = (
    "check update close open review move copy send share plan draft sort merge count order clean "
    "print approve collect compare finish explain prepare replace reserve track verify write assign"
).split()
_THINGS: Final = (
    "report invoice list form ticket parcel budget slide chart contract agenda note table draft "
    "sheet printer shelf record sample label schedule quote update summary folder delivery room "
    "screen handbook survey template column page request forecast checklist backlog release"
).split()
_KINDS: Final = (
    "new old weekly monthly final short open late blue main second missing extra quarterly simple "
    "internal broken large small shared current pending first local"
).split()
_PLACES: Final = (
    "for the client|before lunch|after the meeting|with the team|in the shared folder|by friday|"
    "from the last visit|on the second page|next to the window|for the new office|this afternoon|"
    "at the front desk|since monday|for the review"
).split("|")
_OPENERS: Final = (
    "please|can you|could we|i will|we should|let me|they want to|remember to|time to|i want to"
).split("|")
_ASKS: Final = (
    "Write a short note to {0} the {1} {2}|How do I {0} a {2} in the {1} system|"
    "Give me three ways to {0} the {1} {2}|Make a table of every {1} {2}|"
    "Explain how to {0} the {2}|Turn this {1} {2} into a list"
).split("|")
_FUNCTIONS: Final = ("SUM", "AVERAGE", "COUNT", "MAX", "MIN")


def sentence(draw: Draw) -> str:
    """Return one plain sentence without full stop, 20 to 60 characters."""
    text = f"{draw.pick(_VERBS)} the {draw.pick(_KINDS)} {draw.pick(_THINGS)}"
    at = draw.unit()
    if at < 0.35:
        text = f"{draw.pick(_OPENERS)} {text}"
    if at > 0.55:
        text = f"{text} {draw.pick(_PLACES)}"
    return text


def phrase(draw: Draw) -> str:
    """Return two or three words."""
    return f"{draw.pick(_KINDS)} {draw.pick(_THINGS)}"


def word(draw: Draw) -> str:
    """Return one word."""
    return draw.pick(_THINGS) if draw.unit() < 0.5 else draw.pick(_VERBS)


def number(draw: Draw) -> str:
    """Return an amount of two to five digits."""
    return draw.digits(draw.whole(2, 4)) + (".5" if draw.unit() < 0.15 else "")


def formula(draw: Draw) -> str:
    """Return a spreadsheet formula."""
    column = "BCDEFG"[draw.whole(0, 5)]
    return f"={draw.pick(_FUNCTIONS)}({column}{draw.whole(2, 9)}:{column}{draw.whole(10, 60)})"


def question(draw: Draw) -> str:
    """Return something one asks an assistant."""
    return draw.pick(_ASKS).format(draw.pick(_VERBS), draw.pick(_KINDS), draw.pick(_THINGS))


def answer(draw: Draw) -> str:
    """Return what an assistant might answer."""
    return ". ".join(sentence(draw).capitalize() for _ in range(draw.whole(2, 5))) + "."


def message(draw: Draw, *, length: int) -> str:
    """Return chat prose of about ``length`` characters, cut at a word."""
    if length < 8:
        return draw.pick(("ok", "yes", "thanks", "done", "no", "sure", "on it"))
    text = sentence(draw)
    while len(text) < length:
        text += draw.pick((", ", " and ", ". ")) + sentence(draw)
    cut = text.rfind(" ", 0, length + 6)
    return text[:cut] if cut > 3 and len(text) > length + 6 else text


def title(draw: Draw) -> str:
    """Return the name of a document."""
    return f"{draw.pick(_KINDS)} {draw.pick(_THINGS)} {draw.whole(1, 40)}"
