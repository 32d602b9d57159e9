"""The probe believes what it did, not what it found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from safehold.sandbox import start
from safehold.sandbox.job import LEVELS, MIB, Limits
from safehold.sandbox.probe import find_mechanisms, probe, try_level
from safehold.sandbox.start import EVERYTHING

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from sandbox_harness import JobLauncher  # noqa: E402


@pytest.fixture(scope="module")
def launcher():
    return JobLauncher()


# --- the probe ---


def test_the_probe_says_what_it_did():
    found = probe()
    assert found.level in LEVELS
    assert found.kernel == os.uname().release
    assert list(found.mechanisms) == sorted(found.mechanisms)
    assert find_mechanisms()[1] is found
    if found.level == "E3":
        assert {"namespaces", "seccomp", "wall-clock", "egress-budget"} <= set(found.mechanisms)


@pytest.mark.parametrize(
    ("patch", "level"),
    [
        ({"bwrap": None}, "E1"),
        ({"bwrap": "/bin/false"}, "E1"),
        ({"abi": 0}, "E2"),
        ({"bwrap": None, "abi": 3}, "E0"),
        ({"bwrap": None, "abi": 0}, "E0"),
        ({"machine": "riscv64"}, "E0"),
    ],
)
def test_the_probe_goes_down_with_what_is_missing(monkeypatch, patch, level):
    from safehold.sandbox import probe as module

    if probe().level != "E3":
        pytest.skip("this machine does not reach E3")
    if "bwrap" in patch:
        monkeypatch.setattr(start.command, "find_bwrap", lambda: patch["bwrap"])
    if "abi" in patch:
        monkeypatch.setattr(module.landlock, "find_abi", lambda libc: patch["abi"])
    if "machine" in patch:
        monkeypatch.setattr(module, "TABLES", {patch["machine"]: None})
    mechanisms, found = find_mechanisms.__wrapped__()
    assert found.level == level
    if level == "E0":
        assert not {"namespaces", "landlock"} <= mechanisms
        assert "wall-clock" in found.mechanisms


def test_the_probe_does_not_believe_a_sandbox_that_leaks():
    """Namespaces claimed, nothing done: the canary is read, and the level is not granted."""
    assert try_level("E3", EVERYTHING - {"namespaces", "landlock", "seccomp"}) is None
    assert try_level("E1", EVERYTHING - {"namespaces", "seccomp"}) is None


def test_limits_of_recipes():
    assert Limits.of("ingest").egress == 8 << 30
    assert Limits.of("ingest").address_space == 4 << 30
    assert Limits.of("train").pids > Limits.of("ingest").pids
    assert Limits.of("feature").egress == 2 << 30
    assert Limits.of("anything").egress <= 64 * MIB
