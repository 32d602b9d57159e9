"""Forged by somebody who holds more than the storage: a lying record, the metadata key, every key of a block."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from tests.vaults import (
    LABEL,
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

from safehold.errors import TamperedError
from safehold.vault import header, keys, payload
from safehold.vault.block import open_block


@pytest.fixture
def home(tmp_path):
    return make_home(tmp_path)


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
        read(home, lie)
    if "segment" not in change:
        data = bytes(object_bytes(home, sealed)[span(block)])
        true = window_key(home, block)
        with pytest.raises(TamperedError):
            open_block(memoryview(data), lie, seal=object_seal(home, sealed), window_key=true)
    assert read(home, block)[0].equals(rows())


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
    data = object_bytes(home, sealed)
    seal = object_seal(home, sealed)
    part = data[span(block)]
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
            open_block(
                memoryview(bytes(part)), record, seal=seal, window_key=window_key(home, block)
            )


def test_rows_forged_by_who_holds_every_key_of_the_block_are_found(home):
    """An opener with the window key seals other rows in the block's place: only the digest tells."""
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    data = object_bytes(home, sealed)
    part = bytes(data[span(block)])
    seal, window = object_seal(home, sealed), window_key(home, block)
    end = 52 + int.from_bytes(part[48:52], "big")
    raw = seal.open(2, part[52:end]).rstrip(b" ")
    one = keys.block_keys(window, block_id=block.block_id, header=raw)
    _, other = payload.encode(rows(20, seed=9))
    aad = raw + block.block_id + bytes(4)
    forged = part[:end] + keys.encrypt(one.key, one.nonce, other, aad)
    assert len(forged) == len(part)
    data[span(block)] = forged
    # without the digest it would pass
    assert _opened(forged, block, seal, window).equals(rows(20, seed=9))
    write_object(home, sealed, bytes(data))
    with pytest.raises(TamperedError) as caught:
        read(home, block)
    assert caught.value.rule == "block.digest"
    with pytest.raises(TamperedError):
        check_object(home, sealed)


def _opened(part, block, seal, window):
    record = replace(block, sha256=hashlib.sha256(part).digest())
    return open_block(memoryview(part), record, seal=seal, window_key=window)


@pytest.mark.parametrize("length", [0, 1, 16, 2**14 + 17, 2**31, 2**32 - 1])
def test_a_header_length_out_of_bounds_is_refused_before_anything_is_opened(
    home, length, monkeypatch
):
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    part = object_bytes(home, sealed)[span(block)]
    part[48:52] = length.to_bytes(4, "big")
    seal, window = object_seal(home, sealed), window_key(home, block)
    monkeypatch.setattr(keys, "decrypt", lambda *_, **__: pytest.fail("decrypted first"))
    record = replace(block, sha256=hashlib.sha256(part).digest())
    with pytest.raises(TamperedError):
        open_block(memoryview(part), record, seal=seal, window_key=window)


def test_the_commitment_is_compared_before_the_payload_is_opened(home, monkeypatch):
    sealed = home.vault.seal([plain()], segment="de")
    (block,) = sealed.blocks
    part = object_bytes(home, sealed)[span(block)]
    part[16] ^= 1
    real, told = keys.decrypt, []

    def watch(*given, what, rule):
        told.append(rule)
        return real(*given, what=what, rule=rule)

    monkeypatch.setattr(keys, "decrypt", watch)
    record = replace(block, sha256=hashlib.sha256(part).digest())
    seal, window = object_seal(home, sealed), window_key(home, block)
    told.clear()
    with pytest.raises(TamperedError) as caught:
        open_block(memoryview(part), record, seal=seal, window_key=window)
    assert caught.value.rule == "block.commitment"
    assert told == ["object.header"]


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
