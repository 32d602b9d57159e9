"""Where a home's sandboxes run: on this machine, or on workers of Ray that an operator enrolled.

One file in the outside says so. It names public keys and an address, and no secret. Without it, sandboxes run here.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import orjson

from safehold import canonical
from safehold.app.embedded import keeper_environment
from safehold.app.ray_workshop import RayWorkshop
from safehold.app.workshop import SandboxWorkshop
from safehold.canonical import b64
from safehold.cluster.farm import Cluster, Farm
from safehold.cluster.letter import Worker
from safehold.errors import ConflictError, InvalidError, MissingError, UnavailableError, revive
from safehold.keeper.ports import Workshop
from safehold.keeper.program import name_program
from safehold.ledger.files import replace_file
from safehold.sandbox.job import LEVELS
from safehold.sandbox.launch import Launcher
from safehold.settings import Home
from safehold.signing import SigningKey, VerifyKey

VERSION: Final = "safehold.workers/1"
SOCKET: Final = "/run/safehold/opener.sock"
MOST: Final = 1024  # workers side by side
HERE: Final = "local"  # name of the worker that a keeper starts itself
_LOCAL = re.compile(r"local:([1-9][0-9]{0,3})")
_ADDRESS = re.compile(r"(?!local:)[A-Za-z0-9.:\[\]-]{3,255}:[0-9]{1,5}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,62}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Where sandboxes run.

    Args:
        ray: ``local:N``, host:port of a cluster, or nothing.
        width: How many sandboxes run side by side on a cluster.
        socket: Path of the opener's socket on every worker of it.
        crew: Its enrolled workers, by name.
    """

    ray: str = ""
    width: int = 1
    socket: str = SOCKET
    crew: Mapping[str, Worker] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.ray and not (_LOCAL.fullmatch(self.ray) or _ADDRESS.fullmatch(self.ray)):
            raise InvalidError(
                "Ray is named as local:N, or as host:port of its head", rule="cluster.ray"
            )
        if not 1 <= self.width <= MOST:
            raise InvalidError(f"there are 1 to {MOST} workers", rule="cluster.width")

    @property
    def local(self) -> int:
        """How many workers a keeper starts itself; 0 if it does not."""
        found = _LOCAL.fullmatch(self.ray)
        return 0 if found is None else int(found[1])

    def to_json(self) -> dict[str, Any]:
        """Return it as the file holds it, and as it is shown."""
        return {
            "v": VERSION,
            "ray": self.ray,
            "width": self.width,
            "socket": self.socket,
            "workers": {
                name: {"key": one.key.text(), "level": one.level}
                for name, one in sorted(self.crew.items())
            },
        }


def read_workers(home: Home) -> Workers:
    """Return where a home's sandboxes run.

    Raises:
        InvalidError: The file is damaged; nothing is guessed.
    """
    try:
        told = canonical.decode(home.workers_file.read_bytes())
    except FileNotFoundError:
        return Workers()
    except OSError as error:
        raise _damaged() from error
    match told:
        case {
            "v": "safehold.workers/1",
            "ray": str(ray),
            "width": int(width),
            "socket": str(socket),
            "workers": dict(workers),
        }:
            pass
        case _:
            raise _damaged()
    crew: dict[str, Worker] = {}
    for name, one in workers.items():
        match one:
            case {"key": str(key), "level": str(level)} if level in LEVELS:
                crew[name] = Worker(key=VerifyKey.from_text(key), level=level)
            case _:
                raise _damaged()
    return Workers(ray=ray, width=width, socket=socket, crew=crew)


def choose_workers(
    home: Home, ray: str, *, width: int | None = None, socket: str | None = None
) -> Workers:
    """Say where a home's sandboxes run from the keeper's next start on; nothing means on this machine."""
    now = read_workers(home)
    return _write(
        home, replace(now, ray=ray, width=width or now.width, socket=socket or now.socket)
    )


def add_worker(home: Home, name: str, key: VerifyKey, *, level: str) -> Workers:
    """Enrol a worker: keys of this home's data may be released to its opener.

    Raises:
        ConflictError: A worker of this name is enrolled with another key.
        InvalidError: It is no name, or no level.
    """
    if not _NAME.fullmatch(name) or name == HERE:
        raise InvalidError(
            "a worker's name has small letters, digits, dots and dashes", rule="cluster.name"
        )
    if level not in LEVELS:
        raise InvalidError("no such assurance level", rule="cluster.level", fix=", ".join(LEVELS))
    now = read_workers(home)
    if name in now.crew and now.crew[name].key != key:
        raise ConflictError(
            "another key is enrolled under this name",
            rule="cluster.name",
            fix="safehold worker remove",
        )
    return _write(home, replace(now, crew={**now.crew, name: Worker(key=key, level=level)}))


