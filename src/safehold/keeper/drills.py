"""What a drill came to, as leaves: one a scenario and place; and what the newest of them say.

Whoever operates a home hands the results in, so a leaf says what they say they saw. It can make a promise look worse,
never better: what the keeper measures itself counts beside it, and the worse of the two stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import ConflictError, InvalidError
from safehold.keeper.caller import caller
from safehold.keeper.desk import Desk
from safehold.keeper.server import Report, Verb
from safehold.ledger import Entry, Ledger

KIND: Final = "drill"
DEPLOYMENT: Final = "deployment"
PLACES: Final = frozenset({DEPLOYMENT, "lake", "control"})
STATES: Final = frozenset({"held", "broken", "could-not-run"})
COUNTS: Final = ("people", "records", "segments", "canaries", "missing", "detect_ms", "contain_ms")
MOST: Final = 25 * (3 + 4)  # leaves of one run: each scenario in three places, and at four levels
_SCENARIO: Final = re.compile(r"S(?:0[1-9]|1[0-9]|2[0-5])")
_RUN: Final = re.compile(r"drill_[0-9a-z]{10,40}")
_LEVEL: Final = re.compile(r"K[1-4]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """The newest result of one scenario on the deployment.

    Args:
        index: Its leaf.
        at_ms: When, milliseconds.
        facts: What the leaf says.
    """

    index: int
    at_ms: int
    facts: Mapping[str, Any]


class Drills:
    """The verb.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def verbs(self) -> dict[str, Verb]:
        """Return it by name."""
        return {"drill.record": self.record}

    def record(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Append what a run came to: all of it, or nothing.

        Raises:
            InvalidError: Not a run, or not results of one.
            ConflictError: This run was handed in already.
        """
        run, results = arguments["run"], arguments["results"]
        if not (isinstance(run, str) and _RUN.fullmatch(run)):
            raise InvalidError("not the id of a run", field="run", rule="drill.run")
        if not (isinstance(results, list) and 0 < len(results) <= MOST):
            raise InvalidError("results of one run", field="results", rule="drill.results")
        if any(
            leaf["k"] == KIND and leaf.get("pub", {}).get("run") == run
            for _, leaf in self._desk.ledger.leaves()
        ):
            raise ConflictError("this run was handed in already", rule="drill.run")
        entries = [self._entry(run, one) for one in results]
        told = {(one.object, *(one.public.get(key) for key in ("of", "level"))) for one in entries}
        if len(told) < len(entries):
            # the later of two would stand for both
            raise InvalidError("one run says the same thing twice", rule="drill.results")
        receipts = self._desk.log(*entries)
        return {"run": run, "first": receipts[0].index, "leaves": len(receipts)}

    def _entry(self, run: str, result: Any) -> Entry:
        facts = read_result(result)
        return Entry(
            kind=KIND,
            actor=caller().id,
            object=str(facts["scenario"]),
            detail={},
            charter=self._desk.trust.digest(),
            public={"run": run, **facts},
        )


def read_result(result: Any) -> dict[str, int | str]:
    """Return the public facts of one result.

    Raises:
        InvalidError: Another shape, scenario, place or state than there is.
    """
    match result:
        case {"scenario": str(scenario), "of": str(place), "state": str(state), **rest}:
            pass
        case _:
            raise InvalidError("not a result of a drill", rule="drill.result")
    level = rest.pop("level", None)
    if (
        _SCENARIO.fullmatch(scenario) is None
        or place not in PLACES
        or state not in STATES
        or (level is not None and not (isinstance(level, str) and _LEVEL.fullmatch(level)))
        or not set(rest) <= set(COUNTS)
        or not all(type(one) is int and 0 <= one < 2**53 for one in rest.values())
    ):
        raise InvalidError("not a result of a drill", rule="drill.result")
    figures = {str(name): one for name, one in rest.items() if isinstance(one, int)}
    facts: dict[str, int | str] = {"scenario": scenario, "of": place, "state": state, **figures}
    return facts if level is None else {**facts, "level": level}


def newest_results(ledger: Ledger) -> dict[str, Drilled]:
    """Return the newest result of each scenario on the deployment; levels besides are results of their own."""
    found: dict[str, Drilled] = {}
    for index, leaf in ledger.leaves():
        if leaf["k"] != KIND:
            continue
        facts = leaf.get("pub", {})
        if facts.get("of") == DEPLOYMENT and "level" not in facts:
            found[facts["scenario"]] = Drilled(index=index, at_ms=int(leaf["t"]), facts=facts)
    return found


__all__ = ["DEPLOYMENT", "Drilled", "Drills", "newest_results", "read_result"]
