"""Shared fixtures."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from tests.control_place import Control
    from tests.nats import Nats
    from tests.postgres import Server
    from tests.seaweed import Weed

# a busy machine is slow, not wrong: no example fails for the time it took
# a gate tries the same examples in every run; new ones are looked for elsewhere
settings.register_profile(
    "safehold",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("safehold")

SHARED = Path(__file__).resolve().parents[2] / "shared"

# What no script can install: properties of the kernel, of the account, and data we may not ship.
BEYOND_INSTALLING = (
    "an ordinary user can make no memory cgroup here",
    "only root",
    "needs root",
    "real memory of a whole job is bounded only where a memory cgroup can be made",
    "the shared evaluation data is not on this machine",
    "the shared example is not on this machine",
    "this machine does not list its kernel's system calls",
    "this machine has none: not counted",  # an attack on what this kernel lacks
)


def pytest_collection_finish() -> None:
    """Leave what was collected out of the garbage collector's rounds: eleven thousand tests and their modules stay."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With CI=true a test that is skipped because a real component is missing fails."""
    report = yield
    if os.environ.get("CI") == "true" and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(BEYOND_INSTALLING):
            report.outcome = "failed"
            report.longrepr = f"with CI=true nothing may be missing: {reason}"
    return report


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A running PostgreSQL, one for each test process; without its programs the test skips aloud."""
    from tests.postgres import find_server

    server = find_server()
    yield server
    server.remove()


@pytest.fixture(scope="session")
def weed_server() -> Iterator[Weed]:
    """A running S3 server, one for each test process; without its program the test skips aloud."""
    from tests.seaweed import find_weed

    server = find_weed()
    yield server
    server.remove()


@pytest.fixture
def weed(weed_server: Weed, monkeypatch: pytest.MonkeyPatch) -> Weed:
    """The S3 server, with the file of credentials that a keeper would be told of."""
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(weed_server.credentials))
    return weed_server


@pytest.fixture(scope="session")
def nats_server() -> Iterator[Nats]:
    """A running NATS server, one for each test process; without its program the test skips aloud."""
    from tests.nats import find_nats

    server = find_nats()
    yield server
    server.remove()


@pytest.fixture(scope="module")
def control() -> Control:
    """Where the control databases of a module lie: in files, unless it says otherwise."""
    from tests.control_place import Control

    return Control()
