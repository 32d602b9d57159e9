"""What the command line loads before it says anything: words and forms, never the columns, tables and keys of a keeper."""

from __future__ import annotations

import subprocess
import sys

import pytest

from safehold.telemetry.schema import REST, WIRE
from safehold.telemetry.stream import STREAMS, WHAT_TO_STREAM

# each takes a tenth of a second or more to load
HEAVY = (
    "pyarrow",
    "numpy",
    "sqlalchemy",
    "obstore",
    "re2",
    "safehold.vault",
    "safehold.keeper.desk",
)
# who asks the keeper for something, by the module that the command line loads for it
CALLERS = (
    "agents", "answering", "board", "charters", "containment", "grants", "incidents", "permit", "requests",
    "run", "setup", "signing_in", "sources", "trail", "verification", "watch",
)  # fmt: skip


@pytest.mark.parametrize("caller", CALLERS)
def test_who_asks_does_not_load_what_answers(caller: str) -> None:
    code = f"import sys, safehold.cli, safehold.app.{caller}; print(*sorted({set(HEAVY)!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []


def test_the_streams_by_name_are_those_with_columns() -> None:
    """Names and columns lie in two files, so that names can be had without Arrow; they are told in one order."""
    assert tuple(WIRE) == tuple(REST) == STREAMS
    assert set(WHAT_TO_STREAM.values()) == set(STREAMS)
