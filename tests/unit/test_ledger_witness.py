"""The witness: what it cosigns, what it refuses, and that it never goes back."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, START_US

from safehold.clock import FixedClock
from safehold.errors import ConflictError, TamperedError, UnavailableError
from safehold.ledger import LogSigner, Witness
from safehold.ledger import witness as witness_module
from safehold.ledger.note import Checkpoint, VKey, open_note, text_of
from safehold.ledger.proof import prove_consistency
from safehold.ledger.tree import EMPTY, Tree, leaf_hash, node_reader

LOG = LogSigner(b"s" * 32, name=ORIGIN)


def tree(size: int, *, word: bytes = b"leaf") -> Tree:
    return Tree().extend(b"".join(leaf_hash(word + b"%d" % at) for at in range(size)))[0]


def head(size: int, *, word: bytes = b"leaf") -> bytes:
    return LOG.sign(Checkpoint(ORIGIN, size, tree(size, word=word).root()).text())


def proof(old: int, size: int) -> list[bytes]:
    grown = tree(size)
    return prove_consistency(node_reader(lambda level, _n: grown.edges[level]), old, size)


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness.create(
        tmp_path / "w", name="dpo.example", logs=[LOG.vkey.text()], clock=FixedClock(START_US)
    )


def test_it_cosigns_what_extends_and_remembers_it(witness: Witness, tmp_path: Path) -> None:
    assert witness.head(ORIGIN) is None
    answer = witness.add_checkpoint(0, [], head(3))
    assert answer.status == 200
    _, held = open_note(head(3) + answer.body, [VKey.parse(witness.vkey)])
    assert held == {VKey.parse(witness.vkey): START_US // 1_000_000}
    assert witness.add_checkpoint(3, proof(3, 7), head(7)).status == 200
    again = Witness(tmp_path / "w")
    assert again.vkey == witness.vkey
    text, held = open_note(again.head(ORIGIN) or b"", [LOG.vkey, VKey.parse(witness.vkey)])
    assert Checkpoint.parse(text).size == 7
    assert len(held) == 2
    with pytest.raises(ConflictError):
        Witness.create(tmp_path / "w", name="dpo.example", logs=[])


def test_statuses(witness: Witness) -> None:
    stranger = LogSigner(b"t" * 32, name="example.com/other")
    forged = LogSigner(b"t" * 32, name=ORIGIN).sign(Checkpoint(ORIGIN, 1, EMPTY).text())
    foreign = stranger.sign(Checkpoint(stranger.name, 1, EMPTY).text())
    wrong_empty = LOG.sign(Checkpoint(ORIGIN, 0, b"r" * 32).text())
    assert witness.add_checkpoint(2, [], head(1)).status == 400
    assert witness.add_checkpoint(0, [], b"nonsense").status == 400
    assert witness.add_checkpoint(0, [], forged).status == 403
    assert witness.add_checkpoint(0, [], head(1)[:-9] + b"AAAAAAA=\n").status == 403
    assert witness.add_checkpoint(0, [], foreign).status == 404
    assert witness.add_checkpoint(0, [EMPTY], head(1)).status == 422
    assert witness.add_checkpoint(0, [], wrong_empty).status == 422
    assert witness.head(ORIGIN) is None
    assert witness.add_checkpoint(0, [], head(0)).status == 200
    assert witness.add_checkpoint(0, [], head(3)).status == 200  # from empty: nothing to prove
    stale = witness.add_checkpoint(0, [], head(5))
    assert (stale.status, stale.body) == (409, b"3\n")
    assert witness.add_checkpoint(3, [], head(5)).status == 422
    assert witness.add_checkpoint(3, [], head(3, word=b"fork")).status == 422
    assert witness.add_checkpoint(3, proof(3, 5), head(5, word=b"fork")).status == 422
    assert witness.add_checkpoint(3, [], head(3)).status == 200


def test_requests_by_wire(witness: Witness) -> None:
    assert witness.handle(b"old 0\n\n" + head(1)).status == 200
    for bad in (b"", b"old 01\n\n", b"old -1\n\n", b"old 0\nAA\n\n", b"size 0\n\n", b"old 1\n"):
        assert witness.handle(bad + head(1)).status == 400, bad
    assert witness.handle(b"old 1\n" + b"A" * 43 + b"=\n" * 64 + b"\n" + head(2)).status == 400


def test_evidence_of_a_fork_is_kept(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(0, [], head(3))
    for _ in range(3):  # the same request is kept once
        witness.add_checkpoint(3, proof(3, 5), head(5, word=b"fork"))
    witness.add_checkpoint(1, proof(1, 5), head(5))
    kept = sorted((tmp_path / "w" / "evidence").iterdir())
    assert [one.name[:4] for one in kept] == ["409-", "422-", "know", "know"]
    assert kept[1].read_bytes().endswith(head(5, word=b"fork"))
    assert kept[1].read_bytes().startswith(b"old 3\n")
    witness.add_checkpoint(3, proof(3, 5), head(5))  # the memory moves on, the evidence stays
    for one in witness.evidence():
        known = (tmp_path / "w" / "evidence" / one["known"]).read_bytes()
        assert Checkpoint.parse(text_of(known)).size == 3
        open_note(known, [VKey.parse(witness.vkey)])


def test_checking_and_persisting_are_one_step(
    witness: Witness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two requests from the same size: a witness without the lock signs both and rolls itself back."""
    witness.add_checkpoint(0, [], head(3))
    other = Witness(tmp_path / "w")  # another process would be the same: the lock is the file's
    real = witness_module.replace_file
    inside = threading.Barrier(2)

    def slow(path: Path, data: bytes) -> None:
        try:
            inside.wait(0.3)
        except threading.BrokenBarrierError:
            inside.reset()
        real(path, data)

    monkeypatch.setattr(witness_module, "replace_file", slow)
    statuses: list[int] = []

    def ask(who: Witness, size: int) -> None:
        statuses.append(who.add_checkpoint(3, proof(3, size), head(size)).status)

    threads = [
        threading.Thread(target=ask, args=(witness, 9)),
        threading.Thread(target=ask, args=(other, 5)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 409]


def test_state_is_written_before_the_answer(
    witness: Witness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_path: Path, _data: bytes) -> None:
        raise OSError("disk")

    monkeypatch.setattr(witness_module, "replace_file", fail)
    with pytest.raises(OSError, match="disk"):
        witness.add_checkpoint(0, [], head(1))
    assert witness.head(ORIGIN) is None


def test_a_damaged_or_absent_witness_says_so(witness: Witness, tmp_path: Path) -> None:
    witness.add_checkpoint(0, [], head(3))
    memory = witness._memory(ORIGIN)
    memory.write_bytes(memory.read_bytes().replace(b"\n3\n", b"\n4\n"))
    with pytest.raises(TamperedError):
        witness.head(ORIGIN)
    memory.write_bytes(b"")
    with pytest.raises(TamperedError):
        witness.head(ORIGIN)
    (tmp_path / "w").rename(tmp_path / "away")
    with pytest.raises(UnavailableError):
        witness.head(ORIGIN)
    with pytest.raises(UnavailableError):
        Witness(tmp_path / "w")