def remove_worker(home: Home, name: str) -> Workers:
    """Take a worker's enrolment back: from now on no attempt is opened there.

    Raises:
        MissingError: There is none of this name.
    """
    now = read_workers(home)
    if name not in now.crew:
        raise MissingError("no such worker", rule="cluster.worker", fix="safehold worker list")
    return _write(home, replace(now, crew={k: one for k, one in now.crew.items() if k != name}))


def workshop_of(home: Home, keeper: Callable[[], SigningKey], *, ray: str = "") -> Workshop:
    """Return what starts a home's sandboxes.

    Args:
        home: The home.
        keeper: Returns the key that signs warrants.
        ray: Where they run, instead of what the home says.

    Raises:
        InvalidError: The home says something else than where they could run.
    """
    workers = read_workers(home)
    workers = replace(workers, ray=ray) if ray else workers
    launcher = Launcher()
    if not workers.ray:
        return SandboxWorkshop(launcher)
    key = keeper()
    if workers.local:
        here = OpenerHere(home.id, key.public)
        crew = {HERE: Worker(key=here.key.public, level=launcher.probe.level)}
        cluster = Cluster(address="", width=workers.local, opener=str(here.path), crew=crew)
    else:
        if not workers.crew:
            raise InvalidError(
                "no worker of this cluster is enrolled",
                rule="cluster.worker",
                fix="safehold worker add",
            )
        here = None
        cluster = Cluster(
            address=workers.ray, width=workers.width, opener=workers.socket, crew=workers.crew
        )
    farm = Farm(
        cluster,
        home=home.id,
        keeper=key,
        program=name_program(),
        hidden=(home.path, home.outside),
        enrolled=None if workers.local else lambda: read_workers(home).crew,
        ready=(lambda: None) if here is None else here.ready,
    )
    if here is None:
        return RayWorkshop(launcher, farm, lambda: None)
    here.on_end = lambda: farm.forget(HERE)
    return RayWorkshop(launcher, farm, here.close)


class OpenerHere:
    """The opener of this machine, as a child of the keeper: its identity lives as long as the keeper.

    Args:
        home: Of which home it takes work.
        keeper: Whose warrants it believes.
    """

    def __init__(self, home: str, keeper: VerifyKey) -> None:
        self._home, self._keeper = home, keeper
        self.key = SigningKey.generate()
        self._folder = Path(tempfile.mkdtemp(prefix="safehold-opener-"))
        self.path = self._folder / "s"
        self.on_end: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        process = self._process
        return None if process is None or process.poll() is not None else process.pid

    def ready(self) -> None:
        """Return once it listens; one that ended is started again.

        Raises:
            UnavailableError: It does not start.
        """
        with self._lock:
            if self.pid is not None:
                return
            process = self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "safehold.app.opener"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=keeper_environment() | {"PYTHONPATH": str(Path(__file__).parents[2])},
                start_new_session=True,
            )
            order = {
                "home": self._home,
                "name": HERE,
                "seed": b64(self.key.seed()),
                "keeper": self._keeper.text(),
                "path": str(self.path),
            }
            if process.stdin is None or process.stdout is None:
                raise UnavailableError("the opener has no pipes", rule="cluster.opener")
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(orjson.dumps(order) + b"\n")
                process.stdin.flush()
            answer: dict[str, Any] = orjson.loads(process.stdout.readline() or b"{}")
            if "error" in answer:
                raise revive(answer["error"])
            if "ready" not in answer:
                raise UnavailableError("the opener did not start", rule="cluster.opener")
            threading.Thread(target=self._await, args=(process,), daemon=True).start()

    def close(self) -> None:
        """End it, and with it every sandbox it started."""
        with self._lock:
            process = self._process
            if process is not None:
                with contextlib.suppress(OSError):
                    if process.stdin is not None:
                        process.stdin.close()  # its sign to finish
                try:
                    process.wait(30)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _await(self, process: subprocess.Popen[bytes]) -> None:
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with contextlib.suppress(OSError):
                if pipe is not None:
                    pipe.close()
        self.on_end()


def _write(home: Home, workers: Workers) -> Workers:
    replace_file(home.workers_file, canonical.encode(workers.to_json()))
    return workers


def _damaged() -> InvalidError:
    return InvalidError(
        "the outside's workers.json cannot be read",
        file="workers.json",
        rule="cluster.file",
        fix="safehold worker use; then enrol the workers again",
    )
