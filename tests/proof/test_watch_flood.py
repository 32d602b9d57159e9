"""A flood of ordinary uses through the live path does not hide an attack, and does not delay its alert by much."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.command_line import CHARTERS, World, command
from tests.e2e.test_cli_alert import knock as knock_at
from tests.e2e.test_cli_alert import line_to, sentinel_of
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.watching import Post, flood, knock

from safehold.clock import SystemClock

LIMIT_S = 60.0


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("flood"))


@pytest.mark.parametrize("count", [3_000, pytest.param(100_000, marks=pytest.mark.proof)])
def test_an_attack_in_a_flood_is_told(made, tmp_path, count):
    bench = copy_bench(made, tmp_path)
    bench.clock = SystemClock()  # type: ignore[assignment]
    bench.start()
    try:
        post = Post(bench)
        flood(bench, count // 2)
        knock(bench, 25)
        first = time.monotonic()
        flood(bench, count - count // 2)
        grown = time.monotonic()
        reader = post.read()
        read = time.monotonic()
        (alert,) = [one for one in post.alerts() if one["signal"] == "denied_burst"]
        assert alert["principal"] == "caller"
        assert read - grown < LIMIT_S, "a sentinel that starts behind so much has caught up by then"
        assert reader.read >= count
        again = post.read()
        assert again.read == 0
        sys.stderr.write(
            f"\n{count} leaves: appended in {grown - first:.1f} s (half), read in {read - grown:.1f} s,"
            f" {reader.read / (read - grown):,.0f} events/s with the detector\n"
        )
    finally:
        bench.stop()


def kill(process: subprocess.Popen[bytes]) -> None:
    if (one := sentinel_of(process)) is not None:
        os.kill(one.pid, signal.SIGKILL)


@pytest.mark.proof
def test_killed_again_and_again_beside_a_served_keeper(tmp_path: Path) -> None:
    """Each attack is one alert within the limit, though the sentinel is killed as it is tried and soon after."""
    world = World(tmp_path).init(CHARTERS / "demo.yaml")
    process = subprocess.Popen(
        command(("serve",)), env=world.environment, cwd=world.root, stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        assert b"is ready" in process.stderr.readline()
        client = line_to(world)
        verbs = (
            "train",
            "query",
            "artifact.pull",
            "embed.export",
            "feature.granted",
            "attack.dataset",
        )
        expected = 0
        for number, verb in enumerate(verbs):
            # gone while it is tried, and again two seconds later, whether or not it has said anything
            kill(process)
            knock_at(client, 1 if number else 25, verb=verb)
            expected += verb in ("train", "artifact.pull", "embed.export")
            began = time.monotonic()
            time.sleep(2)
            kill(process)
            while client.call("alert.list")["of"] < expected:
                assert time.monotonic() - began < LIMIT_S, verb
                time.sleep(0.2)
        found = client.call("alert.list")["alerts"]
        assert sorted(one["signal"] for one in found) == [
            "denied_burst",
            "pull_refused",
            "vectors_asked",
        ]
    finally:
        process.kill()
        process.communicate()
