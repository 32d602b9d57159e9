"""One envelope on its way in: what it holds, what became of it, and what a failure says about it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa

from safehold.access.envelope import LATER, REFUSED
from safehold.access.lease import Lease
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.arrival import Arrival, Tally

# what is answered otherwise once it is asked again
PASSING: Final = frozenset({"catalog.part", "vault.key"})
# what fails for all of a batch, whoever is in it
NOBODYS: Final = frozenset(
    {"charter.changed", "lease.charter", "lease.rules", "oversight.stop", "sandbox.level", "sandbox.recipe",
     "sandbox.start"}
)  # fmt: skip


@dataclass(slots=True)
class Outcome:
    """What became of one envelope.

    Args:
        state: ``stored``, ``already``, ``refused``, or ``later``: try again.
        tally: What was counted in it.
        error: Why not, where it was not taken.
    """

    state: str
    tally: Tally = field(default_factory=dict)
    error: SafeholdError | None = None

    def payload(self) -> dict[str, Any]:
        """Return it as it is answered: a rule, never what is inside."""
        if self.error is None:
            return {"state": self.state, "tally": self.tally}
        return {"state": self.state, "rule": self.error.rule or self.error.code}


@dataclass(slots=True, kw_only=True)
class Part:
    """One opened envelope on its way in."""

    name: str
    lease: Lease
    stream: str
    body: bytes
    arrivals: list[Arrival] = field(default_factory=list)
    tally: Tally | None = None
    refused: str = ""
    malformed: bool = False  # for its form alone
    oldest: int = 0  # day of the oldest row of what is malformed


def part_of(parts: Sequence[Part], number: int) -> Part:
    """Return the part that a sandbox speaks of; it speaks once of each.

    Raises:
        TamperedError: There is none, or it has spoken of it.
    """
    if number >= len(parts) or parts[number].refused or parts[number].tally is not None:
        raise TamperedError("an envelope that was not handed over", rule="ingest.frames")
    return parts[number]


def join_arrivals(arrivals: Sequence[Arrival]) -> tuple[Arrival, ...]:
    """Return rows of one person, stream and day as one: a block each, however many envelopes they came in."""
    together: dict[tuple[str, str, int], list[Arrival]] = {}
    for one in arrivals:
        together.setdefault((one.person, one.stream, one.window), []).append(one)
    return tuple(row for some in together.values() for row in _as_one(some))


def _as_one(some: Sequence[Arrival]) -> Sequence[Arrival]:
    if len(some) == 1:
        return some
    try:
        table = pa.concat_tables([one.table for one in some]).unify_dictionaries().combine_chunks()
    except pa.ArrowException:  # more words than one dictionary holds
        return some
    extents = tuple(extent for one in some for extent in one.extents)
    return [replace(some[0], table=table, extents=extents)]


def name_batch(parts: Sequence[Part]) -> str:
    """Return the id of the source that some envelopes make."""
    whole = hashlib.sha256(b"safehold.batch\0")
    for one in parts:
        whole.update(bytes.fromhex(one.name))
    return whole.hexdigest()


def may_be_of_one(error: SafeholdError) -> bool:
    """Tell whether something may have failed for one envelope alone: not where a part of the keeper is away."""
    if error.rule in NOBODYS:
        return False
    if isinstance(error, UnavailableError):
        return (error.rule or "").startswith("sandbox.")
    # of whoever is being erased something is missing already
    of_one = isinstance(error, InvalidError | TamperedError | DeniedError | MissingError)
    return of_one or isinstance(error, ShreddedError) or error.rule in PASSING


def another_agreement() -> DeniedError:
    """Return what is said of a lease under another charter than is in force."""
    return DeniedError(
        "the lease is for another agreement", rule="lease.charter", fix="obtain a new lease"
    )


def failed(error: SafeholdError) -> Outcome:
    """Return the outcome of an envelope that was not taken; what is away or went wrong otherwise may be tried again."""
    final = isinstance(error, InvalidError | TamperedError | DeniedError | ConflictError)
    final = final and error.rule not in PASSING
    gone = error.code in ("missing", "shredded")
    return Outcome(REFUSED if final or gone else LATER, error=error)
