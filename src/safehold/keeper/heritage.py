"""What a release inherits: the tables of several people that it opens, and the label of all that comes of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from safehold.catalog import DatasetLabel
from safehold.catalog.algebra import Inherited, join
from safehold.catalog.label import write_label
from safehold.errors import DeniedError
from safehold.ids import PersonId
from safehold.keeper.ask import RECORDED, Ask, Asker
from safehold.keeper.bounds import Bounds
from safehold.keeper.days import Behind
from safehold.keeper.inheritance import of_telemetry, told_by
from safehold.keeper.judgement import Judge
from safehold.keeper.pooled import Pool, Pooled
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Heritage:
    """Finds it.

    Args:
        desk: What the keeper works with.
        pool: Knows tables of several people.
    """

    def __init__(self, desk: Desk, pool: Pool) -> None:
        self._desk = desk
        self._pool = pool
        self._judge = Judge(desk)

    def admit(self, ask: Ask, asker: Asker) -> list[Pooled]:
        """Return the tables of several people that a use names, if all that it names may be opened together.

        Raises:
            DeniedError: It may not; the rule says why.
        """
        if ask.kind in RECORDED or ask.within is None:
            return []
        judged = self._judge.judge(ask, asker, ask.within)
        found: list[Pooled] = []
        for name, node in judged.nodes.items():
            if node.pooled:
                found.append(self._pool.admit(ask, node))
            elif not self._desk.catalog.lives(name, after_day=self._desk.today()):
                over = node.label.expires <= self._desk.today()
                raise DeniedError(
                    "nothing of it is left",
                    rule="lineage.expired" if over else "lineage.ended",
                    fix="make it again from what there is now",
                )
        if found and ask.most_people is not None:
            raise DeniedError("a table of several people is opened whole", rule="lineage.people")
        return found

    def add(self, behind: Behind, pooled: Sequence[Pooled]) -> Behind:
        """Return what lies behind a run, with what lies behind the tables of several people in it."""
        if not pooled:
            return behind
        labels = [one.node.label for one in pooled]
        days = [
            *behind.days,
            *(label.first_day for label in labels),
            *(label.last_day for label in labels),
        ]
        return replace(
            behind,
            days=(min(days), max(days)),
            silos=tuple(sorted({*behind.silos, *(silo for one in labels for silo in one.silos)})),
            sources=tuple(sorted({*behind.sources, *(one.node.id for one in pooled)})),
        )

    def label(
        self,
        ask: Ask,
        asker: Asker,
        bounds: Bounds,
        behind: Behind,
        *,
        held: Sequence[SealedBlock],
        people: Collection[PersonId],
    ) -> DatasetLabel:
        """Return what everything inherits that is made from what a use opens.

        Raises:
            DeniedError: It may not be opened together.
        """
        desk = self._desk
        charter = desk.trust.charter()
        if ask.kind in RECORDED:
            made = of_telemetry(charter, held, bounds.columns)
        else:
            judged = self._judge.judge(ask, asker, behind.sources)
            made = join(judged.labels.values())
            if held:  # who is left may end earlier than whoever the leaf counted
                made |= Inherited(expires=min(block.label.expires for block in held))
        made = replace(made, people=frozenset(map(str, people)))
        if ask.makes is not None:
            told = told_by(ask.makes, charter)
            made = replace(made, tells=told if ask.kind in RECORDED else told | made.tells)
        return write_label(made, digest=desk.lineage.digest(made.people))
