"""Start one confined interpreter with a given set of mechanisms."""

from __future__ import annotations

import ctypes
import fcntl
import os
import stat
import subprocess
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import orjson

from safehold.errors import InvalidError, UnavailableError
from safehold.sandbox import command, landlock
from safehold.sandbox.bwrap import choose_wrapper
from safehold.sandbox.cgroup import Group, create_group
from safehold.sandbox.job import Job, Level, Limits, Probe
from safehold.sandbox.layout import Layout
from safehold.sandbox.parts import check_sealed, seal_bytes
from safehold.sandbox.running import Running

# What the boot does inside, and what is done here around it.
INSIDE = frozenset(
    {"descriptors", "rlimits", "non-dumpable", "capabilities", "landlock", "seccomp"}
)
OUTSIDE = frozenset({"namespaces", "environment", "cgroup", "sealed-inputs"})
EVERYTHING = INSIDE | OUTSIDE
_PIPE = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a job is confined.

    Args:
        level: What that amounts to.
        mechanisms: Names out of ``EVERYTHING``.
        layout: What it can see.
    """

    level: Level
    mechanisms: frozenset[str]
    layout: Layout


class _Spawner:
    """The one thread that starts processes.

    A sandbox dies with the *thread* that started it (prctl(2), PR_SET_PDEATHSIG), so it is never
    started by a thread that may end before its process does.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    def start(
        self, argv: Sequence[str], *, keep: Sequence[int], printed: int, close: bool, clean: bool
    ) -> subprocess.Popen[bytes]:
        if not close:
            for fd in keep:
                os.set_inheritable(fd, True)  # noqa: FBT003 - the one parameter there is
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(1, "sandbox-spawn")
            pool = self._pool
        return pool.submit(
            subprocess.Popen,
            argv,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            pass_fds=keep if close else (),
            close_fds=close,
            env=command.ENVIRONMENT if clean else None,
            cwd="/",
            start_new_session=True,
        ).result()


_spawner = _Spawner()


def start_job(job: Job, module: str, plan: Plan) -> Running:
    """Start a job under a plan.

    Args:
        job: What to run.
        module: The recipe's module.
        plan: How to confine it.

    Raises:
        InvalidError: An input is not read-only, or is memory that is not sealed.
        UnavailableError: No process could be started.
    """
    held = plan.mechanisms
    if "sealed-inputs" in held:
        for fd in job.inputs:
            _check_input(fd)
    abi = landlock.find_abi(ctypes.CDLL(None, use_errno=True)) if "landlock" in held else 0
    limits = job.limits
    group = (
        create_group(pids=limits.pids + 4, memory=limits.memory) if "cgroup" in held else Group()
    )
    opened: list[int] = []
    try:
        (egress, inner), (printed, inner_printed) = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        opened += [egress, inner, printed, inner_printed]
        _widen(egress)
        inside = held & INSIDE
        more = () if job.cells is None else (job.cells,)
        inner_told = told = None
        if job.talks:
            inner_told, told = os.pipe2(os.O_CLOEXEC)
            opened += [inner_told, told]
            _widen(told)
            more = (*more, inner_told)
        if "namespaces" not in held:
            inside |= {"parent"}
        marker = sorted(inside)
        head = {
            "module": module,
            "egress": inner,
            "inputs": list(job.inputs),
            "told": inner_told,
            "keep": [inner, *job.inputs, *more],
            "mechanisms": marker,
            "limits": _rlimits(limits, shared="namespaces" not in held),
            "rules": command.file_rules(plan.layout, private="namespaces" in held),
            "abi": abi,
            "threads": limits.threads,
        }
        config = seal_bytes(orjson.dumps(head) + b"\n" + job.spec)
        opened.append(config)
        process = _spawner.start(
            [*command.enter_command(group.folders), *_wrap(plan, limits), *_boot(plan, config)],
            keep=[config, inner, *job.inputs, *more],
            printed=inner_printed,
            close="descriptors" in held,
            clean="environment" in held,
        )
    except OSError as error:
        _close(opened)
        group.remove()
        raise UnavailableError(
            "a process for the sandbox could not be started", rule="sandbox.start"
        ) from error
    except BaseException:
        _close(opened)
        group.remove()
        raise
    _close([inner, inner_printed, config, *(() if inner_told is None else (inner_told,))])
    return Running(
        process,
        egress=egress,
        printed=printed,
        limits=limits,
        confined=Probe(
            level=plan.level,
            kernel=os.uname().release,
            mechanisms=_names(held, group, abi, limits),
        ),
        marker=marker,
        group=group,
        told=told,
    )


def _wrap(plan: Plan, limits: Limits) -> list[str]:
    if "namespaces" not in plan.mechanisms:
        return []
    bwrap = command.find_bwrap()
    if bwrap is None:
        raise FileNotFoundError("bwrap")
    return command.wrap_command(bwrap, plan.layout, limits, clean="environment" in plan.mechanisms)


def _boot(plan: Plan, config: int) -> list[str]:
    return command.boot_command(plan.layout, config)


def _check_input(fd: int) -> None:
    if fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY:
        raise InvalidError(
            "an input of a sandbox is open for writing",
            rule="sandbox.input.read_only",
            fix="open it again with O_RDONLY",
        )
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidError(
            "an input of a sandbox is neither sealed memory nor a file", rule="sandbox.input.kind"
        )
    if status.st_nlink == 0:
        check_sealed(fd)


def _rlimits(limits: Limits, *, shared: bool) -> dict[str, int]:
    """Return the limits per process.

    Args:
        limits: What the job may use.
        shared: True if processes are counted together with all others of this user.
    """
    return {
        "RLIMIT_AS": limits.address_space,
        "RLIMIT_CPU": limits.cpu,
        "RLIMIT_FSIZE": limits.fsize,
        "RLIMIT_NOFILE": limits.nofile,
        "RLIMIT_NPROC": limits.pids + (_count_tasks() if shared else 0),
        "RLIMIT_CORE": 0,
        "RLIMIT_MSGQUEUE": 0,
    }


def _count_tasks() -> int:
    """Return how many threads the user of this process runs on this machine."""
    uid, count = os.getuid(), 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if process.stat().st_uid == uid:
                count += sum(1 for _ in (process / "task").iterdir())
        except OSError:
            continue  # it ended in the meantime
    return count


def _names(held: frozenset[str], group: Group, abi: int, limits: Limits) -> tuple[str, ...]:
    names = set(held - {"cgroup", "landlock"}) | set(group.mechanisms)
    names |= {"egress-budget", "stderr-budget", "wall-clock"}
    if "cgroup" in held and "cgroup-memory" not in names:
        names.add("memory-watch")
    if "namespaces" in held and (wrapper := choose_wrapper()) is not None:
        names.add(wrapper.told())
    if "landlock" in held:
        names.add(f"landlock-{abi}")
    if {"landlock", "seccomp"} & held:
        names.add("no-new-privileges")
    # A limit on processes does not bind the machine's root user.
    if "rlimits" in held and os.getuid() != 0 and limits.pids:
        names.add("rlimit-processes")
    return tuple(sorted(names))


def _widen(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE)
    except OSError:
        return  # an ordinary user's share of pipe memory is spent; the usual 64 KiB works as well


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
