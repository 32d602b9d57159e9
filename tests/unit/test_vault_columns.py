"""Columns as bytes: every type comes back bit by bit, small where it can be, and as views where it may."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import numpy as np
import pyarrow as pa
import pytest
from tests.vaults import make_home, plain

from safehold.errors import InvalidError, TamperedError
from safehold.vault import pack, shape, unpack

DRAW = np.random.default_rng(7)
COUNT = 3_000
WILD = DRAW.integers(-(2**63), 2**63 - 1, COUNT, endpoint=True)
WILD[:4] = [2**63 - 1, -(2**63), -1, 0]
HOLES = DRAW.random(COUNT) < 0.3
WORDS = np.array(["", "a", "zwei", "\u4e2d\u6587", "long " * 40])


def _again(column: pa.Array) -> pa.Array:
    held = pack.pack(column)
    how = (held.flags, held.planes, held.nulls, held.words)
    return unpack.unpack(
        column.type, len(column), how, list(shape.PIECE.iter_unpack(held.pieces)), held.data
    )


@lru_cache
def _columns() -> dict[str, pa.Array]:
    times = pa.array(1_700_000_000_000_000 + np.cumsum(DRAW.integers(0, 900, COUNT)))
    words = DRAW.choice(WORDS, COUNT)
    found = {f"int{bits}": pa.array(WILD.astype(f"i{bits // 8}")) for bits in (8, 16, 32, 64)}
    found |= {f"uint{bits}": pa.array(WILD.astype(f"u{bits // 8}")) for bits in (8, 16, 32, 64)}
    found |= {
        "small and negative": pa.array(DRAW.integers(-9, 10, COUNT)),
        "walk": pa.array(np.cumsum(DRAW.integers(-9, 10, COUNT)).astype(np.int16)),
        "one": pa.array(np.full(COUNT, 77, np.int32)),
        "nothing": pa.array(np.zeros(COUNT, np.int64)),
        "float": pa.array(WILD.view(np.float64)),  # not-a-numbers of every kind, both zeros
        "half": pa.array(WILD.astype(np.uint16).view(np.float16)),
        "single": pa.array(WILD.astype(np.uint32).view(np.float32)),
        "time": times.cast(pa.timestamp("us", "UTC")),
        "lasting": pa.array(WILD).cast(pa.duration("ms")),
        "date": pa.array(WILD.astype(np.int32)).cast(pa.date32()),
        "clock": pa.array(DRAW.integers(0, 86_400, COUNT).astype(np.int32)).cast(pa.time32("s")),
        "bits": pa.array(DRAW.random(COUNT) < 0.5),
        "text": pa.array(words),
        "large text": pa.array(words, pa.large_string()),
        "bytes": pa.array([word.encode() for word in words], pa.binary()),
        "large bytes": pa.array([word.encode() for word in words], pa.large_binary()),
        "coded": pa.array(words).dictionary_encode(),
        "coded large": pa.array(words, pa.large_string()).dictionary_encode(),
        "coded short": pa.array(words).dictionary_encode().cast(pa.dictionary(pa.int8(), "string")),
        "coded numbers": pa.array(DRAW.integers(0, 5, COUNT)).dictionary_encode(),
        "fixed": pa.array([bytes(row) for row in WILD.view(np.uint8).reshape(-1, 8)], pa.binary(8)),
        "fixed, all the same": pa.array([b"0123456789abcdef"] * COUNT, pa.binary(16)),
        "decimal": pa.array([Decimal(int(row)) for row in WILD], pa.decimal128(38)),
        "list": pa.array([[int(row) % 7] * (int(row) % 3) for row in WILD]),
        "struct": pa.array([{"a": int(row), "b": None} for row in WILD]),
        "null": pa.nulls(COUNT),
    }
    return found


def _raw(column: pa.Array) -> list[bytes | None]:
    """The bytes of a column's values: a not-a-number equals nothing."""
    if pa.types.is_floating(column.type):
        return column.view(pa.binary(column.type.bit_width // 8)).to_pylist()
    if pa.types.is_temporal(column.type):  # Python's own times end before Arrow's
        return column.view(pa.binary(column.type.bit_width // 8)).to_pylist()
    return column.to_pylist()


@pytest.mark.parametrize("name", sorted(_columns()))
def test_every_type_comes_back_bit_by_bit(name):
    column = _columns()[name]
    cases = [column, column.slice(3), column.slice(5, COUNT - 13), column.slice(9, 1), column[:0]]
    if not pa.types.is_null(column.type):
        masked = pa.array([None if hole else 1 for hole in HOLES])
        places = pa.compute.if_else(pa.compute.is_valid(masked), pa.array(np.arange(COUNT)), None)
        holed = column.take(places)
        cases += [holed, holed.slice(3), holed.slice(1, COUNT - 20), pa.nulls(40, column.type)]
    for case in cases:
        back = _again(case)
        back.validate(full=True)
        assert back.type == case.type
        assert back.null_count == case.null_count
        assert _raw(back) == _raw(case)


def test_a_slice_carries_no_value_of_the_others():
    canary = b"\x5a\xfe\x40\x1d" * 4
    column = pa.array([canary] * 500 + [bytes(DRAW.bytes(16)) for _ in range(500)], pa.binary(16))
    assert canary[:4] not in pack.pack(column.slice(500)).data
    text = pa.array(["canary"] * 500 + ["word"] * 20)
    assert b"canary" not in pack.pack(text.slice(500)).data
    bits = pa.array([True] * 13 + [False] * 8)
    assert pack.pack(bits.slice(13)).data == b"\0"


def test_what_moves_by_little_and_what_is_all_the_same_takes_little_room():
    columns = _columns()
    assert len(pack.pack(columns["walk"]).data) < COUNT * 0.7
    assert len(pack.pack(columns["one"]).data) < 60
    assert len(pack.pack(columns["nothing"]).data) == 0
    assert len(pack.pack(columns["fixed, all the same"]).data) == 16
    noise = pa.array(WILD.view(np.uint64))
    assert len(pack.pack(noise).data) <= COUNT * 8 + 8


def _address(values: np.ndarray) -> int:
    return values.__array_interface__["data"][0]


def test_nothing_is_copied_on_the_way_to_arrow_and_numpy():
    """By address: what was not compressed lies in what was decrypted, and NumPy's arrays in Arrow's."""
    noise = DRAW.bytes(COUNT * 8)
    column = pa.Array.from_buffers(pa.binary(8), COUNT, [None, pa.py_buffer(noise)])
    held = pack.pack(column)
    opened = bytes(held.data)
    back = unpack.unpack(
        column.type, COUNT, held[:4], list(shape.PIECE.iter_unpack(held.pieces)), opened
    )
    base = pa.py_buffer(opened).address
    assert base <= back.buffers()[1].address < base + len(opened)


def test_numbers_that_were_read_are_views_aligned_for_other_libraries(tmp_path):
    home = make_home(tmp_path)
    table = pa.table({name: _columns()[name] for name in ("int64", "walk", "time", "float")})
    sealed = home.vault.seal([plain(table=table)], segment="de")
    ((_, back),) = home.vault.read(sealed.blocks)
    for name in table.column_names:
        chunk = back.column(name).chunk(0)
        seen = chunk.to_numpy(zero_copy_only=True)
        assert _address(seen) == chunk.buffers()[1].address
        assert _address(seen) % 64 == 0
    again = pa.concat_tables([back, back])
    assert again.column("walk").chunk(1).buffers()[1].address == (
        back.column("walk").chunk(0).buffers()[1].address
    )


@pytest.mark.parametrize("name", ["walk", "text", "coded", "fixed", "bits", "list"])
def test_bytes_that_are_no_column_are_refused(name):
    column = _columns()[name].take(pa.array(np.arange(COUNT), mask=HOLES))
    held = pack.pack(column)
    pieces = list(shape.PIECE.iter_unpack(held.pieces))
    how = held[:4]

    def refused(how=how, pieces=pieces, data=held.data, rows=COUNT):
        try:
            found = unpack.unpack(column.type, rows, how, pieces, data)
            found.validate(full=True)
        except (TamperedError, pa.ArrowException, ValueError):
            return True
        return False

    assert not refused()
    assert refused(data=held.data[:-1])
    assert refused(data=held.data + b"\0")
    assert refused(pieces=pieces[:-1])
    assert refused(pieces=[*pieces, (0, 0)])
    assert refused(pieces=[(9, pieces[0][1]), *pieces[1:]])
    assert refused(rows=COUNT - 9)
    assert refused(rows=COUNT + 9)
    assert refused(how=(how[0] | 64, *how[1:]))
    assert refused(how=(how[0] ^ shape.VALID, *how[1:]))
    assert refused(how=(how[0], how[1] + 9, *how[2:])) or name in {"fixed", "bits", "list"}


def test_a_stream_whose_offsets_point_elsewhere_is_refused():
    """Made by who holds the key: Arrow itself reads it, and would follow it out of its buffers."""
    kind = pa.list_(pa.int64())
    offsets = pa.py_buffer(np.array([0, 1_000_000, 2], np.int32))
    lie = pa.Array.from_buffers(kind, 2, [None, offsets], 0, 0, [pa.array([1, 2])])
    held = pack.pack(lie)
    how = (held.flags, held.planes, held.nulls, held.words)
    with pytest.raises(pa.ArrowInvalid):  # which whoever opens a block makes a ``TamperedError``
        unpack.unpack(kind, 2, how, list(shape.PIECE.iter_unpack(held.pieces)), held.data)


def test_what_no_reader_would_take_is_not_sealed(tmp_path, monkeypatch):
    """It would be refused as damaged when it is read, and be lost."""
    home = make_home(tmp_path)
    monkeypatch.setattr("safehold.vault.zstd.LARGEST", 1 << 17)
    for column in (pa.array(["a" * 200_000]), pa.array([["a" * 200_000]])):
        with pytest.raises(InvalidError) as refused:
            home.vault.seal([plain(table=pa.table({"text": column}))], segment="s")
        assert refused.value.rule == "block.size"
