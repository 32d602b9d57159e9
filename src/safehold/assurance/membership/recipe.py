"""Recipe: a model and the people around its training to one line: how well members are told from others.

Parts in:  {"model": true}, the file; {"person": run-scoped id}, tables of ``action.SCHEMA``
Frames out: one {"type": "figures", "attack": "membership", ...}; counts, and nobody's name
Spec: the public vocabulary, who trained and who did not (run-scoped ids), rounds and examples a person of the training
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import numpy as np

from safehold.assurance.likelihood import confidence_of
from safehold.assurance.membership.score import SHADOWS, halve_people, score_people, tally
from safehold.assurance.membership.shadow import fit, row_people
from safehold.assurance.parts import read_attack
from safehold.enclave.model import Shape, make_examples
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError

Emit = Callable[..., None]

RATE: Final = 4.0  # step size of the shadow models
MOST_ROUNDS: Final = 100  # of a shadow model: more of them cost time and tell no more
_KEYS: Final = frozenset(
    {"vocabulary", "apps", "members", "others", "rounds", "actions_per_person", "min_people"}
)


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong, or there are too few people.
    """
    members, others = _sides(spec)
    vocabulary = Vocabulary.from_spec(spec)
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    model, actions = read_attack(inputs, vocabulary)
    names = [*members, *others]
    if set(actions) != set(names):
        raise InvalidError("other people came than the spec names", rule="attack.part")
    examples = [make_examples(actions[name], shape) for name in names]
    data = row_people(examples, shape, most=int(spec["actions_per_person"]))
    # which half somebody is in is a coin of the attack: no noise, and no figure depends on who draws it
    draw = np.frombuffer(os.urandom(8 * (SHADOWS // 2) * len(names)), dtype=np.uint64)
    inside = halve_people(len(names), shadows=SHADOWS, draw=draw.reshape(SHADOWS // 2, len(names)))
    shadows = np.empty((SHADOWS, len(names)))
    for at in range(SHADOWS):
        rounds = min(MOST_ROUNDS, int(spec["rounds"]))
        weights, bias = fit(data, inside[at], shape, rounds=rounds, rate=RATE)
        shadows[at] = [confidence_of(weights, bias, one, shape) for one in examples]
    weights = model.tensors["weights"].astype(np.float64)
    bias = model.tensors["bias"].astype(np.float64)
    target = np.array([confidence_of(weights, bias, one, shape) for one in examples])
    is_member = np.array([True] * len(members) + [False] * len(others))
    found = tally(score_people(target, shadows, inside), is_member)
    emit({"type": "figures", "attack": "membership", **asdict(found)})


def _sides(spec: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    numbers = ("rounds", "actions_per_person", "min_people")
    if set(spec) != _KEYS or any(type(spec[name]) is not int or spec[name] < 1 for name in numbers):
        raise InvalidError("the spec of an attack is wrong", rule="attack.spec")
    members, others = list(spec["members"]), list(spec["others"])
    if set(members) & set(others) or not all(isinstance(one, str) for one in members + others):
        raise InvalidError("the spec of an attack is wrong", rule="attack.spec")
    return members, others
