"""What a move would do, and whether it may begin; nothing is changed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import sqlalchemy as sa

from safehold import ids
from safehold.app.control import engine_at
from safehold.app.journal import rows_at
from safehold.app.profile import PARTS, PROBE, Places, prove
from safehold.app.relocation.parts import part_of, require_vacant
from safehold.app.relocation.record import COPYING, Record
from safehold.db.rows import count_rows, sealed_erasures
from safehold.errors import ConflictError, InvalidError, MissingError, UnavailableError
from safehold.ledger.store_sqlite import JOURNAL
from safehold.settings import Home
from safehold.vault import Bucket
from safehold.vault import Place as BucketPlace
from safehold.vault.objects import new_name

_HEADROOM: Final = 1.25  # of the disk, for copies that lie in the home


def plan(home: Home, new: Places) -> dict[str, Any]:
    """Return what a move would copy, from where to where, and what was found there; nothing is changed.

    Raises:
        InvalidError: Nothing would move.
        ConflictError: Something of this home lies at a new place, or an old one was not removed yet.
        UnavailableError: A place does not answer, or would not keep its part.
    """
    record = Record.find(home)
    if record is not None:
        return {**_described(home, record), "under_way": record.step, "found": {}}
    record = Record(id="", old=Places.of(home), new=new, step=COPYING)
    return {**_described(home, record), "under_way": None, "found": admit(home, record)}


def admit(home: Home, record: Record) -> dict[str, Any]:
    """Pass if a move may begin; return what was found at the new places."""
    moving = record.parts
    if not moving:
        raise InvalidError("the home lies there already", rule="migrate.there")
    new = record.new.to_json()
    if home.left_file.exists() or home.moved.exists():
        raise ConflictError(
            "an earlier move has left its old places behind",
            rule="migrate.left",
            fix="safehold migrate --remove-old",
        )
    for part, file in (("control", home.control), ("journal", home.ledger / JOURNAL)):
        if part in moving and new[part] is None:
            require_vacant(file)
    found: dict[str, Any] = prove(
        Places(**{part: new[part] if part in moving else None for part in PARTS}),
        origin=home.origin,
    )
    if "objects" in moving and any(
        True for _ in part_of("objects", home, record.new).store.names()
    ):
        raise ConflictError(
            "objects of this home lie at the new place already",
            rule="migrate.objects",
            fix="name an empty place, or remove them",
        )
    require_two_buckets(record)
    coming = sum(size for name, size in _sizes(home, record).items() if new[name] is None)
    free = shutil.disk_usage(home.path).free
    if coming * _HEADROOM > free:
        raise UnavailableError(
            f"{coming >> 20} MiB are to come and {free >> 20} MiB are free",
            rule="migrate.room",
            fix="make room on the disk of the home",
        )
    return found


def require_two_buckets(record: Record) -> None:
    """Pass unless the objects go from one bucket to another and both names mean the same one.

    Whoever removes what was left behind would remove the living objects then.

    Raises:
        ConflictError: They do.
    """
    if record.old.objects is None or record.new.objects is None or "objects" not in record.parts:
        return
    # of a home that is never made, so that nobody takes it for an object of this one
    old, new = (
        Bucket(BucketPlace.parse(url), home=PROBE)
        for url in (record.old.objects, record.new.objects)
    )
    name = new_name()
    new.put(name, ids.random_bytes(64))
    try:
        old.get(name)
    except MissingError:
        return
    finally:
        new.delete(name)
    raise ConflictError(
        "both URLs name the same bucket", rule="migrate.same", fix="name another bucket or prefix"
    )


def require_quiet(home: Home) -> None:
    """Pass if no change of keys and no erasure broke off: a keeper finishes those where they began."""
    with _engine(home) as engine:
        erasures = sealed_erasures(engine)
    turns = any(home.turns.iterdir()) if home.turns.is_dir() else False
    if erasures or turns:
        raise ConflictError(
            "an erasure or a change of keys broke off",
            rule="migrate.unsettled",
            fix="start the keeper once: it finishes what was begun; then move",
        )


@contextmanager
def _engine(home: Home) -> Iterator[sa.Engine]:
    """Yield the control database of a home where it lies now."""
    engine = engine_at(home, Places.of(home).control)
    try:
        yield engine
    finally:
        engine.dispose()


def _described(home: Home, record: Record) -> dict[str, Any]:
    sizes = _sizes(home, record) if record.step == COPYING else {}
    copied = {}
    for name in record.parts:
        copied[name] = {
            "from": kind_of(name, record.old),
            "to": kind_of(name, record.new),
            **({"bytes": sizes[name]} if name in sizes else {}),
        }
    if record.step == COPYING:
        if "journal" in copied:
            copied["journal"]["rows"] = rows_at(
                home, record.old.journal, directory=home.ledger
            ).counts()
        if "control" in copied:
            with _engine(home) as engine:
                copied["control"]["rows"] = count_rows(engine)
        if "objects" in copied:
            copied["objects"]["objects"] = part_of("objects", home, record.old).count()[0]
    return {
        "home": home.id,
        "from": record.old.profile,
        "to": record.new.profile,
        "copied": copied,
        "bytes": sum(sizes.values()),
        "stays": "ledger files, charter, roster and root in the home; epoch secrets and witness outside it",
    }


def _sizes(home: Home, record: Record) -> dict[str, int]:
    found = {}
    for name in record.parts:
        part = part_of(name, home, record.old)
        if name == "journal":
            found[name] = part.rows.size()
        elif name == "control":
            found[name] = part.size()
        else:
            found[name] = part.count()[1]
    return found


def kind_of(name: str, places: Places) -> str:
    """Return what a part lies in, in words; no host and no user."""
    if places.to_json()[name] is None:
        return "the home"
    return "a bucket" if name == "objects" else "PostgreSQL"


def units(home: Home, record: Record) -> dict[str, int]:
    """Return how much each part is: rows of databases, bytes of objects."""
    found = {}
    for name in record.parts:
        part = part_of(name, home, record.old)
        if name == "journal":
            found[name] = sum(part.rows.counts().values())
        elif name == "control":
            with part.engine() as engine:
                found[name] = sum(count_rows(engine).values())
        else:
            found[name] = part.count()[1]
    return found
