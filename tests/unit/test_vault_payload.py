"""Rows as bytes: codec by size, buckets, and nobody else's values."""

from __future__ import annotations

import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from safehold.errors import InvalidError, TamperedError
from safehold.vault import opened, pad, paged, payload, zstd


def _table(count: int) -> pa.Table:
    return pa.table({"x": np.arange(count), "y": np.arange(count) * 0.5})


def _rows(codec, data, wanted=None):
    """What a reader makes of what was packed, with the seals left out or put on and taken off."""
    if codec != payload.PAGED:
        return payload.decode(codec, data, wanted=wanted)
    seal = paged.PartSeal(b"k" * 32, b"n" * 12, b"context")
    whole = memoryview(bytearray(data.length))
    data.write(whole, seal)
    layout = paged.lay_out(whole, 0, len(whole))
    held = opened.Opened(whole[: layout.body], layout, start=0, seal=seal, wanted=wanted)
    body = whole[layout.body :]
    return held.table([body[begin:end] for begin, end in held.spans])


@pytest.mark.parametrize("count", [0, 1, 300, 4095, 4096, 4097, 50_000])
def test_rows_come_back(count):
    codec, data = payload.encode(_table(count))
    assert codec == (payload.WHOLE if count * 16 < payload.SMALL else payload.PAGED)
    if codec == payload.WHOLE:
        assert len(data) == pad.bucket(len(data))
    else:
        assert data.body == pad.bucket(data.body)
        assert (len(data.directory) + 16) % paged.PAD == 0
    assert _rows(codec, data).equals(_table(count))


def test_times_that_grow_by_little_take_little_room():
    times = 1_700_000_000_000_000 + np.cumsum(np.random.default_rng(1).integers(0, 200, 50_000))
    _, data = payload.encode(pa.table({"t": times}))
    assert data.length < 50_000 * 1.05


@pytest.mark.parametrize("count", [10, 50_000])
def test_some_columns_only(count):
    packed = payload.encode(_table(count))
    assert _rows(*packed, ["y"]).equals(_table(count).select(["y"]))
    assert _rows(*packed, ["y", "x"]).column_names == ["y", "x"]
    with pytest.raises(InvalidError):
        _rows(*packed, ["z"])


def test_buckets_are_few_and_cheap():
    sizes = range(1, 200_000, 7)
    padded = [pad.bucket(size) for size in sizes]
    assert all(size <= new for size, new in zip(sizes, padded, strict=True))
    assert all(new <= size * 1.12 for size, new in zip(sizes, padded, strict=True) if size > 512)
    assert all(pad.bucket(new) == new for new in padded)
    assert padded == sorted(padded)
    assert len(set(padded)) < 200


def test_a_slice_carries_no_value_of_the_others():
    """A batch sliced by person shares one dictionary; sealing it whole would outlive an erasure."""
    whole = pa.table(
        {
            "who": pa.array([0, 0, 1, 1]),
            "key": pa.array(["mine", None, "theirs", "theirs too"]).dictionary_encode(),
        }
    )
    mine = whole.slice(0, 2)
    codec, data = payload.encode(mine)
    back = _rows(codec, data)
    assert back.column("key").to_pylist() == ["mine", None]
    assert back.schema == whole.schema
    assert back.column("key").chunk(0).dictionary.to_pylist() == ["mine"]
    empty = _rows(*payload.encode(whole.slice(0, 0)))
    assert "theirs" not in str(empty.column("key").combine_chunks().to_string())
    nulls = payload.compact(whole.slice(1, 1)).column("key")
    assert nulls.dictionary.to_pylist() == []
    assert nulls.to_pylist() == [None]


def test_chunks_with_different_dictionaries_become_one():
    def part(*values):
        return pa.table(
            {
                "key": pa.array(values)
                .dictionary_encode()
                .cast(pa.dictionary(pa.int16(), pa.string()))
            }
        )

    table = pa.concat_tables([part("a", "b"), part("c", "a")])
    back = payload.decode(*payload.encode(table))
    assert back.column("key").to_pylist() == ["a", "b", "c", "a"]
    assert back.schema == table.schema
    assert back.column("key").num_chunks == 1


def test_schema_metadata_is_dropped():
    table = _table(3).replace_schema_metadata({"author": "someone"})
    back = payload.decode(*payload.encode(table))
    assert not back.schema.metadata


@pytest.mark.parametrize("length", [0, 2**63, 505, 600])
def test_a_length_that_does_not_fit_is_refused(length):
    codec, data = payload.encode(_table(3))
    assert len(data) == 512
    data = bytearray(data)
    data[-8:] = length.to_bytes(8, "big")
    with pytest.raises(TamperedError):
        payload.decode(codec, data)


def test_padding_beyond_the_bucket_is_refused():
    codec, data = payload.encode(_table(3))
    with pytest.raises(TamperedError, match="bucket"):
        payload.decode(codec, bytes(data[:-8]) + bytes(512) + bytes(data[-8:]))


