"""What people keep of a home, and what a home is: neither may change when it moves or comes back from a backup."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.keeper_desk import Bench

import safehold_verify
from safehold.catalog import tables as catalog
from safehold.db import rows as control_rows
from safehold.ledger.package import make_package, make_receipt
from safehold.settings import Home


def portrait(bench: Bench) -> dict[str, Any]:
    """Everything that a move must leave as it is: leaves, side-cars, tables, objects, and what opens."""
    desk = bench.desk
    journal = desk.ledger._journal
    size = desk.ledger.size
    with desk.engine.execution_options(reading=True).begin() as connection:
        blocks = [tuple(row) for row in connection.execute(sa.select(catalog.block).order_by("id"))]
    digests = control_rows.digest_tables(desk.engine)
    digests.pop("lead")
    store = desk.vault._objects
    opened = {}
    for block in desk.catalog.blocks(kind="telemetry", streams=("pointer",), after_day=0):
        for header, table in desk.vault.read([block]):
            opened[block.block_id.hex()] = (header.person, table.to_pylist())
    return {
        "leaves": [journal.leaf(index) for index in range(size)],
        "sidecars": [journal.sidecar(index) for index in range(size)],
        "identity": journal.identity(),
        "heads": journal.head_from(1),
        "blocks": blocks,
        "tables": digests,
        "objects": {name: store.get(name) for name in store.names()},
        "opened": opened,
    }


@dataclass
class Kept:
    """What somebody outside has kept of a home: to be checked again at any time, offline."""

    path: Path
    head: bytes
    receipt: bytes
    leaf: bytes
    counted: int

    @classmethod
    def of(cls, bench: Bench, path: Path) -> Kept:
        desk = bench.desk
        (person,) = desk.subjects([desk.people.find("ana")])
        desk.index.close()
        desk.ledger.publish()
        path.mkdir()
        (path / "package.json").write_bytes(make_package(desk.ledger, desk.index, person.key, {}))
        (path / "one.tlog-proof").write_text(desk.ledger.prove(3))
        receipt = make_receipt(person.key, origin=desk.ledger.origin, size=desk.ledger.size)
        return cls(
            path, desk.ledger.head(), receipt, desk.ledger._journal.leaf(3), desk.ledger.size
        )

    def check(self, home: Home, *, packages: Sequence[Path] = ()) -> None:
        """Check everything of it against what the home says now."""
        report = safehold_verify.verify_log(home.ledger, home.policy_file, heads=[self.head])
        assert report.size >= self.counted
        proof = self.path / "one.tlog-proof"
        safehold_verify.verify_proof(proof, home.policy_file, leaf=self.leaf)
        for package in (self.path, *packages):
            found = safehold_verify.verify_package(package, home.policy_file, receipt=self.receipt)
            assert found.payload()["entries" if "entries" in found.payload() else "uses"]


def same(before: dict[str, Any], after: dict[str, Any]) -> None:
    for name in ("leaves", "sidecars"):
        assert after[name][: len(before[name])] == before[name], name
    for name in ("identity", "blocks", "tables", "objects", "opened", "heads"):
        assert after[name] == before[name], name
