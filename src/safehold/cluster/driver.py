"""The driver: Ray, in a process of its own beside the keeper, with nothing in it that could open a letter.

It is told over standard input what to carry, and says over standard output what came back; see ``farm``. Whatever
comes out of a cluster is unpickled here, so the keeper never does. It is the only file that imports ``ray``.

What Ray would do by itself is off: it retries no task and restarts no actor, because an attempt is the keeper's to
count; it keeps no record of tasks; names and arguments are random ids, numbers and ciphertext. Token authentication
is on, the dashboard and usage statistics are off.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import ray

from safehold.cluster.carrier import Carrier
from safehold.cluster.line import Line, LineError

PLACE_S: Final = 120.0  # for Ray to place a carrier and for its opener to claim
WINDOW: Final = 4  # pieces that are on their way to the keeper at once


class _Carrier(Carrier):
    """A carrier that fetches ciphertext out of Ray's store."""

    def __init__(self, opener: str) -> None:
        super().__init__(opener, ray.get)

    def ready(self) -> None:
        """Return once this carrier is placed."""


@dataclass(slots=True, eq=False)
class _Attempt:
    run: str
    number: int
    parcel: list[Any] = field(default_factory=list)
    carrier: Any = None
    begun: bool = False
    ended: bool = False
    room: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(WINDOW))


class Driver:
    """Carries attempts.

    Args:
        line: To the keeper.
        opener: Path of the opener's socket on every worker.
        width: Carriers that work side by side.
    """

    def __init__(self, line: Line, *, opener: str, width: int) -> None:
        self._line, self._opener, self._width = line, opener, width
        self._free = threading.Semaphore(width)
        self._lock = threading.Lock()
        self._idle: list[Any] = []
        self._going: dict[tuple[str, int], _Attempt] = {}

    def fill(self) -> None:
        """Start every carrier now, without waiting for it, so that jobs that come together do not wait for their start.

        Only where no attempt was placed yet, and the cluster is nobody else's: it takes the place of each.
        """
        self._idle = [self._start() for _ in range(self._width)]

    def listen(self) -> None:
        """Do what the keeper says until it has gone."""
        with contextlib.suppress(LineError):
            while True:
                header, body = self._line.read()
                self._do(header, body)

    def _do(self, header: dict[str, Any], body: bytes) -> None:
        what, place = str(header.get("do")), (str(header.get("run")), int(header.get("attempt", 0)))
        with self._lock:
            attempt = self._going.get(place)
        if what == "piece":
            if attempt is None:
                attempt = _Attempt(*place)
                with self._lock:
                    self._going[place] = attempt
            attempt.parcel.append(ray.put(body))
        elif attempt is None:
            return  # it is over already
        elif what == "go":
            attempt.begun = True
            threading.Thread(target=self._carry, args=(attempt,), daemon=True).start()
        elif what == "next":
            attempt.room.release()
        else:
            if what == "end":
                attempt.ended = True
                attempt.room.release()
                if not attempt.begun:
                    with self._lock:
                        self._going.pop(place, None)
            if attempt.carrier is not None:
                attempt.carrier.tell.remote(*place, what, int(header.get("number", 0)), body)

    def _carry(self, attempt: _Attempt) -> None:
        about = {"run": attempt.run, "attempt": attempt.number}
        carrier = None
        try:
            with self._free:
                if not attempt.ended:
                    carrier = attempt.carrier = self._place()
                    self._line.write({"say": "placed", **about})
                    for said, body in self._stream(carrier, attempt):
                        self._line.write({"say": said, **about}, body)
                    self._give(carrier)
                    carrier = None
        except LineError:
            return  # the keeper has gone, and takes this process with it
        except Exception:  # noqa: BLE001, S110 - whatever Ray says may quote what it carried
            pass
        finally:
            with self._lock:
                self._going.pop((attempt.run, attempt.number), None)
            if carrier is not None:
                with contextlib.suppress(Exception):
                    ray.kill(carrier)
        with contextlib.suppress(LineError):
            self._line.write({"say": "over" if carrier is None else "lost", **about})

    def _stream(self, carrier: Any, attempt: _Attempt) -> Iterator[tuple[str, bytes]]:
        stream = carrier.work.options(num_returns="streaming", enable_task_events=False).remote(
            attempt.run, attempt.number, attempt.parcel
        )
        for reference in stream:
            said, body = ray.get(reference)
            del reference
            if said in {"piece", "last"} and not attempt.ended:
                attempt.room.acquire()
            yield str(said), bytes(body)

    def _place(self) -> Any:
        """Return a carrier that answers; those that died while nobody needed them cost no attempt."""
        while True:
            with self._lock:
                idle = self._idle.pop() if self._idle else None
            if idle is None:
                break
            with contextlib.suppress(Exception):
                ray.get(idle.ready.remote(), timeout=PLACE_S)
                return idle
        carrier = self._start()
        try:
            ray.get(carrier.ready.remote(), timeout=PLACE_S)
        except BaseException:
            ray.kill(carrier)  # it would hold the place of another
            raise
        return carrier

    def _start(self) -> Any:
        actor = ray.remote(_Carrier)
        return actor.options(
            num_cpus=1,
            max_restarts=0,
            max_task_retries=0,
            max_concurrency=4,
            enable_task_events=False,
            scheduling_strategy="SPREAD",
        ).remote(self._opener)

    def _give(self, carrier: Any) -> None:
        with self._lock:
            self._idle.append(carrier)


def begin(config: dict[str, Any]) -> None:
    """Join a cluster, or start one on this machine."""
    quiet: dict[str, Any] = {
        "log_to_driver": False,
        "configure_logging": False,
        "logging_level": "ERROR",
    }
    if config["address"]:
        ray.init(address=config["address"], **quiet)
    else:
        ray.init(
            num_cpus=config["width"],
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=config["memory"],
            _temp_dir=config["folder"],
            **quiet,
        )


def main() -> None:
    """Take the first message as what to be."""
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever Ray prints goes where its errors go
    line = Line(sys.stdin.buffer, sink)
    try:
        config, _ = line.read()
        begin(config)
        line.write({"say": "ready"})
        driver = Driver(line, opener=config["opener"], width=config["width"])
        if not config["address"]:
            driver.fill()
        driver.listen()
    except BaseException:  # noqa: BLE001 - the keeper sees that it ended; the words are Ray's
        os._exit(1)
    with contextlib.suppress(Exception):
        ray.shutdown()
    os._exit(0)


if __name__ == "__main__":
    main()
