"""What lies in a company's vault, opened with its root: how a case counts what got in.

This is no attack: it is the other side's count, by somebody who has everything, so that nothing that was stored goes
unseen. It returns texts to the case that compares them; a case tells counts alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

import pyarrow as pa

from safehold.app.control import open_control
from safehold.app.custody import unlock
from safehold.app.drill.company import Company
from safehold.app.objects import objects_of
from safehold.catalog import Catalog
from safehold.clock import SystemClock
from safehold.errors import SafeholdError
from safehold.ids import PersonId
from safehold.subjects import People
from safehold.telemetry.stream import KeyKind
from safehold.vault import Records, Vault

KINDS: Final = ("telemetry", "derived")
STREAMS: Final = frozenset({"ai", "chat", "feature", "focus", "key", "pointer"})


def open_all(company: Company) -> list[tuple[str, str, pa.Table]]:
    """Return person, stream and rows of every block; no keeper may serve the company meanwhile."""
    found = []
    with company.desk() as desk:
        for kind in KINDS:
            blocks = list(desk.catalog.blocks(kind=kind, streams=STREAMS, after_day=0))
            for block, table in desk.vault.read(blocks):
                name = desk.people.standing(PersonId(block.person)).external
                found.append((name, block.stream, table))
    return found


def open_raw(company: Company, *, home: Path | None = None) -> dict[str, int]:
    """Return how many rows open, by the opaque id of their person, with nothing but vault and catalogue.

    As somebody does it who has the root and does not care for the ledger: each block by itself, whatever is refused
    is passed over.

    Args:
        company: Whose root it is.
        home: Another state of its home, such as a backup; what lies outside is as it is now.
    """
    counted: dict[str, int] = {}
    with company.here():
        root = unlock(company.home, {"passphrase": company.passphrase})
        place = replace(company.home, path=home or company.home.path)
        engine = open_control(place)
        try:
            vault = Vault.open(
                engine=engine, root=root, epochs=place.epochs, objects=objects_of(place), clock=SystemClock()
            )  # fmt: skip
            catalog = Catalog(
                engine, key=vault.derive("catalog-mac"), sealer=Records(root, "catalog")
            )
            for kind in KINDS:
                for block in catalog.blocks(kind=kind, streams=STREAMS, after_day=0):
                    with suppress(SafeholdError, OSError):
                        for _, table in vault.read([block]):
                            counted[block.person] = counted.get(block.person, 0) + table.num_rows
            vault.close()
        finally:
            engine.dispose()
    return counted


def ids_of(company: Company) -> dict[str, str]:
    """Return the opaque id of everybody, by the company's name for them; no keeper may serve it meanwhile."""
    with company.here():
        root = unlock(company.home, {"passphrase": company.passphrase})
        engine = open_control(company.home)
        try:
            vault = Vault.open(
                engine=engine, root=root, epochs=company.home.epochs, objects=objects_of(company.home),
                clock=SystemClock(),
            )  # fmt: skip
            people = People(engine, sealer=Records(root), lookup_key=vault.derive("lookup"))
            found = {one.external: str(name) for name, one in people.everybody().items()}
            vault.close()
        finally:
            engine.dispose()
    return found


def texts_of(stream: str, table: pa.Table) -> Iterator[str]:
    """Yield what can be read in rows: each word of text by itself, and of keys what was typed."""
    for name in table.column_names:
        column = table.column(name)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            continue
        if stream == "key" and name == "key":
            yield typed(table)
        else:
            yield "\n".join(one for one in column.to_pylist() if one)


def typed(table: pa.Table) -> str:
    """Return the characters that keys made, one after the other, in the order of the events."""
    order = (
        sorted(
            range(table.num_rows),
            key=lambda at: (sessions[at], numbers[at]),
        )
        if (sessions := table.column("session").to_pylist())
        and (numbers := table.column("seq").to_pylist())
        else []
    )
    kinds, keys = table.column("kind").to_pylist(), table.column("key").to_pylist()
    return "".join(
        keys[at]
        for at in order
        if kinds[at] in {KeyKind.DOWN, KeyKind.COMMIT, KeyKind.PASTE}
        and keys[at]
        and len(keys[at]) == 1
    )
