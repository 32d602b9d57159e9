"""The gradient of a silo is that of the learner."""

from __future__ import annotations

import numpy as np

from safehold.enclave.gradient import sum_of_clipped
from safehold.enclave.model import Examples, Shape
from safehold.enclave.training import gather_people, learner_of


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
        state = flat.reshape(shape.rows + 1, shape.tokens)
        learner = learner_of(shape)
        arrays = learner.prepare(gather_people(people, shape, most=16))
        theirs, _ = learner.sum_clipped(
            {"weights": state}, arrays, np.ones(len(people), np.bool_), {"": clip}
        )
        assert np.allclose(mine, theirs["weights"], atol=1e-5)
