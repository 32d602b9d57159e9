"""The verb that runs a script of somebody's own over the home's data: one release, and next to nothing comes out.

1. The script is what its grant names, by hash; so it was priced and approved, by one person more than a recipe needs.
2. Over real people a script only ever makes a ``figure``: it runs once for each of many disjoint groups, each time in
   a new sandbox that holds that group alone, and what leaves is the clamped mean with noise, charged before.
3. Over made-up people it may send exact counts as well.
4. Whether it failed, how long a group took and what it printed is told to nobody, for each would be an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold.access.code import Plan, read_plan
from safehold.errors import DeniedError, InvalidError, SafeholdError
from safehold.ids import PersonId
from safehold.keeper.argument import read_word
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.bounds import Opening
from safehold.keeper.grants import Grants, Use
from safehold.keeper.recipes import CODE_STAGES, CODE_VERB
from safehold.keeper.release import Release
from safehold.keeper.server import Report
from safehold.keeper.terms import sources_of
from safehold.privacy.figure import LEAST_GROUPS, release_mean, split_people

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

RELEASE: Final = "dp_aggregate"
LONGEST: Final = 128  # characters of a purpose
# how a script itself can end a run of a group; everything else is about the machine or somebody's choice
_ITS_OWN: Final = frozenset(
    {
        "sandbox.failed",
        "sandbox.frame",
        "sandbox.wall",
        "sandbox.memory",
        "sandbox.egress.budget",
        "sandbox.stderr.budget",
    }
)
FIRST_S: Final = (
    8.0  # seconds; an answer over real people comes after 8, 16, 32 ... and at no other time
)


class CodeRuns:
    """The verb for scripts.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
        wait: Waits for seconds.
        now: Seconds of a clock that only goes on.
    """

    def __init__(
        self,
        desk: Desk,
        grants: Grants,
        release: Release,
        *,
        wait: Callable[[float], None] = time.sleep,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release
        self.wait = wait
        self.now = now

    def run(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Run a script under the grant that names it.

        Raises:
            DeniedError: The grant is for another script; or the charter, a person's choice or a budget says no.
            InvalidError: The script's block is none.
        """
        desk, begun = self._desk, self.now()
        purpose, stage = _word(arguments, "purpose"), _word(arguments, "stage")
        if stage not in CODE_STAGES:
            raise InvalidError("no script runs in this stage", field="stage", rule="code.stage")
        script = arguments.get("script")
        if not isinstance(script, str):
            raise InvalidError("a script is text", field="script", rule="code.text")
        plan = read_plan(script.encode())
        readable = sources_of(desk.trust.charter(), purpose) & desk.gatekeeper.reads(plan.recipe)
        # whatever another script says it reads, it is refused for being another one
        asked = min(readable & frozenset(plan.streams) or readable, default="")
        admitted = self._grants.admit(
            arguments,
            Use(verb=CODE_VERB, purpose=purpose, stage=stage, recipe=plan.recipe, stream=asked),
        )
        try:
            self._require_allowed(plan, purpose)
            streams = _streams(plan, readable)
            ask = Ask(
                recipe=plan.recipe,
                kind="telemetry",
                streams=streams,
                purpose=purpose,
                stage=stage,
                least_people=max(desk.trust.least_people(purpose), LEAST_GROUPS),
                price=(plan.epsilon_micro, 0),
            )
            return self._run(plan, script, ask, admitted.asker(), report, begun=begun)
        finally:
            self._grants.end(admitted.entry)

    def _require_allowed(self, plan: Plan, purpose: str) -> None:
        desk = self._desk
        if plan.out != "figure":
            if not desk.home.synthetic:
                raise DeniedError(
                    "exact counts about real people",
                    rule="code.exact",
                    fix='out = "figure" in the script\'s block: one number with noise',
                )
        elif RELEASE not in desk.trust.charter().purpose(purpose).releases:
            raise DeniedError(
                "the charter lets this purpose release no figure",
                rule="purpose.releases",
                fix=f"a purpose that releases {RELEASE}: safehold charter show",
            )

    def _run(
        self, plan: Plan, script: str, ask: Ask, asker: Asker, report: Report, *, begun: float
    ) -> dict[str, Any]:
        desk = self._desk
        spec = {
            "script": script,
            "own": False,
            "show": False,
            "seconds": plan.seconds,
        }
        with self._release.opened(ask, asker) as opening:
            people = sorted(opening.blocks)
            told: dict[str, Any]
            if plan.out == "figure":
                told, level = self._figure(plan, ask, opening, spec, report)
            else:
                told, level = self._counts(ask, opening, spec, report)
            if not desk.home.synthetic:
                # before the result is in the ledger, whose leaves tell when they were written
                self.wait(wait_left(self.now() - begun))
                desk.trust.require_running()
            confined = self._release.confined(opening.intent.index)
            # whoever was erased while it ran is in no figure; whoever is erased later finds the result in the ledger
            with desk.lock:
                self._release.require_present(opening)
                receipt = self._release.close(
                    ask,
                    opening,
                    asker,
                    {"level": level, "people": len(people), "code": plan.recipe},
                )
        return {
            **told,
            "script": plan.recipe,
            "people": len(people),
            "left_out": dict(opening.left_out),
            "level": level,
            **confined,
            "epsilon": plan.epsilon_micro / 1e6,
            "intent": opening.intent.index,
            "entry": receipt.index,
            "synthetic": desk.home.synthetic,
        }

    def _counts(
        self, ask: Ask, opening: Opening, spec: dict[str, Any], report: Report
    ) -> tuple[dict[str, Any], str]:
        passed, level = self._release.run(ask, opening, sorted(opening.blocks), spec, report)
        counts: dict[str, int] = {}
        words: list[str] = []
        for one in passed:
            counts |= one.values.get("counts", {})
            words += [one.values["word"]] if "word" in one.values else []
        return {"counts": counts, "words": words, "figure": None}, level

    def _figure(
        self, plan: Plan, ask: Ask, opening: Opening, spec: dict[str, Any], report: Report
    ) -> tuple[dict[str, Any], str]:
        groups = split_people(sorted(opening.blocks), plan.groups)
        level = ""
        found: list[float | None] = []
        for done, group in enumerate(groups):
            if self._desk.home.synthetic:  # how long one group takes is an answer about it
                report({"done": done, "of": len(groups)})
            figure, level = self._of_group(
                ask, opening, [PersonId(one) for one in group], spec, level=level
            )
            found.append(figure)
        released = release_mean(
            found, least=plan.least, most=plan.most, epsilon_micro=plan.epsilon_micro
        )
        told = {"value": released.value, "error": released.error, "groups": released.groups}
        return {"counts": {}, "words": [], "figure": told}, level

    def _of_group(
        self,
        ask: Ask,
        opening: Opening,
        group: list[PersonId],
        spec: dict[str, Any],
        *,
        level: str,
    ) -> tuple[float | None, str]:
        try:
            passed, level = self._release.run(
                ask, opening, group, spec, lambda _: None, least_people=0
            )
        except SafeholdError as error:
            rule = error.rule or ""
            if rule not in _ITS_OWN and not rule.startswith("egress."):
                raise
            return None, level
        figures = [one.values["figure"] for one in passed if "figure" in one.values]
        return (figures[0] if figures else None), level


def _streams(plan: Plan, readable: frozenset[str]) -> frozenset[str]:
    streams = frozenset(plan.streams)
    if not streams or not streams <= readable:
        raise InvalidError(
            "the script names no streams, or one that this purpose does not use",
            rule="code.streams",
            fix=f"streams = [...] in its block, of {', '.join(sorted(readable)) or 'none'}",
        )
    return streams


def wait_left(seconds: float) -> float:
    """Return how long an answer still waits, so that its moment is one of few."""
    end = FIRST_S
    while end < seconds:
        end *= 2
    return end - seconds


def _word(arguments: Mapping[str, Any], name: str) -> str:
    return read_word(arguments, name, rule="code.word", longest=LONGEST)
