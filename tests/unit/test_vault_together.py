"""Small blocks that are read together give what each gives alone, and hold nothing of each other."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from tests.vaults import make_home, object_bytes, plain, write_object

from safehold.errors import InvalidError, TamperedError
from safehold.vault import gather, header, payload

_CODED = pa.dictionary(pa.int8(), pa.string())


def _table(count: int, seed: int) -> pa.Table:
    """Rows of many types; words are the block's own."""
    random = np.random.default_rng(seed)
    some = [None if random.random() < 0.3 else f"w{seed}-{i}" for i in range(count)]
    words = [f"app{seed % 3}", "mail", None if seed % 2 else "ide"]
    return pa.table(
        {
            "t": pa.array(random.integers(0, 1 << 50, count)).cast(pa.timestamp("us", "UTC")),
            "n": pa.array([None if i % 5 == seed % 5 else i - 9 for i in range(count)], pa.int16()),
            "yes": pa.array([bool(i + seed & 1) for i in range(count)]),
            "maybe": pa.array(
                [None if i % 3 == 0 else seed % 2 == 0 for i in range(count)], pa.bool_()
            ),
            "f": random.normal(0, 1, count).astype(np.float32),
            "text": pa.array(some, pa.string()),
            "long": pa.array([f"{seed}" * (i % 4) for i in range(count)], pa.large_string()),
            "raw": pa.array([bytes([seed, i % 256]) for i in range(count)], pa.binary(2)),
            "money": pa.array([Decimal(i) / 4 for i in range(count)], pa.decimal128(9, 2)),
            "app": pa.array([words[i % 3] for i in range(count)]).dictionary_encode().cast(_CODED),
            "wide": pa.array([words[1]] * count).dictionary_encode(),
        }
    )


TABLES = [_table(count, seed) for seed, count in enumerate((3, 40, 8, 1, 17, 16, 64, 5, 9, 31))]


def _stream(table: pa.Table) -> bytes:
    codec, data = payload.encode(table)
    found = payload.unwrap(codec, data)
    assert isinstance(found, bytes)
    return found


STREAMS = [_stream(table) for table in TABLES]
ROWS = [table.num_rows for table in TABLES]


def read_together(streams, rows, wanted) -> list[pa.Table] | None:
    found = gather.read_together(streams, rows, wanted)
    return None if found is None else [pa.Table.from_batches([one]) for one in found]


def _together(wanted=None) -> list[pa.Table]:
    found = read_together(STREAMS, ROWS, wanted)
    assert found is not None
    return found


def test_what_is_read_together_is_what_was_sealed():
    for one, table in zip(_together(), TABLES, strict=True):
        one.validate(full=True)
        assert one.equals(table)
    picked = ["app", "yes", "t", "app"]
    for one, table in zip(_together(picked), TABLES, strict=True):
        assert one.equals(table.select(picked))


def test_a_column_that_does_not_exist_is_refused():
    with pytest.raises(InvalidError):
        _together(["nothing"])


def test_a_block_has_its_own_words_and_no_others():
    for one, table in zip(_together(), TABLES, strict=True):
        for name in ("app", "wide"):
            words = one.column(name).chunk(0).dictionary.to_pylist()
            assert sorted(words) == sorted(table.column(name).unique().drop_null().to_pylist())


