"""Pauses that are planned or have an end, moves, and the figures about all levels."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keeper_desk import Bench, batch, chunk, copy_bench
from tests.rights_desk import ANA, KEYS, SECOND, found_rights, lease_of, people_in
from tests.voices import (
    STREAMS,
    Voice,
    enrol,
)
from tests.world import PURPOSE, outside, raised

from safehold import canonical
from safehold.canonical import unb64
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import (
    BudgetSpentError,
)
from safehold.signing import SigningKey


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_rights(tmp_path_factory.mktemp("rights"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        one = copy_bench(made, tmp_path).start()
        yield one
        one.stop()


@pytest.fixture
def ana(bench: Bench) -> Voice:
    return Voice(bench, ANA, KEYS[ANA])


@pytest.fixture
def device(bench: Bench, ana: Voice) -> SigningKey:
    key = SigningKey.generate()
    bench.call("source.add", person=ANA, device=key.public.text())
    return key


# --- pauses ---------------------------------------------------------------------------------------


def test_a_planned_pause_begins_and_ends_by_itself(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    now = bench.clock.now_us()
    start, end = now + 600 * SECOND_US, now + 1200 * SECOND_US
    ana.choose("pause", start_us=start, end_us=end)
    lease = lease_of(bench, device)
    body = unb64(canonical.decode(lease["lease"].encode())["body"])
    assert [start, end] in canonical.decode(body)["silences"], "the collector is told"
    assert people_in(bench) == 3
    bench.clock.at_us = start
    assert raised(lambda: lease_of(bench, device)).rule == "subjects.paused"
    bench.verbs.leases.expire()
    assert not bench.verbs.leases._lessor._live, "the lease ended with the moment"
    assert people_in(bench) == 2
    bench.clock.at_us = end
    lease_of(bench, device)
    assert people_in(bench) == 3


def test_a_pause_that_began_holds_for_a_clock_that_was_set_back(bench: Bench, ana: Voice) -> None:
    now = bench.clock.now_us()
    ana.choose("pause", end_us=now + 3600 * SECOND_US)
    bench.clock.at_us = now - 60 * SECOND_US
    assert people_in(bench) == 2


@pytest.mark.parametrize("end", [None, 3600])
def test_a_pause_is_ended_before_its_time(
    bench: Bench, ana: Voice, device: SigningKey, end: int | None
) -> None:
    now = bench.clock.now_us()
    ana.choose("pause", **({} if end is None else {"end_us": now + end * SECOND_US}))
    assert raised(lambda: lease_of(bench, device)).rule == "subjects.paused"
    bench.clock.advance(60 * SECOND_US)
    ana.choose("resume")
    lease_of(bench, device)
    assert people_in(bench) == 3


def test_a_planned_pause_is_given_up_only_when_that_is_said(bench: Bench, ana: Voice) -> None:
    start = bench.clock.now_us() + DAY_US
    ana.choose("pause", start_us=start)
    ana.choose("resume")
    assert bench.desk.people.standing(bench.desk.people.find(ANA)).pauses
    ana.choose("resume", planned=True)
    assert not bench.desk.people.standing(bench.desk.people.find(ANA)).pauses


def test_a_pause_survives_a_restart_in_the_middle(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    end = bench.clock.now_us() + 600 * SECOND_US
    ana.choose("pause", end_us=end)
    bench.restart()
    assert raised(lambda: lease_of(bench, device)).rule == "subjects.paused"
    bench.clock.at_us = end
    lease_of(bench, device)


# --- moves ----------------------------------------------------------------------------------------


def test_a_move_within_the_charter_seals_new_data_under_the_new_place_and_old_stays(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    lease_of(bench, device)
    answer = bench.call("people.move", person=ANA, jurisdiction="US-WA")
    assert answer["in_charter"]
    assert not bench.verbs.leases._lessor._live, "what a lease agreed to was about the old place"
    lease_of(bench, device)
    bench.take(ANA, name="after", first=50)
    places = {
        block.label.jurisdiction
        for block in bench.desk.catalog.blocks(kind="telemetry", streams=STREAMS, after_day=0)
        if block.person == bench.desk.people.find(ANA)
    }
    assert places == {"US-CA", "US-WA"}
    assert people_in(bench) == 3
    told = ana.checked()[-1]
    assert (told.choice, told.by, told.said["jurisdiction"]) == ("move", "operator", "US-WA")


def test_nothing_from_before_a_move_is_taken_in_after_it(bench: Bench, ana: Voice) -> None:
    """Neither by a source that begins later nor by one that was under way."""
    answer = bench.ingest(
        batch(ANA, bench.today - 1, first=70),
        lambda: bench.call("people.move", person=ANA, jurisdiction="US-WA"),
        chunk(),
        name="under way",
    )
    assert answer["tally"]["taken"]["pointer"] == 0
    assert answer["tally"]["dropped"]["choice_changed"] == 2
    bench.take(ANA, name="later", first=90)
    (told,) = [spec for recipe, spec in bench.workshop.specs if recipe == "ingest"][-1:]
    assert told["people"][ANA]["pauses"][0] == [0, bench.clock.now_us()]


def test_where_the_charter_collects_nothing_recording_ends_at_once_and_the_place_is_named(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    """S09: a person moves from US-CA to DE."""
    lease_of(bench, device)
    answer = bench.call("people.move", person=ANA, jurisdiction="DE")
    assert (answer["place"], answer["in_charter"]) == ("DE", False)
    assert "no such place" in answer["recording"]
    assert not bench.verbs.leases._lessor._live
    assert raised(lambda: lease_of(bench, device)).rule == "charter.place"
    error = raised(lambda: bench.ingest(batch(ANA, bench.today, first=30), chunk(), name="late"))
    assert "nobody on the roll" in error.message
    assert (people_in(bench), bench.blocks()[ANA]) == (2, 1), "what was sealed stays sealed"
    # an operator does not bring her back; nor does a keeper that starts again
    bench.restart()
    back = raised(lambda: bench.call("people.move", person=ANA, jurisdiction="US-CA"))
    assert back.rule == "subjects.proxy"
    assert raised(lambda: lease_of(bench, device)).rule == "charter.place"


def test_somebody_who_was_swept_in_from_abroad_is_left_out_since_that_day(
    bench: Bench, ana: Voice
) -> None:
    bench.take(ANA, days_ago=3, name="b", first=10)
    answer = bench.call("people.move", person=ANA, jurisdiction="US-WA", since_day=bench.today - 2)
    assert answer["withheld"] == len(STREAMS)
    people_in(bench)
    mine = [one["window"] for one in bench.workshop.packed[-1]]
    assert sorted(mine) == [bench.today - 3, bench.today - 1, bench.today - 1]


# --- whether all levels take part -----------------------------------------------------------------


@pytest.fixture
def company(bench: Bench) -> Bench:
    for level, count in (("staff", 57), ("manager", 52), ("executive", 3)):
        enrol(bench, *(f"{level}{number}" for number in range(count)), level=level)
    return bench


def test_how_many_of_each_level_take_part_is_charged_before_and_a_small_group_joins_the_next(
    company: Bench,
) -> None:
    bench = company
    before, left = bench.desk.ledger.size, bench.desk.trust.left(SECOND).epsilon_micro
    answer = bench.call("people.symmetry", purpose=SECOND, epsilon_micro=500_000)
    assert [(one["group"], one["enrolled"]) for one in answer["figures"]] == [
        ("executive and manager", 55),
        ("staff", 60),
    ]
    assert all(0 <= one["taking_part"] <= one["enrolled"] for one in answer["figures"])
    assert bench.leaves(before) == ["access.intent", "release", "access.result"]
    facts = next(leaf for _, leaf in bench.desk.ledger.leaves(before))["pub"]
    assert (facts["epsilon_micro"], facts["delta_e12"], facts["unit"]) == (500_000, 0, "person")
    assert bench.desk.trust.left(SECOND).epsilon_micro == left - 500_000
    assert bench.call("people.count")["taking_part"]["figures"] == answer["figures"]
    bench.restart()
    assert bench.desk.trust.left(SECOND).epsilon_micro == left - 500_000


def test_what_comes_before_the_noise_is_the_exact_count_of_each_group(
    company: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.keeper import symmetry
    from safehold.privacy.counting import release_counts

    for name in ("staff0", "staff1", "manager0", "executive0"):
        person = company.desk.people.find(name)
        company.desk.people.change(
            person, lambda one: one.consent(STREAMS, at_us=1, evidence="x", signed=True)
        )
    monkeypatch.setattr(
        symmetry,
        "release_counts",
        lambda counts, **more: release_counts(counts, noise=lambda _epsilon: 0, **more),
    )
    answer = company.call("people.symmetry", purpose=SECOND, epsilon_micro=1)
    assert [one["taking_part"] for one in answer["figures"]] == [2, 2 + 3]


def test_no_figure_is_released_after_a_stop_that_came_while_it_was_counted(
    company: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safehold.keeper import symmetry

    def stop(counts: dict[str, int], **_more: object) -> dict[str, int]:
        company.call("stop", **company.order("stop"))
        return counts

    monkeypatch.setattr(symmetry, "release_counts", stop)
    size = company.desk.ledger.size
    late = raised(lambda: company.call("people.symmetry", purpose=SECOND, epsilon_micro=1))
    assert late.rule == "oversight.stop"
    assert company.leaves(size) == ["access.intent", "stop", "access.result", "refusal"]


def test_no_figure_without_a_budget_a_purpose_for_it_and_enough_people(bench: Bench) -> None:
    enrol(bench, *(f"p{number}" for number in range(46)))
    few = raised(lambda: bench.call("people.symmetry", purpose=SECOND, epsilon_micro=1))
    assert few.rule == "purpose.min_people"
    enrol(bench, "p49")
    other = raised(lambda: bench.call("people.symmetry", purpose=PURPOSE, epsilon_micro=1))
    assert other.rule == "purpose.releases"
    size = bench.desk.ledger.size
    dear = raised(lambda: bench.call("people.symmetry", purpose=SECOND, epsilon_micro=10**9))
    assert isinstance(dear, BudgetSpentError)
    assert "release" not in bench.leaves(size)
    assert (
        raised(lambda: bench.call("people.symmetry", purpose=SECOND, epsilon_micro=0)).rule
        == "privacy.epsilon"
    )
