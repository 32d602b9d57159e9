"""Release: the only door from sealed blocks to code, and a narrow one.

Rules, in this order; the first that fails ends it, and nothing was opened:
1. nothing is stopped; the ledger takes entries, is not behind its witnesses, and has the result of every run that
   is over;
2. the capability holds, is bound to the caller's key, and the caller just proved to hold that key;
3. every block offered is of somebody whom the grant means, carries the purpose, has not expired, lies in a
   jurisdiction of the charter in force, and its person still agrees, does not object and contests none of it: what
   fails here is left out, person by person;
4. the grant has all columns that the recipe reads; policy allows it, in every segment, and the grant covers every
   day of telemetry behind it; a red line ends it whatever else is said;
5. enough people are left, and the caps of the grant and the purpose's privacy budget cover it;
6. nothing that it touches is contained: who asks, token, grant, purpose, segments, datasets;
7. the intent, with the set of people and the price, is durable in the ledger;
8. in strict mode, the quorum of witnesses has cosigned a head that covers it.
Then the keeper opens the blocks into a sealed memory file for a sandbox that it starts itself. What comes out
passes the egress gate. The caller gets counters.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import chain
from typing import Any, NoReturn

import pyarrow as pa

from safehold import ids
from safehold.access import AccessRequest, authorise
from safehold.catalog.aside import ASIDE
from safehold.charter import Charter
from safehold.clock import DAY_US
from safehold.errors import (
    ConsentError,
    DeniedError,
    TamperedError,
)
from safehold.ids import PersonId
from safehold.keeper.answers import Answers
from safehold.keeper.ask import RECORDED, Ask, Asker
from safehold.keeper.bounds import Bounds, Opening, bounds_of, demand_of, refuse
from safehold.keeper.contained import things
from safehold.keeper.days import Behind, look_behind, sources_digest
from safehold.keeper.derived import Derived
from safehold.keeper.desk import Desk
from safehold.keeper.gates import EMBEDDING, Gates
from safehold.keeper.heritage import Heritage
from safehold.keeper.pooled import STREAM
from safehold.keeper.ports import Beside, Job, Passed
from safehold.keeper.rows import only_of, read_chosen
from safehold.keeper.run import Run
from safehold.keeper.server import Report
from safehold.keeper.terms import admit_recipe, least_level, sources_of
from safehold.keeper.touched import by_asker, by_release
from safehold.keeper.withheld import why_withheld
from safehold.ledger import Entry, Receipt
from safehold.privacy.budget import Charge
from safehold.vault import SealedBlock


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
        self._heritage = Heritage(desk, self.derived.pool)
        self._counting = threading.Lock()  # shards of one run are opened side by side
        self._opened: dict[int, int] = {}  # blocks opened so far, by the intent of a run
        self._confined: dict[int, dict[str, Any]] = {}  # what its sandboxes were, by that intent

    @contextmanager
    def opened(self, ask: Ask, asker: Asker) -> Iterator[Opening]:
        """Decide, and let a run go on; however it ends, its intent has a result then.

        Raises:
            DeniedError: A rule said no; the refusal is in the ledger.
        """
        opening = self.decide(ask, asker)
        intent = opening.intent.index
        try:
            with self.answers.expected(
                intent, actor=asker.principal.id, thing=ask.recipe, opened=self._opened
            ):
                yield opening
        finally:
            self._opened.pop(intent, None)
            self._confined.pop(intent, None)

    def decide(self, ask: Ask, asker: Asker) -> Opening:
        """Return what may be opened; when it returns, the intent is durable and, in strict mode, cosigned.

        Raises:
            DeniedError: A rule said no; the refusal is in the ledger.
            UnavailableError: The witnesses did not cosign the intent in time; it stays in the ledger.
        """
        desk = self._desk
        desk.trust.require_running()
        desk.ledger.check_health()
        desk.check_time()
        try:
            with desk.turn.last():  # whoever chooses against it goes first
                self.answers.settle()
                opening = self._decide(ask, asker)
        except DeniedError as error:
            if error.entry is None:
                error.entry = refuse(desk, ask, asker, error)
            raise
        self._confirm(ask, asker, opening)
        return opening

    def _confirm(self, ask: Ask, asker: Asker, opening: Opening) -> None:
        """Let nothing be opened before the intent is where nobody here can cut it off."""
        intent = opening.intent
        try:
            self._desk.confirm(intent)
        except BaseException:
            with self.answers.expected(
                intent.index, actor=asker.principal.id, thing=ask.recipe, opened={}
            ):
                raise

    def _decide(self, ask: Ask, asker: Asker) -> Opening:
        desk = self._desk
        ask = replace(ask, people=asker.people)
        pooled = self._heritage.admit(ask, asker)
        chosen, left_out = self._choose(ask)
        held = [block for blocks in chosen.values() for block in blocks]
        for one in pooled:
            chosen |= {person: [] for person in sorted(one.people - chosen.keys())}
        derived = ask.kind not in RECORDED
        behind = self._heritage.add(look_behind(desk, held, derived=derived), pooled)
        if ask.kind == ASIDE:  # single messages: of no source, and nothing is made of them
            behind = replace(behind, sources=())
        if derived:
            behind = replace(behind, gates=self.gates.passed(behind.sources))
            if EMBEDDING in ask.streams:
                self.gates.require_registered(behind.sources)
        bounds = bounds_of(desk, ask, asker)
        rows = sum(block.rows for block in held) + sum(one.rows for one in pooled)
        shown = [*held, *(block for one in pooled for block in one.shown())]
        bounds = self._authorise(ask, asker, shown, behind, bounds, people=len(chosen), rows=rows)
        least = max(ask.least_people, 1)
        if len(chosen) < least:
            raise DeniedError(
                # how many there are would tell of a few named people whether one of them takes part
                f"too few people take part: it takes at least {least}",
                rule="purpose.min_people",
                fix="wait until more people take part",
            )
        label = self._heritage.label(ask, asker, bounds, behind, held=held, people=chosen)
        segments = _segments(shown)
        touched = by_asker(desk, asker, ask.purpose)
        touched |= by_release(desk, ask, segments=segments, behind=behind, label=label)
        desk.trust.contained.require_free(touched)
        people = sorted(chosen)
        aliases = {person: ids.opaque_id("p") for person in people}
        standings = {person: desk.people.standing(person) for person in people}
        charge = (
            None
            if ask.price == (0, 0)
            else Charge(purpose=ask.purpose, epsilon_micro=ask.price[0], delta_e12=ask.price[1])
        )
        intent = desk.trust.log_charged(
            Entry(
                kind="access.intent",
                actor=asker.principal.id,
                object=ask.recipe,
                detail={
                    "grant": "" if asker.claims is None else asker.claims.grant,
                    "purpose": ask.purpose,
                    "role": asker.principal.role,
                    "segments": sorted(segments),
                    "blocks": len(held) + len(pooled),
                    "label": label.to_record(),
                    "days": list(behind.days),
                    "silos": list(behind.silos),
                    "sources": sources_digest(behind.sources),
                    **bounds.told(asker, people=len(people), rows=rows),
                    **ask.said,
                },
                charter=desk.trust.digest(),
                subjects=desk.subjects([str(person) for person in people]),
                public={"purpose": ask.purpose},
                ref=asker.grant,
            ),
            charge,
            caps=asker.caps,
            rows=rows,
        )
        self.answers.begin(intent.index)
        return Opening(
            intent=intent,
            blocks=chosen,
            aliases=aliases,
            left_out=left_out,
            standings=standings,
            charter=desk.trust.digest(),
            bounds=bounds,
            label=label,
            datasets=behind.sources,
            pooled=tuple(pooled),
            touched=touched | things(runs=[intent.index]),
            only=only_of(desk, ask, held),
        )

    def _choose(self, ask: Ask) -> tuple[dict[PersonId, list[SealedBlock]], dict[str, int]]:
        desk = self._desk
        now, today = desk.now_us(), desk.today()
        charter = desk.trust.charter()
        places = set(charter.jurisdictions)
        chosen: dict[PersonId, list[SealedBlock]] = {}
        left_out: dict[str, int] = {}
        refused: dict[PersonId, str] = {
            person: "grant.people"
            for person, one in desk.people.everybody().items()
            if not ask.people.chooses(person, one.jurisdiction)
        }
        if ask.side is not None:
            refused |= {one: "ask.side" for one in desk.people.everybody() if not ask.side(one)}
        passed_over: dict[PersonId, str] = {}  # by the last rule; counts if nothing of them is left
        for block in desk.catalog.blocks(
            kind=ask.kind, streams=ask.streams, after_day=today, sources=ask.within
        ):
            person = PersonId(block.person)
            if person in refused:
                continue
            standing = desk.people.standing(person)
            try:
                allowed = standing.allowed(at_us=now)
            except ConsentError as error:
                refused[person] = error.rule or "subjects"
                chosen.pop(person, None)
                continue
            rule = why_withheld(
                ask, block, standing, charter=charter, allowed=allowed, places=places, today=today
            )
            if rule is None:
                chosen.setdefault(person, []).append(block)
            else:
                passed_over[person] = rule
        refused |= {person: rule for person, rule in passed_over.items() if person not in chosen}
        for rule in refused.values():
            # a choice does not show itself to whoever asks: of real people only that they do not take part
            shown = "subjects" if rule.startswith("subjects.") and not desk.home.synthetic else rule
            left_out[shown] = left_out.get(shown, 0) + 1
        if ask.most_people is not None and len(chosen) > ask.most_people:
            left_out["ask.most_people"] = len(chosen) - ask.most_people
            drawn = sorted(chosen, key=lambda _: ids.random_bytes(16))[: ask.most_people]
            chosen = {person: chosen[person] for person in drawn}
        return chosen, left_out

    def _authorise(
        self,
        ask: Ask,
        asker: Asker,
        blocks: Sequence[SealedBlock],
        behind: Behind,
        bounds: Bounds,
        *,
        people: int,
        rows: int,
    ) -> Bounds:
        desk = self._desk
        level = desk.workshop.level()
        if asker.claims is not None and behind.days:
            first, last = min(behind.days), max(behind.days)
            if first < asker.claims.first_day or last > asker.claims.last_day:
                raise DeniedError(
                    "days beyond the grant",
                    rule="grant.days",
                    fix="ask for a grant over all days that the features came from",
                )
        if asker.grant is not None and asker.caps is not None:
            desk.trust.check_caps(asker.grant, asker.caps, rows=rows, epsilon_micro=ask.price[0])
        for segment in sorted(_segments(blocks)):
            held = [block for block in blocks if block.segment == segment]
            authorise(
                desk.trust.policy(),
                AccessRequest(
                    principal=asker.principal,
                    action=asker.action,
                    purpose=ask.purpose,
                    stage=ask.stage,
                    now_us=desk.now_us(),
                    segment=segment,
                    streams=tuple(sorted({block.stream for block in held})),
                    purposes=tuple(
                        sorted(frozenset.intersection(*(frozenset(b.label.purposes) for b in held)))
                    ),
                    jurisdictions=tuple(sorted({block.label.jurisdiction for block in held})),
                    expires_us=min(block.label.expires for block in held) * DAY_US,
                    people=people,
                    silos=behind.silos,  # of the whole run: its segments are opened side by side
                    consent=True,  # whoever does not take part now was left out before
                    synthetic=desk.home.synthetic,
                    assurance=level,
                    claims=asker.claims,
                    holder="" if asker.claims is None else asker.claims.holder.text(),
                    gates=behind.gates,
                ),
            )
            if asker.check is not None:
                demand = demand_of(desk, ask, asker, bounds, held, rows=rows)
                asker.check(demand)
                bounds = replace(bounds, demand=demand)
        return bounds

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


def _segments(blocks: Iterable[SealedBlock]) -> frozenset[str]:
    return frozenset(block.segment for block in blocks)
