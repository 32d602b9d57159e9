"""How well spans fit gold spans: precision, recall and their means per class, with intervals.

A gold span counts as found when predictions of its class cover half of it; a prediction counts as right when
half of it lies in gold of its class. Characters are counted too. Intervals come from drawing documents
again, with replacement, from one fixed seed. No figure holds a text.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.classes import CLASSES
from safehold.dlp.pattern import read_data

Span = tuple[int, int, str]
_DRAWS: Final = 1000
_SEED: Final = 20_261_126
# per document and class: gold, found, predicted, right; then the same in characters
_COUNTS: Final = 8
_INTERVAL: Final = (2.5, 97.5)


@cache
def _labels() -> Mapping[str, str | None]:
    known: dict[str, str | None] = json.loads(read_data("labels.json"))["labels"]
    return known


def class_of(label: str) -> str | None:
    """Return our class of a label.

    Raises:
        KeyError: The label is not known.
    """
    if label in CLASSES:
        return label
    name = label.lower().replace(" ", "_").replace("-", "_")
    if name.upper() in CLASSES:
        return name.upper()
    return _labels()[name]


def known_class(label: str) -> str | None:
    """Return our class of a label; None for one that is not known."""
    try:
        return class_of(label)
    except KeyError:
        return None


@dataclass(slots=True)
class Score:
    """Counts of all documents, one after the other."""

    documents: int = 0
    size: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    labelled: set[str] = field(default_factory=set)
    counts: dict[str, list[tuple[int, ...]]] = field(default_factory=lambda: defaultdict(list))

    def add(self, text: str, gold: Iterable[tuple[int, int, str]], found: Iterable[Span]) -> None:
        """Take one document.

        Args:
            text: The text, for its size only.
            gold: Spans with labels of their source.
            found: Spans with classes of ours, none over another.
        """
        right = _by_class(self._mapped(gold))
        given = _by_class(found)
        for name in right.keys() | given.keys():
            row = _count(right.get(name, []), given.get(name, []))
            self.counts[name].append((self.documents, *row))
        self.labelled |= right.keys()
        self.documents += 1
        self.size += len(text.encode("utf-8", "surrogatepass"))

    def _mapped(self, gold: Iterable[tuple[int, int, str]]) -> Iterable[Span]:
        for start, end, label in gold:
            try:
                name = class_of(label)
            except KeyError:
                self.unknown[label] = self.unknown.get(label, 0) + 1
                continue
            if name is not None:
                yield start, end, name

    def report(self) -> dict[str, Any]:
        """Return the figures: per class, and over all classes that the gold names."""
        table = {name: self._table(name) for name in sorted(self.counts)}
        weights = np.random.default_rng(_SEED).multinomial(
            self.documents, np.full(max(1, self.documents), 1 / max(1, self.documents)), _DRAWS
        )
        megabytes = max(self.size, 1) / 1e6
        classes = {}
        for name, rows in table.items():
            one = _figures(rows, weights)
            gold, found, given, right = rows[:, :4].sum(0).tolist()
            one |= {"gold": gold, "found": found, "predicted": given, "right": right}
            one["false_per_mb"] = round((given - right) / megabytes, 2)
            one["labelled"] = name in self.labelled
            classes[name] = one
        named = [rows for name, rows in table.items() if name in self.labelled]
        return {
            "documents": self.documents,
            "bytes": self.size,
            "classes": classes,
            "all_labelled": _figures(np.sum(named, 0), weights) if named else None,
            "unknown_labels": dict(sorted(self.unknown.items())),
        }

    def _table(self, name: str) -> npt.NDArray[np.int64]:
        rows = np.zeros((max(1, self.documents), _COUNTS), np.int64)
        for document, *values in self.counts[name]:
            rows[document] += values
        return rows


def _by_class(spans: Iterable[Span]) -> dict[str, list[tuple[int, int]]]:
    kinds: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for start, end, name in spans:
        if end > start:
            kinds[name].append((start, end))
    return kinds


def _union(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(end, merged[-1][1])
        else:
            merged.append((start, end))
    return merged


def covered(span: tuple[int, int], union: list[tuple[int, int]]) -> int:
    """Return how many characters of a span lie in spans that do not overlap."""
    return sum(max(0, min(span[1], end) - max(span[0], start)) for start, end in union)


def _count(gold: list[tuple[int, int]], found: list[tuple[int, int]]) -> tuple[int, ...]:
    gold_union, found_union = _union(gold), _union(found)
    hit = sum(2 * covered(one, found_union) >= one[1] - one[0] for one in gold)
    right = sum(2 * covered(one, gold_union) >= one[1] - one[0] for one in found)
    both = sum(covered(one, found_union) for one in gold_union)
    lengths = [sum(end - start for start, end in union) for union in (gold_union, found_union)]
    return len(gold), hit, len(found), right, lengths[0], both, lengths[1], both


def _figures(rows: npt.NDArray[Any], weights: npt.NDArray[Any]) -> dict[str, Any]:
    drawn = weights @ rows
    figures: dict[str, Any] = {}
    for level, at in (("span", 0), ("characters", 4)):
        total = _rates(rows.sum(0)[None, at : at + 4])
        many = _rates(drawn[:, at : at + 4])
        figures[level] = {
            name: {
                "value": _rounded(total[name][0]),
                "low": _rounded(_edge(many[name], 0)),
                "high": _rounded(_edge(many[name], 1)),
            }
            for name in total
        }
    return figures


def _edge(values: npt.NDArray[Any], side: int) -> float:
    there = values[~np.isnan(values)]
    return float(np.percentile(there, _INTERVAL[side])) if len(there) else float("nan")


def _rates(counts: npt.NDArray[Any]) -> dict[str, npt.NDArray[Any]]:
    gold, found, given, right = counts.T.astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = np.where(gold > 0, found / gold, np.nan)
        precision = np.where(given > 0, right / given, np.nan)
        rates = {"precision": precision, "recall": recall}
        for name, beta in (("f1", 1), ("f2", 4)):
            value = (1 + beta) * precision * recall / (beta * precision + recall)
            rates[name] = np.where((gold > 0) & ~(value > 0), 0.0, value)
    return rates


def _rounded(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 4)
