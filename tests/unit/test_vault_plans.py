"""A person's blocks and keys are found by an index, whatever else the control database holds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.vaults import make_home, plain, rows

from safehold.catalog.register import Catalog
from safehold.catalog.row import Rows
from safehold.db import metadata
from safehold.vault.keyring import PERSON, KeyName


@pytest.fixture
def home(tmp_path):
    home = make_home(tmp_path)
    metadata.create_all(home.engine, checkfirst=True)
    made = [plain(f"psn_{number}", table=rows(3)) for number in range(30)]
    sealed = home.vault.seal(made, segment="de")
    with home.engine.begin() as connection:
        Rows(b"k" * 32).insert(connection, "src", [sealed], kind="telemetry", state="live")
    return home


def _plans(home, work) -> list[str]:
    """What SQLite does for each query of some work."""
    asked: list[tuple[str, object]] = []

    def note(_connection, _cursor, statement, parameters, *_):
        if statement.lstrip().upper().startswith("SELECT"):
            asked.append((statement, parameters))

    sa.event.listen(home.engine, "before_cursor_execute", note)
    try:
        work()
    finally:
        sa.event.remove(home.engine, "before_cursor_execute", note)
    assert asked
    with home.engine.begin() as connection:
        return [
            " / ".join(
                row[3]
                for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            )
            for statement, parameters in asked
        ]


def test_the_blocks_of_a_person_are_found_by_an_index(home):
    catalog = Catalog(home.engine, key=b"k" * 32, sealer=home.vault.sidecar)
    found = []
    (plan,) = _plans(home, lambda: found.extend(catalog.blocks_of("psn_7")))
    assert [block.person for block in found] == ["psn_7"]
    assert "SEARCH block USING INDEX" in plan
    assert "person=?" in plan
    assert "SCAN block" not in plan


def test_the_keys_of_a_person_are_found_by_an_index(home):
    name = KeyName(PERSON, "psn_7", "key", plain().label.expires)
    found = {}
    plans = _plans(home, lambda: found.update(home.vault._lookup.find("de", {name})))
    assert name in found
    assert all("SCAN" not in plan for plan in plans)
    assert any("SEARCH vault_key USING INDEX" in plan and "owner=?" in plan for plan in plans)
