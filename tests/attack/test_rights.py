"""Objection, restriction, correction and a move: each counts at once, has a clock, and is answered by who may."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, batch, chunk, copy_bench
from tests.rights_desk import ANA, KEYS, SECOND, found_rights, lease_of, people_in
from tests.voices import (
    STREAMS,
    Voice,
    answer_case,
    read_case,
)
from tests.world import PURPOSE, outside, raised

from safehold.assurance.measure import take
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import (
    DeniedError,
    InvalidError,
    MissingError,
    QuorumError,
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


# --- objection ------------------------------------------------------------------------------------


def test_an_objection_ends_one_purpose_at_once_and_no_other(bench: Bench, ana: Voice) -> None:
    assert (people_in(bench), people_in(bench, SECOND)) == (3, 3)
    asked = ana.choose("object", purposes=[SECOND], text="it is about me alone")
    assert ANA not in bench.blocks("derived"), "what was made for it is forgotten"
    assert (people_in(bench), people_in(bench, SECOND)) == (3, 2)
    assert asked["due_us"] > bench.clock.now_us()
    answer_case(bench, asked["case"], "upheld", "legal")
    assert people_in(bench, SECOND) == 2, "an objection that is upheld stays"
    assert not bench.call("rights.list")["requests"]


def test_of_a_stream_that_serves_no_purpose_any_more_nothing_is_recorded(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    assert set(lease_of(bench, device)["rules"]) == {"key", "pointer"}
    ana.choose("object", purposes=[PURPOSE])
    assert set(lease_of(bench, device)["rules"]) == {"pointer"}
    ana.choose("object", purposes=[SECOND])
    assert raised(lambda: lease_of(bench, device)).rule == "charter.collect"
    error = raised(lambda: bench.ingest(batch(ANA, bench.today - 1), chunk(), name="more"))
    assert "nobody on the roll" in error.message


def test_an_objection_is_refused_only_by_the_seats_that_every_widening_takes(
    bench: Bench, ana: Voice
) -> None:
    case = ana.choose("object", purposes=[SECOND])["case"]
    for seats in ((), ("privacy",), ("employee_representative",), ("hr", "legal", "security")):
        error = raised(lambda seats=seats: answer_case(bench, case, "refused", *seats))
        assert isinstance(error, QuorumError), repr(error)
        assert error.rule == "rights.against"
    assert people_in(bench, SECOND) == 2
    answer_case(bench, case, "refused", "privacy", "employee_representative")
    assert people_in(bench, SECOND) == 3
    told = ana.checked()[-1]
    assert (told.choice, told.said["outcome"], told.said["text"]) == (
        "answer",
        "refused",
        "because",
    )
    assert told.by == "seat:employee_representative seat:privacy"
    ana.choose("withdraw")  # whatever the board says
    assert people_in(bench, SECOND) == 2


def test_an_answer_is_to_one_request_of_this_home_and_counts_once(bench: Bench, ana: Voice) -> None:
    case = ana.choose("object", purposes=[SECOND])["case"]
    assert raised(lambda: answer_case(bench, case, "annotated")).rule == "rights.outcome"
    assert isinstance(raised(lambda: answer_case(bench, "cas_x", "upheld")), MissingError)
    answer_case(bench, case, "upheld")
    assert isinstance(raised(lambda: answer_case(bench, case, "upheld")), MissingError)
    stranger = dict(bench.seats)
    bench.seats = {**stranger, "privacy": SigningKey.generate()}
    other = ana.choose("object", purposes=[PURPOSE])["case"]
    assert raised(lambda: answer_case(bench, other, "upheld", "privacy")).rule == "rights.seat"


def test_opting_in_again_takes_an_objection_back(bench: Bench, ana: Voice) -> None:
    ana.choose("object", purposes=[SECOND])
    ana.choose("consent", streams=STREAMS, purposes=[SECOND])
    assert not bench.call("rights.list")["requests"]
    assert people_in(bench, SECOND) == 3
    assert people_in(bench) == 2, "and what was not named is not opted in to"


# --- who reads what somebody asked ----------------------------------------------------------------


def test_a_request_is_read_by_a_seat_alone_and_the_person_sees_who_read_it(
    bench: Bench, ana: Voice
) -> None:
    case = ana.choose("object", purposes=[SECOND], text="my reasons")["case"]
    (listed,) = bench.call("rights.list")["requests"]
    assert set(listed) == {"case", "right", "asked_us", "due_us", "overdue"}
    size = bench.desk.ledger.size
    error = raised(lambda: read_case(bench, case))
    assert isinstance(error, DeniedError)
    assert "choice" not in bench.leaves(size)
    told = read_case(bench, case, "legal")
    assert (told["person"], told["text"], told["about"]) == (ANA, "my reasons", [SECOND])
    assert [(one.choice, one.by) for one in ana.checked()][-1] == ("read", "seat:legal")


# --- restriction ----------------------------------------------------------------------------------


def test_a_restriction_withholds_every_key_and_ends_recording_until_it_is_lifted(
    bench: Bench, ana: Voice, device: SigningKey
) -> None:
    lease_of(bench, device)
    blocks = bench.blocks()[ANA]
    ana.choose("restrict", text="the place is wrong")
    assert (people_in(bench), bench.blocks()[ANA]) == (2, blocks), "sealed, and not used"
    assert raised(lambda: lease_of(bench, device)).rule == "subjects.restricted"
    assert not bench.verbs.leases._lessor._live
    bench.clock.advance(DAY_US)
    ana.choose("lift")
    assert people_in(bench) == 3
    (quiet,) = bench.desk.people.standing(bench.desk.people.find(ANA)).pauses
    assert quiet.end_us is not None
    assert quiet.end_us - quiet.start_us == DAY_US, "and nothing from meanwhile is ever taken"
    lease_of(bench, device)


def test_a_restriction_is_lifted_for_somebody_only_by_the_board(bench: Bench, ana: Voice) -> None:
    case = ana.choose("restrict")["case"]
    assert raised(lambda: answer_case(bench, case, "lifted", "legal")).rule == "rights.against"
    assert people_in(bench) == 2
    answer_case(bench, case, "kept")
    assert people_in(bench) == 2
    bench.clock.advance(SECOND_US)
    ana.choose("lift")
    bench.clock.advance(SECOND_US)
    again = ana.choose("restrict")["case"]
    bench.clock.advance(SECOND_US)
    answer_case(bench, again, "lifted", "privacy", "employee_representative")
    assert people_in(bench) == 3


# --- correction -----------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["corrected", "annotated"])
def test_what_is_contested_is_left_out_at_once_and_stays_so(
    bench: Bench, ana: Voice, outcome: str
) -> None:
    people_in(bench)
    yesterday = bench.today - 1
    bench.take(ANA, days_ago=2, name="b", first=10)
    asked = ana.choose("correct", about=["attribution"], days=[["pointer", yesterday, yesterday]])
    assert ANA not in bench.blocks("derived")
    people_in(bench)
    windows = {(one["person"], one["window"]) for one in bench.workshop.packed[-1]}
    assert len(windows) == 3
    assert yesterday - 1 in {window for _, window in windows}, "another day of hers is used"
    read_case(bench, asked["case"], "legal")
    answer_case(bench, asked["case"], outcome)
    people_in(bench)
    assert {(window) for _, window in windows} == {
        one["window"] for one in bench.workshop.packed[-1]
    }


def test_a_correction_that_is_refused_lets_the_days_be_used_again(bench: Bench, ana: Voice) -> None:
    day = bench.today - 1
    case = ana.choose("correct", about=["label"], days=[["pointer", day, day]])["case"]
    assert people_in(bench) == 2
    answer_case(bench, case, "refused", "privacy", "employee_representative")
    assert people_in(bench) == 3


@pytest.mark.parametrize(
    ("fields", "rule"),
    [
        ({"about": ["salary"], "days": [["key", 1, 1]]}, "subjects.correct"),
        ({"about": ["label"], "days": [["badge", 1, 1]]}, "subjects.days"),
        ({"about": ["label"], "days": [["key", 2, 1]]}, "subjects.days"),
        ({"about": ["label"], "days": [["key", 1, 10**9]]}, "subjects.days"),
        ({"about": ["label"], "text": "a\nb"}, "subjects.text"),
    ],
)
def test_a_correction_names_something_that_is_there(
    bench: Bench, ana: Voice, fields: dict[str, Any], rule: str
) -> None:
    error = raised(lambda: ana.choose("correct", **fields))
    assert (type(error), error.rule) == (InvalidError, rule)


# --- clocks ---------------------------------------------------------------------------------------


def test_a_request_that_is_not_answered_in_time_is_told_everywhere(
    bench: Bench, ana: Voice
) -> None:
    due = ana.choose("object", purposes=[SECOND])["due_us"]
    assert bench.call("status")["requests"] == {"open": 1, "overdue": 0, "next_due_us": due}
    bench.clock.at_us = due
    assert take("rights.overdue", bench.verbs).micro == 0
    bench.clock.advance(1)
    assert bench.call("status")["requests"]["overdue"] == 1
    assert bench.call("rights.list")["requests"][0]["overdue"] is True
    measured = take("rights.overdue", bench.verbs)
    assert measured.micro == 1_000_000
    answer_case(bench, bench.call("rights.list")["requests"][0]["case"], "upheld")
    assert take("rights.overdue", bench.verbs).micro == 0
