"""The opener: on a worker, the one process that may read what the keeper sent there.

It serves a Unix socket for carriers, which are Ray's. For one attempt, in this order; what fails ends it:
1. whatever is left of earlier attempts of the same run is ended, and their memory is gone;
2. it makes a key, and signs a claim with the identity that an operator enrolled;
3. it waits for the keeper's warrant, and opens it with that key;
4. it opens the parcel, piece by piece, into sealed memory, and starts the sandbox;
5. what the sandbox sends goes back sealed; the key is forgotten.

The keeper's word, said every few seconds, keeps an attempt alive: ``TETHER_S`` after it was said, or with the end of
the carrier, the sandbox ends, whatever Ray does meanwhile. A word says when it was said, as the time since the keeper
answered the claim, and here that time is counted from the claim, which came before: so a warrant or a word that Ray
holds back is as old as it is, and the keeper knows without asking when nothing can be left.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import struct
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from safehold.cluster.letter import Claim, keys_of, read_warrant
from safehold.cluster.line import Line, LineError
from safehold.cluster.parcel import FRAMES, Unpacker, end, tell
from safehold.cluster.seal import ASKED, BACK, IN, PIECE, Keys, TaskKey
from safehold.errors import SafeholdError, TamperedError, UnavailableError
from safehold.sandbox.frame import pack_frame
from safehold.sandbox.job import Job
from safehold.sandbox.launch import Launcher
from safehold.sandbox.running import Running
from safehold.signing import SigningKey, VerifyKey

_LOG = logging.getLogger(__name__)
TETHER_S: Final = 20.0  # without the keeper's word
GONE_S: Final = 15.0  # for what an earlier attempt left to be gone
MOST_ASKED: Final = 128  # pieces of a question that wait: the keeper asks one thing at a time
_TIME: Final = struct.Struct("ll")  # timeval: SO_RCVTIMEO of socket(7)
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: SO_PEERCRED of unix(7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an opener is.

    Args:
        home: Of which home it takes work.
        name: Of the worker.
        key: Signs its claims.
        keeper: Signs the warrants that it believes.
        program: Version and hash of the program it runs.
    """

    home: str
    name: str
    key: SigningKey = field(repr=False)
    keeper: VerifyKey
    program: str


