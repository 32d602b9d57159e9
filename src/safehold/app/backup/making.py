"""Make a backup: copy a home that works, as one moment left it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from safehold.app.backup import manifest
from safehold.app.backup.moment import hold_moment
from safehold.app.control import require_settled
from safehold.app.objects import objects_at
from safehold.app.profile import Places
from safehold.app.relocation.parts import TOGETHER, some
from safehold.clock import SystemClock, moment_of
from safehold.errors import ConflictError, InvalidError, MissingError, UnavailableError
from safehold.ledger.store_sqlite import JOURNAL
from safehold.settings import Home
from safehold.vault import durable

_PASSING: Final = (
    ".lock",
    ".new",
    "-wal",
    "-shm",
)  # of a keeper that runs; nothing is in them that lasts


def create(home: Home, out: Path) -> dict[str, Any]:
    """Copy a home into a new folder under ``out``; a keeper may work meanwhile.

    Of a home on servers the databases and the bucket are read, nothing is changed there. What is being moved is not
    copied, and what a move left behind is no part of the home.

    Raises:
        InvalidError: The place is inside the home, or the outside is; or a part of the home is a link.
        UnavailableError: The home changes too fast for one moment of it to be taken, is being moved, or a server
            does not answer.
    """
    require_settled(home)
    if out.resolve().is_relative_to(home.path.resolve()):
        raise InvalidError(
            "a backup inside the home would copy itself",
            rule="backup.inside",
            fix="name a place outside",
        )
    if home.outside.resolve().is_relative_to(home.path.resolve()):
        raise InvalidError(
            "what must never be in a backup lies inside this home",
            rule="backup.outside",
            fix="stop the keeper, move the outside out of the home, and let SAFEHOLD_OUTSIDE say where to",
        )
    places = Places.of(home)
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
        gone = _copy_all(home, places, fresh)
        _require_unmoved(home, places)
        record = manifest.write(fresh, home=home.id, at_us=at_us, profile=places.profile, gone=gone)
        fresh.rename(place)
        durable.sync(out)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
    return {
        "backup": str(place),
        "profile": places.profile,
        "files": len(record["files"]),
        "bytes": sum(size for size, _ in record["files"].values()),
        "gone": gone,
    }


def _copy_all(home: Home, places: Places, fresh: Path) -> int:
    """Copy everything of a home; return how many files and objects went away meanwhile."""
    databases = {home.control, home.ledger / JOURNAL}
    # what is published comes first, head before tiles: so it is never ahead of the journal in the copy
    head = home.ledger / "checkpoint"
    published = [head, *_files(home.ledger / "tile", set())]
    gone = sum(not _copy(home.path, fresh, one) for one in published)
    (fresh / home.ledger.name).mkdir(mode=0o700, exist_ok=True)
    with hold_moment(home, places) as moment:
        moment.control.copy(fresh / home.control.name)
        moment.journal.copy(fresh / home.ledger.name / JOURNAL)
    beside = {home.ledger, home.moved, home.incoming}
    if places.objects is not None:
        beside.add(home.objects)
        gone += _carry_objects(home, places.objects, fresh / home.objects.name)
    rest = _files(home.path, {*databases, *published})
    gone += sum(not _copy(home.path, fresh, one) for one in rest if beside.isdisjoint(one.parents))
    return gone


def _carry_objects(home: Home, url: str, to: Path) -> int:
    """Copy the objects of a bucket into a folder; return how many went away meanwhile."""
    source = objects_at(home, url)
    to.mkdir(mode=0o700)

    def carry(name: str) -> int:
        try:
            data = source.get(name)
        except MissingError:
            return 1
        file = to / name
        file.parent.mkdir(mode=0o700, exist_ok=True)
        file.write_bytes(data)
        file.chmod(0o600)
        return 0

    with ThreadPoolExecutor(TOGETHER) as pool:
        return sum(sum(pool.map(carry, names)) for names in some(source.names()))


def _require_unmoved(home: Home, places: Places) -> None:
    """Pass if no move began while the home was copied: what was copied last may not belong to what came first."""
    require_settled(home)
    if Places.of(home) != places:
        raise UnavailableError(
            "this home was moved while it was copied", rule="migrate.unfinished", fix="copy again"
        )


def _files(root: Path, databases: set[Path]) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        for name in folders:
            _require_no_link(Path(folder, name))
        for name in sorted(names):
            file = Path(folder, name)
            if file not in databases and not name.endswith(_PASSING):
                _require_no_link(file)
                yield file


def _require_no_link(one: Path) -> None:
    # left out, the backup would lack it and say that it is whole; followed, it could hold anything
    if one.is_symlink():
        raise InvalidError(
            "a part of this home is a link, and links are not followed",
            file=one.name,
            rule="backup.link",
            fix="put it where the link is, for example by mounting its folder there",
        )


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
