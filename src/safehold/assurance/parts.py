"""What attacks on next-action models read: the model beside them, and people's actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.enclave.action import SCHEMA, Actions
from safehold.enclave.artifact import Model, read_model
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError
from safehold.sandbox.channel import read_parts


def read_attack(inputs: Sequence[int], vocabulary: Vocabulary) -> tuple[Model, dict[str, Actions]]:
    """Return the model under attack, and the actions of each person who came with it.

    Args:
        inputs: Descriptors of sealed parts.
        vocabulary: The public vocabulary.

    Raises:
        InvalidError: A part is neither.
        TamperedError: The model is anything but the declared architecture in its only form.
    """
    model: Model | None = None
    found: dict[str, list[Actions]] = {}
    for fd in inputs:
        for header, table in read_parts(fd):
            person = header.get("person")
            if header.get("model") is True and model is None:
                body = bytes(table.column("body").combine_chunks()[0].as_buffer())
                model = read_model(body, vocabulary)
            elif isinstance(person, str) and table.schema.equals(SCHEMA):
                found.setdefault(person, []).append(_actions(table, vocabulary))
            else:
                raise InvalidError("a part is not what an attack reads", rule="attack.part")
    if model is None:
        raise InvalidError("there is no model to attack", rule="attack.part")
    return model, {person: _join(parts) for person, parts in found.items()}


def _actions(table: pa.Table, vocabulary: Vocabulary) -> Actions:
    whole = table.unify_dictionaries().combine_chunks()
    codes: list[Any] = []
    for name, place in (("token", vocabulary.token), ("app", vocabulary.app)):
        column = whole[name].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # no rows at all
            column = column.chunk(0)
        places = np.array([place(word) for word in column.dictionary.to_pylist()], dtype=np.int64)
        codes.append(places[column.indices.to_numpy()])
    return Actions(codes[0], codes[1], whole["start"].to_numpy())


def _join(parts: Sequence[Actions]) -> Actions:
    token, app, start = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("token", "app", "start")
    )
    return Actions(token, app, start)
