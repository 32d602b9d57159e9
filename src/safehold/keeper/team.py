"""One training in several sandboxes: a lead that draws everything, and shards that add up.

The keeper starts them under one intent and one charge, and carries what they say to each other: a question of the lead
to the shard that it names, its answer back. Nothing else reads it, nothing keeps it, and none of it passes the gate;
what the lead sends beside its questions is judged as of any training.

Holds: the lead has one answer to each question of each shard, so it adds the noise of a round once, to one sum. A
shard that is lost with its worker is started again by the workshop, with the places that the lead drew, and answers
the open question; a lead that is lost ends the run, of which nothing has left then.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import (
    DeniedError,
    InvalidError,
    SafeholdError,
    TamperedError,
    UnavailableError,
)
from safehold.ids import PersonId
from safehold.keeper.ask import Ask
from safehold.keeper.bounds import Opening
from safehold.keeper.planting import Plan
from safehold.keeper.ports import Frame, Job, Passed, Talker
from safehold.keeper.release import Release
from safehold.keeper.run import Run
from safehold.keeper.server import Report
from safehold.keeper.terms import admit_recipe, least_level, sources_of

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LEAD: Final = "train.lead"
SHARD: Final = "train.shard"
REMEMBERED: Final = "places"  # what a shard that takes the place of another must know


def read_workers(given: Any, desk: Desk) -> int:
    """Return over how many sandboxes a training is spread.

    Raises:
        InvalidError: It is no number, or more than may go on together here.
    """
    if type(given) is int and given == 1:
        return given
    most = desk.workshop.most_together()
    if type(given) is not int or not 1 <= given <= max(1, most):
        raise InvalidError(
            f"a training goes on in 1 to {most} sandboxes here",
            field="workers",
            rule="train.workers",
            fix="start the keeper with more workers: safehold worker use",
        )
    return given


def require_few(workers: int, least: int) -> None:
    """Pass if there is somebody for each shard in any training that may begin.

    Only the charter's bound tells: a refusal by how many people take part would tell that number, uncharged.

    Args:
        workers: How many shards.
        least: Fewest people to train on.

    Raises:
        InvalidError: There might not be.
    """
    if workers > max(1, least):
        raise InvalidError(
            f"this purpose trains on {least} people at least, and takes no more shards than that",
            field="workers",
            rule="train.workers",
            fix="train with fewer workers",
        )


class Team:
    """Sandboxes that wait for each other, as one job that can be ended.

    Args:
        lead: Asks.
        shards: Answer.
    """

    def __init__(self, lead: Talker, shards: Sequence[Talker]) -> None:
        self._lead, self._shards = lead, shards
        self._lock = threading.Lock()
        self._error: SafeholdError | None = None
        self._asked: set[int] = set()  # shards of which an answer is due

    @property
    def jobs(self) -> Sequence[Job]:
        """All of them, the lead first."""
        return (self._lead, *self._shards)

    def kill(self) -> None:
        """End all of them at once."""
        for one in self.jobs:
            one.kill()

    def carry(self, frame: Frame, pool: ThreadPoolExecutor) -> Future[None]:
        """Carry a question of the lead to its shard, and the answer back, while more of them are taken.

        Raises:
            TamperedError: It is no question to a shard, or the shard has not answered the one before it.
        """
        match frame.header:
            case {"type": "ask", "shard": int(shard), "number": int(number), "do": str(what)} if (
                0 <= shard < len(self._shards)
            ):
                with self._lock:
                    if shard in self._asked:  # and none waits in the keeper's memory
                        raise TamperedError("one question at a time", rule="train.question")
                    self._asked.add(shard)
                return pool.submit(self._ask, shard, number, what, frame)
            case _:
                raise TamperedError("a question to nobody", rule="train.question")

    def why(self, error: SafeholdError) -> SafeholdError:
        """Return why it ended: what a shard ended with, if that ended the lead."""
        with self._lock:
            return self._error or error

    def _ask(self, shard: int, number: int, what: str, frame: Frame) -> None:
        try:
            told = self._shards[shard].ask(
                frame.header, bytes(frame.body), remember=what == REMEMBERED
            )
            _require_answer(told, number)
            with self._lock:  # before it is told: it may ask the next one at once
                self._asked.discard(shard)
            self._lead.tell({**told.header, "shard": shard}, bytes(told.body))
        except SafeholdError as error:
            self._end(error)
        except Exception:
            # the lead would wait for ever
            self._end(UnavailableError("a question was not carried", rule="train.question"))
            raise

    def _end(self, error: SafeholdError) -> None:
        with self._lock:
            self._error = self._error or error
        self._lead.kill()


def _require_answer(told: Frame, number: int) -> None:
    if told.header != {"type": "answer", "number": number}:
        raise TamperedError("an answer to another question", rule="train.question")


class Teams:
    """Starts teams, one after the other: two that each had half of the workers would wait for ever.

    Args:
        desk: What the keeper works with.
        release: Opens rows for them.
    """

    def __init__(self, desk: Desk, release: Release) -> None:
        self._desk, self._release = desk, release
        self._turn = threading.Lock()

    def run(
        self,
        ask: Ask,
        opening: Opening,
        spec: Mapping[str, Any],
        report: Report,
        *,
        plan: Plan,
        workers: int,
    ) -> tuple[list[Passed], str]:
        """Train over everybody's opened tables, in one lead and some shards; else as ``Release.run``.

        Args:
            ask: What was asked.
            opening: What may be opened.
            spec: What the recipe is told.
            report: Told how far it is.
            plan: Who only scores, and what is planted.
            workers: How many shards.

        Returns:
            What passed the gate, and the least assurance level of all of its sandboxes.
        """
        desk, release = self._desk, self._release
        with self._turn:
            charter = release.require_same(opening)
            with release.going(opening, sorted(opening.blocks)) as run, ExitStack() as stack:
                if len(run.people) < ask.least_people:
                    raise DeniedError("too few people are left", rule="purpose.min_people")
                admit_recipe(charter, desk.gatekeeper.features(ask.recipe, spec))
                least = least_level(
                    charter, sources_of(charter, ask.purpose), synthetic=desk.home.synthetic
                )
                use = _Use(ask=ask, opening=opening, run=run, spec=spec, plan=plan, least=least)
                groups, held_out = cut(opening, run.people, plan, workers)
                told = {**spec, "shards": [len(group) for group in groups]}
                # it has most to do before anything is asked, so it does that while people's rows are opened
                lead = self._start(stack, use, LEAD, told, held_out)
                shards = [self._start(stack, use, SHARD, spec, group) for group in groups]
                team = Team(lead, shards)
                run.attach(team)
                return self._go(use, team, report)

    def _start(
        self,
        stack: ExitStack,
        use: _Use,
        recipe: str,
        spec: Mapping[str, Any],
        group: Sequence[str],
    ) -> Talker:
        """Start one sandbox over the tables of some people, by their run-scoped names."""
        wanted = set(group)
        people = [one for one in use.run.people if use.opening.aliases[one] in wanted]
        planted = [part for part in use.plan.beside.parts if part[0]["person"] in wanted]
        opened = self._release.open(use.opening, people, use.run) if people else iter(())
        memory = self._desk.workshop.pack(chain(planted, opened))
        stack.callback(os.close, memory)
        one = stack.enter_context(self._desk.workshop.talk(recipe, spec, [memory], least=use.least))
        # a stop ends it though the rest of its team is not there yet, and then no more of them are opened
        stack.enter_context(self._desk.watching(one))
        return one

    def _go(self, use: _Use, team: Team, report: Report) -> tuple[list[Passed], str]:
        """Carry what they say until the lead has ended, and return what passed the gate."""
        desk, release, opening = self._desk, self._release, use.opening
        intent = opening.intent.index
        gate = desk.gatekeeper.open(
            use.ask.recipe,
            use.spec,
            frozenset(opening.aliases[one] for one in use.run.people) | use.plan.beside.names,
        )
        out: list[Passed] = []
        shown: dict[str, Any] = {}
        lead, *shards = team.jobs
        release.confine(intent, lead)
        with ThreadPoolExecutor(len(shards), "team") as pool:
            try:
                for frame in lead.frames():
                    if frame.header.get("type") == "ask":
                        team.carry(frame, pool)
                    elif (passed := gate.admit(frame)).kind == "progress":
                        if passed.values != shown:  # how often it is said must not tell anything
                            report(shown := dict(passed.values))
                    else:
                        opening.bounds.send(desk.trust, intent, passed)
                        out.append(passed)
                    desk.trust.require_running()
            except SafeholdError as error:
                team.kill()  # nobody waits for an answer that nobody will hear
                raise team.why(error) from error
            except BaseException:
                team.kill()
                raise
        use.run.require_going()
        gate.close()
        for one in shards:
            release.confine(intent, one)
        return out, min(one.level for one in team.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    """One training of a team."""

    ask: Ask
    opening: Opening
    run: Run
    spec: Mapping[str, Any]
    plan: Plan
    least: str


def cut(
    opening: Opening, people: Sequence[PersonId], plan: Plan, workers: int
) -> tuple[list[list[str]], list[str]]:
    """Return the run-scoped names of each shard, in their order, and of those who only score.

    Shards follow one another in the order of names, in which one sandbox would hold everybody: so whoever is drawn is
    the same person, whatever the number of shards.

    Raises:
        DeniedError: There is not somebody for each shard.
    """
    held = set(plan.held_out)
    everybody = {opening.aliases[one] for one in people} | plan.beside.names
    names = sorted(everybody - held)
    if len(names) < workers:
        raise DeniedError(
            "there are fewer people than shards",
            rule="train.workers",
            fix="train with fewer workers",
        )
    ends = [len(names) * at // workers for at in range(workers + 1)]
    return (
        [names[start:end] for start, end in pairwise(ends)],
        sorted(everybody & held),
    )
