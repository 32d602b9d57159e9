"""Every attack, in a sandbox that started, by code that ran: as this user and as an ordinary one.

An attack counts as blocked only if the job reported from inside its confinement and the attack code
reported before it tried. The same attacks are shown to work with everything off, and each mechanism is
shown to be what stops one of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import sandbox_attacks  # noqa: E402
import sandbox_world  # noqa: E402

import safehold  # noqa: E402
from safehold.sandbox.job import MIB, Limits  # noqa: E402
from safehold.sandbox.start import EVERYTHING  # noqa: E402

ATTACKS = sorted(sandbox_attacks.ATTACKS)
ROOT = os.getuid() == 0
USER = 65533
# Ended by the parent instead of refused inside.
ENDED = {
    "cpu_hog": "time",
    "stderr_flood": "budget",
    "egress_flood": "budget",
    "x32": "failed",
    "exit_code": "failed",
}
# Cannot work even with everything off: bounds that are limits, not mechanisms, and the frame protocol. They do not
# discriminate and are not counted; that their limits hold is shown by widening each.
LIMITED = {"cpu_hog", "stderr_flood", "egress_flood", "forge_frame", "exit_code"}
# Root's alone, so an ordinary user shows nothing by failing.
ROOTS = {
    "raw_socket", "packet_socket", "tamper_code", "by_handle", "mount", "set_user", "device_node", "leave_cgroup",
    "change_root", "join_namespace", "load_module", "kernel_log",
}  # fmt: skip
# What not every kernel has, or not every machine shows; where it is missing, being refused says nothing.
SOME = {
    "vsock",
    "kernel_crypto",
    "kernel_files",
    "leave_cgroup",
    "load_module",
    "perf_event",
    "keyctl",
}


@pytest.fixture(scope="module")
def world():
    with sandbox_world.World() as world:
        if world.run("own_environ")["outcome"].level != "E3":
            pytest.skip("this machine does not reach E3")
        yield world


@pytest.fixture(scope="module")
def held(world):
    return world.sweep()


@pytest.fixture(scope="module")
def unconfined(world):
    return world.sweep(*EVERYTHING)


def test_there_are_enough_attacks(unconfined):
    """At least 40 of them get through as soon as nothing is in their way."""
    live = {name for name, result in unconfined.items() if result["open"]}
    print(
        f"{len(ATTACKS)} attacks, {len(live)} of them live here, not: {sorted(set(ATTACKS) - live)}"
    )
    assert len(live) >= 40


@pytest.mark.parametrize("attack", ATTACKS)
def test_blocked(held, attack):
    result = held[attack]
    outcome = result["outcome"]
    assert result["started"]
    assert result["ran"]
    assert outcome.level == "E3"
    reason = ENDED.get(attack, "finished")
    if attack == "memory_touch" and "cgroup-memory" not in outcome.mechanisms:
        reason = "memory"
    assert not result["open"]
    assert outcome.reason == reason


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - LIMITED - (set() if ROOT else ROOTS)))
def test_works_with_everything_off(unconfined, attack):
    """Otherwise its failure inside a sandbox would say nothing about the sandbox."""
    result = unconfined[attack]
    assert result["ran"]
    if attack in SOME and not result["open"]:
        pytest.skip("this machine has none: not counted")
    assert result["open"]


def interpreter_for_everybody() -> list[str] | None:
    """A command that runs this Python version with our packages as an ordinary user."""
    setpriv = shutil.which("setpriv")
    if not ROOT or setpriv is None:
        return None
    folders = [entry for entry in sys.path if entry.endswith("-packages")]
    source = str(Path(safehold.__file__).parents[1])
    version = f"python3.{sys.version_info.minor}"
    drop = [setpriv, "--reuid", str(USER), "--regid", str(USER), "--clear-groups"]
    for python in (sys._base_executable, shutil.which(version, path="/usr/bin:/usr/local/bin")):
        command = [*drop, "env", f"PYTHONPATH={':'.join([source, *folders])}", str(python)]
        check = [*command, "-c", "import pyarrow, orjson, safehold.sandbox.launch"]
        if (
            python
            and subprocess.run(check, capture_output=True, check=False, cwd="/").returncode == 0
        ):
            return command
    return None


def sweep_as_user(*without: str) -> dict[str, dict[str, object]]:
    command = interpreter_for_everybody()
    if command is None:
        pytest.skip("needs root, setpriv and an interpreter that an ordinary user can read")
    done = subprocess.run(
        [*command, str(HERE / "sandbox_world.py"), *without],
        capture_output=True,
        check=False,
        cwd="/",
        timeout=600,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr.decode()[-500:]
    return {row["attack"]: row for row in map(json.loads, done.stdout.splitlines())}


@pytest.fixture(scope="module")
def as_user():
    return sweep_as_user()


def test_enough_are_live_for_an_ordinary_user():
    found = sweep_as_user(*EVERYTHING)
    assert {row["uid"] for row in found.values()} == {USER}
    for attack in set(ATTACKS) - LIMITED - ROOTS - SOME:
        assert found[attack]["open"], attack
    assert sum(row["open"] for row in found.values()) >= 40


@pytest.mark.parametrize("attack", ATTACKS)
def test_blocked_for_an_ordinary_user(as_user, attack):
    row = as_user[attack]
    assert (row["uid"], row["level"]) == (USER, "E3")
    assert row["started"]
    assert row["ran"]
    assert {"cgroup-memory", "memory-watch"} & set(row["mechanisms"])
    assert not row["open"]


def others(*kept: str) -> tuple[str, ...]:
    return tuple(sorted({"namespaces", "landlock", "seccomp", "cgroup"} - set(kept)))


# Mechanism, an attack only it stops, and what has to be off as well for that to be so.
MATTERS = [
    ("namespaces", "udp", others("namespaces")),
    ("namespaces", "unix_path", others("namespaces")),
    ("namespaces", "sysv_shm", others("namespaces")),
    ("namespaces", "daemon", others("namespaces")),
    ("namespaces", "disk_fill", (*others("namespaces"), "rlimits")),
    ("landlock", "read_segment", others("landlock")),
    ("landlock", "tcp", others("landlock")),
    ("landlock", "unix_abstract", others("landlock")),
    ("landlock", "signal_parent", others("landlock")),
    ("landlock", "reopen_input", others("landlock")),
    ("seccomp", "io_uring", ()),
    ("seccomp", "userfaultfd", ()),
    ("seccomp", "thread_filter", ()),
    ("seccomp", "x32", ()),
    ("seccomp", "leave_group", ()),
    ("seccomp", "udp", others("seccomp")),
    ("seccomp", "prlimit_parent", others("seccomp")),
    ("seccomp", "clone_user_namespace", others("seccomp")),
    ("seccomp", "clone3_user_namespace", others("seccomp")),
    ("descriptors", "inherited_fd", ()),
    ("environment", "own_environ", ()),
    ("sealed-inputs", "tamper_input", ()),
    ("rlimits", "memory_bomb", ()),
    ("rlimits", "many_files", ()),
    ("rlimits", "big_file", ()),
    ("non-dumpable", "dump", ()),
    pytest.param(
        "capabilities",
        "set_user",
        others(),
        marks=pytest.mark.skipif(not ROOT, reason="only root has any to lose"),
    ),
    pytest.param(
        "cgroup",
        "fork_bomb",
        (),
        marks=pytest.mark.skipif(not ROOT, reason="only root can make one here"),
    ),
    ("cgroup", "memory_touch", ()),  # or, where none can be made, looking at it from outside
]


@pytest.mark.parametrize(("mechanism", "attack", "off"), MATTERS)
def test_each_mechanism_is_what_stops_an_attack(world, mechanism, attack, off):
    if mechanism != "sealed-inputs":
        assert not world.run(attack, *off)["open"]
    result = world.run(attack, *off, mechanism)
    assert result["started"]
    assert result["open"]


@pytest.mark.parametrize(
    ("attack", "limits"),
    [
        ("egress_flood", Limits(egress=64 * MIB)),
        ("stderr_flood", Limits(stderr=64 * MIB)),
        ("cpu_hog", Limits(wall=30.0)),
        ("fork_bomb", Limits(pids=256)),
        ("disk_fill", Limits(temp=256 * MIB, memory=1 << 30)),
        ("big_file", Limits(fsize=64 * MIB)),
        ("memory_bomb", Limits(address_space=16 << 30)),
    ],
)
def test_each_limit_is_what_stops_an_attack(world, attack, limits):
    """The limit is wide and the attack gets through: nothing else was in its way."""
    assert world.run(attack, limits=limits)["open"]


def test_the_egress_budget_bounds_what_gets_out(world):
    outcome = world.run("egress_flood")["outcome"]
    assert 0 < outcome.egress <= sandbox_world.LIMITS.egress
