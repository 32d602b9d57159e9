"""Ten minutes of audited appends: a rate that holds, memory that does not grow, a log that verifies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.soaking import check, soak, soaked_desk

SECONDS = float(os.environ.get("SAFEHOLD_SOAK_SECONDS", "600"))
PRODUCERS = int(os.environ.get("SAFEHOLD_SOAK_PRODUCERS", "4"))
BATCH = 1_000
MOST_GROWTH = 256 << 20  # bytes; the entries of ten seconds alone would be more


@pytest.mark.proof
def test_ten_minutes_of_appends(tmp_path: Path) -> None:
    desk = soaked_desk(tmp_path)
    try:
        found = soak(desk, seconds=SECONDS, producers=PRODUCERS, batch=BATCH)
        print("\n" + found.text())
        assert found.growth < MOST_GROWTH
        check(desk, found)
    finally:
        shutil.rmtree(desk.directory)  # 1.2 KB an entry: up to 40 GB after ten minutes
