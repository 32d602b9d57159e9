"""What a grant bounds at one release: columns, and totals over all its uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
import pyarrow as pa

from safehold.access import Demand
from safehold.catalog import DatasetLabel
from safehold.errors import DeniedError
from safehold.ids import PersonId
from safehold.keeper.admission import note_attempt
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.contained import Thing
from safehold.keeper.pooled import Pooled
from safehold.keeper.ports import Passed
from safehold.keeper.rows import Only
from safehold.keeper.trust import Trust
from safehold.keeper.uses import Caps
from safehold.ledger import Entry, Receipt
from safehold.subjects import Standing
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What the grant of one release covers.

    Args:
        columns: Columns that are opened, by stream; all of a stream that is not named.
        caps: The most that all its uses may come to.
        check: Raises unless the capability covers a demand.
        demand: What this use asked for last.
    """

    columns: Mapping[str, tuple[str, ...]]
    caps: Caps | None = None
    check: Callable[[Demand], object] | None = None
    demand: Demand | None = None

    def project(self, stream: str, rows: pa.Table | pa.RecordBatch) -> pa.Table | pa.RecordBatch:
        """Return rows without the columns beyond the grant."""
        names = self.columns.get(stream)
        return rows if names is None else rows.select(list(names))

    def send(self, trust: Trust, intent: int, passed: Passed) -> None:
        """Count what a run sends, before it counts as sent.

        Raises:
            DeniedError: Grant or capability does not cover it.
        """
        if self.caps is None:
            return
        size = len(passed.body) + (0 if passed.table is None else passed.table.nbytes)
        size += len(orjson.dumps(dict(passed.values), default=str)) if passed.values else 0
        total = trust.send(intent, size, self.caps)
        if self.check is not None and self.demand is not None:
            self.check(replace(self.demand, out_bytes=total))

    def told(self, asker: Asker, *, people: int, rows: int) -> dict[str, Any]:
        """Return what the intent of a use tells beside, for ``grant show``; nothing without a grant."""
        if asker.claims is None:
            return {}
        columns = sorted(f"{one}.{name}" for one, names in self.columns.items() for name in names)
        return {
            "people": people,
            "rows": rows,
            "columns": columns,
            "filter": asker.people.digest(),
            "tokens": list(asker.claims.revocation_ids),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What one durable intent allows to be opened.

    Args:
        intent: Its receipt.
        blocks: Blocks by person.
        aliases: Run-scoped name of each person.
        left_out: How many people were left out, by rule.
        standings: What each of them had chosen when the intent was written.
        charter: Digest of the charter it was decided under.
        bounds: What its grant covers.
        label: What everything inherits that is made from it.
        datasets: What is made from it has these as parents: sources, builds, tables.
        pooled: Tables of several people that are opened beside.
        touched: What all runs of it touch that could be contained.
        only: Which rows of its blocks are opened for it, where blocks hold those of other sources too; None for all.
    """

    intent: Receipt
    blocks: Mapping[PersonId, Sequence[SealedBlock]]
    aliases: Mapping[PersonId, str]
    left_out: Mapping[str, int]
    standings: Mapping[PersonId, Standing]
    charter: bytes
    bounds: Bounds
    label: DatasetLabel
    datasets: tuple[str, ...]
    pooled: tuple[Pooled, ...] = ()
    touched: frozenset[Thing] = frozenset()
    only: Only | None = None


def bounds_of(desk: Desk, ask: Ask, asker: Asker) -> Bounds:
    """Return what the grant of a release bounds; without a grant nothing is bounded here.

    Raises:
        DeniedError: The grant does not have all columns that the recipe reads.
    """
    if asker.claims is None:
        return Bounds(columns={})
    columns = ask.columns or {one: desk.gatekeeper.columns(ask.recipe, one) for one in ask.streams}
    wanted = {f"{stream}.{name}" for stream, names in columns.items() for name in names}
    if not wanted <= asker.claims.columns:
        raise DeniedError(
            "the recipe reads columns beyond the grant",
            rule="grant.columns",
            fix="ask for all columns that the recipe reads: safehold request new",
        )
    return Bounds(columns=columns, caps=asker.caps, check=asker.check)


def demand_of(
    desk: Desk, ask: Ask, asker: Asker, bounds: Bounds, held: Sequence[SealedBlock], *, rows: int
) -> Demand:
    """Return what a use asks for in one segment; totals count what the grant was used for before.

    Args:
        desk: What the keeper works with.
        ask: The use.
        asker: Who asks.
        bounds: From ``bounds_of``.
        held: The blocks of one segment, at least one.
        rows: Rows of the whole use.
    """
    streams = tuple(sorted({block.stream for block in held}))
    done = desk.trust.totals(-1 if asker.grant is None else asker.grant)
    return Demand(
        purpose=ask.purpose,
        segment=held[0].segment,
        streams=streams,
        stage=ask.stage,
        recipe=ask.recipe,
        columns=tuple(f"{one}.{name}" for one in streams for name in bounds.columns.get(one, ())),
        runs=done.runs + 1,
        rows=done.rows + rows,
        out_bytes=done.out_bytes or 0,
        hourly=done.hourly + 1,
        epsilon_micro=done.epsilon_micro + ask.price[0],
    )


def refuse(desk: Desk, ask: Ask, asker: Asker, error: DeniedError) -> int:
    """Write down a refusal, under the grant that it was asked with, and return its index."""
    if asker.grant is not None:
        return note_attempt(
            desk,
            asker.grant,
            thing=ask.recipe,
            actor=asker.principal.id,
            error=error,
            purpose=ask.purpose,
        )
    (receipt,) = desk.log(
        Entry(
            kind="refusal",
            actor=asker.principal.id,
            object=ask.recipe,
            detail={"rule": error.rule or "", "purpose": ask.purpose},
            charter=desk.trust.digest(),
        )
    )
    return receipt.index