class _Attempt:
    """One attempt, from its claim until nothing of it is left."""

    def __init__(self, run: str, number: int, line: Line, link: socket.socket) -> None:
        self.run, self.number, self.line, self.link = run, number, line, link
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._running: Running | None = None
        self._ended = False

    def attach(self, running: Running) -> None:
        with self._lock:
            self._running = running
            if self._ended:
                running.kill()

    def kill(self) -> None:
        """End the sandbox; what it ended with can still be said."""
        with self._lock:
            self._ended = True
            if self._running is not None:
                self._running.kill()

    def end(self) -> None:
        """End the sandbox, and hang up."""
        self.kill()
        with contextlib.suppress(OSError):
            self.link.shutdown(socket.SHUT_RDWR)

    def wait_at_most(self, seconds: float) -> None:
        """Let a read that takes longer end as if the carrier had gone; writes may take their time."""
        whole = max(1, int(seconds * 1_000_000))
        self.link.setsockopt(
            socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIME.pack(whole // 1_000_000, whole % 1_000_000)
        )


class _Tether:
    """How long an attempt may go on without the keeper's word.

    Args:
        keys: Of the attempt.
        since: When its claim was made, on the monotonic clock; the keeper has answered it later.
    """

    def __init__(self, keys: Keys, since: float) -> None:
        self._keys, self._since, self._heard = keys, since, 0
        self._deadline = since + TETHER_S

    def left_s(self) -> float:
        """Return the seconds that are left."""
        return self._deadline - time.monotonic()

    def hear(self, number: object, word: bytes) -> None:
        """Take a word: its number is how long after the keeper's answer it was said, milliseconds.

        One that a later one has overtaken, as Ray keeps no order, changes nothing.

        Raises:
            TamperedError: It is none.
        """
        if type(number) is not int:
            raise TamperedError("a word of an attempt does not hold", rule="cluster.word")
        self._keys.require_word(word, "going", number)
        if number > self._heard:
            self._heard, self._deadline = number, self._since + number / 1000 + TETHER_S


class Opener:
    """Runs the attempts of one worker.

    Args:
        identity: What it is.
        launcher: Starts sandboxes.
        path: Its Unix socket, in a folder that only its carriers reach.
        carriers: User ids that may speak to it, besides its own.
    """

    def __init__(
        self,
        identity: Identity,
        launcher: Launcher,
        path: Path,
        *,
        carriers: frozenset[int] = frozenset(),
    ) -> None:
        self._identity, self._launcher, self._path = identity, launcher, path
        self._allowed = carriers | {os.geteuid()}
        self._lock = threading.Lock()
        self._going: defaultdict[str, dict[int, _Attempt]] = defaultdict(dict)
        self._gone: defaultdict[str, set[int]] = defaultdict(set)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._listener.bind(str(path))
        path.chmod(0o600 if not carriers else 0o666)  # who may speak is asked of the kernel
        self._listener.listen(64)

    def serve(self) -> None:
        """Answer carriers until ``close``."""
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def close(self) -> None:
        """Take no more attempts, and end those that go on."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._path.unlink(missing_ok=True)
        with self._lock:
            going = [one for runs in self._going.values() for one in runs.values()]
        for one in going:
            one.end()
        for one in going:
            one.over.wait(GONE_S)

    def _answer(self, link: socket.socket) -> None:
        try:
            with link, link.makefile("rb") as source, link.makefile("wb") as sink:
                told = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
                if _CREDENTIALS.unpack(told)[1] not in self._allowed:
                    return
                line = Line(source, sink)
                header, _ = line.read()
                run, number = str(header["run"]), int(header["attempt"])
                with self._going_on(run, number, line, link) as attempt:
                    self._work(attempt)
        except (LineError, KeyError, TypeError, ValueError):
            return  # a carrier that went away, or is none: nothing was opened, or all of it is gone
        except SafeholdError as error:
            _LOG.warning("an attempt was refused: %s", error.rule)
        except OSError as error:
            _LOG.info("a line to a carrier broke: %s", error.strerror)

    @contextmanager
    def _going_on(
        self, run: str, number: int, line: Line, link: socket.socket
    ) -> Iterator[_Attempt]:
        """Keep an attempt on the list; older ones of its run end first, and none of them begins again."""
        attempt = _Attempt(run, number, line, link)
        with self._lock:
            older = list(self._going[run].values())
            if number in self._gone[run] or any(one.number >= number for one in older):
                raise TamperedError("an attempt is made once", rule="cluster.once")
            self._going[run][number] = attempt
        try:
            for one in older:
                one.end()
            for one in older:
                if not one.over.wait(GONE_S):
                    raise UnavailableError("an attempt does not end", rule="cluster.gone")
            yield attempt
        finally:
            with self._lock:
                self._going[run].pop(number, None)
                if not self._going[run]:
                    del self._going[run]
                self._gone[run].add(number)
                while len(self._gone) > 4096:  # of runs that are long over
                    self._gone.pop(next(iter(self._gone)))
            attempt.over.set()

    def _work(self, attempt: _Attempt) -> None:
        since = time.monotonic()
        keys = self._claim(attempt)
        tether = _Tether(keys, since)
        try:
            with Unpacker() as parcel:
                job = self._unpack(attempt, keys, tether, parcel)
                _Work(attempt, keys, tether, self._launcher).run(job)
        finally:  # the sandbox has ended and its inputs are closed
            with contextlib.suppress(LineError):
                attempt.line.write({"say": "gone"}, keys.word("gone"))

    def _claim(self, attempt: _Attempt) -> Keys:
        me, task, probe = self._identity, TaskKey(), self._launcher.probe
        with self._lock:
            gone = tuple(sorted(self._gone.get(attempt.run, ())))
        claim = Claim(
            home=me.home,
            run=attempt.run,
            attempt=attempt.number,
            worker=me.name,
            key=task.public,
            level=probe.level,
            kernel=probe.kernel,
            mechanisms=probe.mechanisms,
            program=me.program,
            gone=gone,
        ).sign(me.key)
        attempt.line.write({"say": "claim"}, claim)
        attempt.wait_at_most(TETHER_S)
        header, body = attempt.line.read()
        if header.get("do") != "warrant":
            raise LineError("no warrant")
        secret = read_warrant(body, claim, task, me.keeper)
        return keys_of(secret, home=me.home, run=attempt.run, attempt=attempt.number)

    def _unpack(self, attempt: _Attempt, keys: Keys, tether: _Tether, parcel: Unpacker) -> Job:
        number, last = 0, False
        while not last:
            attempt.wait_at_most(tether.left_s())
            header, body = attempt.line.read()
            match header.get("do"):
                case "piece":
                    if tether.left_s() <= 0:  # the keeper may hold it for gone
                        raise LineError("nobody holds it")
                    last = header.get("last") is True
                    parcel.add(keys.open(IN, number, body, last=last))
                    number += 1
                case "word":
                    tether.hear(header.get("number"), body)
                case _:
                    raise LineError("ended")
            if tether.left_s() <= 0:
                raise LineError("nobody holds it")
        return parcel.job()


class _Work:
    """One sandbox, held by the keeper's word."""

    def __init__(self, attempt: _Attempt, keys: Keys, tether: _Tether, launcher: Launcher) -> None:
        self._attempt, self._keys, self._tether, self._launcher = attempt, keys, tether, launcher
        self._count = 0
        self._asked = _Asked(keys)

    def run(self, job: Job) -> None:
        """Start the sandbox, send what it says, and return when nothing of it is left."""
        try:
            running = self._launcher.start(job)
        except SafeholdError as error:
            self._send(end(error), last=True)
            return
        attempt = self._attempt
        with running:
            attempt.attach(running)
            if job.talks:
                threading.Thread(target=self._asked.hand, args=(running,), daemon=True).start()
            listener = threading.Thread(target=self._hold, daemon=True)
            listener.start()
            confined = running.confined
            self._send(
                tell(
                    {
                        "level": confined.level,
                        "kernel": confined.kernel,
                        "mechanisms": confined.mechanisms,
                    }
                )
            )
            try:
                self._carry(running, whole=not job.talks)
            except SafeholdError as error:
                self._send(end(error), last=True)
            else:
                self._send(end(None), last=True)
            finally:
                running.kill()
                running.wait()
                self._asked.close()

    def _carry(self, running: Running, *, whole: bool) -> None:
        held = bytearray(FRAMES)
        for frame in running.frames():
            for part in pack_frame(frame.header, frame.body):
                view = memoryview(part)
                while view:
                    room = PIECE - len(held)
                    held += view[:room]
                    view = view[room:]
                    if len(held) == PIECE:
                        self._send(bytes(held))
                        held = bytearray(FRAMES)
            if not whole and len(held) > 1:  # somebody waits for it
                self._send(bytes(held))
                held = bytearray(FRAMES)
        if len(held) > 1:
            self._send(bytes(held))

    def _send(self, piece: bytes, *, last: bool = False) -> None:
        sealed = self._keys.seal(BACK, self._count, piece, last=last)
        self._count += 1
        self._attempt.line.write({"say": "piece", "last": last}, sealed)

    def _hold(self) -> None:
        """Read the keeper's words; without them the sandbox ends."""
        end = (
            self._attempt.end
        )  # whatever a carrier made of a message: then nobody listens any more
        try:
            if self._listen():
                end = self._attempt.kill
        except (LineError, SafeholdError, OSError):
            pass
        finally:
            end()

    def _listen(self) -> bool:
        """Return once its word has not come, or, with true, once it asks for the end."""
        attempt, tether = self._attempt, self._tether
        while (left := tether.left_s()) > 0:
            attempt.wait_at_most(left)
            header, body = attempt.line.read()
            match header.get("do"):
                case "end":
                    return True
                case "ask":
                    self._asked.take(header.get("number"), body)
                case _:
                    tether.hear(header.get("number"), body)
        return False


class _Asked:
    """What the keeper tells a sandbox while it runs, put in its order: Ray does not keep it."""

    def __init__(self, keys: Keys) -> None:
        self._keys, self._next = keys, 0
        self._early: dict[int, bytes] = {}
        self._due: queue.Queue[bytes | None] = queue.Queue()

    def take(self, number: object, sealed: bytes) -> None:
        """Take one piece.

        Raises:
            TamperedError: It is none of the keeper's, or too many wait.
        """
        if type(number) is not int or number < self._next or number in self._early:
            raise TamperedError("a piece of a question came twice", rule="cluster.piece")
        if number >= self._next + MOST_ASKED:  # and none is so far ahead that it is no nonce
            raise TamperedError("a piece of a question is far ahead", rule="cluster.piece")
        if len(self._early) + self._due.qsize() >= MOST_ASKED:
            raise TamperedError("too many pieces of a question wait", rule="cluster.piece")
        self._early[number] = self._keys.open(ASKED, number, sealed, last=False)
        while (piece := self._early.pop(self._next, None)) is not None:
            self._next += 1
            self._due.put(piece)

    def hand(self, running: Running) -> None:
        """Hand pieces to the sandbox until ``close``; keeper's words are read meanwhile."""
        while (piece := self._due.get()) is not None:
            running.tell(piece)

    def close(self) -> None:
        """Hand on nothing more."""
        self._due.put(None)
