"""Release: the only door from sealed blocks to code, and a narrow one.

What may be opened is decided first, and the intent is durable then: see ``decision``. Then the keeper opens the
blocks into a sealed memory file for a sandbox that it starts itself. What comes out passes the egress gate. The
caller gets counters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

from safehold.charter import Charter
from safehold.errors import (
    DeniedError,
    TamperedError,
)
from safehold.ids import PersonId
from safehold.keeper.answers import Answers
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.bounds import Opening
from safehold.keeper.decision import Decision
from safehold.keeper.derived import Derived
from safehold.keeper.gates import Gates
from safehold.keeper.heritage import Heritage
from safehold.keeper.pooled import STREAM
from safehold.keeper.ports import Beside, Job, Passed
from safehold.keeper.rows import read_chosen
from safehold.keeper.run import Run
from safehold.keeper.server import Report
from safehold.keeper.terms import admit_recipe, least_level, sources_of
from safehold.ledger import Entry, Receipt

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Release:
    """Decide, log, open.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.answers = Answers(desk.ledger, desk.trust)
        self.gates = Gates(desk)
        self.derived = Derived(desk)
        self.decision = Decision(desk, self.answers, self.gates, Heritage(desk, self.derived.pool))
        self._counting = threading.Lock()  # shards of one run are opened side by side
        self._opened: dict[int, int] = {}  # blocks opened so far, by the intent of a run
        self._confined: dict[int, dict[str, Any]] = {}  # what its sandboxes were, by that intent

    @contextmanager
    def opened(self, ask: Ask, asker: Asker) -> Iterator[Opening]:
        """Decide, and let a run go on; however it ends, its intent has a result then.

        Raises:
            DeniedError: A rule said no; the refusal is in the ledger.
        """
        opening = self.decision.decide(ask, asker)
        intent = opening.intent.index
        try:
            with self.answers.expected(
                intent, actor=asker.principal.id, thing=ask.recipe, opened=self._opened
            ):
                yield opening
        finally:
            self._opened.pop(intent, None)
            self._confined.pop(intent, None)

    def open(
        self, opening: Opening, people: Sequence[PersonId], run: Run
    ) -> Iterator[tuple[dict[str, Any], pa.Table | pa.RecordBatch]]:
        """Return the opened tables of some of the people, under their run-scoped names.

        Every block that the vault opens is counted against those that the intent names.

        Raises:
            TamperedError: More were opened than it names; an incident is in the ledger.
        """
        wanted = [block for person in people for block in opening.blocks[person]]
        for block, table in read_chosen(self._desk, wanted, opening.only):
            run.require_going()
            self._desk.trust.require_running()  # opening the rows of many takes long
            self.count(opening)
            yield (
                {
                    "person": opening.aliases[PersonId(block.person)],
                    "stream": block.stream,
                    "window": block.window,
                },
                opening.bounds.project(block.stream, table),
            )
        for one in opening.pooled:
            if not one.people <= set(people):
                raise DeniedError(
                    "a table of several people is opened only beside all of them",
                    rule="lineage.people",
                    fix="ask again",
                )
            run.require_going()
            self.count(opening)
            yield (
                {
                    "person": "",
                    "stream": STREAM,
                    "window": one.node.label.last_day,
                    "dataset": one.node.id,
                },
                opening.bounds.project(STREAM, self.derived.pool.open(one)),
            )

    def count(self, opening: Opening) -> None:
        """Count one more that was opened against those that the intent names.

        Raises:
            TamperedError: It is more than it names; an incident is in the ledger.
        """
        intent = opening.intent.index
        named = sum(map(len, opening.blocks.values())) + len(opening.pooled)
        with self._counting:
            count = self._opened[intent] = self._opened.get(intent, 0) + 1
        if count > named:
            self._report_excess(intent, named=named, opened=count)

    def _report_excess(self, intent: int, *, named: int, opened: int) -> NoReturn:
        desk = self._desk
        (receipt,) = desk.log(
            Entry(
                kind="incident",
                actor="keeper",
                object="release",
                detail={"intent": intent, "named": named, "opened": opened},
                charter=desk.trust.digest(),
                public={"severity": 1, "state": "open"},
            )
        )
        raise TamperedError(
            "more blocks were opened than the intent names",
            rule="release.count",
            entry=receipt.index,
        )

    def run(
        self,
        ask: Ask,
        opening: Opening,
        people: Sequence[PersonId],
        spec: Mapping[str, Any],
        report: Report,
        *,
        least_people: int | None = None,
        beside: Beside | None = None,
    ) -> tuple[list[Passed], str]:
        """Run a recipe over the opened tables of some people, and what it gets beside them.

        Args:
            ask: What was asked.
            opening: What may be opened.
            people: Of whom.
            spec: What the recipe is told.
            report: Told how far it is.
            least_people: Fewest people of this run, where what it says is released only beside that of others; else
                as asked.
            beside: What the sandbox gets beside people's rows.

        Returns:
            What passed the gate, and the assurance level of the sandbox.
        """
        charter = self.require_same(opening)
        if least_people is not None:
            ask = replace(ask, least_people=least_people)
        with self.going(opening, people) as going:
            return self._run(
                ask, opening, going, spec, report=report, charter=charter, beside=beside or Beside()
            )

    def require_same(self, opening: Opening) -> Charter:
        """Return the charter in force, if it is the one that this was decided under and nothing is stopped.

        Raises:
            DeniedError: It is not, or something is.
        """
        self._desk.trust.require_running()
        charter = self._desk.trust.charter()
        if charter.digest() != opening.charter:
            raise DeniedError(
                "the charter has changed since this was decided",
                rule="charter.changed",
                fix="ask again",
            )
        return charter

    @contextmanager
    def going(self, opening: Opening, people: Sequence[PersonId]) -> Iterator[Run]:
        """Let erasures and containments know what is about to be opened, until nothing of it is left.

        Who has left by now is left out, and who leaves later finds the run: both under one lock. What was contained
        since it was decided ends it here.
        """
        desk = self._desk
        with desk.lock:
            desk.trust.contained.require_free(opening.touched)
            run = Run(self.still(opening, people), opening.touched)
            desk.runs.add(run)
        with desk.holding(run=run):
            yield run

    def _run(
        self,
        ask: Ask,
        opening: Opening,
        run: Run,
        spec: Mapping[str, Any],
        *,
        report: Report,
        charter: Charter,
        beside: Beside,
    ) -> tuple[list[Passed], str]:
        desk, people = self._desk, run.people
        if not people:
            return [], desk.workshop.level()
        if len(people) < ask.least_people:
            raise DeniedError("too few people are left", rule="purpose.min_people")
        least = least_level(
            charter, sources_of(charter, ask.purpose), synthetic=desk.home.synthetic
        )
        admit_recipe(charter, desk.gatekeeper.features(ask.recipe, spec))
        gate = desk.gatekeeper.open(
            ask.recipe, spec, frozenset(opening.aliases[person] for person in people) | beside.names
        )
        out: list[Passed] = []
        shown: dict[str, Any] = {}
        memory = desk.workshop.pack(
            chain(ask.beside, beside.parts, self.open(opening, people, run))
        )
        try:
            with (
                desk.workshop.start(ask.recipe, spec, [memory], least=least) as job,
                desk.watching(job),
            ):
                run.attach(job)
                self.confine(opening.intent.index, job)
                for frame in job.frames():
                    passed = gate.admit(frame)
                    if passed.kind == "progress":
                        if passed.values != shown:  # how often it is said must not tell anything
                            report(shown := dict(passed.values))
                    else:
                        opening.bounds.send(desk.trust, opening.intent.index, passed)
                        out.append(passed)
                    desk.trust.require_running()
                run.require_going()
                gate.close()
                return out, job.level
        finally:
            os.close(memory)

    def still(self, opening: Opening, people: Sequence[PersonId]) -> list[PersonId]:
        """Return those who have chosen nothing else, and were not erased, since the intent was written."""
        with self._desk.lock:
            now = self._desk.people.everybody()
            return [one for one in people if now.get(one) == opening.standings[one]]

    def require_present(self, opening: Opening) -> None:
        """Pass if nobody of a run was erased since, and nothing that it touched was contained.

        Call it with the lock held, and keep what was made before letting go: so what an erasure finds
        made from somebody is all that was and will be, and nothing comes out after a containment.

        Raises:
            DeniedError: Somebody or something was; what was made is dropped.
        """
        self._desk.trust.contained.require_free(opening.touched)
        if not opening.blocks.keys() <= self._desk.people.everybody().keys():
            raise DeniedError(
                "somebody whose data was in this run was erased while it went on",
                rule="subjects.erased",
                fix="ask again: it goes on without them",
            )

    def close(self, ask: Ask, opening: Opening, asker: Asker, detail: Mapping[str, Any]) -> Receipt:
        """Write the result of a run that came to its end.

        Raises:
            DeniedError: Something that it touched was contained; nothing of it is handed out.
        """
        intent = opening.intent.index
        with self._desk.lock:
            self._desk.trust.contained.require_free(opening.touched)
            return self.answers.write(
                intent,
                actor=asker.principal.id,
                thing=ask.recipe,
                outcome="ok",
                detail={**detail, **self.confined(intent), "blocks": self._opened.get(intent, 0)},
            )

    def confine(self, intent: int, job: Job) -> None:
        """Add a sandbox to what those of a run were confined by."""
        self._confined[intent] = confined_by(job, self._confined.get(intent))

    def confined(self, intent: int) -> dict[str, Any]:
        """Return kernel, mechanisms and program of the sandboxes of a run; nothing if it had none."""
        return dict(self._confined.get(intent, {}))


def confined_by(job: Job, before: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what confined the sandboxes of a run: what all of them had, and each worker that one of them ran on.

    Args:
        job: The sandbox that is added.
        before: What those before it were confined by.
    """
    now = set(job.mechanisms)
    if before is not None:
        shared = now & set(before["mechanisms"])
        named = {one for one in now | set(before["mechanisms"]) if one.startswith("ray-")}
        now = shared | named
    return {"kernel": job.kernel, "mechanisms": sorted(now), "program": job.program}
