"""Everything a storage operator can do to sealed objects, and what each reader says."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import sqlalchemy as sa
from tests.vaults import LABEL, TODAY, make_home, plain, rows

from safehold.errors import (
    InvalidError,
    MissingError,
    SafeholdError,
    ShreddedError,
    TamperedError,
)
from safehold.vault import (
    SealedBlock,
    SealedObject,
    container,
    header,
    keys,
    objects,
    payload,
    tables,
)
from safehold.vault.keyring import METADATA, KeyName

_METADATA = KeyName(METADATA)


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


def _read(home, *blocks: SealedBlock):
    return [table for _, table in home.vault.read(blocks)]


def _check(home, sealed: SealedObject) -> int:
    return home.vault.check(sealed.name, root=sealed.root, size=sealed.size, segment="de")


def _span(block: SealedBlock) -> slice:
    return slice(block.offset, block.offset + block.length)


def _write(home, sealed: SealedObject, data: bytes) -> None:
    home.object_file(sealed.name).write_bytes(data)


def _bytes(home, sealed: SealedObject) -> bytearray:
    return bytearray(home.object_file(sealed.name).read_bytes())


def _rehash(block: SealedBlock, data: bytes) -> SealedBlock:
    """Grant the attacker even the catalogue's digest, to test the seals beneath it."""
    return replace(block, sha256=hashlib.sha256(data[_span(block)]).digest())


def test_every_flipped_byte_of_an_object_is_found(home):
    sealed = home.vault.seal([plain(table=rows(3)), plain("psn_b", table=rows(3))], segment="de")
    whole = _bytes(home, sealed)
    assert len(whole) == sealed.size
    for at in range(len(whole)):
        bad = bytearray(whole)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(TamperedError):
            container.check_object(
                memoryview(bad), root=sealed.root, size=sealed.size, seal=_seal(home, sealed)
            )


def _seal(home, sealed) -> container.ObjectSeal:
    with home.engine.begin() as connection:
        held = home.vault._keyring.find(connection, "de", {_METADATA})
    return container.ObjectSeal(held[_METADATA], sealed.name)


def test_every_flipped_byte_of_a_block_is_found_even_with_a_forged_digest(home):
    sealed = home.vault.seal([plain(table=rows(3))], segment="de")
    (block,) = sealed.blocks
    data = bytes(_bytes(home, sealed)[_span(block)])
    seal = _seal(home, sealed)
    window = _window_key(home, block)
    for at in range(len(data)):
        bad = bytearray(data)
        bad[at] ^= 1 << (at % 8)
        with pytest.raises(TamperedError):
            container.open_block(memoryview(bad), block, seal=seal, window_key=window)
        forged = replace(block, sha256=hashlib.sha256(bad).digest())
        with pytest.raises(TamperedError):
            container.open_block(memoryview(bad), forged, seal=seal, window_key=window)
    assert container.open_block(memoryview(data), block, seal=seal, window_key=window).equals(
        rows(3)
    )


def _window_key(home, block: SealedBlock) -> bytes:
    window_keys, _ = home.vault._reader.keys_of([block])
    return window_keys[0]


@pytest.mark.parametrize("keep", [0, 3, 19, 20, 100, -1, -4, -40])
def test_truncation_is_found(home, keep):
    sealed = home.vault.seal([plain()], segment="de")
    _write(home, sealed, bytes(_bytes(home, sealed)[:keep]))
    with pytest.raises(TamperedError):
        _check(home, sealed)
    if keep in range(150):
        with pytest.raises(TamperedError):
            _read(home, *sealed.blocks)


def test_a_block_cut_out_with_the_tail_kept_is_found(home):
    sealed = home.vault.seal([plain(f"psn_{i}") for i in range(3)], segment="de")
    data = _bytes(home, sealed)
    del data[_span(sealed.blocks[1])]
    _write(home, sealed, bytes(data))
    with pytest.raises(TamperedError):
        _check(home, sealed)
    with pytest.raises(TamperedError):
        _read(home, sealed.blocks[2])


def test_bytes_added_at_the_end_are_found(home):
    sealed = home.vault.seal([plain()], segment="de")
    _write(home, sealed, bytes(_bytes(home, sealed)) + b"\0")
    with pytest.raises(TamperedError):
        _check(home, sealed)


def test_two_blocks_of_one_person_swapped_are_found(home):
    sealed = home.vault.seal(
        [plain(window=TODAY - 1), plain(window=TODAY, table=rows(seed=1))], segment="de"
    )
    first, second = sealed.blocks
    assert first.length == second.length
    data = _bytes(home, sealed)
    data[_span(first)], data[_span(second)] = data[_span(second)], data[_span(first)]
    _write(home, sealed, bytes(data))
    with pytest.raises(TamperedError):
        _check(home, sealed)
    for block in sealed.blocks:
        with pytest.raises(TamperedError):
            _read(home, block)
        with pytest.raises(TamperedError):
            _read(home, _rehash(block, data))


