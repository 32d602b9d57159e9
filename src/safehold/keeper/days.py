"""What lies behind blocks: days of telemetry, silos, and sources.

A grant is for days of what people did, and not for the day on which features of it were built. What was made from
a silo's data is beside it for ever, whatever it is called by then. And what is measured on the sources of a dataset
is measured on those that it was made from, whatever a row says by then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from safehold import canonical
from safehold.errors import DeniedError, ShreddedError, TamperedError
from safehold.keeper.terms import silos_of
from safehold.vault import SealedBlock

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """What lies behind the blocks of a run.

    Args:
        days: First and last day of telemetry; empty without blocks.
        silos: Silos, sorted.
        sources: Sources, or builds, that hold the blocks.
        gates: Gates that all of those have passed; none for telemetry.
    """

    days: tuple[int, ...]
    silos: tuple[str, ...]
    sources: tuple[str, ...]
    gates: tuple[str, ...] = ()


def look_behind(desk: Desk, blocks: Sequence[SealedBlock], *, derived: bool) -> Behind:
    """Return what lies behind blocks.

    Raises:
        DeniedError: The details of a build's leaf have ended.
        TamperedError: A row says another build than the keeper wrote.
    """
    return Behind(
        days=days_behind(desk, blocks, derived=derived),
        silos=tuple(sorted(silos_behind(desk, blocks, derived=derived))),
        sources=tuple(desk.catalog.sources_of([block.block_id for block in blocks])),
    )


def days_behind(desk: Desk, blocks: Sequence[SealedBlock], *, derived: bool) -> tuple[int, ...]:
    """Return the first and the last day of telemetry that blocks are or came from; nothing for no blocks.

    What features came from is told by the intent of their build: by a leaf, and not by a row that somebody may edit.
    Days of everybody in the build count, also of those who have left since.

    Raises:
        DeniedError: The details of that leaf have ended.
        TamperedError: A row says another build than the keeper wrote.
    """
    days = [block.window for block in blocks]
    if derived:
        builds = desk.catalog.sources_of([block.block_id for block in blocks])
        days = [day for build in builds for day in _told(desk, build)["days"]]
    return (min(days), max(days)) if days else ()


def silos_behind(desk: Desk, blocks: Sequence[SealedBlock], *, derived: bool) -> frozenset[str]:
    """Return the silos that blocks lie in or came from, of all that is opened together.

    What features came from is told by the intent of their build.

    Raises:
        DeniedError: The details of that leaf have ended, or an older version wrote them without silos.
        TamperedError: A row says another build than the keeper wrote.
    """
    if not derived:
        return silos_of(desk.trust.charter(), (block.stream for block in blocks))
    builds = desk.catalog.sources_of([block.block_id for block in blocks])
    return frozenset(silo for build in builds for silo in _told(desk, build)["silos"])


def sources_digest(sources: Iterable[str]) -> str:
    """Return the digest of some sources, as the intent of a build carries it."""
    return canonical.digest(sorted(sources)).hex()


def sources_behind(desk: Desk, build: str) -> list[str]:
    """Return the sources that a build of features was made from, as the intent of the build has them.

    Raises:
        DeniedError: The details of that leaf have ended, or an older version wrote them without sources.
        TamperedError: The lineage says others.
    """
    said = _told(desk, build)
    if "sources" not in said:
        raise DeniedError(
            "the ledger does not tell of which sources these features are",
            rule="label.sources",
            fix="build the features again",
        )
    sources = desk.lineage.parents(build)
    if sources_digest(sources) != said["sources"]:
        raise TamperedError("the lineage of these features was changed", rule="catalog.lineage")
    return sources


def streams_behind(desk: Desk, build: str) -> frozenset[str]:
    """Return the streams that a build of features was made from, as the intent of the build has them.

    Raises:
        DeniedError: The details of that leaf have ended.
    """
    return frozenset(name.rpartition(".")[2] for name in _told(desk, build)["segments"])


def _told(desk: Desk, build: str) -> dict[str, Any]:
    """Return what the intent of a build tells of what it was made from."""
    again = "build the features again"
    try:
        said = desk.ledger.detail(int(build.rpartition(":")[2]))
    except ShreddedError as error:
        raise DeniedError(
            "the ledger no longer tells of which days these features are",
            rule="label.days",
            fix=again,
        ) from error
    detail: dict[str, Any] = said["detail"]
    if "silos" not in detail:
        raise DeniedError(
            "the ledger does not tell from which silos these features are",
            rule="label.silos",
            fix=again,
        )
    return detail
