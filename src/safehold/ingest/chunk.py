"""Cut a source into chunks that are the same on every reading."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from safehold.ingest.expression import encode_words
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal
from safehold.ingest.source.table import Batch


@dataclass(frozen=True, slots=True)
class Chunk:
    """Rows that are committed as one.

    Args:
        index: Its number in the source.
        table: Foreign columns.
        rows: Number of each row in the source.
        read: Rows of the source it stands for, with the refused ones.
        refusals: Rows that were refused while reading.
    """

    index: int
    table: pa.Table
    rows: np.ndarray
    read: int
    refusals: list[Refusal]


def cut_chunks(
    batches: Iterator[Batch], *, session: Sequence[str], pause: str, limits: Limits
) -> Iterator[Chunk]:
    """Yield chunks of at most ``limits.chunk_rows`` rows and ``limits.chunk_sessions`` sessions.

    They are cut where a session ends.

    A session that is longer than a chunk is cut at its longest pause within the last fifth of the
    chunk, so that a cut seldom falls into a word.

    Args:
        batches: The rows in order.
        session: Columns that together tell one session from another.
        pause: A column that rises with time, empty for none.
        limits: Size of a chunk.
    """
    held: list[pa.Table] = []
    numbers: list[np.ndarray] = []
    refusals: list[Refusal] = []
    # how many sessions are held, at most: one that goes on in the next batch is counted again
    count = size = total = start = index = sessions = 0
    for batch in batches:
        total += batch.read
        refusals.extend(batch.refusals)
        if len(batch.table):
            held.append(batch.table)
            numbers.append(batch.rows)
            count += len(batch.table)
            size += batch.table.nbytes
            sessions += len(find_starts(batch.table, session))
        while (
            count > limits.chunk_rows
            or (size > limits.chunk_bytes and count > 1)
            or sessions > limits.chunk_sessions
        ):
            table, rows = _join(held), np.concatenate(numbers)
            starts = find_starts(table, session)
            sessions, most = len(starts), min(limits.chunk_rows, count - 1)
            if sessions > limits.chunk_sessions:
                most = min(most, int(starts[limits.chunk_sessions]))
            elif count <= limits.chunk_rows and size <= limits.chunk_bytes:
                held, numbers = [table], [rows]
                break
            at = find_cut(table, session, pause, most)
            end = int(rows[at])
            mine = [item for item in refusals if item.row < end]
            yield Chunk(index, table.slice(0, at), rows[:at], end - start, mine)
            refusals = [item for item in refusals if item.row >= end]
            held, numbers, count = [table.slice(at)], [rows[at:]], len(table) - at
            size = size * count // len(table)
            sessions = len(find_starts(held[0], session))
            start, index = end, index + 1
    if total > start or count:
        table = _join(held) if held else pa.table({})
        rows = np.concatenate(numbers) if numbers else np.zeros(0, dtype=np.int64)
        yield Chunk(index, table, rows, total - start, refusals)


def _join(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables).combine_chunks()


def find_starts(table: pa.Table, session: Sequence[str]) -> np.ndarray:
    """Return, in order, the rows at which a session is seen for the first time."""
    group = np.zeros(len(table), dtype=np.int64)
    for column in session:
        code = encode_words(table.column(column)).index.astype(np.int64)
        code -= code.min()  # what is missing may have a code of its own below the others
        _, group = np.unique(group * (int(code.max()) + 1) + code, return_inverse=True)
    return np.sort(np.unique(group, return_index=True)[1])


def find_cut(table: pa.Table, session: Sequence[str], pause: str, most: int) -> int:
    """Return how many of the first rows make a chunk, at least 1 and at most ``most``."""
    border = np.zeros(most, dtype=bool)
    for column in session:
        code = encode_words(table.column(column).slice(0, most + 1)).index
        border |= code[1:] != code[:-1]
    places = np.flatnonzero(border)
    if len(places):
        return int(places[-1]) + 1
    if pause:
        column = table.column(pause).slice(0, most + 1).fill_null(0)
        times = column.to_numpy().astype(np.int64)
        start = most - most // 5
        gaps = np.diff(times)[max(0, start - 1) :]
        if len(gaps):
            return max(1, max(0, start - 1) + int(np.argmax(gaps)) + 1)
    return most
