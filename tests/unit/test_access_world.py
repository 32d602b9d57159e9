"""The log that the detector is measured on: the same for a seed, fair, and as mixed as it says."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import pytest
from tests.access_world import VARIANTS, live
from tests.access_world.almanac import DAY_US, START_US
from tests.access_world.flood import around

from safehold.sentinel.event import KINDS, OUTCOMES


@pytest.fixture(scope="module")
def world():
    return live(3, people=40, days=45)


def test_the_same_seed_gives_the_same_lines_and_another_gives_others(world):
    again = live(3, people=40, days=45)
    assert [one.line() for one in again.deeds] == [one.line() for one in world.deeds]
    assert again.truth() == world.truth()
    assert live(4, people=40, days=45).deeds[0].line() != world.deeds[0].line()


def test_every_kind_is_there_five_times_in_five_variants(world):
    truth = world.truth()
    assert Counter(one["kind"] for one in truth) == dict.fromkeys(VARIANTS, 5)
    assert len({(one["kind"], one["variant"]) for one in truth}) == 40


def test_nothing_happens_while_it_is_learnt_what_is_usual_and_lines_are_in_order(world):
    times = [one.t for one in world.deeds]
    assert times == sorted(times)
    assert all(one.t >= START_US + 25 * DAY_US for one in world.deeds if one.attack is not None)
    assert {one.kind for one in world.deeds} == set(KINDS)
    assert {one.outcome for one in world.deeds} == set(OUTCOMES)


def test_the_truth_names_lines_of_its_principal_within_its_window(world):
    for one in world.truth():
        for line in one["lines"]:
            deed = world.deeds[line - 1]
            assert deed.principal == one["principal"]
            assert one["from"] <= deed.line()["t"] <= one["to"]


def test_attackers_have_a_past_and_their_own_life_goes_on(world):
    for one in world.truth():
        mine = [deed for deed in world.deeds if deed.principal == one["principal"]]
        first = world.deeds[one["lines"][0] - 1].t
        assert sum(deed.t < first for deed in mine) >= 12
        assert any(deed.attack is None and deed.t > first for deed in mine)


def test_what_is_called_new_is_new(world):
    for one in world.truth():
        line = world.deeds[one["lines"][0] - 1]
        before = [
            deed for deed in world.deeds[: one["lines"][0] - 1] if deed.principal == line.principal
        ]
        if one["kind"] == "first_time":
            assert line.segment not in {deed.segment for deed in before}
        elif one["kind"] == "join":
            mine = world.deeds[one["lines"][0] - 1].objects
            earlier = {deed.objects for deed in before}
            assert mine not in earlier
            assert mine[::-1] not in earlier
        elif one["variant"] == "stranger":
            assert line.action not in {deed.action for deed in before}


def test_most_work_is_done_under_grants_that_were_asked_for(world):
    data = [one for one in world.deeds if one.segment and not one.action.startswith("grant.")]
    assert sum(one.grant is not None for one in data) > 0.9 * len(data)
    asked = {one.principal for one in world.deeds if one.action == "grant.request"}
    assert asked >= {
        one.principal for one in data if one.kind == "human" and one.purpose and one.grant
    } - {one.principal for one in data if one.purpose == "keep_the_service_running"}


@pytest.mark.parametrize("manner", ["self", "one", "many"])
def test_a_flood_adds_ordinary_lines_around_one_attack_and_loses_none(world, manner):
    lines = list(around(world, 3, 12, manner, events=3_000))
    assert len(lines) == len(world.deeds) + 3_000
    assert [one.t for one in lines] == sorted(one.t for one in lines)
    assert sum(one.attack is not None for one in lines) == sum(
        one.attack is not None for one in world.deeds
    )


def test_the_command_writes_both_files(tmp_path):
    subprocess.run(
        [sys.executable, "-m", "tests.access_world", "--seed", "3", "--people", "40", "--days", "45", "--out", str(tmp_path)],
        check=True,
    )  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {
        "t", "principal", "kind", "role", "team", "action", "objects", "segment", "purpose", "rows", "bytes",
        "grant", "outcome",
    }  # fmt: skip
    truth = [json.loads(line) for line in (tmp_path / "truth.jsonl").read_text().splitlines()]
    assert all(
        lines[line - 1]["principal"] == one["principal"] for one in truth for line in one["lines"]
    )
