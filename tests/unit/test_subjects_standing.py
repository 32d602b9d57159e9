"""What a person chose decides what may be used."""

from dataclasses import replace

import pytest

from safehold.errors import ConsentError, InvalidError
from safehold.subjects import Pause, Standing

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
