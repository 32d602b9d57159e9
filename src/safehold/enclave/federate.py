"""Recipe: one step of one silo, over its people.

Parts in:  {"person": run-scoped id}, tables of ``action.SCHEMA``; parts of one person are joined
Frames out: one ``share``: in mode ``step`` the sum of clipped gradients of those who are drawn, on the grid, with this
silo's share of the noise; in mode ``check`` one bit, whether a model ruins what people who never train would see
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from safehold.canonical import unb64
from safehold.enclave.action import SCHEMA, Actions
from safehold.enclave.gradient import sum_of_clipped
from safehold.enclave.model import Examples, Floats, Shape, make_examples, predict
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import DeniedError, InvalidError
from safehold.privacy.distributed import GRID_BITS, put_on_grid
from safehold.privacy.release import (
    SLACK,
    Noise,
    draw_gaussian,
    pick_places,
    sample_people,
)
from safehold.sandbox.channel import read_parts

Emit = Callable[..., None]
RULE: Final = "enclave.federate"


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit) -> None:
    """Run the recipe.

    Args:
        spec: Public vocabulary, numbers of the agreement, ``mode``, ``model`` (float32, base64), ``min_people``; in
            mode ``check`` also ``before``, the model that this one is measured against.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: There are too few people.
    """
    vocabulary = Vocabulary.from_spec(spec)
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    if vocabulary.digest() != spec["expected"] or shape.parameters != spec["parameters"]:
        raise InvalidError("another vocabulary than was agreed on", rule=RULE)
    people = read_people(inputs, vocabulary, shape)
    if len(people) < spec["min_people"]:
        raise DeniedError("too few people", rule="charter.min_people")
    model = read_flat(spec["model"], shape)
    header = {"type": "share", "mode": spec["mode"]}
    if spec["mode"] == "check":
        before = read_flat(spec["before"], shape)
        emit(header, b"\x01" if is_ruined(people, model, before, shape, spec=spec) else b"\x00")
    else:
        emit(header, share(people, model, shape, spec=spec).astype("<i8").tobytes())


def share(
    people: Sequence[Examples],
    model: Floats,
    shape: Shape,
    *,
    spec: Mapping[str, Any],
    noise: Noise = draw_gaussian,
) -> NDArray[np.int64]:
    """Return a silo's noisy sum in steps of the grid.

    Args:
        people: One entry per person.
        model: The present model, flat.
        shape: Sizes of the model.
        spec: Numbers of the agreement.
        noise: Where noise comes from; only tests pass another one.
    """
    drawn = sample_people(len(people), ppm=spec["sampling_ppm"])
    taken = [one for one, there in zip(people, drawn, strict=True) if there]
    clip = spec["clip_micro"] / 1e6
    total = sum_of_clipped(_capped(taken, spec), model, shape, clip=clip)
    return put_on_grid(
        total, grid=clip / 2**GRID_BITS, deviation=float(spec["deviation"]), noise=noise
    )


def is_ruined(
    people: Sequence[Examples],
    model: Floats,
    before: Floats,
    shape: Shape,
    *,
    spec: Mapping[str, Any],
    noise: Noise = draw_gaussian,
) -> bool:
    """Return whether a model guesses worse than another by more than was agreed, with noise.

    Each person counts with the difference of their two shares of right guesses, which lies between -1 and 1.
    """
    total = 0.0
    for one, at in _capped(people, spec):
        if len(at):
            right = [
                float(np.mean(_guess(flat, one, at, shape) == one.target[at]))
                for flat in (model, before)
            ]
            total += right[0] - right[1]
    deviation = spec["check_micro"] / 1e6 * SLACK
    noisy = total + float(noise((1,), deviation)[0])
    return bool(noisy / len(people) < -spec["worse_ppm"] / 1e6)


def read_people(inputs: Sequence[int], vocabulary: Vocabulary, shape: Shape) -> list[Examples]:
    """Return the examples of everybody whose parts were handed in."""
    found: dict[str, list[Actions]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            person = header.get("person")
            if not isinstance(person, str) or not table.schema.equals(SCHEMA):
                raise InvalidError("a part is not a person's features", rule=RULE)
            whole = table.unify_dictionaries().combine_chunks()
            found.setdefault(person, []).append(_actions(whole, vocabulary))
    return [
        make_examples(
            Actions(
                *(
                    np.concatenate([getattr(part, name) for part in parts])
                    for name in ("token", "app", "start")
                )
            ),
            shape,
        )
        for _, parts in sorted(found.items())
    ]


def read_flat(text: str, shape: Shape) -> Floats:
    """Return a model as it travels: float32, little-endian, base64."""
    raw = unb64(text)
    if len(raw) != 4 * shape.parameters:
        raise InvalidError("a model of another size", rule=RULE)
    flat = np.frombuffer(raw, dtype="<f4").astype(np.float64)
    if not np.isfinite(flat).all():
        raise InvalidError("a model with numbers that are none", rule=RULE)
    return flat


def _guess(flat: Floats, one: Examples, at: NDArray[np.int64], shape: Shape) -> NDArray[np.int32]:
    state = flat.reshape(shape.rows + 1, shape.tokens)
    return predict(state[:-1], state[-1], one.slots[at], shape)


def _capped(
    people: Sequence[Examples], spec: Mapping[str, Any]
) -> list[tuple[Examples, NDArray[np.int64]]]:
    lengths = np.array([len(one.target) for one in people], dtype=np.int64)
    places = pick_places(lengths, most=spec["actions_per_person"])
    return list(zip(people, places, strict=True))


def _actions(table: pa.Table, vocabulary: Vocabulary) -> Actions:
    codes = []
    for name, place in (("token", vocabulary.token), ("app", vocabulary.app)):
        column = table[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no rows at all
            column = column.chunk(0)
        words = np.array([place(word) for word in column.dictionary.to_pylist()], dtype=np.int64)
        codes.append(words[column.indices.to_numpy()])
    return Actions(codes[0], codes[1], table["start"].to_numpy())
