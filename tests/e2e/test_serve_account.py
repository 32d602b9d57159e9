"""A keeper that root starts under an account of its own: who may speak to it, and what it can reach."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.command_line import World
from tests.world import outside

from safehold.app.account import become
from safehold.app.serve import run
from safehold.errors import InvalidError, SafeholdError
from safehold.keeper import wire
from safehold.settings import Home

ROOT = Path(__file__).resolve().parents[2]
OWN, CALLER, STRANGER = "nobody", "daemon", "bin"
SITE = (
    Path(sys.prefix)
    / "lib"
    / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    / "site-packages"
)
PYTHON = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def world() -> Iterator[World]:
    if os.getuid():
        pytest.skip("only root can give the keeper a user id of its own")
    if not Path(PYTHON).exists():
        pytest.skip(f"other accounts have no {PYTHON} here")
    folder = Path(tempfile.mkdtemp(prefix="sh-k2-", dir="/tmp"))
    folder.chmod(0o755)
    found = World(folder)
    found.init()
    (folder / "outside").chmod(0o755)  # as /var/lib would be
    yield found
    shutil.rmtree(folder)


def _ask(home: Home, uid: int) -> tuple[int, bytes]:
    """Ask for ``hello`` as another user; return how it ended and what was said."""
    near, far = socket.socketpair()
    pid = os.fork()
    if not pid:
        try:
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            link = socket.socket(socket.AF_UNIX)
            link.settimeout(60)
            link.connect(str(home.socket))
            wire.send(link, {"verb": "hello", "arguments": {}})
            received = wire.receive(link)
            far.sendall(json.dumps(received[0] if received else None).encode())
            os._exit(0)
        except (OSError, SafeholdError) as error:
            far.sendall(type(error).__name__.encode())
            os._exit(1)
    far.close()
    with near:
        said = near.recv(1 << 16)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), said


def test_root_starts_a_keeper_that_is_not_root(world: World) -> None:
    environment = {
        **world.environment,
        "PYTHONPATH": f"{ROOT / 'src'}:{SITE}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    process = subprocess.Popen(
        [PYTHON, "-P", "-m", "safehold", "serve", "--as", OWN, "--caller", CALLER],
        env=environment,
        cwd=world.root,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        said = process.stderr.readline()
        assert "is ready, level K2" in said, said + process.stderr.read()
        own = pwd.getpwnam(OWN)
        status = Path(f"/proc/{process.pid}/status").read_text()
        facts = {
            line.split(":")[0]: line.split()[1:] for line in status.splitlines() if ":" in line
        }
        assert set(facts["Uid"]) == {str(own.pw_uid)}
        assert set(facts["Gid"]) == {str(own.pw_gid)}
        assert facts["Groups"] == []
        assert int(facts["CapEff"][0], 16) == int(facts["CapPrm"][0], 16) == 0
        environ = Path(f"/proc/{process.pid}/environ").read_bytes()
        assert world.passphrase.encode() not in environ
        with outside(world.root):
            home = Home.open(world.home)
        assert home.root_file.stat().st_uid == own.pw_uid
        assert home.socket.stat().st_uid == own.pw_uid
        # root and the caller that was named come in; a stranger is told nothing
        shown = world.ask("status")["keeper"]
        assert (shown["level"], shown["own_user"]) == ("K2", True)
        assert "root on its machine is trusted" in shown["means"]
        code, answer = _ask(home, pwd.getpwnam(CALLER).pw_uid)
        assert (code, json.loads(answer)["answer"]["level"]) == (0, "K2")
        code, answer = _ask(home, pwd.getpwnam(STRANGER).pw_uid)
        assert answer in (b"null", b"ConnectionResetError", b"BrokenPipeError")
        for closed in (home.root_file, home.control, home.epochs, home.policy_file):
            assert not closed.stat().st_mode & 0o077
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)


@pytest.mark.parametrize(
    ("account", "callers"),
    [("root", ()), (OWN, (OWN,)), ("no-such-account-here", ()), (OWN, ("?",))],
)
def test_an_account_that_is_not_its_own_is_refused(tmp_path: Path, account, callers) -> None:
    with outside(tmp_path):
        home = Home.create(tmp_path / "home", synthetic=True)
    before = os.getresuid()
    with pytest.raises(InvalidError) as caught:
        become(home, account, callers=callers)
    assert caught.value.rule == "keeper.account"
    assert os.getresuid() == before
    assert home.path.stat().st_uid == before[0]


def test_callers_take_an_account(tmp_path: Path) -> None:
    with outside(tmp_path):
        home = Home.create(tmp_path / "home", synthetic=True)
    with pytest.raises(InvalidError):
        run(home, {}, callers=["x"])
