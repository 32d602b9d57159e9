"""Plans of a soak: the same from the same seed, every kind as often as any other, and played again from a file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from tests.chaos.plan import CALM, KINDS, WARM_S, Plan, make_plan, short_plan
from tests.chaos.table import BEGIN, END, put_into

TWICE_WITHIN_S = 2  # a second fault may begin so much later


def test_a_plan_follows_from_its_seed() -> None:
    assert make_plan(7, 1_800) == make_plan(7, 1_800)
    assert make_plan(7, 1_800) != make_plan(8, 1_800)


def test_half_an_hour_holds_every_kind() -> None:
    for seed in range(20):
        plan = make_plan(seed, 1_800)
        kinds = Counter(one.name for one in plan.faults)
        assert set(kinds) == {" ".join(filter(None, one[:3])) for one in KINDS}
        assert max(kinds.values()) - min(kinds.values()) <= 1, "as often as any other"
        assert all(WARM_S <= one.at_s < 1_800 for one in plan.faults)


def test_there_is_a_calm_stretch_in_a_long_run() -> None:
    for seed in range(20):
        begins = [one.at_s for one in make_plan(seed, 1_800).faults]
        assert not [at for at in begins if CALM[0] * 1_800 + TWICE_WITHIN_S < at < CALM[1] * 1_800]
        assert any(at < CALM[0] * 1_800 for at in begins)
        assert any(at > CALM[1] * 1_800 for at in begins)


def test_no_part_is_struck_while_it_is_struck() -> None:
    for seed in range(20):
        until: dict[str, float] = {}
        for one in make_plan(seed, 1_800).faults:
            place = (
                "keepers" if one.part in ("leader", "standby", "worker", "sentinel") else one.part
            )
            assert one.at_s >= until.get(place, 0)
            until[place] = one.at_s + one.for_s


def test_a_plan_is_played_again_from_its_file(tmp_path: Path) -> None:
    plan = make_plan(3, 600)
    plan.write(tmp_path / "plan.json")
    assert Plan.read(tmp_path / "plan.json") == plan


def test_the_short_form_kills_every_part_and_cuts_both_lines() -> None:
    done = {(one.part, one.what) for one in short_plan(1).faults}
    assert done >= {(part, "kill") for part in ("leader", "worker", "portal", "monitor", "front", "consumer", "database", "store", "queue")}  # fmt: skip
    assert done >= {("database", "cut"), ("store", "cut"), ("leader", "halt")}


def test_the_page_names_every_part_that_is_struck_and_every_variable() -> None:
    root = Path(__file__).resolve().parents[2]
    page = (root / "docs/reference/soak.md").read_text("utf-8")
    proof = (root / "tests/proof/test_soak_chaos.py").read_text("utf-8")
    assert set(re.findall(r"SAFEHOLD_CHAOS_[A-Z]+", proof)) == set(
        re.findall(r"^\| `(SAFEHOLD_CHAOS_[A-Z]+)` \|", page, re.MULTILINE)
    )
    named = page.partition("## What is done to it")[2].partition("## What is compared")[0]
    words = {
        "leader": "keeper that leads",
        "standby": "keeper that stands by",
        "worker": "a sandbox",
    }
    for part, *_ in KINDS:
        assert words.get(part, part) in named, part
    assert page.count(BEGIN) == page.count(END) == 1


def test_what_was_measured_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    put_into(page, "new\n")
    assert page.read_text("utf-8") == f"before\n{BEGIN}\n\nnew\n\n{END}\nafter\n"
