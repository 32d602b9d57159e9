"""Noise on whole numbers, drawn by OpenDP; the one file that imports it.

Every mechanism here is discrete: the numbers are whole, and so is the noise (Canonne, Kamath and Steinke 2020), so no
rounding of a floating-point number gives the noise away (Mironov 2012). It is drawn from the operating system; there
is no argument for a seed. What OpenDP's own privacy map says of each mechanism must not be above what was charged, or
nothing is released.

Unvetted parts of OpenDP must be asked for by name; this asks for ``contrib``, which all of its measurements need.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, Final, Protocol

from safehold.errors import SafeholdError, UnavailableError
from safehold.privacy.template import MICRO

E12: Final = 10**12


class Mechanism(Protocol):
    """Where noise comes from. Tests pass another one to see what comes before it; no caller can."""

    def add(
        self, numbers: Sequence[int], *, sensitivity: int, epsilon_micro: int
    ) -> tuple[list[int], float]:
        """Return the numbers with noise, and the noise's scale."""
        ...

    def choose(self, scores: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> int:
        """Return the place of a score that is about the least."""
        ...

    def find(
        self,
        counts: Mapping[str, int],
        *,
        groups: int,
        least: int,
        epsilon_micro: int,
        delta_e12: int,
    ) -> dict[str, int]:
        """Return the keys whose count, with noise, is above a threshold, and that count."""
        ...


class OpenDP:
    """OpenDP's measurements.

    Raises:
        UnavailableError: It is not installed.
    """

    def __init__(self) -> None:
        try:
            import opendp.prelude as dp  # noqa: PLC0415  (a third of a second; only a release needs it)
        except ImportError as error:
            raise UnavailableError(
                "the library that draws the noise is not installed",
                rule="privacy.opendp",
                fix="pip install 'safehold[sql]'",
            ) from error
        dp.enable_features("contrib")
        self._dp: Any = dp

    def add(
        self, numbers: Sequence[int], *, sensitivity: int, epsilon_micro: int
    ) -> tuple[list[int], float]:
        """Return whole numbers with discrete Laplace noise, and its scale.

        Args:
            numbers: One list, released as a whole.
            sensitivity: How far one person moves it, all moves added up (L1).
            epsilon_micro: Epsilon in millionths.
        """
        dp = self._dp
        space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.l1_distance(T=dp.i64)

        def make(scale: float) -> Any:
            return dp.m.make_laplace(*space, scale=scale)

        scale = _least_scale(make, sensitivity, epsilon_micro)
        return [int(one) for one in make(scale)(list(numbers))], scale

    def choose(self, scores: Sequence[int], *, sensitivity: int, epsilon_micro: int) -> int:
        """Return the place of the least score, by permute-and-flip (McKenna and Sheldon 2020).

        Args:
            scores: One a candidate.
            sensitivity: How far one person moves any of them (L-infinity).
            epsilon_micro: Epsilon in millionths.
        """
        dp = self._dp
        space = dp.vector_domain(dp.atom_domain(T=dp.i64)), dp.linf_distance(T=dp.i64)

        def make(scale: float) -> Any:
            return dp.m.make_noisy_max(*space, dp.max_divergence(), scale=scale, negate=True)

        return int(make(_least_scale(make, sensitivity, epsilon_micro, factor=2))(list(scores)))

    def find(
        self,
        counts: Mapping[str, int],
        *,
        groups: int,
        least: int,
        epsilon_micro: int,
        delta_e12: int,
    ) -> dict[str, int]:
        """Return keys that many people have, found above a threshold (stability-based, with delta).

        Args:
            counts: People by key.
            groups: Most keys that one person has.
            least: No key is shown whose count with noise is below.
            epsilon_micro: Epsilon in millionths.
            delta_e12: Delta in 10^-12.
        """
        dp = self._dp
        space = (
            dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T=dp.i64)),
            dp.l01inf_distance(dp.absolute_distance(T=dp.i64)),
        )
        one = (groups, groups, 1)  # keys, all moves added up, largest move
        scale = groups * MICRO / epsilon_micro * (1 + 1e-9)
        threshold = max(1, least)
        while True:
            measurement = dp.m.make_laplace_threshold(*space, scale=scale, threshold=threshold)
            epsilon, delta = measurement.map(one)
            if Fraction(epsilon) > Fraction(epsilon_micro, MICRO):
                raise _unconfirmed()
            if Fraction(delta) <= Fraction(delta_e12, E12):
                break
            threshold += max(1, math.ceil(scale / 4))
        return {str(key): int(count) for key, count in measurement(dict(counts)).items()}


def _least_scale(
    make: Callable[[float], Any], sensitivity: int, epsilon_micro: int, *, factor: int = 1
) -> float:
    """Return a scale that OpenDP's own map confirms, to a few parts in 10^12 of the least one."""
    promise = Fraction(epsilon_micro, MICRO)
    scale = factor * sensitivity * MICRO / epsilon_micro
    for _ in range(64):
        if Fraction(make(scale).map(sensitivity)) <= promise:
            return scale
        scale *= 1 + 1e-12
    raise _unconfirmed()


def _unconfirmed() -> SafeholdError:
    return SafeholdError("no noise was found that keeps the promise", rule="privacy.opendp.map")
