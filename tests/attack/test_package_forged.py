"""Packages that were made false: entries left out, swapped, repeated or of somebody else; none is accepted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.crowd import Crowd
from tests.package_desk import Said, b64, refused, said_by, three_epochs

from safehold.ledger.index import IndexTree
from safehold.ledger.shelf import Row
from safehold.ledger.subjects import epoch_key, label_of


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Crowd:
    return three_epochs(tmp_path_factory.mktemp("crowd"))


@pytest.fixture
def hers(crowd: Crowd) -> Said:
    return said_by(crowd)


def dropped(said: Said) -> None:
    """One entry less."""
    del said["epochs"][0]["entries"][0]


def dropped_last(said: Said) -> None:
    del said["epochs"][0]["entries"][-1]


def emptied(said: Said) -> None:
    said["epochs"][2]["entries"] = []


def doubled(said: Said) -> None:
    said["epochs"][0]["entries"].append(said["epochs"][0]["entries"][-1])


def swapped(said: Said) -> None:
    """The opening of one entry under the other."""
    one, two = said["epochs"][0]["entries"]
    one["told"], two["told"] = two["told"], one["told"]


def swapped_leaf(said: Said) -> None:
    one, two = said["epochs"][0]["entries"]
    for name in ("index", "leaf", "path"):
        one[name], two[name] = two[name], one[name]


def reordered(said: Said) -> None:
    said["epochs"][0]["entries"].reverse()


def gap(said: Said) -> None:
    """An epoch left out."""
    del said["epochs"][1]


def first_left_out(said: Said) -> None:
    del said["epochs"][0]


def mixed(said: Said) -> None:
    """The keys and lists of one epoch under the range of another."""
    one, two = said["epochs"][0], said["epochs"][2]
    for name in ("next", "root"):
        one[name], two[name] = two[name], one[name]


def key_of_another_epoch(said: Said) -> None:
    said["epochs"][0]["key"] = said["epochs"][2]["key"]


def absent_after_all(said: Said) -> None:
    """The neighbours of another epoch's absence, where there was a use."""
    for name in ("entries", "path"):
        del said["epochs"][0][name]
    said["epochs"][0] |= {name: said["epochs"][1][name] for name in ("absent", "place")}


def other_kind(said: Said) -> None:
    """An entry of the log shown in place of the leaf that begins the next epoch."""
    said["epochs"][0]["next"] = {
        name: said["epochs"][0]["entries"][0][name] for name in ("index", "leaf", "path")
    }


def shifted(said: Said) -> None:
    said["epochs"][1]["place"] += 1


def told_of_nothing(said: Said) -> None:
    said["epochs"][0]["entries"][0]["told"]["ct"] = said["epochs"][0]["entries"][0]["told"]["obj"]


def more_words(said: Said) -> None:
    said["note"] = "all is well"


FORGERIES = [
    dropped, dropped_last, emptied, doubled, swapped, swapped_leaf, reordered, gap, first_left_out, mixed,
    key_of_another_epoch, absent_after_all, other_kind, shifted, told_of_nothing, more_words,
]  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda one: one.__name__)
def test_a_false_package_is_refused(
    crowd: Crowd, hers: Said, tmp_path: Path, forge: Callable[[Said], None]
) -> None:
    forge(hers)
    refused(crowd, hers, tmp_path)


def test_a_false_count_is_refused(tmp_path: Path) -> None:
    """A tree whose root is in the log, but whose row says one entry more than can be shown."""
    false = Crowd(tmp_path, people=3)
    false.use(0, 1)
    key = epoch_key(false.keys[0], 0)
    real = false.index._rows
    false.index._rows = lambda epoch: [
        Row(row.label, hashlib.sha256(row.value).digest(), row.sealed) for row in real(epoch)
    ]
    false.close()
    false.index._rows = real
    tree, rows = _rows_of(false, key)
    false.index.tree = lambda _epoch: (tree, rows)
    error = refused(false, (false.package(0) / "package.json").read_bytes(), tmp_path)
    assert error.where == "epoch 0"
    false.ledger.close()


def _rows_of(crowd: Crowd, key: bytes) -> tuple[IndexTree, dict[bytes, Row]]:
    """The tree that is in the log, with a row that opens."""
    stored = {row.label: row for row in crowd.index._shelf.get(0)}
    tree = IndexTree(((row.label, row.value) for row in stored.values()), seed=crowd.index.seed(0))
    return tree, stored | {label_of(key): Row.of(key, stored[label_of(key)].value, [0])}


def test_neighbours_that_are_not_adjacent_show_no_absence(crowd: Crowd, tmp_path: Path) -> None:
    """She is in the tree, between the two rows shown as neighbours."""
    said = json.loads((crowd.package(5) / "package.json").read_bytes())
    tree, _ = crowd.index.tree(2)
    at, there = tree.find(label_of(epoch_key(crowd.keys[5], 2)))
    assert there
    epoch = said["epochs"][2]
    for name in ("entries", "path"):
        del epoch[name]

    def row(place: int) -> Said:
        return {
            "label": b64(tree.leaves[place][0]),
            "value": b64(tree.leaves[place][1]),
            "path": [b64(one) for one in tree.path(place)],
        }

    for low, high, place in ((at - 1, at + 1, at - 1), (at - 1, at, at - 1), (at, at + 1, at)):
        said["epochs"][2] = epoch | {"absent": [row(low), row(high)], "place": place}
        refused(crowd, said, tmp_path)
