"""What is shipped for the gate is what the rules say, and a rule that is not shipped is worked out."""

from __future__ import annotations

from importlib.resources import files

from safehold.dlp.engine import chosen
from safehold.dlp.engine.chosen import PLACE, chosen_for, ship, work_out
from safehold.dlp.pattern import load_patterns


def test_what_is_shipped_is_what_the_rules_say() -> None:
    shipped = files("safehold.dlp.engine").joinpath(PLACE).read_bytes()
    made = ship((rule.pattern, rule.needs) for rule in load_patterns())
    assert shipped == made, "after a change of the rules: python docs/generate_chosen.py"


def test_what_is_read_is_what_was_written() -> None:
    for rule in load_patterns()[::7]:
        assert chosen_for(rule.pattern, rule.needs) == work_out(rule.pattern, rule.needs), rule.id


def test_a_rule_of_ones_own_is_worked_out() -> None:
    pattern = r"zq-[0-9]{3}-canary"
    assert chosen._key(pattern, ()) not in chosen._shipped()
    found = chosen_for(pattern, ())
    assert found.words
    assert found.digits == 3
    assert found.within
    # and other words of its own make another rule of it
    assert chosen._key(pattern, ("canary",)) != chosen._key(pattern, ())
