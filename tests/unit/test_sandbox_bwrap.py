"""Which bubblewrap is started: root's own that works, else the one whose bytes we know, else none."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from safehold.sandbox import bwrap
from safehold.sandbox.bwrap import PINNED, find_bundled, find_system
from safehold.sandbox.gvisor import find_gvisor

ROOT = os.getuid() == 0
PARENT = Path("/opt")  # belongs to root on every Debian, unlike a test's temporary folder


@pytest.fixture
def place():
    """A folder that only root can write to."""
    if not ROOT:
        pytest.skip("only root can make what belongs to root")
    folder = PARENT / f"safehold-test-{os.getpid()}"
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def program(place):
    bundled = find_bundled()
    if bundled is None:
        pytest.skip("no bundled bubblewrap for this machine")
    for name in PINNED[os.uname().machine]:  # the library that it loads lies where it looks for it
        file = (place / "package" / "bin" / name).resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(bundled.path).parent / name, file)
        file.chmod(0o755)
    return place / "package" / "bin" / "bwrap"


def test_the_machines_own_is_taken_where_it_works(program):
    found = find_system([program.with_name("none"), program])
    assert (found.path, found.origin) == (str(program), "system")
    assert found.sha256 == hashlib.sha256(program.read_bytes()).hexdigest()
    assert found.told() == f"bwrap-system-{found.sha256[:16]}"


@pytest.mark.parametrize("spoil", ["user", "group", "folder", "broken", "old"])
def test_one_that_others_can_change_or_that_does_not_isolate_is_not(program, spoil):
    match spoil:
        case "user":
            os.chown(program, 65533, 0)
        case "group":
            program.chmod(0o775)
        case "folder":
            program.parent.chmod(0o777)
        case "broken":
            program.write_bytes(b"no program")
        case "old":  # it does not know an option that we need
            program.write_text("#!/bin/sh\nexit 1\n")
    assert find_system([program]) is None


@pytest.mark.parametrize("spoilt", [None, "bwrap", "libcap"])
def test_the_bundled_one_is_taken_only_byte_for_byte(tmp_path, monkeypatch, spoilt):
    """Its library as well: what is loaded into it is part of it."""
    bundled = find_bundled()
    if bundled is None:
        pytest.skip("no bundled bubblewrap for this machine")
    for name in PINNED[os.uname().machine]:
        file = (tmp_path / "package" / "bin" / name).resolve()
        file.parent.mkdir(parents=True, exist_ok=True)
        more = b"\0" if spoilt and file.name.startswith(spoilt) else b""
        file.write_bytes((Path(bundled.path).parent / name).read_bytes() + more)
        file.chmod(0o755)
    monkeypatch.setattr(bwrap, "bwrap_path", lambda: tmp_path / "package" / "bin" / "bwrap")
    assert (find_bundled() is None) == (spoilt is not None)


def test_where_none_may_be_started_there_is_none(monkeypatch):
    monkeypatch.setattr(bwrap, "bwrap_path", None)
    monkeypatch.setattr(bwrap, "find_system", lambda: None)
    assert find_bundled() is None
    assert bwrap.choose_wrapper.__wrapped__() is None


def test_the_path_of_a_caller_chooses_nothing(tmp_path, monkeypatch):
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    chosen = bwrap.choose_wrapper.__wrapped__()
    assert chosen is None or chosen.path != str(fake)


@pytest.mark.parametrize(
    ("program", "said"), [("exit 0", "runs here"), ("exit 1", "installed"), (None, "not installed")]
)
def test_gvisor_is_found_out_by_running_it(tmp_path, program, said):
    file = tmp_path / "runsc"
    if program is not None:
        file.write_text(f"#!/bin/sh\n{program}\n")
        file.chmod(0o755)
    assert find_gvisor([file]).startswith(said)
