"""Every way to forge a log, at every level of what the attacker holds: who finds it, and where.

The table that ``make proof`` prints is in tests/proof/test_ledger_bytes.py.
"""

from __future__ import annotations

import shutil
from itertools import combinations
from pathlib import Path

import pytest
from tests.ledger_desk import ORIGIN, Desk
from tests.ledger_story import (
    CLASSES,
    LEVELS,
    SIZE,
    Story,
    cosign,
    files_of,
    forge,
    stranger,
    tell_story,
)

import safehold_verify as verifier
from safehold.errors import SafeholdError
from safehold.ledger import Ledger, Witness
from safehold.ledger.checkpoint import Checkpoint

# what the files alone tell of somebody who holds both keys: only what contradicts itself
TOLD_BY_ITSELF = {"back-date a leaf": "leaf 290"}


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell_story(tmp_path_factory.mktemp("story"))


def test_the_untouched_log_holds(story: Story) -> None:
    report = story.check(story.desk.directory, *story.heads)
    assert (report.size, report.heads) == (SIZE, (75, 150, 225, 300))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("name", CLASSES)
def test_a_forgery(story: Story, tmp_path: Path, name: str, level: str) -> None:
    copy = story.copy(tmp_path / "copy")
    leaves = CLASSES[name](story.leaves)
    forge(story, copy, leaves, level, room=tmp_path / "accomplice")
    alone, kept = story.where(copy), story.where(copy, story.heads[-1])
    if level == "bundles":
        assert alone.startswith("tile/entries/")
    elif level == "tiles":
        same = len(leaves) == SIZE
        assert alone == "checkpoint and tile/" if same else alone.startswith("tile/")
    elif level == "log key":
        assert alone == "checkpoint"  # too few witnesses
    elif name in TOLD_BY_ITSELF:
        assert alone.endswith(TOLD_BY_ITSELF[name])
    else:
        # The limit (SECURITY.md): whoever has both keys can write a log that holds in itself.
        assert alone == ""
    assert kept == (alone if level != "witness key" else "checkpoint against head 1")
    with pytest.raises(SafeholdError) as found:  # the journal beside the files was left as it was
        open_copy(story, copy, tmp_path / "witness")
    assert found.value.code == "tampered"
    assert found.value.rule == "ledger.export"


def open_copy(story: Story, directory: Path, room: Path) -> None:
    """Open a ledger directory with a copy of the real witness."""
    shutil.rmtree(room, ignore_errors=True)
    shutil.copytree(story.desk.outside, room)
    Ledger.open(
        directory,
        signer=story.desk.signer,
        witnesses=[Witness(room, clock=story.desk.clock)],
        sidecar=story.desk.sealer,
        clock=story.desk.clock,
    ).close()


@pytest.mark.parametrize("state", [0, 1, 2])
def test_rolled_back(story: Story, tmp_path: Path, state: int) -> None:
    """The whole directory as it once was: true in itself, and only what lies outside can tell."""
    old = shutil.copytree(story.states[state] / "ledger", tmp_path / "old")
    assert story.where(old) == ""
    assert story.where(old, *story.heads[: state + 1]) == ""
    assert story.where(old, story.heads[state + 1]) == "checkpoint against head 1"
    with pytest.raises(SafeholdError) as found:
        open_copy(story, old, tmp_path / "witness")
    assert found.value.rule == "ledger.rollback"
    files = story.copy(tmp_path / "files")  # the exported files alone, under a newer journal
    shutil.rmtree(files / "tile")
    shutil.copytree(old / "tile", files / "tile")
    shutil.copy(old / "checkpoint", files / "checkpoint")
    with pytest.raises(SafeholdError) as found:
        open_copy(story, files, tmp_path / "witness")
    assert found.value.rule == "ledger.export"


def test_a_fork_of_everything_with_the_log_key(story: Story, tmp_path: Path) -> None:
    """Journal, tiles and heads grown from an old state without the witness, by the real program."""
    old = shutil.copytree(story.states[1], tmp_path / "old")
    desk = Desk.reopen(old)
    from tests.ledger_desk import entry

    with desk.open(witnesses=[]) as fork:
        fork.append([entry(at) for at in range(SIZE - fork.size + 5)])
    assert story.where(desk.directory) == "checkpoint"  # no witness has cosigned it
    with pytest.raises(SafeholdError) as found:
        open_copy(story, desk.directory, tmp_path / "witness")
    assert found.value.rule == "ledger.fork"
    note = desk.directory / "checkpoint"
    note.write_bytes(note.read_bytes() + cosign(story, note.read_bytes(), room=tmp_path / "twin"))
    assert story.where(desk.directory, *story.heads[:2]) == ""  # these lie before the fork
    assert story.where(desk.directory, *story.heads) == "checkpoint against head 3"


