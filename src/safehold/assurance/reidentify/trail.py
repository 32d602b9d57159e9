"""The events of many people as an attacker sees them: what each shows, whose it is, and what is to be guessed."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WINDOW: Final = 48  # events an attacker looks at together: about one sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Events in order, of all people.

    Args:
        people: Names of the people; only their number leaves this package.
        person: Index into ``people`` of each event, non-decreasing within ``probe``.
        run: Number of the sitting; non-decreasing, one person's only.
        probe: Whether the event is of the part that is to be recognised; the others are enrolled.
        views: Labels of the event from fine to coarse: name to (number per event, words).
        numbers: Measurements, shape (n, k); NaN where the level tells none.
        names: Names of the measurements.
    """

    people: tuple[str, ...]
    person: Ints
    run: Ints
    probe: Bools
    views: dict[str, tuple[Ints, tuple[str, ...]]]
    numbers: Floats
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.person)

    def number(self, name: str) -> Floats:
        """Return one measurement."""
        column: Floats = self.numbers[:, self.names.index(name)]
        return column

    def has(self, name: str) -> bool:
        """Whether the level tells this measurement at all."""
        return name in self.names and not bool(np.isnan(self.number(name)).all())

    def take(self, kept: Bools) -> Trail:
        """Return the events that are kept, in the same order."""
        views = {name: (index[kept], words) for name, (index, words) in self.views.items()}
        cut = {
            item.name: getattr(self, item.name)[kept]
            for item in fields(self)
            if item.name in {"person", "run", "probe", "numbers"}
        }
        return replace(self, views=views, **cut)

    def capped(self, most: int | None) -> Trail:
        """Keep the first ``most`` events of each person in either part."""
        if most is None:
            return self
        part = self.person * 2 + self.probe
        return self.take(place_in(part) < most)

    def windows(self, length: int = WINDOW) -> Ints:
        """Number windows of up to ``length`` events of one sitting and one part, from 0, non-decreasing."""
        part = self.run * 2 + self.probe
        new = np.r_[True, part[1:] != part[:-1]] if len(part) else np.zeros(0, bool)
        start = np.maximum.accumulate(np.where(new, np.arange(len(part)), 0))
        place = np.arange(len(part)) - start
        # a short rest joins the window before it
        size = np.diff(np.append(np.flatnonzero(new), len(part)))
        many = np.maximum(size // length, 1)
        number = np.minimum(place // length, np.repeat(many, size) - 1)
        new[1:] |= number[1:] != number[:-1]
        whole: Ints = np.cumsum(new) - 1
        return whole


def place_in(group: Ints) -> Ints:
    """Return for each event how many of its group come before it."""
    order = np.argsort(group, kind="stable")
    sorted_ = group[order]
    new = np.r_[True, sorted_[1:] != sorted_[:-1]] if len(group) else np.zeros(0, bool)
    start = np.maximum.accumulate(np.where(new, np.arange(len(group)), 0))
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - start
    return place


def split_runs(person: Ints, run: Ints) -> Bools:
    """Tell which events are to be recognised: the later half of each person's sittings.

    Of two sittings the longer is enrolled; of one, its first half.

    Args:
        person: Person of each event.
        run: Sitting of each event, numbered over all people.
    """
    sittings, size = np.unique(run, return_counts=True)
    first = np.zeros(int(sittings.max(initial=0)) + 1, np.int64)
    first[run[::-1]] = np.arange(len(run))[::-1]
    owner = person[first[sittings]]
    probe = np.zeros(len(first), bool)
    alone = np.zeros(len(first), bool)
    for who in np.unique(owner):
        own = np.flatnonzero(owner == who)
        own = own[np.argsort(first[sittings[own]])]
        if len(own) == 1:
            alone[sittings[own]] = True
        elif len(own) == 2:
            probe[sittings[own[np.argmin(size[own])]]] = True
        else:
            probe[sittings[own[(len(own) + 1) // 2 :]]] = True
    halves = place_in(run) * 2 >= size[np.searchsorted(sittings, run)]
    return np.where(alone[run], halves, probe[run])
