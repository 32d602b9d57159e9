"""Whatever is done to the exported files, the offline verifier finds it and says where."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, START_US, Desk, entry, intent

import safehold_verify as verifier
from safehold.ledger import LogSigner
from safehold.ledger.note import Checkpoint
from safehold.ledger.tile import pack_entries, paths, tile_path
from safehold.ledger.tree import Tree, leaf_hash


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """A log of 20 leaves over three publications, with copies of the earlier states."""
    path = tmp_path_factory.mktemp("desk")
    desk = Desk(path)
    with desk.open() as ledger:
        for number, count in enumerate((7, 6, 7)):
            ledger.append([intent(number * 10 + at) for at in range(count - 1)])
            ledger.append([entry(kind="access.result", public={"rows": 1}, ref=number)])
            ledger.publish()
            files = path / f"state-{number}"
            shutil.copytree(desk.directory / "tile", files / "tile")
            shutil.copy(desk.directory / "checkpoint", files / "checkpoint")
    return desk


@pytest.fixture
def copy(desk: Desk, tmp_path: Path) -> Path:
    return shutil.copytree(desk.directory, tmp_path / "copy")


def check(desk: Desk, directory: Path, *, heads: bool = False) -> verifier.Report:
    policy = verifier.parse_policy(desk.policy.read_bytes())
    return verifier.verify_log(directory, policy, heads=[desk.head] if heads else [])


def refused(desk: Desk, directory: Path, *, heads: bool = False) -> str:
    with pytest.raises(verifier.VerificationError) as found:
        check(desk, directory, heads=heads)
    assert found.value.where
    return found.value.where


def test_the_untouched_log_holds(desk: Desk, copy: Path) -> None:
    report = check(desk, copy, heads=True)
    assert (report.size, report.heads) == (20, (20,))
    assert report.kinds == {"access.intent": 17, "access.result": 3}
    assert report.witnesses == {"works-council.example": START_US // 1_000_000}


@pytest.mark.parametrize("turn", [0, pytest.param(5, marks=pytest.mark.proof)])
def test_every_byte_of_every_file(desk: Desk, copy: Path, turn: int) -> None:
    tried = 0
    policy = verifier.parse_policy(desk.policy.read_bytes())
    for file in sorted([copy / "checkpoint", *(copy / "tile").rglob("*")]):
        if file.is_dir():
            continue
        name, data = str(file.relative_to(copy)), file.read_bytes()
        for at in range(len(data)):
            changed = bytearray(data)
            changed[at] ^= 1 << (at + turn) % 8
            file.write_bytes(changed)
            tried += 1
            with pytest.raises(verifier.VerificationError) as found:
                verifier.verify_log(copy, policy)
            assert found.value.where.startswith(name), (name, at, found.value.where)
        file.write_bytes(data)
    assert tried > 8_000
    check(desk, copy)


def test_truncated_emptied_deleted_lengthened(desk: Desk, copy: Path) -> None:
    for file in sorted([copy / "checkpoint", *(copy / "tile").rglob("*")]):
        if file.is_dir():
            continue
        name, data = str(file.relative_to(copy)), file.read_bytes()
        for cut in {0, 1, len(data) // 2, len(data) - 32, len(data) - 1}:
            file.write_bytes(data[:cut])
            assert refused(desk, copy).startswith(name)
        file.write_bytes(data + b"\0")
        assert refused(desk, copy).startswith(name)
        file.unlink()
        assert refused(desk, copy).startswith(name)
        file.write_bytes(data)
    check(desk, copy)


def test_every_signature_line_counts(desk: Desk, copy: Path) -> None:
    file = copy / "checkpoint"
    lines = file.read_bytes().splitlines(keepends=True)
    assert len(lines) == 8  # log and witness sign twice each
    for at in range(len(lines)):
        file.write_bytes(b"".join(lines[:at] + lines[at + 1 :]))
        refused(desk, copy)
    stranger = LogSigner(b"x" * 32, name="example.com/stranger").line(b"".join(lines[:3]))
    file.write_bytes(b"".join(lines) + stranger)
    assert "checkpoint" in refused(desk, copy)
    file.write_bytes(b"".join([*lines, lines[-1]]))
    assert "checkpoint" in refused(desk, copy)


def test_strays_and_links(desk: Desk, copy: Path) -> None:
    old = desk.directory.parent / "state-1"
    for name in ("tile/0/000.p/13", "tile/entries/000.p/13"):
        shutil.copy(old / name, copy / name)
        assert refused(desk, copy) == name
        (copy / name).unlink()
    for name in ("tile/1/000.p/1", "tile/0/000", "notes.txt", "tile/entries/001.p/1"):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_bytes(b"x")
        assert refused(desk, copy) == name
        (copy / name).unlink()
    for name in ("tile/pipe", "pipe"):
        os.mkfifo(copy / name)
        assert refused(desk, copy) == name
        (copy / name).unlink()
    target = copy / "tile/0/000.p/20"
    outside = copy.parent / "elsewhere"
    target.rename(outside)
    target.symlink_to(outside)
    assert refused(desk, copy) == "tile/0/000.p/20"


def test_a_pipe_in_the_place_of_a_file_does_not_stop_the_audit(desk: Desk, copy: Path) -> None:
    for name in ("checkpoint", "tile/0/000.p/20", ".export/lock"):
        whole = (copy / name).read_bytes() if (copy / name).exists() else None
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).unlink(missing_ok=True)
        os.mkfifo(copy / name)
        if name != ".export/lock":
            assert refused(desk, copy) == name
        else:
            check(desk, copy)
        (copy / name).unlink()
        if whole is not None:
            (copy / name).write_bytes(whole)


def test_an_older_file_restored(desk: Desk, copy: Path) -> None:
    old = desk.directory.parent / "state-1"
    shutil.copy(old / "checkpoint", copy / "checkpoint")
    refused(desk, copy)
    shutil.copy(desk.directory / "checkpoint", copy / "checkpoint")
    for label in ("0", "entries"):
        name = f"tile/{label}/000.p/20"
        shutil.copy(old / f"tile/{label}/000.p/13", copy / name)
        assert refused(desk, copy).startswith(name)
        shutil.copy(desk.directory / name, copy / name)
    check(desk, copy)


@pytest.mark.parametrize("state", [0, 1])
def test_the_whole_log_rolled_back(desk: Desk, state: int) -> None:
    old = desk.directory.parent / f"state-{state}"
    check(desk, old)  # it was true once: only a head held outside can tell
    assert "head 1" in refused(desk, old, heads=True)


def rewrite(desk: Desk, directory: Path, entries: list[bytes], *, cosign: bool) -> None:
    """Write a log of other entries, signed with the stolen log key."""
    tree, _ = Tree().extend(b"".join(map(leaf_hash, entries)))
    text = Checkpoint(ORIGIN, tree.size, tree.root()).text()
    note = desk.signer.sign(text) + desk.signer.publish_lines(text)
    if cosign:  # by a witness with the same key but without the memory
        note += desk.witness._key.cosign(text, at=START_US // 1_000_000)
    shutil.rmtree(directory / "tile")
    for name in paths(tree.size):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
    (directory / tile_path(0, 0, tree.size)).write_bytes(tree.edges[0])
    (directory / tile_path("entries", 0, tree.size)).write_bytes(pack_entries(entries))
    (directory / "checkpoint").write_bytes(note)


def test_fork_reorder_and_cut_with_the_stolen_log_key(desk: Desk, copy: Path) -> None:
    with desk.open() as ledger:
        entries = [ledger.leaf(at) for at in range(ledger.size)]
    later = entries[-1].replace(b'"seg":"eu/keys"', b'"seg":"us/keys"')
    assert later != entries[-1]
    swapped = [entries[1], entries[0], *entries[2:]]
    forks = ([*entries[:-1], later], swapped, entries[:-1], [*entries[1:], entries[0]])
    for fork in forks:
        rewrite(desk, copy, fork, cosign=False)
        assert refused(desk, copy) == "checkpoint"  # too few witnesses
        rewrite(desk, copy, fork, cosign=True)
        assert "head 1" in refused(desk, copy, heads=True)


def test_leaves_that_the_log_itself_should_not_have_written(desk: Desk, copy: Path) -> None:
    with desk.open() as ledger:
        entries = [ledger.leaf(at) for at in range(ledger.size)]
    assert b'"k":"access.result"' in entries[6]
    bad = {
        "kind": entries[3].replace(b"access.intent", b"access.secret"),
        "space": entries[3].replace(b'","chr"', b'", "chr"'),
        "early": entries[3].replace(b'"t":1790000000000', b'"t":1780000000000'),
        "number": entries[3].replace(b'"t":1790000000000', b'"t":01790000000000'),
        "future ref": entries[6].replace(b'"ref":0', b'"ref":9'),
        "wrong ref": entries[6].replace(b'"ref":0', b'"ref":6'),
        "no ref": entries[6].replace(b'"ref":0,', b""),
        "order": entries[3].replace(
            b'"delta_e12":1,"epsilon_micro":1000', b'"epsilon_micro":1000,"delta_e12":1'
        ),
        "unknown field": entries[3].replace(b'"v":', b'"u":1,"v":'),
    }
    for name, leaf in bad.items():
        at = 6 if "ref" in name else 3
        assert leaf != entries[at], name
        rewrite(desk, copy, [*entries[:at], leaf, *entries[at + 1 :]], cosign=True)
        assert refused(desk, copy).endswith(f"leaf {at}"), name


def test_entries_and_tiles_changed_together_are_found(desk: Desk, copy: Path) -> None:
    """They fit each other, and only the signed root tells."""
    signed = (copy / "checkpoint").read_bytes()
    with desk.open() as ledger:
        entries = [ledger.leaf(at) for at in range(ledger.size)]
    rewrite(desk, copy, [entries[1], entries[0], *entries[2:]], cosign=False)
    (copy / "checkpoint").write_bytes(signed)
    assert refused(desk, copy) == "checkpoint and tile/"


def foreign(desk: Desk) -> tuple[LogSigner, bytes]:
    """Another log's signer, and the policy of somebody who trusts both logs."""
    other = LogSigner(b"t" * 32, name="example.com/other")
    return other, f"log {other.vkey.text()}\n".encode() + desk.policy.read_bytes()


