"""What a drill came to, as leaves: one a scenario and place; and what the newest of them say.

A run is announced before it begins: its leaf says which scenarios will be tried, under which charter, by which program.
What comes of it refers to that leaf. So whoever runs a drill and does not like what it shows cannot keep it to
themselves unseen: a scenario that was announced is owed until a run that began no earlier has reported on it.

Whoever operates a home hands the results in, so a leaf says what they say they saw. It can make a promise look worse,
never better: what the keeper measures itself counts beside it, and the worse of the two stands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold import ids
from safehold.canonical import unb64
from safehold.clock import DAY_US
from safehold.errors import ConflictError, InvalidError, MissingError
from safehold.keeper.announced import BEGIN, DEPLOYMENT, KIND, Begun, owed_results, runs
from safehold.keeper.caller import caller
from safehold.keeper.desk import Desk
from safehold.keeper.program import name_program
from safehold.keeper.server import Report, Verb
from safehold.ledger import Entry, Ledger

LONGEST_US: Final = (
    DAY_US  # from the beginning of a run to its report; a result kept back for longer says nothing
)
SHOWN: Final = 20  # runs without a report that are told one by one; all of them count
PLACES: Final = frozenset({DEPLOYMENT, "lake", "control"})
STATES: Final = frozenset({"held", "broken", "could-not-run"})
COUNTS: Final = ("people", "records", "segments", "canaries", "missing", "detect_ms", "contain_ms")
MOST: Final = 25 * (3 + 4)  # leaves of one run: each scenario in three places, and at four levels
_SCENARIO: Final = re.compile(r"S(?:0[1-9]|1[0-9]|2[0-5])")
_RUN: Final = re.compile(r"drill_[0-9a-z]{10,40}")
_LEVEL: Final = re.compile(r"K[1-4]")
_AGAIN: Final = "safehold drill"


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
    """The verbs.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"drill.begin": self.begin, "drill.record": self.record}

    def begin(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Announce a run, before anything of it is tried.

        Raises:
            InvalidError: It announces nothing, or something that is no scenario.
            ConflictError: What drills is not the program that runs here.
        """
        named, program = arguments["scenarios"], arguments["program"]
        if not (
            isinstance(named, list)
            and named
            and len(set(map(str, named))) == len(named)
            and all(isinstance(one, str) and _SCENARIO.fullmatch(one) for one in named)
        ):
            raise InvalidError("scenarios of one run", field="scenarios", rule="drill.scenarios")
        if program != name_program():
            raise ConflictError(
                "what drills is another program than what runs",
                rule="drill.program",
                fix="start the keeper anew with the version that is installed, and drill again",
            )
        run, nonce = ids.opaque_id("drill"), ids.random_bytes(16).hex()
        (receipt,) = self._desk.log(
            Entry(
                kind=BEGIN,
                actor=caller().id,
                object=run,
                detail={},
                charter=self._desk.trust.digest(),
                public={
                    "run": run,
                    "nonce": nonce,
                    "program": name_program(),
                    "scenarios": "+".join(sorted(named)),
                },
            )
        )
        return {"run": run, "nonce": nonce, "entry": receipt.index}

    def record(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Append what a run came to: all of it, or nothing.

        Raises:
            InvalidError: Not a run, or not results of one.
            MissingError: No such run began.
            ConflictError: This run was handed in already, began too long ago, or under another charter or program.
        """
        run, results = arguments["run"], arguments["results"]
        if not (isinstance(run, str) and _RUN.fullmatch(run)):
            raise InvalidError("not the id of a run", field="run", rule="drill.run")
        if not (isinstance(results, list) and 0 < len(results) <= MOST):
            raise InvalidError("results of one run", field="results", rule="drill.results")
        begun = self._require_open(run)
        entries = [self._entry(run, one, begun) for one in results]
        told = {(one.object, *(one.public.get(key) for key in ("of", "level"))) for one in entries}
        if len(told) < len(entries):
            # the later of two would stand for both
            raise InvalidError("one run says the same thing twice", rule="drill.results")
        receipts = self._desk.log(*entries)
        return {"run": run, "first": receipts[0].index, "leaves": len(receipts)}

    def _require_open(self, run: str) -> Begun:
        """Return the run that results are handed in of.

        Raises:
            MissingError: It never began.
            ConflictError: It may not be reported on any more.
        """
        desk = self._desk
        begun = next((one for one in runs(desk.ledger) if one.run == run), None)
        if begun is None:
            raise MissingError(
                "no such run began", rule="drill.begin", fix="safehold drill announces and reports"
            )
        if begun.told:
            raise ConflictError("this run was handed in already", rule="drill.run")
        ((_, leaf),) = desk.ledger.leaves(begun.index, begun.index + 1)
        now_us = desk.now_us()
        if not -LONGEST_US < now_us - begun.at_ms * 1000 < LONGEST_US:
            raise ConflictError("this run began too long ago", rule="drill.late", fix=_AGAIN)
        if unb64(leaf["chr"]) != desk.trust.digest() or leaf["pub"]["program"] != name_program():
            raise ConflictError(
                "since this run began the charter or the program has changed",
                rule="drill.changed",
                fix=_AGAIN,
            )
        return begun

    def status(self) -> dict[str, Any]:
        """Return which runs were announced and not reported on, and what is owed."""
        desk = self._desk
        every = runs(desk.ledger)
        bare = [one for one in every if one.untold]
        return {
            "begun": len(every),
            "unreported": len(bare),
            "runs": [
                {
                    "entry": one.index,
                    "at_us": one.at_ms * 1000,
                    "announced": len(one.announced),
                    "untold": one.untold,
                    "under_way": one.under_way(desk.now_us()),
                }
                for one in bare[-SHOWN:]
            ],
            "owed": owed_results(every),
        }

    def _entry(self, run: str, result: Any, begun: Begun) -> Entry:
        facts = read_result(result)
        if facts["scenario"] not in begun.announced:
            raise InvalidError("this run announced no such scenario", rule="drill.scenarios")
        return Entry(
            kind=KIND,
            actor=caller().id,
            object=str(facts["scenario"]),
            detail={},
            charter=self._desk.trust.digest(),
            public={"run": run, **facts},
            ref=begun.index,
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


__all__ = ["Drilled", "Drills", "newest_results", "read_result"]
