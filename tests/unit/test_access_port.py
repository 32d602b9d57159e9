"""The made-up logs keep to what is said of them."""

import json
from collections import Counter
from datetime import datetime

import pytest
from tests.access_port import DAYS, live, write

LEARN = 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return write(3, tmp_path_factory.mktemp("log"), LEARN)


@pytest.fixture(scope="module")
def log(written):
    return tuple([json.loads(each) for each in path.read_text().splitlines()] for path in written)


def test_the_same_seed_gives_the_same_bytes(tmp_path, written):
    for first, again in zip(written, write(3, tmp_path, LEARN), strict=True):
        assert first.read_bytes() == again.read_bytes()


def test_other_seeds_give_other_logs(log):
    other = live(4, LEARN)
    assert other[0][:200] != log[0][:200]
    assert {e["principal"] for e in other[0]} != {e["principal"] for e in log[0]}


def test_lines_stand_in_order_of_time(log):
    moments = [e["t"] for e in log[0]]
    assert moments == sorted(moments)
    first, last = (datetime.fromisoformat(moments[i]) for i in (0, -1))
    assert LEARN + DAYS - 2 < (last - first).days + 1 <= LEARN + DAYS
    assert {e["outcome"] for e in log[0]} == {"ok", "denied"}
    assert {e["kind"] for e in log[0]} == {"human", "agent", "workload"}
    assert 80 <= len({e["principal"] for e in log[0]}) <= 140


def test_the_truth_names_its_own_lines(log):
    events, truth = log
    start = datetime.fromisoformat(events[0]["t"][:10] + "T00:00:00Z")
    used = [n for attack in truth for n in attack["lines"]]
    assert len(used) == len(set(used))
    windows = {}
    for attack in truth:
        mine = [events[n - 1] for n in attack["lines"]]
        assert {e["principal"] for e in mine} == {attack["principal"]}
        assert attack["from"] == mine[0]["t"] <= mine[-1]["t"] < attack["to"]
        begin, end = (datetime.fromisoformat(attack[k]) for k in ("from", "to"))
        assert (begin - start).days >= LEARN
        for other in windows.setdefault(attack["principal"], []):
            assert (begin - other).total_seconds() >= 86_400
        windows[attack["principal"]].append(end)


def test_there_are_five_attacks_of_each_kind(log):
    kinds = Counter(attack["kind"] for attack in log[1])
    assert kinds == dict.fromkeys(
        ("export", "join", "artifact", "runaway", "off_hours", "first_time", "slow", "scope"), 5
    )
