"""What a person chose decides what may be used."""

from dataclasses import replace

import pytest

from safehold import canonical
from safehold.errors import ConsentError, InvalidError
from safehold.subjects import Case, Pause, Span, Standing, Voice

NEW = Standing(external="ana", jurisdiction="US-CA")


def test_nobody_is_in_until_they_opt_in():
    with pytest.raises(ConsentError, match="opted in"):
        NEW.allowed(at_us=10)


def test_opt_in_is_stream_by_stream():
    assert NEW.consent(["key"], at_us=5, evidence="form").allowed(at_us=10) == {"key"}


def test_a_pause_withholds_from_its_start_until_it_ends():
    paused = NEW.consent(["key"], at_us=5, evidence="form").pause(at_us=10)
    for at in (9, 10, 11):  # a clock that is set back does not end it
        with pytest.raises(ConsentError, match="paused"):
            paused.allowed(at_us=at)
    resumed = paused.resume(at_us=20)
    assert resumed.pauses == (Pause(10, 20),)
    assert resumed.allowed(at_us=20) == resumed.allowed(at_us=9) == {"key"}
    for at in (10, 19):
        with pytest.raises(ConsentError):
            resumed.allowed(at_us=at)


def test_pausing_twice_is_one_pause():
    paused = NEW.pause(at_us=10)
    assert paused.pause(at_us=11) == paused


def test_a_pause_within_a_planned_one_has_no_end():
    planned = replace(NEW.consent(["key"], at_us=5, evidence="form"), pauses=(Pause(10, 20),))
    assert planned.allowed(at_us=20) == {"key"}
    paused = planned.pause(at_us=12)
    with pytest.raises(ConsentError, match="paused"):
        paused.allowed(at_us=20)
    assert paused.resume(at_us=25).allowed(at_us=25) == {"key"}


def test_a_withdrawal_withholds_for_good_and_a_new_opt_in_starts_anew():
    gone = NEW.consent(["key"], at_us=5, evidence="form").withdraw(at_us=10)
    with pytest.raises(ConsentError, match="withdrawn"):
        gone.allowed(at_us=11)
    assert gone.consent(["chat"], at_us=12, evidence="form 2").allowed(at_us=13) == {"chat"}


def test_a_record_reads_back_and_a_damaged_one_is_refused():
    standing = NEW.consent(["key", "chat"], at_us=5, evidence="form").pause(at_us=9)
    assert Standing.from_record(standing.to_record()) == standing
    with pytest.raises(InvalidError):
        Standing.from_record({"external": "ana"})


def _case(name: str, right: str, *about: str) -> Case:
    return Case(id=name, right=right, about=about, at_us=10, due_us=100)


def test_a_standing_with_everything_set_comes_back_as_it_was() -> None:
    full = (
        NEW.consent(["key"], at_us=5, evidence="form", purposes=["a", "b"])
        .pause(at_us=6, start_us=50, end_us=60)
        .object_to(_case("c1", "object", "a"))
        .restrict(_case("c2", "restrict"))
        .contest(_case("c3", "correct", "label"), [Span("key", 1, 2, "c3")])
        .move(at_us=11, jurisdiction="US-WA", level="manager")
    )
    full = replace(full, voice=Voice().invite("x", at_us=1).take("k", at_us=2, by_code=True))
    again = Standing.from_record(canonical.decode(canonical.encode(full.to_record())))
    assert again == full
    assert again.digest() == full.digest()


def test_what_is_not_set_is_not_written_so_that_older_standings_keep_their_digest() -> None:
    assert set(NEW.to_record()) == {
        "external", "jurisdiction", "streams", "consented_us", "withdrawn_us", "pauses", "evidence",
        "anew_us",
    }  # fmt: skip


def test_an_opt_in_covers_the_purposes_it_named_and_an_older_one_all() -> None:
    old = NEW.consent(["key"], at_us=5, evidence="form")
    assert old.agrees("a")
    named = NEW.consent(["key"], at_us=5, evidence="form", purposes=["a"])
    assert (named.agrees("a"), named.agrees("b")) == (True, False)
    assert named.bar("b", "key", 1) == "subjects.purpose"


def test_answered_cases_are_remembered_up_to_a_number_and_open_ones_always() -> None:
    standing = NEW
    for number in range(60):
        standing = standing.object_to(_case(f"c{number}", "object", "a"))
        if number % 2:
            standing = standing.answer(f"c{number}", "upheld", at_us=20)
    assert sum(case.open for case in standing.cases) == 30
    assert sum(not case.open for case in standing.cases) <= 21


@pytest.mark.parametrize(
    ("pause", "holds", "over"),
    [
        (Pause(10), (0, 10, 99), ()),
        (Pause(10, 20), (10, 19), (9, 20)),
        (Pause(10, 20, 10), (0, 10, 19), (20,)),
        (Pause(10, 20, 5), (10, 19), (9, 20)),
        (Pause(10, None, 5), (10, 99), (9,)),
    ],
)
def test_when_a_pause_holds(pause: Pause, holds: tuple[int, ...], over: tuple[int, ...]) -> None:
    assert all(pause.holds(at) for at in holds)
    assert not any(pause.holds(at) for at in over)


def test_a_pause_that_ends_before_it_begins_is_none() -> None:
    with pytest.raises(InvalidError, match="ends after it begins"):
        NEW.pause(at_us=10, start_us=20, end_us=20)
