"""Trainers that break their promise, each in the way one breaks it, for audits to catch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from safehold.privacy.audit.probe import Probe, Subject, train_probe
from safehold.privacy.release import SLACK, add_noise, draw_gaussian, sample_people
from safehold.privacy.training.learner import take


def quieter(factor: float) -> Subject:
    """Return our trainer with noise times a factor."""

    def subject(probe: Probe) -> Any:
        return train_probe(probe, noise=lambda shape, dev: factor * draw_gaussian(shape, dev))

    return subject


def noiseless(probe: Probe) -> Any:
    """Add no noise."""
    return train_probe(probe, noise=lambda shape, _: np.zeros(shape))


def repeated(probe: Probe) -> Any:
    """Draw noise once and use it in every round."""
    kept: dict[tuple[int, ...], Any] = {}

    def noise(shape: tuple[int, ...], deviation: float) -> Any:
        return kept.setdefault(shape, draw_gaussian(shape, deviation))

    return train_probe(probe, noise=noise)


class _Around:
    """A learner that does something else in place of clipping."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.chunk = inner, inner.chunk

    def start(self) -> Any:
        return self._inner.start()

    def prepare(self, people: Any) -> Any:
        return people


class _Unclipped(_Around):
    def sum_clipped(self, params: Any, people: Any, present: Any, bounds: Any) -> Any:
        return self._inner.sum_clipped(params, people, present, dict.fromkeys(bounds, 1e9))


class _RowClipped(_Around):
    def sum_clipped(self, params: Any, people: Any, present: Any, bounds: Any) -> Any:
        rows = {name: column.reshape(-1, 1) for name, column in people.items()}
        here = np.repeat(present, people["row"].shape[1]) & (rows["weight"][:, 0] > 0)
        rows["weight"] = np.ones_like(rows["weight"])
        return self._inner.sum_clipped(params, rows, here, bounds)


class _BatchClipped(_Around):
    def sum_clipped(self, params: Any, people: Any, present: Any, bounds: Any) -> Any:
        total, _ = self._inner.sum_clipped(params, people, present, dict.fromkeys(bounds, 1e9))
        count = max(1, int(present.sum()))
        norm = np.linalg.norm(total["probe"]) / count
        return {"probe": total["probe"] * min(1.0, bounds[""] / max(norm, 1e-9))}, 0.0


def unclipped(probe: Probe) -> Any:
    """Clip nobody."""
    return train_probe(probe, learner=_Unclipped(probe.learner()))


def row_clipped(probe: Probe) -> Any:
    """Clip each example, as a trainer does that protects rows."""
    return train_probe(probe, learner=_RowClipped(probe.learner()))


def batch_clipped(probe: Probe) -> Any:
    """Clip the mean of the batch, and nobody in it."""
    return train_probe(probe, learner=_BatchClipped(probe.learner()))


def sampled(draw: Callable[[int, float, int], Any]) -> Subject:
    """Return a trainer that is right but for who takes part.

    Args:
        draw: Number of people, share, round -> places of those in the round.
    """

    def subject(probe: Probe) -> Any:
        learner, sums = probe.learner(), []
        count = len(probe.people["row"])
        for at in range(probe.plan.rounds):
            places = np.asarray(draw(count, probe.plan.sampling_ppm / 1e6, at), np.int64)
            seats = np.full(count, -1, np.int64)  # one shape, one compilation
            seats[: len(places)] = places
            total, _ = learner.sum_clipped(
                learner.start(), take(probe.people, seats), seats >= 0, {"": probe.clip}
            )
            deviation = probe.plan.multiplier * probe.clip * SLACK
            sums.append(add_noise(total["probe"], deviation=deviation))
        return np.stack(sums)

    return subject


def _fixed_size(count: int, share: float, _: int) -> Any:
    return np.random.default_rng().permutation(count)[: round(share * count)]


def _in_turn(count: int, share: float, at: int) -> Any:
    size = round(share * count)
    return (np.arange(size) + at * size) % count


def _first_half(count: int, share: float, _: int) -> Any:
    return np.flatnonzero(sample_people(count // 2, ppm=round(2e6 * share)))


GROSS: dict[str, Subject] = {
    "no noise": noiseless,
    "noise / 10": quieter(0.1),
    "noise once for all rounds": repeated,
    "no clip": unclipped,
    "clip per row": row_clipped,
    "clip per batch": batch_clipped,
    "everybody in each round": sampled(lambda count, _share, _at: np.arange(count)),
    "batches of fixed size": sampled(_fixed_size),
    "batches in turn": sampled(_in_turn),
    "half of the people twice as often": sampled(_first_half),
}
SUBTLE: dict[str, Subject] = {"noise x 0.9": quieter(0.9)}
