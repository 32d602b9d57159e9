"""Every table row of ``block-format.md`` again, for blocks whose columns have seals of their own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from tests.vaults import (
    TODAY,
    check_object,
    make_home,
    object_bytes,
    object_seal,
    plain,
    read,
    span,
    window_key,
    write_object,
)

from safehold.errors import TamperedError
from safehold.vault import container, header, keys, paged
from safehold.vault.block import HEAD_BYTES, digest_of, lay_out, open_block, open_paged


def _wide(count: int = 6_000, seed: int = 0) -> pa.Table:
    draw = np.random.default_rng(seed)
    return pa.table(
        {
            "t": 1_000_000 + np.cumsum(draw.integers(0, 900, count)),
            "noise": draw.integers(0, 2**63, count),
            "x": draw.integers(0, 50, count).astype(np.int16),
        }
    )


def _noise(draw: np.random.Generator, count: int) -> np.ndarray:
    """Numbers that nothing shrinks, so that two columns take exactly the same room."""
    return draw.integers(0, 2**64, count, dtype=np.uint64)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


class Held:
    """One sealed block of version 2, with everything its reader and an attacker need."""

    def __init__(self, home, table=None, **changes) -> None:
        self.sealed = home.vault.seal([plain(table=table or _wide(), **changes)], segment="de")
        (self.block,) = self.sealed.blocks
        self.data = bytearray(object_bytes(home, self.sealed)[span(self.block)])
        self.seal, self.window = object_seal(home, self.sealed), window_key(home, self.block)
        self.layout = lay_out(memoryview(self.data), len(self.data))
        assert self.layout is not None

    def open(self, data, *, record=None, columns=None):
        return open_block(
            memoryview(bytes(data)),
            record or self.block,
            seal=self.seal,
            window_key=self.window,
            columns=columns,
        )

    def granted(self, data, *, pages: bool = True):
        """Return data and record as an attacker has them who may write the catalogue's digest too."""
        data, layout = bytearray(data), self.layout
        if pages:
            body = memoryview(data)[layout.body :]
            hashes = [
                paged.hashlib.sha256(body[at : at + paged.PAGE]).digest()
                for at in range(0, len(body), paged.PAGE)
            ]
            data[layout.hashes : layout.body] = b"".join(hashes)
        digest = paged.digest_of(memoryview(data)[: layout.body], len(data))
        return data, replace(self.block, sha256=digest, length=len(data))

    def header(self) -> bytes:
        """Return the header in the clear."""
        length = int.from_bytes(self.data[48:52], "big") & 0x7FFFFFFF
        return self.seal.open(2, bytes(self.data[HEAD_BYTES : HEAD_BYTES + length])).rstrip(b" ")

    def part(self, number: int) -> slice:
        """Return where a sealed column lies in the block."""
        opened = self._opened()
        begin, end = opened._span(number)
        return slice(self.layout.body + begin, self.layout.body + end)

    def _opened(self):
        return open_paged(
            memoryview(self.data),
            self.layout,
            self.block,
            seal=self.seal,
            window_key=self.window,
            columns=None,
        )


def _places(held: Held) -> list[int]:
    """Every byte before the body, and of the body the edges of every page and part and some between."""
    layout, size = held.layout, len(held.data)
    edges = {layout.body, size - 1}
    for at in range(layout.body, size, paged.PAGE):
        edges |= {at, at - 1}
    for number in range(3):
        part = held.part(number)
        edges |= {part.start, part.stop - 1, part.stop - 16, part.stop}
    edges |= set(range(layout.body, size, 997))
    return sorted(set(range(layout.body)) | {at for at in edges if at < size})


def test_a_flipped_bit_is_found_whatever_the_attacker_may_write(home):
    held = Held(home)
    assert held.open(held.data).equals(_wide())
    for at in _places(held):
        bad = bytearray(held.data)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(TamperedError):
            held.open(bad)
        if at % 16 == 0 or at >= held.layout.body:
            forged, record = held.granted(bad)
            if held.layout.hashes <= at < held.layout.body:
                forged, record = held.granted(bad, pages=False)
            with pytest.raises(TamperedError):
                held.open(forged, record=record)


