"""Order without time: the rank of an event in its session, over all streams together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.ingest.convert import Events
from safehold.ingest.expression import combine_words, encode_words
from safehold.ingest.session import Key
from safehold.telemetry.stream import STREAMS, Level


def rank_events(
    before: Mapping[str, Events],
    after: Mapping[str, pa.Table],
    *,
    keys: list[Key],
    offsets: list[int],
) -> dict[str, pa.Table]:
    """Write the rank into ``mono`` of every event at level L3 or above.

    Minimised events have lost their time, so their order is looked up in the events as they were.
    Only events without a time are ranked together: a rank counted over pointer events that still have
    theirs would give the key events between them a time again.

    Args:
        before: Accepted events of the chunk, by stream.
        after: The same, minimised.
        keys: Person, device and session of each group.
        offsets: For each group, how many events earlier chunks held.
    """
    number = {key: index for index, key in enumerate(keys)}
    names, groups, times, places, seqs = [], [], [], [], []
    for stream, table in after.items():
        if not len(table) or not _timeless(table):
            continue
        group = _groups(table, number)
        seq = table.column("seq").to_numpy().astype(np.int64)
        names.append(stream)
        groups.append(group)
        seqs.append(seq)
        times.append(_times(before[stream], group, seq))
        places.append(np.full(len(seq), STREAMS.index(stream)))
    if not names:
        return dict(after)
    group = np.concatenate(groups)
    order = np.lexsort((np.concatenate(seqs), np.concatenate(places), np.concatenate(times), group))
    code = group[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    lengths = np.diff(np.r_[starts, len(code)])
    rank = np.empty(len(code), dtype=np.int64)
    rank[order] = np.arange(len(code)) - np.repeat(starts, lengths) + 1
    rank += np.array(offsets, dtype=np.int64)[group]
    result, at = dict(after), 0
    for stream, seq in zip(names, seqs, strict=True):
        result[stream] = _write(after[stream], rank[at : at + len(seq)])
        at += len(seq)
    return result


def _groups(table: pa.Table, number: Mapping[Key, int]) -> np.ndarray:
    parts = [encode_words(table.column(name)) for name in ("person", "device", "session")]
    words = combine_words(parts, lambda row: number[row])
    return np.asarray(np.array(words.values, dtype=np.int64)[words.index])


def _times(events: Events, group: np.ndarray, seq: np.ndarray) -> np.ndarray:
    known = events.group * 2**32 + events.table.column("seq").to_numpy().astype(np.int64)
    mono = events.table.column("mono").cast(pa.int64()).to_numpy()
    if len(known) > 1 and (known[1:] < known[:-1]).any():
        order = np.argsort(known)
        known, mono = known[order], mono[order]
    return np.asarray(mono[np.searchsorted(known, group * 2**32 + seq)])


def _timeless(table: pa.Table) -> bool:
    """Return whether a stream has lost its times; a stream has one level throughout."""
    return bool((table.column("minim").to_numpy() >= Level.L3).all())


def _write(table: pa.Table, rank: np.ndarray) -> Any:
    index = table.schema.get_field_index("mono")
    values = pa.array(rank).cast(pa.duration("us"))
    return table.set_column(index, table.schema.field(index), values)
