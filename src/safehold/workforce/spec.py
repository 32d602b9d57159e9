"""What to make, and where its randomness comes from.

Every person-day is drawn alone: the entropy is the seed, the spawn key is (person, day, part). So a
person-day has the same bytes whoever asks for it, in any order, in a run of any size.

What is added later gets a part of its own, and an edition: the streams of an edition keep their bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import numpy as np

from safehold.errors import InvalidError

# parts of a person-day (last element of the spawn key)
PLAN: Final = 0
KEYS: Final = 1
POINTER: Final = 2
CLOCK: Final = 3
PLANTS: Final = 4
PERSON: Final = 5
TRAITS: Final = 6
SPEECH: Final = 7
METRIC: Final = 8
SCREEN: Final = 9
LIFE: Final = 10
COMPOSE: Final = 11
TRACE: Final = 12

FIRST: Final = 1  # keys, pointer, chat, assistant, windows
WHOLE: Final = (
    2  # besides: meetings, metrics, screens, input methods, links, and what happens to people
)

# (people, days, key and pointer events of a person a day)
SIZES: Final = {
    "tiny": (5, 1, 3_200),
    "small": (50, 5, 3_200),
    "bench": (1_000, 1, 178_000),
}

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """Describe a made-up company.

    Args:
        people: Number of people on the roster.
        days: Number of consecutive days.
        start_day: First day, as a UTC day number (days since 1970-01-01).
        seed: Entropy of everything; the same seed makes the same company.
        pace: Key and pointer events a person makes per day, on average.
        edition: ``FIRST`` (five streams) or ``WHOLE`` (all of them, and a life besides the work).
    """

    people: int
    days: int
    start_day: int
    seed: int = 1
    pace: int = 3_200
    edition: int = FIRST

    def __post_init__(self) -> None:
        for name, least, most in (
            ("people", 1, 1_000_000),
            ("days", 1, 3_660),
            ("start_day", 0, 200_000),
            ("seed", 0, 2**63 - 1),
            ("pace", 200, 1_000_000),
            ("edition", FIRST, WHOLE),
        ):
            if not least <= getattr(self, name) <= most:
                raise InvalidError(
                    f"The workforce cannot be made: {name} must be {least} to {most}",
                    rule="workforce.spec",
                    field=name,
                )

    @classmethod
    def from_spec(cls, raw: dict[str, Any]) -> Spec:
        """Read a spec back from its JSON form; unknown names are refused.

        Raises:
            InvalidError: A field is missing, unknown or not a whole number.
        """
        unknown = set(raw) - set(cls.__slots__)
        if unknown or any(type(value) is not int for value in raw.values()):
            raise InvalidError("The workforce spec takes whole numbers only", rule="workforce.spec")
        try:
            return cls(**raw)
        except TypeError as error:
            raise InvalidError("The workforce spec lacks a field", rule="workforce.spec") from error

    def to_spec(self) -> dict[str, int]:
        """Return the JSON form, which ``from_spec`` reads."""
        return {
            "people": self.people,
            "days": self.days,
            "start_day": self.start_day,
            "seed": self.seed,
            "pace": self.pace,
            "edition": self.edition,
        }

    @classmethod
    def sized(cls, size: str, *, start_day: int, seed: int = 1) -> Spec:
        """Return a whole company of one of the agreed sizes.

        Args:
            size: ``tiny`` (5 people, 1 day), ``small`` (50, 5) or ``bench`` (1,000, 1, at the full
                rate of a recorder that thins out nothing).
            start_day: First day, as a UTC day number.
            seed: Entropy of everything.

        Raises:
            InvalidError: There is no such size.
        """
        if size not in SIZES:
            raise InvalidError(
                "There is no such size of a workforce", rule="workforce.spec", fix=", ".join(SIZES)
            )
        people, days, pace = SIZES[size]
        return cls(
            people=people, days=days, start_day=start_day, seed=seed, pace=pace, edition=WHOLE
        )


def generator(seed: int, *key: int) -> np.random.Generator:
    """Return the generator of one part; equal keys give equal streams of numbers."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=key)))


class Draw:
    """Deal uniform numbers one at a time from blocks, which is cheap in a loop.

    Args:
        source: Where the numbers come from.
    """

    __slots__ = ("_block", "_source")

    def __init__(self, source: np.random.Generator) -> None:
        self._source = source
        self._block: list[float] = []

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        if not self._block:
            self._block = self._source.random(512).tolist()
        return self._block.pop()

    def whole(self, low: int, high: int) -> int:
        """Return a whole number from ``low`` to ``high``, both included."""
        return low + int(self.unit() * (high - low + 1))

    def pick(self, items: Sequence[_Item]) -> _Item:
        """Return one of ``items``, each as likely as the others."""
        return items[int(self.unit() * len(items))]

    def weigh(self, items: Sequence[_Item], cumulative: Sequence[float]) -> _Item:
        """Return one of ``items`` by cumulative weights that end at 1."""
        at = self.unit()
        for item, edge in zip(items, cumulative, strict=True):
            if at < edge:
                return item
        return items[-1]

    def digits(self, count: int) -> str:
        """Return ``count`` decimal digits, the first not zero."""
        return str(self.whole(10 ** (count - 1), 10**count - 1))

    def normal(self) -> float:
        """Return a standard normal number."""
        return float(self._source.standard_normal())