def test_a_flipped_bit_of_an_object_is_found_without_a_persons_key(home):
    held = Held(home)
    whole = object_bytes(home, held.sealed)
    first = held.block.offset
    for at in _places(held)[::3]:
        bad = bytearray(whole)
        bad[first + at] ^= 1
        with pytest.raises(TamperedError):
            container.check_object(
                memoryview(bad), root=held.sealed.root, size=held.sealed.size, seal=held.seal
            )


def test_a_flipped_bit_in_a_column_is_found_by_who_reads_that_column_and_its_pages(home):
    held = Held(home)
    for number, name in enumerate(("t", "noise", "x")):
        part = held.part(number)
        for at in (part.start, (part.start + part.stop) // 2, part.stop - 1):
            bad = bytearray(held.data)
            bad[at] ^= 4
            with pytest.raises(TamperedError) as caught:
                held.open(bad, columns=[name])
            assert caught.value.rule == "block.page"
            forged, record = held.granted(bad)
            with pytest.raises(TamperedError) as caught:
                held.open(forged, record=record, columns=[name])
            assert caught.value.rule == "block.seal"


def test_a_page_is_no_other_page(home):
    held = Held(home)
    body, page = held.layout.body, paged.PAGE
    bad = bytearray(held.data)
    bad[body : body + page] = held.data[body + page : body + 2 * page]
    bad[body + page : body + 2 * page] = held.data[body : body + page]
    with pytest.raises(TamperedError) as caught:
        held.open(bad)
    assert caught.value.rule == "block.page"
    # with the hashes exchanged as well, the digest tells
    bad[held.layout.hashes : held.layout.hashes + 32] = held.data[
        held.layout.hashes + 32 : held.layout.hashes + 64
    ]
    bad[held.layout.hashes + 32 : held.layout.hashes + 64] = held.data[
        held.layout.hashes : held.layout.hashes + 32
    ]
    with pytest.raises(TamperedError) as caught:
        held.open(bad)
    assert caught.value.rule == "block.digest"


def test_columns_do_not_change_places_within_a_block(home):
    """Two columns of one length and one packing, exchanged by who may write every digest."""
    draw = np.random.default_rng(3)
    table = pa.table({name: _noise(draw, 6_000) for name in ("a", "b")})
    held = Held(home, table)
    one, two = held.part(0), held.part(1)
    assert one.stop - one.start == two.stop - two.start
    bad = bytearray(held.data)
    bad[one], bad[two] = held.data[two], held.data[one]
    forged, record = held.granted(bad)
    for name in ("a", "b"):
        with pytest.raises(TamperedError) as caught:
            held.open(forged, record=record, columns=[name])
        assert caught.value.rule == "block.seal"


def test_columns_do_not_move_between_blocks(home):
    """Not between windows of one person, nor between two sealings of the same rows."""
    draw = np.random.default_rng(4)
    noise = [pa.table({"a": _noise(draw, 9_000)}) for _ in range(2)]
    one = Held(home, noise[0], window=TODAY - 1)
    for other in (Held(home, noise[1]), Held(home, noise[0], window=TODAY - 1)):
        assert len(one.data) == len(other.data)
        bad = bytearray(one.data)
        bad[one.part(0)] = other.data[other.part(0)]
        forged, record = one.granted(bad)
        with pytest.raises(TamperedError) as caught:
            one.open(forged, record=record)
        assert caught.value.rule == "block.seal"


def test_a_dropped_column_and_a_cut_block_are_found(home):
    held = Held(home)
    part = held.part(1)
    dropped = held.data[: part.start] + held.data[part.stop :]
    for bad in (dropped, held.data[:-1], held.data[: -paged.PAGE], held.data + bytes(8)):
        with pytest.raises(TamperedError):
            held.open(bad)
        with pytest.raises(TamperedError):
            held.open(bad, columns=["t"])
        with pytest.raises(TamperedError):
            held.open(bad, record=replace(held.block, length=len(bad)))


@pytest.mark.parametrize("keep", range(0, 60, 7))
def test_a_block_cut_in_its_head_is_found(home, keep):
    held = Held(home)
    with pytest.raises(TamperedError):
        held.open(held.data[:keep], record=replace(held.block, length=keep))


def test_an_older_version_in_the_place_of_the_newer_is_found(home):
    """The same person, window, label and rows: only the digest from outside tells."""
    old, new = Held(home), Held(home, _wide(seed=1))
    write_object(home, new.sealed, bytes(object_bytes(home, old.sealed)))
    with pytest.raises(TamperedError):
        read(home, new.block)
    with pytest.raises(TamperedError):
        list(home.vault.read([new.block], columns=["x"]))
    with pytest.raises(TamperedError):
        check_object(home, new.sealed)


@pytest.mark.parametrize("length", [0, 15, 16, 2**24 + 1, 2**31, 2**32 - 1])
def test_a_directory_out_of_bounds_is_refused_before_anything_is_opened(home, length, monkeypatch):
    held = Held(home)
    at = 52 + (int.from_bytes(held.data[48:52], "big") & 0x7FFFFFFF)
    held.data[at : at + 4] = length.to_bytes(4, "big")
    monkeypatch.setattr(keys, "decrypt", lambda *_, **__: pytest.fail("decrypted first"))
    with pytest.raises(TamperedError):
        held.open(held.data)


def test_a_block_of_version_2_said_to_be_of_version_1_is_refused(home):
    held = Held(home)
    held.data[48] &= 0x7F
    with pytest.raises(TamperedError) as caught:
        held.open(held.data)
    assert caught.value.rule == "block.digest"
    # who may write the digest fails at the header, which says its version and is sealed
    digest = digest_of(memoryview(held.data))
    with pytest.raises(TamperedError) as caught:
        held.open(held.data, record=replace(held.block, sha256=digest))
    assert caught.value.rule == "header.codec"


def test_a_header_names_no_codec_of_the_other_version():
    text = b'{"charter":"","codec":"cols","expires":1,"v":"shb/1"}'
    with pytest.raises(TamperedError):
        header.parse(text)


def test_rows_forged_by_who_holds_every_key_of_the_block_are_found_by_the_digest(home):
    """An opener seals another column in its place under the right key: only the digest tells."""
    held = Held(home)
    raw = held.header()
    one = keys.block_keys(held.window, block_id=held.block.block_id, header=raw)
    seal = paged.PartSeal(one.key, one.nonce, held.block.block_id + bytes(4))
    part = held.part(1)
    plain_ = bytearray(seal.open(2, memoryview(held.data)[part]))
    plain_[:8] = bytes(8)
    into = memoryview(bytearray(part.stop - part.start))
    seal.seal_into(2, plain_, into)
    bad = bytearray(held.data)
    bad[part] = into
    forged, record = held.granted(bad)
    assert not held.open(forged, record=record).equals(_wide())  # without the digest it would pass
    for columns in (None, ["noise"]):
        with pytest.raises(TamperedError) as caught:
            held.open(forged, columns=columns)
        assert caught.value.rule == "block.digest"


def test_a_directory_that_opens_and_lies_is_refused(home):
    """Made by who holds every key: counts, sizes and pieces that do not fit are no rows."""
    held = Held(home)
    raw = held.header()
    one = keys.block_keys(held.window, block_id=held.block.block_id, header=raw)
    seal = paged.PartSeal(one.key, one.nonce, held.block.block_id + bytes(4))
    at = held.layout.hashes - held.layout.directory
    sealed = memoryview(held.data)[at : held.layout.hashes]
    clear = seal.open(0, sealed)
    used = len(clear.rstrip(b"\0"))
    refused = 0
    for place in range(used + 3):
        lie = bytearray(clear)
        lie[place] ^= 0xFF
        seal.seal_into(0, lie, sealed)
        forged, record = held.granted(held.data)
        try:
            found = held.open(forged, record=record)
        except TamperedError:
            refused += 1
        else:  # names of columns are the only thing that may differ; their values are what was sealed
            found.validate(full=True)
            assert found.num_rows == 6_000
    assert refused > used * 0.8