def test_keys_and_names_swapped(story: Story, tmp_path: Path) -> None:
    copy = story.copy(tmp_path / "copy")
    file = copy / "checkpoint"
    whole = file.read_bytes()
    text = whole[: whole.rfind(b"\n\n") + 1]
    lines = whole[len(text) + 1 :].splitlines(keepends=True)
    mine, other = stranger(), stranger("example.com/other")
    witness = Witness.create(
        tmp_path / "mine", name=story.desk.witness.name, logs=[mine.vkey.text()]
    )
    own = mine.sign(text)
    cosigned = witness.add_checkpoint(0, [], own).body
    own_line = own[len(text) + 1 :]
    logs = [line for line in lines if line.startswith("— ".encode() + ORIGIN.encode() + b" ")]
    rest = [line for line in lines if line not in logs]
    assert logs
    assert rest
    swaps = {
        "the log's key": text + b"\n" + own_line + b"".join(rest),
        "the witness's key": text + b"\n" + b"".join(logs) + cosigned,
        "both keys": own + cosigned,
        "the log's name in its line": whole.replace(
            b"\xe2\x80\x94 " + ORIGIN.encode(), b"\xe2\x80\x94 x"
        ),
        "the witness's name": whole.replace(story.desk.witness.name.encode(), b"other.example"),
        "the names of both": text
        + b"\n"
        + b"".join(line.replace(ORIGIN.encode(), b"@") for line in logs)
        + b"".join(
            line.replace(story.desk.witness.name.encode(), ORIGIN.encode()) for line in rest
        ),
        "the origin": other.sign(text.replace(ORIGIN.encode(), other.name.encode())),
        "one key more": whole + own_line,
    }
    for name, note in swaps.items():
        assert note != whole
        file.write_bytes(note)
        assert story.where(copy).startswith("checkpoint"), name
    file.write_bytes(whole)
    assert story.where(copy) == ""


def test_a_log_of_another_key_is_not_opened_nor_cosigned(story: Story, tmp_path: Path) -> None:
    mine = stranger()
    directory = tmp_path / "mine"
    Ledger.create(directory, origin=ORIGIN, signer=mine)
    with pytest.raises(SafeholdError) as found:
        open_copy(story, directory, tmp_path / "witness")
    assert found.value.rule == "ledger.identity"
    note = mine.sign(Checkpoint(ORIGIN, 1, b"r" * 32).text())
    witness = Witness(shutil.copytree(story.desk.outside, tmp_path / "asked"))
    assert witness.add_checkpoint(SIZE, [], note).status == 403


def test_files_renamed_swapped_doubled_emptied_removed(story: Story, tmp_path: Path) -> None:
    copy = story.copy(tmp_path / "copy")
    files = files_of(copy)
    assert len(files) == 6
    for file in files:
        name, data = str(file.relative_to(copy)), file.read_bytes()
        file.write_bytes(b"")
        assert story.where(copy).startswith(name)
        file.unlink()
        assert story.where(copy) == name
        for other in (file.with_name(file.name + "0"), file.with_name("900"), copy / "tile/9"):
            other.write_bytes(data)
            assert story.where(copy) in (name, str(other.relative_to(copy)))  # renamed
            file.write_bytes(data)
            assert story.where(copy) == str(other.relative_to(copy))  # doubled
            other.unlink()
            file.unlink()
        file.write_bytes(data)
    for one, two in combinations(files, 2):
        first, second = one.read_bytes(), two.read_bytes()
        one.write_bytes(second)
        two.write_bytes(first)
        assert story.where(copy).startswith(
            (str(one.relative_to(copy)), str(two.relative_to(copy)), "checkpoint")
        )
        one.write_bytes(first)
        two.write_bytes(second)
    assert story.where(copy) == ""


def test_a_head_that_was_kept_is_checked_as_well(story: Story) -> None:
    """Every byte of what the policy's keys have signed, and every signature it names."""
    head = story.heads[1]
    text = head[: head.rfind(b"\n\n") + 1]
    for at in range(len(text)):
        changed = bytes([*head[:at], head[at] ^ 1, *head[at + 1 :]])
        assert "head 1" in story.where(story.desk.directory, changed), at
    with pytest.raises(verifier.VerificationError):
        story.check(story.desk.directory, text + b"\n")
