"""The mill of access logs: repeatable, in order, and its truth points at what it says."""

import collections
import datetime as dt
import itertools
import json

import pytest
from tests.access_mill import write
from tests.access_mill.mill import ordinary

KINDS = {"export", "join", "artifact", "runaway", "off_hours", "first_time", "slow", "scope"}
LEARN = 6


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """One small log as written to a folder, with its lines parsed."""
    folder = tmp_path_factory.mktemp("mill")
    write(5, folder, learn_days=LEARN)
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    truth = [json.loads(line) for line in (folder / "truth.jsonl").read_text().splitlines()]
    return folder, events, truth


def test_the_same_seed_gives_the_same_bytes_and_another_seed_another_log(log, tmp_path):
    folder, events, _ = log
    write(5, tmp_path, learn_days=LEARN)
    for name in ("events.jsonl", "truth.jsonl"):
        assert (folder / name).read_bytes() == (tmp_path / name).read_bytes()
    other, journal = ordinary(6, LEARN)
    assert len(journal.lines) > 1000
    assert {one.name for one in other.people} - {one["principal"] for one in events}


def test_lines_are_in_order_of_time_and_have_the_fields_of_the_format(log):
    _, events, _ = log
    assert all(a["t"] <= b["t"] for a, b in itertools.pairwise(events))
    fields = "t principal kind role team action objects segment purpose rows bytes grant outcome"
    for one in events:
        assert list(one) == fields.split()
        assert one["kind"] in {"human", "agent", "workload"}
        assert one["outcome"] in {"ok", "denied"}
        assert one["objects"]
        assert all(one["objects"])
        assert one["rows"] >= 0
        assert one["bytes"] >= 0
        assert one["grant"] is None or one["grant"]
    assert dt.datetime.fromisoformat(events[0]["t"]).tzinfo is not None
    assert events[0]["t"].endswith("Z")


def test_lines_of_an_attack_are_by_its_principal_and_inside_its_window(log):
    _, events, truth = log
    first = dt.datetime.fromisoformat(events[0]["t"]).replace(hour=0, minute=0, second=0)
    for attack in truth:
        lines = [events[number - 1] for number in attack["lines"]]
        assert {line["principal"] for line in lines} == {attack["principal"]}
        assert attack["from"] == lines[0]["t"]
        start = dt.datetime.fromisoformat(attack["from"])
        assert start >= first + dt.timedelta(days=LEARN)
        slow = attack["kind"] in {"slow", "scope"}
        last = dt.datetime.fromisoformat(lines[-1]["t"])
        hours = dt.datetime.fromisoformat(attack["to"]) - last
        assert abs(hours - dt.timedelta(hours=24 if slow else 1)) < dt.timedelta(seconds=1)
        assert slow or 1 <= len(lines) <= 12
        assert not slow or dt.timedelta(days=3) < last - start < dt.timedelta(days=10)


def test_there_are_five_of_each_kind_never_two_at_a_time_by_one_principal(log):
    _, _, truth = log
    assert collections.Counter(one["kind"] for one in truth) == dict.fromkeys(KINDS, 5)
    lines = [number for one in truth for number in one["lines"]]
    assert len(lines) == len(set(lines))
    by = collections.defaultdict(list)
    for one in truth:
        by[one["principal"]].append(one)
    for attacks in by.values():
        for a, b in itertools.pairwise(sorted(attacks, key=lambda one: one["from"])):
            gap = dt.datetime.fromisoformat(b["from"]) - dt.datetime.fromisoformat(a["to"])
            assert gap > dt.timedelta(hours=24)
