"""The carrier: Ray's part of an attempt. It carries letters between Ray and the opener of its worker.

It holds no key and reads nothing but sizes. It imports neither Ray nor anything that could open a letter, and it
raises one error only, whose text is a constant: what Ray writes of it into logs tells nothing.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from safehold.cluster.line import Line, LineError

PATIENCE_S: Final = 10.0  # for the opener to take a connection


class CarrierError(Exception):
    """The attempt could not be carried to its end; nothing else is said."""


class Carrier:
    """Carries one attempt after the other.

    Args:
        opener: The opener's Unix socket on this worker.
        fetch: Returns what a reference into the store of objects stands for.
    """

    def __init__(self, opener: str, fetch: Callable[[Any], Any]) -> None:
        self._opener, self._fetch = opener, fetch
        self._lock = threading.Lock()
        self._lines: dict[str, tuple[Line, socket.socket, threading.Event]] = {}

    def work(self, run: str, attempt: int, parcel: Sequence[Any]) -> Iterator[tuple[str, bytes]]:
        """Yield the claim, then sealed pieces, then the word that nothing is left.

        Raises:
            CarrierError: The opener went away.
        """
        place = f"{run}/{attempt}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
                link.settimeout(PATIENCE_S)
                link.connect(self._opener)
                link.settimeout(None)
                with link.makefile("rb") as source, link.makefile("wb") as sink:
                    yield from self._carry(place, Line(source, sink), link, parcel)
        except (OSError, LineError):
            raise CarrierError("an attempt was not carried to its end") from None
        finally:
            with self._lock:
                self._lines.pop(place, None)

    def _carry(
        self, place: str, line: Line, link: socket.socket, parcel: Sequence[Any]
    ) -> Iterator[tuple[str, bytes]]:
        run, _, attempt = place.rpartition("/")
        warranted = threading.Event()
        with self._lock:
            self._lines[place] = (line, link, warranted)
        line.write({"do": "begin", "run": run, "attempt": int(attempt)})
        header, claim = line.read()
        if header.get("say") != "claim":
            raise LineError("no claim")
        yield "claim", claim
        warranted.wait()
        for number, piece in enumerate(parcel):
            line.write({"do": "piece", "last": number == len(parcel) - 1}, self._fetch(piece))
        while True:
            header, body = line.read()
            said = str(header.get("say"))
            yield ("last" if header.get("last") else said), body
            if said == "gone":
                return

    def tell(self, run: str, attempt: int, what: str, number: int, body: bytes) -> None:
        """Hand a warrant, a word or an end on to the opener; after the end nothing is to be told."""
        with self._lock:
            found = self._lines.get(f"{run}/{attempt}")
        if found is None:
            return
        line, link, warranted = found
        with contextlib.suppress(LineError):
            line.write({"do": what, "number": number}, body)
        if what == "end":
            # an attempt that was never answered has nothing to say any more
            how = socket.SHUT_WR if warranted.is_set() else socket.SHUT_RDWR
            with contextlib.suppress(OSError):
                link.shutdown(how)
        warranted.set()
