"""What whoever holds a seat looks at besides requests and proposals: refusals at red lines, and what drills came to.

Who was refused is not told: a red line is about what was tried. Roles are told, names are not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import DeniedError, MissingError, ShreddedError, SignInError
from safehold.keeper.caller import Caller, caller
from safehold.keeper.drills import newest_results
from safehold.keeper.principals import Principals
from safehold.keeper.server import Report, Verb

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LOOKS: Final = (
    "budget.show", "document.list", "drill.list", "grant.due", "incident.restart", "milestones", "refusal.list",
    "request.list", "request.narrower",
)  # fmt: skip
LINE: Final = "charter.red_line."
MOST: Final = 200  # refusals that are shown, the newest


class Sight:
    """The verbs.

    Args:
        desk: What the keeper works with.
        principals: The register: it knows whose role is which.
        check: Raises unless a caller may ask for a verb; see ``door``.
    """

    def __init__(
        self,
        desk: Desk,
        principals: Principals,
        *,
        check: Callable[[str, Caller, Mapping[str, Any]], None],
    ) -> None:
        self._desk = desk
        self._principals = principals
        self._check = check

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "board.mine": self.mine,
            "drill.list": self.drills,
            "refusal.list": self.refusals,
        }

    def mine(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return which seats the caller holds, by the roster, and what of the board's they may look at.

        So that nobody is refused, and written down for it, who only opened a page.
        """
        who, roster = caller(), self._desk.trust.roster
        seats = [one.name for one in roster.seats if who.proved and one.person == who.id]
        return {
            "home": self._desk.home.id,
            "seats": seats,
            "looks": [verb for verb in LOOKS if self._looks(verb, who)],
            "stopped": self._desk.trust.stopped,
        }

    def _looks(self, verb: str, who: Caller) -> bool:
        """Tell whether somebody may look; only for telling them, the door decides whenever they do."""
        try:
            self._check(verb, who, {})
        except (DeniedError, SignInError):
            return False
        return True

    def drills(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the newest result of each scenario of the drill on this deployment."""
        return {
            "drills": [
                {
                    "scenario": name,
                    "state": one.facts["state"],
                    "at_us": one.at_ms * 1000,
                    "entry": one.index,
                }
                for name, one in sorted(newest_results(self._desk.ledger).items())
            ]
        }

    def refusals(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what was refused at a red line, newest first: what was tried, by which role, at which line."""
        lines = {one.id: one.words() for one in self._desk.trust.charter().red_lines}
        found: list[dict[str, Any]] = []
        indexes = [index for index, leaf in self._desk.ledger.leaves() if leaf["k"] == "refusal"]
        for index in reversed(indexes):
            try:
                known = self._desk.ledger.detail(index)
            except (ShreddedError, MissingError):
                continue
            rule = str(known["detail"].get("rule", ""))
            if not rule.startswith(LINE):
                continue
            line, who = rule.removeprefix(LINE), self._principals.find(str(known["actor"]))
            (leaf,) = [leaf for _, leaf in self._desk.ledger.leaves(index, index + 1)]
            found.append(
                {
                    "entry": index,
                    "at_us": int(leaf["t"]) * 1000,
                    "tried": str(known["object"]),
                    "line": line,
                    "plain": lines.get(line, ""),
                    "role": "" if who is None else who.role,
                }
            )
            if len(found) == MOST:
                break
        return {"refusals": found}
