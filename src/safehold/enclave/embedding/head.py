"""Recipe: a small head on vectors, trained with person-level differential privacy.

Parts in:  {"person": run-scoped id, "stream": "embedding", "window": UTC day}, ``form.schema_of``
Frames out: {"type": "metrics", ...} and {"type": "model", ...}, once each
Spec: epsilon_micro, delta_e12, min_people, dims, encoder

The head tells which stream a window is from, such as a message to a colleague from a request to an assistant. It is
linear, so its loss is convex. Each round sums one clipped gradient of every person and adds noise once (full-batch
DP-SGD after Abadi et al. 2016, with the person as the unit); with everybody in each round the noise has a closed form.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from safehold.enclave.embedding.form import from_table
from safehold.enclave.embedding.text import SOURCES
from safehold.errors import DeniedError, InvalidError
from safehold.privacy.account import calibrate, epsilon_pld
from safehold.privacy.release import Noise, draw_gaussian, release_sum, shuffle_people
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]
Floats = NDArray[np.float64]

ARCHITECTURE: Final = "safehold.vector-head.v1"
ROUNDS: Final = 40
CLIP: Final = 0.5
RATE: Final = 2.0
HELD_OUT: Final = 5  # one person in so many scores and does not train
_KEYS: Final = frozenset({"epsilon_micro", "delta_e12", "min_people", "dims", "encoder"})
_KINDS: Final = len(SOURCES)


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: See the module.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: There are too few people.
    """
    if set(spec) != _KEYS:
        raise InvalidError("the spec of a head is wrong", rule="embedding.spec")
    people = _read(inputs, spec["dims"])
    least = spec["min_people"]
    held = len(people) // HELD_OUT
    held = held if held >= least else 0  # nothing may be said about so few
    if len(people) - held < least:
        raise DeniedError("too few people", rule="charter.min_people")
    order = shuffle_people(len(people)).tolist()
    scored, trained = [people[at] for at in order[:held]], [people[at] for at in order[held:]]
    plan = calibrate(
        epsilon_micro=spec["epsilon_micro"], delta_e12=spec["delta_e12"], rounds=ROUNDS
    )
    weights = fit(trained, multiplier=plan.multiplier)
    top1 = None
    if scored:  # other people, so the same epsilon covers them
        once = calibrate(epsilon_micro=spec["epsilon_micro"], delta_e12=spec["delta_e12"])
        top1 = round(score(weights, scored, multiplier=once.multiplier), 4)
    emit(
        {
            "type": "metrics",
            "unit": "person",
            "adjacency": "zero-out",
            "epsilon_micro": spec["epsilon_micro"],
            "delta_e12": spec["delta_e12"],
            "epsilon_pld": round(epsilon_pld(plan), 4),
            "rounds": ROUNDS,
            "people": len(people),
            "held_out": held,
            "top1": top1,
        }
    )
    body = write_head(weights, spec["encoder"])
    emit(
        {"type": "model", "sha256": hashlib.sha256(body).hexdigest(), "size": len(body)},
        body,
    )


def fit(
    people: Sequence[tuple[NDArray[np.uint8], Floats]],
    *,
    multiplier: float,
    noise: Noise = draw_gaussian,
) -> Floats:
    """Return the weights of the head, one row a dimension and one for the bias, one column a stream.

    Args:
        people: Streams and vectors of each person, at least one.
        multiplier: Noise of one round in units of one person's largest contribution.
        noise: Where it comes from; only tests pass another one.
    """
    owner = np.repeat(np.arange(len(people)), [len(source) for source, _ in people])
    inputs = np.concatenate([_with_bias(vectors) for _, vectors in people])
    target = np.concatenate([source for source, _ in people]).astype(np.int64)
    share = 1.0 / np.bincount(owner)[owner]
    wanted = np.zeros((len(target), _KINDS))
    wanted[np.arange(len(target)), target] = 1.0
    weights = np.zeros((inputs.shape[1], _KINDS))
    starts = np.flatnonzero(np.r_[True, owner[1:] != owner[:-1]])
    for _ in range(ROUNDS):
        away = (_softmax(inputs @ weights) - wanted) * share[:, None]
        # one gradient a person: the sum over their windows of input times error
        each = np.add.reduceat(
            (inputs[:, :, None] * away[:, None, :]).reshape(len(inputs), -1), starts
        )
        total = release_sum(each, bound=CLIP, multiplier=multiplier, noise=noise)
        weights -= RATE * total.reshape(weights.shape) / len(people)
    return weights


def score(
    weights: Floats,
    people: Sequence[tuple[NDArray[np.uint8], Floats]],
    *,
    multiplier: float,
    noise: Noise = draw_gaussian,
) -> float:
    """Return the share of windows that the head tells right, averaged over people, with noise."""
    right = [
        float(((_with_bias(vectors) @ weights).argmax(axis=1) == source).mean())
        for source, vectors in people
    ]
    total = release_sum(np.array(right)[:, None], bound=1.0, multiplier=multiplier, noise=noise)
    return float(np.clip(total[0] / len(people), 0.0, 1.0))


def head_header(dims: int, encoder: str) -> bytes:
    """Return the one safetensors header that a head has: its length and its JSON."""
    first = 4 * _KINDS
    tree = {
        "__metadata__": {"architecture": ARCHITECTURE, "encoder": encoder},
        "bias": {"dtype": "F32", "shape": [_KINDS], "data_offsets": [0, first]},
        "weights": {
            "dtype": "F32",
            "shape": [dims, _KINDS],
            "data_offsets": [first, first + 4 * dims * _KINDS],
        },
    }
    text = orjson.dumps(tree)
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


def write_head(weights: Floats, encoder: str) -> bytes:
    """Return a head as safetensors bytes: ``bias`` and ``weights``, float32."""
    numbers = np.concatenate([weights[-1], weights[:-1].reshape(-1)]).astype("<f4")
    return head_header(len(weights) - 1, encoder) + numbers.tobytes()


def head_size(dims: int, encoder: str) -> int:
    """Return the bytes of a head."""
    return len(head_header(dims, encoder)) + 4 * _KINDS * (dims + 1)


def _read(inputs: Sequence[int], dims: int) -> list[tuple[NDArray[np.uint8], Floats]]:
    found: dict[str, list[tuple[NDArray[np.uint8], Any]]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            if "encoder" not in header:
                found.setdefault(str(header["person"]), []).append(from_table(table))
    people = []
    for name in sorted(found):
        source = np.concatenate([one for one, _ in found[name]])
        vectors = np.concatenate([two for _, two in found[name]]).astype(np.float64)
        if vectors.shape[1] != dims:
            raise InvalidError("vectors of another length", rule="embedding.vectors")
        people.append((source, vectors))
    return people


def _with_bias(vectors: Any) -> Floats:
    return np.concatenate([vectors, np.ones((len(vectors), 1))], axis=1)


def _softmax(logits: Floats) -> Floats:
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


__all__ = [
    "ARCHITECTURE",
    "ROUNDS",
    "fit",
    "head_header",
    "head_size",
    "main",
    "score",
    "write_head",
]
