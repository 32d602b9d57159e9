"""The least sandbox that data needs, which follows from more than one field of a charter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

from safehold.charter.difference.change import WIDER, Change
from safehold.charter.difference.words import Said
from safehold.charter.model import Charter
from safehold.charter.vocabulary import ASSURANCE, DERIVED


def weaker_sandboxes(old: Charter, new: Charter, told: Iterable[Change]) -> Iterator[Change]:
    """Yield what may be used in a weaker sandbox though no field by itself says so.

    The least sandbox follows from sensitivity *and* from ``assurance``, and what is derived follows the most
    sensitive thing that is collected: to stop collecting that loosens it.

    Args:
        old: The charter before.
        new: The charter after.
        told: What the fields say by themselves.
    """
    said = [change.clause for change in told if change.side == WIDER]
    found: list[tuple[str, ...]] = []
    for kinds, level in _sandboxes(old, new).items():
        lower = _sandbox(new, kinds)
        clause = "assurance" if DERIVED in kinds else f"collect.{kinds[0]}.sensitivity"
        known = any(one == clause or one.startswith("assurance") for one in said)
        if lower < level and not known and not any(set(kinds) >= set(one) for one in found):
            found.append(kinds)
            yield Change(
                clause=clause,
                side=WIDER,
                message="sandbox.wider",
                said=(
                    ("what", Said("what", kinds)),
                    ("old", Said("level", (ASSURANCE[level],))),
                    ("new", Said("level", (ASSURANCE[lower],))),
                ),
            )


def _sandboxes(old: Charter, new: Charter) -> dict[tuple[str, ...], int]:
    """Return the least sandbox of each kind of data that both collect, of any two together, of the derived.

    Two suffice: the most sensitive of any set before, and the most sensitive of it after, are two at most.
    """
    kept = {item.what for item in new.collect}
    kinds = [item.what for item in old.collect if item.what in kept]
    together = [(DERIVED,), *((one,) for one in kinds), *combinations(kinds, 2)]
    return {some: _sandbox(old, some) for some in together}


def _sandbox(charter: Charter, kinds: Iterable[str]) -> int:
    """Return the least sandbox level for some data, as access and keeper look it up."""
    sensitivity = {item.what: item.sensitivity for item in charter.collect}
    sensitivity[DERIVED] = max(sensitivity.values(), default=1)
    return charter.assurance.least(max(sensitivity[what] for what in kinds))
