"""Kill -9 a run at a few random moments; the long form is ``tests/proof/test_kill.py``."""

from __future__ import annotations

import random
import time
from pathlib import Path

from tests.killing import finish, found_office, look, one_round, start_run

KILLS = 6


def test_a_killed_run_loses_and_doubles_nothing(tmp_path: Path) -> None:
    office = found_office(tmp_path / "office", people=12, pace=400, seed=31)
    whole = office.copy(tmp_path / "whole")
    started = time.monotonic()
    finish(start_run(office, whole))
    longest = time.monotonic() - started
    expected = look(whole)
    dice = random.Random()  # noqa: S311 - moments, not secrets
    killed, left = one_round(office, tmp_path / "killed", kills=KILLS, longest=longest, dice=dice)
    assert killed >= 1
    assert left == expected
