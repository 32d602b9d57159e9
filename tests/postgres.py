"""A PostgreSQL server of our own: made for the tests, on a Unix socket, syncing as in earnest."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

USER = "postgres"  # its superuser; the account on this machine is another matter
_SETTINGS = {
    "listen_addresses": "",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


class Server:
    """One cluster in a temporary directory.

    Args:
        programs: Folder of ``initdb`` and ``postgres``.
        backup_of: Another server that runs; it begins as a base backup of that one, taken now.
    """

    def __init__(self, programs: Path, *, backup_of: Server | None = None) -> None:
        self.programs = programs
        self.path = Path(tempfile.mkdtemp(prefix="safehold-pg-"))
        self._as = ["setpriv", "--pdeathsig=QUIT"]  # it ends with the tests, however they end
        if os.geteuid() == 0:  # it refuses to run as root
            account = _account()
            os.chown(self.path, account.pw_uid, account.pw_gid)
            self._as += [
                f"--reuid={account.pw_uid}",
                f"--regid={account.pw_gid}",
                "--clear-groups",
            ]
        self._process: subprocess.Popen[bytes] | None = None
        if backup_of is not None:
            place = ("-h", str(backup_of.path), "-U", USER)
            self._run("pg_basebackup", "-D", str(self.data), *place, "-c", "fast", "-X", "stream")
        else:
            self._run("initdb", "-D", str(self.data), "-U", USER, "-A", "trust", "-E", "UTF8")
        with (self.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            for name, value in {**_SETTINGS, "unix_socket_directories": str(self.path)}.items():
                file.write(f"{name} = '{value}'\n")
        if backup_of is None:
            self.start()

    @property
    def data(self) -> Path:
        return self.path / "data"

    def start(self) -> None:
        """Start it and wait until it answers; recovery after a kill happens here."""
        command = [*self._as, str(self.programs / "postgres"), "-D", str(self.data)]
        with (self.path / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        for _ in range(3_600):
            try:
                self.admin().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.path / "log").read_text()
                threading.Event().wait(0.05)
            else:
                return
        raise AssertionError("PostgreSQL did not answer within three minutes")

    def stop(self, how: signal.Signals = signal.SIGQUIT) -> None:
        """End it: SIGQUIT without a last checkpoint, SIGKILL the postmaster and all it started."""
        process, self._process = self._process, None
        if process is None:
            return
        if how is signal.SIGKILL:
            family = _children(process.pid)
            os.kill(process.pid, signal.SIGSTOP)  # so that it starts nothing meanwhile
            family = [process.pid, *_children(process.pid), *family]
            for pid in family:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
        else:
            family = []
            process.send_signal(how)
        process.wait(120)
        for _ in range(12_000):  # until all are gone no other server may start here
            if not any(_runs(pid) for pid in family):
                return
            threading.Event().wait(0.01)
        raise AssertionError("PostgreSQL outlived its kill by two minutes")

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Halt it and all it started: connections stay, and nothing answers."""
        assert self._process is not None
        family = [self._process.pid]
        try:
            os.kill(self._process.pid, signal.SIGSTOP)
            for pid in _children(self._process.pid):
                os.kill(pid, signal.SIGSTOP)
                family.append(pid)
            yield
        finally:
            for pid in family:
                os.kill(pid, signal.SIGCONT)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.path)

    def database(self, name: str = "ledgers") -> str:
        """Return the URL of a database with no log in it and nobody connected, for the superuser."""
        with self.admin() as base:
            if base.execute("SELECT 1 FROM pg_database WHERE datname = %s", (name,)).rowcount == 0:
                base.execute(f"CREATE DATABASE {name}".encode())
            base.execute(
                "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s",
                (name,),
            )
        with self.admin(name) as base:
            for (schema,) in base.execute(
                "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'ledger%%'"
            ).fetchall():
                base.execute(f"DROP SCHEMA {schema} CASCADE".encode())
        return self.url(name)

    def new_database(self, template: str | None = None) -> str:
        """Make a database, or a copy of one that nobody is connected to, and return its name.

        It stays until the server goes: removing one makes the server sync everything.
        """
        name = f"t_{os.urandom(6).hex()}"
        like = f" TEMPLATE {template}" if template else ""
        if template:
            self.wait_until_left(template)
        with self.admin() as base:
            base.execute(f"CREATE DATABASE {name}{like}".encode())
        if template:
            # a copied sequence believes that its next values are in the log already, where they stand for
            # those of the template: after a crash it would give them out again
            with self.admin(name) as base:
                base.execute(
                    "SELECT setval(format('%I.%I', schemaname, sequencename), last_value)"
                    " FROM pg_sequences WHERE last_value IS NOT NULL"
                )
        return name

    def wait_until_left(self, name: str = "ledgers") -> None:
        """Wait until nobody is connected: a session outlives its client by a moment."""
        query = "SELECT 1 FROM pg_stat_activity WHERE datname = %s"
        with self.admin() as base:
            for _ in range(2_400):
                if base.execute(query, (name,)).rowcount == 0:
                    return
                threading.Event().wait(0.05)
        raise AssertionError("somebody is still connected after two minutes")

    def url(self, database: str, user: str = USER, **options: str) -> str:
        more = "".join(f"&{name}={value}" for name, value in options.items())
        return f"postgresql:///{database}?host={self.path}&user={user}{more}"

    def admin(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=60)

    @contextmanager
    def setting(self, name: str, value: str) -> Iterator[None]:
        """Run with another setting of the server; sessions that are open see it a moment later."""
        try:
            self._set(f"SET {name} = '{value}'", name, value)
            yield
        finally:
            self._set(f"RESET {name}", name, _SETTINGS.get(name, ""))

    def _set(self, how: str, name: str, value: str) -> None:
        with self.admin() as base:
            base.execute(f"ALTER SYSTEM {how}".encode())
            base.execute("SELECT pg_reload_conf()")
        for _ in range(1_200):
            with self.admin() as base:
                if base.execute("SELECT current_setting(%s)", (name,)).fetchone() == (value,):
                    return
            threading.Event().wait(0.05)
        raise AssertionError(f"{name} did not become {value!r}")

    def program(self, name: str, *arguments: str) -> None:
        """Run a client program such as ``pg_dump``, as whoever runs the tests."""
        subprocess.run([str(self.programs / name), *arguments], check=True, capture_output=True)

    def _run(self, name: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as, str(self.programs / name), *arguments],
            capture_output=True,
            check=False,
            cwd=self.path,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C", "TZ": "UTC"},
        )
        assert done.returncode == 0, done.stderr.decode()


