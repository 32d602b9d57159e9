"""What becomes possible and what ends from one charter to the next, computed from what they compile to.

>>> from safehold import charter
>>> from safehold.charter.difference import compare
>>> promise = charter.load(charter.shipped("example"))
>>> compare(promise, promise).direction
'same'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from safehold.charter.compile import compile as compile_charter
from safehold.charter.difference.change import NARROWER, WIDER, Cell, Change, Difference
from safehold.charter.difference.reach import disagreement, tell
from safehold.charter.difference.sandbox import weaker_sandboxes
from safehold.charter.difference.walk import board_changes, changes, first
from safehold.charter.difference.watch import watch_changes
from safehold.charter.model import Charter


def compare(old: Charter | None, new: Charter) -> Difference:
    """Return the difference from one charter to the next.

    Args:
        old: The charter before; none for the first, of which everything is new.
        new: The charter after.

    Raises:
        InvalidError: One of them does not compile.
    """
    before, after = None if old is None else compile_charter(old), compile_charter(new)
    if old is None:
        fields = [*first(new)]
    else:
        fields = [*changes(old, new)]
        fields += weaker_sandboxes(old, new, tuple(fields))
        fields += board_changes(fields)
    found = tell(fields, old, new, disagreement(before, after))
    if before is None or before.cedar != after.cedar:
        # z3 takes 60 ms to load, and most commands never compare
        from safehold.charter.difference.agree import untold  # noqa: PLC0415

        found += untold(before, after, _cells(found, WIDER), _cells(found, NARROWER))
    if old is not None:
        found = [*watch_changes(old, new, found), *found]
    if not found and (old is None or replace(old, version=new.version).digest() != new.digest()):
        # what no order and no policy can name is still a change
        found = [Change(clause="charter", side=WIDER, message="any.order")]
    return Difference(
        old=None if old is None else (old.version, old.digest()),
        new=(new.version, new.digest()),
        allowed=tuple(change for change in found if change.side == WIDER),
        denied=tuple(change for change in found if change.side == NARROWER),
    )


def _cells(found: Iterable[Change], side: str) -> tuple[Cell, ...]:
    return tuple(cell for change in found if change.side == side for cell in change.cells)


__all__ = ["Cell", "Change", "Difference", "compare"]
