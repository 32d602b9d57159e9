"""Kill -9 the whole tree of a run at 200 random moments: nothing lost, nothing twice, nothing readable."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest
from tests.killing import finish, found_office, look, one_round, start_run

KILLS = int(os.environ.get("SAFEHOLD_KILLS", "200"))
AT_ONCE = 5  # kills between two runs that end


@pytest.mark.proof
def test_kill_minus_nine_at_random_moments(tmp_path: Path) -> None:
    office = found_office(tmp_path / "office", people=40, pace=3_200, seed=1729)
    whole = office.copy(tmp_path / "whole")
    started = time.monotonic()
    finish(start_run(office, whole))
    longest = time.monotonic() - started
    expected = look(whole)
    assert sum(expected.rows.values()) > 10_000
    seed = int(time.time())
    dice = random.Random(seed)
    killed = rounds = 0
    while killed < KILLS:
        rounds += 1
        more, left = one_round(
            office,
            tmp_path / "killed",
            kills=min(AT_ONCE, KILLS - killed),
            longest=longest,
            dice=dice,
        )
        killed += more
        assert left == expected, f"seed {seed}, round {rounds}"
    print(f"{killed} kills in {rounds} rounds; a whole run takes {longest:.1f} s")
