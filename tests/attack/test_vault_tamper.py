"""Everything a storage operator can do to sealed objects, and what each reader says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.stores import STORES, store_of
from tests.vaults import (
    TODAY,
    check_object,
    make_home,
    object_bytes,
    object_seal,
    plain,
    read,
    rows,
    span,
    window_key,
    write_object,
)

from safehold.errors import InvalidError, MissingError, SafeholdError, ShreddedError, TamperedError
from safehold.vault import SealedBlock, container, keys, objects, tables
from safehold.vault.block import open_block


@pytest.fixture
def home(request, tmp_path):
    return make_home(tmp_path, store=store_of(request, tmp_path / "home/objects"))


def _rehash(block: SealedBlock, data: bytes) -> SealedBlock:
    """Grant the attacker even the catalogue's digest, to test the seals beneath it."""
    return replace(block, sha256=hashlib.sha256(data[span(block)]).digest())


def test_every_flipped_byte_of_an_object_is_found(home):
    sealed = home.vault.seal([plain(table=rows(3)), plain("psn_b", table=rows(3))], segment="de")
    whole = object_bytes(home, sealed)
    assert len(whole) == sealed.size
    for at in range(len(whole)):
        bad = bytearray(whole)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(TamperedError):
            container.check_object(
                memoryview(bad), root=sealed.root, size=sealed.size, seal=object_seal(home, sealed)
            )


def test_every_flipped_byte_of_a_block_is_found_even_with_a_forged_digest(home):
    sealed = home.vault.seal([plain(table=rows(3))], segment="de")
    (block,) = sealed.blocks
    data = bytes(object_bytes(home, sealed)[span(block)])
    seal = object_seal(home, sealed)
    window = window_key(home, block)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(TamperedError):
            open_block(memoryview(bad), block, seal=seal, window_key=window)
        forged = replace(block, sha256=hashlib.sha256(bad).digest())
        with pytest.raises(TamperedError):
            open_block(memoryview(bad), forged, seal=seal, window_key=window)
    assert open_block(memoryview(data), block, seal=seal, window_key=window).equals(rows(3))


@pytest.mark.parametrize("home", STORES, indirect=True)
@pytest.mark.parametrize("keep", [0, 3, 19, 20, 100, -1, -4, -40])
def test_truncation_is_found(home, keep):
    sealed = home.vault.seal([plain()], segment="de")
    write_object(home, sealed, bytes(object_bytes(home, sealed)[:keep]))
    with pytest.raises(TamperedError):
        check_object(home, sealed)
    if keep in range(150):
        with pytest.raises(TamperedError):
            read(home, *sealed.blocks)


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_a_block_cut_out_with_the_tail_kept_is_found(home):
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(3)], segment="de")
    data = object_bytes(home, sealed)
    del data[span(sealed.blocks[1])]
    write_object(home, sealed, bytes(data))
    with pytest.raises(TamperedError):
        check_object(home, sealed)
    with pytest.raises(TamperedError):
        read(home, sealed.blocks[2])


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_bytes_added_at_the_end_are_found(home):
    sealed = home.vault.seal([plain()], segment="de")
    write_object(home, sealed, bytes(object_bytes(home, sealed)) + b"\0")
    with pytest.raises(TamperedError):
        check_object(home, sealed)


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_two_blocks_of_one_person_swapped_are_found(home):
    sealed = home.vault.seal(
        [plain(window=TODAY - 1), plain(window=TODAY, table=rows(seed=1))], segment="de"
    )
    first, second = sealed.blocks
    assert first.length == second.length
    data = object_bytes(home, sealed)
    data[span(first)], data[span(second)] = data[span(second)], data[span(first)]
    write_object(home, sealed, bytes(data))
    with pytest.raises(TamperedError):
        check_object(home, sealed)
    for block in sealed.blocks:
        with pytest.raises(TamperedError):
            read(home, block)
        with pytest.raises(TamperedError):
            read(home, _rehash(block, data))


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_two_objects_swapped_are_found(home):
    one, two = (home.vault.seal([plain(table=rows(seed=i))], segment="de") for i in (0, 1))
    first, second = bytes(object_bytes(home, one)), bytes(object_bytes(home, two))
    write_object(home, one, second)
    write_object(home, two, first)
    with pytest.raises(TamperedError):
        check_object(home, one)
    with pytest.raises(TamperedError):
        read(home, *one.blocks)
    with pytest.raises(TamperedError):
        read(home, _rehash(one.blocks[0], second))


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_an_older_generation_in_the_place_of_the_newer_is_found(home):
    old = home.vault.seal([plain()], segment="de")
    new = home.vault.seal([plain(table=rows(21))], segment="de", generation=2)
    assert new.blocks[0].generation == 2
    write_object(home, new, bytes(object_bytes(home, old)))
    with pytest.raises(TamperedError):
        check_object(home, new)
    with pytest.raises(TamperedError):
        read(home, *new.blocks)
    # nor does an old record pass for a newer one by its number
    with pytest.raises(TamperedError):
        read(home, replace(old.blocks[0], generation=2))


