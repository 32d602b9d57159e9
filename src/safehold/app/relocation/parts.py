"""The three parts of a home, each where it lies and where it goes: counted, copied, compared, set aside, removed."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import sqlalchemy as sa

from safehold.app.control import engine_at, postgres_of
from safehold.app.journal import rows_at
from safehold.app.objects import objects_at
from safehold.app.profile import Places
from safehold.db import rows as control_rows
from safehold.db.place import schema_of
from safehold.errors import ConflictError, TamperedError, UnavailableError
from safehold.ledger.store_rows import TABLES
from safehold.ledger.store_sqlite import JOURNAL
from safehold.settings import Home
from safehold.vault import Objects, durable

Told = Callable[[int], None]
TOGETHER: Final = 8  # objects in memory at once, and as many requests to a bucket


def fold(file: Path) -> None:
    """Let a database that nobody uses be one file: what its write-ahead log holds moves into it.

    Raises:
        UnavailableError: Somebody uses it.
    """
    try:
        with closing(sqlite3.connect(file)) as base:
            base.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            base.execute("PRAGMA journal_mode=DELETE")
    except sqlite3.OperationalError as error:
        raise UnavailableError(
            f"another process has {file.name} open",
            rule="migrate.used",
            fix="end what reads it, then finish: safehold migrate --yes",
        ) from error
    durable.sync(file)


def require_vacant(file: Path) -> None:
    """Pass if no database lies at a place, nor what SQLite keeps beside one and would take for its newest part.

    Raises:
        ConflictError: Something does: it would be opened in the place of the copy that was proved.
    """
    if any(file.with_name(f"{file.name}{more}").exists() for more in ("", "-wal", "-journal")):
        raise ConflictError(
            f"a {file.name} lies where that of the moved home belongs",
            rule="migrate.stray",
            fix="take it away: it is not what the home works with",
        )


def put_away(old: Path, new: Path) -> None:
    """Rename a file or a folder; nothing if that was done before.

    Raises:
        ConflictError: Another file lies there.
    """
    if old.is_file():
        require_vacant(new)
    if old.exists() and not new.exists():
        new.parent.mkdir(mode=0o700, exist_ok=True)
        old.rename(new)
        durable.sync(old.parent)
        durable.sync(new.parent)


def some(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield names a few at a time, as many as are carried at once."""
    waiting = iter(names)
    while found := list(islice(waiting, TOGETHER)):
        yield found


class ControlPart:
    """The control database.

    Args:
        home: The home.
        places: Where the parts lie.
        coming: Whether it is the copy that is being made.
    """

    def __init__(self, home: Home, places: Places, *, coming: bool) -> None:
        self._home, self._url = home, places.control
        self._file = home.incoming / home.control.name if coming else home.control

    @contextmanager
    def engine(self) -> Iterator[sa.Engine]:
        """Yield it, open."""
        if self._url is None:
            self._file.parent.mkdir(mode=0o700, exist_ok=True)
        engine = engine_at(self._home, self._url, file=self._file)
        try:
            yield engine
        finally:
            engine.dispose()

    def size(self) -> int:
        """Return about how many bytes it takes."""
        if self._url is None:
            return self._file.stat().st_size
        size: int = self._postgres().size_of(self._url, schema=self._schema)
        return size

    def copy_from(self, old: ControlPart, told: Told) -> None:
        """Make it anew from another."""
        self.remove()
        with old.engine() as source, self.engine() as target:
            control_rows.carry(source, target, told=told)

    def digests(self) -> dict[str, tuple[int, str]]:
        """Return count and digest of every table."""
        with self.engine() as engine:
            return control_rows.digest_tables(engine)

    def set_aside(self) -> None:
        """Put it where no keeper finds it."""
        if self._url is not None:
            self._postgres().set_aside(self._url, schema=self._schema)
        elif self._file.exists():
            fold(self._file)
            put_away(self._file, self._home.moved / self._file.name)

    def place(self) -> None:
        """Put the copy where keepers look."""
        if self._url is None and self._file.exists():
            fold(self._file)
            put_away(self._file, self._home.control)

    def remove(self, *, moved: bool = False) -> None:
        """Remove it, or what was set aside of it; nothing if it is not there."""
        if self._url is not None:
            name = f"{self._postgres().MOVED if moved else ''}{self._schema}"
            self._postgres().drop(self._url, schema=name)
            return
        file = self._home.moved / self._file.name if moved else self._file
        for one in file.parent.glob(f"{file.name}*"):
            one.unlink()

    @property
    def _schema(self) -> str:
        return schema_of(self._home.origin)

    @staticmethod
    def _postgres() -> ModuleType:
        return postgres_of("control.url")


