"""A few seconds of the soak that ``make proof`` runs for ten minutes."""

from __future__ import annotations

from pathlib import Path

from tests.soaking import check, soak, soaked_desk


def test_what_several_producers_append_at_once_is_whole_and_verifies(tmp_path: Path) -> None:
    desk = soaked_desk(tmp_path)
    found = soak(desk, seconds=2, producers=4, batch=250)
    assert len(found.spans) >= 4
    check(desk, found)