def test_nothing_is_read_without_an_expected_digest(home):
    sealed = home.vault.seal([plain()], segment="de")
    with pytest.raises(InvalidError) as caught:
        read(home, replace(sealed.blocks[0], sha256=b""))
    assert caught.value.rule == "block.freshness"
    with pytest.raises(InvalidError):
        home.vault.check(sealed.name, root=b"", size=sealed.size, segment="de")


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_a_missing_object_is_missing(home):
    sealed = home.vault.seal([plain()], segment="de")
    home.store.remove(sealed.name)
    with pytest.raises(MissingError):
        read(home, *sealed.blocks)


def test_names_are_not_readable_in_an_object(home):
    block = plain("psn_visible", stream="chatstream")
    sealed = home.vault.seal([block], segment="segmentname")
    data = bytes(object_bytes(home, sealed))
    # words of four letters and fewer could stand in this much ciphertext, or in a random name, by chance
    for word in (b"psn_visible", b"chatstream", b"segmentname", b"train"):
        assert word not in data
    assert "psn_" not in sealed.name
    assert "segment" not in sealed.name


def test_sizes_are_bucketed(home):
    sizes = {
        home.vault.seal([plain(table=rows(count))], segment="de").size for count in range(200, 260)
    }
    assert len(sizes) <= 3


def test_lengths_of_names_do_not_show(home):
    short = home.vault.seal([plain("psn_a", stream="k")], segment="de")
    long = home.vault.seal([plain("psn_" + "a" * 60, stream="keyboards")], segment="de")
    assert short.size == long.size


def test_a_row_swapped_between_people_opens_nothing(home):
    """Parking a wrapped key under another name before an erasure would save it."""
    sealed = home.vault.seal([plain("psn_a"), plain("psn_b")], segment="de")
    with home.engine.begin() as connection:
        rows_ = {
            row.owner: row.wrapped
            for row in connection.execute(
                sa.select(tables.key).where(tables.key.c.kind == "person")
            )
        }
        for owner, other in (("psn_a", "psn_b"), ("psn_b", "psn_a")):
            connection.execute(
                sa.update(tables.key)
                .where(tables.key.c.owner == owner)
                .values(wrapped=rows_[other])
            )
    for block in sealed.blocks:
        with pytest.raises(TamperedError):
            read(home, block)


def test_errors_name_no_person_and_carry_no_key(home):
    sealed = home.vault.seal([plain("psn_secret")], segment="de")
    raw = window_key(home, sealed.blocks[0])
    home.vault.shred(person="psn_secret")
    with pytest.raises(ShreddedError) as caught:
        read(home, *sealed.blocks)
    text = repr(caught.value) + str(caught.value.payload())
    assert "psn_secret" not in text
    for thing in (home.vault, home.root, home.vault._keyring, home.vault.sidecar):
        assert "hidden" in repr(thing)
    one = keys.block_keys(raw, block_id=b"\0" * 16, header=b"{}")
    assert repr(one) == "BlockKeys(hidden)"
    assert one.key.hex() not in repr(one)


@pytest.mark.parametrize("home", STORES, indirect=True)
def test_an_object_is_never_overwritten(home):
    name = objects.new_name()
    home.vault._objects.put(name, b"one")
    with pytest.raises(SafeholdError) as caught:
        home.vault._objects.put(name, b"two")
    assert caught.value.code == "conflict"
    assert home.vault._objects.get(name) == b"one"


@pytest.mark.parametrize("name", ["../../etc/passwd", "ab/cd", "", "ab/../x.shb", "/abs.shb"])
def test_a_name_that_is_no_object_name_is_refused(home, name):
    with pytest.raises(InvalidError):
        home.vault._objects.get(name)
