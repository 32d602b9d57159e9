"""Which files a sandbox can see: what Python needs to run our code, read-only, and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import safehold

# The C library's list of libraries is the one file of /etc that some interpreters need.
_SYSTEM = (Path("/usr"), Path("/etc/ld.so.cache"))
# What the machine's processors can do: numeric libraries choose their code by these files alone.
_PROCESSORS = (Path("/proc/cpuinfo"), Path("/sys/devices/system/cpu"))
_TOP = tuple(Path("/") / name for name in ("bin", "lib", "lib32", "lib64", "libx32", "sbin"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the interpreter, its packages and our code lie.

    Args:
        interpreter: The executable itself, no link.
        imports: Import paths after the standard library.
        shown: Folders and files to show read-only; no links, none inside another.
        links: Links to make, from and to.
    """

    interpreter: Path
    imports: tuple[Path, ...]
    shown: tuple[Path, ...]
    links: tuple[tuple[Path, Path], ...]


def find_layout(*, extra: Iterable[Path] = ()) -> Layout:
    """Find the running interpreter's layout, however it was installed.

    A virtual environment is seen as what it is: the packages of a folder, run by the interpreter it
    was made from. So its own links and scripts are not needed inside. Every path is resolved first;
    a link is kept only where something outside our hands has it built in (the loader's path in
    ``/lib64``, an interpreter's own prefix in its library path).

    Args:
        extra: More import paths to show; for tests.
    """
    interpreter = Path(sys._base_executable).resolve()  # type: ignore[attr-defined]  # noqa: SLF001
    package = Path(safehold.__file__).resolve().parent
    packages = tuple(_package_folders())
    prefixes = (Path(sys.base_prefix), Path(sys.base_exec_prefix))
    extra = tuple(path.resolve() for path in extra)
    given = (*_SYSTEM, *_PROCESSORS, *_TOP, *prefixes, interpreter, package, *packages, *extra)
    present = tuple(path for path in given if path.exists())
    wanted = {path.resolve() for path in present}
    shown = tuple(
        sorted(path for path in wanted if not any(above in wanted for above in path.parents))
    )
    links = {
        (path, path.resolve())
        for path in present
        if path.resolve() != path and not any(folder in path.parents for folder in shown)
    }
    return Layout(
        interpreter=interpreter,
        imports=tuple(dict.fromkeys((package.parent, *extra, *packages))),
        shown=shown,
        links=tuple(sorted(links)),
    )


def _package_folders() -> Iterator[Path]:
    for entry in sys.path:
        path = Path(entry).resolve()
        if path.name in {"site-packages", "dist-packages"} and path.is_dir():
            yield path
