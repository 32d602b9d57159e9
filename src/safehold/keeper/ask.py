"""What is asked of a release, by whom, and what it allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from safehold.access import EVERYBODY, Claims, Demand, PeopleFilter, Principal
from safehold.catalog.aside import ASIDE
from safehold.catalog.register import TELEMETRY
from safehold.dlp.feature import Feature
from safehold.errors import DeniedError
from safehold.ids import PersonId
from safehold.keeper.contained import Thing
from safehold.keeper.uses import Caps
from safehold.vault import SealedBlock

RECORDED: Final = frozenset(
    {TELEMETRY, ASIDE}
)  # kinds that were recorded, and not made from what was


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request for use.

    Args:
        recipe: Which approved recipe is to run.
        kind: ``telemetry``, ``set_aside``, ``derived`` for features, or a kind of derived dataset: ``table``,
            ``vectors``.
        streams: Streams wanted.
        purpose: The one stated purpose.
        stage: Stage of the charter, such as ``feature`` or ``training``.
        least_people: Fewest people it may run over.
        price: Privacy price in millionths of epsilon, and delta in units of 1e-12.
        within: Sources whose blocks alone are wanted; None for those of every source.
        most_people: Most people it runs over, drawn by chance; None for everybody.
        people: Who is meant, by the grant of whoever asks.
        beside: What the sandbox gets besides, of nobody: a header and a table each.
        side: Says of each person whether they are meant by this one; None for everybody. No data may touch it.
        makes: Columns that come of it and what they are made from; None if nobody says before it has run.
        columns: Columns that are opened, by stream; all that the recipe reads where nothing is said.
        said: What else the intent says, sealed.
        about: What else is touched that could be contained: a dataset or a model that is attacked.
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
    people: PeopleFilter = EVERYBODY
    beside: tuple[tuple[Mapping[str, Any], pa.Table], ...] = field(default=(), repr=False)
    side: Callable[[PersonId], bool] | None = None
    makes: tuple[Feature, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] | None = None
    said: Mapping[str, str] = field(default_factory=dict)
    about: frozenset[Thing] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks, with identity proved.

    Args:
        principal: The person, workload or agent.
        action: What they do, in the charter's language.
        claims: Their verified capability, where the action needs a grant.
        grant: Index of the grant's leaf.
        caps: The most that all uses of the grant may come to.
        people: Who is meant; everybody where nothing is said.
        check: Raises unless the capability covers a demand.
        above: Ids of those whose grants the grant descends from, and of their operators.
    """

    principal: Principal
    action: str
    claims: Claims | None = None
    grant: int | None = None
    caps: Caps | None = None
    people: PeopleFilter = EVERYBODY
    check: Callable[[Demand], object] | None = None
    above: frozenset[str] = frozenset()

    def require_everybody(self) -> None:
        """Pass if everybody is meant.

        Raises:
            DeniedError: Some of them are, and an attack on those alone would find what somebody chose.
        """
        if self.people != EVERYBODY:
            raise DeniedError(
                "an attack is on everybody who was there: a grant for some of them would choose what it finds",
                rule="attack.people",
                fix="ask for a grant over everybody",
            )


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
