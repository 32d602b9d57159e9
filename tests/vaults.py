"""A vault in a temporary home, with ways to copy the home and to break what rests."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import sqlalchemy as sa
from tests.stores import Folder, Store

from safehold import db
from safehold.clock import DAY_US, FixedClock
from safehold.errors import ShreddedError
from safehold.vault import (
    Label,
    PlainBlock,
    SealedBlock,
    SealedObject,
    Vault,
    container,
    tables,
)
from safehold.vault.erase import go_on
from safehold.vault.kms import LocalRoot, Root
from safehold.vault.lookup import METADATA_KEY

TODAY = 20_000
LABEL = Label(
    purposes=("help", "train"), jurisdiction="DE", expires=TODAY + 30, charter=b"\xc0" * 32
)


@dataclass
class VaultHome:
    """Everything one vault is made of."""

    path: Path
    root: Root
    clock: FixedClock
    engine: sa.Engine
    vault: Vault
    store: Store
    connect: Callable[[Path], sa.Engine]

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def epochs(self) -> Path:
        return self.path / "epochs"

    def object_file(self, name: str) -> Path:
        return self.home / "objects" / name

    def held(self, name: str) -> bytes:
        """Return an object as it rests."""
        return self.store.read(name)

    def copy_home(self, name: str) -> Path:
        """Copy the whole home while it is in use, as a backup does."""
        target = self.path / name
        shutil.copytree(self.home, target)
        return target

    def open(self, home: Path | None = None, **changes) -> Vault:
        """Open a vault on this home or on a copy of it, with the live root and live epochs."""
        home = home or self.home
        given = {
            "engine": self.connect(home),
            "root": self.root,
            "epochs": self.epochs,
            "objects": self.store.open(home),
            "clock": self.clock,
        } | changes
        return Vault.open(**given)


def in_file(home: Path) -> sa.Engine:
    return db.open_engine(home / "control.db")


def make_home(
    path: Path,
    reached: Callable[[str], None] = go_on,
    store: Store | None = None,
    root: Root | None = None,
    connect: Callable[[Path], sa.Engine] = in_file,
) -> VaultHome:
    """Make a vault; ``connect`` opens the control database of a home."""
    home = path / "home"
    store = store or Folder(home / "objects")
    home.mkdir(parents=True)
    (path / "epochs").mkdir()
    root = root or LocalRoot.generate()
    clock = FixedClock(TODAY * DAY_US)
    engine = connect(home)
    vault = Vault.open(
        engine=engine,
        root=root,
        epochs=path / "epochs",
        objects=store.open(home),
        clock=clock,
        reached=reached,
    )
    return VaultHome(path, root, clock, engine, vault, store, connect)


def rows(count: int = 20, seed: int = 0) -> pa.Table:
    start = seed * 1000
    return pa.table(
        {
            "seq": pa.array(np.arange(start, start + count, dtype=np.uint32)),
            "x": pa.array((np.arange(count) * 7 + seed).astype(np.int16)),
            "key": pa.array([f"k{i % 5}" for i in range(count)]).dictionary_encode(),
        }
    )


def plain(person: str = "psn_a", **changes) -> PlainBlock:
    given = {
        "person": person,
        "stream": "key",
        "window": TODAY,
        "label": LABEL,
        "table": rows(),
    } | changes
    return PlainBlock(**given)


def read(home, *blocks: SealedBlock):
    return [table for _, table in home.vault.read(blocks)]


def span(block: SealedBlock) -> slice:
    return slice(block.offset, block.offset + block.length)


def object_bytes(home, sealed: SealedObject) -> bytearray:
    return bytearray(home.held(sealed.name))


def object_seal(home, sealed) -> container.ObjectSeal:
    with home.engine.begin() as connection:
        held = home.vault._keyring.find(connection, "de", {METADATA_KEY})
    return container.ObjectSeal(held[METADATA_KEY], sealed.name)


def window_key(home, block: SealedBlock) -> bytes:
    window_keys, _ = home.vault._reader.keys_of([block])
    return window_keys[0]


def opens(vault, block) -> bool:
    try:
        ((_, table),) = vault.read([block])
    except ShreddedError:
        return False
    assert table.num_rows == block.rows
    return True


def wrapped_keys(home, **where) -> list[bytes]:
    with home.engine.begin() as connection:
        return list(
            connection.execute(sa.select(tables.key.c.wrapped).filter_by(**where)).scalars()
        )


def raw_files(home) -> bytes:
    return b"".join(file.read_bytes() for file in home.home.glob("control.db*"))


def check_object(home, sealed: SealedObject) -> int:
    return home.vault.check(sealed.name, root=sealed.root, size=sealed.size, segment="de")


def write_object(home, sealed: SealedObject, data: bytes) -> None:
    home.store.write(sealed.name, bytes(data))
