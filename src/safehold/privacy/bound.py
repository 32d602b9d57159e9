"""One person's share of a figure: cut to the template, then added up.

Holds: whatever a query returned for one person, taking all of it away moves the added-up numbers by no more than
``sensitivity`` says, in the norm it says. Every other person's share is the same, since it is made from their rows
alone. Doesn't: that putting something else in their place moves them as little. That is taking away and adding, so by
at most twice as much, and worth two epsilon.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.privacy.template import MICRO, Template, is_key

Cell = tuple[str, int]  # a key, and a bin of it
LARGEST: Final = 2**62  # sums are cut there; cutting moves nothing further apart


@dataclass(frozen=True, slots=True)
class Share:
    """What one person adds, as whole numbers.

    Args:
        values: Values in steps under each key, at most ``rows`` of at most ``groups`` keys. For a histogram the
            number of the bin; zero where a release looks at no value.
    """

    values: Mapping[str, tuple[int, ...]]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that this person counts under."""
        return tuple(self.values)


def bound_share(template: Template, keys: Sequence[Any], values: Sequence[Any]) -> Share:
    """Return what one person adds of what a query returned for them; the first rows count, the rest does not.

    Args:
        template: What was declared.
        keys: Key of each row; a row whose key is not one counts as nothing.
        values: Value of each row; a row without a finite one counts as nothing, if the template looks at values.
    """
    kept: dict[str, list[int]] = {}
    public = None if template.thresholded else frozenset(template.keys)
    for key, value in zip(keys, values, strict=False):
        name = key if template.grouped else ""
        if template.grouped and (not is_key(name) or (public is not None and name not in public)):
            continue
        whole = _whole(template, value)
        if whole is None:
            continue
        if name not in kept:
            if len(kept) == template.groups:
                continue
            kept[name] = []
        if len(kept[name]) < template.rows:
            kept[name].append(whole)
    return Share({name: tuple(found) for name, found in kept.items()})


def _whole(template: Template, value: Any) -> int | None:
    """Return a value in steps or as a bin, or nothing for what counts as nothing."""
    if template.release in ("people", "events"):
        return 0
    if type(value) not in (int, float) or (type(value) is float and not math.isfinite(value)):
        return None
    if template.release == "histogram":
        place = bisect_right([edge / MICRO for edge in template.edges], value) - 1
        return place if 0 <= place < template.bins else None
    low, high = template.low, template.high
    if value <= low * template.step / MICRO:
        return low
    if value >= high * template.step / MICRO:
        return high
    whole = round(value * MICRO / template.step)
    return min(high, max(low, int(whole)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One list of whole numbers that noise is added to.

    Args:
        name: What it measures.
        cells: What each number is about.
        numbers: The numbers before noise.
        sensitivity: How far one person moves them: the sum of all moves, or for ``scores`` the largest.
    """

    name: str
    cells: tuple[Cell, ...]
    numbers: tuple[int, ...]
    sensitivity: int


def count_people(template: Template, keys: Sequence[str], shares: Iterable[Share]) -> Measure:
    """Return how many people have a row under each key; one person counts once under each of theirs."""
    found = dict.fromkeys(keys, 0)
    for share in shares:
        for key in share.keys:
            if key in found:
                found[key] += 1
    return Measure(
        name="people",
        cells=tuple((key, 0) for key in keys),
        numbers=tuple(found.values()),
        sensitivity=template.groups,
    )


def count_rows(template: Template, keys: Sequence[str], shares: Iterable[Share]) -> Measure:
    """Return how many rows there are in each cell: under each key, or in each bin of it."""
    bins = template.bins
    cells = [(key, place) for key in keys for place in range(bins)]
    found = dict.fromkeys(cells, 0)
    for share in shares:
        for key, values in share.values.items():
            for value in values:
                cell = (key, value if template.release == "histogram" else 0)
                if cell in found:
                    found[cell] += 1
    return Measure(
        name="rows",
        cells=tuple(cells),
        numbers=tuple(found.values()),
        sensitivity=template.groups * template.rows,
    )


def sum_values(
    template: Template, keys: Sequence[str], shares: Iterable[Share], *, about: int
) -> Measure:
    """Return the sum of the values under each key, in steps, each taken about a fixed point.

    Args:
        template: What was declared.
        keys: Keys.
        shares: Everybody's.
        about: What is taken away from each value, in steps.
    """
    found = dict.fromkeys(keys, 0)
    for share in shares:
        for key, values in share.values.items():
            if key in found:
                found[key] += sum(value - about for value in values)
    largest = max(abs(template.low - about), abs(template.high - about))
    return Measure(
        name="sum",
        cells=tuple((key, 0) for key in keys),
        numbers=tuple(max(-LARGEST, min(LARGEST, one)) for one in found.values()),
        sensitivity=template.groups * template.rows * largest,
    )


def score_candidates(template: Template, key: str, shares: Iterable[Share]) -> Measure:
    """Return how badly each step between the bounds splits the values under one key; zero is best.

    The score of a candidate is |(1 - q) below - q above| in millionths: Smith, "Privacy-preserving statistical
    estimation with optimal convergence rates" (2011). One row moves it by at most max(q, 1 - q).
    """
    width = template.high - template.low + 1
    counts = [0] * width
    for share in shares:
        for value in share.values.get(key, ()):
            counts[value - template.low] += 1
    total, below, at = sum(counts), 0, template.at_ppm
    scores = []
    for count in counts:
        above = total - below - count
        scores.append(abs((MICRO - at) * below - at * above))
        below += count
    return Measure(
        name="scores",
        cells=tuple((key, step) for step in range(width)),
        numbers=tuple(scores),
        sensitivity=template.rows * max(at, MICRO - at),
    )


def meet_keys(shares: Iterable[Share]) -> dict[str, int]:
    """Return how many people have each key; of keys that are found in the data."""
    found: dict[str, int] = {}
    for share in shares:
        for key in share.keys:
            found[key] = found.get(key, 0) + 1
    return found