class Line:
    """A line to the server that can be cut around the next commit.

    Args:
        target: Socket of the server.
        folder: Where its own socket lies.
    """

    def __init__(self, target: Path, folder: Path) -> None:
        self.path = folder
        self._target = target
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / ".s.PGSQL.5432"))
        self._door.listen()
        self.cut: str | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        far.connect(str(self._target))
        swallow = threading.Event()
        with near, far:
            back = threading.Thread(target=self._back, args=(far, near, swallow), daemon=True)
            back.start()
            while data := self._receive(near):
                if self.cut is not None and b'"seg":"eu/keys"' in data:  # the leaves of a commit
                    if self.cut == "before":
                        break
                    swallow.set()
                far.sendall(data)
            for one in (near, far):
                _shut(one)
            back.join()

    def _back(self, far: socket.socket, near: socket.socket, swallow: threading.Event) -> None:
        while data := self._receive(far):
            if swallow.is_set():
                while data and not data.endswith(b"Z\0\0\0\5I"):  # until it is ready for more
                    data = self._receive(far)
                break
            near.sendall(data)
        for one in (near, far):
            _shut(one)

    @staticmethod
    def _receive(end: socket.socket) -> bytes:
        try:
            return end.recv(1 << 20)
        except OSError:
            return b""


def _shut(end: socket.socket) -> None:
    try:
        end.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def find_server() -> Server:
    """Start a server; without the programs the test skips aloud, and fails under CI=true."""
    return Server(find_programs())


def find_programs() -> Path:
    """Return the folder of ``initdb`` and ``postgres``; without it the test skips aloud, and fails under CI=true."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "postgres").exists() and (folder / "initdb").exists():
            return folder
    pytest.skip("PostgreSQL is not installed: apt-get install postgresql")


def _account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")


def _runs(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("ascii", "replace")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text("ascii", "replace") if folder.name.isdigit() else ""
        except OSError:
            continue
        if stat and int(stat[stat.rindex(")") + 2 :].split()[1]) == parent:
            found.append(int(folder.name))
    return found
