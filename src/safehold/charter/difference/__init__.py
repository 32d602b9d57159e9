"""What becomes possible and what ends from one charter to the next, computed from what they compile to.

>>> from safehold import charter
>>> from safehold.charter.difference import compare
>>> promise = charter.load(charter.shipped("example"))
>>> compare(promise, promise).direction
'same'
"""

from __future__ import annotations

from safehold.charter.difference.change import NARROWER, WIDER, Cell, Change, Difference
from safehold.charter.difference.walk import changes
from safehold.charter.model import Charter


def compare(old: Charter | None, new: Charter) -> Difference:
    """Return the difference from one charter to the next.

    Args:
        old: The charter before; none for the first, of which everything is new.
        new: The charter after.

    Raises:
        InvalidError: One of them does not compile.
    """
    found = (
        tuple(changes(old, new))
        if old is not None
        else (Change(clause="", side=WIDER, message="first"),)
    )
    return Difference(
        old=None if old is None else (old.version, old.digest()),
        new=(new.version, new.digest()),
        allowed=tuple(change for change in found if change.side == WIDER),
        denied=tuple(change for change in found if change.side == NARROWER),
    )


__all__ = ["Cell", "Change", "Difference", "compare"]
