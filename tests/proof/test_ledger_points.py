"""A thousand crash points of the ledger: no acknowledged entry is lost, and every loss by storage is named."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from tests import ledger_points as points
from tests.crashing import Yard


@pytest.mark.proof
def test_a_thousand_crash_points(tmp_path: Path) -> None:
    base, yard = tmp_path / "base", Yard()
    points.found_desk(base)
    began = time.monotonic()
    steps = points.kill_at_steps(yard, base, tmp_path, every=1)
    moments = points.kill_at_moments(yard, base, tmp_path, kills=max(100, 1_000 - steps.points))
    assert steps.points + moments.points >= 1_000  # kill -9 alone
    tallies = [
        steps,
        moments,
        points.fail_at_steps(yard, base, tmp_path, every=1),
        points.fill_the_disk(yard, base, tmp_path, range(1 << 12, 600_000, 12_345)),
    ]
    crashed, acks = points.crashed_desk(yard, base, tmp_path)
    wal = (crashed / "ledger" / "journal.db-wal").read_bytes()
    page = points.page_size(crashed / "ledger" / "journal.db")
    for damages in (points.cuts(wal, page, every=1), points.flips(wal, page, every=1)):
        tally = points.damage_wal(crashed, acks, tmp_path, damages)
        assert tally.points == sum(tally.named.values()) + tally.opened
        tallies.append(tally)
    whole, acks = points.finished_desk(yard, base, tmp_path)
    size = (whole / "ledger" / "journal.db").stat().st_size
    tallies += [
        points.damage_pages(whole, acks, tmp_path, iter(range(3, size, 499))),
        points.tear_files(whole, tmp_path, every=1),
    ]
    yard.close()
    print(*tallies, sep="\n")
    total = sum(one.points for one in tallies)
    print(f"{total} points in {time.monotonic() - began:.0f} s: no acknowledged entry lost unnamed")
    assert all(one.points for one in tallies)
