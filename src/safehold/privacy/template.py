"""The closed list of noisy figures, and what one person may add to each.

A template is all that a figure's sensitivity follows from. It is declared before anything is opened, is covered by
the hash of its query, and says how many keys one person counts under, how many rows they have under each, and between
which bounds a value lies. What a query returns is cut to that, person by person (``bound``); nothing in a query can
widen it.

1. Numbers are whole: values lie on a grid of ``step``, and noise is added to whole numbers of steps.
2. Keys are public, written here, or they are found in the data and shown only above a threshold, which costs delta.
3. A template takes no seed, and no plan, scale or sensitivity of whoever asks.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any, Final, Literal, get_args

from safehold.errors import InvalidError

Release = Literal["people", "events", "sum", "mean", "histogram", "quantile"]
RELEASES: Final = get_args(Release)
THRESHOLDED: Final = "thresholded"
MICRO: Final = 1_000_000
MOST_KEYS: Final = 200
MOST_GROUPS: Final = 20
MOST_ROWS: Final = 10_000
MOST_BINS: Final = 200
MOST_STEPS: Final = 2**31  # of a value, from zero
MOST_CANDIDATES: Final = 1_000
LONGEST_KEY: Final = 64
MOST_EPSILON: Final = 20_000_000
MOST_DELTA: Final = 10**10  # in 10^-12: one hundredth
VALUED: Final = frozenset({"sum", "mean", "quantile"})
_KEYS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset({"release", "epsilon", "delta", "keys", "groups", "rows"}) | more
    for name, more in {
        "people": frozenset(),
        "events": frozenset(),
        "sum": frozenset({"low", "high", "step"}),
        "mean": frozenset({"low", "high", "step"}),
        "histogram": frozenset({"edges"}),
        "quantile": frozenset({"low", "high", "step", "at"}),
    }.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """One noisy figure, or one for each key.

    Args:
        release: Which.
        epsilon_micro: What it costs, epsilon in millionths.
        delta_e12: What it costs, delta in 10^-12; above zero with thresholded keys, zero without.
        keys: Public keys; one that is empty where there are none.
        thresholded: Keys are found in the data; ``keys`` is empty then.
        groups: Most different keys one person counts under.
        rows: Most rows of one person under one key.
        low: Least value, in steps.
        high: Largest value, in steps.
        step: One step, in millionths.
        edges: Edges of a histogram's bins, ascending, in millionths.
        at_ppm: Which quantile, in millionths.
    """

    release: Release
    epsilon_micro: int
    delta_e12: int = 0
    keys: tuple[str, ...] = ("",)
    thresholded: bool = False
    groups: int = 1
    rows: int = 1
    low: int = 0
    high: int = 0
    step: int = MICRO
    edges: tuple[int, ...] = ()
    at_ppm: int = 500_000

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("epsilon", self.epsilon_micro, 1, MOST_EPSILON),
            ("delta", self.delta_e12, 0, MOST_DELTA),
            ("groups", self.groups, 1, MOST_GROUPS),
            ("rows", self.rows, 1, MOST_ROWS),
            ("low", self.low, -MOST_STEPS, MOST_STEPS),
            ("high", self.high, -MOST_STEPS, MOST_STEPS),
            ("step", self.step, 1, 2**53),
            ("at", self.at_ppm, 0, MICRO),
        ):
            if type(value) is not int or not least <= value <= most:
                raise _wrong(name, "out of range")
        if self.release not in RELEASES:
            raise _wrong("release", f"one of {', '.join(RELEASES)}")
        self._check_keys()
        if self.release in VALUED and self.low >= self.high:
            raise _wrong("low", "it lies below high")
        if self.release == "quantile" and self.high - self.low >= MOST_CANDIDATES:
            raise _wrong("step", f"at most {MOST_CANDIDATES} steps between low and high")
        if self.release == "histogram" and not 2 <= len(self.edges) <= MOST_BINS + 1:
            raise _wrong("edges", f"from 2 to {MOST_BINS + 1} of them")
        if list(self.edges) != sorted(set(self.edges)):
            raise _wrong("edges", "each above the one before")

    def _check_keys(self) -> None:
        if self.thresholded:
            if self.keys or not self.delta_e12:
                raise _wrong("delta", "thresholded keys cost some delta")
            return
        if self.delta_e12:
            raise _wrong("delta", "only thresholded keys cost delta")
        if not 1 <= len(self.keys) <= MOST_KEYS or len(set(self.keys)) != len(self.keys):
            raise _wrong("keys", f"at most {MOST_KEYS} different ones")
        if self.keys != ("",) and not all(map(is_key, self.keys)):
            raise _wrong("keys", f"printable, of at most {LONGEST_KEY} characters")
        if self.groups > len(self.keys):
            raise _wrong("groups", "no more than there are keys")

    @property
    def grouped(self) -> bool:
        """Whether there is a figure for each key."""
        return self.thresholded or self.keys != ("",)

    @property
    def middle(self) -> int:
        """The middle of the bounds, in steps: what a mean is taken about."""
        return (self.low + self.high) // 2

    @property
    def bins(self) -> int:
        """How many cells each key has."""
        return len(self.edges) - 1 if self.release == "histogram" else 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Template:
        """Read what ``to_json`` made."""
        lists = {name: tuple(tree[name]) for name in ("keys", "edges")}
        return cls(**{**tree, **lists})

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Template:
        """Read a template as people write it: epsilon, bounds and edges as numbers of the data.

        Raises:
            InvalidError: An unknown key, or a number out of its range; ``field`` says which.
        """
        release = given.get("release")
        if not isinstance(release, str) or release not in _KEYS:
            raise _wrong("release", f"one of {', '.join(RELEASES)}")
        if unknown := sorted(given.keys() - _KEYS[release]):
            raise _wrong(unknown[0], f"{release} has no such setting")
        rest: dict[str, Any] = {name: given[name] for name in ("groups", "rows") if name in given}
        if release in VALUED:
            step = _micro(given, "step")
            if step < 1:
                raise _wrong("step", "above zero")
            low, high = (_micro(given, name) for name in ("low", "high"))
            if low % step or high % step:
                raise _wrong("step", "low and high are whole numbers of steps")
            rest |= {"step": step, "low": low // step, "high": high // step}
        if release == "quantile":
            rest["at_ppm"] = _micro(given, "at")
        if release == "histogram":
            edges = given.get("edges")
            if not isinstance(edges, list):
                raise _wrong("edges", "a list of numbers")
            rest["edges"] = tuple(_micro({"edges": edge}, "edges") for edge in edges)
        return cls(
            release=release,  # type: ignore[arg-type]
            epsilon_micro=_micro(given, "epsilon"),
            delta_e12=_whole(given.get("delta", 0), "delta", 10**12),
            **_keys(given.get("keys")),
            **rest,
        )


def is_key(text: Any) -> bool:
    """Return whether a text may stand as the name of a group in an answer."""
    return isinstance(text, str) and 1 <= len(text) <= LONGEST_KEY and text.isprintable()


def _keys(given: Any) -> dict[str, Any]:
    if given is None:
        return {}
    if given == THRESHOLDED:
        return {"keys": (), "thresholded": True}
    if not isinstance(given, list) or not given or not all(isinstance(one, str) for one in given):
        raise _wrong("keys", f'a list of words, or "{THRESHOLDED}"')
    return {"keys": tuple(given)}


def _micro(given: Mapping[str, Any], name: str) -> int:
    if name not in given:
        raise _wrong(name, "it must be stated")
    return _whole(given[name], name, MICRO)


def _whole(value: Any, name: str, scale: int) -> int:
    """Return a number in whole parts; the decimal that was written, not the binary one nearest to it."""
    if type(value) not in (int, float) or not math.isfinite(value):
        raise _wrong(name, "a number")
    exact = Fraction(str(value)) * scale
    if exact.denominator != 1 or abs(exact) > 2**62:
        raise _wrong(name, "too fine, or too large")
    return int(exact)


def _wrong(field: str, words: str) -> InvalidError:
    return InvalidError(
        f"{field}: {words}",
        field=field,
        rule="privacy.template",
        fix="see the reference of templates: docs/reference/sql.md",
    )
