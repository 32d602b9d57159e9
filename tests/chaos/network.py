"""Network namespaces of our own: each server lives behind a line that can be cut, made slow, or made to swallow answers.

Everything is made by ``Island`` and gone with it. Addresses are of 198.18.0.0/15, which nobody routes; a blackhole
beneath each line sees to it that nothing leaves this machine while a line is cut.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import pytest

SLOW = "64kbit"  # of a line that is made slow, where the kernel has no netem: it also drops what waits too long
MARK = "shd"
SPACES, LINKS = Path("/run/netns"), Path("/sys/class/net")
MOST = 8  # islands of one process that have a net of their own
_NUMBERS = cycle(range(MOST))


def require_islands() -> None:
    """Pass where namespaces can be made; elsewhere the test skips aloud, and fails under CI=true."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces cannot be made here: it takes root and iproute2")
    sweep()
    name = f"{MARK}{os.getpid()}t"
    made = _try("ip", "netns", "add", name)
    if made:
        _try("ip", "netns", "del", name)
    else:
        pytest.skip("network namespaces cannot be made here: this kernel refuses")


class Island:
    """One namespace, and the line to it.

    Args:
        name: A few letters; what it is for.
    """

    def __init__(self, name: str) -> None:
        self._net, self._near, self.host = _addresses(os.getpid(), next(_NUMBERS))
        self.name = f"{MARK}{os.getpid()}{name}"
        self._link = f"{MARK}{os.getpid()}{name[:1]}"
        self._cuts: list[Callable[[], None]] = []
        self._gone = False
        try:
            self._make()
        except BaseException:
            self.remove()
            raise

    def _make(self) -> None:
        _run("ip", "netns", "add", self.name)
        _run("ip", "link", "add", self._link, "type", "veth", "peer", "name", "up0", "netns", self.name)  # fmt: skip
        _run("ip", "addr", "add", f"{self._near}/30", "dev", self._link)
        _run("ip", "link", "set", self._link, "up")
        _run("ip", "route", "add", "blackhole", self._net, "metric", "9999")
        self._in("ip", "addr", "add", f"{self.host}/30", "dev", "up0")
        self._in("ip", "link", "set", "up0", "up")
        self._in("ip", "link", "set", "lo", "up")

    @property
    def inside(self) -> tuple[str, ...]:
        """What to put before a command to run it there."""
        return ("ip", "netns", "exec", self.name)

    def cut(self, how: str) -> None:
        """Do something to the line until ``heal``.

        Args:
            how: ``down``: nothing passes; ``swallow``: what is asked arrives, and no answer comes back; ``slow``.
        """
        if how == "down":
            self._in("ip", "link", "set", "up0", "down")
            self._cuts.append(lambda: self._in("ip", "link", "set", "up0", "up"))
        elif how == "swallow":
            self._in("ip", "route", "add", "blackhole", f"{self._near}/32")
            self._cuts.append(
                lambda: self._in("ip", "route", "del", "blackhole", f"{self._near}/32")
            )
        elif how == "slow":
            line = (*self.inside, "tc", "qdisc", "add", "dev", "up0", "root")
            if not _try(*line, "netem", "delay", "200ms", "50ms", "loss", "5%"):
                _run(*line, "tbf", "rate", SLOW, "burst", "16kb", "latency", "400ms")
            self._cuts.append(lambda: self._in("tc", "qdisc", "del", "dev", "up0", "root"))
        else:
            raise AssertionError(f"no such cut: {how}")

    def heal(self) -> None:
        while self._cuts:
            self._cuts.pop()()

    def remove(self) -> None:
        """End it; what still runs in it keeps a namespace without a name and without a line."""
        if self._gone:
            return
        self._gone = True
        _try("ip", "link", "del", self._link)
        _try("ip", "route", "del", "blackhole", self._net, "metric", "9999")
        _try("ip", "netns", "del", self.name)

    def _in(self, *words: str) -> None:
        _run(*self.inside, *words)


def left_over(pid: int | None = None) -> list[str]:
    """Return what a process has made and not removed, this one if none is named: namespaces, lines."""
    mark = re.compile(f"{MARK}{pid or os.getpid()}[a-z]+")
    return [str(one) for one in _made() if mark.fullmatch(one.name)]


def sweep() -> None:
    """Remove what processes that are gone have left."""
    for one in _made():
        found = re.fullmatch(f"{MARK}([0-9]+)[a-z]+", one.name)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            what = ("netns", "del") if one.parent == SPACES else ("link", "del")
            _try("ip", *what, one.name)
            for number in range(MOST):
                net = _addresses(int(found[1]), number)[0]
                _try("ip", "route", "del", "blackhole", net, "metric", "9999")


def _addresses(pid: int, number: int) -> tuple[str, str, str]:
    """Return a net of four addresses, and the two of them that are used."""
    base = 4 * ((pid * MOST + number) % (1 << 15))
    front, last = f"198.{18 + (base >> 16)}.{base >> 8 & 255}", base & 255
    return f"{front}.{last}/30", f"{front}.{last + 1}", f"{front}.{last + 2}"


def _made() -> list[Path]:
    return [one for folder in (SPACES, LINKS) if folder.is_dir() for one in folder.glob(f"{MARK}*")]


def _run(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, check=False, timeout=60)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr.decode()}"


def _try(*words: str) -> bool:
    return subprocess.run(words, capture_output=True, check=False, timeout=60).returncode == 0
