"""Two keepers and two portals of one home as processes, HAProxy before them, and people and programs that go on through kills.

Everybody asks the balancer alone. What a program writes it writes under a key of its own, and when it hears nothing it
asks again under that key, as the API's page says.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import httpx
import pytest
from tests.command_line import CHARTERS, World, command
from tests.portal_load import Bearer, Yard, _hears
from tests.ports import free_port

from safehold.errors import UnavailableError
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey

ROOT = Path(__file__).resolve().parents[1]
CONFIGURATION = ROOT / "deploy" / "balancer" / "haproxy.cfg"
MISSING = "the balancer haproxy is not on this machine"
KEEPERS = ("keeper", "keeper-b")
PORTALS = ("portal", "portal-b")
PEOPLE = 6


@dataclass
class Fleet(Yard):
    """All of them; ``port`` is the balancer's."""

    ports: dict[str, int] = field(default_factory=dict)
    drain: float = 0.0
    programs: list[Bearer] = field(default_factory=list)

    def start(self, which: str) -> None:
        if which in KEEPERS:
            words: tuple[str, ...] = ("serve", "--drill", "off", "--no-sentinel")
            words += ("--name", "b") if which == "keeper-b" else ()
        elif which in PORTALS:
            words = ("portal", "serve", "--origin", self.url, "--bind", f"127.0.0.1:{self.ports[which]}",
                     "--state", str(self.world.root / which), "--keys", str(self.world.root / "keys"),
                     "--behind", "127.0.0.1", "--drain", str(self.drain))  # fmt: skip
        else:
            self._start_balancer()
            return
        with (self.world.root / f"{which}.log").open("ab") as log:
            self.running[which] = subprocess.Popen(
                command(words),
                env=self.world.environment,
                cwd=self.world.root,
                stdout=log,
                stderr=log,
            )
        for _ in range(1_200):
            assert self.running[which].poll() is None, self.log(which)
            if self._there(which):
                return
            time.sleep(0.05)
        raise AssertionError(f"the {which} does not start")

    def log(self, which: str) -> str:
        return (self.world.root / f"{which}.log").read_text()

    def ready(self, which: str) -> int:
        """Return what a portal says to a balancer; 0 if it says nothing."""
        try:
            return httpx.get(
                f"http://127.0.0.1:{self.ports[which]}/health/ready", timeout=6
            ).status_code
        except httpx.HTTPError:
            return 0

    def leader(self) -> str:
        """Return which keeper leads."""
        name = (self._outside() / "leader").read_text()
        return "keeper-b" if name == "keeper-b.sock" else "keeper"

    def line(self) -> KeeperClient:
        outside = self._outside()
        return KeeperClient(outside / "keeper.sock", outside / "keeper-b.sock")

    def direct(self, which: str) -> httpx.Client:
        """Return a client of one portal, as the balancer is."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.ports[which]}", timeout=30)

    def program(self, name: str, *, at: str = "") -> Bearer:
        # each from an address of its own: one address signs in so often a minute
        made = super().program(name, at=at or f"127.0.1.{len(self.programs) + 1}")
        self.programs.append(made)
        return made

    def _outside(self) -> Path:
        (outside,) = (self.world.root / "outside").glob("home_*")
        return outside

    def _there(self, which: str) -> bool:
        if which in PORTALS:
            return self.ready(which) == 200
        name = "keeper-b.sock" if which == "keeper-b" else "keeper.sock"
        return _hears(KeeperClient(self._outside() / name))

    def _start_balancer(self) -> None:
        program = shutil.which("haproxy")
        if program is None:
            pytest.skip(MISSING)
        where = {
            "SAFEHOLD_FRONT": f"127.0.0.1:{self.port}",
            "PORTAL_A": f"127.0.0.1:{self.ports['portal']}",
            "PORTAL_B": f"127.0.0.1:{self.ports['portal-b']}",
        }
        with (self.world.root / "balancer.log").open("ab") as log:
            self.running["balancer"] = subprocess.Popen(
                [program, "-db", "-f", str(CONFIGURATION)],
                env={**os.environ, **where},
                stdout=log,
                stderr=log,
            )
        for _ in range(400):
            with contextlib.suppress(httpx.HTTPError):
                if httpx.get(self.url + "/trust-in-pages", timeout=5).status_code == 200:
                    return
            time.sleep(0.05)
        raise AssertionError(self.log("balancer"))


@contextmanager
def fleet_at(
    root: Path, *, portals: tuple[str, ...] = PORTALS, drain: float = 0.0
) -> Iterator[Fleet]:
    """Yield everything, running, before a home with people who work there."""
    if shutil.which("haproxy") is None:
        pytest.skip(MISSING)
    world = World(root).init(CHARTERS / "demo.yaml")
    keys = {f"p{number:02}": SigningKey.generate() for number in range(PEOPLE)}
    fleet = Fleet(
        world, free_port(), keys, ports={name: free_port() for name in PORTALS}, drain=drain
    )
    try:
        for name in KEEPERS:
            fleet.start(name)
        line = fleet.line()
        for name, key in keys.items():
            names = [f"key:{key.public.text()}"]
            line.call("principal.enrol", principal=name, kind="human", role="engineer", names=names)
        for name in portals:
            fleet.start(name)
        fleet.start("balancer")
        yield fleet
    finally:
        for program in fleet.programs:
            program.http.close()
        for which in list(fleet.running):
            with contextlib.suppress(ProcessLookupError):
                os.kill(fleet.running[which].pid, signal.SIGCONT)
            fleet.kill(which)


@dataclass
class Heard:
    """What everybody heard.

    Args:
        acknowledged: Texts of writes that were answered with 201, and the answers.
        asked: Texts of all writes.
        reads: How many of each status; 0 where nothing came.
        signed_out: Reads and writes that were told to sign in again.
        longest_s: The longest that anybody waited for a read that came.
        slowest_s: The longest from the first time a write was sent to its acknowledgement.
        odd: Answers to writes that none of the words of the API explains.
    """

    acknowledged: dict[str, bytes] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    reads: Counter[int] = field(default_factory=Counter)
    signed_out: int = 0
    longest_s: float = 0.0
    slowest_s: float = 0.0
    odd: list[str] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)


class Crowd:
    """Readers in browsers and writers that are programs, until they are told to end.

    Args:
        fleet: Before whom.
        readers: How many read.
        writers: How many write.
        pause_s: Between two requests of one of them.
    """

    PATHS = ("/api/v1/me", "/api/v1/status", "/api/v1/board", "/api/v1/charter", "/trust-in-pages")

    def __init__(
        self, fleet: Fleet, *, readers: int = 3, writers: int = 3, pause_s: float = 0.15
    ) -> None:
        self.fleet, self.heard, self._pause_s = fleet, Heard(), pause_s
        names = list(fleet.keys)
        self._cookies = [fleet.cookie(names[at], at=f"127.0.2.{at + 1}") for at in range(readers)]
        self._programs = [fleet.program(names[-1 - at]) for at in range(writers)]
        self._end, self._lock = threading.Event(), threading.Lock()
        self._threads = [
            *(threading.Thread(target=self._read, args=(one,)) for one in self._cookies),
            *(
                threading.Thread(target=self._write, args=(at, one))
                for at, one in enumerate(self._programs)
            ),
        ]

    def __enter__(self) -> Self:
        for one in self._threads:
            one.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for one in self._threads:
            one.join(120)

    def _read(self, cookie: str) -> None:
        with httpx.Client(
            base_url=self.fleet.url, timeout=40, cookies={"safehold": cookie}
        ) as client:
            number = 0
            while not self._end.wait(self._pause_s):
                number += 1
                began = time.monotonic()
                try:
                    status = client.get(self.PATHS[number % len(self.PATHS)]).status_code
                except httpx.HTTPError:
                    status = 0
                with self._lock:
                    self.heard.reads[status] += 1
                    self.heard.signed_out += status == 401
                    if status == 200:
                        self.heard.longest_s = max(self.heard.longest_s, time.monotonic() - began)

    def _write(self, at: int, program: Bearer) -> None:
        number = 0
        while not self._end.wait(self._pause_s):
            number += 1
            text = f"written-{at}-{number:05}-{random.getrandbits(48):012x}"
            with self._lock:
                self.heard.asked.add(text)
            self._until_answered(program, text)

    def _until_answered(self, program: Bearer, text: str) -> None:
        """Send one write again and again under its key, until somebody says how it ended."""
        began = time.monotonic()
        while time.monotonic() < began + 90:
            try:
                answer = program.http.post(
                    "/api/v1/incidents",
                    json={"text": text, "severity": 4},
                    headers={"idempotency-key": text},
                )
            except httpx.HTTPError:
                time.sleep(0.2)
                continue
            rule = ""
            with contextlib.suppress(ValueError):
                rule = str(answer.json().get("rule", ""))
            if answer.status_code == 201:
                with self._lock:
                    self.heard.acknowledged[text] = answer.content
                    self.heard.slowest_s = max(self.heard.slowest_s, time.monotonic() - began)
                return
            if rule == "idempotency.unknown":
                with self._lock:
                    self.heard.unknown.add(text)
                return
            # a proof of the second in which a keeper took over, or one whose request was lost: the next has a new one
            again = answer.status_code in {502, 503, 504} or rule in {
                "idempotency.running", "api.proof.time", "api.proof.replay", "keeper.reachable", "keeper.relay",
            }  # fmt: skip
            if not again:
                with self._lock:
                    self.heard.odd.append(f"{answer.status_code} {rule}")
                    self.heard.signed_out += answer.status_code == 401
                return
            time.sleep(0.2)
        with self._lock:
            self.heard.odd.append("never answered")


def effects(fleet: Fleet) -> Counter[str]:
    """Return how often each text that was written is there, read from the keeper that leads now."""
    line, found = fleet.line(), Counter[str]()
    for one in line.call("incident.list")["incidents"]:
        said = line.call("ledger.show", index=one["incident"])  # its number is that of its leaf
        found[str(said["detail"]["text"])] += 1
    return found


def eventually(true, *, patience_s: float = 60) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(UnavailableError):
            if true():
                return
        assert time.monotonic() < deadline, "it never came to that"
        time.sleep(0.1)


__all__ = [
    "CONFIGURATION",
    "KEEPERS",
    "PORTALS",
    "Crowd",
    "Fleet",
    "Heard",
    "effects",
    "eventually",
    "fleet_at",
]
