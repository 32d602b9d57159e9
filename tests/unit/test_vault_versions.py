"""Blocks that an older version sealed are read as ever, and blocks of both versions lie in one object."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests.vaults import check_object, make_home, plain, rows

from safehold.catalog.record import from_record
from safehold.errors import InvalidError, TamperedError
from safehold.vault import container
from safehold.vault.block import lay_out, open_block

OLD = Path(__file__).parents[1] / "data" / "shb1.json"


def _as_it_was(count: int) -> pa.Table:
    at = np.arange(count)
    return pa.table(
        {
            "t": pa.array(1_700_000_000_000_000 + at * 1000).cast(pa.timestamp("us", "UTC")),
            "n": pa.array((at % 7).astype(np.int32)),
            "x": pa.array((at % 100).astype(np.int16)),
            "f": pa.array((at % 10).astype(np.float64)),
            "key": pa.array([f"k{i % 5}" for i in range(count)]).dictionary_encode(),
            "text": pa.array([None if i % 3 else "word" for i in range(count)]),
        }
    )


@pytest.fixture(scope="module")
def old():
    """An object with a block of each codec of version 1, as that version wrote it."""
    held = json.loads(OLD.read_text("utf-8"))
    blocks = [from_record(record) for record in held["blocks"]]
    return held, memoryview(base64.b64decode(held["object"])), blocks


def test_an_object_of_version_1_is_checked_and_read(old):
    held, data, blocks = old
    seal = container.ObjectSeal(b"m" * 32, blocks[0].object)
    root = bytes.fromhex(held["root"])
    assert container.check_object(data, root=root, size=held["size"], seal=seal) == 3
    for number, (one, count) in enumerate(zip(blocks, held["counts"], strict=True)):
        part = data[one.offset : one.offset + one.length]
        assert lay_out(part, len(part)) is None
        key = bytes([number + 1]) * 32
        back = open_block(part, one, seal=seal, window_key=key)
        assert back.equals(_as_it_was(count))
        some = open_block(part, one, seal=seal, window_key=key, columns=["f", "t"])
        assert some.equals(_as_it_was(count).select(["f", "t"]))
        with pytest.raises(InvalidError):
            open_block(part, one, seal=seal, window_key=key, columns=["nothing"])


def test_a_block_of_version_1_said_to_be_of_version_2_is_refused(old):
    _, data, blocks = old
    seal = container.ObjectSeal(b"m" * 32, blocks[0].object)
    for number, one in enumerate(blocks):
        part = bytearray(data[one.offset : one.offset + one.length])
        part[48] |= 0x80
        key = bytes([number + 1]) * 32
        with pytest.raises(TamperedError):
            open_block(memoryview(part), one, seal=seal, window_key=key)


def test_blocks_of_both_versions_lie_in_one_object(tmp_path):
    home = make_home(tmp_path)
    tables = [rows(20), _as_it_was(9_000), rows(21), _as_it_was(4_000)]
    sealed = home.vault.seal([plain(table=table) for table in tables], segment="de")
    data = home.held(sealed.name)
    kinds = [
        lay_out(memoryview(data)[one.offset : one.offset + one.length], one.length)
        for one in sealed.blocks
    ]
    assert [kind is None for kind in kinds] == [True, False, True, False]
    assert check_object(home, sealed) == 4
    for (_, back), table in zip(home.vault.read(sealed.blocks), tables, strict=True):
        assert back.equals(table)
    for (_, back), table in zip(
        home.vault.read(sealed.blocks[1:2], columns=["key", "n"]), tables[1:2], strict=True
    ):
        assert back.equals(table.select(["key", "n"]))
