"""The short form of the soak: a whole site under load, every part of it killed once, both its lines cut.

Half an hour of it is a proof (``tests/proof/test_soak_chaos.py``); the judge has tests of its own.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.chaos.drive import SHORT, drive
from tests.chaos.judge import tell
from tests.chaos.network import Island, left_over, require_islands
from tests.chaos.plan import short_plan
from tests.command_line import eventually

PORT = 7007
ECHO = f"""
import socket, sys
door = socket.create_server((sys.argv[1], {PORT}))
print(flush=True)
while True:
    link, _ = door.accept()
    open(sys.argv[2], "ab").write(link.recv(1))
    link.sendall(b"y")
    link.close()
"""


def test_every_part_is_killed_once_and_nothing_acknowledged_is_lost(tmp_path: Path) -> None:
    came = drive(tmp_path / "short" / "site", short_plan(20261127), SHORT)
    sys.stderr.write("\n" + (tmp_path / "short" / "table.md").read_text("utf-8"))
    assert not came.findings, tell(came.findings)
    events, releases = came.figures["events"], came.figures["releases"]
    assert events["acknowledged"] > 100, "there was load"
    assert releases["lookups"] > 0, "the instrument notes"
    assert len(came.figures["recovery"]) >= 7


@pytest.fixture
def island() -> Iterator[Island]:
    require_islands()
    one = Island("echo")
    yield one
    one.remove()
    assert left_over() == []


def ask(island: Island) -> bytes:
    try:
        with socket.create_connection((island.host, PORT), timeout=0.5) as link:
            link.settimeout(0.5)
            link.sendall(b"x")
            return link.recv(1)
    except OSError:
        return b""


def test_a_line_is_cut_both_ways_or_swallows_answers(island: Island, tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    server = subprocess.Popen(
        [*island.inside, sys.executable, "-c", ECHO, island.host, str(heard)],
        stdout=subprocess.PIPE,
    )
    try:
        assert server.stdout is not None
        server.stdout.readline()
        assert ask(island) == b"y"
        for how, answered in (("down", b""), ("swallow", b""), ("slow", b"y")):
            island.cut(how)
            if answered:
                eventually(lambda: ask(island) == b"y")
            else:
                assert ask(island) == b"", how
            island.heal()
            eventually(lambda: ask(island) == b"y")  # the other end has to be found again
    finally:
        server.kill()
        server.communicate()
