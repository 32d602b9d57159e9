"""A log of a few hundred leaves over several heads, and what attackers make of a copy of it.

What an attacker holds grows by level: the bundles, the tiles too, the log key too, and the key of
the witness too (but not its memory).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.ledger_desk import ORIGIN, Desk, entry, intent

import safehold_verify as verifier
from safehold.ledger import LogSigner, Subject, Witness
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.tile import pack_entries, paths, tile_path
from safehold.ledger.tree import WIDTH, Tree, leaf_hash

STATES = 4  # publications
SIZE = 300  # leaves: a full tile and partial ones on two levels
LEVELS = ("bundles", "tiles", "log key", "witness key")


@dataclass(frozen=True, slots=True)
class Story:
    """The log and its past.

    Args:
        desk: The log, closed.
        heads: Every published head, oldest first, as somebody outside kept it.
        states: The whole folder (ledger, witness, policy) as it was at each head.
        leaves: All leaves.
    """

    desk: Desk
    heads: tuple[bytes, ...]
    states: tuple[Path, ...]
    leaves: tuple[bytes, ...]

    @property
    def policy(self) -> verifier.Policy:
        return verifier.parse_policy(self.desk.policy.read_bytes())

    def copy(self, path: Path) -> Path:
        """Return a fresh copy of the ledger directory."""
        shutil.rmtree(path, ignore_errors=True)
        return shutil.copytree(self.desk.directory, path)

    def check(self, directory: Path, *heads: bytes) -> verifier.Report:
        return verifier.verify_log(directory, self.policy, heads=heads)

    def where(self, directory: Path, *heads: bytes) -> str:
        """Return where the verifier finds something, or nothing if it finds nothing."""
        try:
            self.check(directory, *heads)
        except verifier.VerificationError as error:
            assert error.where, error.message
            return error.where
        return ""


def tell_story(path: Path) -> Story:
    """Write the log: grants, intents and their results, ingests, choices; several rows a head."""
    path.mkdir(parents=True, exist_ok=True)
    desk = Desk(path)
    desk.save()
    heads: list[bytes] = []
    states: list[Path] = []
    people = [Subject(key=b"%032d" % number) for number in range(5)]
    with desk.open() as ledger:
        for state in range(STATES):
            desk.clock.advance(60_000_000)
            size = ledger.size
            [grant] = ledger.append([entry(kind="grant", public={"state": "granted"})])
            intents = [
                intent(at, ref=grant.index, subjects=people[: at % 4], key=f"{state}-{at}")
                for at in range(10)
            ]
            receipts = ledger.append(intents)
            ledger.append(
                [
                    entry(at, kind="access.result", public={"rows": at}, ref=receipt.index)
                    for at, receipt in enumerate(receipts)
                ]
            )
            ledger.append([entry(at, kind="choice", public={}) for at in range(4)])
            ledger.append([entry(at) for at in range(SIZE // STATES - (ledger.size - size))])
            ledger.publish()
            heads.append(desk.head)
            states.append(path / "states" / str(state))
            for name in ("ledger", "witness"):
                shutil.copytree(path / name, states[-1] / name)
            for name in ("policy", "audit-key"):
                shutil.copy(path / name, states[-1] / name)
        leaves = tuple(ledger.leaf(at) for at in range(ledger.size))
    assert len(leaves) == SIZE
    return Story(desk, tuple(heads), tuple(states), leaves)


# -- what can be done to the leaves ---------------------------------------------------------------

Leaves = Sequence[bytes]
AT = 290  # among the ingests at the end, to which nothing refers


def _edit(leaves: Leaves) -> list[bytes]:
    changed = leaves[AT].replace(b'"seg":"eu/keys"', b'"seg":"us/keys"')
    assert changed != leaves[AT]
    return [*leaves[:AT], changed, *leaves[AT + 1 :]]


def _shift(leaf: bytes, by_ms: int) -> bytes:
    head, _, tail = leaf.rpartition(b'"t":')
    number, _, rest = tail.partition(b",")
    return head + b'"t":%d,' % (int(number) + by_ms) + rest


CLASSES: dict[str, Callable[[Leaves], list[bytes]]] = {
    "edit": _edit,
    "delete": lambda leaves: [*leaves[:AT], *leaves[AT + 1 :]],
    "insert": lambda leaves: [*leaves[:AT], leaves[AT], *leaves[AT:]],
    "reorder": lambda leaves: [*leaves[:AT], leaves[AT + 1], leaves[AT], *leaves[AT + 2 :]],
    "truncate": lambda leaves: list(leaves[:270]),
    "empty": lambda _: [],
    "fork": lambda leaves: [*leaves[:280], *leaves[260:280]],
    "back-date a leaf": lambda leaves: [
        *leaves[:AT],
        _shift(leaves[AT], -600_000),
        *leaves[AT + 1 :],
    ],
    "back-date all": lambda leaves: [_shift(leaf, -31_536_000_000) for leaf in leaves],
}


def forge(story: Story, directory: Path, leaves: Leaves, level: str, *, room: Path) -> None:
    """Put other leaves into a copy of the ledger, with what an attacker of a level can do."""
    size = len(leaves)
    bundles = {
        tile_path("entries", number, min(WIDTH, size - number * WIDTH)): pack_entries(
            leaves[number * WIDTH : (number + 1) * WIDTH]
        )
        for number in range(-(-size // WIDTH))
    }
    tree, tiles = Tree().extend(b"".join(map(leaf_hash, leaves)))
    if level == "bundles":  # under the names that the checkpoint wants
        old = [name for name in paths(SIZE) if "entries" in name]
        for name, data in zip(old, [*bundles.values(), b""], strict=False):
            (directory / name).write_bytes(data)
        return
    shutil.rmtree(directory / "tile")
    full = {tile_path(at, number): data for at, number, data in tiles}
    for name in paths(size):
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(bundles.get(name) or full.get(name) or tree.edges[int(name.split("/")[1])])
    text = Checkpoint(ORIGIN, size, tree.root()).text()
    if level != "tiles":
        note = story.desk.signer.sign(text) + story.desk.signer.publish_lines(text)
        if level == "witness key":
            note += cosign(story, note, room=room)
        (directory / "checkpoint").write_bytes(note)


def cosign(story: Story, note: bytes, *, room: Path) -> bytes:
    """Return the lines of a witness with the same key and without a memory."""
    shutil.rmtree(room, ignore_errors=True)
    room.mkdir(parents=True)
    for name in ("trust", "key", "key-06"):
        shutil.copy(story.desk.outside / name, room / name)
    answer = Witness(room, clock=story.desk.clock).add_checkpoint(0, [], note)
    assert answer.status == 200
    return answer.body


def stranger(name: str = ORIGIN) -> LogSigner:
    """Return a signer with a key of its own."""
    return LogSigner(b"a" * 32, name=name)


# -- what can be done to files --------------------------------------------------------------------


def other_bytes(value: int) -> Iterator[int]:
    """Yield three other values for a byte: two bits flipped, and one that fits where it stands."""
    yield value ^ 0x01
    yield value ^ 0x80
    if chr(value).isdigit() and value < 128:
        yield 0x30 + (value - 0x30 + 3) % 10
    elif chr(value).isalpha() and value < 128:
        yield value ^ 0x20
    else:
        yield (value + 7) % 256


def files_of(directory: Path) -> list[Path]:
    """Return the exported files."""
    tiles = [one for one in (directory / "tile").rglob("*") if one.is_file()]
    return sorted([directory / "checkpoint", *tiles])
