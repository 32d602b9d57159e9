"""A device counts when the ledger says so, whatever the control database says."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from tests.devices import DEVICE, OTHER, edit, keep_control, put_back, refused
from tests.world import World, raised

from safehold.errors import TamperedError

pytestmark = pytest.mark.usefixtures("collectors_are_let_in")


@pytest.fixture
def people(world: World) -> list[str]:
    return world.participants()


@pytest.fixture
def person(world: World, people: list[str]) -> str:
    world.add(people[0], DEVICE)
    return people[0]


# -- in the ledger before it counts ----------------------------------------------------------------


def _cut(*_arguments: Any, **_more: Any) -> Any:
    raise OSError("power cut")


@pytest.mark.parametrize("what", ["add", "remove"])
def test_a_change_that_is_not_in_the_ledger_does_not_count(
    world: World, people: list[str], what: str
) -> None:
    if what == "remove":
        world.add(people[0], DEVICE)
    ledger = world.desk.ledger
    append, ledger.append = ledger.append, _cut  # type: ignore[method-assign]
    act = world.add if what == "add" else world.remove
    raised(lambda: act(people[0], DEVICE))
    ledger.append = append  # type: ignore[method-assign]
    if what == "add":
        refused(world, people[0], DEVICE)
    else:
        assert world.obtain(people[0], DEVICE)["lease"]


def test_a_crash_between_leaf_and_row_is_finished_from_the_ledger(
    world: World, people: list[str]
) -> None:
    somebody = people[0]
    for act, lives in ((world.add, True), (world.obtain, True), (world.remove, False)):
        devices = world.desk.devices
        put, devices.put_all = devices.put_all, _cut  # type: ignore[method-assign]
        raised(lambda act=act: act(somebody, DEVICE))
        if act == world.remove:
            # nothing is given any more, although the row still says it is enrolled
            error = raised(lambda: world.obtain(somebody, DEVICE))
            assert error.rule == "lease.device"
        devices.put_all = put  # type: ignore[method-assign]
        world.restart()
        if lives:
            assert world.call("source.list", person=somebody)["devices"]
        else:
            refused(world, somebody, DEVICE)
    (device,) = world.call("source.list", person=somebody)["devices"]
    assert None not in device.values()


def test_leaves_of_devices_look_like_other_choices(world: World, person: str) -> None:
    start = world.desk.ledger.size
    world.add(person, OTHER)
    world.obtain(person, OTHER)
    world.remove(person, OTHER)
    world.choose(person, "pause")
    choices = [(at, leaf) for at, leaf in world.desk.ledger.leaves(start) if leaf["k"] == "choice"]
    assert len(choices) == 4
    assert len({tuple(sorted(leaf)) for _, leaf in choices}) == 1
    assert not any(leaf.get("pub") for _, leaf in choices)
    journal = world.desk.ledger._journal
    assert len({len(journal.sidecar(at)) for at, _ in choices}) == 1
    with sqlite3.connect(world.home.control) as base:
        rows = base.execute("SELECT id, sealed FROM device").fetchall()
    base.close()
    assert len({len(sealed) for _, sealed in rows}) == 1
    for name, sealed in rows:
        for clear in (DEVICE.public.text(), OTHER.public.text(), world.person(person), person):
            assert clear.encode() not in sealed
            assert clear not in name


# -- the control database is edited, or another one is put in its place ---------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE device SET sealed = zeroblob(length(sealed))",
        "UPDATE device SET version = version + 1",
        "UPDATE device SET version = version - 1",
        "UPDATE device SET id = 'dev_' || substr(id, 6) || '0'",
        "UPDATE device SET sealed = (SELECT d.sealed FROM device d ORDER BY d.id LIMIT 1)",
        "INSERT INTO device SELECT 'dev_00', sealed, version FROM device LIMIT 1",
        "DELETE FROM device",
    ],
)
def test_an_edited_row_isrefused(world: World, person: str, statement: str) -> None:
    world.obtain(person, DEVICE)
    world.add(person, OTHER)
    world.stop()
    edit(world, statement)
    assert isinstance(raised(world.start), TamperedError)


def test_an_older_row_does_not_undo_a_removal(world: World, person: str) -> None:
    with sqlite3.connect(world.home.control) as base:
        old = base.execute("SELECT sealed, version FROM device").fetchone()
        world.remove(person, DEVICE)
        world.stop()
        base.execute("UPDATE device SET sealed = ?, version = ?", old)
    base.close()
    world.start()  # one step behind is what a crash leaves: the ledger's word is written
    refused(world, person, DEVICE)


@pytest.mark.parametrize("used", [False, True])
def test_an_older_control_database_does_not_undo_a_removal(
    world: World, person: str, tmp_path: Path, *, used: bool
) -> None:
    world.stop()
    old = keep_control(world, tmp_path / "old.db")
    world.start()
    if used:
        world.obtain(person, DEVICE)
    world.remove(person, DEVICE)
    world.stop()
    put_back(world, old)
    if used:  # two changes behind: the older database cannot even find the newer leaf
        assert raised(world.start).rule == "subjects.rollback"
    else:
        world.start()
        refused(world, person, DEVICE)


def test_a_device_that_the_ledger_does_not_name_is_not_slipped_in(
    world: World, twin: World, people: list[str], tmp_path: Path
) -> None:
    """Every seal of the row is right, since a copy of the keeper made it; only the ledger does not know it."""
    twin.add(people[0], OTHER)
    twin.stop()
    world.stop()
    put_back(world, keep_control(twin, tmp_path / "theirs.db"))
    assert raised(world.start).rule == "source.rollback"


def test_another_history_of_the_same_length_is_not_slipped_in(
    world: World, twin: World, people: list[str], tmp_path: Path
) -> None:
    """Here the device was removed; in the copy it got a lease instead, and its row is as new."""
    for one in (world, twin):
        one.add(people[0], DEVICE)
    world.remove(people[0], DEVICE)
    twin.obtain(people[0], DEVICE)
    twin.stop()
    world.stop()
    put_back(world, keep_control(twin, tmp_path / "theirs.db"))
    assert raised(world.start).rule == "source.rollback"


def test_choices_that_cannot_be_read_are_not_passed_over(world: World, person: str) -> None:
    world.desk.vault.shred(sidecar_before=2**31 - 1)
    world.stop()
    assert raised(world.start).rule == "subjects.rollback"


@pytest.mark.parametrize("what", ["withdraw", "remove"])
def test_a_control_database_of_another_month_undoes_nothing(
    world: World, person: str, tmp_path: Path, what: str
) -> None:
    """It lacks the key to what the ledger says of the months after it, and must not be believed for that."""
    world.stop()
    old = keep_control(world, tmp_path / "old.db")
    world.later(days=40)
    world.start()
    if what == "remove":
        world.remove(person, DEVICE)
    else:
        world.choose(person, "withdraw")
    world.stop()
    put_back(world, old)
    assert raised(world.start).rule == "subjects.rollback"
