"""Every durable step of a board at work is a crash point: propose, sign, refuse, stop, resume, roster, enact."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
from tests import board_crashing as boards
from tests.crashing import Yard

EVERY = int(os.environ.get("SAFEHOLD_BOARD_EVERY", "1"))


@pytest.mark.proof
def test_every_step_of_a_board_is_a_crash_point(tmp_path: Path) -> None:
    base = boards.found_boardroom(tmp_path / "base")
    yard = Yard("tests.board_crashing", base.path, str(base.clock.at_us))
    began = time.monotonic()
    try:
        whole = boards.survive(yard, base, tmp_path, die_at=0)
        expected = boards.continued(base, tmp_path / "at-0", whole)
        # what lies between the end of one step and the beginning of the next changes nothing on the disk
        points = [at for at, name in enumerate(whole.steps, 1) if name.startswith("after ")][
            ::EVERY
        ]
        for die_at in (1, *points):
            acks = boards.survive(yard, base, tmp_path, die_at=die_at)
            path = tmp_path / f"at-{die_at}"
            assert boards.continued(base, path, acks) == expected, whole.steps[die_at - 1]
            shutil.rmtree(path)
    finally:
        yard.close()
    print(
        f"{len(points) + 1} crash points over {len(whole.events)} acts of the board in"
        f" {time.monotonic() - began:.0f} s: nothing lost, nothing twice"
    )
