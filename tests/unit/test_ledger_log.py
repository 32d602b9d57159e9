"""Append, read, publish, refuse."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ledger_desk import DESKS, START_US, Desk, Sealer, desk_over, entry, intent

import safehold_verify as verifier
from safehold.errors import (
    ConflictError,
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.ledger import Ledger, LogSigner, Subject
from safehold.ledger import publisher as publisher_module
from safehold.ledger.entry import OLD_SIDECAR_MARK, SIDECAR_MARK, Seal, aad_of, unseal
from safehold.ledger.opening import open_leaf
from safehold.ledger.subjects import epoch_key, label_of
from safehold.ledger.tree import leaf_hash


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return desk_over(request.param, tmp_path, request)


@pytest.fixture
def embedded(tmp_path: Path) -> Desk:
    """A desk whose journal is SQLite."""
    return Desk(tmp_path)


def test_what_was_appended_is_read_back(desk: Desk) -> None:
    with desk.open() as ledger:
        receipts = ledger.append([entry(at) for at in range(3)])
        assert [one.index for one in receipts] == [0, 1, 2]
        assert {one.size for one in receipts} == {3}
        assert ledger.detail(1) == {
            "actor": "actor-1",
            "object": "dataset",
            "detail": {"n": 1, "why": "test"},
        }
        leaves = dict(ledger.leaves(1))
        assert sorted(leaves) == [1, 2]
        assert leaves[2]["pub"] == {"objects": 1, "rows": 2}
        assert leaves[2]["t"] == START_US // 1000
        assert receipts[2].leaf_hash == verifier.leaf_hash(ledger.leaf(2))
        for wrong in (-1, 3):
            with pytest.raises(MissingError):
                ledger.detail(wrong)
    with desk.open() as again:
        assert again.size == 3
        assert dict(again.leaves(1)) == leaves


def test_no_value_reaches_the_exported_files_or_the_journal(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(actor="canary-actor", object="canary-object", detail={"canary": 1})])
    for file in [one for one in desk.directory.rglob("*") if one.is_file()]:
        assert b"canary" not in file.read_bytes(), file


def test_commitments_of_equal_entries_differ(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(1), entry(1)])
        one, two = (leaf for _, leaf in ledger.leaves())
    assert all(one[name] != two[name] for name in ("act", "obj", "det", "ct"))


def test_the_side_car_is_bound_to_its_leaf_without_a_circle(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(1), entry(2)])
        assert desk.sealer.aads == [aad_of(ledger.leaf(0)), aad_of(ledger.leaf(1))]
        assert len(set(desk.sealer.aads)) == 2
    [(body,)] = desk.edit("SELECT body FROM sidecar")
    half = len(body) // 2
    desk.edit("UPDATE sidecar SET body = ?", body[half:] + body[:half])
    with desk.open() as ledger, pytest.raises(TamperedError, match="not the one its leaf names"):
        ledger.detail(0)


class _FormerSealer(Sealer):
    """Seals as the ledger did when a side-car was bound to the hash of its leaf."""

    def batch(self, *, segment: str, month: int) -> Seal:
        seal = super().batch(segment=segment, month=month)

        def former(secrets: Sequence[bytes], bound: Sequence[bytes]) -> list[bytes]:
            bare = [one.removeprefix(SIDECAR_MARK) for one in bound]
            return seal(secrets, [OLD_SIDECAR_MARK + hashlib.sha256(one).digest() for one in bare])

        return former


def test_side_cars_bound_to_the_hash_of_their_leaf_still_open(desk: Desk) -> None:
    former = desk.sealer = _FormerSealer()
    person = Subject(key=b"k" * 32, flags=5)
    with desk.open() as ledger:
        ledger.append([entry(1), entry(2, subjects=[person])])
    desk.sealer = Sealer()
    desk.sealer.keys = former.keys
    assert all(one.startswith(OLD_SIDECAR_MARK) for one in former.aads)
    with desk.open() as ledger:
        assert ledger.detail(0)["actor"] == "actor-1"
        ledger.append([entry(3)])
        assert ledger.detail(2)["actor"] == "actor-3"
        label = label_of(epoch_key(person.key, 0))
        assert ledger.handles(1, epoch=0)[1] == {label[:16]: 5}
        other = ledger.leaf(0).replace(b'"rows":1', b'"rows":7')
        with pytest.raises(TamperedError, match="does not open"):  # bound to its leaf all the same
            open_leaf(other, ledger._journal.sidecar(0) or b"", desk.sealer)


def test_a_side_car_does_not_open_for_a_leaf_that_says_something_else(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(1)])
        leaf, sealed = ledger.leaf(0), ledger._journal.sidecar(0) or b""
        for old, new in ((b'"rows":1', b'"rows":7'), (b'"k":"ingest"', b'"k":"feature"')):
            other = leaf.replace(old, new)
            assert other != leaf
            with pytest.raises(TamperedError, match="does not open"):
                open_leaf(other, sealed, desk.sealer)


def test_the_nonce_of_a_side_car_is_no_part_of_a_blinding_value(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(1)])
        leaf, sealed = ledger.leaf(0), ledger._journal.sidecar(0)
        assert sealed is not None
        plain = desk.sealer.open(segment="eu/keys", month=202609, sealed=sealed, aad=aad_of(leaf))
        for blind in unseal(leaf, plain).blinds.values():
            assert blind[:12] not in sealed
            assert blind not in leaf


def test_a_side_car_that_says_something_else_is_refused(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(1), entry(2)])
        leaf, sealed = ledger.leaf(0), ledger._journal.sidecar(0)
        plain = desk.sealer.open(
            segment="eu/keys", month=202609, sealed=sealed or b"", aad=aad_of(leaf)
        )
        for changed in (plain.replace(b"actor-1", b"actor-2"), plain[:-1], plain + b"\0", b""):
            with pytest.raises(TamperedError):
                unseal(leaf, changed)


def test_a_destroyed_audit_key_hides_the_detail_and_keeps_the_log(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
        desk.sealer.gone.add(("eu/keys", 202609))
        with pytest.raises(ShreddedError):
            ledger.detail(0)
    desk.open().close()
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


def test_the_same_key_appends_nothing(desk: Desk) -> None:
    with desk.open() as ledger:
        [one, two] = ledger.append([entry(1, key="a"), entry(2, key="a")])
        assert one == two
        [three] = ledger.append([entry(3, key="a")])
        assert (three.index, three.leaf_hash, ledger.size) == (0, one.leaf_hash, 1)
        found = ledger.find("a")
        assert found == three
        assert ledger.find("b") is None
        with pytest.raises(ConflictError):
            ledger.append([intent(key="a")])
    with desk.open() as ledger:
        assert ledger.append([entry(key="a")])[0].index == 0


def test_receipts_of_a_call_with_used_and_new_keys(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(0, key="a")])
        call = [entry(1), entry(2, key="b"), entry(3, key="a"), entry(4, key="b"), entry(5)]
        receipts = ledger.append(call)
        assert [one.index for one in receipts] == [1, 2, 0, 2, 3]
        assert [one.leaf_hash for one in receipts] == [
            leaf_hash(ledger.leaf(one.index)) for one in receipts
        ]
        assert {one.size for one in receipts} == {ledger.size} == {4}
        assert list(receipts[1:3]) == [receipts[1], receipts[2]]
        assert (len(receipts), receipts[-1].index) == (5, 3)
        assert [ledger.detail(at)["detail"]["n"] for at in range(4)] == [0, 1, 2, 5]


def test_each_entry_of_a_call_keeps_its_segment_and_its_people(desk: Desk) -> None:
    people = [Subject(key=bytes([at]) * 32) for at in range(3)]
    call = [
        entry(0, segment="de/keys", subjects=people[:2]),
        entry(1, segment="us/keys"),
        entry(2, segment="de/keys", key="k", subjects=people[2:]),
        entry(3, segment="de/keys", key="k", subjects=people[:1]),
        entry(4, segment="us/keys", subjects=people),
    ]
    with desk.open() as ledger:
        ledger.append(call)
        openings = [
            open_leaf(ledger.leaf(at), ledger._journal.sidecar(at) or b"", desk.sealer)
            for at in range(4)
        ]
        assert [one.actor for one in openings] == [f"actor-{at}" for at in (0, 1, 2, 4)]
        found = [
            [one.people.find(epoch_key(who.key, 0)) is not None for who in people]
            for one in openings
        ]
        assert found == [[True, True, False], [False] * 3, [False, False, True], [True] * 3]
        assert [leaf["seg"] for _, leaf in ledger.leaves()] == [
            call[at].segment for at in (0, 1, 2, 4)
        ]


def test_public_facts_that_were_checked_do_not_let_others_through(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry(public={"rows": 1, "objects": 1})])
        for facts in ({"rows": True, "objects": 1}, {"rows": "1", "objects": 1}, {"rows": 1.0}):
            with pytest.raises(InvalidError):
                ledger.append([entry(public=facts)])
        with pytest.raises(InvalidError):
            ledger.append([intent(), entry(kind="grant", public={"rows": 1, "objects": 1})])
        assert ledger.size == 1


def test_a_planted_idempotency_row_does_not_make_an_access_look_logged(desk: Desk) -> None:
    import hashlib

    with desk.open() as ledger:
        ledger.append([intent(1, key="a")])
    desk.edit("INSERT INTO idem VALUES(?, 0)", hashlib.sha256(b"b").digest())
    with desk.open() as ledger:
        with pytest.raises(TamperedError):
            ledger.append([intent(2, key="b")])
        with pytest.raises(TamperedError):
            ledger.find("b")


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "access.secret"},
        {"charter": b"short"},
        {"segment": 'eu"keys'},
        {"segment": "x" * 70_000},
        {"public": {"rows": -1}},
        {"public": {"rows": True}},
        {"public": {"rows": "1"}},
        {"public": {"person": 1}},
        {"public": {"rows": 2**53}},
        {"kind": "refusal", "public": {"rule": "two words"}},
        {"kind": "choice", "public": {"state": "withdrawn"}},
        {"ref": 0, "kind": "home", "public": {}},
        {"ref": 7, "kind": "feature"},
        {"ref": -1, "kind": "feature"},
        {"ref": 2**53, "kind": "feature"},
        {"ref": True, "kind": "feature"},
        {"kind": "access.result", "public": {}},
        {"actor": "\ud800"},
        {"actor": "x" * 5_000},
        {"detail": {"x": 1.5}},
        {"detail": {"é": 1}},
        {"detail": "text"},
        {"detail": {"x": "y" * 1_100_000}},
        {"subjects": [Subject(key=b"short")]},
        {"subjects": [Subject(key=b"k" * 32, flags=256)]},
        {"subjects": [Subject(key=b"k" * 32), Subject(key=b"k" * 32, flags=1)]},
    ],
)
def test_what_is_wrong_is_refused_at_the_door(embedded: Desk, changes: dict[str, Any]) -> None:
    with embedded.open() as ledger:
        with pytest.raises(InvalidError):
            ledger.append([entry(), entry(**changes)])
        assert ledger.size == 0  # all or none
        ledger.append([entry()])


def test_a_result_names_an_earlier_intent(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([intent(), entry()])
        ledger.append([entry(kind="access.result", public={}, ref=0)])
        ledger.append([intent(), entry(kind="access.result", public={}, ref=3)])
        for wrong in (1, 2, 99):
            with pytest.raises(InvalidError):
                ledger.append([entry(kind="access.result", public={}, ref=wrong)])


def test_time_never_goes_back(desk: Desk) -> None:
    with desk.open() as ledger:
        ledger.append([entry()])
        desk.clock.advance(-86_400_000_000)
        ledger.append([entry()])
    with desk.open() as ledger:
        ledger.append([entry()])
        assert len({leaf["t"] for _, leaf in ledger.leaves()}) == 1


def test_another_key_and_another_log(desk: Desk, tmp_path: Path) -> None:
    right = desk.signer
    desk.signer = LogSigner(b"t" * 32, name=right.name)
    with pytest.raises(TamperedError):
        desk.open()
    with pytest.raises(InvalidError):
        Ledger.create(tmp_path / "new", origin="elsewhere", signer=right)
    with pytest.raises(ConflictError):
        Ledger.create(desk.directory, origin=right.name, signer=right, store=desk.store)


def test_no_log(embedded: Desk, tmp_path: Path) -> None:
    embedded.directory = tmp_path / "nothing"
    embedded.directory.mkdir()
    with pytest.raises(MissingError):
        embedded.open()


def _notes(desk: Desk) -> list[bytes]:
    """Publish twice and return both checkpoints, the older first."""
    notes = []
    with desk.open() as ledger:
        for number in range(2):
            ledger.append([entry(number)])
            ledger.publish()
            notes.append((desk.directory / "checkpoint").read_bytes())
    return notes


def test_a_checkpoint_that_is_not_the_newest_published_is_refused(desk: Desk) -> None:
    older, newest = _notes(desk)
    origin, size, root = newest.split(b"\n")[:3]
    other = desk.signer.sign(b"\n".join([origin, size, b"A" * 43 + b"=", b""]))
    further = desk.signer.sign(b"\n".join([origin, b"92", root, b""]))
    for left in (older, other, further):
        (desk.directory / "checkpoint").write_bytes(left)
        with pytest.raises(TamperedError) as found:
            desk.open()
        assert found.value.rule == "ledger.export", left
    (desk.directory / "checkpoint").write_bytes(newest)
    desk.open().close()


def test_an_older_head_in_the_place_of_the_newest_is_refused(desk: Desk) -> None:
    _notes(desk)
    [(older,)] = desk.edit("SELECT note FROM head ORDER BY size LIMIT 1")
    end = older.find(b"\n", older.rfind(b"\n\n") + 2) + 1  # the log's own line, no cosignatures
    desk.edit("UPDATE state SET note = ?", older[:end])
    with pytest.raises(TamperedError) as found:
        desk.open()
    assert found.value.rule == "ledger.replay"


def test_proof_of_one_entry(desk: Desk) -> None:
    policy = verifier.parse_policy(desk.policy.read_bytes())
    with desk.open() as ledger:
        ledger.append([entry(at) for at in range(300)])
        with pytest.raises(MissingError):
            ledger.prove(5)
        ledger.publish()
        proof, leaf = ledger.prove(299).encode(), ledger.leaf(299)
        assert verifier.check_proof(proof, leaf, policy).index == 299
        for wrong in (
            lambda: verifier.check_proof(proof, ledger.leaf(298), policy),
            lambda: verifier.check_proof(proof.replace(b"299", b"298"), leaf, policy),
            lambda: verifier.check_proof(proof[:-5], leaf, policy),
        ):
            with pytest.raises(verifier.VerificationError):
                wrong()
        extra = proof.replace(b"index", b"extra AAAA\nindex", 1)
        assert verifier.check_proof(extra, leaf, policy).index == 299  # decides nothing


def test_after_close_nothing_goes(desk: Desk) -> None:
    ledger = desk.open()
    ledger.close()
    ledger.close()
    with pytest.raises(UnavailableError):
        ledger.append([entry()])
    with pytest.raises(UnavailableError):
        ledger.check_health()


def test_disk_full_at_export_is_unavailable_and_heals(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)
    with desk.open() as ledger:
        ledger.append([entry()])
        real = os.fsync
        monkeypatch.setattr("safehold.ledger.files.os.fsync", _no_space)
        with pytest.raises(UnavailableError):
            ledger.publish()
        with pytest.raises(UnavailableError):
            ledger.check_health()
        monkeypatch.setattr("safehold.ledger.files.os.fsync", real)
        ledger.publish()
        ledger.check_health()
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


def _no_space(_fd: int) -> None:
    raise OSError(28, "No space left on device")
