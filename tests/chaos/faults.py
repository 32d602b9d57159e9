"""Carry a plan out: kill, halt, cut, and bring back; note what was done, to what, and when."""

from __future__ import annotations

import heapq
import os
import random
import signal
import time
from collections.abc import Callable
from itertools import count

import psutil
from tests.chaos.parts import Program, halt, tree, wake
from tests.chaos.plan import Fault, Plan
from tests.chaos.record import Record, Struck
from tests.chaos.servers import Database
from tests.chaos.site import Site

FIND_S = 6.0  # for a sandbox to be there
LOOK_S = 0.25  # between two looks at whether everything runs
REST_S = 2.0  # before what ended by itself is started again, as the shipped units say
UNAVAILABLE = 6  # how a keeper ends that cannot start, since something that it needs is away
SENTINEL, SANDBOX = "safehold.app.sentinel", "safehold.sandbox"


class Havoc:
    """Carries out a plan, in the one thread that may start processes.

    Args:
        site: What it is done to.
        record: Where it is noted.
        plan: What, and when.
    """

    def __init__(self, site: Site, record: Record, plan: Plan) -> None:
        self._site, self._record, self._plan = site, record, plan
        self._dice = random.Random(plan.seed)
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._down: set[str] = set()  # what is down on purpose
        self._waiting: dict[str, float] = {}  # what ended by itself, and when it is started again

    def run(self) -> None:
        """Carry everything out; return when the time of the plan is over and everything is back."""
        self.began = began = time.monotonic()
        for fault in self._plan.faults:
            self._later(began + fault.at_s, lambda fault=fault: self._strike(fault))  # type: ignore[misc]
        self._later(began + self._plan.seconds, lambda: None)
        while self._due:
            at, _, act = heapq.heappop(self._due)
            while (left := at - time.monotonic()) > 0:
                self.supervise()
                time.sleep(min(left, LOOK_S))
            act()

    def supervise(self) -> None:
        """Start again what ended by itself, as a supervisor does; a way to end that is no word of its own is noted."""
        for name, program in self._site.programs.items():
            if program.alive or name in self._down:
                continue
            if name not in self._waiting:
                self._waiting[name] = time.monotonic() + REST_S
                code = program.process.returncode if program.process is not None else None
                self._record.refused("supervisor", f"{name} ended with {code}")
                if code != UNAVAILABLE:
                    last = program.log.read_text("utf-8", "replace")[-300:]
                    self._record.broke(f"{name} ended by itself with {code}: {last}")
            elif time.monotonic() > self._waiting[name]:
                del self._waiting[name]
                program.begin()

    def _later(self, at: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._due, (at, next(self._order), act))

    def _strike(self, fault: Fault) -> None:
        site, began = self._site, time.monotonic()
        part = fault.part
        if part in ("leader", "standby"):
            leader = site.leader()
            other = "keeper-a" if leader == "keeper-b" else "keeper-b"
            part = leader if part == "leader" else other
        if part in ("worker", "sentinel"):
            found = self._child(part)
            if found is None:
                return  # none ran: nothing was done, and nothing is noted
            began = time.monotonic()
            mend = self._child_struck(found, fault.what)
        elif part in site.programs:
            mend = self._program_struck(site.programs[part], fault.what)
        else:
            mend = self._server_struck(part, fault)

        def end() -> None:
            mend()
            self._record.strike(Struck(fault.name, part, began, time.monotonic()))

        self._later(began + fault.for_s, end)

    def _child(self, what: str) -> int | None:
        """Return a process that the leading keeper started, of the kind that is wanted."""
        deadline = time.monotonic() + FIND_S
        while time.monotonic() < deadline:
            program = self._site.programs[self._site.leader()]
            found = []
            for pid in program.family()[1:]:
                try:
                    said = " ".join(psutil.Process(pid).cmdline())
                except psutil.Error:
                    continue
                if (SENTINEL in said) == (what == "sentinel"):
                    found.append(pid)
            if found:
                return self._dice.choice(found)
            time.sleep(0.01)
        return None

    def _child_struck(self, pid: int, what: str) -> Callable[[], None]:
        if what == "halt":
            halt([pid])
            return lambda: wake([pid])
        for one in tree(pid) or [pid]:
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return lambda: None

    def _program_struck(self, program: Program, what: str) -> Callable[[], None]:
        if what == "halt":
            family = program.family()
            halt(family)
            return lambda: wake(family)
        self._down.add(program.name)
        if what == "end":
            program.stop()
        else:
            program.kill()

        def back() -> None:
            self._down.discard(program.name)
            program.begin()

        return back

    def _server_struck(self, part: str, fault: Fault) -> Callable[[], None]:
        server = self._site.servers()[part]
        if fault.what == "cut":
            island = self._site.islands[part]
            island.cut(fault.how)
            return island.heal
        if fault.what == "halt":
            family = server.family()
            halt(family)
            return lambda: wake([*family, *server.family()])
        if isinstance(server, Database):
            server.stop(signal.SIGKILL)
        else:
            server.stop()
        return server.start
