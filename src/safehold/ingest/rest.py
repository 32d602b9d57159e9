"""From wire form to rest form: pseudonyms, vocabularies, one batch a person, stream and day."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from safehold.clock import DAY_US
from safehold.ingest.expression import combine_words, encode_words
from safehold.telemetry.schema import REST

_MEANING = {  # fields that name the same kind of thing share a pseudonym space
    "participants": "person",
    "speaker": "person",
    "reply_to": "msg",
    "edit_of": "msg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RestBatch:
    """Rows of one person, stream and UTC day, ready to be sealed.

    Args:
        person: External id.
        stream: The stream.
        window: UTC day number.
        table: Rows in rest form; ``subject`` is zero until the keeper fills it.
        extents: For each device and session: first and last sequence number.
    """

    person: str
    stream: str
    window: int
    table: pa.Table
    extents: list[list[Any]]


def pseudonym(key: bytes, meaning: str, value: str, size: int) -> bytes:
    """Return the pseudonym of a value (HMAC-SHA256, RFC 2104, cut to ``size`` bytes).

    Args:
        key: Pseudonym key of the segment and epoch.
        meaning: What the value names; the same text with two meanings has two pseudonyms.
        value: The value.
        size: Length in bytes.
    """
    return hmac.digest(key, meaning.encode() + b"\0" + value.encode(), "sha256")[:size]


def rest_batches(stream: str, table: pa.Table, *, key: bytes, policy: bytes) -> Iterator[RestBatch]:
    """Yield the rest form of minimised events, a person, stream and day at a time.

    Args:
        stream: The stream.
        table: Wire-form columns with ``sens`` and ``minim``, events of a session in order.
        key: Pseudonym key.
        policy: First 8 bytes of the charter's digest.
    """
    if not len(table):
        return
    table = table.combine_chunks()
    people = encode_words(table.column("person"))
    devices = encode_words(table.column("device"))
    sessions = encode_words(table.column("session"))
    pair = combine_words([people, devices, sessions], lambda row: row)
    days = table.column("t").cast(pa.int64()).to_numpy() // DAY_US
    order = np.lexsort((np.arange(len(table)), days, people.index))
    if (order[1:] < order[:-1]).any():
        table = table.take(pa.array(order))
    person_code, day, owner = people.index[order], days[order], pair.index[order]
    fixed = _fixed_columns(stream, table, owner, pair.values, key=key, policy=policy)
    seq = table.column("seq").to_numpy()
    fixed["seq"] = pa.array(_number(owner, seq), pa.uint32())
    border = (person_code[1:] != person_code[:-1]) | (day[1:] != day[:-1])
    starts = np.r_[0, np.flatnonzero(border) + 1]
    names = [
        (
            pseudonym(key, f"device\0{person}", device, 8).hex(),
            pseudonym(key, f"session\0{person}\0{device}", session, 8).hex(),
        )
        for person, device, session in pair.values
    ]
    for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), len(table)], strict=True):
        yield RestBatch(
            person=people.values[int(person_code[start])],
            stream=stream,
            window=int(day[start]),
            table=_slice(stream, fixed, start, stop),
            extents=_extents(owner[start:stop], seq[start:stop], names),
        )


def _fixed_columns(
    stream: str, table: pa.Table, owner: np.ndarray, owners: list[Any], *, key: bytes, policy: bytes
) -> dict[str, pa.Array]:
    """Return every column whose rest form does not depend on the batch it lands in."""
    count = len(table)
    index = pa.array(owner)
    columns: dict[str, pa.Array] = {}
    for item in REST[stream]:
        if item.name == "subject":
            columns[item.name] = _constant(b"\0" * 16, count)
        elif item.name == "policy":
            columns[item.name] = _constant(policy[:8], count)
        elif item.name == "device":
            ids = [pseudonym(key, f"device\0{person}", device, 8) for person, device, _ in owners]
            columns[item.name] = pa.array(ids, item.type).take(index)
        elif item.name == "session":
            ids = [
                pseudonym(key, f"session\0{person}\0{device}", session, 8)
                for person, device, session in owners
            ]
            columns[item.name] = pa.array(ids, item.type).take(index)
        elif item.name == "event_id":
            columns[item.name] = _event_ids(stream, table, owner, owners, key)
        else:
            array = table.column(item.name)
            array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            columns[item.name] = _rest_column(array, item, key)
    return columns


def _constant(value: bytes, count: int) -> pa.Array:
    data = pa.py_buffer(value * count)
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(len(value)), count, [None, data])


def _rest_column(array: pa.Array, item: pa.Field, key: bytes) -> pa.Array:
    if pa.types.is_fixed_size_binary(item.type) and not pa.types.is_fixed_size_binary(array.type):
        words = encode_words(array)
        meaning = _MEANING.get(item.name, item.name)
        width = item.type.byte_width
        values = [None if v is None else pseudonym(key, meaning, v, width) for v in words.values]
        return pa.array(values, item.type).take(pa.array(words.index))
    if pa.types.is_list(item.type):
        inner = pa.field(item.name, item.type.value_type)
        flat = _rest_column(array.flatten(), inner, key)
        lengths = [0 if cell is None else cell for cell in array.value_lengths().to_pylist()]
        offsets = pa.array(np.r_[0, np.cumsum(lengths)].astype(np.int32))
        return pa.ListArray.from_arrays(
            offsets, flat, mask=array.is_null() if array.null_count else None
        )
    if pa.types.is_dictionary(item.type):
        return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array
    return array.cast(item.type)


def _event_ids(
    stream: str, table: pa.Table, owner: np.ndarray, owners: list[Any], key: bytes
) -> pa.Array:
    """Return a UUID version 7 (RFC 9562) for each event that is the same on every reading.

    The time in it is the minimised one, so it says no more than ``t`` does; the rest is keyed.
    """
    heads = ["\0".join((stream, *names)).encode() + b"\0" for names in owners]
    times = (table.column("t").cast(pa.int64()).to_numpy() // 1000).tolist()
    ids = []
    for number, seq, at in zip(owner.tolist(), table.column("seq").to_pylist(), times, strict=True):
        tail = bytearray(
            hmac.digest(key, b"event\0" + heads[number] + seq.to_bytes(4, "big"), "sha256")[:10]
        )
        tail[0] = (tail[0] & 0x0F) | 0x70
        tail[2] = (tail[2] & 0x3F) | 0x80
        ids.append(at.to_bytes(6, "big") + tail)
    return pa.array([bytes(value) for value in ids], pa.binary(16))


def _slice(stream: str, columns: dict[str, pa.Array], start: int, stop: int) -> pa.Table:
    """Cut one batch; its dictionaries hold its own words and nobody else's."""
    arrays = []
    for item in REST[stream]:
        array = columns[item.name].slice(start, stop - start)
        if pa.types.is_dictionary(item.type):
            array = array.dictionary_encode().cast(item.type)
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=REST[stream])


