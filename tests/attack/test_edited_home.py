"""A home that was edited at rest: charter, board, the record of the home, rows of the control database."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.seated import wider
from tests.world import EVIDENCE, PURPOSE, World, raised

from safehold.charter import Charter
from safehold.errors import ConflictError, DeniedError, QuorumError, SafeholdError, TamperedError
from safehold.signing import SigningKey


def _feature(world: World) -> dict[str, Any]:
    return world.call("feature", purpose=PURPOSE)


# -- charter and board swapped --------------------------------------------------------------------


def _edited(path: Path, how: Callable[[dict[str, Any]], None]) -> None:
    tree = json.loads(path.read_bytes())
    how(tree)
    path.write_bytes(json.dumps(tree, sort_keys=True, separators=(",", ":")).encode())


def test_an_edited_charter_is_not_opened(world: World) -> None:
    world.stop()

    def wider(tree: dict[str, Any]) -> None:
        tree["charter"]["version"] = 9

    _edited(world.home.charter_file, wider)
    assert isinstance(raised(world.start), TamperedError | QuorumError)


def test_an_older_signed_charter_is_not_put_back(world: World) -> None:
    old = world.home.charter_file.read_bytes()
    first = world.charter()
    tree = first.to_json() | {"version": 2}
    world.enact(Charter.from_json(tree))
    error = raised(lambda: world.enact(first))
    assert isinstance(error, DeniedError)
    assert error.rule == "charter.version"
    world.stop()
    world.home.charter_file.write_bytes(old)
    assert isinstance(raised(world.start), TamperedError)
    world.home.charter_file.unlink()
    assert isinstance(raised(world.start), TamperedError)


def test_a_charter_without_its_quorum_is_not_enacted(world: World) -> None:
    new = wider(world.charter())
    for seats in ([], ["privacy"], ["security", "privacy", "legal", "hr", "ml_lead"]):
        error = raised(lambda seats=seats: world.enact(new, seats=seats))
        assert isinstance(error, QuorumError)
    assert world.charter().version == 1


def test_an_edited_roster_is_not_opened(world: World) -> None:
    from safehold import canonical
    from safehold.app.setup import first_roster
    from safehold.charter import Rosters
    from safehold.charter.vocabulary import SEATS

    whole = world.home.roster_file.read_bytes()
    world.stop()
    mine = {seat: SigningKey.generate() for seat in SEATS}
    board = first_roster(world.home, mine, now_us=world.clock.now_us())
    chain = Rosters.found(board.to_json())  # sound in itself, of people nobody chose
    world.home.roster_file.write_bytes(canonical.encode(chain.to_json()))
    assert isinstance(raised(world.start), TamperedError)
    world.home.roster_file.write_bytes(whole[:-20])
    assert isinstance(raised(world.start), SafeholdError)
    world.home.roster_file.write_bytes(whole)
    world.start()


def test_a_real_home_does_not_become_a_synthetic_one(world: World) -> None:
    """The record in the home says whether rules of real people apply; the ledger says so too."""
    world.stop()
    _edited(world.home.path / "home.json", lambda tree: tree.update(synthetic=False))
    from tests.world import outside

    from safehold.settings import Home

    with outside(world.path):
        world.home = Home.open(world.home.path)
    error = raised(world.start)
    assert isinstance(error, TamperedError)
    assert error.rule == "trust.home"


# -- rows of the control database -----------------------------------------------------------------


def _run_sql(world: World, *statements: str) -> None:
    with sqlite3.connect(world.home.control) as base:
        for statement in statements:
            assert base.execute(statement).rowcount, "the statement changed nothing"
    base.close()


def _refuses(world: World, holder: Any = None) -> SafeholdError:
    """Return what the keeper raises at its start, or at the next use."""
    try:
        world.start()
    except SafeholdError as error:
        return error
    if holder is not None:
        return world.train(holder)
    return raised(lambda: _feature(world))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE block SET expires = expires + 400",
        "UPDATE block SET person = (SELECT max(person) FROM block) WHERE stream = 'key'",
        "UPDATE block SET stream = 'pointer' WHERE stream = 'key'",
        "UPDATE block SET kind = 'derived'",
        "UPDATE block SET segment = 'us-wa.key' WHERE segment = 'us-ca.key'",
        "UPDATE block SET record ="
        " CAST(replace(CAST(record AS TEXT), 'train_ui_agent', 'rank_employees') AS BLOB)",
        "UPDATE block SET mac = zeroblob(32)",
        "UPDATE person SET sealed = zeroblob(length(sealed))",
        "UPDATE person SET version = version + 1",
        "UPDATE person SET sealed = (SELECT p.sealed FROM person p ORDER BY p.id LIMIT 1)",
    ],
)
def test_an_edited_row_is_refused(world: World, statement: str) -> None:
    world.stop()
    _run_sql(world, statement)
    error = _refuses(world)
    if "kind" in statement:  # nothing is left to open
        assert isinstance(error, TamperedError | DeniedError)
    else:
        assert isinstance(error, TamperedError), repr(error)
    assert not world.workshop.packed


def test_a_person_s_older_choice_is_not_put_back(world: World, somebody: str) -> None:
    """A database administrator restores the sealed row from before the withdrawal."""
    name = world.person(somebody)
    with sqlite3.connect(world.home.control) as base:
        old = base.execute("SELECT sealed, version FROM person WHERE id = ?", (name,)).fetchone()
    base.close()
    world.choose(somebody, "withdraw")
    world.stop()
    with sqlite3.connect(world.home.control) as base:
        base.execute("UPDATE person SET sealed = ?, version = ? WHERE id = ?", (*old, name))
    base.close()
    try:
        world.start()
    except TamperedError:
        return
    assert world.desk.people.standing(name).withdrawn_us is not None


def test_an_older_control_database_does_not_undo_a_withdrawal(
    world: World, somebody: str, tmp_path: Path
) -> None:
    world.stop()
    shutil.copy(world.home.control, tmp_path / "old.db")
    world.start()
    world.choose(somebody, "withdraw")
    world.choose(somebody, "consent", streams=["key"], evidence=EVIDENCE)
    world.choose(somebody, "withdraw")
    world.stop()
    for file in world.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(tmp_path / "old.db", world.home.control)
    try:
        world.start()
    except TamperedError:
        return
    assert world.desk.people.standing(world.person(somebody)).withdrawn_us is not None


def test_a_person_who_was_deleted_and_enrolled_anew_gives_no_rows(
    world: World, somebody: str
) -> None:
    name = world.person(somebody)
    world.choose(somebody, "withdraw")
    world.stop()
    _run_sql(world, f"DELETE FROM person WHERE id = '{name}'")  # noqa: S608
    try:
        world.start()
        world.call(
            "people.enrol",
            people=[{"person": somebody, "jurisdiction": "US-CA", "streams": ["key"]}],
            evidence=EVIDENCE,
        )
        world.call("feature", purpose=PURPOSE)
    except SafeholdError:
        return  # closed, which is right as well
    assert somebody not in set(world.held("derived"))


def test_a_revocation_is_not_undone_in_the_database(world: World) -> None:
    _feature(world)
    grant, holder = world.pass_()
    world.call("grant.revoke", grant=grant)
    world.stop()
    _run_sql(world, "UPDATE access_grant SET revoked = 0")
    error = _refuses(world, holder)
    assert isinstance(error, TamperedError) or error.rule == "grant.revoked", repr(error)


def test_a_revoked_grant_is_not_enacted_again_after_its_row_was_deleted(world: World) -> None:
    _feature(world)
    key = SigningKey.generate()
    grant, approvals = world.grant(key)
    asked = {"grant": grant.to_json(), "approvals": approvals}
    world.call("grant.enact", **asked)
    world.call("grant.revoke", grant=grant.id)
    world.stop()
    _run_sql(world, "DELETE FROM access_grant")
    world.start()
    error = raised(lambda: world.call("grant.enact", **asked))
    assert isinstance(error, DeniedError | TamperedError | ConflictError)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE access_grant SET entry = 0",
        "UPDATE access_grant SET entry = entry + 1",
        "DELETE FROM access_grant",
    ],
)
def test_uses_are_not_refunded_in_the_database(world: World, statement: str) -> None:
    _feature(world)
    _, holder = world.pass_(max_runs=1)
    assert world.train(holder).rule == "test.train"
    world.stop()
    _run_sql(world, statement)
    error = _refuses(world, holder)
    assert isinstance(error, TamperedError) or error.rule in {"grant.runs", "grant.revoked"}


def test_an_edited_grant_is_refused(world: World) -> None:
    _feature(world)
    _, holder = world.pass_(max_runs=1)
    world.stop()
    _run_sql(
        world,
        "UPDATE vault_secret SET sealed = zeroblob(length(sealed)) WHERE name LIKE 'grant/%'",
    )
    error = _refuses(world, holder)
    assert isinstance(error, TamperedError), repr(error)


def test_a_refund_of_the_budget_is_not_possible_in_the_database(world: World) -> None:
    _feature(world)
    _, holder = world.pass_()
    assert world.train(holder).rule == "test.train"
    left = world.call("budget.show")["budgets"][0]["epsilon_left"]
    assert left == 0
    world.restart()
    assert world.call("budget.show")["budgets"][0]["epsilon_left"] == 0
    _, again = world.pass_()
    assert world.train(again).rule == "privacy.budget"
