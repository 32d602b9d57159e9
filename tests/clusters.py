"""A cluster of Ray on this machine, one for a module of tests; nothing of it is left afterwards."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from safehold.app.ray_workshop import RayWorkshop
from safehold.app.workers import workshop_of
from safehold.settings import Home
from safehold.signing import SigningKey

RAYS = ("gcs_server", "raylet", "ray::", "safehold.cluster.driver", "safehold.app.opener")


def family(pid: int | None = None) -> dict[int, str]:
    """Return the processes below one, by what they run."""
    found: dict[int, str] = {}
    for one in psutil.Process(pid).children(recursive=True):
        try:
            found[one.pid] = " ".join(one.cmdline())
        except psutil.Error:
            continue
    return found


def rays() -> dict[int, str]:
    """Return this process's own descendants that belong to a cluster."""
    return {pid: line for pid, line in family().items() if any(one in line for one in RAYS)}


def find(what: str) -> list[int]:
    """Return the processes of this test's cluster that run something."""
    return [
        pid for pid, line in family().items() if what in line and "bwrap" not in line.split()[0]
    ]


def folder_of_ray() -> Path:
    """Return the folder of the cluster that this process has started last."""
    return max(Path("/tmp").glob("safehold-ray-*"), key=lambda one: one.stat().st_mtime)


def reach(what: Any, *, seconds: float = 60.0) -> Any:
    """Return what a function returns once that is something."""
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)
    return found


class Shared(RayWorkshop):
    """A workshop that outlives the keepers that use it."""

    def close(self) -> None:
        """Stay; ``end`` closes it."""

    def end(self) -> None:
        super().close()


@contextmanager
def cluster(path: Path, *, width: int = 2, memory: int = 200 << 20) -> Iterator[Shared]:
    """Yield a workshop whose sandboxes run on a cluster that it starts with its first job."""
    path.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("SAFEHOLD_OUTSIDE")
    os.environ["SAFEHOLD_OUTSIDE"] = str(path / "cluster-outside")
    try:
        home = Home.create(path / "cluster-home", synthetic=True)
    finally:
        if before is None:
            del os.environ["SAFEHOLD_OUTSIDE"]
        else:
            os.environ["SAFEHOLD_OUTSIDE"] = before
    folders: list[Path] = []  # of this process: clusters of others come and go on the same machine
    make = tempfile.mkdtemp

    def record(*words: Any, **more: Any) -> Any:
        folder = make(*words, **more)
        if Path(folder).name.startswith(("safehold-ray-", "safehold-opener-")):
            folders.append(Path(folder))
        return folder

    tempfile.mkdtemp = record
    key = SigningKey.generate()
    made = workshop_of(home, lambda: key, ray=f"local:{width}")
    assert isinstance(made, RayWorkshop)
    made.__class__ = Shared
    assert isinstance(made, Shared)
    made.farm.cluster = replace(made.farm.cluster, memory=memory)
    others = set(rays())
    try:
        yield made
    finally:
        made.end()
        reach(lambda: not set(rays()) - others, seconds=30.0)
        tempfile.mkdtemp = make
        left = [one for one in folders if one.exists()]
        assert not left, "a cluster left its folder"


def scan_memory(pid: int, wanted: dict[str, bytes]) -> set[str]:
    """Return which of some values stand in the memory of a process: all of it but the files it maps."""
    found: set[str] = set()
    longest = max(map(len, wanted.values()))
    maps = Path(f"/proc/{pid}/maps").read_text()
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in maps.splitlines():
            fields = line.split(maxsplit=5)
            name = fields[5] if len(fields) > 5 else ""
            if (
                "r" not in fields[1]
                or name.startswith("[v")
                or (name.startswith("/") and not name.startswith("/dev/shm"))
            ):
                continue
            start, end = (int(part, 16) for part in fields[0].split("-"))
            for at in range(start, end, 16 << 20):
                try:
                    memory.seek(at)
                    data = memory.read(min((16 << 20) + longest, end - at))
                except OSError:
                    break
                found |= {name for name, value in wanted.items() if value in data}
    return found


def scan_folder(folder: Path, wanted: dict[str, bytes]) -> tuple[set[str], int]:
    """Return which of some values stand in the files below a folder, and how many bytes there were."""
    found: set[str] = set()
    size = 0
    for file in folder.rglob("*"):
        if file.is_file() and not file.is_symlink():
            try:
                data = file.read_bytes()
            except OSError:
                continue
            size += len(data)
            found |= {name for name, value in wanted.items() if value in data}
    return found, size
