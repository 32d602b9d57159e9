"""Who spent processor time meanwhile: the keeper (this process), Ray with its driver, the opener with its sandboxes."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
from tests.clusters import family

Times = dict[str, float]


class Meter(threading.Thread):
    """Adds up the processor time of everything below this process, by what it is.

    A sandbox's time reaches nobody's children: what confines it does not wait for it. So all of them are looked at ten
    times a second; what a process used since the last look before its end is missed.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._parts: dict[tuple[int, float], tuple[str, float]] = {}
        self._over = threading.Event()
        self._own = 0.0
        self._lock = threading.Lock()

    def run(self) -> None:
        while not self._over.wait(0.1):
            self.look()
            self._own = time.thread_time()

    def look(self) -> None:
        for pid in family():
            try:
                one = psutil.Process(pid)
                told, born = one.cpu_times(), one.create_time()
                if (pid, born) in self._parts:
                    part = self._parts[pid, born][0]
                else:
                    line = " ".join(one.cmdline())
                    above = " ".join(" ".join(other.cmdline()) for other in one.parents())
                    part = "ray" if "cluster.driver" in line + above else "workers"
            except (psutil.Error, OSError):
                continue
            with self._lock:
                self._parts[pid, born] = part, told.user + told.system

    def taken(self) -> Times:
        self.look()
        spent = {"keeper": time.process_time() - self._own, "ray": 0.0, "workers": 0.0}
        with self._lock:
            for part, seconds in self._parts.values():
                spent[part] += seconds
        return spent

    def since(self, before: Times) -> Times:
        now = self.taken()
        return {name: now[name] - before[name] for name in now}

    def end(self) -> None:
        self._over.set()
        self.join()


def unused() -> float:
    """Return the seconds in which this machine's cores did nothing, or waited for a disk, since it began."""
    told = psutil.cpu_times()
    return float(told.idle + told.iowait)


@dataclass(frozen=True, slots=True)
class Spent:
    """What something took.

    Args:
        wall: Seconds on the clock.
        cpu: CPU-seconds, by part.
        idle: Seconds in which cores did nothing meanwhile, those of all cores added up.
    """

    wall: float
    cpu: Times
    idle: float

    @property
    def all(self) -> float:
        """Return the CPU-seconds of everything that was started."""
        return sum(self.cpu.values())

    def told(self) -> str:
        """Return who took how much, what was left for the workers, and who had the cores."""
        parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in self.cpu.items())
        there = self.wall * (os.cpu_count() or 1)
        return (
            f"CPU-seconds: {parts}; {self.cpu['workers'] / self.all:.0%} is left for the workers; of what the cores"
            f" could do {self.all / there:.0%} was this, {self.idle / there:.0%} nothing, the rest others"
            f" (load {os.getloadavg()[0]:.1f})"
        )


@contextmanager
def spending(meter: Meter) -> Iterator[list[Spent]]:
    """Yield a list to which is added what was spent meanwhile."""
    found: list[Spent] = []
    before, idle, begun = meter.taken(), unused(), time.perf_counter()
    yield found
    wall = time.perf_counter() - begun
    found.append(Spent(wall, meter.since(before), unused() - idle))
