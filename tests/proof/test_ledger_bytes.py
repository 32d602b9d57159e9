"""Every byte of every exported file, three other values for each: all found offline, and where."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path

import pytest
from tests.ledger_story import CLASSES, LEVELS, Story, files_of, forge, other_bytes, tell_story

import safehold_verify as verifier
from safehold.errors import SafeholdError
from safehold.ledger import Ledger, Witness


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    return tell_story(tmp_path_factory.mktemp("story"))


@pytest.mark.proof
def test_every_byte_is_looked_at(story: Story, tmp_path: Path) -> None:
    copy, policy = story.copy(tmp_path / "copy"), story.policy
    began = time.monotonic()
    tried: Counter[str] = Counter()
    for file in files_of(copy):
        name, data = str(file.relative_to(copy)), file.read_bytes()
        owner = _owners(data) if "entries" in name else []
        with file.open("r+b", buffering=0) as raw:
            for at, value in enumerate(data):
                for other in other_bytes(value):
                    raw.seek(at)
                    raw.write(bytes([other]))
                    tried[name] += 1
                    with pytest.raises(verifier.VerificationError) as found:
                        verifier.verify_log(copy, policy)
                    where = found.value.where
                    assert where.startswith(name), (name, at, where)
                    if owner and owner[at] is not None and "leaf" in where:
                        assert where.endswith(f" {_first(name) + owner[at]}"), (name, at, where)
                raw.seek(at)
                raw.write(bytes([value]))
        for cut in range(0, len(data), 1 if len(data) < 10_000 else 97):
            file.write_bytes(data[:cut])
            tried[f"{name} cut"] += 1
            assert story.where(copy).startswith(name), (name, cut)
        for more in (b"\0", b"\n", data[-1:], data):
            file.write_bytes(data + more)
            tried[f"{name} lengthened"] += 1
            assert story.where(copy).startswith(name), (name, more[:1])
        file.write_bytes(data)
    assert story.where(copy) == ""
    for name, count in sorted(tried.items()):
        print(f"{name}: {count} of {count} found")
    print(f"{sum(tried.values())} changes in {time.monotonic() - began:.0f} s, all found")
    assert sum(tried.values()) > 300_000


def _owners(data: bytes) -> list[int | None]:
    """Return for every byte of a bundle the entry that it belongs to; nothing for lengths."""
    owners: list[int | None] = []
    number = 0
    while len(owners) < len(data):
        at = len(owners)
        length = int.from_bytes(data[at : at + 2], "big")
        owners += [None, None, *[number] * length]
        number += 1
    return owners


def _first(name: str) -> int:
    return int(name.split("/")[2].removesuffix(".p")) * 256


@pytest.mark.proof
def test_the_table_of_classes(story: Story, tmp_path: Path) -> None:
    """Print who finds what; tests/attack/test_ledger_classes.py asserts each cell."""
    print(f"\n{'class':<18}{'attacker holds':<16}{'files alone':<36}{'a head kept':<28}opening")
    missed = 0
    for name, change in CLASSES.items():
        for level in LEVELS:
            copy = story.copy(tmp_path / "copy")
            forge(story, copy, change(story.leaves), level, room=tmp_path / "room")
            alone, kept = story.where(copy), story.where(copy, story.heads[-1])
            opening = _open(story, copy, tmp_path / f"{name}-{level}")
            missed += not kept
            print(f"{name:<18}{level:<16}{alone or '-':<36}{kept:<28}{opening}")
    assert missed == 0


def _open(story: Story, directory: Path, room: Path) -> str:
    witness = Witness(shutil.copytree(story.desk.outside, room), clock=story.desk.clock)
    try:
        Ledger.open(
            directory,
            signer=story.desk.signer,
            witnesses=[witness],
            sidecar=story.desk.sealer,
            clock=story.desk.clock,
        ).close()
    except SafeholdError as error:
        return error.rule or error.code
    raise AssertionError("opening missed it")
