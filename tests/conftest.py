"""Shared fixtures."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# a busy machine is slow, not wrong: no example fails for the time it took
settings.register_profile("safehold", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("safehold")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(autouse=True)
def _outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the outside of every home made by a test within that test's folder."""
    monkeypatch.setenv("SAFEHOLD_OUTSIDE", str(tmp_path / "outside"))


@pytest.fixture
def shared_data() -> Path:
    """The shared evaluation data; without it the test skips aloud, and fails under CI=true."""
    data = SHARED / "data"
    if not data.is_dir():
        if os.environ.get("CI") == "true" and SHARED.is_dir():
            pytest.fail("shared evaluation data is missing under CI=true")
        pytest.skip("the shared evaluation data is not on this machine")
    return data
