"""What this machine can enforce, found out by doing it: start a sandbox and try to get out."""

from __future__ import annotations

import ctypes
import os
import tempfile
from functools import cache
from typing import Final

import orjson

from safehold.errors import SafeholdError
from safehold.sandbox import command, landlock
from safehold.sandbox.job import Job, Level, Limits, Probe
from safehold.sandbox.layout import find_layout
from safehold.sandbox.start import EVERYTHING, Plan, start_job
from safehold.sandbox.tables import TABLES

CHECK = "safehold.sandbox.check"
# Landlock alone must stop network connections as well, which it can since this version.
_LEAST_ABI_ALONE = 4
# a busy machine starts slowly; that must not look like one that isolates less
PATIENT: Final = Limits(wall=120.0, cpu=10)


# Least first; what a level lacks of everything there is.
_LACKING: tuple[tuple[Level, frozenset[str]], ...] = (
    ("E3", frozenset()),
    ("E2", frozenset({"landlock"})),
    ("E1", frozenset({"namespaces"})),
    ("E0", frozenset({"namespaces", "landlock"})),
    ("E0", frozenset({"namespaces", "seccomp"})),
    ("E0", frozenset({"namespaces", "landlock", "seccomp"})),
)


def probe() -> Probe:
    """Return what this machine enforces; tried once per process, about 0.2 s.

    E3 is namespaces, Landlock and seccomp; E2 namespaces and seccomp; E1 Landlock (ABI 4 or later)
    and seccomp; E0 is everything below, which may only ever see made-up data.
    """
    return find_mechanisms()[1]


@cache
def find_mechanisms() -> tuple[frozenset[str], Probe]:
    """Return the most that can be put around a job here, and what it amounts to."""
    for level, lacking in _LACKING:
        mechanisms = EVERYTHING - lacking
        if _can_try(level, mechanisms) and (found := try_level(level, mechanisms)) is not None:
            return mechanisms, found
    return frozenset(), Probe(level="E0", kernel=os.uname().release, mechanisms=())


def try_level(level: Level, mechanisms: frozenset[str]) -> Probe | None:
    """Start a sandbox that tries to get out; return None if it does not start or gets out.

    Args:
        level: What it would amount to if it holds.
        mechanisms: What to put around it.
    """
    plan = Plan(level=level, mechanisms=mechanisms, layout=find_layout())
    with tempfile.NamedTemporaryFile(prefix="safehold-canary-") as canary:
        # Readable for everybody, so that no file mode can be what keeps the job out.
        os.fchmod(canary.fileno(), 0o644)
        spec = orjson.dumps({"canary": canary.name})
        job = Job(recipe="check", spec=spec, limits=PATIENT, least="E0")
        try:
            with start_job(job, CHECK, plan) as running:
                found = [frame.header for frame in running.frames()]
                outcome = running.wait()
        except SafeholdError:
            return None
    if level != "E0" and found != [{"type": "checked", "open": []}]:
        return None
    return Probe(level=level, kernel=outcome.kernel, mechanisms=outcome.mechanisms)


def _can_try(level: Level, mechanisms: frozenset[str]) -> bool:
    """Ask the cheap questions first, so that a missing part does not cost a failed start."""
    if "seccomp" in mechanisms and os.uname().machine not in TABLES:
        return False
    if "landlock" in mechanisms:
        abi = landlock.find_abi(ctypes.CDLL(None, use_errno=True))
        if abi < (_LEAST_ABI_ALONE if level == "E1" else 1):
            return False
    return "namespaces" not in mechanisms or command.find_bwrap() is not None
