"""What is held in memory of the record is bounded, is the same as what is computed anew, and goes when it has to."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.crowd import Crowd
from tests.ledger_desk import entry

from safehold.errors import MissingError, ShreddedError, TamperedError
from safehold.ledger import subjects
from safehold.ledger.entry import INDEX_SEGMENT
from safehold.ledger.held import Held
from safehold.ledger.subjects import SubjectSet
from safehold.ledger.tree import leaf_hash, merkle_root
from safehold_verify import verify_inclusion
from safehold_verify.package import verify_package


@pytest.fixture
def crowd(tmp_path: Path) -> Iterator[Crowd]:
    crowd = Crowd(tmp_path)
    yield crowd
    crowd.ledger.close()


def test_what_was_used_longest_ago_makes_room() -> None:
    held: Held[str, int] = Held(10)
    held.put("a", 1, 4)
    held.put("b", 2, 4)
    assert held.get("a") == 1  # used: now b is the oldest
    held.put("c", 3, 4)
    assert [held.get(one) for one in "abc"] == [1, None, 3]
    held.put("a", 5, 2)  # in its own place
    held.put("d", 4, 4)
    assert [held.get(one) for one in "acd"] == [5, 3, 4]
    held.put("e", 6, 11)
    assert held.get("e") is None, "larger than everything"
    assert held.get("d") == 4
    held.forget()
    held.put("f", 7, 10)
    assert [held.get(one) for one in "acdf"] == [None, None, None, 7]


def set_of(count: int) -> SubjectSet:
    items = tuple(sorted(os.urandom(32) for _ in range(count)))
    return SubjectSet(nonce=b"n" * 32, pad=b"p" * 32, items=items)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 256, 300, 512])
def test_the_root_of_a_set_is_that_of_its_tree_and_every_item_has_its_path(count: int) -> None:
    people = set_of(count)
    root = merkle_root([leaf_hash(item) for item in people.items])
    assert people.root == people.root == root
    if count & (count - 1) == 0:
        for place in (0, count // 2, count - 1):
            path = people.path(place)
            verify_inclusion(place, count, leaf_hash(people.items[place]), path, root)


def test_a_large_set_is_hashed_once_and_no_other_takes_its_place() -> None:
    one = set_of(subjects.LARGE)
    same = SubjectSet(nonce=b"m" * 32, pad=b"q" * 32, items=one.items)
    other = SubjectSet(nonce=b"n" * 32, pad=b"p" * 32, items=(*one.items[:-1], b"\xff" * 32))
    assert same.rows is one.rows
    assert other.rows[-1] != one.rows[-1]
    small = set_of(subjects.LARGE // 2)
    assert small.rows is not small.rows, "a small one is not worth it"


def test_a_tree_is_read_once_and_again_after_somebody_was_erased(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd.use(0, 1)
    crowd.close()
    crowd.use(2)
    crowd.close()
    shelf, read = crowd.index._shelf, []
    get = shelf.get
    monkeypatch.setattr(shelf, "get", lambda epoch: read.append(epoch) or get(epoch))
    first = [crowd.package(one).joinpath("package.json").read_bytes() for one in range(3)]
    assert read == [0, 1]
    crowd.index.forget()
    again = [crowd.package(one).joinpath("package.json").read_bytes() for one in range(3)]
    assert read == [0, 1, 0, 1]
    assert first == again


def test_what_is_held_stands_for_no_file_that_was_changed_or_is_gone(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.close()
    crowd.package(0)
    (file,) = (crowd.path / "index").iterdir()
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(TamperedError):
        crowd.package(0)
    file.write_bytes(data)
    crowd.package(0)
    crowd.gone.add(1)
    crowd.desk.sealer.gone.add((INDEX_SEGMENT, 0))
    file.unlink()
    with pytest.raises(MissingError):
        crowd.package(0)


def test_a_tree_that_does_not_fit_is_not_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safehold.ledger.index.HELD", 100)
    crowd = Crowd(tmp_path)
    crowd.use(0)
    crowd.close()
    assert crowd.index.tree(0)[0] is not crowd.index.tree(0)[0]
    crowd.ledger.close()


def test_an_epoch_is_read_in_one_pass_and_says_the_same_as_two(
    crowd: Crowd, monkeypatch: pytest.MonkeyPatch
) -> None:
    for at in range(12):
        crowd.use(*range(at % 5 + 1))
        crowd.ledger.append([entry()])  # about nobody
    openings, spans = crowd.ledger.openings, []
    monkeypatch.setattr(
        crowd.ledger,
        "openings",
        lambda start, stop, **how: spans.append((start, stop)) or openings(start, stop, **how),
    )
    crowd.close()
    assert spans == [crowd.ledger.epochs.span(0)]
    for person in range(5):
        span = verify_package(crowd.package(person), crowd.desk.policy).spans[0]
        assert span.count == sum(at % 5 >= person for at in range(12))


def test_an_epoch_whose_side_cars_open_no_more_is_not_closed_as_if_nobody_was_in_it(
    crowd: Crowd,
) -> None:
    crowd.use(0)
    crowd.desk.sealer.gone |= {one for one in crowd.desk.sealer.keys if one[0] != INDEX_SEGMENT}
    with pytest.raises(ShreddedError):
        crowd.close()
    assert not crowd.index.closed()