def test_two_objects_swapped_are_found(home):
    one, two = (home.vault.seal([plain(table=rows(seed=i))], segment="de") for i in (0, 1))
    first, second = bytes(_bytes(home, one)), bytes(_bytes(home, two))
    _write(home, one, second)
    _write(home, two, first)
    with pytest.raises(TamperedError):
        _check(home, one)
    with pytest.raises(TamperedError):
        _read(home, *one.blocks)
    with pytest.raises(TamperedError):
        _read(home, _rehash(one.blocks[0], second))


def test_an_older_generation_in_the_place_of_the_newer_is_found(home):
    old = home.vault.seal([plain()], segment="de")
    new = home.vault.seal([plain(table=rows(21))], segment="de", generation=2)
    assert new.blocks[0].generation == 2
    _write(home, new, bytes(_bytes(home, old)))
    with pytest.raises(TamperedError):
        _check(home, new)
    with pytest.raises(TamperedError):
        _read(home, *new.blocks)
    # nor does an old record pass for a newer one by its number
    with pytest.raises(TamperedError):
        _read(home, replace(old.blocks[0], generation=2))


def test_nothing_is_read_without_an_expected_digest(home):
    sealed = home.vault.seal([plain()], segment="de")
    with pytest.raises(InvalidError) as caught:
        _read(home, replace(sealed.blocks[0], sha256=b""))
    assert caught.value.rule == "block.freshness"
    with pytest.raises(InvalidError):
        home.vault.check(sealed.name, root=b"", size=sealed.size, segment="de")


def test_a_missing_object_is_missing(home):
    sealed = home.vault.seal([plain()], segment="de")
    home.object_file(sealed.name).unlink()
    with pytest.raises(MissingError):
        _read(home, *sealed.blocks)


