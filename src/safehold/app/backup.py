"""A copy of a home while it works: what may travel, as one moment left it, and nothing of what lies outside.

1. Both databases are copied as they stood at one moment: the control database did not change between the moment that
   is copied of it and that of the journal. So the copy is what a crash at that moment would have left, which the next
   keeper knows how to finish.
   What is published of the ledger is copied before, so that its head is never ahead of the journal.
2. Sealed objects never change; one that is gone when its turn comes was past its retention, and is counted.
3. Every file is in the manifest with its SHA-256; a copy that was not finished has no manifest.
4. Epoch secrets, the local witness and the trust policy are not in it, and must be in no backup: without them a copy
   opens nothing, and a keeper that would start on an older one is told by its witnesses that it is behind.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.clock import SystemClock, moment_of
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger.files import replace_file
from safehold.settings import Home

VERSION: Final = "safehold-backup/1"
MANIFEST: Final = "manifest.json"
TRIES: Final = 50
BETWEEN_S: Final = 0.05
_PASSING: Final = (
    ".lock",
    ".new",
    "-wal",
    "-shm",
)  # of a keeper that runs; nothing is in them that lasts
_PIECE: Final = 1 << 20


def create(home: Home, out: Path) -> dict[str, Any]:
    """Copy a home into a new folder under ``out``; a keeper may work meanwhile.

    Raises:
        InvalidError: A part of the home lies in a database or bucket, which has backups of its own.
        UnavailableError: The home changes too fast for one moment of it to be taken.
    """
    _require_files(home)
    if out.resolve().is_relative_to(home.path.resolve()):
        raise InvalidError(
            "a backup inside the home would copy itself",
            rule="backup.inside",
            fix="name a place outside",
        )
    at_us = SystemClock().now_us()
    name = "home-" + moment_of(at_us)[:19].replace("-", "").replace(":", "") + "Z"
    place, fresh = out / name, out / f".{name}.new"
    out.mkdir(parents=True, exist_ok=True, mode=0o700)
    if place.exists() or fresh.exists():
        raise ConflictError(
            "there is such a backup", rule="backup.exists", fix="try again in a second"
        )
    fresh.mkdir(mode=0o700)
    try:
        databases = [home.control, home.ledger / "journal.db"]
        for file in databases:
            (fresh / file.relative_to(home.path)).parent.mkdir(parents=True, exist_ok=True)
        # what is published comes first, head before tiles: so it is never ahead of the journal in the copy
        head = home.ledger / "checkpoint"
        published = [head, *_files(home.ledger / "tile", set())]
        gone = sum(not _copy(home.path, fresh, one) for one in published)
        with _one_moment(databases) as links:
            for file, link in zip(databases, links, strict=True):
                _copy_database(link, fresh / file.relative_to(home.path))
        rest = _files(home.path, {*databases, *published})
        gone += sum(
            not _copy(home.path, fresh, one) for one in rest if home.ledger not in one.parents
        )
        listed = {
            str(file.relative_to(fresh)): [file.stat().st_size, _sha256(file)]
            for file in sorted(fresh.rglob("*"))
            if file.is_file()
        }
        record = {"v": VERSION, "home": home.id, "at_us": at_us, "files": listed, "gone": gone}
        replace_file(fresh / MANIFEST, canonical.encode(record))
        fresh.rename(place)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return {
        "backup": str(place),
        "files": len(listed),
        "bytes": sum(size for size, _ in listed.values()),
        "gone": gone,
    }


def verify(place: Path) -> dict[str, Any]:
    """Check that a backup is whole: every file as it was copied, no other, and databases that hold together.

    Raises:
        MissingError: It is no backup, or one that was not finished.
        TamperedError: A file is missing, changed or added.
    """
    record = _manifest(place)
    found = list(place.rglob("*"))
    if any(one.is_symlink() or not (one.is_file() or one.is_dir()) for one in found):
        raise TamperedError("a backup holds files and folders only", rule="backup.files")
    there = {str(one.relative_to(place)) for one in found if one.is_file()} - {MANIFEST}
    if there != set(record["files"]):
        raise TamperedError("files of this backup are missing or were added", rule="backup.files")
    for name, (size, digest) in record["files"].items():
        file = place / name
        if file.is_symlink() or file.stat().st_size != size or _sha256(file) != digest:
            raise TamperedError(f"a file of this backup was changed: {name}", rule="backup.file")
    for name in record["files"]:
        if name.endswith(".db"):
            # immutable: a look must leave no files beside it
            with closing(
                sqlite3.connect(f"file:{place / name}?mode=ro&immutable=1", uri=True)
            ) as link:
                if link.execute("PRAGMA integrity_check").fetchone() != ("ok",):
                    raise TamperedError(f"{name} does not hold together", rule="backup.database")
    return {
        "home": record["home"],
        "at_us": record["at_us"],
        "files": len(record["files"]),
        "bytes": sum(size for size, _ in record["files"].values()),
    }


def restore(place: Path, to: Path) -> dict[str, Any]:
    """Put a backup where a home was, after it was checked; the outside of that home must still be there.

    Raises:
        ConflictError: Something is there.
        TamperedError: The backup is not whole, or another home stood there.
    """
    verify(place)
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConflictError("something is there", rule="backup.there", fix="name an empty place")
    fresh = to.with_name(f".{to.name}.new")
    if fresh.exists():
        raise ConflictError(
            "a restore goes on there, or broke off", rule="backup.there", fix=f"remove {fresh.name}"
        )
    try:
        fresh.mkdir(mode=0o700)
        shutil.copytree(place, fresh, symlinks=True, dirs_exist_ok=True)
        fresh.chmod(0o700)
        told = verify(fresh)  # what was copied, not what lay there when it was first looked at
        (fresh / MANIFEST).unlink()
        if to.exists():
            to.rmdir()
        fresh.rename(to)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    Home.open(to)  # says so if nothing outside vouches for it
    return told


def _require_files(home: Home) -> None:
    elsewhere = [
        what
        for what, file in (
            ("the control database", home.control_url_file),
            ("the journal", home.ledger_url_file),
            ("sealed objects", home.objects_url_file),
        )
        if file.exists()
    ]
    if elsewhere:
        raise InvalidError(
            f"of this home {' and '.join(elsewhere)} lie elsewhere",
            rule="backup.elsewhere",
            fix="back these up where they lie: both databases in one dump, then the bucket, then the home as files",
        )


@contextmanager
def _one_moment(files: list[Path]) -> Iterator[list[sqlite3.Connection]]:
    """Yield connections that each see their database as it stood when none of the first changed between."""
    for _ in range(TRIES):
        links = [
            sqlite3.connect(f"file:{one}?mode=ro", uri=True, isolation_level=None) for one in files
        ]
        with closing(sqlite3.connect(f"file:{files[0]}?mode=ro", uri=True)) as watch:
            try:
                before = watch.execute("PRAGMA data_version").fetchone()
                for link in links:
                    link.execute("BEGIN")
                    link.execute(
                        "SELECT count(*) FROM sqlite_master"
                    ).fetchone()  # takes the snapshot
                if watch.execute("PRAGMA data_version").fetchone() == before:
                    yield links
                    return
            finally:
                for link in links:
                    link.close()
        time.sleep(BETWEEN_S)
    raise UnavailableError(
        "the home changes too fast to be copied",
        rule="backup.busy",
        fix="try again when less goes on",
    )


def _copy_database(link: sqlite3.Connection, to: Path) -> None:
    with closing(sqlite3.connect(to)) as copy:
        link.backup(copy)
        copy.execute("PRAGMA journal_mode=DELETE")
    to.chmod(0o600)


def _files(root: Path, databases: set[Path]) -> Iterator[Path]:
    for folder, _, names in os.walk(root):  # it follows no links
        for name in sorted(names):
            file = Path(folder, name)
            if file not in databases and not name.endswith(_PASSING) and not file.is_symlink():
                yield file


def _copy(root: Path, to: Path, file: Path) -> bool:
    """Copy one file; False if it went away meanwhile."""
    place = to / file.relative_to(root)
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        shutil.copyfile(file, place)
    except FileNotFoundError:
        return False
    place.chmod(0o600)
    return True


def _manifest(place: Path) -> dict[str, Any]:
    try:
        record = canonical.decode((place / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(
            "this is no backup, or one that was not finished", rule="backup.manifest"
        ) from error
    except InvalidError as error:
        raise TamperedError("the manifest is damaged", rule="backup.manifest") from error
    match record:
        case {"v": "safehold-backup/1", "home": str(), "at_us": int(), "files": dict()}:
            return dict(record)
        case _:
            raise TamperedError("the manifest is damaged", rule="backup.manifest")


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while piece := data.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


__all__ = ["create", "restore", "verify"]