class JournalPart:
    """The journal; its arguments are those of ``ControlPart``."""

    def __init__(self, home: Home, places: Places, *, coming: bool) -> None:
        self._home, self._url = home, places.journal
        self.directory = home.incoming if coming else home.ledger
        self.rows = rows_at(home, self._url, directory=self.directory)

    @property
    def _file(self) -> Path:
        return self.directory / JOURNAL

    def copy_from(self, old: JournalPart, told: Told) -> None:
        """Make it anew from another."""
        self.remove()
        if self._url is None:
            self.directory.mkdir(mode=0o700, exist_ok=True)

        def source(table: str) -> Iterator[tuple[Any, ...]]:
            for row in old.rows.rows(table):
                told(1)
                yield row

        self.rows.fill(source)

    def digests(self) -> dict[str, tuple[int, str]]:
        """Return count and digest of every table."""
        return {table: control_rows.digest(self.rows.rows(table)) for table in TABLES}

    def set_aside(self) -> None:
        """Put it where no keeper finds it."""
        if self._url is not None:
            self.rows.set_aside()
        elif self._file.exists():
            fold(self._file)
            put_away(self._file, self._home.moved / JOURNAL)

    def place(self) -> None:
        """Put the copy where keepers look."""
        if self._url is None and self._file.exists():
            fold(self._file)
            put_away(self._file, self._home.ledger / JOURNAL)

    def remove(self, *, moved: bool = False) -> None:
        """Remove it, or what was set aside of it; nothing if it is not there."""
        if self._url is not None:
            self.rows.remove(moved=moved)
            return
        file = self._home.moved / JOURNAL if moved else self._file
        for one in file.parent.glob(f"{file.name}*"):
            one.unlink()


class ObjectsPart:
    """The sealed objects; its arguments are those of ``ControlPart``. The folder of a copy is the home's own."""

    def __init__(self, home: Home, places: Places, *, coming: bool) -> None:
        del coming
        self._home, self._url = home, places.objects

    @property
    def store(self) -> Objects:
        """Them, open."""
        return objects_at(self._home, self._url)

    def count(self) -> tuple[int, int]:
        """Return how many there are, and how many bytes."""
        sizes = [size for _, size in self.store.sizes()]
        return len(sizes), sum(sizes)

    def copy_from(self, old: ObjectsPart, told: Told) -> None:
        """Copy what is not there yet; what is there under a name must be the same.

        Raises:
            TamperedError: Something else lies under the name of an object.
        """
        source, target = old.store, self.store

        def carry(name: str) -> int:
            data = source.get(name)
            try:
                target.put(name, data)
            except ConflictError:
                if target.get(name) != data:
                    raise TamperedError(
                        "something else lies under the name of an object", rule="migrate.object"
                    ) from None
            return len(data)

        with ThreadPoolExecutor(TOGETHER) as pool:
            for names in some(source.names()):
                for size in pool.map(carry, names):
                    told(size)

    def digests(self) -> Iterator[tuple[str, bytes, bytes]]:
        """Yield name, SHA-256, and the root that it says of itself, of every object, in the order of names."""
        store = self.store

        def one(name: str) -> tuple[str, bytes, bytes]:
            data = store.get(name)
            return name, hashlib.sha256(data).digest(), data[-36:-4]

        with ThreadPoolExecutor(TOGETHER) as pool:
            for names in some(sorted(store.names())):
                yield from pool.map(one, names)

    def set_aside(self) -> None:
        """Put them where no keeper finds them; a bucket that no outside names is none already."""
        if self._url is None:
            put_away(self._home.objects, self._home.moved / self._home.objects.name)
            self._home.objects.mkdir(mode=0o700, exist_ok=True)

    def place(self) -> None:
        """Nothing: they were copied to where keepers look, which none did meanwhile."""

    def remove(self, *, moved: bool = False) -> None:
        """Remove them, or what was set aside of them."""
        if self._url is None and moved:
            shutil.rmtree(self._home.moved / self._home.objects.name, ignore_errors=True)
            return
        store = self.store
        with ThreadPoolExecutor(TOGETHER) as pool:
            for names in some(list(store.names())):
                list(pool.map(store.delete, names))


Part = ControlPart | JournalPart | ObjectsPart
KINDS: Final[dict[str, type[ControlPart | JournalPart | ObjectsPart]]] = {
    "journal": JournalPart,
    "control": ControlPart,
    "objects": ObjectsPart,
}


def part_of(name: str, home: Home, places: Places, *, coming: bool = False) -> Any:
    """Return one part of a home, by its name."""
    return KINDS[name](home, places, coming=coming)
