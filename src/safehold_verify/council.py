"""What the leaves of the board tell: rosters, charters, and the proposals from which they came.

Rules, over leaves in the order of the log:
1. rosters are numbered from 1; a later one rotates a key, or names the open proposal that it carries out;
2. a charter after the first names the open proposal of that very charter, with its direction, and has a higher version;
3. what carries a proposal out is followed by the leaf that ends it, and nothing is said to a proposal that has ended;
4. as many seats as the least that any roster may ask for had agreed and not refused since, with a vote of the key that
   speaks for the seat now.

What it cannot show: the signatures, which lie in sealed side-cars and in the home; who holds a seat; whether a charter
or roster asks for more than the least; and when a notice began. The keeper checks those.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

BOARD = frozenset({"charter", "roster", "proposal"})
VETO = frozenset({"privacy", "employee_representative"})
CHANGES = frozenset({"rotate", "replace", "renew", "witnesses"})
WIDEN, NARROW, REPLACE = 5, 1, 4  # seats that must agree, at least

Facts = Mapping[str, int | str]


@dataclass(slots=True)
class Motion:
    """One open proposal.

    Args:
        facts: What every leaf about it says: ``about``, ``direction``, ``version``.
        digest: What is proposed, as the leaf has it.
        agreed: Seats that have agreed and not refused since.
    """

    facts: list[int | str]
    digest: str
    agreed: set[str] = field(default_factory=set)


class Council:
    """What the board has done so far; ``read`` leaf after leaf."""

    def __init__(self) -> None:
        self._open: dict[int, Motion] = {}
        self._rosters = 0
        self._charter = 0  # version of the charter in force
        self._due = -1  # the proposal that was carried out and has to be ended now

    def read(self, kind: str, index: int, ref: int, facts: Facts) -> str:
        """Take the next leaf of the board, and return what is wrong with it, or nothing.

        Args:
            kind: ``charter``, ``roster`` or ``proposal``.
            index: Its number.
            ref: The leaf it refers to, -1 if none.
            facts: Its public facts, and as ``chr`` the digest that it names.
        """
        due, self._due = self._due, -1
        if due >= 0 and (kind, facts.get("state"), ref) != ("proposal", "enacted", due):
            return f"proposal {due} was carried out and is not ended here"
        match kind:
            case "roster":
                return self._roster(ref, facts)
            case "charter":
                return self._enacted(ref, facts)
            case _:
                return self._proposal(index, ref, facts, due)

    def _proposal(self, index: int, ref: int, facts: Facts, due: int) -> str:
        about = [facts.get(name, "") for name in ("about", "direction", "version")]
        state, seat = facts.get("state"), str(facts.get("seat", ""))
        if state == "proposed":
            if ref >= 0 or about[0] not in {"charter", "roster"} or not seat:
                return "not a proposal"
            self._open[index] = Motion(about, str(facts.get("chr", "")))
            return ""
        motion = self._open.get(ref)
        if motion is None or (motion.facts, motion.digest) != (about, facts.get("chr", "")):
            return f"{state} of what is no open proposal"
        match state:
            case "signed" if seat:
                motion.agreed.add(seat)
            case "refused" if seat:
                motion.agreed.discard(seat)
            case "enacted" if ref == due:
                del self._open[ref]
            case "lapsed":
                del self._open[ref]
            case _:
                return "a proposal in a state that it cannot have"
        return ""

    def _enacted(self, ref: int, facts: Facts) -> str:
        old, version = self._charter, facts.get("version")
        direction = facts.get("direction", "first")
        if not isinstance(version, int) or version <= old:
            return "a charter whose version is not higher than that of the one before it"
        self._charter = version
        if not old:
            return "" if (ref, direction) == (-1, "first") else "the first charter of a home"
        motion = self._open.get(ref)
        if motion is None or (motion.facts, motion.digest) != (
            ["charter", direction, version],
            facts.get("chr", ""),
        ):
            return "a charter that was not proposed"
        self._due = ref
        return _missing(motion.agreed, WIDEN if direction == "widen" else NARROW)

    def _roster(self, ref: int, facts: Facts) -> str:
        self._rosters += 1
        if facts.get("version") != self._rosters:
            return f"not version {self._rosters} of the roster"
        if self._rosters == 1:
            return "" if ref < 0 else "the first roster of a home was not proposed"
        change, seat = facts.get("change"), str(facts.get("seat", ""))
        if change not in CHANGES or bool(seat) != (change in {"rotate", "replace"}):
            return "a roster that changes nothing that it may"
        for motion in self._open.values():
            motion.agreed.discard(seat)  # by a key that speaks for it no longer
        if change == "rotate":
            return "" if ref < 0 else "a key is rotated without a proposal"
        motion_of = self._open.get(ref)
        if motion_of is None or motion_of.facts[0] != "roster":
            return "a roster that was not proposed"
        self._due = ref
        return _missing(
            motion_of.agreed - {seat}, WIDEN if change == "witnesses" else REPLACE, without=seat
        )

    def state(self) -> dict[str, Any]:
        """Return what was told as JSON values, for ``resume``."""
        return {
            "open": [
                [index, one.facts, one.digest, sorted(one.agreed)]
                for index, one in self._open.items()
            ],
            "told": [self._rosters, self._charter, self._due],
        }

    @classmethod
    def resume(cls, state: Mapping[str, Any]) -> Council:
        """Go on from what ``state`` returned."""
        council = cls()
        council._open = {
            int(index): Motion(list(facts), str(digest), set(agreed))
            for index, facts, digest, agreed in state["open"]
        }
        council._rosters, council._charter, council._due = map(int, state["told"])
        return council


def _missing(agreed: set[str], least: int, *, without: str = "") -> str:
    """Say who is missing among the seats that agreed; one seat narrows, whichever it is."""
    vetoes = VETO - {without} if least > NARROW else frozenset[str]()
    if len(agreed) >= least and vetoes <= agreed:
        return ""
    return f"only {len(agreed)} seats had agreed, or one without which nothing passes had not"
