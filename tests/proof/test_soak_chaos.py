"""Must show 5 of part 10: half an hour of mixed load, with every part killed, halted and cut off at random.

``SAFEHOLD_CHAOS_SECONDS`` sets how long there is load, ``SAFEHOLD_CHAOS_SEED`` what is done and when, and
``SAFEHOLD_CHAOS_PLAN`` names a ``plan.json`` that is played again instead. ``SAFEHOLD_CHAOS_OUT`` keeps what was recorded;
``SAFEHOLD_CHAOS_PAGE`` names the page whose measured part is replaced.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest
from tests.chaos.drive import LONG, drive
from tests.chaos.judge import tell
from tests.chaos.plan import Plan, make_plan
from tests.chaos.table import put_into

SECONDS = float(os.environ.get("SAFEHOLD_CHAOS_SECONDS", "1800"))


@pytest.mark.proof
def test_half_an_hour_of_chaos(tmp_path: Path) -> None:
    out = Path(os.environ.get("SAFEHOLD_CHAOS_OUT", tmp_path / "chaos"))
    if file := os.environ.get("SAFEHOLD_CHAOS_PLAN"):
        plan = Plan.read(Path(file))
    else:
        seed = int(os.environ.get("SAFEHOLD_CHAOS_SEED", secrets.randbelow(1 << 31)))
        plan = make_plan(seed, SECONDS)
    print(f"\nseed {plan.seed}, {plan.seconds:.0f} seconds, {len(plan.faults)} faults; {out}")
    came = drive(out / "site", plan, LONG)
    text = (out / "table.md").read_text("utf-8")
    print(text)
    if page := os.environ.get("SAFEHOLD_CHAOS_PAGE"):
        put_into(Path(page), text)
    assert not came.findings, f"seed {plan.seed}:\n{tell(came.findings)}"
