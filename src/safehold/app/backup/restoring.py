"""Put a backup where a home was: as files, or its databases and objects to servers.

The copy is made and checked beside the place, databases and objects are carried to the servers and compared, the
outside names where they lie, and the last step is one rename. While that goes on a file outside the home says so:
no keeper works on any copy of it, and the same call goes on with what broke off. What was there before is never
touched: a database that holds this home already is refused, an object that lies in the bucket already must be the same.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from safehold import db
from safehold.app.backup import manifest
from safehold.app.backup.record import Record
from safehold.app.control import postgres_of, require_unmoved
from safehold.app.objects import objects_at
from safehold.app.outside import put_url
from safehold.app.profile import Places, prove
from safehold.app.relocation.parts import TOGETHER, part_of, some
from safehold.db.place import schema_of
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper.server import require_silent
from safehold.settings import Home
from safehold.vault import durable

Reached = Callable[[str], None]
Said = dict[str, list[Any]]  # of every file its size and SHA-256
_DATABASES: Final = ("control", "journal")


def restore(
    place: Path,
    to: Path,
    places: Places | None = None,
    *,
    reached: Reached = lambda _step: None,
) -> dict[str, Any]:
    """Put a backup where a home was, after it was checked; the outside of that home must still be there.

    Args:
        place: The backup.
        to: Where the home was; nothing may be there.
        places: Where its parts shall lie; where the outside says by default.
        reached: Told each step; tests crash there.

    Raises:
        ConflictError: Something is there, or another restore or a keeper is at work.
        InvalidError: The place is inside the backup.
        TamperedError: The backup is not whole, another home stood there, or what was carried differs.
        UnavailableError: A server does not answer; the same call goes on.
    """
    to = to.resolve()  # the last step is a rename, which does not go through a link
    if to.is_relative_to(place.resolve()):
        raise InvalidError(
            "a home inside its own backup would copy itself",
            rule="backup.inside",
            fix="name a place outside",
        )
    told = manifest.verify(place)
    kept = Home.open(place)  # says so if nothing outside vouches for it
    with _alone(kept) as undo:
        record = Record.find(kept)
        target = places or (record.places if record else Places.of(kept))
        if record is not None and record.is_done(place, to, target):
            return _finish(kept, told, record)
        _require_room(to)
        require_unmoved(kept)
        fresh = to.with_name(f".{to.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)  # of one that broke off: nobody else restores now
        try:
            home, files = _copy(place, fresh, target)
            if record is not None or not target == Places.of(kept) == Places():
                wanted = Record(backup=Record.mark(place), to=to, places=target)
                record = _begin(kept, record, wanted, undo)
                reached("begun")
                _carry(home, place, files, target, reached)
            if record is not None:
                _name(home, target, reached)
            if to.exists():
                to.rmdir()
            manifest.settle(fresh)
            fresh.rename(to)
            durable.sync(to.parent)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        reached("placed")
        Home.open(to)  # says so if another home stood there
        return _finish(kept, told, record) if record else {**told, "profile": target.profile}


def take_back(place: Path) -> dict[str, Any]:
    """Give up a restore that broke off: what it carried to databases goes, and the outside says what it said before.

    Raises:
        MissingError: None is under way.
        ConflictError: The home is in its place already: the same restore finishes it.
    """
    manifest.read(place)
    home = Home.open(place)
    with _alone(home):
        record = Record.find(home)
        if record is None:
            raise MissingError("no restore is under way", rule="backup.none")
        if record.to.exists() and any(record.to.iterdir()):
            raise ConflictError(
                "the home is in its place already",
                rule="backup.placed",
                fix="finish it: the same safehold backup restore again",
            )
        stays = _undo(home, record)
        fresh = record.to.with_name(f".{record.to.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
    return {
        "home": home.id,
        "profile": record.old.profile,
        "taken_back": True,
        "not_removed": stays,
    }


def _finish(home: Home, told: dict[str, Any], record: Record) -> dict[str, Any]:
    record.forget(home)
    return {**told, "profile": record.places.profile, "not_seen": record.not_seen}


def _copy(place: Path, fresh: Path, target: Places) -> tuple[Home, Said]:
    """Copy a backup beside its place, but for objects that go to a bucket, and check what was copied.

    Returns:
        The home, and what the manifest that was checked says of every file.
    """
    away = manifest.OBJECTS if target.objects is not None else None

    def left_out(folder: str, _names: list[str]) -> list[str]:
        return [manifest.OBJECTS[:-1]] if away and Path(folder) == place else []

    fresh.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    fresh.mkdir(mode=0o700)
    shutil.copytree(
        place, fresh, symlinks=True, dirs_exist_ok=True, ignore=left_out, copy_function=_copy_file
    )
    fresh.chmod(0o700)
    # what was copied, not what lay there when it was first looked at
    said = manifest.verify(fresh, without=away)
    for one in fresh.rglob("*"):  # a backup may come from where everybody reads and nobody writes
        one.chmod(0o700 if one.is_dir() else 0o600)
    files = manifest.read(fresh)["files"]
    (fresh / manifest.MANIFEST).unlink()
    (fresh / manifest.OBJECTS).mkdir(mode=0o700, exist_ok=True)
    home = Home.open(fresh)
    if home.id != said["home"]:
        raise TamperedError("parts of this backup are another home's", rule="backup.home")
    return home, files


def _copy_file(source: str, target: str, *, follow_symlinks: bool = True) -> str:
    """Copy what a file holds, and not who may read it."""
    return str(shutil.copyfile(source, target, follow_symlinks=follow_symlinks))


def _begin(home: Home, found: Record | None, wanted: Record, undo: ExitStack) -> Record:
    """Write down what is begun, after all was asked that it needs; or go on with what broke off."""
    target = wanted.places
    if found is not None and found.places != target:  # it goes elsewhere now
        _undo(home, found)
        found = None
    if found is None:
        not_seen = _require_gone(home, target)
        prove(target, origin=home.origin)
        found = replace(wanted, old=Places.of(home), not_seen=not_seen)
    if target.control is not None:
        lead = postgres_of().SessionLead(target.control, schema=schema_of(home.origin))
        undo.callback(lead.close)
    record = replace(wanted, old=found.old, not_seen=found.not_seen)
    record.write(home)
    return record


def _undo(home: Home, record: Record) -> list[str]:
    """Remove what was carried to databases and name the old places again; return the parts that do not answer.

    Objects stay in the bucket: nobody knows which of them lay there before.
    """
    stays = []
    for name in _DATABASES:
        if record.places.to_json()[name] is not None:
            try:
                part_of(name, home, record.places).remove()
            except (
                UnavailableError
            ):  # a server that died must not keep a home from coming back elsewhere
                stays.append(name)
    _name(home, record.old, lambda _step: None)
    record.forget(home)
    return stays


def _require_gone(home: Home, target: Places) -> list[str]:
    """Pass if the places that the outside names, and that are left, hold nothing of the home any more.

    Returns:
        The parts whose server does not answer, so that nobody knows. The witnesses know the newest head.

    Raises:
        ConflictError: One holds it.
    """
    named, coming, not_seen = Places.of(home).to_json(), target.to_json(), []
    for name in _DATABASES:
        if named[name] in (None, coming[name]):
            continue
        try:
            prove(Places(**{name: named[name]}), origin=home.origin)
        except UnavailableError:
            not_seen.append(name)
        except ConflictError as error:
            raise ConflictError(
                "the home lies where its outside says",
                rule="backup.there",
                fix="move it with safehold migrate; or let whoever runs that database rename its schemas, "
                "if it is worth nothing any more",
            ) from error
    return not_seen


def _carry(home: Home, place: Path, files: Said, target: Places, reached: Reached) -> None:
    """Carry databases and objects from the checked copy to servers, and compare each with it."""
    for name in _DATABASES:
        if target.to_json()[name] is None:
            continue
        old, new = part_of(name, home, Places()), part_of(name, home, target)
        new.copy_from(old, lambda _count: None)
        reached(f"carried {name}")
        if old.digests() != new.digests():
            raise TamperedError(
                f"what was carried of the {name} differs from the backup", rule="backup.carried"
            )
        old.remove()
        reached(f"compared {name}")
    if target.objects is not None:
        _carry_objects(home, place, files, target.objects)
        reached("carried objects")


def _carry_objects(home: Home, place: Path, listed: Said, url: str) -> None:
    """Store the objects of a backup in a bucket, each after it was compared with the manifest, and read them again."""
    store = objects_at(home, url)
    files = {
        name.removeprefix(manifest.OBJECTS): said
        for name, said in listed.items()
        if name.startswith(manifest.OBJECTS)
    }

    def is_whole(name: str, data: bytes) -> bool:
        return [len(data), hashlib.sha256(data).hexdigest()] == list(files[name])

    def carry(name: str) -> None:
        data = (place / manifest.OBJECTS / name).read_bytes()
        if not is_whole(name, data):
            raise manifest.changed(manifest.OBJECTS + name)
        try:
            store.put(name, data)
        except ConflictError as error:
            raise TamperedError(
                "something else lies under the name of an object", rule="backup.carried"
            ) from error
        if not is_whole(name, store.get(name)):
            raise TamperedError("the store gives back another object", rule="backup.carried")

    with ThreadPoolExecutor(TOGETHER) as pool:
        for names in some(sorted(files)):
            list(pool.map(carry, names))


def _name(home: Home, target: Places, reached: Reached) -> None:
    """Let the outside name where the parts lie."""
    files = {
        "control": home.control_url_file,
        "journal": home.ledger_url_file,
        "objects": home.objects_url_file,
    }
    for name, url in target.to_json().items():
        put_url(files[name], url)
        reached(f"named {name}")


def _require_room(to: Path) -> None:
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise ConflictError("something is there", rule="backup.there", fix="name an empty place")


@contextmanager
def _alone(home: Home) -> Iterator[ExitStack]:
    with ExitStack() as undo:
        undo.callback(db.FileLead(home.lead_file).close)
        for door in home.sockets:  # one whose control database is a file leads without that lock
            require_silent(door)
        yield undo
