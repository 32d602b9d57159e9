"""Programs that run under another user id, to try what somebody else on this machine can.

The interpreter that runs the drill may lie where nobody else may go; then another one of the same version is used,
with the same packages. Without one that works, such an attempt could not be made.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final

import safehold
from safehold.errors import UnavailableError

NOBODY: Final = "nobody"
PATIENCE_S: Final = 600.0
_PROBE: Final = "import pyarrow, ahocorasick_rs, safehold.errors"


def somebody_else() -> pwd.struct_passwd:
    """Return an account that is neither ours nor root's.

    Raises:
        UnavailableError: There is none, or only root could become it.
    """
    if os.geteuid() != 0:
        raise UnavailableError("only root can try things as another user", rule="drill.unable")
    try:
        return pwd.getpwnam(NOBODY)
    except KeyError as error:
        raise UnavailableError("there is no account of nobody", rule="drill.unable") from error


@cache
def interpreter(uid: int) -> tuple[str, tuple[tuple[str, str], ...]]:
    """Return an interpreter that an account can run, and the environment it needs.

    Raises:
        UnavailableError: It can run none.
    """
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    packages = [str(Path(safehold.__file__).parents[1]), sysconfig.get_path("purelib")]
    ways: list[tuple[str, tuple[tuple[str, str], ...]]] = [
        (sys.executable, (("PYTHONPATH", packages[0]),)),
        *(
            (f"{place}/{version}", (("PYTHONPATH", ":".join(packages)),))
            for place in ("/usr/bin", "/usr/local/bin")
        ),
    ]
    for program, environment in ways:
        if Path(program).exists() and _works(program, environment, uid):
            return program, (*environment, ("PYTHONDONTWRITEBYTECODE", "1"))
    raise UnavailableError("another account can run no Python here", rule="drill.unable")


def _works(program: str, environment: tuple[tuple[str, str], ...], uid: int) -> bool:
    try:
        done = subprocess.run(
            [program, "-P", "-c", _PROBE],
            capture_output=True,
            check=False,
            timeout=PATIENCE_S,
            user=uid,
            group=uid,
            extra_groups=[],
            cwd="/",
            env=dict(environment),
        )
    except OSError:
        return False
    return done.returncode == 0


def run_as(
    who: pwd.struct_passwd, words: Sequence[str], environment: Mapping[str, str] | None = None
) -> bytes:
    """Run Python with some arguments as an account, and return what it printed.

    Raises:
        UnavailableError: It failed.
    """
    program, needed = interpreter(who.pw_uid)
    done = subprocess.run(
        [program, "-P", *words],
        capture_output=True,
        check=False,
        timeout=PATIENCE_S,
        user=who.pw_uid,
        group=who.pw_gid,
        extra_groups=[],
        cwd="/",
        env={**dict(needed), **(environment or {})},
    )
    if done.returncode != 0:
        raise UnavailableError("what was tried as another user failed", rule="drill.unable")
    return done.stdout


__all__ = ["interpreter", "run_as", "somebody_else"]
