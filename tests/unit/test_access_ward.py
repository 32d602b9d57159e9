"""The made-up log of a group of hospitals: the same for a seed, in order, with its attacks named."""

import datetime as dt
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.access_ward import live, write
from tests.access_ward.attacks import EACH, KINDS
from tests.access_ward.company import Principal, World
from tests.access_ward.life import ordinary

SEED, LEARN = 3, 25
Made = tuple[tuple[Path, Path], list[dict[str, Any]], list[dict[str, Any]]]


def when(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """One log as written, and where it lies."""
    paths = write(SEED, tmp_path_factory.mktemp("ward"), LEARN)
    events, truth = ([json.loads(x) for x in p.read_text().splitlines()] for p in paths)
    return paths, events, truth


@pytest.fixture(scope="module")
def world() -> World:
    """The company of that log, with its ordinary life only."""
    return ordinary(SEED, LEARN)


def test_a_seed_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = write(SEED, tmp_path, LEARN)
    assert [p.name for p in again] == ["events.jsonl", "truth.jsonl"]
    for a, b in zip(made[0], again, strict=True):
        assert a.read_bytes() == b.read_bytes()


def test_another_seed_is_another_company(made: Made) -> None:
    events, truth = live(SEED + 1, LEARN)
    people = {e["principal"] for e in made[1]}, {e["principal"] for e in events}
    assert len(people[0] & people[1]) < len(people[0]) / 2
    assert truth != made[2]
    assert {e["segment"] for e in events} != {e["segment"] for e in made[1]}


def test_events_are_whole_and_in_order(made: Made) -> None:
    _, events, _ = made
    names = "t principal kind role team action objects segment purpose rows bytes grant outcome"
    last = ""
    for e in events:
        assert list(e) == names.split()
        assert e["t"] >= last
        assert e["t"].endswith("Z")
        last = e["t"]
        assert e["kind"] in {"human", "agent", "workload"}
        assert e["outcome"] in {"ok", "denied"}
        assert e["objects"]
        assert all(isinstance(x, str) and x for x in e["objects"])
        assert len(set(e["objects"])) == len(e["objects"])
        assert type(e["rows"]) is int
        assert type(e["bytes"]) is int
        assert min(e["rows"], e["bytes"]) >= 0
        assert e["grant"] is None or e["grant"]
        assert e["outcome"] == "ok" or e["rows"] == e["bytes"] == 0
    assert 95_000 <= len(events) <= 155_000
    assert 80 <= len({e["principal"] for e in events}) <= 130
    days = (when(events[-1]["t"]) - when(events[0]["t"])).total_seconds() / 86400
    assert LEARN + 14 < days <= LEARN + 17


def test_one_principal_is_one_kind(made: Made) -> None:
    kinds = defaultdict(set)
    for e in made[1]:
        kinds[e["principal"]].add((e["kind"], e["role"]))
    assert all(len(x) == 1 for x in kinds.values())
    assert {k for x in kinds.values() for k, _ in x} == {"human", "agent", "workload"}


def test_truth_names_its_own_lines(made: Made) -> None:
    _, events, truth = made
    start = when(events[0]["t"]).replace(hour=0, minute=0, second=0)
    taken: Counter[int] = Counter()
    for x in truth:
        own = [events[n - 1] for n in x["lines"]]
        assert x["lines"] == sorted(x["lines"])
        assert own
        assert {e["principal"] for e in own} == {x["principal"]}
        assert own[0]["t"] == x["from"]
        assert own[-1]["t"] < x["to"]
        assert when(x["from"]) >= start + dt.timedelta(days=LEARN)
        hours = (when(x["to"]) - when(own[-1]["t"])).total_seconds() / 3600
        assert hours == pytest.approx(6 if x["kind"] in {"slow", "scope"} else 1, abs=0.01)
        taken.update(x["lines"])
    assert max(taken.values()) == 1
    assert [x["lines"][0] for x in truth] == sorted(x["lines"][0] for x in truth)


def test_five_of_each_kind_in_several_variants(made: Made) -> None:
    truth = made[2]
    assert Counter(x["kind"] for x in truth) == dict.fromkeys(KINDS, EACH)
    for kind in KINDS:
        assert len({x["variant"] for x in truth if x["kind"] == kind}) >= 3


def test_attacks_are_as_long_as_their_kind(made: Made) -> None:
    _, events, truth = made
    for x in truth:
        own = [when(events[n - 1]["t"]) for n in x["lines"]]
        span = (own[-1] - own[0]).total_seconds()
        if x["kind"] in {"export", "join", "artifact", "first_time"}:
            assert 1 <= len(own) <= 8
            assert span < 4 * 3600
        elif x["kind"] == "runaway":
            assert len(own) >= 12
            assert span < 3600
            assert events[x["lines"][0] - 1]["kind"] != "human"
        elif x["kind"] == "off_hours":
            assert span < 3 * 86400
        else:
            assert (own[-1].date() - own[0].date()).days >= 4
            assert span < 10 * 86400
            assert len({t.date() for t in own}) >= 4


def test_attacks_of_one_principal_lie_apart(made: Made) -> None:
    _, events, truth = made
    spans = defaultdict(list)
    for x in truth:
        own = [events[n - 1]["t"] for n in x["lines"]]
        spans[x["principal"]].append((when(own[0]), when(own[-1])))
    for found in spans.values():
        found.sort()
        for (_, end), (begin, _) in itertools.pairwise(found):
            assert begin - end >= dt.timedelta(days=1)


def test_the_attacked_live_on(made: Made) -> None:
    _, events, truth = made
    lines = {n for x in truth for n in x["lines"]}
    days = defaultdict(set)
    for n, e in enumerate(events, 1):
        if n not in lines:
            days[e["principal"]].add(e["t"][:10])
    for x in truth:
        before = [d for d in days[x["principal"]] if d < x["from"][:10]]
        assert len(before) >= 6
        if x["kind"] in {"slow", "scope"}:
            during = [d for d in days[x["principal"]] if x["from"][:10] <= d <= x["to"][:10]]
            assert len(during) >= 4


def by_day(world: World, fits: Callable[[Principal], bool]) -> Counter[int]:
    found: Counter[int] = Counter()
    for row in world.log:
        p = world.people[row[1]]
        if fits(p):
            found[world.days.local_hour(row[0], p.zone)[0]] += 1
    return found


def test_offices_rest_at_weekends_and_holidays(world: World) -> None:
    days = world.days
    count = by_day(world, lambda p: p.kind == "human" and p.pattern == "office")
    closed = {*days.holidays, *days.bridge, days.local}
    work = [count[d] for d in range(1, days.count - 1) if days.weekday(d) < 5 and d not in closed]
    free = [count[d] for d in range(1, days.count - 1) if days.weekday(d) > 4]
    assert max(free) < min(work) / 3
    assert days.holidays
    assert all(count[d] < min(work) / 3 for d in days.holidays)


def test_shifts_and_machines_never_rest(world: World) -> None:
    count = by_day(world, lambda p: p.kind != "human" or p.pattern in {"shift", "duty"})
    assert all(count[d] > 100 for d in range(1, world.days.count - 1))


def test_nights_belong_to_shifts_and_jobs(world: World) -> None:
    office: Counter[int] = Counter()
    shift: Counter[int] = Counter()
    for row in world.log:
        p = world.people[row[1]]
        if p.kind == "human":
            hour = int(world.days.local_hour(row[0], p.zone)[1])
            if p.pattern == "office":
                office[hour] += 1
            elif p.pattern in {"shift", "duty"}:
                shift[hour] += 1
    assert sum(office[h] for h in range(5)) < 0.02 * office.total()
    assert sum(shift[h] for h in range(5)) > 0.04 * shift.total()


def test_people_come_and_go_and_move(world: World) -> None:
    people = [p for p in world.people.values() if p.kind == "human"]
    seen = defaultdict(list)
    teams = defaultdict(set)
    for row in world.log:
        seen[row[1]].append(row[0] / 86400)
        teams[row[1]].add(row[4])
    joined = [p for p in people if p.joined > 0]
    left = [p for p in people if p.left < world.days.count]
    assert joined
    assert left
    assert any(len(x) > 1 for x in teams.values())
    assert all(min(seen[p.name]) > p.joined - 1 for p in joined if seen[p.name])
    assert all(max(seen[p.name]) < p.left + 1.5 for p in left if seen[p.name])


def test_ordinary_life_has_refusals_joins_exports_and_downloads(world: World) -> None:
    verbs = Counter(row[5] for row in world.log)
    say = world.words.verb
    for action in (
        "dataset.join",
        "result.export",
        "extract.export",
        "model.download",
        "share.send",
    ):
        assert verbs[say(action)] > 10
    denied = sum(row[12] == "denied" for row in world.log)
    assert 0.002 < denied / len(world.log) < 0.03
    assert verbs["access.request"]
    assert verbs["access.approve"]
    assert any(row[11] is None for row in world.log)
    assert any(row[11] for row in world.log)
