"""A log about some people, closed epoch by epoch, and everything around it, for tests of the index."""

from __future__ import annotations

import os
from pathlib import Path

from tests.ledger_desk import ORIGIN, Desk, entry

from safehold.ledger import Entry, Ledger, Subject
from safehold.ledger.audit import make_bundle
from safehold.ledger.index import EpochIndex
from safehold.ledger.package import make_package, make_receipt
from safehold_verify import verify_log


class Crowd:
    """People with keys, entries about some of them, an index."""

    def __init__(self, path: Path, people: int = 5) -> None:
        self.path = path
        self.desk = Desk(path)
        self.keys = [os.urandom(32) for _ in range(people)]
        self.gone: set[int] = set()
        self.open()

    def open(self) -> Ledger:
        self.ledger = self.desk.open()
        self.index = EpochIndex(
            self.ledger,
            self.path / "index",
            sidecar=self.desk.sealer,
            secret=b"p" * 32,
            keys=self.living,
        )
        return self.ledger

    def reopen(self) -> None:
        self.ledger.close()
        self.open()

    def living(self) -> list[bytes]:
        return [key for at, key in enumerate(self.keys) if at not in self.gone]

    def about(self, *people: int, flags: int = 0, kind: str = "access.intent") -> Entry:
        public = {"purpose": "train"} if kind == "access.intent" else {}
        subjects = [Subject(key=self.keys[one], flags=flags) for one in people]
        return entry(kind=kind, public=public, subjects=subjects)

    def use(self, *people: int, flags: int = 0) -> int:
        return self.ledger.append([self.about(*people, flags=flags)])[0].index

    def close(self) -> None:
        self.index.close()
        self.ledger.publish()

    def package(self, person: int, path: Path | None = None) -> Path:
        folder = path or self.path / f"package-{person}"
        folder.mkdir(exist_ok=True)
        (folder / "package.json").write_bytes(
            make_package(self.ledger, self.index, self.keys[person])
        )
        return folder

    def receipt(self, person: int) -> bytes:
        return make_receipt(self.keys[person], origin=ORIGIN, size=self.ledger.size)

    def bundle(self, epoch: int) -> bytes:
        return make_bundle(self.index, epoch, self.living(), origin=ORIGIN)

    def verify_log(self) -> None:
        verify_log(self.desk.directory, self.desk.policy, heads=[self.desk.head])


__all__ = ["Crowd"]
