"""The forest attacker: a random forest over features of windows, its log-probabilities summed over the probe."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from safehold.assurance.reidentify.trail import Floats, Ints, Trail

TREES: Final = 150
QUANTILES: Final = (0.1, 0.25, 0.5, 0.75, 0.9)
SOFTEN_MS: Final = 10.0  # added to a time before its logarithm
LEAST_LOG: Final = -6.0  # a forest says 0 where it has seen nobody


def grouped_quantiles(value: Floats, group: Ints, groups: int, at: tuple[float, ...]) -> Floats:
    """Return quantiles of each group; NaN where it holds nothing.

    Args:
        value: Values; NaN is left out.
        group: Group of each value.
        groups: Number of groups.
        at: The quantiles.
    """
    told = ~np.isnan(value)
    value, group = value[told], group[told]
    order = np.lexsort((value, group))
    value = value[order]
    count = np.bincount(group, minlength=groups)
    start = np.cumsum(count) - count
    result = np.full((groups, len(at)), np.nan)
    full = count > 0
    for number, quantile in enumerate(at):
        place = quantile * np.maximum(count - 1, 0)
        low = np.floor(place).astype(np.int64)
        high = np.minimum(low + 1, np.maximum(count - 1, 0))
        share = place - low
        result[full, number] = (
            value[(start + low)[full]] * (1 - share[full])
            + value[(start + high)[full]] * share[full]
        )
    return result


def window_features(trail: Trail, window: Ints) -> Floats:
    """Return features of each window: shares of labels and pairs, quantiles of times, medians per class.

    Args:
        trail: The events.
        window: Number of the window of each event, from 0.
    """
    groups = int(window.max(initial=-1)) + 1
    size = np.bincount(window, minlength=groups).astype(float)
    columns: list[Floats] = [size[:, None]]
    for index, words in trail.views.values():
        if len(words) <= 40:
            columns.append(_shares(window, index, groups, len(words)) / size[:, None])
    index, words = list(trail.views.values())[-1]
    same = np.r_[False, window[1:] == window[:-1]]
    pair = np.r_[0, index[:-1]] * len(words) + index
    columns.append(_shares(window[same], pair[same], groups, len(words) ** 2) / size[:, None])
    for name in trail.names:
        if not trail.has(name):
            continue
        value = trail.number(name)
        if name == "overlap":
            told = ~np.isnan(value)
            total = np.bincount(window[told], weights=value[told], minlength=groups)
            columns.append(
                (total / np.maximum(np.bincount(window[told], minlength=groups), 1))[:, None]
            )
            continue
        if name in {"gap", "hold"}:
            value = np.log(np.maximum(value, 0.0) + SOFTEN_MS)
        columns.append(grouped_quantiles(value, window, groups, QUANTILES))
        combined = window * len(words) + index
        medians = grouped_quantiles(value, combined, groups * len(words), (0.5,))
        columns.append(medians.reshape(groups, len(words)))
    return np.concatenate(columns, axis=1)


def _shares(window: Ints, index: Ints, groups: int, size: int) -> Floats:
    cells = np.bincount(window * size + index, minlength=groups * size)
    table: Floats = cells.reshape(groups, size).astype(float)
    return table


def match_forest(
    features: Floats, *, owner: Ints, probe: Any, people: int, seed: int, trees: int = TREES
) -> Floats:
    """Return scores: log-probability of each person, summed over the probe's windows.

    Args:
        features: One row a window.
        owner: Person of each window.
        probe: Whether the window is to be recognised.
        people: Number of people.
        seed: Makes the forest the same again.
        trees: Number of trees.
    """
    from sklearn.ensemble import RandomForestClassifier  # noqa: PLC0415 - an extra

    forest = RandomForestClassifier(n_estimators=trees, random_state=seed, n_jobs=1)
    features = np.nan_to_num(features, nan=-1.0)
    forest.fit(features[~probe], owner[~probe])
    told = forest.predict_proba(features[probe])
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(told), LEAST_LOG)
    scores = np.full((people, people), LEAST_LOG)
    summed = np.zeros((people, len(forest.classes_)))
    np.add.at(summed, owner[probe], logs)
    scores[:, forest.classes_] = summed
    return scores
