"""May these streams be joined at all? Judged of both houses' data before a grant is looked at or a line is opened."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from safehold.charter import Charter
from safehold.charter.redline import forms
from safehold.errors import DeniedError, InvalidError, RedLineError
from safehold.keeper.terms import sources_of
from safehold.telemetry.stream import STREAM_TO_WHAT, STREAMS

STAGE: Final = "private_join"
RELEASE: Final = "dp_aggregate"


def check_together(
    charter: Charter, purpose: str, *, mine: Collection[str], theirs: Collection[str]
) -> None:
    """Pass if a purpose of the charter joins the data of this house with that of the others, privately.

    A red line that keeps a silo from telemetry bends for nobody: a joint figure is no table, and so it may be of both
    where the charter has a purpose *from both* with the stage of private joins. Anything beyond that purpose's list
    crosses the line.

    Raises:
        RedLineError: A silo would be joined with telemetry that no such purpose names.
        DeniedError: The purpose has no private joins, releases no noisy figures, or does not name a stream.
        InvalidError: There is no such stream.
    """
    together = frozenset(mine) | frozenset(theirs)
    if not mine or not theirs or not together <= frozenset(STREAMS):
        raise InvalidError(
            "a join is of streams of this house and of the other",
            field="beside",
            rule="join.streams",
            fix=", ".join(STREAMS),
        )
    stated = charter.purpose(purpose)
    named = sources_of(charter, purpose)
    if not together <= named or STAGE not in stated.stages:
        _check_beside(charter, together)
    if not together <= named:
        raise DeniedError(
            "this purpose is not from all of these streams",
            rule="purpose.from",
            fix="safehold charter show",
        )
    if STAGE not in stated.stages:
        raise DeniedError("this purpose joins nothing", rule="purpose.stages")
    if RELEASE not in stated.releases:
        raise DeniedError("this purpose releases no noisy figures", rule="purpose.releases")


def _check_beside(charter: Charter, together: frozenset[str]) -> None:
    items = {item.what: item for item in charter.collect}
    found = [items[what] for one in together if (what := STREAM_TO_WHAT[one]) in items]
    silos = {one.minimise.silo for one in found} - {None}
    outside = len(found) < len(together) or any(one.minimise.silo is None for one in found)
    for line in map(forms, charter.red_lines):
        if outside and not silos.isdisjoint(line.forbid_beside):
            raise RedLineError(
                line.plain or line.rule or line.id,
                rule=f"charter.red_line.{line.id}",
                fix="nobody can lift this; no approval will",
            )


def least_of(charter: Charter, purpose: str) -> int:
    """Return the fewest people that a joint figure is about: of the purpose, and of every red line.

    Raises:
        DeniedError: The purpose may release nothing.
    """
    privacy = charter.purpose(purpose).privacy
    if privacy is None:
        raise DeniedError("this purpose may release nothing", rule="purpose.privacy")
    lines = [line.min_people for line in map(forms, charter.red_lines)]
    return max(privacy.min_people, *(least for least in lines if least is not None), 1)
