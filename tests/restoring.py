"""Homes on servers that are copied for a test, and a backup that is put back and killed at one step of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from tests.crashing import Job, Steps, main
from tests.key_crashing import OLD, cheap, open_bench
from tests.moving import go, note_places, places_beside
from tests.postgres import Server
from tests.seaweed import Weed
from tests.world import copy_home, outside

from safehold.app import backup
from safehold.app.objects import objects_at
from safehold.app.outside import put_url
from safehold.app.profile import Places
from safehold.app.relocation import remove_old
from safehold.db.place import schema_of
from safehold.ledger.store_postgres_place import schema_of as journal_schema_of
from safehold.settings import Home


@dataclass
class Company:
    """One home on servers.

    Args:
        path: Folder of its home and outside.
        postgres: The server.
        weed: The store.
        database: Where both databases lie.
        objects: Where its objects lie.
    """

    path: Path
    postgres: Server
    weed: Weed
    database: str
    objects: str

    @classmethod
    def move(cls, path: Path, postgres: Server, weed: Weed) -> Company:
        """Move a home that lies in files to servers."""
        made = cls(path, postgres, weed, postgres.new_database(), fresh_bucket(weed))
        go(path, made.places)
        with outside(path):
            remove_old(made.home)
        return made

    @property
    def places(self) -> Places:
        url = self.postgres.url(self.database)
        return Places(control=url, journal=url, objects=self.objects)

    @property
    def home(self) -> Home:
        with outside(self.path):
            return Home.open(self.path / "home")

    def copy(self, path: Path) -> Company:
        """Copy it while nobody uses it: files, the database by the server's own means, every object."""
        copy_home(self.path, path)
        name = self.postgres.new_database(self.database)
        made = Company(path, self.postgres, self.weed, name, fresh_bucket(self.weed))
        old, new = (objects_at(one.home, one.objects) for one in (self, made))
        for name in old.names():
            new.put(name, old.get(name))
        home, url = made.home, made.places.control
        for file, text in ((home.control_url_file, url), (home.ledger_url_file, url), (home.objects_url_file, made.objects)):  # fmt: skip
            put_url(file, text)
        return made

    def new_places(self) -> Places:
        """Return other servers, with nothing of the home."""
        url = self.postgres.url(self.postgres.new_database())
        return Places(control=url, journal=url, objects=fresh_bucket(self.weed))

    def save(self) -> Path:
        """Make a backup."""
        with outside(self.path):
            return Path(backup.create(self.home, self.path / "backups")["backup"])

    def lose(self) -> None:
        """Lose the home and its databases; the bucket stays."""
        home = self.home
        with self.postgres.admin(self.database) as base:
            for schema in (schema_of(home.origin), journal_schema_of(home.origin)):
                base.execute(f"DROP SCHEMA {schema} CASCADE".encode())
        shutil.rmtree(home.path)

    def put_back(self, place: Path, places: Places | None = None, **more: Any) -> dict[str, Any]:
        """Restore a backup to where the home was."""
        with outside(self.path):
            return backup.restore(place, self.path / "home", places, **more)

    def edit(self, query: str) -> None:
        """Change the control database behind the keeper's back."""
        with self.postgres.admin(self.database) as base:
            base.execute(f"SET search_path = {schema_of(self.home.origin)}".encode())
            base.execute(query.encode())

    def open(self) -> Any:
        """Start its keeper."""
        return open_bench(self.path, OLD)


def fresh_bucket(weed: Weed) -> str:
    return weed.url(weed.bucket(), weed.prefix())


def raise_at(step: str, error: BaseException) -> Callable[[str], None]:
    """Return what breaks a restore off at a step."""

    def reached(now: str) -> None:
        if now == step:
            raise error

    return reached


def note_restore(path: Path, place: Path, places: Places) -> None:
    """Write down beside a home what the worker is to put back, and where."""
    note_places(path, places)
    (path / "backup").write_text(str(place))


def work(job: Job) -> None:
    """Put a backup back, and die at a step; ``mode`` is ``steps`` or ``every``."""
    cheap()
    steps = Steps(die_at=job.die_at, fail_at=0)
    if job.mode == "every":
        for name in ("fsync", "replace", "unlink", "rename", "link", "rmdir"):
            steps.wrap(os, name)
        steps.names.clear()
    place = Path((job.path / "backup").read_text())
    with outside(job.path):
        backup.restore(place, job.path / "home", places_beside(job.path), reached=steps.step)
    out = os.open(job.acks, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(out, orjson.dumps({"steps": steps.names}) + b"\n")


if __name__ == "__main__":
    main(work)
