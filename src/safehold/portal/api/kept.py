"""What the portal remembers of requests, so that one that is sent again has one effect, also across a restart.

Holds (draft-ietf-httpapi-idempotency-key-header-07): under one key of one principal the same request gets the same
answer for a day; another request under it is refused; while the first is being carried out a second waits its turn.
What ended without anybody knowing how, because a process died, is told as that, and is not carried out again unless
the keeper itself knows a repetition. Answers rest sealed, and whose they are rests as a keyed hash.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safehold.clock import SECOND_US, Clock
from safehold.errors import ConflictError, InvalidError, UnavailableError
from safehold.ids import random_bytes
from safehold.portal.identity.cookie import Cookies
from safehold.portal.rate import TooManyError

LIFE_US: Final = 86_400 * SECOND_US
MOST_EACH: Final = 2_000  # of one principal; the oldest that is answered goes first
LARGEST: Final = 1 << 20  # bytes of an answer that is kept
LONGEST_KEY: Final = 255
_SCHEMA: Final = """
create table if not exists answers (
  key blob primary key, who blob not null, asked blob not null, at integer not null,
  state text not null, owner text not null, status integer not null default 0, answer blob
) without rowid;
create index if not exists answers_of on answers (who, at);
create index if not exists answers_at on answers (at);
"""
PENDING: Final = "pending"
DONE: Final = "done"
UNKNOWN: Final = "unknown"


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer.

    Args:
        status: Its status.
        body: Its bytes; empty if they were too many to keep.
    """

    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Ticket:
    """A request that is being carried out under a key.

    Args:
        key: Under which it is kept.
    """

    key: bytes


class Answers:
    """Answers by key, in one small file.

    Args:
        folder: Of the portal's own.
        cookies: Seals what rests.
        clock: Tells the time.
    """

    def __init__(self, folder: Path, cookies: Cookies, clock: Clock) -> None:
        self._cookies = cookies
        self._clock = clock
        self._folder = folder
        self._secret = _secret(folder / "answers-key")
        self._lock = threading.Lock()
        self._owner, self._alive = _own(folder)
        file = folder / "answers.db"
        file.touch(mode=0o600)
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.executescript("pragma journal_mode=wal; pragma synchronous=full;" + _SCHEMA)
        self._swept_us = 0

    def begin(self, who: str, key: str, asked: bytes, *, again: bool) -> Kept | Ticket:
        """Return the answer that there is under a key, or what stands for carrying the request out now.

        Args:
            who: The principal.
            key: The header ``Idempotency-Key``.
            asked: Digest of the request.
            again: Whether the keeper itself knows a repetition.

        Raises:
            InvalidError: Another request came under this key, or it is no key.
            ConflictError: The same one is being carried out, or nobody knows how it ended.
        """
        if not 0 < len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
            raise InvalidError("not a key of a request", rule="idempotency.key")
        place, now = self._hash(f"{who}\0{key}"), self._clock.now_us()
        with self._lock:
            self._sweep(now)
            row = self._db.execute(
                "select asked, state, owner, status, answer from answers where key = ? and at > ?",
                (place, now - LIFE_US),
            ).fetchone()
            if row is None:
                self._put(place, self._hash(who), asked, now)
                return Ticket(place)
            if not hmac.compare_digest(row[0], asked):
                raise InvalidError(
                    "another request came under this key",
                    rule="idempotency.reused",
                    fix="make a new key for each request",
                )
            if row[1] == DONE:
                return Kept(row[3], self._cookies.unwrap(row[4]) or b"")
            if row[1] == PENDING and self._lives(row[2]):
                raise ConflictError(
                    "this request is being carried out",
                    rule="idempotency.running",
                    fix="send it again in a moment",
                )
            if not again:
                raise ConflictError(
                    "this request came before, and how it ended is not known",
                    rule="idempotency.unknown",
                    fix="look what is there; if it was not carried out, send it under a new key",
                )
            self._put(place, self._hash(who), asked, now)
            return Ticket(place)

    def end(self, ticket: Ticket, answer: Kept) -> None:
        """Keep an answer."""
        body = answer.body if len(answer.body) <= LARGEST else b""
        with self._lock:
            self._db.execute(
                "update answers set state = ?, status = ?, answer = ? where key = ?",
                (DONE, answer.status, self._cookies.wrap(body), ticket.key),
            )

    def drop(self, ticket: Ticket) -> None:
        """Forget a request that was certainly not carried out."""
        with self._lock:
            self._db.execute("delete from answers where key = ?", (ticket.key,))

    def lose(self, ticket: Ticket) -> None:
        """Say of a request that nobody knows how it ended."""
        with self._lock:
            self._db.execute("update answers set state = ? where key = ?", (UNKNOWN, ticket.key))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()
            os.close(self._alive)

    def _put(self, place: bytes, who: bytes, asked: bytes, now: int) -> None:
        (held,) = self._db.execute(
            "select count(*) from answers where who = ? and key <> ?", (who, place)
        ).fetchone()
        if held >= MOST_EACH:
            gone = self._db.execute(
                "delete from answers where key in (select key from answers where who = ? and state = ? "
                "order by at limit 1)",
                (who, DONE),
            )
            if gone.rowcount < 1:
                raise TooManyError(
                    "too many requests are open", rule="idempotency.open", fix="wait a while"
                )
        self._db.execute(
            "insert or replace into answers (key, who, asked, at, state, owner) values (?,?,?,?,?,?)",
            (place, who, asked, now, PENDING, self._owner),
        )

    def _sweep(self, now: int) -> None:
        if now - self._swept_us > 60 * SECOND_US:
            self._swept_us = now
            self._db.execute("delete from answers where at <= ?", (now - LIFE_US,))

    def _hash(self, text: str) -> bytes:
        return hmac.digest(self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _lives(self, owner: str) -> bool:
        """Tell whether the process that carries something out is still there; its lock ends with it."""
        if owner == self._owner:
            return True
        return not _bury(self._folder / f"running-{owner}")


def _bury(file: Path) -> bool:
    """Take away what a process held that is no more; return whether it is no more."""
    try:
        handle = os.open(file, os.O_RDWR)
    except FileNotFoundError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        file.unlink(missing_ok=True)
        return True
    finally:
        os.close(handle)


def _own(folder: Path) -> tuple[str, int]:
    """Return the name of this process among those that carry requests out, and what it holds as long as it lives."""
    for left in folder.glob("running-*"):
        _bury(left)
    owner = random_bytes(8).hex()
    handle = os.open(folder / f"running-{owner}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise UnavailableError("the portal's folder takes no locks", rule="portal.state") from error
    return owner, handle


def _secret(file: Path) -> bytes:
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "wb") as new:
            new.write(random_bytes(32))
            new.flush()
            os.fsync(new.fileno())
    data = file.read_bytes()
    if len(data) != 32 or file.stat().st_mode & 0o077:
        raise InvalidError("not the portal's own key, or others may read it", rule="portal.keys")
    return data