def _number(owner: np.ndarray, seq: np.ndarray) -> np.ndarray:
    """Number the events of each session without holes, from the first number that is left.

    A hole would tell how many characters a password had, or how releases lay between presses.
    """
    order = np.argsort(owner, kind="stable")
    code = owner[order]
    starts = np.flatnonzero(np.r_[True, code[1:] != code[:-1]])
    lengths = np.diff(np.r_[starts, len(code)])
    first = np.minimum.reduceat(seq[order].astype(np.int64), starts)
    result = np.empty(len(code), np.int64)
    result[order] = np.arange(len(code)) - np.repeat(starts, lengths) + np.repeat(first, lengths)
    return result


def _extents(owner: np.ndarray, seq: np.ndarray, names: list[tuple[str, str]]) -> list[list[Any]]:
    order = np.argsort(owner, kind="stable")
    code, numbers = owner[order], seq[order]
    starts = np.r_[0, np.flatnonzero(code[1:] != code[:-1]) + 1]
    first = np.minimum.reduceat(numbers, starts).tolist()
    last = np.maximum.reduceat(numbers, starts).tolist()
    return [
        [*names[number], low, high]
        for number, low, high in zip(code[starts].tolist(), first, last, strict=True)
    ]


def pack(table: pa.Table) -> memoryview:
    """Return a table as one Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue()).cast("B")
