"""Kill -9 between any two steps of the board: nothing that was acknowledged is lost, nothing happens twice.

The long form, every step, is in tests/proof/test_board_points.py.
"""

from __future__ import annotations

from pathlib import Path

from tests import board_crashing as boards
from tests.crashing import Yard

POINTS = 3


def test_a_killed_board_goes_on_where_it_was(tmp_path: Path) -> None:
    base = boards.found_boardroom(tmp_path / "base")
    yard = Yard("tests.board_crashing", base.path, str(base.clock.at_us))
    try:
        whole = boards.survive(yard, base, tmp_path, die_at=0)
        acts = [name for name, _ in whole.events]
        assert {"propose", "refuse", "stop", "resume", "rotate", "enact", "replace"} <= set(acts)
        expected = boards.continued(base, tmp_path / "at-0", whole)
        assert (expected["charter"], len(expected["roster"]), expected["open"]) == (2, 3, [])
        for number in range(1, POINTS + 1):
            die_at = len(whole.steps) * number // (POINTS + 1)
            acks = boards.survive(yard, base, tmp_path, die_at=die_at)
            assert boards.continued(base, tmp_path / f"at-{die_at}", acks) == expected, die_at
    finally:
        yard.close()
