"""Crash points of a ledger, by the hundred: make one, open what is left, and see what became of it.

Every point ends in one of two ways. Either the log opens, and then every acknowledged entry is at
its index with its hash, its key still answers, and the offline verifier passes. Or it does not
open, and says by name what it lacks. A third way would be a loss.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from tests.crashing import Acks, Job, Yard
from tests.ledger_desk import Desk, entry

import safehold_verify as verifier
from safehold.clock import SystemClock
from safehold.errors import SafeholdError
from safehold.ledger.tree import leaf_hash

FRAME = 24  # bytes in front of each page in a write-ahead log of SQLite
HEADER = 32  # bytes in front of all


@dataclass(slots=True)
class Tally:
    """What became of the points of one sort.

    Args:
        name: The sort.
        points: How many were made.
        opened: How many logs opened with everything in them.
        named: How many did not open, by the rule they named.
        errors: How a worker itself ended, by rule, where it was not killed.
        entries: Acknowledged entries that were looked up.
    """

    name: str
    points: int = 0
    opened: int = 0
    named: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    entries: int = 0

    def __str__(self) -> str:
        named = ", ".join(f"{rule} {count}" for rule, count in sorted(self.named.items())) or "-"
        errors = ", ".join(f"{rule} {count}" for rule, count in sorted(self.errors.items()))
        return (
            f"{self.name}: {self.points} points, {self.opened} opened whole"
            f" ({self.entries} acknowledged entries looked up), lost 0, detected: {named}"
            + (f"; workers ended with {errors}" if errors else "")
        )


def found_desk(path: Path, *, leaves: int = 250) -> Desk:
    """Make a log that is six leaves short of a full tile, and close it."""
    path.mkdir(parents=True)
    desk = Desk(path, clock=SystemClock())
    desk.save()
    with desk.open() as ledger:
        ledger.append([entry(at, key=f"base-{at}") for at in range(leaves)])
    return desk


def copy_desk(source: Path, target: Path) -> Path:
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(source, target)


def look(path: Path, acks: Sequence[tuple[int, bytes, str]], tally: Tally) -> None:
    """Open what is left; all that was acknowledged has to be there, in every respect."""
    desk = Desk.reopen(path)
    policy = verifier.parse_policy(desk.policy.read_bytes())
    memory = desk.witness.head(desk.signer.name)
    witnessed = int(memory.split(b"\n")[1]) if memory else 0
    with desk.open() as ledger:
        assert witnessed <= ledger.size, "the witness knows more"
        for index, digest, key in acks:
            assert leaf_hash(ledger.leaf(index)) == digest, f"leaf {index}"
            found = ledger.find(key)
            assert found is not None, f"key of leaf {index}"
            assert (found.index, found.leaf_hash) == (index, digest)
        if acks:
            index, digest, key = acks[-1]
            kind = orjson.loads(ledger.leaf(index))["k"]
            more = {"ref": 0, "public": {}} if kind == "access.result" else {"public": {}}
            if kind != "access.result":
                [again] = ledger.append([entry(kind=kind, key=key, **more)])
                assert (again.index, again.leaf_hash) == (index, digest)
            proof = ledger.prove(index).encode()
            assert verifier.check_proof(proof, ledger.leaf(index), policy).index == index
        size = ledger.size
    assert verifier.verify_log(desk.directory, policy, heads=[desk.head]).size == size
    tally.opened += 1
    tally.entries += len(acks)


def kill_at_steps(yard: Yard, base: Path, room: Path, *, every: int) -> Tally:
    """Kill a worker at every so-many-th step of its script."""
    tally = Tally("killed at a step")
    steps = dry_run(yard, base, room)
    for number in range(1, len(steps) + 1, every):
        path = copy_desk(base, room / "killed")
        job = Job(path=path, acks=room / "acks", die_at=number, salt=number)
        status, acks = yard.run(job)
        assert (status, acks.foreign) in ((-9, ""), (0, "")), (number, acks.foreign)
        tally.points += status == -9
        look(path, acks.entries, tally)
    return tally


def fail_at_steps(yard: Yard, base: Path, room: Path, *, every: int) -> Tally:
    """Let every so-many-th step fail with an I/O error: a clear error, and nothing is lost."""
    tally = Tally("I/O error at a step")
    steps = dry_run(yard, base, room)
    fallible = [at for at, name in enumerate(steps, 1) if name.startswith("before")]
    for number in fallible[::every]:
        path = copy_desk(base, room / "failed")
        job = Job(path=path, acks=room / "acks", fail_at=number, salt=number)
        status, acks = yard.run(job)
        assert (status, acks.foreign) == (0, ""), (number, steps[number - 1], acks.foreign)
        tally.points += 1
        tally.errors[acks.error or "none"] += 1
        look(path, acks.entries, tally)
    return tally


def fill_the_disk(yard: Yard, base: Path, room: Path, limits: Sequence[int]) -> Tally:
    """Let no file grow beyond a limit: a clear error, and it goes on once there is room."""
    tally = Tally("no room on the disk")
    for limit in limits:
        path = copy_desk(base, room / "full")
        job = Job(path=path, acks=room / "acks", mode="flood", limit=limit, salt=limit)
        status, acks = yard.run(job)
        assert (status, acks.foreign) == (0, ""), (limit, acks.foreign)
        assert acks.error, "it went on without room"
        tally.points += 1
        tally.errors[acks.error] += 1
        look(path, acks.entries, tally)
    return tally


def kill_at_moments(yard: Yard, base: Path, room: Path, *, kills: int) -> Tally:
    """Kill workers with three appending threads at random moments, crash upon crash."""
    tally = Tally("killed at a random moment")
    kept: list[tuple[int, bytes, str]] = []
    path = room / "moments"
    for number in range(kills):
        if number % 20 == 0:
            copy_desk(base, path)
            kept = []
        wait, began = random.uniform(0, 0.06), [0.0]

        def now(acks: Acks, wait: float = wait, began: list[float] = began) -> bool:
            if acks.entries and not began[0]:
                began[0] = time.monotonic()
            return bool(began[0]) and time.monotonic() - began[0] >= wait

        job = Job(path=path, acks=room / "acks", mode="flood", salt=number)
        status, acks = yard.run(job, kill=now)
        assert (status, acks.foreign) == (-9, ""), acks.foreign
        tally.points += 1
        kept += acks.entries
        look(path, kept, tally)
    return tally


def dry_run(yard: Yard, base: Path, room: Path) -> list[str]:
    """Return the names of all steps of the script."""
    path = copy_desk(base, room / "dry")
    status, acks = yard.run(Job(path=path, acks=room / "acks"))
    assert (status, acks.error, acks.foreign) == (0, "", "")
    for name in ("BEGIN", "COMMIT", "fsync", "replace", "pwrite"):
        for when in ("before", "after"):
            assert any(step.startswith(f"{when} {name}") for step in acks.steps), name
    return acks.steps


def crashed_desk(yard: Yard, base: Path, room: Path) -> tuple[Path, Acks]:
    """Return a log with a write-ahead log: all of it acknowledged, the last entries unpublished."""
    steps = dry_run(yard, base, room)
    last = max(at for at, name in enumerate(steps, 1) if name == "after pwrite")
    path = copy_desk(base, room / "crashed")
    status, acks = yard.run(Job(path=path, acks=room / "acks", die_at=last + 1))
    assert status == -9
    assert acks.entries[-1][2].endswith("late")
    return path, acks


Damage = tuple[str, Callable[[Path], None]]


def cuts(wal: bytes, page: int, *, every: int) -> Iterator[Damage]:
    """Yield cuts of a write-ahead log: at every page boundary, in headers and within pages."""
    frames = (len(wal) - HEADER) // (FRAME + page)
    places = {0, 1, HEADER - 1}
    for number in range(frames):
        start = HEADER + number * (FRAME + page)
        places |= {start, start + 1, start + FRAME, start + FRAME + page // 2, start + FRAME + 7}
    for at in sorted(places)[::every]:
        yield f"cut at {at}", lambda file, at=at: file.write_bytes(wal[:at])


def flips(wal: bytes, page: int, *, every: int) -> Iterator[Damage]:
    """Yield bytes changed in a write-ahead log: its header, frame headers, pages."""
    frames = (len(wal) - HEADER) // (FRAME + page)
    places = set(range(HEADER))
    for number in range(frames):
        start = HEADER + number * (FRAME + page)
        places |= {start + at for at in (0, 5, 9, 17, 23, FRAME, FRAME + page // 2)}
    for at in sorted(places)[::every]:
        changed = bytes([*wal[:at], wal[at] ^ 0x10, *wal[at + 1 :]])
        yield f"flip at {at}", lambda file, data=changed: file.write_bytes(data)


def damage_wal(crashed: Path, acks: Acks, room: Path, damages: Iterator[Damage]) -> Tally:
    """Damage a write-ahead log below what was acknowledged: all is there, or the loss is named."""
    tally = Tally("write-ahead log damaged")
    size = max(index for index, _, _ in acks.entries) + 1
    for name, damage in damages:
        path = copy_desk(crashed, room / "trial")
        damage(path / "ledger" / "journal.db-wal")
        (path / "ledger" / "journal.db-shm").unlink(missing_ok=True)
        tally.points += 1
        try:
            look(path, acks.entries, tally)
        except SafeholdError as error:
            assert error.code == "tampered", name
            assert error.rule in ("ledger.lost", "ledger.rollback", "ledger.export"), name
            assert error.fix, name
            tally.named[str(error.rule)] += 1
            if error.rule == "ledger.lost":
                assert str(size) in error.message
    return tally


def damage_pages(whole: Path, acks: Acks, room: Path, places: Iterator[int]) -> Tally:
    """Change single bytes of the closed database: it is named, or no entry is touched by it."""
    tally = Tally("database page damaged")
    data = (whole / "ledger" / "journal.db").read_bytes()
    for at in places:
        path = copy_desk(whole, room / "trial")
        changed = bytes([*data[:at], data[at] ^ 0x10, *data[at + 1 :]])
        (path / "ledger" / "journal.db").write_bytes(changed)
        tally.points += 1
        try:
            with Desk.reopen(path).open() as ledger:
                for index, digest, _ in acks.entries:
                    assert leaf_hash(ledger.leaf(index)) == digest, (at, index)
                tally.opened += 1
                tally.entries += len(acks.entries)
        except SafeholdError as error:
            assert error.code == "tampered", at
            tally.named[str(error.rule)] += 1
    return tally


def tear_files(whole: Path, room: Path, *, every: int) -> Tally:
    """Cut exported files at many places, one at a time: opening names the file and repairs none."""
    tally = Tally("exported file torn")
    path = copy_desk(whole, room / "torn")
    desk = Desk.reopen(path)
    for file in desk.files():
        data, name = file.read_bytes(), str(file.relative_to(desk.directory))
        if "entries" in name:
            places, at = set(), 0
            while at < len(data):
                places |= {at, at + 1, at + 2, at + 200}
                at += 2 + int.from_bytes(data[at : at + 2], "big")
        else:
            places = {*range(0, len(data), 16), len(data) - 1, 1}
        for cut in sorted(places)[::every]:
            file.write_bytes(data[:cut])
            tally.points += 1
            try:
                desk.open().close()
            except SafeholdError as error:
                assert error.code == "tampered", (name, cut)
                assert name in error.message, (name, cut)
                assert error.fix
                tally.named[str(error.rule)] += 1
            else:
                raise AssertionError(f"{name} cut at {cut} was not missed")
            assert file.read_bytes() == data[:cut], "repaired without a word"
        file.write_bytes(data)
    desk.open().close()
    return tally


def finished_desk(yard: Yard, base: Path, room: Path) -> tuple[Path, Acks]:
    """Return a log that was closed in good order, with no write-ahead log left."""
    path = copy_desk(base, room / "finished")
    status, acks = yard.run(Job(path=path, acks=room / "acks"))
    assert (status, acks.error) == (0, "")
    assert not (path / "ledger" / "journal.db-wal").exists()
    return path, acks


def page_size(journal: Path) -> int:
    with closing(sqlite3.connect(f"{journal.as_uri()}?immutable=1", uri=True)) as base:
        return int(base.execute("PRAGMA page_size").fetchone()[0])
