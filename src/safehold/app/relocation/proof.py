"""Is the copy of a home what the home was? Everything is computed again from what lies at the new place.

Nothing is changed: no key ends, no epoch turns. So whatever is found, the old place is as good as it was.
"""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from safehold.app.journal import store_at
from safehold.app.relocation.parts import ControlPart, JournalPart, ObjectsPart, Told
from safehold.app.relocation.record import Record
from safehold.app.witnesses import settle
from safehold.catalog import Lineage
from safehold.catalog import tables as catalog
from safehold.catalog.row import Rows as CatalogRows
from safehold.clock import SystemClock
from safehold.errors import SafeholdError, TamperedError
from safehold.keeper.rotation import LOG_KEY, split_seeds
from safehold.ledger import LogSigner, Panel, Witness
from safehold.ledger.export import Exporter
from safehold.ledger.mark import Mark
from safehold.ledger.quorum import Quorum
from safehold.ledger.replay import read_nodes, replay
from safehold.ledger.store import LOCK, Journal
from safehold.ledger.tree import Tree
from safehold.settings import Home
from safehold.vault.kms.current import CurrentRoot
from safehold.vault.reroot import check_marker
from safehold.vault.secret import Secrets

_AT_ONCE = 500


def prove_control(home: Home, record: Record, root: CurrentRoot) -> dict[str, int]:
    """Compare every row with the old place, and check the keeper's codes over those that bear one.

    Raises:
        TamperedError: A table differs, or it is under another root.
    """
    old = ControlPart(home, record.old, coming=False)
    new = ControlPart(home, record.new, coming=True)
    was, found = old.digests(), new.digests()
    for table, said in was.items():
        if found[table] != said:
            raise TamperedError(f"the copy of the table {table} differs", rule="migrate.rows")
    with new.engine() as engine:
        check_marker(engine, root)
        key = root.derive("catalog-mac")
        blocks, broken = _check_blocks(engine, CatalogRows(key))
        datasets, lost = Lineage(engine, key=key).look()
    return {
        "rows": sum(count for count, _ in found.values()),
        "blocks": blocks,
        "datasets": len(datasets),
        # rows that did not hold before either: they are what they were, and refused as before
        "broken": broken + len(lost),
    }


def _check_blocks(engine: sa.Engine, rows: CatalogRows) -> tuple[int, int]:
    good = broken = 0
    with engine.execution_options(reading=True).begin() as connection:
        query = sa.select(catalog.block)
        for row in connection.execution_options(yield_per=_AT_ONCE).execute(query):
            try:
                rows.check(row)
            except SafeholdError:
                broken += 1
            else:
                good += 1
    return good, broken


def prove_journal(home: Home, record: Record, root: CurrentRoot) -> dict[str, Any]:
    """Compare every row with the old place, and compute the tree again from the leaves.

    Its root must be that of the signed head; what was published and what the witnesses know must lie in it.

    Raises:
        TamperedError: Something differs.
        UnavailableError: Fewer witnesses than the quorum can be asked.
    """
    old = JournalPart(home, record.old, coming=False)
    new = JournalPart(home, record.new, coming=True)
    was, found = old.digests(), new.digests()
    for table, said in was.items():
        if found[table] != said:
            raise TamperedError(
                f"the copy of the journal's table {table} differs", rule="migrate.journal"
            )
    with ControlPart(home, record.new, coming="control" in record.parts).engine() as engine:
        seeds = split_seeds(Secrets(engine=engine, root=root).open(LOG_KEY))
    signers = [LogSigner(seed, name=home.origin) for seed in seeds]
    with tempfile.TemporaryDirectory(dir=home.outside) as scratch:
        # the lock of the home's own directory is ours already
        folder = home.incoming if record.new.journal is None else Path(scratch)
        with closing(
            store_at(home, record.new.journal, directory=folder).open(home.origin)
        ) as journal:
            signer = LogSigner.choose(signers, journal.identity()[1])
            tree = replay(journal, journal.state(), signer=signer)
            nodes = read_nodes(journal, tree)
            with closing(Mark(home.ledger / LOCK)) as mark:
                mark.check(tree.size, nodes)
            _like_opening(home, journal, tree, signer)
    return {
        "leaves": tree.size,
        "root": tree.root().hex(),
        "heads": found["head"][0],
        "sidecars": found["sidecar"][0],
    }


def _like_opening(home: Home, journal: Journal, tree: Tree, signer: LogSigner) -> None:
    """Compare a journal with published files and witnesses, as opening the ledger does after the switch.

    So whatever would keep the ledger from opening there is found while the old place still counts.
    """
    settle(home)
    panel = Panel.read(home.witnesses_file)
    local = Witness(home.witness, clock=SystemClock())
    quorum = Quorum(panel.open(local), need=panel.quorum)
    memories = quorum.memories(home.origin)
    quorum.check_published(journal, tree, log=signer.vkeys, notes=memories)
    quorum.compare_notes(journal, tree, memories)
    Exporter(home.ledger, journal).check(journal.state().exported, tree=tree)


def prove_objects(home: Home, record: Record, told: Told) -> dict[str, int]:
    """Read every object at both places: the same names, and the same SHA-256 of each; roots as the catalogue has them.

    Raises:
        TamperedError: One is missing or differs.
    """
    old = ObjectsPart(home, record.old, coming=False)
    new = ObjectsPart(home, record.new, coming=True)
    roots = _roots(home, record)
    count = catalogued = 0
    there = new.digests()
    for name, sha, _ in old.digests():
        found = next(there, None)
        if found is None or found[:2] != (name, sha):
            raise TamperedError("the copy of an object differs", rule="migrate.object")
        if name in roots:
            catalogued += 1
            if found[2] != roots.pop(name):
                raise TamperedError("an object is not the one of the catalogue", rule="object.root")
        count += 1
        told(1)
    if next(there, None) is not None:
        raise TamperedError(
            "there are objects at the new place that nobody copied", rule="migrate.object"
        )
    return {"objects": count, "catalogued": catalogued, "missing_before": len(roots)}


def _roots(home: Home, record: Record) -> dict[str, bytes]:
    part = ControlPart(home, record.new, coming="control" in record.parts)
    query = sa.select(catalog.object_.c.name, catalog.object_.c.root)
    with part.engine() as engine, engine.execution_options(reading=True).begin() as connection:
        return {row.name: row.root for row in connection.execute(query)}
