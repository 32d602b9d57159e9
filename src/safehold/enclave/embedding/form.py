"""The one form in which vectors lie sealed: which stream a window is from, and its numbers."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from safehold.enclave.embedding.encoder import Vectors
from safehold.enclave.embedding.text import SOURCES
from safehold.errors import InvalidError

COLUMNS: Final = ("source", "vector")


def schema_of(dims: int) -> pa.Schema:
    """Return the schema of sealed vectors: ``source``, a place in ``SOURCES``, and ``vector``, so many float32."""
    return pa.schema(
        [
            pa.field("source", pa.uint8(), nullable=False),
            pa.field(
                "vector",
                pa.list_(pa.field("item", pa.float32(), nullable=False), dims),
                nullable=False,
            ),
        ]
    )


def to_table(source: NDArray[np.uint8], vectors: Vectors) -> pa.Table:
    """Return vectors as a table.

    Args:
        source: The place of each window's stream in ``SOURCES``.
        vectors: One row a window.
    """
    dims = vectors.shape[1]
    schema = schema_of(dims)
    flat = pa.array(np.ascontiguousarray(vectors, dtype=np.float32).reshape(-1))
    return pa.table(
        [
            pa.array(source, pa.uint8()),
            pa.FixedSizeListArray.from_arrays(flat, type=schema.field("vector").type),
        ],
        schema=schema,
    )


def from_table(table: pa.Table) -> tuple[NDArray[np.uint8], Vectors]:
    """Return the stream of each window, and the vectors.

    Raises:
        InvalidError: It is no table of vectors.
    """
    kind: Any = None if table.column_names != list(COLUMNS) else table.schema.field("vector").type
    if kind is None or not pa.types.is_fixed_size_list(kind) or not len(table):
        raise InvalidError("a part is no table of vectors", rule="embedding.vectors")
    if not table.schema.equals(schema_of(kind.list_size)):
        raise InvalidError("a part is no table of vectors", rule="embedding.vectors")
    whole = table.combine_chunks()
    source = whole["source"].to_numpy()
    if source.max() >= len(SOURCES):
        raise InvalidError("a part names a stream that there is not", rule="embedding.vectors")
    numbers = whole["vector"].chunk(0).flatten().to_numpy().reshape(len(whole), kind.list_size)
    return source, np.asarray(numbers, dtype=np.float32)


__all__ = ["COLUMNS", "from_table", "schema_of", "to_table"]
