"""What a site holds in the end, opened through the product's own path, and what lies readable where it should not."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import orjson
from ahocorasick_rs import BytesAhoCorasick
from tests.chaos.record import Event
from tests.chaos.site import BASE, Site

from safehold.app.keeper import open_desk
from safehold.app.search import search
from safehold.clock import SystemClock
from safehold.ids import PersonId
from safehold.keeper.own import Own
from safehold.settings import Home
from safehold.telemetry.stream import STREAMS
from safehold.vault.kms import open_sealed

INTENT, RESULT = "access.intent", "access.result"
JOIN = "compaction"  # small blocks are opened and sealed again by the keeper itself: about a segment, nobody in particular


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry of the ledger, as far as anybody may read it."""

    index: int
    kind: str
    at_ms: int
    ref: int
    outcome: str
    state: str = ""


@dataclass(frozen=True, slots=True)
class Released:
    """Keys of one person and stream that were looked up for opening, as the instrument noted it."""

    at_us: int
    person: str
    stream: str
    count: int


@dataclass(slots=True)
class Held:
    """What is there.

    Args:
        events: How often each event is held.
        origins: Devices and sessions by person and stream; each has one.
        texts: What chat says, by event.
        leaves: The whole ledger.
        about: Of each intent that somebody who is still here can find: the inner names of whom it is about.
        inner: Inner name of everybody who is still here.
        paused: Who does not take part now.
        releases: What the instrument noted.
        alerts: Signals that the sentinel raised.
    """

    events: Counter[Event] = field(default_factory=Counter)
    origins: dict[tuple[str, str], set[tuple[bytes, bytes]]] = field(default_factory=dict)
    texts: dict[Event, str] = field(default_factory=dict)
    leaves: list[Leaf] = field(default_factory=list)
    about: dict[int, set[str]] = field(default_factory=dict)
    inner: dict[str, str] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    releases: list[Released] = field(default_factory=list)


def look(site: Site) -> Held:
    """Open a home that no keeper holds, with recovery, and return what it holds."""
    held = Held(releases=read_releases(site.releases))
    with _environment(site.world.environment):
        home = Home.open(site.world.home)
        root = open_sealed(home.root_file, site.world.passphrase)
        desk = open_desk(home, root, clock=SystemClock(), workshop=None)
        try:
            blocks = desk.catalog.blocks(kind="telemetry", streams=tuple(STREAMS), after_day=0)
            for block, table in desk.vault.read(blocks):
                assert table.num_rows == block.rows
                person = desk.people.standing(PersonId(block.person)).external
                names = ("device", "session", "seq")
                columns = [table[name].to_pylist() for name in names]
                texts = table["text"].to_pylist() if block.stream == "chat" else None
                for at, (device, session, seq) in enumerate(zip(*columns, strict=True)):
                    event = Event(person, block.stream, seq)
                    held.events[event] += 1
                    held.origins.setdefault((person, block.stream), set()).add((device, session))
                    if texts is not None:
                        held.texts[event] = texts[at]
            now = desk.now_us()
            own = Own(desk)
            for inner, standing in desk.people.everybody().items():
                held.inner[standing.external] = str(inner)
                if standing.paused(now):
                    held.paused.add(standing.external)
                for index in own.of(inner).index.tolist():
                    held.about.setdefault(index, set()).add(str(inner))
            for index, leaf in desk.ledger.leaves(0):
                said = leaf.get("pub", {})
                held.leaves.append(
                    Leaf(
                        index, leaf["k"], int(leaf["t"]), int(leaf.get("ref", -1)),
                        str(said.get("outcome", "")), str(said.get("state", "")),
                    )
                )  # fmt: skip
        finally:
            desk.ledger.close()
            desk.engine.dispose()
            if desk.lead is not None:
                desk.lead.close()
    return held


def read_releases(file: Path) -> list[Released]:
    """Return what the instrument in the keepers noted."""
    found = []
    for line in file.read_bytes().splitlines() if file.exists() else ():
        said = orjson.loads(line)
        found += [Released(said["t_us"], *one) for one in said["keys"]]
    return found


def readable(site: Site, planted: Iterable[str], *, since: float) -> set[str]:
    """Return which planted words lie readable in the home, outside it, in logs, database, bucket, or what is temporary.

    Args:
        site: The site; its servers still run.
        planted: The words.
        since: Files elsewhere that are older, seconds since 1970, are none of ours.
    """
    words = set(planted)
    found = _dumped(site, words)
    more, files = search([site.root, *(one.path for one in site.servers().values())], words)
    found |= more
    assert files > 10
    for folder in {Path(tempfile.gettempdir()), Path("/dev/shm")}:
        for file in folder.iterdir() if folder.is_dir() else ():
            try:
                ours = file.is_file() and file.lstat().st_mtime >= since
                data = file.read_bytes() if ours and file.lstat().st_size < 1 << 26 else b""
            except OSError:
                continue
            found |= _said(words, data) if data else set()
    return found


def _said(words: set[str], data: bytes) -> set[str]:
    """Return which words stand in some bytes, as they are or in hexadecimal."""
    forms, machine = _machine(frozenset(words))
    return {forms[which] for which, _, _ in machine.find_matches_as_indexes(data)}


@lru_cache(maxsize=1)
def _machine(words: frozenset[str]) -> tuple[list[str], BytesAhoCorasick]:
    pairs = [(one, form) for one in words for form in (one.encode(), one.encode().hex().encode())]
    return [one for one, _ in pairs], BytesAhoCorasick([form for _, form in pairs])


def _dumped(site: Site, words: set[str]) -> set[str]:
    """Return which words a dump of the database shows: as text, or as bytes, which it writes in hexadecimal."""
    program = site.database.programs / "pg_dump"
    where = ("-h", str(site.database.path), "-U", "postgres", "-d", BASE)
    done = subprocess.run([str(program), *where], check=True, capture_output=True, timeout=300)
    return _said(words, done.stdout)


@contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
