"""The keeper's process: what it imports, what it writes, and that nobody reads its memory."""

import os
import socket
import subprocess
import sys
from pathlib import Path

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


def test_its_threads_share_two_heaps(tmp_path: Path) -> None:
    """Each heap keeps the most that a thread ever needed: a dozen of them keep it a dozen times."""
    count = {}
    for how in ("bound", "free"):
        subprocess.run([sys.executable, "-c", HEAPS, how], check=True, timeout=600, cwd=tmp_path)
        count[how] = (tmp_path / "heaps.xml").read_text().count("<heap nr=")
    assert count["bound"] <= 2 < count["free"]
