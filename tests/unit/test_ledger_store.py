"""What every store of a journal has to do, with batches made by hand, over each of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ledger_desk import DESKS, ORIGIN, Desk, desk_over

from safehold.errors import ConflictError, InvalidError, MissingError, TamperedError
from safehold.ledger.store import Batch, pack_sidecars
from safehold.ledger.store_postgres import read_url
from safehold.ledger.store_postgres_place import lock_of, schema_of
from safehold.ledger.tile import pack_entries
from safehold.ledger.tree import EMPTY, Tree, leaf_hash


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return desk_over(request.param, tmp_path, request)


def batch(before: Tree, first: int, count: int, **changes: object) -> Batch:
    leaves = [b"leaf %d" % at for at in range(first, first + count)]
    after, tiles = before.extend(b"".join(map(leaf_hash, leaves)))
    fields = {
        "before": before,
        "before_root": before.root() if before.size else EMPTY,
        "after": after,
        "root": after.root(),
        "time": 1_000 + first,
        "note": b"note %d" % after.size,
        "body": pack_entries(leaves),
        "sidecars": pack_sidecars([b"sealed %d" % at * (at % 3) for at in range(first, first + count)]),
        "tiles": tiles,
        "keys": [(b"%032d" % at, at) for at in range(first, first + count, 5)],
    }  # fmt: skip
    return Batch(**{**fields, **changes})  # type: ignore[arg-type]


def test_what_was_committed_is_read_back(desk: Desk) -> None:
    journal, tree, counts = desk.store.open(ORIGIN), Tree(), [1, 2, 300, 1, 70_000, 5, 1, 1, 90]
    try:
        starts = []
        for count in counts:
            starts.append(tree.size)
            made = batch(tree, tree.size, count)
            journal.commit(made)
            tree = made.after
            state = journal.state()
            assert (state.size, state.root, state.note) == (tree.size, tree.root(), made.note)
            assert (state.time, state.exported) == (1_000 + starts[-1], -1)
        leaves = [b"leaf %d" % at for at in range(tree.size)]
        found = list(journal.batches())
        assert [(first, len(some)) for first, some in found] == list(
            zip(starts, counts, strict=True)
        )
        assert [leaf for _, some in found for leaf in some] == leaves
        for start in (1, 2, 303, 304, tree.size - 1):
            first, some = next(iter(journal.batches(start)))
            assert first <= start < first + len(some)
        for index in (0, 1, 2, 302, 303, 304, 70_303, 70_304, tree.size - 1):
            assert journal.leaf(index) == leaves[index]
            assert journal.sidecar(index) == b"sealed %d" % index * (index % 3)
            first = max(one for one in starts if one <= index)
            at = index if (index - first) % 5 == 0 else None
            assert journal.find(b"%032d" % index) == at
        for wrong in (-1, tree.size, 1 << 62):
            with pytest.raises(MissingError):
                journal.leaf(wrong)
        again, expected = Tree().extend(b"".join(map(leaf_hash, leaves)))
        assert again.root() == tree.root()
        assert expected[-1][0] == 1  # tiles of two levels
        for level, number, data in expected:
            assert journal.tile(level, number) == data
        assert journal.tile(0, tree.size >> 8) is None
        assert journal.tile(1, 300) is None
        assert journal.identity() == (ORIGIN, desk.signer.vkey.text())
        journal.check()
    finally:
        journal.close()


def test_heads(desk: Desk) -> None:
    journal = desk.store.open(ORIGIN)
    assert journal.head() is None
    journal.add_head(0, b"empty")
    made = batch(Tree(), 0, 3)
    journal.commit(made)
    journal.add_head(3, b"three")
    journal.add_head(3, b"three, cosigned again")
    journal.set_exported(3)
    assert journal.state().exported == 3
    assert journal.head() == (3, b"three, cosigned again")
    assert journal.head(0) == (0, b"empty")
    assert journal.head(2) is None
    assert journal.head_from(0) == (0, b"empty")
    assert journal.head_from(1) == (3, b"three, cosigned again")
    assert journal.head_from(4) is None
    assert desk.store.published(ORIGIN, 3) == b"three, cosigned again"
    journal.close()
    assert desk.store.published(ORIGIN, 0) == b"empty"
    assert desk.store.published(ORIGIN, 1) is None


def test_a_batch_that_follows_nothing_leaves_nothing(desk: Desk) -> None:
    journal = desk.store.open(ORIGIN)
    made = batch(Tree(), 0, 300)
    journal.commit(made)
    for wrong in (
        made,
        batch(Tree(), 0, 1),
        batch(made.after, 300, 2, before_root=b"r" * 32),
    ):
        with pytest.raises(TamperedError, match="somebody else"):
            journal.commit(wrong)
        assert journal.state().size == 300
        assert [first for first, _ in journal.batches()] == [0]
    journal.commit(batch(made.after, 300, 2))
    journal.close()


def test_there_is_one_log_and_one_holder(desk: Desk) -> None:
    with pytest.raises(ConflictError):
        desk.store.create(origin=ORIGIN, vkey="v", note=b"n")
    journal = desk.store.open(ORIGIN)
    with pytest.raises(ConflictError):
        desk.store.open(ORIGIN)
    journal.close()
    desk.store.open(ORIGIN).close()


# URLs


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "looks like"),
        ("sqlite:///x", "looks like"),
        ("host=db.example user=me", "looks like"),
        ("postgresql://me@/ledgers", "looks like"),
        ("postgresql://me@db.example:canary/x", "looks like"),
        ("postgresql://me:canary@db.example/x", "no password"),
        ("postgresql:///x?host=/run&password=canary", "no password"),
        ("postgresql://me@db.example/x?sslpassword=canary", "no password"),
        ("postgresql://me@db.example/x?sslmode=require", "prove who it is"),
        ("postgresql://me@localhost,db.example/x?sslmode=prefer", "prove who it is"),
        ("postgresql://me@localhost/x?hostaddr=192.0.2.7&sslmode=disable", "prove who it is"),
    ],
)
def test_a_url_that_no_ledger_may_lie_at(url: str, word: str) -> None:
    with pytest.raises(InvalidError, match=word) as found:
        read_url(url)
    assert found.value.rule == "ledger.url"
    assert "canary" not in repr(found.value) + str(found.value.payload())
    assert found.value.__cause__ is None


def test_what_a_url_means() -> None:
    far = read_url("postgresql://me@db.example/x")
    assert (far["sslmode"], far["target_session_attrs"]) == ("verify-full", "read-write")
    assert "sslmode" not in read_url("postgresql:///x?host=/run/postgresql")
    assert "sslmode" not in read_url("postgresql://127.0.0.1/x")
    assert read_url("postgresql://[::1]/x?keepalives_idle=3")["keepalives_idle"] == "3"


def test_names_that_other_programs_may_rely_on() -> None:
    assert schema_of(ORIGIN) == "ledger_2e2dd784da915c22573467c54f98f9d5"
    assert lock_of(ORIGIN) == -9_202_490_012_994_152_229