def test_a_bomb_is_refused():
    import zstandard

    size = zstd.LARGEST + 1
    body = zstandard.ZstdCompressor().compress(b"x")
    assert zstandard.frame_content_size(body) == 1
    # a frame header that claims more than a block may hold (RFC 8878 section 3.1.1.1)
    forged = body[:4] + bytes([0xE0]) + size.to_bytes(8, "little") + body[6:]
    assert zstandard.frame_content_size(forged) == size
    data = bytearray(512)
    data[-8:] = len(forged).to_bytes(8, "big")
    data[: len(forged)] = forged
    with pytest.raises(TamperedError, match="bounds"):
        payload.decode(payload.WHOLE, data)


@pytest.mark.parametrize("codec", payload.FLAT_CODECS)
def test_rubbish_that_opened_is_refused(codec):
    data = bytearray(512)
    data[-8:] = (40).to_bytes(8, "big")
    data[:40] = b"\x5a" * 40
    with pytest.raises(TamperedError):
        payload.decode(codec, data)


def test_threads_do_not_share_compressors():
    failures = []

    def work(seed):
        try:
            for number in range(150):
                table = pa.table({"x": np.random.default_rng(seed + number).integers(0, 99, 600)})
                if not payload.decode(*payload.encode(table)).equals(table):
                    failures.append("rows differ")
        except Exception as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=work, args=(seed * 1000,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


class Slow:
    """A context that notes who is in it at once."""

    def __init__(self, made):
        self.inside, made[:] = 0, [*made, self]

    def compress(self, _data):
        self.inside += 1
        time.sleep(0.001)
        self.inside -= 1
        assert self.inside == 0
        return b""


@pytest.fixture
def contexts(monkeypatch):
    made: list[Slow] = []
    monkeypatch.setattr(zstd, "_idle", [])
    monkeypatch.setattr(zstd, "_make", lambda: Slow(made))
    return made


def in_threads(count, work, *, at_once):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
        if not at_once:
            thread.join()
    for thread in threads:
        thread.join()


def test_threads_that_come_one_after_the_other_need_one_context(contexts):
    in_threads(20, lambda: zstd.compressed(b"x"), at_once=False)
    assert len(contexts) == 1


def test_threads_at_once_share_no_context(contexts):
    failures = []

    def work():
        try:
            for _ in range(20):
                zstd.compressed(b"x")
        except AssertionError as error:
            failures.append(error)

    in_threads(12, work, at_once=True)
    assert not failures
    assert len(contexts) > 1


def test_no_more_contexts_are_kept_than_can_work_at_once(contexts, monkeypatch):
    class Nested(Slow):
        def compress(self, _data):
            return zstd.compressed(b"x") if len(contexts) < 12 else b""

    monkeypatch.setattr(zstd, "_KEPT", 3)
    monkeypatch.setattr(zstd, "_make", lambda: Nested(contexts))
    zstd.compressed(b"x")
    assert len(contexts) == 12  # all of them in use at once
    assert len(zstd._idle) == 3


def test_a_context_that_failed_is_not_used_again(contexts):
    zstd.compressed(b"x")
    contexts[0].compress = None
    with pytest.raises(TypeError):
        zstd.compressed(b"x")
    zstd.compressed(b"x")
    assert len(contexts) == 2


@pytest.fixture
def expanders(monkeypatch):
    made: list[Slow] = []

    class Expander(Slow):
        def decompress(self, data, **_more):
            self.compress(data)
            return b"x"

    monkeypatch.setattr(zstd, "_idle_expanders", [])
    monkeypatch.setattr(zstd, "_make_expander", lambda: Expander(made))
    return made


FRAME = zstd.compressed(b"x")


def test_threads_at_once_share_no_expander_and_few_are_kept(expanders, monkeypatch):
    monkeypatch.setattr(zstd, "_KEPT", 2)
    in_threads(3, lambda: zstd.expanded(FRAME, 1), at_once=False)
    assert len(expanders) == 1
    failures = []

    def work():
        try:
            for _ in range(20):
                zstd.expanded(FRAME, 1)
        except AssertionError as error:
            failures.append(error)

    in_threads(12, work, at_once=True)
    assert not failures
    assert len(expanders) > 2
    for _ in range(12):  # two that came back in the same moment may both have found room
        zstd.expanded(FRAME, 1)
    assert len(zstd._idle_expanders) == 2


def test_an_expander_that_failed_is_not_used_again(monkeypatch):
    monkeypatch.setattr(zstd, "_idle_expanders", [])
    whole = zstd.compressed(bytes(range(256)) * 40)
    zstd.expanded(whole, 10_240)
    (held,) = zstd._idle_expanders
    with pytest.raises(TamperedError):
        zstd.expanded(whole[:-3], 10_240)
    assert zstd._idle_expanders == []
    assert zstd.expanded(whole, 10_240)
    assert held not in zstd._idle_expanders


def test_what_a_context_worked_on_before_changes_no_frame_after_it(monkeypatch):
    noise = np.random.default_rng(7)
    monkeypatch.setattr(zstd, "_idle", [])
    monkeypatch.setattr(zstd, "_idle_for_planes", [])
    one = b"".join(b"said by one person %d; " % number for number in noise.integers(0, 999, 4000))
    for lent, make in (
        (zstd.compressed, zstd._make),
        (zstd.compressed_plane, zstd._make_for_planes),
    ):
        for size in (0, 60, 5_000, 70_000):
            lent(one)
            other = one[: size // 2] + noise.bytes(size // 2)
            assert lent(other) == make().compress(other), "not one byte of it is of the one before"
