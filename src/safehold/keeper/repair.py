"""The verbs about what was set aside: how much there is, and to judge it again under a grant.

A repair is a release like any other, under the one purpose: the grant, its approvals and its caps are checked, people
who do not take part now are left out, and the intent about whoever is in it is durable before a message is opened. What
is opened goes into the same sandbox, under the same rules, as what comes in; it does not leave the keeper otherwise.
Whoever asks learns how many came in and by which rules the others were refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.access import EVERYBODY
from safehold.access.lease import Lease
from safehold.catalog.aside import ASIDE
from safehold.errors import DeniedError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.ask import Ask
from safehold.keeper.batch import Batches
from safehold.keeper.bounds import Opening
from safehold.keeper.grants import Grants, Use
from safehold.keeper.recipes import REPAIR, REPAIR_STAGE, REPAIR_VERB
from safehold.keeper.release import Release
from safehold.keeper.sealed import Outcome, Part
from safehold.keeper.server import Report, Verb
from safehold.keeper.terms import sources_of
from safehold.telemetry.schema import REST
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

AT_ONCE: Final = 32  # messages that are open at the same time


class Repair:
    """The verbs.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
        batches: Judges messages.
    """

    def __init__(self, desk: Desk, grants: Grants, release: Release, batches: Batches) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release
        self._batches = batches

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {"ingest.aside": self.aside, REPAIR_VERB: self.repair}

    def aside(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what the charter allows to be set aside, and how many messages there are, by rule, stream and day."""
        desk = self._desk
        clause = desk.trust.charter().set_aside if desk.trust.digest() else None
        counts = desk.catalog.aside.counts()
        return {
            "allowed": clause is not None,
            "keep_days": 0 if clause is None else clause.keep_days,
            "a_day": 0 if clause is None else clause.a_day,
            "messages": sum(counts.values()),
            "counts": [
                {"rule": rule, "stream": stream, "day": day, "messages": count}
                for (rule, stream, day), count in sorted(counts.items())
            ],
        }

    def repair(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Judge again, under a grant, what was set aside; what holds now is stored, and the rest stays until its day.

        Raises:
            DeniedError: The charter sets nothing aside, grant or charter says no, or there is nothing to judge.
        """
        desk = self._desk
        clause = desk.trust.charter().set_aside
        if clause is None:
            raise DeniedError(
                "the charter in force sets nothing aside",
                rule="aside.charter",
                fix="a new charter version with set_aside, signed by the board's widening quorum",
            )
        streams = sources_of(desk.trust.charter(), clause.purpose)
        admitted = self._grants.admit(
            arguments,
            Use(
                verb=REPAIR_VERB,
                purpose=clause.purpose,
                stage=REPAIR_STAGE,
                recipe=REPAIR,
                stream=min(streams),
            ),
        )
        if admitted.people != EVERYBODY:
            # what comes of it, though nothing but counts, would be about those alone
            raise DeniedError(
                "a repair is of everybody's messages: of chosen people it would tell who takes part",
                rule="repair.people",
                fix="ask for a grant over everybody",
            )
        # an act of the pipeline on what came in: no answer about anybody comes of it
        asker = replace(admitted.asker(), action="operate")
        ask = Ask(
            recipe=REPAIR,
            kind=ASIDE,
            streams=streams & admitted.claims.streams,
            purpose=clause.purpose,
            stage=REPAIR_STAGE,
            least_people=1,
            columns={one: tuple(REST[one].names) for one in streams & admitted.claims.streams},
        )
        try:
            with self._release.opened(ask, asker) as opening:
                told = self._judge(opening, report)
                receipt = self._release.close(ask, opening, asker, told)
        finally:
            self._grants.end(admitted.entry)
        return {
            **told,
            "left_out": dict(opening.left_out),
            "intent": opening.intent.index,
            "entry": receipt.index,
        }

    def _judge(self, opening: Opening, report: Report) -> dict[str, Any]:
        desk = self._desk
        states: Counter[str] = Counter()
        rules: Counter[str] = Counter()
        blocks = iter([one for blocks in opening.blocks.values() for one in blocks])
        while some := list(islice(blocks, AT_ONCE)):
            parts = dict(self._open(opening, some))
            outcomes = self._batches.retry(list(parts.values()), report)
            taken = []
            for block in some:
                part = parts.get(block.block_id)
                if part is None or part.name not in outcomes:
                    continue
                outcome: Outcome = outcomes[part.name]
                states[outcome.state] += 1
                if outcome.error is None:
                    taken.append(block)
                else:
                    rules[outcome.error.rule or outcome.error.code] += 1
            # known under their names since: whoever comes in between finds them taken
            desk.vault.remove(desk.catalog.aside.drop(taken))
        return {"states": dict(states), "rules": dict(rules)}

    def _open(
        self, opening: Opening, blocks: Sequence[SealedBlock]
    ) -> Iterator[tuple[bytes, Part]]:
        """Yield messages of those who are still there; the run is over before any is judged."""
        people = sorted({PersonId(block.person) for block in blocks})
        with self._release.going(opening, people) as run:
            stay = set(run.people)
            wanted = [block for block in blocks if PersonId(block.person) in stay]
            for block, table in self._desk.vault.read(wanted):
                run.require_going()
                self._desk.trust.require_running()
                self._release.count(opening)
                (row,) = table.to_pylist()
                standing = opening.standings[PersonId(block.person)]
                yield block.block_id, _part(row, standing.external, block.stream)


def _part(row: dict[str, Any], person: str, stream: str) -> Part:
    said = canonical.decode(row["lease"])
    match said:
        case {"charter": str(charter), "streams": dict(streams)} if len(said) == 2:
            pass
        case _:
            raise TamperedError("what was set aside says nothing of its lease", rule="aside.lease")
    lease = Lease(
        id="",
        charter=charter,
        person=person,
        device="",
        streams=streams,
        apps={},
        silences=(),
        quiet={},
        sealing="",
        from_us=0,
        until_us=0,
    )
    return Part(name=row["name"], lease=lease, stream=stream, body=row["message"])
