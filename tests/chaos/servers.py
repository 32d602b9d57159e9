"""PostgreSQL, SeaweedFS and NATS behind lines of their own: TLS, client certificates, a namespace each."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import ssl
from collections.abc import Iterable
from pathlib import Path

import psutil
from tests.chaos.network import Island
from tests.chaos.papers import Authority
from tests.nats import Nats
from tests.postgres import Server, _account
from tests.seaweed import Weed

from safehold.ingest.network.queue import Place

ROLE = "safehold"


class Database(Server):
    """A PostgreSQL on an island; on this side only its superuser's Unix socket is seen.

    Args:
        programs: Folder of ``initdb`` and ``postgres``.
        island: Where it runs.
        papers: Who vouches for it.
    """

    def __init__(self, programs: Path, island: Island, papers: Authority) -> None:
        self._island, self._papers = island, papers
        self._ready = False
        super().__init__(programs)
        with self.admin() as base:
            base.execute(f"CREATE ROLE {ROLE} LOGIN".encode())

    def start(self) -> None:
        if not self._ready:
            self._ready = True
            self._as = [*self._island.inside, *self._as]
            self._settle()
        super().start()

    def _settle(self) -> None:
        paper, secret = self._papers.issue("database", address=self._island.host)
        for file, name in ((paper, "server.pem"), (secret, "server.key"), (self._papers.file, "ca.pem")):  # fmt: skip
            copy = Path(shutil.copy(file, self.data / name))
            copy.chmod(0o600)
            if os.geteuid() == 0:
                os.chown(copy, _account().pw_uid, _account().pw_gid)
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as settings:
            settings.write(
                f"listen_addresses = '{self._island.host}'\nssl = on\nssl_cert_file = 'server.pem'\n"
                "ssl_key_file = 'server.key'\nssl_ca_file = 'ca.pem'\nlog_statement = 'ddl'\n"
                # a session whose keeper's line was cut holds its locks until the server notices
                "tcp_keepalives_idle = 2\ntcp_keepalives_interval = 1\ntcp_keepalives_count = 3\n"
                "tcp_user_timeout = 5000\n"
            )
        hba = self.data / "pg_hba.conf"
        hba.write_text(f"local all all trust\nhostssl all {ROLE} 198.18.0.0/15 cert\n")

    def place(self, name: str) -> str:
        """Make a database that the keepers own, and return its URL across the line."""
        with self.admin() as base:
            base.execute(f"CREATE DATABASE {name} OWNER {ROLE}".encode())
        paper, secret = self._papers.issue(ROLE)
        port = "5432"
        return (
            f"postgresql://{ROLE}@{self._island.host}:{port}/{name}?sslmode=verify-full"
            f"&sslrootcert={self._papers.file}&sslcert={paper}&sslkey={secret}"
        )

    def family(self) -> list[int]:
        """Return its processes, the first one first."""
        return [] if self._process is None else _family(self._process.pid)


class Store(Weed):
    """A SeaweedFS on an island.

    Args:
        program: The ``weed`` program.
        island: Where it runs.
        papers: Who vouches for it.
    """

    def __init__(self, program: Path, island: Island, papers: Authority) -> None:
        paper, secret = papers.issue("store", address=island.host)
        self.host, self.inside = island.host, island.inside
        self.secured = (f"-s3.cert.file={paper}", f"-s3.key.file={secret}")
        self._trust = ssl.create_default_context(cafile=str(papers.file))
        super().__init__(program)

    def connect(self, host: str) -> http.client.HTTPConnection:
        return http.client.HTTPSConnection(host, timeout=30, context=self._trust)

    def family(self) -> list[int]:
        """Return its processes, the first one first."""
        return [] if self._process is None else _family(self._process.pid)


class Queue(Nats):
    """A NATS server on an island.

    Args:
        program: The ``nats-server`` program.
        island: Where it runs.
        papers: Who vouches for it, and for whoever speaks to it.
    """

    def __init__(self, program: str, island: Island, papers: Authority) -> None:
        self.host, self.inside = island.host, island.inside
        paper, secret = papers.issue("queue", address=island.host)
        self._papers = papers
        super().__init__(
            program,
            f'tls {{ cert_file: "{paper}", key_file: "{secret}", ca_file: "{papers.file}", verify: true }}',
        )

    def place_of(self, who: str) -> Place:
        """Return where it is, for a client with a certificate of its own."""
        paper, secret = self._papers.issue(who)
        return Place(
            url=f"tls://{self.host}:{self.port}",
            name="chaos",
            authority=self._papers.file,
            certificate=paper,
            key=secret,
        )

    def stop(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self.kill()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.path)

    def family(self) -> list[int]:
        """Return its processes, the first one first."""
        return [] if self._process is None else _family(self._process.pid)


def halt(pids: Iterable[int]) -> None:
    """Halt processes: their connections stay, and nothing answers."""
    _signal(pids, signal.SIGSTOP)


def wake(pids: Iterable[int]) -> None:
    _signal(pids, signal.SIGCONT)


def _signal(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def _family(pid: int) -> list[int]:
    try:
        top = psutil.Process(pid)
        return [pid, *(one.pid for one in top.children(recursive=True))]
    except psutil.NoSuchProcess:
        return []
