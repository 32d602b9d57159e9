"""A choice counts as the ledger tells it, whatever the control database says.

Where a twin is used every seal of a row is right, since a copy of the keeper made it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.devices import edit, keep_control, put_back
from tests.world import EVIDENCE, World, raised

from safehold.errors import TamperedError
from safehold.ids import PersonId
from safehold.subjects import Standing


@pytest.fixture
def somebody(world: World) -> str:
    return world.participants()[0]


def _enrol(world: World, *names: str) -> None:
    people = [{"person": name, "jurisdiction": "US-CA", "streams": ["key"]} for name in names]
    world.call("people.enrol", people=people, evidence=EVIDENCE)


def _refused(world: World) -> None:
    error = raised(world.start)
    assert isinstance(error, TamperedError)
    assert error.rule == "subjects.rollback"


def _slip_in(world: World, twin: World, path: Path, somebody: str | None = None) -> None:
    """Put the twin's control database, or one person's row of it, in the place of ours."""
    name = None if somebody is None else world.person(somebody)
    twin.stop()
    world.stop()
    theirs = keep_control(twin, path / "theirs.db")
    if name is None:
        put_back(world, theirs)
        return
    with sqlite3.connect(theirs) as base:
        row = base.execute("SELECT sealed, version FROM person WHERE id = ?", (name,)).fetchone()
    base.close()
    with sqlite3.connect(world.home.control) as base:
        base.execute("UPDATE person SET sealed = ?, version = ? WHERE id = ?", (*row, name))
    base.close()


@pytest.mark.parametrize("whole", [True, False])
def test_another_choice_of_the_same_number_is_not_slipped_in(
    world: World, twin: World, somebody: str, tmp_path: Path, *, whole: bool
) -> None:
    """Here the person withdrew; in the copy they paused and are in."""
    world.choose(somebody, "withdraw")
    twin.choose(somebody, "pause")
    _slip_in(world, twin, tmp_path, None if whole else somebody)
    _refused(world)


def test_another_past_is_not_carried_on(
    world: World, twin: World, somebody: str, tmp_path: Path
) -> None:
    """One choice behind is what a crash leaves, but only if the choices before it are ours."""
    world.choose(somebody, "withdraw")
    world.choose(somebody, "pause")
    twin.choose(somebody, "resume")
    _slip_in(world, twin, tmp_path, somebody)
    _refused(world)


def test_people_whom_the_ledger_does_not_name_are_not_slipped_in(
    world: World, twin: World, tmp_path: Path
) -> None:
    _enrol(twin, "stranger")
    _slip_in(world, twin, tmp_path)
    _refused(world)


def _more(twin: World, name: PersonId, standing: Standing) -> None:
    """A choice that no leaf tells of."""
    twin.desk.people.change(name, lambda _: replace(standing, streams=frozenset({"chat"})))


def _other(twin: World, name: PersonId, standing: Standing) -> None:
    """Another standing at the enrolment."""
    people = twin.desk.people
    sealed = people._seal(name, 1, replace(standing, streams=frozenset({"chat"})))
    with sqlite3.connect(twin.home.control) as base:
        assert base.execute("UPDATE person SET sealed = ? WHERE id = ?", (sealed, name)).rowcount
    base.close()


def _other_origin(twin: World, name: PersonId, standing: Standing) -> None:
    """The same, and the row says of itself that it came so."""
    people = twin.desk.people
    false = replace(standing, streams=frozenset({"chat"}))
    people._origin[name] = replace(people.origin(name), first=false.digest())
    _other(twin, name, standing)


def _there_and_back(twin: World, name: PersonId, standing: Standing) -> None:
    """Two choices that no leaf tells of; the second undoes the first."""
    _more(twin, name, standing)
    twin.desk.people.change(name, lambda _: standing)


def test_two_choices_that_are_missing_are_no_crash(
    world: World, twin: World, somebody: str, tmp_path: Path
) -> None:
    """Not even if they changed nothing in the end."""
    world.choose(somebody, "resume")
    world.choose(somebody, "resume")
    _slip_in(world, twin, tmp_path, somebody)
    _refused(world)


@pytest.mark.parametrize("how", [_more, _other, _other_origin, _there_and_back])
def test_somebody_who_chose_nothing_since_is_as_enrolled(
    world: World, twin: World, somebody: str, tmp_path: Path, how: Callable[..., Any]
) -> None:
    name = PersonId(twin.person(somebody))
    how(twin, name, twin.desk.people.standing(name))
    _slip_in(world, twin, tmp_path, somebody)
    _refused(world)


@pytest.mark.parametrize("chose", [False, True])
def test_nobody_disappears(world: World, somebody: str, *, chose: bool) -> None:
    if chose:
        world.choose(somebody, "withdraw")
    name = world.person(somebody)
    world.stop()
    edit(world, f"DELETE FROM person WHERE id = '{name}'")  # noqa: S608
    _refused(world)


def test_a_whole_enrolment_of_people_who_chose_does_not_disappear(world: World) -> None:
    _enrol(world, "newcomer")
    world.choose("newcomer", "withdraw")
    name = world.person("newcomer")
    world.stop()
    edit(world, f"DELETE FROM person WHERE id = '{name}'")  # noqa: S608
    _refused(world)


def _cut(*_arguments: Any) -> Any:
    raise OSError("power cut")


def test_an_enrolment_that_a_crash_cut_short_can_be_done_again(world: World) -> None:
    people = world.desk.people
    people._insert = _cut  # type: ignore[method-assign]
    raised(lambda: _enrol(world, "newcomer"))
    world.restart()
    assert not world.desk.people.knows("newcomer")
    _enrol(world, "newcomer")
    world.restart()
    assert world.desk.people.knows("newcomer")


@pytest.mark.parametrize("choice", ["pause", "withdraw", "consent"])
def test_a_choice_that_a_crash_cut_short_is_finished(
    world: World, somebody: str, choice: str
) -> None:
    more = {"streams": ["chat"], "evidence": EVIDENCE} if choice == "consent" else {}
    world.desk.people.change = _cut  # type: ignore[method-assign]
    raised(lambda: world.choose(somebody, choice, **more))
    world.restart()
    standing = world.desk.people.standing(PersonId(world.person(somebody)))
    assert standing.paused(world.clock.now_us()) == (choice == "pause")
    assert (standing.withdrawn_us is not None) == (choice == "withdraw")
    assert (standing.streams == {"chat"}) == (choice == "consent")
    world.restart()  # and it is finished once
