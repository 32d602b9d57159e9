"""A log whose operator writes whatever they like, published and cosigned like any other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import orjson

from safehold.canonical import b64
from safehold.clock import FixedClock
from safehold.ledger import LogSigner, Witness, policy_text
from safehold.ledger.monitor import Limits, Monitor, Verdict
from safehold.ledger.note import Checkpoint
from safehold.ledger.proof import prove_consistency
from safehold.ledger.published import Published, PublishedDirectory
from safehold.ledger.tile import pack_entries, paths, tile_path
from safehold.ledger.tree import HASH, HEIGHT, WIDTH, Tree, fold, leaf_hash, node_reader
from safehold_verify import parse_policy

ORIGIN = "example.com/acme/audit"
START_MS = 1_790_000_000_000


class ForgedLog:
    """A log in a directory, and a monitor of it.

    Args:
        path: A temporary directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.directory = path / "log"
        self.clock = FixedClock(START_MS * 1000)
        self.signer = LogSigner(b"s" * 32, name=ORIGIN)
        self.signers = [self.signer]
        self.witness = Witness.create(
            path / "witness", name="council.example", logs=[self.signer.vkey.text()],
            clock=self.clock,
        )  # fmt: skip
        self.policy = policy_text(self.signer.vkey.text(), {"council": self.witness.vkeys})
        self.leaves: list[bytes] = []
        self.seen = 0

    @property
    def now_ms(self) -> int:
        return self.clock.now_us() // 1000

    def tell(
        self, kind: str, *, ref: int | None = None, at_ms: int | None = None, **pub: Any
    ) -> int:
        """Write a leaf and return its index."""
        self.leaves.append(leaf(kind, self.now_ms if at_ms is None else at_ms, ref=ref, pub=pub))
        return len(self.leaves) - 1

    def publish(self, seconds: int = 1) -> bytes:
        """Have a head over all leaves cosigned a little later, and publish the files of it."""
        self.clock.advance(seconds * 1_000_000)
        tree, tiles = Tree().extend(b"".join(map(leaf_hash, self.leaves)))
        text = Checkpoint(ORIGIN, tree.size, tree.root()).text()
        note = text + b"\n" + b"".join(one.line(text) for one in self.signers)
        node = self.nodes(tree, tiles)
        answer = self.witness.add_checkpoint(
            self.seen, prove_consistency(node, self.seen, tree.size), note
        )
        assert answer.status == 200, answer
        self.seen = tree.size
        shutil.rmtree(self.directory, ignore_errors=True)
        for name, data in self.files().items():
            place(self.directory / name, data)
        place(self.directory / "checkpoint", note + answer.body)
        return note + answer.body

    def files(self) -> dict[str, bytes]:
        """Return every tile and bundle of the present leaves."""
        size, row = len(self.leaves), b"".join(map(leaf_hash, self.leaves))
        found: dict[str, bytes] = {}
        level = 0
        while row:
            for at in range(0, len(row), WIDTH * HASH):
                part = row[at : at + WIDTH * HASH]
                found[tile_path(level, at // (WIDTH * HASH), len(part) // HASH)] = part
            for _ in range(HEIGHT):
                row = fold(row)
            level += 1
        for number in range(-(-size // WIDTH)):
            some = self.leaves[number * WIDTH : (number + 1) * WIDTH]
            found[tile_path("entries", number, len(some))] = pack_entries(some)
        assert sorted(found) == sorted(paths(size))
        return found

    def nodes(self, tree: Tree, tiles: Any) -> Any:
        whole = {(level, number): data for level, number, data in tiles}

        def tile(level: int, number: int) -> bytes:
            return whole.get((level, number)) or tree.edges[level]

        return node_reader(tile)

    def bribe(self) -> None:
        """Let the witness forget what it has seen, as one that colludes would."""
        for folder in (self.path / "witness").iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
        self.seen = 0

    def watch(self, log: Published | None = None, **changes: Any) -> Verdict:
        """Return the verdict of a turn of the monitor."""
        others = changes.pop("others", ())
        folder = changes.pop("folder", "monitor")
        return Monitor(
            log or PublishedDirectory(self.directory),
            policy=parse_policy(self.policy.encode()),
            directory=self.path / folder,
            limits=Limits(**changes),
            clock=self.clock,
        ).turn(others=others)

    def rules(self, **changes: Any) -> list[tuple[str, int]]:
        """Return rule and leaf of everything that a turn of the monitor finds."""
        verdict = self.watch(**changes)
        return [(one.rule, one.index) for one in (*verdict.broken, *verdict.findings)]

    def evidence(self) -> dict[str, dict[str, bytes]]:
        """Return the files of every piece of evidence."""
        return {
            folder.name: {file.name: file.read_bytes() for file in folder.iterdir()}
            for folder in (self.path / "monitor" / "evidence").iterdir()
        }


def leaf(kind: str, at_ms: int, *, ref: int | None, pub: dict[str, Any]) -> bytes:
    """Return a leaf in canonical form that commits to nothing anybody knows."""
    said: dict[str, Any] = {
        name: b64(os.urandom(32)) for name in ("act", "obj", "det", "ct", "sub")
    }
    said |= {"chr": "", "k": kind, "seg": "", "t": at_ms, "v": "sh-audit/1"}
    if ref is not None:
        said["ref"] = ref
    if pub:
        said["pub"] = pub
    return orjson.dumps(said, option=orjson.OPT_SORT_KEYS)


def place(path: Path, data: bytes) -> None:
    """Write a file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
