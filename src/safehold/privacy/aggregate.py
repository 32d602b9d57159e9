"""A release of noisy figures: what is measured, what each part of epsilon buys, and how sure the figures are.

Every release also counts, with noise, the people behind each key. A key behind which that count finds fewer than the
purpose's least number of people is not told apart from one with nobody: its figure is withheld. That threshold comes
after the noise and replaces none of it.

Parts of epsilon add up to exactly what is charged (basic composition, in whole millionths).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.privacy.bound import (
    Measure,
    Share,
    count_people,
    count_rows,
    meet_keys,
    score_candidates,
    sum_values,
)
from safehold.privacy.mechanism import Mechanism, OpenDP
from safehold.privacy.template import MICRO, Template

CONFIDENCE: Final = 0.95
_NORMAL: Final = 1.959964  # of a normal distribution, both sides together 5 %
DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of an answer.

    Args:
        key: Under which key; empty where there are none.
        bin: Which bin of a histogram, in words; empty otherwise.
        value: The figure, or nothing where too few people are behind it.
        error: Standard error from the noise alone; nothing for a quantile.
        low: Lower end of the interval that the noise leaves, 95 %.
        high: Its upper end.
        people: People behind the key, with noise; nothing where too few are.
    """

    key: str
    bin: str
    value: float | None
    error: float | None
    low: float | None
    high: float | None
    people: int | None

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "key": self.key,
            "bin": self.bin,
            "value": self.value,
            "error": self.error,
            "low": self.low,
            "high": self.high,
            "people": self.people,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What is released.

    Args:
        figures: The figures.
        parts: Epsilon in millionths by what it bought; they add up to the charge.
    """

    figures: tuple[Figure, ...]
    parts: dict[str, int]


def split_epsilon(template: Template) -> dict[str, int]:
    """Return what each part of a release spends, in millionths; together exactly what is charged.

    Raises:
        InvalidError: The charge is too small to be split.
    """
    total = template.epsilon_micro
    parts: dict[str, int] = {"keys": total // 4} if template.thresholded else {}
    left = total - sum(parts.values())
    if template.release == "people":
        parts |= {"people": left}
    else:
        parts |= {"people": left // 5}
        left = total - sum(parts.values())
        if template.release == "mean":
            parts |= {"rows": left // 2, "sum": left - left // 2}
        else:
            parts |= {_BUYS[template.release]: left}
    if min(parts.values()) < 1 or parts.get("scores", template.groups) < template.groups:
        raise InvalidError("epsilon is too small", field="epsilon", rule="privacy.template")
    return parts


_BUYS: Final = {"events": "rows", "histogram": "rows", "sum": "sum", "quantile": "scores"}


def release_aggregate(
    template: Template, shares: Sequence[Share], *, least: int, mechanism: Mechanism | None = None
) -> Answer:
    """Return noisy figures over everybody's share.

    Args:
        template: What was declared, and charged.
        shares: One a person.
        least: Fewest people that a figure may be about.
        mechanism: Where the noise comes from; only tests pass another one.

    Raises:
        UnavailableError: What draws the noise is not installed.
    """
    draw = mechanism if mechanism is not None else OpenDP()
    parts = split_epsilon(template)
    keys = list(template.keys)
    if template.thresholded:
        found = draw.find(
            meet_keys(shares),
            groups=template.groups,
            least=least,
            epsilon_micro=parts["keys"],
            delta_e12=template.delta_e12,
        )
        keys = sorted(found)
    if not keys:
        return Answer(figures=(), parts=parts)
    people, scale = _add(draw, count_people(template, keys, shares), parts["people"])
    counted = {key: people[key, 0] for key in keys}
    shown = [key for key in keys if counted[key] >= least]
    figures = _measure(template, shares, keys, parts=parts, draw=draw, people=(counted, scale))
    return Answer(
        figures=tuple(one if one.key in shown else _withheld(one.key, one.bin) for one in figures),
        parts=parts,
    )


def _measure(
    template: Template,
    shares: Sequence[Share],
    keys: Sequence[str],
    *,
    parts: dict[str, int],
    draw: Mechanism,
    people: tuple[dict[str, int], float],
) -> list[Figure]:
    counted, scale = people
    match template.release:
        case "people":
            return [_counted(key, "", counted[key], scale, counted[key]) for key in keys]
        case "events" | "histogram":
            rows, scale = _add(draw, count_rows(template, keys, shares), parts["rows"])
            return [
                _counted(key, _bin(template, place), number, scale, counted[key])
                for (key, place), number in rows.items()
            ]
        case "sum":
            sums, scale = _add(draw, sum_values(template, keys, shares, about=0), parts["sum"])
            unit = template.step / MICRO
            return [
                _noisy(key, number * unit, scale=scale, unit=unit, people=counted[key])
                for (key, _), number in sums.items()
            ]
        case "mean":
            return _means(template, shares, keys, parts=parts, draw=draw, people=counted)
        case "quantile":
            each = parts["scores"] // template.groups  # a person may be under so many keys
            return [
                _chosen(template, score_candidates(template, key, shares), each, draw, counted[key])
                for key in keys
            ]


def _means(
    template: Template,
    shares: Sequence[Share],
    keys: Sequence[str],
    *,
    parts: dict[str, int],
    draw: Mechanism,
    people: dict[str, int],
) -> list[Figure]:
    rows, row_scale = _add(draw, count_rows(template, keys, shares), parts["rows"])
    centred = sum_values(template, keys, shares, about=template.middle)
    sums, sum_scale = _add(draw, centred, parts["sum"])
    unit, found = template.step / MICRO, []
    low, high = template.low * unit, template.high * unit
    for key in keys:
        count = max(1, rows[key, 0])
        off = sums[key, 0] / count
        value = min(high, max(low, (template.middle + off) * unit))
        error = math.hypot(deviation(sum_scale), off * deviation(row_scale)) / count * unit
        found.append(
            Figure(
                key=key,
                bin="",
                value=_round(value),
                error=_round(error),
                low=_round(max(low, value - _NORMAL * error)),
                high=_round(min(high, value + _NORMAL * error)),
                people=people[key],
            )
        )
    return found


def _chosen(
    template: Template, scores: Measure, epsilon_micro: int, draw: Mechanism, people: int
) -> Figure:
    place = draw.choose(scores.numbers, sensitivity=scores.sensitivity, epsilon_micro=epsilon_micro)
    key, step = scores.cells[place]
    value = _round((template.low + step) * template.step / MICRO)
    return Figure(key=key, bin="", value=value, error=None, low=None, high=None, people=people)


def _add(
    draw: Mechanism, measure: Measure, epsilon_micro: int
) -> tuple[dict[tuple[str, int], int], float]:
    noisy, scale = draw.add(
        measure.numbers, sensitivity=measure.sensitivity, epsilon_micro=epsilon_micro
    )
    return dict(zip(measure.cells, noisy, strict=True)), scale


def _counted(key: str, name: str, number: int, scale: float, people: int) -> Figure:
    found = _noisy(key, float(number), scale=scale, unit=1.0, people=people, name=name)
    return Figure(
        key=key,
        bin=name,
        value=max(0.0, float(number)),
        error=found.error,
        low=max(0.0, found.low or 0.0),
        high=max(0.0, found.high or 0.0),
        people=people,
    )


def _noisy(
    key: str, value: float, *, scale: float, unit: float, people: int, name: str = ""
) -> Figure:
    reach = half_width(scale) * unit
    return Figure(
        key=key,
        bin=name,
        value=_round(value),
        error=_round(deviation(scale) * unit),
        low=_round(value - reach),
        high=_round(value + reach),
        people=people,
    )


def _withheld(key: str, name: str) -> Figure:
    return Figure(key=key, bin=name, value=None, error=None, low=None, high=None, people=None)


def deviation(scale: float) -> float:
    """Return the standard deviation of discrete Laplace noise: sqrt(2 r) / (1 - r) with r = exp(-1 / scale)."""
    ratio = math.exp(-1 / scale)
    return math.sqrt(2 * ratio) / -math.expm1(-1 / scale)


def half_width(scale: float) -> int:
    """Return the least whole number that discrete Laplace noise exceeds in size at most one time in twenty.

    The chance to exceed w is 2 r^(w + 1) / (1 + r) with r = exp(-1 / scale).
    """
    ratio = math.exp(-1 / scale)
    reach = math.log((1 - CONFIDENCE) * (1 + ratio) / 2) * -scale - 1
    return max(0, math.ceil(reach - 1e-9))


def _bin(template: Template, place: int) -> str:
    if template.release != "histogram":
        return ""
    low, high = (edge / MICRO for edge in template.edges[place : place + 2])
    return f"{low:g} to {high:g}"


def _round(value: float) -> float:
    return round(value, DIGITS)
