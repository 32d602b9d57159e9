"""The journal of the portal itself: who asked for what kind of thing, when, how it was answered; no values, no bodies.

Holds: each line carries the hash of the one before it, so a line that is changed, left out or put in between shows; the
number of lines and the newest hash go into the ledger every hour, so whoever runs the portal cannot write it anew
later. Lines are on disk within ``FLUSH_S`` seconds of the answer.
Does not hold: what is cut off its end since the newest hash that the ledger has, shows nowhere; whoever controls the
portal's process can keep a line from being written in the first place. What matters is in the ledger, by the keeper.
"""

from __future__ import annotations

import hashlib
import os
import queue
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from safehold.clock import DAY_US, Clock, date_of
from safehold.errors import ConflictError, TamperedError
from safehold.locks import hold_file

FOLDER: Final = "journal"
START: Final = "0" * 64
FLUSH_S: Final = 0.2
MOST_WAITING: Final = 10_000
# what is the same for everybody, and says nothing about anybody
QUIET: Final = ("/static/", "/health/")


@dataclass(frozen=True, slots=True)
class Head:
    """How far a journal goes.

    Args:
        size: Lines.
        digest: Hash of the newest.
    """

    size: int
    digest: str


class Journal:
    """Appends lines to a file for each day.

    Args:
        folder: The portal's own.
        clock: Tells the time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder / FOLDER
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._lock = _take(self._folder)
        self._clock = clock
        self._head = read_head(self._folder)
        self._waiting: queue.Queue[dict[str, Any] | None] = queue.Queue(MOST_WAITING)
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    @property
    def head(self) -> Head:
        """How far it goes on disk."""
        return self._head

    def note(self, *, session: str, principal: str, method: str, route: str, status: int) -> None:
        """Append one request; waits only while very many are on their way to the disk.

        Args:
            session: Mark of the session, empty if there is none.
            principal: Who asked, empty if nobody was signed in.
            method: The HTTP method.
            route: The path with names in braces, never with what stood there.
            status: Of the answer.
        """
        self._waiting.put(
            {
                "t": self._clock.now_us() // 1000,
                "session": session,
                "who": principal,
                "method": method,
                "route": route,
                "status": status,
            }
        )

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._writer.join(30)
        os.close(self._lock)

    def _write(self) -> None:
        going = True
        while going:
            lines = [self._waiting.get()]
            with suppress(queue.Empty):
                while len(lines) < 1_000:
                    lines.append(self._waiting.get(timeout=FLUSH_S if len(lines) < 2 else 0.005))
            going = None not in lines
            self._append([one for one in lines if one is not None])

    def _append(self, lines: list[dict[str, Any]]) -> None:
        size, digest = self._head.size, self._head.digest
        by_day: dict[str, list[bytes]] = {}
        for line in lines:
            text = orjson.dumps({"n": size, "before": digest, **line})
            digest, size = hashlib.sha256(text).hexdigest(), size + 1
            by_day.setdefault(date_of(line["t"] * 1000 // DAY_US), []).append(text + b"\n")
        for name, texts in by_day.items():
            place = self._folder / f"{name}.jsonl"
            handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(b"".join(texts))
                file.flush()
                os.fsync(handle)
        self._head = Head(size, digest)


def _take(folder: Path) -> int:
    """Return what is held as long as this process writes here: two would tear the chain.

    Raises:
        ConflictError: Another process does.
        UnavailableError: The file system keeps no locks.
    """
    another = ConflictError(
        "another portal writes this journal",
        rule="portal.state",
        fix="--state FOLDER of its own for each portal",
    )
    return hold_file(folder / "writer", another)


def read_head(folder: Path) -> Head:
    """Return how far a journal goes; what a crash left of a last line is cut off.

    Raises:
        TamperedError: Its newest file does not hold.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        return Head(0, START)
    data = files[-1].read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with files[-1].open("r+b") as file:
            file.truncate(len(whole))
            os.fsync(file.fileno())
    if not whole:
        files[-1].unlink()
        return read_head(folder)
    last = whole.rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return Head(int(orjson.loads(last)["n"]) + 1, hashlib.sha256(last).hexdigest())
    except (ValueError, KeyError, TypeError) as error:
        raise _broken(files[-1], 0) from error


def read_lines(folder: Path, count: int) -> list[dict[str, Any]]:
    """Return the newest lines of the journal in a portal's folder, oldest first; nothing is checked."""
    lines: list[dict[str, Any]] = []
    for file in sorted((folder / FOLDER).glob("*.jsonl"), reverse=True):
        if len(lines) >= count:
            break
        newest = file.read_bytes().splitlines()[-(count - len(lines)) :]
        lines = [orjson.loads(line) for line in newest] + lines
    return lines


def verify_journal(folder: Path) -> Iterator[Head]:
    """Yield how far a journal goes after each of its lines, each of which was checked against the one before.

    Args:
        folder: The portal's own.

    Raises:
        TamperedError: A line was changed, left out or put in between.
    """
    before: Head | None = None
    for file in sorted((folder / FOLDER).glob("*.jsonl")):
        for number, line in enumerate(file.read_bytes().splitlines(), 1):
            try:
                said = orjson.loads(line)
                place, link = int(said["n"]), str(said["before"])
            except (ValueError, KeyError, TypeError) as error:
                raise _broken(file, number) from error
            # the first that is still there may follow on days that were deleted
            if (before is None and place == 0 and link != START) or (
                before is not None and (place, link) != (before.size, before.digest)
            ):
                raise _broken(file, number)
            before = Head(place + 1, hashlib.sha256(line).hexdigest())
            yield before


def _broken(file: Path, line: int) -> TamperedError:
    return TamperedError(
        f"the journal does not hold at line {line} of {file.name}", rule="portal.journal"
    )


class Journaled:
    """Note each request once its answer begins.

    Args:
        app: What answers.
        journal: Where it is noted.
    """

    def __init__(self, app: ASGIApp, *, journal: Journal) -> None:
        self._app = app
        self._journal = journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http" or str(scope["path"]).startswith(QUIET):
            await self._app(scope, receive, send)
            return

        async def speak(message: Message) -> None:
            if message["type"] == "http.response.start":
                session, principal = _who(scope)
                route = scope.get("route")
                self._journal.note(
                    session=session,
                    principal=principal,
                    method=str(scope["method"])[:16],
                    # nothing of an address that is no route of ours: it may say anything
                    route=getattr(route, "path", "(none)"),
                    status=int(message["status"]),
                )
            await send(message)

        await self._app(scope, receive, speak)


def _who(scope: Scope) -> tuple[str, str]:
    found = scope.get("safehold.visit")
    # what was looked up while it was answered, and nothing more: this is no place to fail
    visitor = getattr(found, "__dict__", {}).get("visitor")
    if visitor is None:
        return "", ""
    mark = hashlib.sha256(visitor.session.ticket.encode()).hexdigest()[:16]
    return mark, str(visitor.principal)
