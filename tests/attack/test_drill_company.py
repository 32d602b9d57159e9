"""Scenarios of the drill that play in a company of their own: each holds, its lake does not, its control turns red."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from safehold.app.drill.company import Company, found_company
from safehold.app.drill.place import Place
from safehold.app.drill.unguarded import require_twin
from safehold.assurance.drill.outcome import Findings
from safehold.assurance.drill.result import Try
from safehold.assurance.drill.scenario import BY_ID
from safehold.errors import DeniedError
from safehold.keeper.client import KeeperClient
from safehold.settings import Home

SHORT = ("S06", "S08", "S09", "S11", "S23")
LONG = ("S07", "S10", "S12", "S13", "S19", "S20", "S21", "S22", "S24")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Company:
    return found_company(tmp_path_factory.mktemp("drill") / "company")


@pytest.fixture
def place(made: Company, tmp_path: Path) -> Place:
    """A drill in which nothing but the company is used."""
    with made.here():
        home = made.home
    one = Place(home=home, client=KeeperClient(home.socket), scratch=tmp_path, quick=True)
    one.__dict__["full_company"] = made
    return one


def case_of(scenario: str) -> ModuleType:
    return importlib.import_module(f"safehold.app.drill.cases.{BY_ID[scenario].module}")


def state(scenario: str, found: Findings) -> str:
    return Try(found=found).state(BY_ID[scenario])


def tried(scenario: str, place: Place) -> None:
    case = case_of(scenario)
    held = Try(found=case.attempt(place))
    assert held.state(BY_ID[scenario]) == "held", held.to_json(BY_ID[scenario])
    assert state(scenario, case.lake(place)) == "broken", (
        "a lake that exposes nothing proves nothing"
    )
    control = Try(found=case.control(place))
    assert control.state(BY_ID[scenario]) == "broken", control.to_json(BY_ID[scenario])


@pytest.mark.parametrize("scenario", SHORT)
def test_it_holds_and_without_its_guards_it_does_not(scenario: str, place: Place) -> None:
    tried(scenario, place)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", LONG)
def test_the_longer_ones_hold_and_without_their_guards_do_not(scenario: str, place: Place) -> None:
    tried(scenario, place)


@pytest.mark.proof
@pytest.mark.parametrize("scenario", ["S07", "S12", "S20", "S22"])
def test_the_whole_form_holds(scenario: str, place: Place) -> None:
    """32 workers and 8 agents; a setting until a source is refused; everybody asks; with a model."""
    place.quick = False
    found = Try(found=case_of(scenario).attempt(place))
    print(f"\n{scenario}: {found.to_json(BY_ID[scenario])}")
    assert found.state(BY_ID[scenario]) == "held", found.to_json(BY_ID[scenario])


def test_a_home_for_real_people_is_never_served_without_its_guards(
    made: Company, tmp_path: Path
) -> None:
    """A company passes by the charter that its board signed; any other home in this form does not, whatever marks it."""
    company = made.copy(tmp_path / "other")
    with company.here():
        require_twin(company.home, company.secret)
        with pytest.raises(DeniedError):
            require_twin(company.home, "another secret")
        file = company.home.charter_file
        file.write_bytes(file.read_bytes().replace(b'"drill.company"', b'"acme.company1"'))
        home: Home = company.home
        with pytest.raises(DeniedError):
            require_twin(home, company.secret)
        file.unlink()
        with pytest.raises(DeniedError):
            require_twin(home, company.secret)


def test_only_functions_of_the_drill_take_guards_away(made: Company, tmp_path: Path) -> None:
    company = made.copy(tmp_path / "other")
    for name in (
        "safehold.app.drill.cases.s06_pause:attempt",
        "safehold.keeper.door:without_door",
    ):
        with pytest.raises(DeniedError), company.keeper(off=[name]):
            pytest.fail("a keeper runs")


def test_a_copy_of_a_company_shares_nobody_with_it(made: Company, tmp_path: Path) -> None:
    other = made.copy(tmp_path / "other")
    name = next(iter(other.people))
    other.people["chief"], other.board["chief"] = other.people[name], other.people[name]
    assert "chief" not in {*made.people, *made.board}


def test_the_drill_is_no_option_of_the_keeper(made: Company) -> None:
    """The keeper's own process knows no guards to take away."""
    code = "import sys, safehold.app.keeper; print([n for n in sys.modules if 'drill' in n])"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=made.environment,
    )
    assert "unguarded" not in done.stdout
    assert "safehold.app.drill" not in done.stdout


def test_the_reference_names_every_scenario_and_every_guard() -> None:
    page = Path(__file__).resolve().parents[2] / "docs/reference/drill-company.md"
    text = page.read_text("utf-8")
    for scenario in (*SHORT, *LONG):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {scenario} |")]
        for name in vars(case_of(scenario)):
            if name.startswith("without_"):
                assert f"`{name}`" in row
