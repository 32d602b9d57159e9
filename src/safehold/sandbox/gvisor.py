"""gVisor, which level E4 would put around a sandbox: whether it is here and runs.

No job is started in it yet, so no machine reaches E4 and a charter that demands it refuses real data: what ``runsc
do`` of the packaged versions passes on is its three standard descriptors, and our data and messages travel in others.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

PLACES: Final = (Path("/usr/bin/runsc"), Path("/usr/local/bin/runsc"))
_PATIENCE: Final = 60.0  # seconds


def find_gvisor(places: Sequence[Path] = PLACES) -> str:
    """Return what there is of gVisor, found out by running a program in it.

    Args:
        places: Where to look, in order.
    """
    for place in places:
        if not place.is_file():
            continue
        try:
            done = subprocess.run(
                [str(place), "--network=none", "do", "/bin/true"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={},
                timeout=_PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return "installed, does not run here"
        if done.returncode != 0:
            return "installed, does not run here"
        return "runs here; no job is put into it in this version, so E4 is not reached"
    return "not installed: E4 is not reached"
