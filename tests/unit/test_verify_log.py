"""Heads of every size, logs that are being written, and leaves that tell a wrong story."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, START_US, Desk, entry, intent

import safehold_verify as verifier
from safehold.clock import SystemClock
from safehold.ledger.note import Checkpoint
from safehold_verify.files import cut_bundle
from safehold_verify.merkle import EMPTY
from safehold_verify.story import SKEW_MS, Story

SIZES = (1, 2, 255, 256, 257, 511, 512, 513, 700)


def test_heads_of_every_size_lie_in_the_past(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    heads = [desk.signer.sign(Checkpoint(ORIGIN, 0, EMPTY).text())]
    with desk.open() as ledger:
        for size in SIZES:
            ledger.append([entry(at) for at in range(size - ledger.size)])
            ledger.publish()
            heads.append(desk.head)
    trusted = verifier.parse_policy(desk.policy.read_bytes())
    alone = verifier.Policy(trusted.logs, trusted.witnesses, {}, "none")
    report = verifier.verify_log(desk.directory, alone, heads=heads)
    assert report.heads == (0, *SIZES)
    assert verifier.verify_log(desk.directory, trusted, heads=heads[1:]).size == 700
    for size in (0, *SIZES):
        fork = desk.signer.sign(Checkpoint(ORIGIN, size, b"f" * 32).text())
        with pytest.raises(verifier.VerificationError, match="another history"):
            verifier.verify_log(desk.directory, alone, heads=[*heads, fork])


def test_a_log_that_is_being_written_holds_all_the_time(tmp_path: Path) -> None:
    desk = Desk(tmp_path, clock=SystemClock())
    trusted = verifier.parse_policy(desk.policy.read_bytes())
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(250)])
        ledger.publish()
        done = threading.Event()

        def write() -> None:
            try:
                for _ in range(40):
                    ledger.append([entry(at) for at in range(7)])
                    ledger.publish()
            finally:
                done.set()

        writer = threading.Thread(target=write)
        writer.start()
        sizes = []
        while not done.is_set():
            sizes.append(verifier.verify_log(desk.directory, trusted).size)
        writer.join()
    assert sizes == sorted(sizes)
    assert verifier.verify_log(desk.directory, trusted).size == 250 + 280


def leaves(tmp_path: Path) -> list[bytes]:
    """Eight intents, and a result of the fourth."""
    desk = Desk(tmp_path)
    with desk.open() as ledger:
        ledger.append([intent(at) for at in range(8)])
        ledger.append([entry(kind="access.result", public={"rows": 1}, ref=3)])
        return [ledger.leaf(at) for at in range(9)]


NOW = START_US // 1_000


def told(entries: list[bytes], *, at_once: bool = True) -> Story:
    story = Story(len(entries))
    bundle = b"".join(len(one).to_bytes(2, "big") + one for one in entries)
    cut, rows = cut_bundle(bundle, len(entries), "bundle")
    if at_once:
        story.add(cut, rows)
    else:
        for one in cut:
            story.add([one])
    return story


def moved(leaf: bytes, by: int) -> bytes:
    return leaf.replace(b'"t":%d' % NOW, b'"t":%d' % (NOW + by))


@pytest.mark.parametrize("at_once", [True, False])
def test_a_story_that_holds(tmp_path: Path, at_once: bool) -> None:
    good = leaves(tmp_path)
    late = [moved(one, at * 10_000) for at, one in enumerate(good)]
    late[5] = moved(good[5], 40_000 - SKEW_MS)  # as early as may be
    for entries in (good, late):
        story = told(entries, at_once=at_once)
        assert story.kinds == {"access.intent": 8, "access.result": 1}
    assert (story.first, story.last) == (NOW, NOW + 80_000)


@pytest.mark.parametrize("at_once", [True, False])
def test_a_story_that_does_not(tmp_path: Path, at_once: bool) -> None:
    good = leaves(tmp_path)
    late = [moved(one, at * 10_000) for at, one in enumerate(good)]
    wrong = {
        "earlier": (5, moved(good[5], 40_000 - SKEW_MS - 1)),
        "no earlier leaf": (8, late[8].replace(b'"ref":3', b'"ref":8')),
        "without its intent": (8, late[8].replace(b'"ref":3,', b"")),
        "canonical": (2, late[2].replace(b"access.intent", b"access.INTENT")),
        "unknown kind": (2, late[2].replace(b"access.intent", b"access.intend")),
    }
    for message, (at, leaf) in wrong.items():
        assert leaf != late[at]
        entries = [*late[:at], leaf, *late[at + 1 :]]
        with pytest.raises(verifier.VerificationError, match=message) as found:
            told(entries, at_once=at_once)
        assert found.value.where.endswith(f"leaf {at}")
    both = [*late, late[8].replace(b'"ref":3', b'"ref":8')]  # a result of a result
    with pytest.raises(verifier.VerificationError, match="without its intent"):
        told(both, at_once=at_once)


def test_a_bundle_that_lies_before_the_one_before_it(tmp_path: Path) -> None:
    """In order by itself, and all of it too early."""
    good = leaves(tmp_path)[:8]
    for by, holds in ((SKEW_MS, True), (SKEW_MS + 1, False)):
        story = Story(8)
        story.add([b"\0" + moved(one, 10_000) for one in good[:4]])
        late = [b"\0" + moved(one, 10_000 - by + at) for at, one in enumerate(good[4:])]
        if holds:
            story.add(late)
            continue
        with pytest.raises(verifier.VerificationError, match="earlier") as found:
            story.add(late)
        assert found.value.where.endswith("leaf 4")
