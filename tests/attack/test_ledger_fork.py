"""A fork is refused by the witness, and what it keeps convinces somebody who trusts neither side."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, Desk, entry
from tests.ledger_story import SIZE, Story, tell_story

import safehold_verify as verifier
from safehold.ledger import Witness
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.proof import prove_consistency
from safehold.ledger.tree import Tree, leaf_hash, node_reader


@dataclass(frozen=True, slots=True)
class Evidence:
    """A request that a witness refused."""

    old: int
    proof: tuple[bytes, ...]
    note: bytes

    @classmethod
    def read(cls, path: Path) -> Evidence:
        request, _, note = path.read_bytes().partition(b"\n\n")
        first, *rest = request.decode("ascii").split("\n")
        proof = tuple(verifier.notes.parse_base64(one) for one in rest)
        return cls(int(first.removeprefix("old ")), proof, note)


def contradiction(vkey: str, one: bytes, two: bytes, *leaves: bytes) -> str:
    """Say why two heads of one log cannot both be true; only the log's key is trusted.

    Args:
        vkey: Verifier key of the log.
        one: A signed head.
        two: Another.
        leaves: All leaves of the larger one, where the sizes differ: its root vouches for them.

    Returns:
        The reason; nothing if they do not contradict each other.

    Raises:
        VerificationError: A head is not signed by the log, or the leaves are not its leaves.
    """
    notes = [verifier.open_note(note, [vkey]) for note in (one, two)]
    small, large = sorted(
        (verifier.notes.parse_checkpoint(note.text) for note in notes), key=lambda head: head.size
    )
    if small.origin != large.origin:
        raise verifier.VerificationError("heads of two logs")
    if small.size == large.size:
        return "" if small.root == large.root else "two roots for one size"
    hashes = [leaf_hash(leaf) for leaf in leaves]
    if Tree().extend(b"".join(hashes))[0].root() != large.root or len(leaves) != large.size:
        raise verifier.VerificationError("not the leaves of that head")
    past = Tree().extend(b"".join(hashes[: small.size]))[0].root()
    return "" if past == small.root else "the larger does not begin with the smaller"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell_story(tmp_path_factory.mktemp("story"))


@pytest.fixture
def witness(story: Story, tmp_path: Path) -> Witness:
    return Witness(
        shutil.copytree(story.desk.outside, tmp_path / "witness"), clock=story.desk.clock
    )


def kept(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "witness" / "evidence"
    return sorted(folder.glob("4*")) if folder.is_dir() else []


def fork(story: Story, tmp_path: Path, size: int) -> tuple[bytes, list[bytes]]:
    """Return head and leaves of a fork that somebody with directory and log key grew."""
    desk = Desk.reopen(shutil.copytree(story.states[1], tmp_path / "fork"))
    with desk.open(witnesses=[]) as ledger:
        ledger.append([entry(at) for at in range(size - ledger.size)])
        ledger.publish()
        return ledger.head(), [ledger.leaf(at) for at in range(size)]


def proof_of(leaves: list[bytes], old: int) -> list[bytes]:
    """Return the consistency proof that the fork can give, right for its own tree."""
    tree, tiles = Tree().extend(b"".join(map(leaf_hash, leaves)))
    full = {(level, number): data for level, number, data in tiles}
    return prove_consistency(
        node_reader(lambda level, number: full.get((level, number)) or tree.edges[level]),
        old,
        len(leaves),
    )


def test_a_fork_of_the_same_size(story: Story, tmp_path: Path, witness: Witness) -> None:
    head, _ = fork(story, tmp_path, SIZE)
    known = witness.head(ORIGIN)
    assert witness.add_checkpoint(SIZE, [], head).status == 422
    assert witness.head(ORIGIN) == known
    [file] = kept(tmp_path)
    evidence = Evidence.read(file)
    assert (evidence.old, evidence.note) == (SIZE, head)
    vkey = story.desk.signer.vkey.text()
    [name] = [one["known"] for one in witness.evidence()]
    kept_head = (file.parent / name).read_bytes()  # the folder alone convinces a third party
    assert kept_head == known
    assert contradiction(vkey, evidence.note, kept_head) == "two roots for one size"
    assert contradiction(vkey, known, known) == ""


def test_a_fork_that_has_grown(story: Story, tmp_path: Path, witness: Witness) -> None:
    head, leaves = fork(story, tmp_path, SIZE + 20)
    known = witness.head(ORIGIN)
    assert witness.add_checkpoint(SIZE, proof_of(leaves, SIZE), head).status == 422
    assert witness.head(ORIGIN) == known
    [file] = kept(tmp_path)
    evidence = Evidence.read(file)
    vkey = story.desk.signer.vkey.text()
    said = contradiction(vkey, evidence.note, known, *leaves)
    assert said == "the larger does not begin with the smaller"
    # the proof that came with it proves nothing to anybody else either
    small, large = (
        verifier.notes.parse_checkpoint(verifier.open_note(one, [vkey]).text)
        for one in (known, head)
    )
    with pytest.raises(verifier.VerificationError):
        verifier.verify_consistency(small.size, large.size, evidence.proof, small.root, large.root)
    # an older head, from before the fork, contradicts nothing
    assert contradiction(vkey, head, story.heads[1], *leaves) == ""
    assert contradiction(vkey, head, story.heads[2], *leaves)


def test_a_fork_that_names_another_old_size(story: Story, tmp_path: Path, witness: Witness) -> None:
    """It is told the size that is known here, and its head is kept all the same."""
    head, leaves = fork(story, tmp_path, SIZE + 20)
    answer = witness.add_checkpoint(150, proof_of(leaves, 150), head)
    assert (answer.status, answer.body) == (409, b"300\n")
    assert [Evidence.read(file).note for file in kept(tmp_path)] == [head]


def test_a_log_that_was_rolled_back(story: Story, tmp_path: Path, witness: Witness) -> None:
    old = verifier.notes.parse_checkpoint
    smaller = story.heads[2]
    assert old(smaller[: smaller.rfind(b"\n\n") + 1]).size == 225
    assert witness.add_checkpoint(225, [], smaller).status == 409
    assert witness.add_checkpoint(SIZE, [], smaller).status == 400
    assert (
        contradiction(  # an old head is no lie by itself
            story.desk.signer.vkey.text(), smaller, story.heads[3], *story.leaves
        )
        == ""
    )


def test_evidence_of_nothing_convinces_nobody(story: Story, tmp_path: Path) -> None:
    """A head by another key, or leaves that are not the head's: whoever accuses has to have both."""
    from tests.ledger_story import stranger

    vkey = story.desk.signer.vkey.text()
    fake = stranger().sign(Checkpoint(ORIGIN, SIZE, b"r" * 32).text())
    with pytest.raises(verifier.VerificationError):
        contradiction(vkey, fake, story.heads[-1])
    with pytest.raises(verifier.VerificationError):
        contradiction(vkey, story.heads[1], story.heads[-1], *story.leaves[:-1], b"{}")


def test_the_ledger_itself_finds_the_fork_at_its_start(story: Story, tmp_path: Path) -> None:
    from safehold.errors import TamperedError

    desk = Desk.reopen(shutil.copytree(story.states[1], tmp_path / "fork"))
    shutil.rmtree(desk.outside)
    shutil.copytree(story.desk.outside, desk.outside)
    with pytest.raises(TamperedError) as found:
        desk.open()
    assert found.value.rule == "ledger.rollback"
    with desk.open(witnesses=[]) as ledger:
        ledger.append([entry(at) for at in range(SIZE)])
    with pytest.raises(TamperedError) as found:
        desk.open()
    assert found.value.rule == "ledger.fork"