def test_a_head_of_another_log_that_is_trusted_too(desk: Desk, copy: Path) -> None:
    other, both = foreign(desk)
    held = Checkpoint.parse(desk.head[: desk.head.rfind(b"\n\n") + 1])
    text = Checkpoint(other.name, held.size, held.root).text()
    head = other.sign(text) + desk.witness._key.cosign(text, at=START_US // 1_000_000)
    with pytest.raises(verifier.VerificationError, match="another log"):
        verifier.verify_log(copy, verifier.parse_policy(both), heads=[head])


def test_a_trusted_log_vouches_for_itself_alone(desk: Desk, copy: Path) -> None:
    """A head that says it is one log's and is signed by another's key is nobody's."""
    other, both = foreign(desk)
    policy = verifier.parse_policy(both)
    with desk.open() as ledger:
        proof, leaf = ledger.prove(3).encode(), ledger.leaf(3)
    assert verifier.check_proof(proof, leaf, policy).index == 3
    at = proof.find(b"\n\n") + 2
    text = proof[at : proof.rfind(b"\n\n") + 1]
    note = other.sign(text) + desk.witness._key.cosign(text, at=START_US // 1_000_000)
    with pytest.raises(verifier.VerificationError, match="no trusted log"):
        verifier.check_proof(proof[:at] + note, leaf, policy)
    (copy / "checkpoint").write_bytes(note)
    with pytest.raises(verifier.VerificationError, match="no trusted log"):
        verifier.verify_log(copy, policy)


def test_two_head_from_another_log_and_malformed_head(desk: Desk, copy: Path) -> None:
    other = Checkpoint("example.com/other", 1, b"r" * 32).text()
    policy = verifier.parse_policy(desk.policy.read_bytes())
    for head in (desk.signer.sign(other), b"", b"x\n\n", desk.head[:-3]):
        with pytest.raises(verifier.VerificationError):
            verifier.verify_log(copy, policy, heads=[head])


def test_the_command_says_where_and_leaves_with_5(desk: Desk, copy: Path) -> None:
    head = copy.parent / "head"
    head.write_bytes(desk.head)
    call = [sys.executable, "-m", "safehold_verify", "log", str(copy)]
    call += ["--policy", str(desk.policy), "--head", str(head), "--json"]
    root = Path(__file__).resolve().parents[2] / "src"
    good = subprocess.run(call, capture_output=True, env={"PYTHONPATH": str(root)}, check=False)
    assert (good.returncode, good.stderr) == (0, b"")
    tile = copy / "tile/0/000.p/20"
    data = tile.read_bytes()
    tile.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    bad = subprocess.run(call, capture_output=True, env={"PYTHONPATH": str(root)}, check=False)
    assert bad.returncode == 5
    assert b"tile/0/000.p/20, byte 0" in bad.stderr


def test_the_verifier_imports_nothing_of_the_server() -> None:
    root = Path(__file__).resolve().parents[2] / "src"
    code = (
        "import sys, safehold_verify\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "outside = names - set(sys.stdlib_module_names) - {'safehold_verify', 'cryptography'}\n"
        "print(sorted(name for name in outside if not name.startswith(('_', 'cffi'))))"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],
        capture_output=True,
        env={"PYTHONPATH": ":".join([str(root), *[p for p in sys.path if p.endswith("packages")]])},
        check=False,
    )
    assert (done.stdout.strip(), done.returncode) == (b"[]", 0), done.stderr
