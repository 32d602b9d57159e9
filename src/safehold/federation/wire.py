"""The coordinator's wire: our interface over Flower's process. Only this and ``pipe`` know that it is Flower."""

from __future__ import annotations

import contextlib
import itertools
import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safehold.errors import TamperedError, UnavailableError
from safehold.federation.pipe import Line, flower
from safehold.keeper.agreement import Agreement


class FlowerWire:
    """Messages to nodes that proved who they are, and their answers.

    Args:
        line: Frames to and from the SuperLink.
        port: Where it listens.
    """

    def __init__(self, line: Line, port: int) -> None:
        self._line, self.port = line, port
        self._numbers = itertools.count(1)
        self._came: queue.Queue[tuple[dict[str, Any], bytes] | None] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def online(self) -> set[str]:
        """Return who is connected.

        Raises:
            UnavailableError: Flower's process has ended.
        """
        self._line.write({"who": True})
        while True:
            header, _ = self._next(30.0)
            if "online" in header:
                return set(header["online"])

    def ask(self, messages: Mapping[str, bytes], *, within_s: float) -> dict[str, bytes]:
        """Return the answers that came in time; one that comes later is dropped.

        Raises:
            UnavailableError: Flower's process has ended.
        """
        waiting: dict[str, str] = {}
        for name, data in messages.items():
            number = str(next(self._numbers))
            waiting[number] = name
            self._line.write({"id": number, "to": name}, data)
        answers: dict[str, bytes] = {}
        end = time.monotonic() + within_s
        while waiting and (left := end - time.monotonic()) > 0:
            try:
                header, body = self._next(left)
            except TimeoutError:
                break
            name = waiting.get(str(header.get("id")), "")
            if name and header.get("from") in {name, ""}:
                del waiting[str(header["id"])]
                if not header.get("failed"):
                    answers[name] = body
        return answers

    def await_online(self, names: set[str], *, within_s: float) -> None:
        """Return once all of these are connected, or the time is over."""
        end = time.monotonic() + within_s
        while not names <= self.online() and time.monotonic() < end:
            time.sleep(0.2)

    def _next(self, within_s: float) -> tuple[dict[str, Any], bytes]:
        try:
            got = self._came.get(timeout=within_s)
        except queue.Empty:
            raise TimeoutError from None
        if got is None:
            self._came.put(None)
            raise UnavailableError("Flower's process has ended", rule="federation.flower")
        return got

    def _listen(self) -> None:
        # a frame that is none ends the wire as a process that is gone does: never a silent thread
        with contextlib.suppress(UnavailableError, TamperedError, ValueError):
            while True:
                self._came.put(self._line.read())
        self._came.put(None)


@contextmanager
def flower_wire(
    agreement: Agreement, *, host: str, port: int, certificate: Path, key: Path
) -> Iterator[FlowerWire]:
    """Serve the nodes of an agreement over TLS; whoever it does not name cannot connect."""
    config = {
        "be": "link",
        "host": host,
        "port": port,
        "certificate": str(certificate.resolve()),
        "key": str(key.resolve()),
        "nodes": {name: silo.node for name, silo in agreement.silos.items()},
    }
    with flower(config) as (line, said):
        yield FlowerWire(line, said["ready"])
