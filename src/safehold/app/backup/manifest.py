"""What a backup holds: every file with its size and SHA-256, written last."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from safehold import canonical
from safehold.errors import InvalidError, MissingError, TamperedError
from safehold.ledger.files import replace_file
from safehold.vault import durable

VERSION: Final = "safehold-backup/1"
MANIFEST: Final = "manifest.json"
OBJECTS: Final = "objects/"
_PIECE: Final = 1 << 20


def write(fresh: Path, *, home: str, at_us: int, profile: str, gone: int) -> dict[str, Any]:
    """List what lies in a backup, after all of it is durable; it is one from then on."""
    files = sorted(one for one in fresh.rglob("*") if one.is_file())
    listed = {str(one.relative_to(fresh)): [one.stat().st_size, sha256(one)] for one in files}
    settle(fresh)
    record = {
        "v": VERSION,
        "home": home,
        "at_us": at_us,
        "profile": profile,
        "files": listed,
        "gone": gone,
    }
    replace_file(fresh / MANIFEST, canonical.encode(record))
    durable.sync(fresh / MANIFEST)
    durable.sync(fresh)
    return record


def read(place: Path) -> dict[str, Any]:
    """Return the manifest of a backup.

    Raises:
        MissingError: There is none.
        TamperedError: It is damaged.
    """
    try:
        record = canonical.decode((place / MANIFEST).read_bytes())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingError(
            "this is no backup, or one that was not finished", rule="backup.manifest"
        ) from error
    except InvalidError as error:
        raise TamperedError("the manifest is damaged", rule="backup.manifest") from error
    match record:
        case {
            "v": "safehold-backup/1",
            "home": str(),
            "at_us": int(),
            "files": dict(files),
        } if all(_is_said(one) for one in files.values()):
            return dict(record)
        case _:
            raise TamperedError("the manifest is damaged", rule="backup.manifest")


def verify(place: Path, *, without: str | None = None) -> dict[str, Any]:
    """Check that a backup is whole: every file as it was copied, no other, and databases that hold together.

    Args:
        place: Its folder.
        without: Beginning of the names of files that are not there, because they are carried elsewhere.

    Raises:
        MissingError: It is no backup, or one that was not finished.
        TamperedError: A file is missing, changed or added.
    """
    record = read(place)
    files = {
        name: said
        for name, said in record["files"].items()
        if without is None or not name.startswith(without)
    }
    found = list(place.rglob("*"))
    if any(one.is_symlink() or not (one.is_file() or one.is_dir()) for one in found):
        raise TamperedError("a backup holds files and folders only", rule="backup.files")
    there = {str(one.relative_to(place)) for one in found if one.is_file()} - {MANIFEST}
    if there != set(files):
        raise TamperedError("files of this backup are missing or were added", rule="backup.files")
    for name, (size, digest) in files.items():
        file = place / name
        if file.is_symlink() or file.stat().st_size != size or sha256(file) != digest:
            raise changed(name)
    for name in files:
        if name.endswith(".db"):
            _require_sound(place / name, name)
    return {
        "home": record["home"],
        "at_us": record["at_us"],
        "profile": record.get("profile", "embedded"),
        "files": len(record["files"]),
        "bytes": sum(size for size, _ in record["files"].values()),
    }


def _is_said(one: Any) -> bool:
    match one:
        case [int() as size, str()]:
            return size >= 0
        case _:
            return False


def _require_sound(file: Path, name: str) -> None:
    # immutable: a look must leave no files beside it
    uri = f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as link:
            sound = link.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        raise TamperedError(f"{name} does not hold together", rule="backup.database")


def changed(name: str) -> TamperedError:
    """Return the error of a file that is not what was copied."""
    return TamperedError(f"a file of this backup was changed: {name}", rule="backup.file")


def settle(folder: Path) -> None:
    """Let everything under a folder be there after a power cut."""
    for one in folder.rglob("*"):
        durable.sync(one)
    durable.sync(folder)


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as data:
        while piece := data.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
