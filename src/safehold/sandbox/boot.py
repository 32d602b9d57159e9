"""The first thing that runs inside a sandbox: confine this process, then run one recipe.

Started by the launcher as ``python -I -S -c START <config descriptor> <import paths...>``. The
config is sealed memory: one line of JSON, then the recipe's spec. Nothing of a recipe is imported
before the confinement is complete and a ``started`` frame has said so.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import struct
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from safehold.errors import InvalidError, SafeholdError
from safehold.sandbox import landlock, seccomp
from safehold.sandbox.frame import Body, write_frame
from safehold.sandbox.tables import TABLES

START = (
    "import sys; sys.path += sys.argv[2:]; from safehold.sandbox import boot; "
    "boot.main(int(sys.argv[1]))"
)
OWN_FRAMES = frozenset({"started", "finished", "failed", "error"})

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CAPABILITY_VERSION_3 = 0x2008_0522

Emit = Callable[..., None]


def main(config_fd: int) -> None:
    """Confine this process, run the recipe and end; never returns."""
    status = 1
    try:
        config, spec = _read_config(config_fd)
        held = confine(config)
        egress = int(config["egress"])
        write_frame(egress, {"type": "started", "mechanisms": held})
        status = _run(config, spec, egress)
    finally:
        # No clean-up of threads and modules: the recipe is over and its memory goes with it.
        os._exit(status)


def confine(config: Mapping[str, Any]) -> list[str]:
    """Give up everything the config does not leave, in the one order that holds.

    Descriptors first, then limits, then no-new-privileges, which Landlock and seccomp need, then
    Landlock, which seccomp's list would otherwise have to leave open.

    Args:
        config: What the launcher wrote: ``mechanisms`` (names), ``keep`` (descriptors), ``limits``
            (RLIMIT name to value), ``rules`` (paths and Landlock access), ``abi``.

    Returns:
        The mechanisms now in force, sorted.

    Raises:
        OSError: One could not be applied; the process must not go on.
    """
    wanted = frozenset(config["mechanisms"])
    libc = ctypes.CDLL(None, use_errno=True)
    if "descriptors" in wanted:
        _close_others({0, 1, 2, *config["keep"]})
    if "parent" in wanted:
        _prctl(libc, _PR_SET_PDEATHSIG, signal.SIGKILL)
    if "rlimits" in wanted:
        for name, value in config["limits"].items():
            _lower(getattr(resource, name), value)
    if "non-dumpable" in wanted:
        _prctl(libc, _PR_SET_DUMPABLE, 0)
    if "capabilities" in wanted:
        _check(libc.capset(struct.pack("=Ii", _CAPABILITY_VERSION_3, 0), bytes(24)))
    if {"landlock", "seccomp"} & wanted:
        _prctl(libc, _PR_SET_NO_NEW_PRIVS, 1)
    if "landlock" in wanted:
        landlock.confine(libc, config["rules"], abi=config["abi"])
    if "seccomp" in wanted:
        seccomp.confine(libc, TABLES[os.uname().machine])
    return sorted(wanted)


def _run(config: Mapping[str, Any], spec: bytes, egress: int) -> int:
    lock = threading.Lock()

    def emit(header: Mapping[str, Any], body: Body | Any = b"") -> None:
        if header.get("type") in OWN_FRAMES:
            raise InvalidError("this frame type is the sandbox's own", rule="sandbox.frame.type")
        with lock:
            write_frame(egress, header, body)

    if threads := config.get("threads"):  # before anything loads NumPy
        os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
    try:
        recipe = importlib.import_module(config["module"])
        told = config.get("told")
        more = () if told is None else (told,)
        recipe.main(orjson.loads(spec), tuple(config["inputs"]), emit, *more)
    except SafeholdError as error:
        last, status = {"type": "error", **error.payload()}, 1
    except BaseException:  # noqa: BLE001 - a traceback could carry values, so nothing of it leaves
        last, status = {"type": "failed"}, 1
    else:
        last, status = {"type": "finished"}, 0
    with lock:
        write_frame(egress, last)
    return status


def _read_config(fd: int) -> tuple[dict[str, Any], bytes]:
    with open(fd, "rb") as file:
        data = file.read()
    sys.argv[1:] = []
    head, _, spec = data.partition(b"\n")
    return orjson.loads(head), spec


def _lower(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (value, value))


def _close_others(keep: set[int]) -> None:
    first = 0
    for fd in sorted(keep):
        if first < fd:  # an empty range from 0 would reach the system call as "everything"
            os.closerange(first, fd)
        first = fd + 1
    os.closerange(first, 1 << 20)


def _prctl(libc: ctypes.CDLL, option: int, value: int) -> None:
    zero = ctypes.c_ulong(0)
    _check(libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), zero, zero, zero))


def _check(result: int) -> None:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
