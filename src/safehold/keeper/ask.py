"""What is asked of a release, by whom, and what it allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from safehold.access import Claims, Demand, Principal
from safehold.ids import PersonId
from safehold.ledger import Receipt
from safehold.subjects import Standing
from safehold.vault import SealedBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for use.

    Args:
        recipe: Which approved recipe is to run.
        kind: ``telemetry`` or ``derived``.
        streams: Streams wanted.
        purpose: The one stated purpose.
        stage: Stage of the charter, such as ``feature`` or ``training``.
        least_people: Fewest people it may run over.
        price: Privacy price in millionths of epsilon, and delta in units of 1e-12.
        within: Sources whose blocks alone are wanted; None for those of every source.
        most_people: Most people it runs over, drawn by chance; None for everybody.
    """

    recipe: str
    kind: str
    streams: frozenset[str]
    purpose: str
    stage: str
    least_people: int
    price: tuple[int, int] = (0, 0)
    within: frozenset[str] | None = None
    most_people: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, with identity proved.

    Args:
        principal: The person, workload or agent.
        action: What they do, in the charter's language.
        claims: Their verified capability, where the action needs a grant.
        grant: Index of the grant's leaf.
        most_uses: How many intents may name that leaf.
        check: Raises unless the capability covers a demand.
    """

    principal: Principal
    action: str
    claims: Claims | None = None
    grant: int | None = None
    most_uses: int | None = None
    check: Callable[[Demand], object] | None = None


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
    """

    intent: Receipt
    blocks: Mapping[PersonId, Sequence[SealedBlock]]
    aliases: Mapping[PersonId, str]
    left_out: Mapping[str, int]
    standings: Mapping[PersonId, Standing]
    charter: bytes


def shards(
    blocks: Mapping[PersonId, Sequence[SealedBlock]], *, rows: int, people: int
) -> Iterator[list[PersonId]]:
    """Yield people in groups, so that memory is bounded.

    Args:
        blocks: Everybody's blocks.
        rows: Rows that the blocks of a group may hold, unless they are one person's.
        people: Most people of a group.
    """
    group: list[PersonId] = []
    held = 0
    for person in sorted(blocks):
        size = sum(block.rows for block in blocks[person])
        if group and (held + size > rows or len(group) == people):
            yield group
            group, held = [], 0
        group.append(person)
        held += size
    if group:
        yield group
