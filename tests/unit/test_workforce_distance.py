"""How far typing and writing lie from the figures they were fitted to, and from real people.

Kolmogorov-Smirnov distances: the largest difference between two cumulative distributions. Real files are split by person
into two halves; the distance between the halves is what sampling alone makes.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pyarrow.parquet as pq
import pytest
from tests.unit.test_workforce_shape import _typing

from safehold.workforce import Spec, person_day

SPEC = Spec(people=60, days=1, start_day=20_780, seed=11, edition=2)
LIMIT = 0.12  # of a pooled distribution


def distance(first, second):
    """Return the Kolmogorov-Smirnov distance of two samples."""
    first, second = np.sort(first), np.sort(second)
    both = np.concatenate([first, second])
    return np.abs(
        np.searchsorted(first, both, side="right") / len(first)
        - np.searchsorted(second, both, side="right") / len(second)
    ).max()


def from_normal(sample, mean, spread):
    """Return the distance of a sample from a normal distribution."""
    sample = np.sort(sample)
    wanted = np.array([NormalDist(mean, spread).cdf(value) for value in sample.tolist()])
    steps = np.arange(len(sample) + 1) / len(sample)
    return max(np.abs(steps[1:] - wanted).max(), np.abs(wanted - steps[:-1]).max())


@pytest.fixture(scope="module")
def days():
    return [person_day(SPEC, index, 0) for index in range(SPEC.people)]


@pytest.fixture(scope="module")
def made(days):
    typing = [_typing(tables["key"]) for tables in days]
    return {
        "gap": [gap for gap, *_ in typing],
        "hold": [hold[~np.isnan(hold)] for _, hold, *_ in typing],
    }


def lengths(days):
    texts = [text for tables in days for text in tables["chat"]["text"].to_pylist()]
    return np.log([len(text) for text in texts if text.isascii()])  # what is composed is shorter


def test_the_yardstick():
    assert distance(np.arange(100), np.arange(100)) == 0
    assert distance(np.arange(100), np.arange(100) + 50) == pytest.approx(0.5, abs=0.02)
    assert from_normal(np.random.default_rng(1).normal(2, 3, 20_000), 2, 3) < 0.02
    assert from_normal(np.random.default_rng(1).normal(2, 3, 20_000), 3, 3) > 0.1


def test_messages_against_their_figure():
    made = np.concatenate([lengths([person_day(SPEC, at, 0)]) for at in range(SPEC.people)])
    found = from_normal(made, 3.60, 1.06)
    print(f"message length, ln(characters): {found:.3f} from N(3.60, 1.06), n = {len(made)}")
    assert found < LIMIT + 1.63 / np.sqrt(len(made))


def test_medians_of_people_against_their_figures(made):
    for name, mean, spread in (("gap", 5.148, 0.319), ("hold", 4.631, 0.211)):
        medians = np.array([np.median(np.log(values)) for values in made[name]])
        found = from_normal(medians, mean, spread)
        print(f"{name}, person medians of ln(ms): {found:.3f} from N({mean}, {spread})")
        assert found < LIMIT + 1.63 / np.sqrt(len(medians))


def test_typing_against_real_people(made, shared_data):
    keys = pq.read_table(shared_data / "telemetry" / "aalto_keys.parquet").sort_by(
        [("participant", "ascending"), ("section", "ascending"), ("press_ms", "ascending")]
    )
    who, section = (_codes(keys[name]) for name in ("participant", "section"))
    press, release = (keys[name].to_numpy().astype(float) for name in ("press_ms", "release_ms"))
    gap = np.diff(press)
    near = (np.diff(who) == 0) & (np.diff(section) == 0) & (gap > 0) & (gap < 3_000)
    real = {"gap": (who[1:][near], gap[near]), "hold": (who, release - press)}
    for name, (owner, values) in real.items():
        kept = (values > 0) & (values < 3_000)
        halves = [values[kept & (owner % 2 == half)] for half in (0, 1)]
        floor = distance(*halves)
        found = distance(np.concatenate(made[name]), halves[1])
        print(f"{name}: {found:.3f} from the second half of people, the halves {floor:.3f} apart")
        assert found < LIMIT


def test_messages_against_real_people(days, shared_data):
    chat = pq.read_table(shared_data / "telemetry" / "irc_ubuntu.parquet", columns=["nick", "text"])
    nick, real = (
        _codes(chat["nick"]),
        np.array([len(text or "") for text in chat["text"].to_pylist()]),
    )
    halves = [np.log(real[(nick % 2 == half) & (real > 0)]) for half in (0, 1)]
    found = distance(lengths(days), halves[1])
    floor = distance(*halves)
    print(f"message length: {found:.3f} from the second half, the halves {floor:.3f} apart")
    assert found < LIMIT + 0.1


def _codes(column):
    return column.combine_chunks().dictionary_encode().indices.to_numpy()