@pytest.mark.parametrize(
    "change",
    [
        {"person": "psn_b"},
        {"stream": "chat"},
        {"window": TODAY - 1},
        {"label": replace(LABEL, purposes=("spy",))},
        {"label": replace(LABEL, purposes=("help", "spy", "train"))},
        {"label": replace(LABEL, purposes=("help",))},
        {"label": replace(LABEL, jurisdiction="US")},
        {"label": replace(LABEL, charter=b"\xc1" * 32)},
        {"label": replace(LABEL, expires=LABEL.expires + 1)},
        {"segment": "us"},
        {"generation": 2},
        {"sequence": 1},
        {"rows": 19},
        {"block_id": b"\0" * 16},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_record_that_lies_opens_nothing(home, change):
    """Neither with the key the lie leads to, nor with the true key of the block."""
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    # the attacker's other person, stream, segment ... have keys of their own
    lie = replace(block, **change)
    home.vault.seal(
        [plain(lie.person, stream=lie.stream, window=lie.window, label=lie.label)],
        segment=lie.segment,
    )
    with pytest.raises(TamperedError):
        _read(home, lie)
    if "segment" not in change:
        data = bytes(_bytes(home, sealed)[_span(block)])
        true = _window_key(home, block)
        with pytest.raises(TamperedError):
            container.open_block(memoryview(data), lie, seal=_seal(home, sealed), window_key=true)
    assert _read(home, block)[0].equals(rows())


def test_a_purpose_added_later_yields_another_key(home):
    """The label is in the key, so no header check is needed to refuse another purpose."""
    person = keys.new_key()

    def window(label):
        return keys.window_key(
            person,
            window=TODAY,
            label=keys.label_hash(
                purposes=label.purposes,
                jurisdiction=label.jurisdiction,
                expires=label.expires,
                charter=label.charter,
            ),
        )

    made = {
        window(label)
        for label in (
            LABEL,
            replace(LABEL, purposes=("spy",)),
            replace(LABEL, purposes=("help", "spy", "train")),
            replace(LABEL, jurisdiction="US"),
            replace(LABEL, expires=LABEL.expires + 1),
            replace(LABEL, charter=b"\xc1" * 32),
        )
    }
    assert len(made) == 6


def test_a_header_forged_by_who_holds_the_metadata_key_opens_nothing(home):
    """An insider with the segment's metadata key rewrites purpose or generation in the header."""
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    data = _bytes(home, sealed)
    seal = _seal(home, sealed)
    part = data[_span(block)]
    length = int.from_bytes(part[48:52], "big")
    clear = seal.open(2, bytes(part[52 : 52 + length]))
    for find, put in ((b'"help","train"', b'"halp","train"'), (b'generation":1', b'generation":2')):
        forged = clear.replace(find, put)
        assert forged != clear
        part[52 : 52 + length] = seal.seal(2, forged)
        record = replace(
            block,
            sha256=hashlib.sha256(part).digest(),
            generation=2 if b"generation" in find else 1,
            label=replace(LABEL, purposes=("halp", "train")) if b"help" in find else LABEL,
        )
        with pytest.raises(TamperedError):
            container.open_block(
                memoryview(bytes(part)), record, seal=seal, window_key=_window_key(home, block)
            )


def test_rows_forged_by_who_holds_every_key_of_the_block_are_found(home):
    """An opener with the window key seals other rows in the block's place: only the digest tells."""
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    data = _bytes(home, sealed)
    part = bytes(data[_span(block)])
    seal, window = _seal(home, sealed), _window_key(home, block)
    end = 52 + int.from_bytes(part[48:52], "big")
    raw = seal.open(2, part[52:end]).rstrip(b" ")
    one = keys.block_keys(window, block_id=block.block_id, header=raw)
    _, other = payload.encode(rows(20, seed=9))
    aad = raw + block.block_id + bytes(4)
    forged = part[:end] + keys.encrypt(one.key, one.nonce, other, aad)
    assert len(forged) == len(part)
    data[_span(block)] = forged
    # without the digest it would pass
    assert _opened(forged, block, seal, window).equals(rows(20, seed=9))
    _write(home, sealed, bytes(data))
    with pytest.raises(TamperedError) as caught:
        _read(home, block)
    assert caught.value.rule == "block.digest"
    with pytest.raises(TamperedError):
        _check(home, sealed)


def _opened(part, block, seal, window):
    record = replace(block, sha256=hashlib.sha256(part).digest())
    return container.open_block(memoryview(part), record, seal=seal, window_key=window)


@pytest.mark.parametrize("length", [0, 1, 16, 2**14 + 17, 2**31, 2**32 - 1])
def test_a_header_length_out_of_bounds_is_refused_before_anything_is_opened(
    home, length, monkeypatch
):
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    part = _bytes(home, sealed)[_span(block)]
    part[48:52] = length.to_bytes(4, "big")
    seal, window = _seal(home, sealed), _window_key(home, block)
    monkeypatch.setattr(keys, "decrypt", lambda *_, **__: pytest.fail("decrypted first"))
    record = replace(block, sha256=hashlib.sha256(part).digest())
    with pytest.raises(TamperedError):
        container.open_block(memoryview(part), record, seal=seal, window_key=window)


def test_the_commitment_is_compared_before_the_payload_is_opened(home, monkeypatch):
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    part = _bytes(home, sealed)[_span(block)]
    part[16] ^= 1
    real, told = keys.decrypt, []

    def watch(*given, what, rule):
        told.append(rule)
        return real(*given, what=what, rule=rule)

    monkeypatch.setattr(keys, "decrypt", watch)
    record = replace(block, sha256=hashlib.sha256(part).digest())
    seal, window = _seal(home, sealed), _window_key(home, block)
    told.clear()
    with pytest.raises(TamperedError) as caught:
        container.open_block(memoryview(part), record, seal=seal, window_key=window)
    assert caught.value.rule == "block.commitment"
    assert told == ["object.header"]


def test_names_are_not_readable_in_an_object(home):
    block = plain("psn_visible", stream="chatstream")
    sealed = home.vault.seal([block], segment="segmentname")
    data = bytes(_bytes(home, sealed))
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
            _read(home, block)


def test_errors_name_no_person_and_carry_no_key(home):
    sealed = home.vault.seal([plain("psn_secret")], segment="de")
    raw = _window_key(home, sealed.blocks[0])
    home.vault.shred(person="psn_secret")
    with pytest.raises(ShreddedError) as caught:
        _read(home, *sealed.blocks)
    text = repr(caught.value) + str(caught.value.payload())
    assert "psn_secret" not in text
    for thing in (home.vault, home.root, home.vault._keyring, home.vault.sidecar):
        assert "hidden" in repr(thing)
    one = keys.block_keys(raw, block_id=b"\0" * 16, header=b"{}")
    assert repr(one) == "BlockKeys(hidden)"
    assert one.key.hex() not in repr(one)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"nonsense",
        b'{"v":"shb/1"}',
    ],
)
def test_a_malformed_header_is_refused(text):
    with pytest.raises(TamperedError):
        header.parse(text)


def _header(**changes) -> header.Header:
    given = {
        "tag": b"t" * 16,
        "stream": "key",
        "segment": "de",
        "window": TODAY,
        "label": LABEL,
        "object": "00" * 16,
        "generation": 1,
        "sequence": 0,
        "rows": 3,
        "codec": "z",
    } | changes
    return header.Header(**given)


@pytest.mark.parametrize(
    "change",
    [
        (b'"rows":3', b'"rows":true'),
        (b'"rows":3', b'"rows":-3'),
        (b'"rows":3', b'"rows":3.0'),
        (b'"rows":3', b'"rows":"3"'),
        (b'"rows":3', b'"rows":03'),
        (b'"rows":3', b'"rows": 3'),
        (b'"rows":3', b'"rows":3,"rows":3'),
        (b'"rows":3', b'"extra":1,"rows":3'),
        (b'"rows":3,', b""),
        (b'"codec":"z"', b'"codec":"lz4"'),
        (b'"v":"shb/1"', b'"v":"shb/2"'),
        (b'["help","train"]', b"[]"),
        (b'["help","train"]', b'["train","help"]'),
        (b'["help","train"]', b'["help",1]'),
        (b'["help","train"]', b'"help"'),
    ],
)
def test_a_header_with_a_twist_is_refused(change):
    good = _header().encode()
    assert header.parse(good) == _header()
    bad = good.replace(*change)
    assert bad != good
    with pytest.raises(TamperedError):
        header.parse(bad)


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
