"""A cluster of two nodes that somebody else started, reached by its address; one node is killed on the way."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from safehold.sandbox.command import find_bwrap

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.proof
def test_two_nodes_of_which_one_is_killed() -> None:
    wrapper = find_bwrap()
    if wrapper is None:
        pytest.skip("no network of its own can be made here")
    place = Path(tempfile.mkdtemp(prefix="shr-"))  # short: sockets lie in it
    try:
        done = subprocess.run(
            [
                *(wrapper, "--dev-bind", "/", "/", "--proc", "/proc", "--unshare-net"),
                *("--unshare-pid", "--die-with-parent", "--", sys.executable, "-m"),
                *("tests.ray_cluster_run", str(place)),
            ],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "HOME": str(place)},
            cwd=ROOT,
            capture_output=True,
            check=False,
            timeout=900,
        )
        assert done.returncode == 0, done.stderr.decode()[-3000:]
        told = json.loads(done.stdout.splitlines()[-1])
    finally:
        shutil.rmtree(place, ignore_errors=True)
    assert told["nodes"] == [2]
    assert [one["last"] for one in told["jobs"]] == ["done", "done"]
    assert all("ray-worker:node-1" in one["told"] for one in told["jobs"])
