"""Rosters, charters and proposals as the offline verifier reads them: each step follows from the one before it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safehold_verify.course import Course

FIVE = ("privacy", "employee_representative", "legal", "hr", "security")
Leaf = tuple[str, int, dict[str, Any]]


def about(what: str, state: str, *, direction: str = "widen", version: int = 2, **more: Any) -> Any:
    facts = {"about": what, "direction": direction, "version": version, "state": state}
    return facts | {"chr": f"{what}-{version}"} | more


def voted(what: str, at: int, *seats: str, state: str = "signed", **more: Any) -> list[Leaf]:
    return [("proposal", at, about(what, state, seat=seat, **more)) for seat in seats]


def founded() -> list[Leaf]:
    return [
        ("roster", -1, {"version": 1, "chr": "roster-1"}),
        ("charter", -1, {"version": 1, "direction": "first", "chr": "charter-1"}),
    ]


def widened(*seats: str, **more: Any) -> list[Leaf]:
    """Return the leaves of a home whose charter was widened by some seats; the proposal is leaf 2."""
    return [
        *founded(),
        ("proposal", -1, about("charter", "proposed", seat="legal", **more)),
        *voted("charter", 2, *seats, **more),
        ("charter", 2, {"version": 2, "direction": "widen", "chr": "charter-2"} | more),
        ("proposal", 2, about("charter", "enacted", **more)),
    ]


def changed(change: str, *seats: str, of: str = "") -> list[Leaf]:
    """Return the leaves of a home whose roster was changed by some seats; the proposal is leaf 2."""
    named = {"seat": of} if of else {}
    return [
        *founded(),
        ("proposal", -1, about("roster", "proposed", seat="legal")),
        *voted("roster", 2, *seats),
        ("roster", 2, {"version": 2, "change": change, "chr": "any", **named}),
        ("proposal", 2, about("roster", "enacted")),
    ]


def rotated(seat: str, version: int = 2) -> Leaf:
    return ("roster", -1, {"version": version, "change": "rotate", "seat": seat, "chr": "any"})


def read(leaves: list[Leaf]) -> list[str]:
    course, found = Course(), []
    for index, (kind, ref, facts) in enumerate(leaves):
        course = Course.resume(json.loads(json.dumps(course.state())))
        found += [one.rule for one in course.read(index, kind, index, ref, facts)]
    return found


SOUND = {
    "a widened charter": widened(*FIVE),
    "a narrowed charter": widened("hr", direction="narrow"),
    "a replaced seat": changed("replace", *FIVE[:4], of="ml_lead"),
    "a replaced veto": changed("replace", *FIVE[1:], of="privacy"),
    "a renewed roster": changed("renew", *FIVE[:4]),
    "other witnesses": changed("witnesses", *FIVE),
    "a rotated key": [*founded(), rotated("hr")],
    "a lapsed proposal": [*widened(*FIVE)[:7], ("proposal", 2, about("charter", "lapsed"))],
    "a vote again after a rotation": [
        *widened(*FIVE)[:8],
        rotated("hr"),
        *voted("charter", 2, "hr"),
        *widened(*FIVE)[8:],
    ],
}


@pytest.mark.parametrize("name", SOUND)
def test_what_a_board_does_is_no_finding(name: str) -> None:
    assert read(SOUND[name]) == []


WRONG = {
    "a charter without a proposal": [
        *founded(),
        ("charter", -1, {"version": 2, "direction": "widen", "chr": "charter-2"}),
    ],
    "another first charter": [*founded(), founded()[1]],
    "a charter of four seats": widened(*FIVE[:4]),
    "a charter without a veto": widened("ml_lead", *FIVE[1:]),
    "a narrowing by nobody": widened(direction="narrow"),
    "a vote that was taken back": [
        *widened(*FIVE)[:8],
        *voted("charter", 2, "hr", state="refused"),
        *widened(*FIVE)[8:],
    ],
    "a vote of a dead key": [*widened(*FIVE)[:8], rotated("hr"), *widened(*FIVE)[8:]],
    "a charter other than the proposed": [
        *widened(*FIVE)[:8],
        ("charter", 2, {"version": 2, "direction": "widen", "chr": "another"}),
    ],
    "a direction other than the proposed": [
        *widened(*FIVE)[:8],
        ("charter", 2, {"version": 2, "direction": "narrow", "chr": "charter-2"}),
    ],
    "a charter that is not newer": [
        *widened(*FIVE, version=1)[:8],
        ("charter", 2, {"version": 1, "direction": "widen", "chr": "charter-1"}),
    ],
    "a proposal that is carried out and stays open": [
        *widened(*FIVE)[:9],
        ("proposal", -1, about("charter", "proposed", seat="hr")),
    ],
    "a proposal that ends with nothing carried out": [
        *widened(*FIVE)[:8],
        ("proposal", 2, about("charter", "enacted")),
    ],
    "a vote on an ended proposal": [*widened(*FIVE), *voted("charter", 2, "hr")],
    "a vote about another text": [
        *widened()[:3],
        *voted("charter", 2, "hr", chr="another"),
    ],
    "a proposal that refers to one": [
        *founded(),
        ("proposal", 1, about("charter", "proposed", seat="hr")),
    ],
    "a seat replaced by three": changed("replace", *FIVE[:3], of="ml_lead"),
    "a seat replaced by itself": changed("replace", *FIVE[:4], of="legal"),
    "a seat replaced without a veto": changed("replace", *FIVE[1:], of="ml_lead"),
    "witnesses of four": changed("witnesses", *FIVE[:4]),
    "a replacement without a proposal": [
        *founded(),
        ("roster", -1, {"version": 2, "change": "replace", "seat": "hr", "chr": "any"}),
    ],
    "a roster out of a proposal of a charter": [
        *widened(*FIVE)[:8],
        ("roster", 2, {"version": 2, "change": "renew", "chr": "any"}),
    ],
    "a roster that is left out": [*founded(), rotated("hr", version=3)],
    "a roster that changes nothing": [*founded(), ("roster", -1, {"version": 2, "chr": "any"})],
    "a rotation of no seat": [
        *founded(),
        ("roster", -1, {"version": 2, "change": "rotate", "chr": "any"}),
    ],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_no_board_can_do_is_found(name: str) -> None:
    assert read(WRONG[name])[-1:] == ["story.board"]
