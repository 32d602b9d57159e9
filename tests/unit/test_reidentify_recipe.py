"""The recipe of the attack reads what lies at rest, counts, and says nothing about too few people."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

from safehold.assurance.reidentify import recipe
from safehold.assurance.reidentify.gate import RiskAllowance, RiskGate
from safehold.assurance.reidentify.protect import protect
from safehold.assurance.risk import largest_bound
from safehold.errors import InvalidError, TamperedError
from safehold.ingest.rest import rest_batches
from safehold.sandbox.channel import pack_parts
from safehold.telemetry.stream import Level
from safehold.workforce import Spec, person_day

PEOPLE = 12
KINDS = ("profile", "discriminant")


@pytest.fixture(scope="module")
def parts() -> Iterator[int]:
    """Two streams of twelve people as they are sealed: keys at L0, pointer at L3."""
    spec = Spec(people=PEOPLE, days=1, start_day=20_780, seed=3, pace=1_000)
    held = []
    for who in range(PEOPLE):
        day = person_day(spec, who, 0)
        for stream, level in (("key", Level.L0), ("pointer", Level.L3)):
            table = protect(stream, day[stream], level)
            for one in rest_batches(stream, table, key=bytes(32), policy=bytes(32)):
                header = {"person": f"p{who}", "stream": stream, "window": one.window}
                held.append((header, one.table))
    memory = pack_parts(held)
    yield memory
    os.close(memory)


def run(memory: int, *, least: int, **changes: Any) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []
    spec = {"kinds": list(KINDS), "seed": 1, "steps": 20, "min_people": least} | changes
    recipe.main(spec, (memory,), lambda header, _body=b"": sent.append(header))
    return sent


def admit(sent: list[dict[str, Any]], *, least: int) -> list[dict[str, Any]]:
    gate = RiskGate(RiskAllowance(people=PEOPLE, min_people=least, kinds=KINDS))
    found = [gate.admit(header) for header in sent]
    gate.close()
    return found


def test_people_are_recognised_in_what_lies_at_rest_and_only_counts_come_out(parts: int) -> None:
    keys, pointer = admit(run(parts, least=2), least=2)
    assert (keys["stream"], keys["level"], keys["people"]) == ("key", 0, PEOPLE)
    assert keys["hits"] >= PEOPLE // 2  # raw rhythm, and chance is one of twelve
    assert (pointer["stream"], pointer["level"]) == ("pointer", 3)
    assert pointer["hits"] < keys["hits"]
    assert all(len(str(one["probe"]).rstrip("0")) <= 2 for one in (keys, pointer))


def test_of_too_few_people_only_their_number_comes_out(parts: int) -> None:
    for one in admit(run(parts, least=PEOPLE + 1), least=PEOPLE + 1):
        assert one["people"] == PEOPLE
        assert {one[name] for name in ("hits", "worst", "probe", "enrolled")} == {None}


def test_an_attack_takes_no_other_attackers_and_no_other_parts(parts: int) -> None:
    for changes in ({"kinds": ["guess"]}, {"people": ["p1"]}):
        with pytest.raises(InvalidError) as found:
            run(parts, least=2, **changes)
        assert found.value.rule == "reidentify.spec"


def test_a_run_that_ends_without_figures_does_not_pass(parts: int) -> None:
    with pytest.raises(TamperedError) as found:
        admit([], least=2)
    assert found.value.rule == "egress.whole"
    twice = run(parts, least=2)[:1] * 2
    with pytest.raises(TamperedError) as found:
        admit(twice, least=2)
    assert found.value.rule == "egress.once"


def test_a_promise_has_no_figure_while_a_dataset_is_not_measured() -> None:
    measured = {"state": "passed", "measured": [{"upper": 0.02}, {"upper": 0.011}]}
    failed = {"state": "failed", "measured": [{"upper": 0.2}]}
    assert largest_bound([])[0] is None
    assert largest_bound([measured])[0] == 20_000
    assert largest_bound([measured, failed])[0] == 200_000
    for state in ("unmeasured", "stale"):
        assert largest_bound([measured, {"state": state, "measured": []}])[0] is None
    # nothing is said of one of its streams
    beside = {"state": "failed", "measured": [{"upper": 0.2}, {"people": 3}]}
    assert largest_bound([measured, beside])[0] is None
