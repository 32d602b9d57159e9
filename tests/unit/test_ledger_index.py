"""Epochs are counted in the log, closing one accounts for every item, and everybody finds their list."""

from __future__ import annotations

import hashlib
import hmac
import os
import threading
from pathlib import Path

import orjson
import pytest
from tests.crowd import Crowd
from tests.ledger_desk import ORIGIN, entry

from safehold.errors import ConflictError, InvalidError, MissingError, ShreddedError, TamperedError
from safehold.ledger import Subject
from safehold.ledger.entry import INDEX_SEGMENT
from safehold.ledger.epoch import Epochs
from safehold.ledger.subjects import (
    epoch_key,
    gather,
    item_of,
    label_of,
    padding_item,
    tag_of,
)
from safehold_verify.package import verify_package


@pytest.fixture
def crowd(tmp_path: Path):
    crowd = Crowd(tmp_path)
    yield crowd
    crowd.ledger.close()


def epoch_leaf(**facts: int | str):
    ref = facts.pop("ref", None)
    return entry(kind="index.epoch", public=facts, ref=ref)


# -- subject sets ----------------------------------------------------------------------------------


def test_the_formats_are_those_that_are_written_down() -> None:
    """Vectors computed by hand from the definitions; whoever changes a format changes these."""
    key = bytes(range(32))
    own = epoch_key(key, 7)
    nonce, pad = b"n" * 32, b"p" * 32
    h = hashlib.sha256
    assert label_of(own) == h(b"sh/label/v1" + own).digest()
    blind = hmac.digest(own, b"sh/blind/v1" + nonce, "sha256")
    tag = hmac.digest(own, b"sh/tag/v1" + nonce, "sha256")
    assert tag_of(own, nonce) == tag
    assert item_of(own, nonce, 3) == h(blind + tag + b"\3").digest()
    assert padding_item(pad, 1) == hmac.digest(pad, b"sh/pad/v1\0\0\0\1", "sha256")
    assert own == hmac.digest(key, b"sh/epoch/v1" + (7).to_bytes(8, "big"), "sha256")


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9])
def test_every_item_is_a_person_or_padding_that_can_be_derived(count: int) -> None:
    keys = [os.urandom(32) for _ in range(count)]
    people = gather([Subject(key=key, flags=at) for at, key in enumerate(keys)], 4)
    assert len(people.items) == 1 << (count - 1).bit_length()
    theirs = {item_of(epoch_key(key, 4), people.nonce, at) for at, key in enumerate(keys)}
    assert set(people.items) == theirs | people.padding()
    assert not theirs & people.padding()
    assert [people.find(epoch_key(key, 4)) for key in keys] == [
        (people.items.index(item_of(epoch_key(key, 4), people.nonce, at)), at)
        for at, key in enumerate(keys)
    ]
    assert people.find(epoch_key(keys[0], 5)) is None, "the key of another epoch opens nothing"


# -- epochs ----------------------------------------------------------------------------------------


def test_an_epoch_that_ends_between_drafting_and_commit_is_drafted_again(crowd: Crowd) -> None:
    """Entries of one call after a begin leaf belong to the next epoch, though they were drafted before it."""
    begin = epoch_leaf(state="begin", epoch=1)
    receipts = crowd.ledger.append([crowd.about(0), begin, crowd.about(0, 1)])
    first, _, last = [one.index for one in receipts]
    for index, epoch in ((first, 0), (last, 1)):
        people = crowd.ledger.opening(index).people
        assert people.find(epoch_key(crowd.keys[0], epoch)) is not None
        assert people.find(epoch_key(crowd.keys[0], 1 - epoch)) is None
    assert crowd.ledger.epochs.current == 1


