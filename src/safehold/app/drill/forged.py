"""A log as somebody writes it who has everything of its operator: the log's keys, the home's own witness, every file.

What they do not have lies elsewhere: the head that an auditor kept, and the package and receipts of an employee.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from safehold.app.drill.company import Company
from safehold.clock import SECOND_US, SystemClock
from safehold.keeper.rotation import LOG_KEY, split_seeds
from safehold.ledger import LogSigner, Witness
from safehold.ledger.note import Checkpoint
from safehold.ledger.tile import pack_entries, tile_path
from safehold.ledger.tree import HASH, HEIGHT, WIDTH, Tree, fold, leaf_hash


@dataclass(frozen=True, slots=True)
class Stolen:
    """The keys and leaves of a log.

    Args:
        origin: Name of the log.
        signers: Its keys.
        witness: The home's own witness, which will sign anything now.
        leaves: Every leaf, in order.
    """

    origin: str
    signers: tuple[LogSigner, ...]
    witness: Witness
    leaves: tuple[bytes, ...]

    def write(self, directory: Path, leaves: list[bytes], *, cosign: bool = True) -> None:
        """Write a log of these leaves in the place of the one in a directory, signed by all keys there are."""
        shutil.rmtree(directory, ignore_errors=True)
        row, level = b"".join(map(leaf_hash, leaves)), 0
        tree, _ = Tree().extend(row)
        while row:
            for at in range(0, len(row), WIDTH * HASH):
                part = row[at : at + WIDTH * HASH]
                _put(directory / tile_path(level, at // (WIDTH * HASH), len(part) // HASH), part)
            for _ in range(HEIGHT):
                row = fold(row)
            level += 1
        for number in range(-(-len(leaves) // WIDTH)):
            some = leaves[number * WIDTH : (number + 1) * WIDTH]
            _put(directory / tile_path("entries", number, len(some)), pack_entries(some))
        text = Checkpoint(self.origin, tree.size, tree.root()).text()
        note = text + b"\n" + b"".join(one.line(text) for one in self.signers)
        note += b"".join(one.publish_lines(text) for one in self.signers)
        if cosign:
            now = SystemClock().now_us() // SECOND_US
            note += self.witness._key.cosign(text, at=now)  # noqa: SLF001 - it is stolen
        _put(directory / "checkpoint", note)


def steal(company: Company) -> Stolen:
    """Take the keys and leaves out of a company that no keeper serves."""
    with company.desk() as desk:
        seeds = split_seeds(desk.vault.open_secret(LOG_KEY))
        leaves = tuple(desk.ledger.leaf(at) for at in range(desk.ledger.size))
    home = company.home
    signers = tuple(LogSigner(seed, name=home.origin) for seed in seeds)
    return Stolen(home.origin, signers, Witness(home.witness), leaves)


def _put(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


__all__ = ["Stolen", "steal"]