def test_no_byte_of_bits_holds_values_of_two_blocks():
    for one in _together():
        for name in ("yes", "maybe"):
            chunk = one.column(name).chunk(0)
            assert chunk.offset % 8 == 0
            bits = np.frombuffer(chunk.buffers()[1], np.uint8)
            last = bits[(chunk.offset + len(chunk) - 1) // 8]
            if len(chunk) % 8:
                assert last >> (len(chunk) % 8) == 0


def test_words_that_are_ordered_keep_their_order():
    kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    tables = [
        pa.table({"d": pa.DictionaryArray.from_arrays([0, 1], words, ordered=True).cast(kind)})
        for words in (["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"])
    ]
    found = read_together([_stream(one) for one in tables], [2] * 4, None)
    assert found is not None
    for one, table in zip(found, tables, strict=True):
        assert one.column("d").chunk(0).dictionary.equals(table.column("d").chunk(0).dictionary)
        assert one.equals(table)


@pytest.mark.parametrize("what", ["rows", "short", "schema", "nested", "empty"])
def test_what_is_made_otherwise_is_left_to_arrow(what):
    streams, rows = list(STREAMS), list(ROWS)
    if what == "rows":
        rows[3] += 1
    elif what == "short":
        streams[3] = streams[3][:-16] + streams[3][-8:]
    elif what == "schema":
        streams[3] = _stream(pa.table({"x": [1]}))
        rows[3] = 1
    elif what == "nested":
        streams = [_stream(pa.table({"x": [[1], [2, 3]]}))] * 5
        rows = [2] * 5
    else:
        streams[3], rows[3] = _stream(TABLES[3].slice(0, 0)), 0
    assert read_together(streams, rows, None) is None


def test_a_stream_without_its_dictionary_takes_no_other():
    """What is cut out is the whole message, so that the batch would find its neighbour's words."""
    first = STREAMS[4]
    start = 8 + int.from_bytes(first[4:8], "little")
    length = int.from_bytes(first[start + 4 : start + 8], "little")
    body = first.index(b"\xff\xff\xff\xff", start + 8 + length)
    streams = list(STREAMS)
    streams[4] = first[:start] + first[body:]
    assert read_together(streams, ROWS, None) is None


def test_damage_crashes_nothing_and_touches_no_other_block():
    random = np.random.default_rng(7)
    start = 8 + int.from_bytes(STREAMS[1][4:8], "little")
    alone = _together()
    for _ in range(150):
        broken = bytearray(STREAMS[1])
        for at in random.integers(start, len(broken), 1 + int(random.integers(3))):
            broken[at] = int(random.integers(256))
        found = read_together([STREAMS[0], bytes(broken), *STREAMS[2:]], ROWS, None)
        if found is not None:
            found[1].slice(0, 1)
            assert all(found[at].equals(alone[at]) for at in (0, 2, 3, 9))


@pytest.mark.parametrize("kind", [pa.uint64(), pa.int64(), pa.int8()])
def test_words_in_another_order_go_together_whatever_counts_them(kind):
    tables = [
        pa.table({"d": pa.DictionaryArray.from_arrays(pa.array([0, 1, 0], kind), words)})
        for words in (["a", "b"], ["b", "a"], ["a", "b"], ["b", "a"])
    ]
    found = read_together([_stream(one) for one in tables], [3] * 4, None)
    assert found is not None
    for one, table in zip(found, tables, strict=True):
        assert one.to_pylist() == table.to_pylist()


def test_a_dictionary_that_claims_more_words_than_can_be_counted_is_left_to_arrow():
    streams = [_stream(pa.table({"d": pa.array(["a", "b"]).dictionary_encode()}))] * 4
    start = 8 + int.from_bytes(streams[0][4:8], "little")
    two = (2).to_bytes(8, "little")
    broken = bytearray(streams[0])
    places = [at for at in range(start, len(broken) - 8) if broken[at : at + 8] == two]
    for at in places:
        broken[at : at + 8] = ((1 << 63) - 1).to_bytes(8, "little")
        assert read_together([*streams, bytes(broken)], [2] * 5, None) is None
        broken[at : at + 8] = two
    assert places


def test_no_columns_are_still_so_many_rows(tmp_path):
    home = make_home(tmp_path)
    sealed = home.vault.seal([plain(table=table) for table in TABLES], segment="de")
    found = [table.num_rows for _, table in home.vault.read(sealed.blocks, columns=[])]
    assert found == ROWS


def test_blocks_before_a_damaged_one_come_out_and_none_behind_it(tmp_path):
    home = make_home(tmp_path)
    sealed = home.vault.seal([plain(table=table) for table in TABLES], segment="de")
    for (_, back), table in zip(home.vault.read(sealed.blocks), TABLES, strict=True):
        assert back.equals(table)
    data = object_bytes(home, sealed)
    hit = sealed.blocks[6]
    data[hit.offset + hit.length - 1] ^= 1
    write_object(home, sealed, data)
    came = []
    with pytest.raises(TamperedError):
        for block, table in home.vault.read(sealed.blocks):
            came.append((block, table))
    assert [block for block, _ in came] == list(sealed.blocks[:6])
    assert all(table.equals(TABLES[at]) for at, (_, table) in enumerate(came))


def test_batches_hold_what_tables_hold_of_every_kind_of_block(tmp_path):
    """Few blocks, many, one of many pages, one without a row, and the columns that are asked for."""
    home = make_home(tmp_path)
    long = pa.table({name: _table(9000, 3)[name] for name in ("n", "text", "app")})
    tables = [*TABLES, long, TABLES[1].slice(0, 0), TABLES[2]]
    sealed = home.vault.seal([plain(table=table) for table in tables], segment="de")
    for columns in (None, ["app", "n"]):
        found = list(home.vault.read_batches(sealed.blocks, columns=columns))
        assert [block for block, _ in found] == list(sealed.blocks)
        for (_, batch), table in zip(found, tables, strict=True):
            assert isinstance(batch, pa.RecordBatch)
            wanted = table if columns is None else table.select(columns)
            assert pa.Table.from_batches([batch]).equals(wanted)


def test_headers_spelled_from_one_form_are_spelled_as_ever(tmp_path):
    """Whatever names hold: signs of formatting, quotation marks, what looks like a field."""
    home = make_home(tmp_path)
    (held,) = home.vault.seal([plain()], segment="de").blocks
    speller = header.Speller("0f")
    for stream in ("key", "100%s", 'a,"rows":0', "%d%%", 'x"', "b\\"):
        for change in ({}, {"rows": 7}, {"sequence": 3}, {"window": 9}, {"generation": 4}):
            label = replace(held.label, purposes=(stream,), jurisdiction=stream)
            block = replace(held, stream=stream, label=label, **change)
            for codec in ("z", "cols"):
                found = header.parse(speller.spell(block, tag=b"t" * 16, codec=codec))
                assert (found.stream, found.label, found.codec) == (stream, label, codec)
                assert (found.rows, found.sequence) == (block.rows, block.sequence)
                assert (found.window, found.generation) == (block.window, block.generation)
                assert (found.tag, found.object) == (b"t" * 16, "0f")
