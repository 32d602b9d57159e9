"""Anchors against a real time-stamp authority, and against a second witness."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.forged_log import ForgedLog
from tests.time_stamps import Authority, found_authority, openssl

from safehold.clock import SystemClock
from safehold.errors import InvalidError, TamperedError, UnavailableError
from safehold.ledger import Witness
from safehold.ledger.anchor import Receipts, WitnessAnchor
from safehold.ledger.anchor_tsa import TimeStampAuthority
from safehold.ledger.published import PublishedDirectory


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Authority]:
    made = Authority(tmp_path_factory.mktemp("tsa") / "authority")
    yield made
    made.close()


@pytest.fixture
def tsa(authority: Authority) -> TimeStampAuthority:
    authority.answer, authority.status = None, 200
    return TimeStampAuthority(authority.url, authority.roots)


DIGEST = hashlib.sha256(b"a signed head").digest()


def test_a_time_stamp(authority: Authority, tsa: TimeStampAuthority, tmp_path: Path) -> None:
    receipt = tsa.anchor(DIGEST)
    assert abs(tsa.verify(DIGEST, receipt) - SystemClock().now_us() // 1_000_000) < 600
    request = authority.asked[-1]
    assert DIGEST in request
    assert len(request) == 69, "a version, a hash, a random number, and nothing else"
    # the receipt is what others can check
    (tmp_path / "head").write_bytes(b"a signed head")
    (tmp_path / "receipt").write_bytes(receipt)
    (tmp_path / "roots.pem").write_bytes(authority.roots)
    openssl(tmp_path, "ts", "-verify", "-in", "receipt", "-data", "head", "-CAfile", "roots.pem")


def test_two_requests_are_not_alike(authority: Authority, tsa: TimeStampAuthority) -> None:
    tsa.anchor(DIGEST)
    tsa.anchor(DIGEST)
    assert authority.asked[-1] != authority.asked[-2]


def test_a_time_stamp_of_something_else(tsa: TimeStampAuthority) -> None:
    receipt = tsa.anchor(DIGEST)
    with pytest.raises(TamperedError):
        tsa.verify(hashlib.sha256(b"another head").digest(), receipt)


def test_a_time_stamp_of_somebody_else(
    authority: Authority, tsa: TimeStampAuthority, tmp_path: Path
) -> None:
    found_authority(tmp_path / "other")
    other = TimeStampAuthority(authority.url, (tmp_path / "other" / "ca.pem").read_bytes())
    receipt = tsa.anchor(DIGEST)
    with pytest.raises(TamperedError):
        other.verify(DIGEST, receipt)
    with pytest.raises(TamperedError):
        other.anchor(DIGEST)


def test_every_altered_byte_of_what_is_signed(tsa: TimeStampAuthority) -> None:
    """What a flip outside the signed parts changes is an unsigned copy of a certificate's bytes at most."""
    receipt = tsa.anchor(DIGEST)
    start = receipt.index(DIGEST) - 60
    for at in [*range(start, start + 140), *range(len(receipt) - 60, len(receipt))]:
        changed = bytearray(receipt)
        changed[at] ^= 1
        with pytest.raises(TamperedError):
            tsa.verify(DIGEST, bytes(changed))


@pytest.mark.parametrize("wrong", [b"", b"\x30\x00", b"<html>", bytes.fromhex("30053003020102")])
def test_what_is_no_time_stamp(authority: Authority, tsa: TimeStampAuthority, wrong: bytes) -> None:
    authority.answer = wrong
    with pytest.raises(TamperedError):
        tsa.anchor(DIGEST)


def test_an_old_answer_is_not_taken_for_a_new_one(
    authority: Authority, tsa: TimeStampAuthority
) -> None:
    authority.answer = tsa.anchor(DIGEST)
    assert tsa.verify(DIGEST, authority.answer)
    with pytest.raises(TamperedError):
        tsa.anchor(DIGEST)


def test_an_authority_that_does_not_answer(authority: Authority, tsa: TimeStampAuthority) -> None:
    authority.status = 503
    with pytest.raises(UnavailableError):
        tsa.anchor(DIGEST)
    authority.status, authority.answer = 200, b"x" * 70_000
    with pytest.raises(UnavailableError):
        tsa.anchor(DIGEST)
    with pytest.raises(UnavailableError):
        TimeStampAuthority("http://127.0.0.1:1/", authority.roots).anchor(DIGEST)


def test_what_configures_no_authority(authority: Authority) -> None:
    for url, roots in (("ftp://x", authority.roots), ("https://x", b"no certificates")):
        with pytest.raises(InvalidError):
            TimeStampAuthority(url, roots)


# ---- a second witness


def test_a_second_witness(tmp_path: Path) -> None:
    log = ForgedLog(tmp_path)
    second = Witness.create(
        tmp_path / "second", name="auditor.example", logs=[log.signer.vkey.text()], clock=log.clock
    )
    anchor = WitnessAnchor(second, PublishedDirectory(log.directory))
    kept = Receipts(tmp_path / "receipts")
    for _ in range(3):
        for _ in range(200):
            log.tell("ingest")
        note = log.publish()
        digest = hashlib.sha256(note).digest()
        receipt = anchor.anchor(digest)
        assert anchor.verify(digest, receipt) == log.clock.now_us() // 1_000_000
        kept.keep(note, receipt)
    assert [one.size for one in kept.listing()] == [200, 400, 600]
    assert all(anchor.verify(one.digest, one.receipt) for one in kept.listing())
    with pytest.raises(TamperedError):
        anchor.verify(digest, kept.listing()[0].receipt)
    with pytest.raises(TamperedError):
        anchor.verify(digest, note)
    with pytest.raises(UnavailableError, match="newer"):
        anchor.anchor(kept.listing()[0].digest)
    # it refuses another history, and then there is no receipt
    log.bribe()
    log.leaves[0] = log.leaves[0].replace(b'"k":"ingest"', b'"k":"gap"')
    note = log.publish()
    with pytest.raises(TamperedError, match="refuses"):
        anchor.anchor(hashlib.sha256(note).digest())


def test_a_receipt_without_its_head(tmp_path: Path) -> None:
    log = ForgedLog(tmp_path)
    log.tell("ingest")
    kept = Receipts(tmp_path / "receipts")
    kept.keep(log.publish(), b"receipt")
    next((tmp_path / "receipts").glob("*.head")).unlink()
    with pytest.raises(TamperedError, match="lost its head"):
        kept.listing()
