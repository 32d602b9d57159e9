"""Recipe: a model and a key to one line: how many planted sequences the model gives away.

Parts in:  {"model": true}, the file; nobody's rows
Frames out: one {"type": "figures", "attack": "canary", ...}
Spec: the public vocabulary, the key the sequences were drawn with, how many were planted
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from safehold.assurance.canary.exposure import expose
from safehold.assurance.canary.plant import CANDIDATES, draw_candidates, draw_planted, examples_of
from safehold.assurance.likelihood import chances_of
from safehold.assurance.parts import read_attack
from safehold.canonical import unb64
from safehold.enclave.action import Actions
from safehold.enclave.artifact import Model
from safehold.enclave.model import Floats, Shape
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError

Emit = Callable[..., None]

_KEYS: Final = frozenset({"vocabulary", "apps", "key", "planted", "rounds", "actions_per_person"})


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
    """
    if set(spec) != _KEYS or type(spec["planted"]) is not int or spec["planted"] < 1:
        raise InvalidError("the spec of an attack is wrong", rule="attack.spec")
    key = unb64(spec["key"])
    vocabulary = Vocabulary.from_spec(spec)
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    model, people = read_attack(inputs, vocabulary)
    if people:
        raise InvalidError("this attack reads nobody's rows", rule="attack.part")
    planted = draw_planted(key, spec["planted"], tokens=shape.tokens, apps=shape.apps)
    others = draw_candidates(key, CANDIDATES, tokens=shape.tokens, apps=shape.apps)
    found = expose(likelihood(model, planted, shape), likelihood(model, others, shape))
    emit({"type": "figures", "attack": "canary", **asdict(found)})


def likelihood(model: Model, sequences: Sequence[Actions], shape: Shape) -> Floats:
    """Return how likely a model finds each sequence: the mean logarithm of what it gives its actions."""
    weights = model.tensors["weights"].astype(np.float64)
    bias = model.tensors["bias"].astype(np.float64)
    out = np.empty(len(sequences))
    for low in range(0, len(sequences), 512):  # bounded memory
        part = [examples_of(one, shape) for one in sequences[low : low + 512]]
        chances = chances_of(
            weights,
            bias,
            np.concatenate([one.slots for one in part]),
            np.concatenate([one.target for one in part]),
            shape,
        )
        out[low : low + len(part)] = chances.reshape(len(part), -1).mean(axis=1)
    return out
