"""The made-up logs of a maker of consumer software: what they must keep to."""

import json
from collections import Counter
from datetime import datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from tests.access_loom import KINDS, company, live, write

FIELDS = [
    *("t", "principal", "kind", "role", "team", "action", "objects"),
    *("segment", "purpose", "rows", "bytes", "grant", "outcome"),
]
LOGS = [(1, 25), (3, 21)]
life = cache(live)


def when(text):
    return datetime.fromisoformat(text)


def day_of(firm, event):
    return (when(event["t"]) - firm.clock.first).days


def ordinary(seed, learn):
    """Events without those of attacks."""
    events, truth = life(seed, learn)
    odd = {n for x in truth for n in x["lines"]}
    return [e for n, e in enumerate(events, 1) if n not in odd]


@pytest.fixture(params=LOGS, ids=["seed-1", "seed-3"])
def log(request):
    return request.param


def test_same_seed_same_bytes(tmp_path: Path):
    events, truth = write(1, tmp_path / "log")
    assert (events.name, truth.name) == ("events.jsonl", "truth.jsonl")
    first = [json.loads(x) for x in events.read_text().splitlines()]
    assert (first, [json.loads(x) for x in truth.read_text().splitlines()]) == life(1, 25)
    again = tmp_path / "again"
    assert [p.read_bytes() for p in write(1, again)] == [events.read_bytes(), truth.read_bytes()]


def test_other_seeds_are_other_companies():
    a, b = company(1), company(2)
    assert not {p.name for p in a.people} >= {p.name for p in b.people}
    assert set(a.teams) != set(b.teams)
    assert set(a.things) != set(b.things)
    assert life(1, 25)[0][:50] != life(3, 21)[0][:50]


def test_events_are_whole_and_in_order_of_time(log):
    events, _ = life(*log)
    assert 80_000 < len(events) < 160_000
    assert 80 <= len({e["principal"] for e in events}) <= 130
    last = ""
    for e in events:
        assert list(e) == FIELDS
        assert e["t"].endswith("Z")
        assert last <= e["t"]
        last = e["t"]
        assert e["kind"] in ("human", "agent", "workload")
        assert e["outcome"] in ("ok", "denied")
        assert e["objects"]
        assert e["rows"] >= 0
        assert e["bytes"] >= 0
    days = (when(last) - when(events[0]["t"])).days + 1
    assert log[1] + 15 <= days <= log[1] + 17


def test_five_attacks_of_each_kind(log):
    _, truth = life(*log)
    assert Counter(x["kind"] for x in truth) == dict.fromkeys(KINDS, 5)
    assert len(KINDS) == 8
    for x in truth:
        assert x["variant"] in KINDS[x["kind"]].split()


def test_truth_names_its_own_lines(log):
    events, truth = life(*log)
    learned = company(*log).clock.first + timedelta(days=log[1])
    taken = Counter(n for x in truth for n in x["lines"])
    assert set(taken.values()) == {1}
    assert [x["from"] for x in truth] == sorted(x["from"] for x in truth)
    for x in truth:
        mine = [events[n - 1] for n in x["lines"]]
        assert x["lines"] == sorted(x["lines"])
        assert {e["principal"] for e in mine} == {x["principal"]}
        assert mine[0]["t"] == x["from"]
        assert mine[-1]["t"] < x["to"]
        assert when(x["from"]) >= learned


def test_attacks_of_one_principal_lie_a_day_apart(log):
    spans: dict[str, list] = {}
    for x in life(*log)[1]:
        spans.setdefault(x["principal"], []).append((when(x["from"]), when(x["to"])))
    for mine in spans.values():
        for (_, end), (begin, _) in pairwise(mine):
            assert begin - end >= timedelta(days=1)


def test_attacks_have_their_size(log):
    events, truth = life(*log)
    for x in truth:
        n = len(x["lines"])
        length = when(events[x["lines"][-1] - 1]["t"]) - when(x["from"])
        if x["kind"] in ("export", "join", "artifact", "first_time"):
            assert n <= 8
            assert length < timedelta(hours=3)
        elif x["kind"] == "runaway":
            assert n >= 12
            assert length < timedelta(hours=1)
        elif x["kind"] == "off_hours":
            assert n >= 5
            assert length < timedelta(days=3)
        else:
            assert timedelta(days=3) < length < timedelta(days=10)


def test_life_goes_on_beside_an_attack(log):
    events, truth = life(*log)
    odd = {n for x in truth for n in x["lines"]}
    mine = {(e["principal"], e["t"][:10]) for n, e in enumerate(events, 1) if n not in odd}
    for x in truth:
        if x["kind"] in ("slow", "scope"):
            days = {events[n - 1]["t"][:10] for n in x["lines"]}
            assert sum((x["principal"], d) in mine for d in days) >= len(days) - 1


def test_weekends_and_the_holiday_are_quiet(log):
    firm = company(*log)
    events = ordinary(*log)
    a_day = Counter(day_of(firm, e) for e in events if e["kind"] == "human")
    clock = firm.clock
    closed = {clock.holiday, *(d for o in firm.offices for d in o.holidays)}
    work = [a_day[d] for d in range(clock.days) if clock.weekday(d) < 5 and d not in closed]
    rest = [a_day[d] for d in range(clock.days) if clock.weekday(d) >= 5]
    usual = sum(work) / len(work)
    assert 0 < sum(rest) / len(rest) < 0.4 * usual
    assert 0 < a_day[clock.holiday] < 0.5 * usual
    machines = Counter(day_of(firm, e) for e in events if e["kind"] == "workload")
    assert machines[clock.holiday] > 0.6 * sum(machines.values()) / clock.days


def test_people_sleep_and_workloads_do_not(log):
    firm = company(*log)
    steady = {p.name: p.office.offset for p in firm.people if p.manner == "steady"}
    hours: Counter[int] = Counter()
    jobs: Counter[int] = Counter()
    for e in ordinary(*log):
        t = when(e["t"])
        if e["principal"] in steady:
            hours[(t + timedelta(hours=steady[e["principal"]])).hour] += 1
        elif e["kind"] == "workload":
            jobs[t.hour] += 1
    night = sum(hours[h] for h in range(6))
    assert 0 < night < 0.05 * sum(hours.values())
    assert sum(hours[h] for h in range(9, 18)) > 0.75 * sum(hours.values())
    assert min(jobs[h] for h in range(24)) > 0.015 * sum(jobs.values())


def test_people_come_and_go(log):
    firm = company(*log)
    seen: dict[str, list[int]] = {}
    for e in ordinary(*log):
        if e["kind"] == "human":
            seen.setdefault(e["principal"], []).append(day_of(firm, e))
    assert any(min(days) >= log[1] for days in seen.values())
    gone = [p for p in firm.people if p.last < firm.clock.days]
    assert gone
    for p in gone:  # one on call may see a night to its end
        assert max(seen[p.name]) <= p.last + 1
    assert any(
        len({e["team"] for e in ordinary(*log) if e["principal"] == p.name}) > 1
        for p in firm.people
    )


def test_grants_are_asked_for_before_they_are_given(log):
    events = ordinary(*log)
    asked, given = set(), set()
    for e in events:
        if e["action"] == "grant.request":
            asked.add(e["objects"][0])
        elif e["action"] == "grant.approve":
            assert e["objects"][0] in asked
            given.add(e["objects"][0])
        elif e["grant"] in asked:
            assert e["grant"] in given
    assert len(given) > 15
    assert any(e["outcome"] == "denied" for e in events)
