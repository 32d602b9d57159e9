"""A keeper and a portal as processes, people in front of them, and a steady load of requests.

The load is open: each request has its moment, whether or not those before it were answered, and what is measured runs
from that moment. So a portal that falls behind is seen to.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from tests.command_line import CHARTERS, World, command
from tests.ports import free_port

from safehold.access.identity.dpop import prove
from safehold.app.signing_in import answer_question
from safehold.canonical import b64, unb64
from safehold.errors import UnavailableError
from safehold.keeper.client import KeeperClient
from safehold.signing import SigningKey

PEOPLE = 9  # a portal lets one address sign in so often a minute


@dataclass
class Yard:
    """Both processes, and who is enrolled.

    Args:
        world: The home.
        port: Of the portal.
        keys: Of people, by principal.
    """

    world: World
    port: int
    keys: dict[str, SigningKey]
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self, which: str) -> None:
        words: tuple[str, ...] = ("serve", "--drill", "off")
        if which == "portal":
            words = ("portal", "serve", "--origin", self.url, "--bind", f"localhost:{self.port}",
                     "--state", str(self.world.root / "portal"))  # fmt: skip
        log = (self.world.root / f"{which}.log").open("ab")
        with log:
            self.running[which] = subprocess.Popen(
                command(words),
                env=self.world.environment,
                cwd=self.world.root,
                stdout=log,
                stderr=log,
            )
        for _ in range(1_200):
            assert self.running[which].poll() is None, (
                self.world.root / f"{which}.log"
            ).read_text()
            if _answers(self.port) if which == "portal" else _hears(self.line()):
                return
            time.sleep(0.05)
        raise AssertionError(f"the {which} does not start")

    def kill(self, which: str, sign: int = signal.SIGKILL) -> None:
        process = self.running.pop(which)
        process.send_signal(sign)
        process.wait(60)

    def line(self) -> KeeperClient:
        """Return a bare line to the keeper."""
        (outside,) = (self.world.root / "outside").glob("home_*")
        return KeeperClient(outside / "keeper.sock")

    def cpu(self) -> dict[str, float]:
        """Return the CPU-seconds of each process so far."""
        tick = os.sysconf("SC_CLK_TCK")
        found = {}
        for name, process in self.running.items():
            with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
                parts = file.read().rpartition(")")[2].split()
            found[name] = (int(parts[11]) + int(parts[12])) / tick
        return found

    def cookie(self, name: str, *, at: str = "") -> str:
        """Sign somebody in as a browser, and return its cookie; at an address of this machine of their own."""
        with httpx.Client(base_url=self.url, timeout=30, transport=_from(at)) as client:
            page = client.get("/sign-in/key").text
            code = re.search(r"[A-Za-z0-9+/=_-]{43,44}\.[A-Za-z0-9+/=_-]{43,44}", page)
            assert code is not None, page
            answer = answer_question(code[0], self.keys[name])
            client.post("/sign-in/key", data={"answer": answer})
            return client.cookies["safehold"]

    def program(self, name: str, *, at: str = "") -> Bearer:
        """Sign somebody in as a program."""
        return Bearer(self, self.keys[name], at=at)


class Bearer(httpx.Auth):
    """Somebody's program."""

    def __init__(self, yard: Yard, key: SigningKey, *, at: str = "") -> None:
        self.bound, self.token = SigningKey.generate(), None
        self.http = httpx.Client(base_url=yard.url, timeout=30, auth=self, transport=_from(at))
        asked = self.http.post("/api/v1/sessions/questions", json={}).json()
        proof = b64(key.sign(asked["domain"], unb64(asked["message"])))
        said = {
            "state": asked["state"],
            "method": "key",
            "identity": key.public.text(),
            "proof": proof,
        }
        self.token = self.http.post("/api/v1/sessions", json=said).json()["access_token"]

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:
        url = str(request.url.copy_with(query=None))
        request.headers["dpop"] = prove(
            self.bound, method=request.method, url=url, now_s=int(time.time()), token=self.token
        )
        if self.token is not None:
            request.headers["authorization"] = f"DPoP {self.token}"
        yield request


@contextmanager
def yard_at(root) -> Iterator[Yard]:
    """Yield a keeper and a portal that run, before a home with people who work there."""
    world = World(root).init(CHARTERS / "demo.yaml")
    keys = {f"p{number:02}": SigningKey.generate() for number in range(PEOPLE)}
    yard = Yard(world, free_port(), keys)
    try:
        yard.start("keeper")
        line = yard.line()
        for number, (name, key) in enumerate(keys.items()):
            role = ("engineer", "data_scientist", "auditor")[number % 3]
            names = [f"key:{key.public.text()}"]
            line.call("principal.enrol", principal=name, kind="human", role=role, names=names)
        yard.start("portal")
        yield yard
    finally:
        for which in list(yard.running):
            yard.kill(which)


@dataclass
class Told:
    """What came of a load.

    Args:
        late_ms: From the moment of each request to its answer, sorted.
        statuses: How many of each.
    """

    late_ms: list[float]
    statuses: Counter[int]

    def quantile(self, share: float) -> float:
        return self.late_ms[min(len(self.late_ms) - 1, int(share * len(self.late_ms)))]


def load(yard: Yard, requests: Sequence[tuple[str, str]], *, rate: float, seconds: float) -> Told:
    """Send requests, (path, cookie) in turn, so many a second, and return how they were answered."""
    return asyncio.run(_load(yard.port, requests, rate, seconds))


async def _load(
    port: int, requests: Sequence[tuple[str, str]], rate: float, seconds: float
) -> Told:
    late: list[float] = []
    statuses: Counter[int] = Counter()
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    began = time.monotonic()

    async def one(number: int) -> None:
        due = began + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        path, cookie = requests[number % len(requests)]
        head = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: safehold={cookie}\r\n\r\n"
        try:
            reader, writer = (
                idle.pop() if idle else await asyncio.open_connection("localhost", port)
            )
            writer.write(head.encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"content-length: (\d+)", answer)
            if length is not None:
                await reader.readexactly(int(length[1]))
                idle.append((reader, writer))
            else:
                writer.close()
            statuses[int(answer[9:12])] += 1
        except (OSError, asyncio.IncompleteReadError):
            statuses[0] += 1
        late.append((time.monotonic() - due) * 1_000)

    await asyncio.gather(*(one(number) for number in range(int(rate * seconds))))
    for _, writer in idle:
        writer.close()
    return Told(sorted(late), statuses)


def _from(address: str) -> httpx.HTTPTransport | None:
    return httpx.HTTPTransport(local_address=address) if address else None


def _answers(port: int) -> bool:
    with socket.socket() as link:
        return link.connect_ex(("127.0.0.1", port)) == 0


def _hears(line: KeeperClient) -> bool:
    try:
        line.call("hello")
    except UnavailableError:
        return False
    return True


__all__ = ["Told", "Yard", "load", "yard_at"]
