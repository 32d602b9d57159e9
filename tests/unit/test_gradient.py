"""The gradient without JAX is the one with it."""

from __future__ import annotations

import numpy as np
import pytest

from safehold.enclave.gradient import sum_of_clipped
from safehold.enclave.model import Examples, Shape
from safehold.enclave.training import gather_people, sum_clipped


@pytest.mark.filterwarnings("ignore:optax:DeprecationWarning")
def test_both_sums_agree():
    generator = np.random.default_rng(5)
    shape = Shape(tokens=7, apps=3)
    people = []
    for count in (1, 4, 9, 0, 16):
        slots = np.stack(
            [generator.integers(0, size, count) for size in shape.slots], axis=1
        ).astype(np.int32)
        target = generator.integers(0, 7, count).astype(np.int32)
        people.append(Examples(slots, target, slots[:, 0]))
    flat = generator.normal(size=shape.parameters)
    for clip in (0.05, 100.0):
        mine = sum_of_clipped(
            [(one, np.arange(len(one.target))) for one in people], flat, shape, clip=clip
        ).reshape(shape.rows + 1, shape.tokens)
        state = flat.reshape(shape.rows + 1, shape.tokens).astype(np.float32)
        arrays = gather_people(people, shape, most=16)
        pad = 32 - len(people)  # whole chunks
        theirs = sum_clipped(shape, clip=clip)(
            {"weights": state[:-1], "bias": state[-1]},
            np.pad(arrays.slots, ((0, pad), (0, 0), (0, 0))),
            np.pad(arrays.target, ((0, pad), (0, 0))),
            np.pad(arrays.weight, ((0, pad), (0, 0))),
        )
        assert np.allclose(mine[:-1], np.asarray(theirs["weights"]), atol=1e-5)
        assert np.allclose(mine[-1], np.asarray(theirs["bias"]), atol=1e-5)
