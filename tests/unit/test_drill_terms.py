"""Whose charter a twin runs under, and which terms of it differ."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import found_bench

from safehold import canonical
from safehold.app.drill import terms as terms_module
from safehold.app.drill.terms import CHANGES, demo_terms, terms_of
from safehold.charter import Charter, load, shipped
from safehold.errors import InvalidError

TOUCHED = {"participation", "purposes", "who_may", "oversight", "gates", "audit"}


class Deployment:
    """A home, as far as its charter is asked for."""

    def __init__(self, charter: Charter, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(terms_module, "charter_in_force", lambda _home: charter)


def spoilt(change: Callable[[dict[str, Any]], object]) -> Charter:
    tree = canonical.decode(canonical.encode(load(shipped("demo")).to_json()))
    change(tree)
    return Charter.from_json(tree)


@pytest.mark.parametrize("name", ["demo", "example"])
def test_a_charter_that_can_carry_the_scenarios_is_the_twins(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = load(shipped(name))
    Deployment(own, monkeypatch)
    found = terms_of(None)  # type: ignore[arg-type]
    assert (found.own, found.base, found.why) == (True, own.digest().hex(), "")
    before, after = own.to_json(), found.charter.to_json()
    differs = {one for one in after if after[one] != before.get(one)}
    assert differs <= TOUCHED, "red lines, promises and what is collected stay as they are"
    assert set(found.changed) <= {name for name, _ in CHANGES}
    told = found.to_json()
    assert told["charter"] == "the deployment's own"
    assert told["why_not_own"] is None


def test_nothing_of_a_real_home_but_its_charter_is_asked_for(tmp_path: Path) -> None:
    bench = found_bench(tmp_path).start()
    found = terms_of(bench.home)
    assert found.base in {bench.charter().digest().hex(), demo_terms().base}
    assert found.own == (found.why == "")
    bench.stop()


@pytest.mark.parametrize(
    ("change", "lacks"),
    [
        (lambda tree: tree["purposes"].update(other=tree["purposes"].pop("train_ui_agent")), "purpose"),
        (lambda tree: tree["purposes"]["train_ui_agent"].update(stages=["ingest"]), "stages"),
        (lambda tree: tree["purposes"]["train_ui_agent"]["privacy"].update(min_people=51), "50 people"),
        (lambda tree: tree["purposes"]["train_ui_agent"]["privacy"].update(epsilon_micro=1), "privacy budget"),
        (lambda tree: tree["places"].update(collect_in=["US-CA"]), "US-WA"),
        (lambda tree: tree["collect"][0]["minimise"].update(apps=["mail"]), "every application"),
        (lambda tree: tree["who_may"]["data_scientist"]["grant"].update(max_s=3600), "four hours"),
        (lambda tree: tree["oversight"]["restart_after_stop"].update(needs=[]), "restart"),
        (lambda tree: tree.update(promises=tree["promises"][2:]), "promise"),
    ],
)  # fmt: skip
def test_one_that_cannot_is_said_and_the_demos_is_used(
    change: Callable[[dict[str, Any]], object], lacks: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    Deployment(spoilt(change), monkeypatch)
    found = terms_of(None)  # type: ignore[arg-type]
    assert not found.own
    assert lacks in found.why
    assert found.charter == demo_terms().charter
    assert found.to_json()["why_not_own"] == found.why


def test_a_home_without_a_charter_is_drilled_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(_home: object) -> Charter:
        raise InvalidError("no charter is in force", rule="charter.unsigned")

    monkeypatch.setattr(terms_module, "charter_in_force", none)
    assert terms_of(None).why == "no charter is in force"  # type: ignore[arg-type]
