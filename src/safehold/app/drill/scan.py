"""Look for plain data in bytes, the way somebody with the disk would: planted values, names, rows, text."""

from __future__ import annotations

import contextlib
import io
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from ahocorasick_rs import BytesAhoCorasick

from safehold.app.search import LARGEST, forms, in_digest, views
from safehold.assurance.drill.outcome import Exposure

ARROW: Final = b"\xff\xff\xff\xff"  # how a message of an Arrow stream begins
PARQUET: Final = b"PAR1"
PEOPLE: Final = ("person", "segment")


@dataclass(slots=True)
class Seen:
    """What was found.

    Args:
        values: Planted values.
        names: Names of people.
        records: Rows that could be read.
        segments: Files whose rows could be read.
        files: Files that were looked through.
        size: Bytes.
    """

    values: set[str] = field(default_factory=set)
    names: set[str] = field(default_factory=set)
    records: int = 0
    segments: int = 0
    files: int = 0
    size: int = 0

    def exposure(self, **told: Any) -> Exposure:
        """Return it as what an attacker has."""
        return Exposure(
            people=max(len(self.names), int(self.records > 0)),
            records=self.records,
            segments=self.segments,
            canaries=len(self.values),
            told={"files": self.files, "bytes": self.size, **told},
        )


class Scanner:
    """Looks for what must not be there.

    Args:
        values: Planted values.
        names: Names of people, as their employer has them.
    """

    def __init__(self, values: Iterable[str], names: Iterable[str]) -> None:
        self._of: list[tuple[str, bool]] = []
        needles: list[bytes] = []
        for words, planted in ((values, True), (names, False)):
            for word in set(words):
                for form in forms(word):
                    needles.append(form)
                    self._of.append((word, planted))
        self._machine = BytesAhoCorasick(needles) if needles else None
        self.count = len({word for word, planted in self._of if planted})

    def look(self, folders: Iterable[Path], *, leave_out: Iterable[Path] = ()) -> Seen:
        """Look through every file below some folders."""
        seen, left = Seen(), set(leave_out)
        for folder in folders:
            for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
                if file in left or file.is_symlink() or not file.is_file():
                    continue
                with contextlib.suppress(PermissionError, FileNotFoundError):
                    self.look_at(file.read_bytes()[:LARGEST], seen)
        return seen

    def look_at(self, data: bytes, seen: Seen) -> None:
        """Look through some bytes."""
        seen.files += 1
        seen.size += len(data)
        rows = 0
        for view in views(data):
            self._find(view, seen)
            rows += sum(table.num_rows for table in tables_in(view))
        if rows:
            seen.records += rows
            seen.segments += 1

    def look_at_words(self, data: bytes, seen: Seen) -> None:
        """Look through some bytes for planted values and names alone."""
        seen.size += len(data)
        self._find(data, seen)

    def _find(self, data: bytes, seen: Seen) -> None:
        if self._machine is None:
            return
        for which, start, end in self._machine.find_matches_as_indexes(data):
            if not in_digest(data, start, end):
                word, planted = self._of[which]
                (seen.values if planted else seen.names).add(word)


def read_answer(answer: Mapping[str, Any], scanner: Scanner) -> Exposure:
    """Return what an answer to a person shows of anybody: names and planted values in it, and anything like rows."""
    seen = Seen()
    scanner.look_at_words(orjson.dumps(answer), seen)
    rows = sum(len(one) for one in answer.values() if isinstance(one, list) and _is_table(one))
    return Exposure(
        people=len(seen.names), records=max(rows, len(seen.names)), canaries=len(seen.values)
    )


def _is_table(one: list[Any]) -> bool:
    """Whether a list is of rows: of lists, or of objects that say whose they are."""
    return any(isinstance(row, list) or (isinstance(row, dict) and "person" in row) for row in one)


def tables_in(data: bytes) -> Iterator[pa.Table]:
    """Yield the tables that lie somewhere in some bytes, as Arrow streams or as a Parquet file."""
    if data[:4] == PARQUET == data[-4:]:
        with contextlib.suppress(pa.ArrowException, OSError):
            yield pq.read_table(io.BytesIO(data))
    at = data.find(ARROW)
    while at >= 0:
        after = at + 1
        # a schema message: its length is small, and a whole number of eight bytes
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        if 0 < length < 1 << 20 and length % 8 == 0:
            with contextlib.suppress(pa.ArrowException, OSError, ValueError):
                reader = pa.ipc.open_stream(pa.py_buffer(memoryview(data)[at:]))
                table = reader.read_all()
                if table.num_rows:
                    yield table
                    after = at + 8 + length
                    end = data.find(ARROW + bytes(4), after)
                    after = end if end > 0 else len(data)
        at = data.find(ARROW, after)


def people_in(tables: Iterable[pa.Table]) -> int:
    """Return how many people some tables name."""
    found: set[str] = set()
    for table in tables:
        for name in PEOPLE:
            if name in table.column_names:
                found |= set(pc.unique(table[name].combine_chunks()).to_pylist())
    return len(found)


def copy_of(paths: Iterable[Path], to: Path) -> Path:
    """Copy files and folders as a thief would, and return where they are."""
    to.mkdir(mode=0o700)
    for number, path in enumerate(paths):
        target = to / f"{number}-{path.name}"
        if path.is_dir():
            shutil.copytree(path, target, ignore=_sockets)
        elif path.is_file():
            shutil.copy2(path, target)
    return to


def _sockets(folder: str, names: list[str]) -> set[str]:
    return {name for name in names if (Path(folder) / name).is_socket()}


__all__ = ["Scanner", "Seen", "copy_of", "people_in", "read_answer", "tables_in"]
