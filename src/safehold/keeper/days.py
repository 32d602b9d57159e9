"""Which days of telemetry lie behind blocks.

A grant is for days of what people did, and not for the day on which features of it were built.
"""

from __future__ import annotations

from collections.abc import Sequence

from safehold.errors import DeniedError, ShreddedError
from safehold.keeper.desk import Desk
from safehold.vault import SealedBlock


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
        days = [day for build in builds for day in _days_of(desk, build)]
    return (min(days), max(days)) if days else ()


def _days_of(desk: Desk, build: str) -> list[int]:
    try:
        said = desk.ledger.detail(int(build.rpartition(":")[2]))
    except ShreddedError as error:
        raise DeniedError(
            "the ledger no longer tells of which days these features are",
            rule="label.days",
            fix="build the features again",
        ) from error
    days: list[int] = said["detail"]["days"]
    return days
