"""What a sandbox is asked to do, how much it may use, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from safehold.errors import InvalidError

Level = Literal["E0", "E1", "E2", "E3", "E4"]
LEVELS: tuple[Level, ...] = get_args(Level)

Reason = Literal[
    "finished",
    "not started",
    "failed",
    "refused",
    "protocol",
    "budget",
    "memory",
    "time",
    "stopped",
]

MIB = 1 << 20
GIB = 1 << 30

CODE = "code"
TALKERS = frozenset({"train.lead", "train.shard"})  # they ask each other, and the keeper carries it
RECIPES = {
    "ingest": "safehold.ingest.recipe",
    "feature": "safehold.enclave.feature",
    "train": "safehold.enclave.train",
    "train.lead": "safehold.enclave.lead",
    "train.shard": "safehold.enclave.shard",
    "federate": "safehold.enclave.federate",
    "join": "safehold.federation.measure",
    "reidentify": "safehold.assurance.reidentify.recipe",
    "embed": "safehold.enclave.embedding.recipe",
    "embed.near": "safehold.enclave.embedding.near",
    "embed.head": "safehold.enclave.embedding.head",
    CODE: "safehold.enclave.code.recipe",
    "sql": "safehold.enclave.sql",
    "membership": "safehold.assurance.membership.recipe",
    "canary": "safehold.assurance.canary.recipe",
    "inspect": "safehold.enclave.inspection",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one job may use. Going over any of them ends the job.

    Args:
        address_space: Bytes of virtual memory per process.
        memory: Bytes of real memory of the whole job, where a cgroup can be made.
        cpu: Seconds of processor time per process.
        wall: Seconds from start to end of the whole job.
        fsize: Bytes of the largest file it may write.
        temp: Bytes of its private temporary files, all together.
        nofile: Open descriptors per process.
        pids: Processes and threads of the whole job.
        egress: Bytes of all its frames, lengths included.
        frame: Bytes of one frame.
        stderr: Bytes it may print; they are counted and thrown away.
        shared: Bytes of its shared memory.
        words: True if an error of its own is told in its words; of code that nobody reviewed it is not.
        shown: Bytes of what it prints that are kept for whoever started it; only where all of its data is theirs.
        threads: Threads of one product of matrices (OpenBLAS); 0 for as many as there are cores. A recipe multiplies
            small ones: two threads that wait for each other take longer than the product, and on a worker the other
            cores are somebody else's. And a sum is the same bits on every machine.
    """

    address_space: int = 4 * GIB
    memory: int = 4 * GIB
    cpu: int = 600
    wall: float = 900.0
    fsize: int = 16 * MIB
    temp: int = 32 * MIB
    nofile: int = 256
    pids: int = 128
    egress: int = 64 * MIB
    frame: int = 64 * MIB
    stderr: int = 256 * 1024
    shared: int = MIB
    words: bool = True
    shown: int = 0
    threads: int = 1

    @classmethod
    def of(cls, recipe: str) -> Limits:
        """Return the limits that fit a recipe.

        JAX reserves far more addresses than it touches, and Arrow and XLA start a thread pool each,
        so address space and threads are wide while real memory stays bounded.
        """
        match recipe:
            case "ingest":
                return cls(cpu=86_400, wall=86_400.0, egress=8 * GIB)
            case "feature":
                return cls(address_space=8 * GIB, cpu=14_400, wall=14_400.0, egress=2 * GIB)
            case (
                "sql"
            ):  # time and bytes are shared out among the people, so that they never end a run
                return cls(
                    address_space=8 * GIB,
                    cpu=14_400,
                    wall=14_400.0,
                    nofile=1024,
                    egress=256 * MIB,
                )
            case (
                "train" | "train.lead" | "train.shard" | "reidentify" | "membership"
                | "embed" | "embed.near" | "embed.head"
            ):  # fmt: skip
                return cls(
                    address_space=64 * GIB,
                    memory=16 * GIB,
                    cpu=864_000,
                    wall=172_800.0,
                    nofile=1024,
                    pids=512,
                    # what talkers say goes to each other; what leaves is judged by the gate as of any training
                    egress=1 << 50 if recipe in TALKERS else 1 * GIB,
                    frame=256 * MIB,
                )
            case "code":
                return cls(
                    address_space=64 * GIB,
                    memory=8 * GIB,
                    cpu=3_600,
                    wall=900.0,
                    fsize=256 * MIB,
                    temp=256 * MIB,
                    nofile=1024,
                    pids=256,
                    egress=64 * MIB,
                    stderr=16 * MIB,
                    shared=64 * MIB,
                    words=False,
                    threads=0,
                )
            case _:
                return cls()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One recipe and what it gets.

    Args:
        recipe: Name in the allow-list of recipes.
        spec: JSON object for the recipe; it may hold secrets, so it travels in sealed memory.
        inputs: Read-only descriptors, sealed memory or regular files; they stay the caller's.
        limits: What it may use.
        least: Lowest assurance level it may run at.
        cells: Read end of a pipe from which it takes more code; only where all of its data is the caller's.
        talks: Whether it is told more while it runs; see ``TALKERS``.
    """

    recipe: str
    spec: bytes = field(default=b"{}", repr=False)
    inputs: Sequence[int] = ()
    limits: Limits
    least: str = "E3"
    cells: int | None = None
    talks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What this machine can enforce, found out by doing it.

    Args:
        level: Assurance level E0 to E4.
        kernel: Release of the running kernel.
        mechanisms: What confines a job here, sorted.
    """

    level: Level
    kernel: str
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a job ended, for the run record. The exit code of the job is not in it.

    Args:
        ok: True only if the recipe returned and every limit was kept.
        reason: One of a closed list.
        started: True if the job's own process reported from inside its confinement.
        level: Level the job ran at.
        kernel: Release of the running kernel.
        mechanisms: What confined the job, sorted.
        frames: Frames received.
        egress: Bytes received.
        printed: True if the job printed anything; what it was is never kept.
        seconds: From start to end.
    """

    ok: bool
    reason: Reason
    started: bool
    level: Level
    kernel: str
    mechanisms: tuple[str, ...]
    frames: int
    egress: int
    printed: bool
    seconds: float


def check_level(least: str, have: Level) -> bool:
    """Return whether ``have`` reaches ``least``.

    Raises:
        InvalidError: ``least`` is no level.
    """
    if least not in LEVELS:
        raise InvalidError(
            "no such assurance level", rule="sandbox.level", fix="E0, E1, E2, E3 or E4"
        )
    return LEVELS.index(have) >= LEVELS.index(least)
