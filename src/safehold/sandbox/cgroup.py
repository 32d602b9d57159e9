"""A control group per job, where this machine lets us make one: bounds for the job as a whole.

Source: the kernel's admin-guide/cgroup-v1 and cgroup-v2 documentation. Both versions are used as
they are mounted; none is mounted or delegated here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from safehold import ids

_ROOT = Path("/sys/fs/cgroup")
# Per controller and version: files to write, and which of the two bounds goes into each.
_FILES = {
    ("pids", 1): {"pids.max": "pids"},
    ("pids", 2): {"pids.max": "pids"},
    ("memory", 1): {"memory.limit_in_bytes": "memory"},
    ("memory", 2): {"memory.max": "memory"},
}
# Refusing swap and killing the job as one are better where they exist, and no bound by themselves.
_WISHES = {"memory.swap.max": "0", "memory.oom.group": "1", "memory.swappiness": "0"}


@dataclass(frozen=True, slots=True)
class Group:
    """The control groups of one job.

    Args:
        folders: One per mounted hierarchy.
        mechanisms: Names of the bounds that hold.
    """

    folders: tuple[Path, ...] = ()
    mechanisms: tuple[str, ...] = ()

    def kill(self) -> None:
        """Kill every process in it."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                for line in (folder / "cgroup.procs").read_text("ascii").split():
                    with contextlib.suppress(OSError):
                        os.kill(int(line), signal.SIGKILL)

    def remove(self, *, patience: float = 1.0) -> None:
        """Kill what is left and remove the groups; the kernel needs a moment to let go of them.

        Args:
            patience: Seconds to try.
        """
        end = time.monotonic() + patience
        for folder in self.folders:
            while folder.exists():
                try:
                    folder.rmdir()
                except OSError:
                    if time.monotonic() > end:
                        break
                    self.kill()
                    time.sleep(0.002)


def create_group(*, pids: int, memory: int) -> Group:
    """Make a group with these bounds, or with those of them this machine allows, or an empty one.

    Args:
        pids: Processes and threads.
        memory: Bytes of real memory.
    """
    bounds = {"pids": pids, "memory": memory}
    name = ids.opaque_id("safehold")
    folders: list[Path] = []
    held: list[str] = []
    for controllers, version, parent in _own_groups():
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        done = [each for each in controllers if _write(folder, _FILES[each, version], bounds)]
        if not done:
            with contextlib.suppress(OSError):
                folder.rmdir()
            continue
        for wish, value in _WISHES.items():
            if (folder / wish).exists():
                with contextlib.suppress(OSError):
                    (folder / wish).write_text(value, "ascii")
        folders.append(folder)
        held += [f"cgroup-{each}" for each in done]
    return Group(tuple(folders), tuple(held))


def _write(folder: Path, files: Mapping[str, str], bounds: Mapping[str, int]) -> bool:
    try:
        for name, bound in files.items():
            if not (folder / name).exists():
                return False
            (folder / name).write_text(str(bounds[bound]), "ascii")
    except OSError:
        return False
    return True


def _own_groups() -> Iterator[tuple[tuple[str, ...], int, Path]]:
    """Yield controllers, version and folder of the groups this process is in."""
    try:
        lines = Path("/proc/self/cgroup").read_text("ascii").splitlines()
    except OSError:
        return
    for line in lines:
        number, names, path = line.split(":", 2)
        controllers = tuple(each for each in names.split(",") if each in {"pids", "memory"})
        mounts = [_ROOT, _ROOT / "unified"] if number == "0" else [_ROOT / names]
        if number != "0" and not controllers:
            continue
        for mount in mounts:
            if not (mount / "cgroup.procs").exists():
                continue
            # In a container the path may name a group above what is mounted here.
            inside = mount / path.lstrip("/")
            folder = inside if inside.is_dir() else mount
            yield (controllers or ("pids", "memory")), (2 if number == "0" else 1), folder
