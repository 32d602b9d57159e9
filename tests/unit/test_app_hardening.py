"""The keeper's process: what it imports, what it writes, and that nobody reads its memory."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from safehold.app.embedded import keeper_environment
from safehold.keeper import wire

CHECK = """
import ctypes, os, resource
from safehold.app.keeper import harden
harden()
assert ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0, "dumpable"
assert resource.getrlimit(resource.RLIMIT_CORE) == (0, 0)
open("left", "w").close()
assert os.stat("left").st_mode & 0o777 == 0o600
"""


def test_its_memory_and_files_are_its_own(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CHECK], check=True, timeout=600, cwd=tmp_path)


def test_a_module_of_the_working_directory_is_not_imported(tmp_path: Path) -> None:
    (tmp_path / "orjson.py").write_text("raise SystemExit(77)")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "safehold.app.keeper", str(tmp_path)],
        cwd=tmp_path,
        env=keeper_environment(),
        input=b"{}\n",
        capture_output=True,
        timeout=600,
        check=False,
    )
    assert done.returncode != 77


def test_no_secret_is_in_its_environment(monkeypatch) -> None:
    monkeypatch.setenv("SAFEHOLD_PASSPHRASE", "x")
    monkeypatch.setenv("LD_PRELOAD", "")
    assert not {"SAFEHOLD_PASSPHRASE", "LD_PRELOAD"} & set(keeper_environment())


def test_a_received_descriptor_is_not_inherited() -> None:
    one, two = socket.socketpair()
    with one, two:
        wire.send(one, {"verb": "x"}, [0])
        _, (handle,) = wire.receive(two) or ({}, [])
        try:
            assert not os.get_inheritable(handle)
        finally:
            os.close(handle)


HEAPS = """
import ctypes, sys, threading
if sys.argv[1] == "bound":
    from safehold.app.hardening import harden
    harden()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
together = threading.Barrier(13)
def hold():
    libc.malloc(ctypes.c_size_t(65_536))
    together.wait()
    together.wait()
threads = [threading.Thread(target=hold) for _ in range(12)]
for one in threads:
    one.start()
together.wait()
file = ctypes.c_void_p(libc.fopen(b"heaps.xml", b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
together.wait()
"""


def test_its_threads_share_one_heap(tmp_path: Path) -> None:
    """Each heap keeps the most that a thread ever needed: a dozen of them keep it a dozen times."""
    count = {}
    for how in ("bound", "free"):
        subprocess.run([sys.executable, "-c", HEAPS, how], check=True, timeout=600, cwd=tmp_path)
        count[how] = (tmp_path / "heaps.xml").read_text().count("<heap nr=")
    assert count["bound"] == 1 < count["free"]


KEPT = """
import ctypes, sys, threading
from safehold.app.hardening import bound_heaps, inspect
if sys.argv[1] == "bound":
    bound_heaps()
import pyarrow as pa
if inspect(lock=True).locked != "all":
    sys.exit(print("-1"))

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

def work():
    for size in range(3, 8):
        held = [pa.allocate_buffer(size << 17) for _ in range(32)]
        for one in held:
            ctypes.memset(one.address, 1, one.size)
        del one, held

before = resident()
threads = [threading.Thread(target=work) for _ in range(4)]
for one in threads:
    one.start()
for one in threads:
    one.join()
print(resident() - before)
"""


def test_what_arrow_held_comes_back_while_memory_is_locked() -> None:
    """Arrow's own allocator gives a page back in a way that the system refuses for locked memory."""
    kept = {}
    for how in ("bound", "free"):
        done = subprocess.run(
            [sys.executable, "-c", KEPT, how], check=True, timeout=600, capture_output=True
        )
        kept[how] = int(done.stdout)
    if kept["bound"] == -1:
        pytest.skip("memory is not locked here: a limit stands against it")
    assert kept["bound"] < 4 << 20 < 16 << 20 < kept["free"]


COMES_FIRST = """
import sys
from pathlib import Path
import safehold.app.hardening as hardening
from safehold.cli import home, worker
from safehold.errors import InvalidError, MissingError

loaded, real = [], hardening.bound_heaps
def bound():
    loaded.append("pyarrow" in sys.modules)
    real()
hardening.bound_heaps = bound
no = Path("nowhere")
try:
    if sys.argv[1] == "keeper":
        home.serve(home=no, drills="no such way")
    else:
        worker.serve("w", key=no, keeper_key=no, house="h", carrier=["no such account"])
except (InvalidError, MissingError):
    pass
import pyarrow
print(loaded, pyarrow.default_memory_pool().backend_name)
"""


@pytest.mark.parametrize("what", ["keeper", "worker"])
def test_what_serves_bounds_heaps_before_arrow_is_there(what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COMES_FIRST, what], check=True, timeout=600, capture_output=True
    )
    assert done.stdout.decode().split() == ["[False]", "system"]


def test_a_keeper_for_one_command_begins_with_bound_heaps() -> None:
    code = "import safehold.app.keeper, pyarrow; print(pyarrow.default_memory_pool().backend_name)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True, timeout=600, capture_output=True, env=keeper_environment(),
    )  # fmt: skip
    assert done.stdout.decode().strip() == "system"
    assert keeper_environment()["MALLOC_ARENA_MAX"] == "1"


LETS_GO = """
import gc, sys, weakref
from safehold.app.hardening import settle_objects, unsettle_objects
class Circle: pass
def lets_go(settle):
    there = [[] for _ in range(800_000)]  # as a keeper begins with
    gc.collect()
    if settle:
        settle_objects()
    one = Circle()
    one.itself, seen = one, weakref.ref(one)
    gc.collect(1)  # it has survived
    del one
    more = [[] for _ in range(150_000)]  # in the course of some minutes
    return seen() is None
print(lets_go(False), lets_go(True), gc.get_freeze_count() > 0)
unsettle_objects()
print(gc.get_freeze_count())
"""


def test_what_is_over_is_freed_though_much_is_there() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LETS_GO], check=True, timeout=600, capture_output=True
    )
    assert done.stdout.decode().split() == ["False", "True", "True", "0"]