def test_concurrent_appends_fall_into_the_epoch_of_their_number(crowd: Crowd) -> None:
    def work() -> None:
        for _ in range(10):
            crowd.use(0, 1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for one in threads:
        one.start()
    for _ in range(5):
        crowd.index.close()
    for one in threads:
        one.join()
    crowd.close()
    report = verify_package(crowd.package(0), crowd.desk.policy)
    assert len(report.uses) == 40


@pytest.mark.parametrize(
    "facts",
    [
        {"state": "begin", "epoch": 0},
        {"state": "begin", "epoch": 2},
        {"state": "root", "epoch": 0, "first": 0, "stop": 1, "root": "x", "ref": 0},
        {"state": "other", "epoch": 1},
        {"epoch": 1},
    ],
)
def test_epochs_follow_one_another(crowd: Crowd, facts: dict[str, int | str]) -> None:
    crowd.use(0)
    with pytest.raises((ConflictError, InvalidError)):
        crowd.ledger.append([crowd.about(1), epoch_leaf(**facts)])
    assert crowd.ledger.size == 1, "nothing of the call was appended"
    assert crowd.ledger.epochs.current == 0


@pytest.mark.parametrize(
    "change", [{"epoch": 1}, {"first": 1}, {"stop": 1}, {"ref": 3}, {"again": True}]
)
def test_an_epoch_is_closed_once_and_over_its_own_range(crowd: Crowd, change: dict) -> None:
    crowd.use(0)
    crowd.ledger.append([epoch_leaf(state="begin", epoch=1), epoch_leaf(state="begin", epoch=2)])
    crowd.use(0)
    facts = {"state": "root", "epoch": 0, "first": 0, "stop": 1, "root": "AAAA", "ref": 1}
    if "again" in change:
        crowd.ledger.append([epoch_leaf(**facts)])
    else:
        facts |= change
        if change == {"stop": 1}:
            facts |= {"stop": 2, "ref": 2}
    with pytest.raises((ConflictError, InvalidError)):
        crowd.ledger.append([epoch_leaf(**facts)])


def test_a_stored_log_whose_epochs_do_not_follow_is_not_opened() -> None:
    leaf = orjson.dumps({"k": "index.epoch", "pub": {"state": "begin", "epoch": 2}})
    for damaged in (leaf, leaf[:-1], b"[" + leaf + b"]"):
        with pytest.raises(TamperedError):
            Epochs().see(0, [damaged])


def test_the_epoch_is_restored_at_opening(crowd: Crowd) -> None:
    crowd.use(0)
    crowd.close()
    crowd.use(0)
    crowd.reopen()
    assert crowd.ledger.epochs.current == 1
    index = crowd.use(0)
    assert crowd.ledger.opening(index).people.find(epoch_key(crowd.keys[0], 1)) is not None


# -- closing ---------------------------------------------------------------------------------------


def test_a_crash_between_begin_and_root_is_finished(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.ledger.append([epoch_leaf(state="begin", epoch=1)])
    crowd.use(1)
    crowd.reopen()
    (closed,) = crowd.index.finish()
    assert (closed.epoch, closed.first, closed.stop) == (0, 0, 1)
    assert crowd.index.finish() == []
    crowd.close()
    report = verify_package(crowd.package(1), crowd.desk.policy)
    assert [span.count for span in report.spans] == [1, 1]


def test_two_epochs_left_open_are_both_finished(crowd: Crowd) -> None:
    crowd.use(0)
    crowd.ledger.append([epoch_leaf(state="begin", epoch=1)])
    crowd.use(1)
    crowd.ledger.append([epoch_leaf(state="begin", epoch=2)])
    assert [one.epoch for one in crowd.index.finish()] == [0, 1]
    crowd.ledger.publish()
    assert verify_package(crowd.package(1), crowd.desk.policy).covered == 3


def test_nothing_new_closes_nothing(crowd: Crowd) -> None:
    crowd.use(0)
    crowd.close()
    size = crowd.ledger.size
    crowd.close()
    assert crowd.ledger.size == size


def test_closing_refuses_when_the_key_of_somebody_is_missing(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.gone.add(1)
    with pytest.raises(TamperedError) as caught:
        crowd.close()
    assert caught.value.rule == "index.strangers"
    crowd.gone.clear()
    crowd.close()
    assert crowd.index.closed()


def test_closing_goes_on_when_somebody_was_erased(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.ledger.append([entry(kind="erasure", public={"state": "begun"})])
    crowd.gone.add(1)
    crowd.close()
    assert verify_package(crowd.package(0), crowd.desk.policy).spans[0].count == 1


def test_an_item_that_is_nobodys_is_not_passed_over(crowd: Crowd) -> None:
    """An entry whose items were made with other keys than its handles say: no epoch over it is closed."""
    draft = crowd.about(0, 1)
    index = crowd.ledger.append([draft])[0].index
    opening = crowd.ledger.opening(index)
    handles = crowd.ledger.handles(index, epoch=0)[1]
    assert len(handles) == 2
    known = {label_of(epoch_key(key, 0))[:16]: epoch_key(key, 0) for key in crowd.keys}
    swapped = {handle: flags + 1 for handle, flags in handles.items()}
    with pytest.raises(TamperedError) as caught:
        crowd.index._match(opening, swapped, known, set())
    assert caught.value.rule == "index.item"
    assert crowd.index._match(opening, handles, known, set())


# -- trees at rest ---------------------------------------------------------------------------------


def test_a_tree_that_was_deleted_is_computed_again(crowd: Crowd) -> None:
    crowd.use(0, 1, 2)
    crowd.use(1)
    crowd.close()
    before = [crowd.package(one).joinpath("package.json").read_bytes() for one in range(5)]
    for file in (crowd.path / "index").iterdir():
        file.unlink()
    after = [crowd.package(one).joinpath("package.json").read_bytes() for one in range(5)]
    assert before == after


def test_even_when_the_handles_are_gone(crowd: Crowd) -> None:
    crowd.use(0, 1, 2)
    crowd.close()
    crowd.desk.sealer.gone.add((INDEX_SEGMENT, 0))
    with pytest.raises(ShreddedError):
        crowd.ledger.handles(0, epoch=0)
    for file in (crowd.path / "index").iterdir():
        file.unlink()
    assert verify_package(crowd.package(2), crowd.desk.policy).spans[0].count == 1


def test_but_not_once_somebody_in_it_was_erased(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.close()
    crowd.gone.add(1)
    crowd.desk.sealer.gone.add((INDEX_SEGMENT, 0))
    assert verify_package(crowd.package(0), crowd.desk.policy).spans[0].count == 1
    for file in (crowd.path / "index").iterdir():
        file.unlink()
    with pytest.raises(MissingError):
        crowd.package(0)


def test_a_tree_that_was_changed_or_swapped_is_noticed(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.close()
    crowd.use(0)
    crowd.close()
    one, two = sorted((crowd.path / "index").iterdir())
    data = one.read_bytes()
    for changed in (data[:-1] + bytes([data[-1] ^ 1]), two.read_bytes()):
        one.write_bytes(changed)
        with pytest.raises(TamperedError):
            crowd.package(0)


def test_a_list_lies_under_the_persons_own_key(crowd: Crowd) -> None:
    crowd.use(0, 1)
    crowd.close()
    _, rows = crowd.index.tree(0)
    own, other = (epoch_key(key, 0) for key in crowd.keys[:2])
    assert rows[label_of(own)].places(own) == [0]
    with pytest.raises(TamperedError):
        rows[label_of(own)].places(other)


# -- receipts --------------------------------------------------------------------------------------


def test_a_receipt_holds_no_key_and_fits_later_packages(crowd: Crowd) -> None:
    receipt = crowd.receipt(0)
    assert set(orjson.loads(receipt)) == {"v", "origin", "size", "commitment"}
    assert orjson.loads(receipt)["origin"] == ORIGIN
    crowd.use(0)
    crowd.close()
    assert verify_package(crowd.package(0), crowd.desk.policy, receipt=receipt).bound
    assert not verify_package(crowd.package(0), crowd.desk.policy).bound
