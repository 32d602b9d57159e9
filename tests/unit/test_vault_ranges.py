"""Of long blocks only the pages are fetched that the columns wanted lie on, from every store."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from tests.stores import STORES, store_of
from tests.vaults import make_home, object_bytes, plain, rows, write_object

from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.vault import paged
from safehold.vault.bucket import Bucket
from safehold.vault.objects import Objects


def _long(count: int = 200_000, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    return pa.table(
        {
            "a": draw.integers(0, 100, count).astype(np.int8),
            "noise": draw.integers(0, 2**64, count, dtype=np.uint64),
            "b": draw.integers(0, 100, count).astype(np.int8),
        }
    )


@pytest.fixture
def home(request, tmp_path):
    return make_home(tmp_path, store=store_of(request, tmp_path / "home/objects"))


@pytest.fixture
def fetched(monkeypatch):
    """How many bytes were asked for, and in how many requests."""
    asked: list[int] = []
    real = Objects.ranges

    def spy(self, name, spans):
        asked.append(sum(length for _, length in spans))
        return real(self, name, spans)

    monkeypatch.setattr(Objects, "ranges", spy)
    return asked


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_columns_of_a_long_block_are_fetched_by_their_pages(home, fetched):
    sealed = home.vault.seal([plain(table=_long()), plain(table=rows(5))], segment="de")
    long, short = sealed.blocks
    assert long.length > Bucket.apart > Objects.apart
    ((_, back),) = home.vault.read([long], columns=["b"])
    assert back.equals(_long().select(["b"]))
    assert len(fetched) == 2
    column = 200_000  # bytes at most, before it is compressed
    head = 20_600 + 32 * (long.length // paged.PAGE)
    assert sum(fetched) < head + column + 2 * paged.PAGE < long.length / 5
    fetched.clear()
    found = list(home.vault.read([short, long], columns=[]))
    assert [table.shape for _, table in found] == [(5, 0), (200_000, 0)]
    both = list(home.vault.read(sealed.blocks))
    assert both[0][1].equals(_long())
    assert both[1][1].equals(rows(5))


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_blocks_come_in_the_order_asked_for_with_the_columns_in_the_order_asked_for(home):
    tables = [_long(seed=1), rows(9), _long(seed=2)]
    sealed = home.vault.seal([plain(table=tables[0]), plain(table=tables[2])], segment="de")
    first, second = sealed.blocks
    found = list(home.vault.read([second, first], columns=["b", "a"]))
    assert [block for block, _ in found] == [second, first]
    assert found[0][1].equals(tables[2].select(["b", "a"]))
    assert found[1][1].equals(tables[0].select(["b", "a"]))


def test_rows_of_a_person_and_day_keep_their_order_wherever_their_blocks_lie(home, fetched):
    """A joined object may hold what comes before and what comes after a block of another object."""
    around = home.vault.seal(
        [
            plain(table=rows(seed=1)),
            plain(table=rows(seed=3)),
            plain(person="psn_b", table=rows(seed=4)),
        ],
        segment="de",
    )
    between = home.vault.seal([plain(table=rows(seed=2))], segment="de")
    (first, third, other), (second,) = around.blocks, between.blocks
    found = [block for block, _ in home.vault.read([first, second, third, other])]
    assert sorted(found, key=lambda one: one.block_id) == sorted(
        (first, second, third, other), key=lambda one: one.block_id
    )
    assert [one for one in found if one.person == "psn_a"] == [first, second, third]
    fetched.clear()
    list(home.vault.read([first, third, second, other]))
    assert len(fetched) == 2, "an object is read once where order allows it"


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_what_is_fetched_by_pages_is_checked_by_pages(home):
    sealed = home.vault.seal([plain(table=_long())], segment="de")
    (block,) = sealed.blocks
    whole = object_bytes(home, sealed)
    for at in (0, 20, 60, 700, 5_000):  # id, commitment, header, directory, hashes
        bad = bytearray(whole)
        bad[block.offset + at] ^= 1
        home.store.remove(sealed.name)
        write_object(home, sealed, bytes(bad))
        with pytest.raises(TamperedError):
            list(home.vault.read([block], columns=["a"]))
    bad = bytearray(whole)
    bad[block.offset + block.length // 2] ^= 1  # in the noise
    home.store.remove(sealed.name)
    write_object(home, sealed, bytes(bad))
    ((_, back),) = home.vault.read([block], columns=["a"])
    assert back.equals(_long().select(["a"]))
    for columns in (None, ["noise"]):
        with pytest.raises(TamperedError):
            list(home.vault.read([block], columns=columns))
    home.store.remove(sealed.name)
    write_object(home, sealed, bytes(whole[: block.offset + block.length // 2]))
    with pytest.raises(TamperedError):
        list(home.vault.read([block], columns=["b"]))
    home.store.remove(sealed.name)
    with pytest.raises(MissingError):
        list(home.vault.read([block], columns=["b"]))


def test_a_column_that_does_not_exist_is_refused_in_blocks_of_any_length(home):
    sealed = home.vault.seal([plain(table=_long()), plain(table=rows(5))], segment="de")
    for block in sealed.blocks:
        with pytest.raises(InvalidError) as caught:
            list(home.vault.read([block], columns=["nothing"]))
        assert caught.value.rule == "block.columns"
