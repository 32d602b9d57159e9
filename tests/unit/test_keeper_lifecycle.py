"""Keys of every level: changed while others use them, told by the ledger, refused where they must be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cheap_home import cheap_home
from tests.keeper_desk import Bench, copy_bench
from tests.key_crashing import NEW, OLD
from tests.key_services import PIN, TOKEN, SoftHsm, Transit, find_softhsm
from tests.lifecycle_desk import reads, reopen, root, states, token
from tests.world import outside

from safehold.app.control import open_control
from safehold.app.custody import pinned, unlock
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    QuorumError,
    ShreddedError,
    SignInError,
    TamperedError,
    UnavailableError,
)
from safehold.vault import keyring
from safehold.vault.reroot import check_marker


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with cheap_home(tmp_path_factory.mktemp("made")) as bench:
        bench.stop()
        yield bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    found = copy_bench(made, tmp_path)
    reopen(found, OLD)
    yield found
    found.stop()


@pytest.fixture(scope="module")
def softhsm() -> SoftHsm:
    return find_softhsm()


@pytest.fixture
def transit() -> Iterator[Transit]:
    found = Transit()
    yield found
    found.close()
    assert found.wrong == []


def test_from_a_file_to_a_token_and_back_to_another_key(bench: Bench, softhsm: SoftHsm) -> None:
    derived = bench.desk.vault.derive("lookup")
    before = bench.home.root_file.read_bytes()
    answer = bench.call("key.rotate", **root(token(softhsm, "first")))
    assert (answer["kept"], answer["shares"]) == ("pkcs11", [])
    assert answer["rewrapped"] >= 3
    assert reads(bench) == 3
    assert bench.home.root_file.read_bytes() != before
    with pytest.raises(InvalidError, match="needs a PIN"):
        reopen(bench, OLD)
    reopen(bench, {"unlock": PIN})
    assert reads(bench) == 3
    assert bench.desk.vault.derive("lookup") == derived
    present = {"unlock": PIN}
    gone = bench.call("key.rotate", **root(token(softhsm, "second"), present, destroy=True))
    assert "destroyed in the token" in gone["old"]
    reopen(bench, present)
    assert reads(bench) == 3
    assert [kind for kind, _ in pinned(bench.home)] == ["pkcs11"]
    assert states(bench) == [("root", "pkcs11", "begun"), ("root", "pkcs11", "done")] * 2
    listed = bench.call("key.list")["levels"][0]
    assert (listed["kept"], listed["where"]["object"]) == ("pkcs11", "second")
    # the file of the first token root opens nothing: its key is gone for good
    bench.stop()
    bench.home.root_file.write_bytes(bench.home.root_file.read_bytes().replace(b"second", b"first"))
    with outside(bench.path), pytest.raises(TamperedError, match="not pinned"):
        unlock(bench.home, present)


def test_a_destroyed_key_of_a_token_opens_nothing(bench: Bench, softhsm: SoftHsm) -> None:
    bench.call("key.rotate", **root(token(softhsm, "doomed")))
    bench.desk.vault.root.kek.destroy()
    bench.desk.vault._keyring.forget()
    with pytest.raises(ShreddedError):
        reads(bench)
    bench.stop()
    with outside(bench.path), pytest.raises(ShreddedError):
        unlock(bench.home, {"unlock": PIN})


def test_to_shares_and_from_shares(bench: Bench) -> None:
    answer = bench.call("key.rotate", **root({"split": [2, 3]}))
    assert len(answer["shares"]) == 3
    reopen(bench, {"shares": answer["shares"][1:]})
    assert reads(bench) == 3
    with pytest.raises(QuorumError):
        bench.call("key.rotate", **root(NEW, {"shares": answer["shares"][:1]}))
    shares = {"shares": answer["shares"][:2]}
    with pytest.raises(DeniedError):
        bench.call("key.rotate", **root(NEW, shares))
    object.__setattr__(bench.desk.home, "synthetic", True)  # of made-up people it may
    try:
        bench.call("key.rotate", **root(NEW, shares))
    finally:
        object.__setattr__(bench.desk.home, "synthetic", False)
    reopen(bench, NEW)
    assert reads(bench) == 3


@pytest.mark.parametrize(
    "present", [NEW, {"unlock": "1"}, {}, {"shares": []}], ids=["other", "kind", "none", "shares"]
)
def test_another_root_takes_what_opens_the_present_one(bench: Bench, present) -> None:
    with pytest.raises((SignInError, InvalidError)):
        bench.call("key.rotate", **root(NEW, present))
    assert states(bench) == []
    assert not bench.home.next_root_file.exists()
    reopen(bench, OLD)


def test_a_token_is_asked_for_by_whoever_knows_its_pin(bench: Bench, softhsm: SoftHsm) -> None:
    bench.call("key.rotate", **root(token(softhsm, "asked")))
    for present in ({"unlock": "11111111"}, OLD, {}):
        with pytest.raises(SignInError):
            bench.call("key.rotate", **root(NEW, present))
    assert bench.desk.vault.root.kind == "pkcs11"


def test_real_people_are_not_given_a_lesser_root(bench: Bench, softhsm: SoftHsm) -> None:
    bench.call("key.rotate", **root(token(softhsm, "high")))
    with pytest.raises(DeniedError) as caught:
        bench.call("key.rotate", **root(NEW, {"unlock": PIN}))
    assert caught.value.rule == "key.lower"
    assert caught.value.entry is not None
    assert bench.desk.vault.root.kind == "pkcs11"


def test_a_new_root_that_does_not_answer_changes_nothing(bench: Bench, transit: Transit) -> None:
    transit.sealed = True
    order = {"place": transit.uri("r"), "unlock": TOKEN, "make": True}
    with pytest.raises(UnavailableError):
        bench.call("key.rotate", **root(order))
    transit.sealed = False

    def reached(step: str) -> None:
        transit.sealed = step == "change"

    bench.verbs.lifecycle.reached = reached
    with pytest.raises(UnavailableError):
        bench.call("key.rotate", **root(order))
    assert states(bench)[-1] == ("root", "hcvault", "undone")
    bench.verbs.lifecycle.reached = lambda _: None
    transit.sealed = False
    assert reads(bench) == 3
    assert pinned(bench.home) == []
    bench.call("key.rotate", **root(order | {"make": False}))
    assert reads(bench) == 3


def test_a_ledger_that_only_reads_lets_no_key_change(bench: Bench, monkeypatch) -> None:
    before = bench.home.root_file.read_bytes()

    def refuse(*_: Any) -> None:
        raise UnavailableError("full", rule="ledger.append")

    monkeypatch.setattr(type(bench.desk), "log", refuse)
    for order in (root(NEW), {"level": "segment"}, {"level": "mint"}):
        with pytest.raises(UnavailableError):
            bench.call("key.rotate", **order)
    monkeypatch.undo()
    assert bench.home.root_file.read_bytes() == before
    assert not bench.home.next_root_file.exists()
    assert set(bench.call("key.list")["levels"][1]["epochs"].values()) == {1}
    reopen(bench, OLD)
    assert {state for _, _, state in states(bench)} == {"begun", "undone"}


def test_while_the_key_service_is_down_nothing_opens_and_then_all_does(
    bench: Bench, transit: Transit
) -> None:
    bench.call("key.rotate", **root({"place": transit.uri("r"), "unlock": TOKEN, "make": True}))
    reopen(bench, {"unlock": TOKEN})
    assert reads(bench) == 3
    transit.calls.clear()
    for _ in range(5):
        assert reads(bench) == 3
    assert transit.calls == []  # the key of a segment is held for minutes
    for trouble in ("sealed", "mute", "token", "answer"):
        bench.clock.advance((keyring.KEK_SECONDS + 1) * 1_000_000)
        transit.sealed, transit.mute = trouble == "sealed", trouble == "mute"
        transit.tokens = set() if trouble == "token" else {TOKEN}
        transit.answer = (200, b'{"data":{"batch_results":"x"}}') if trouble == "answer" else None
        with pytest.raises(UnavailableError) as caught:
            reads(bench)
        assert caught.value.fix
        assert TOKEN not in repr(caught.value.payload())
        transit.sealed = transit.mute = False
        transit.tokens, transit.answer = {TOKEN}, None
        transit.calls.clear()
        assert reads(bench) == 3, "without a restart"
        assert transit.calls == ["decrypt"]  # one call for the segment


def test_versions_of_a_transit_key(bench: Bench, transit: Transit) -> None:
    order = {"place": transit.uri("r"), "unlock": TOKEN, "make": True}
    bench.call("key.rotate", **root(order))
    transit.rotate("r")
    reopen(bench, {"unlock": TOKEN})
    assert reads(bench) == 3
    bench.call("key.rotate", level="segment")  # wrapped by version 2 from here on
    assert reads(bench) == 3
    transit.keys["r"].least = 2
    bench.desk.vault._keyring.forget()
    assert reads(bench) == 3
    bench.stop()
    with outside(bench.path), pytest.raises(UnavailableError) as caught:
        unlock(bench.home, {"unlock": TOKEN})  # the root file is of version 1
    assert caught.value.rule == "root.kms.version"
    transit.keys["r"].least = 1


def test_an_edited_home_sends_the_token_nowhere_else(bench: Bench, transit: Transit) -> None:
    bench.call("key.rotate", **root({"place": transit.uri("r"), "unlock": TOKEN, "make": True}))
    bench.stop()
    thief = Transit()
    try:
        data = bench.home.root_file.read_bytes()
        bench.home.root_file.write_bytes(data.replace(transit.url.encode(), thief.url.encode()))
        with outside(bench.path), pytest.raises(TamperedError, match="not pinned"):
            unlock(bench.home, {"unlock": TOKEN})
        bench.home.root_places_file.unlink()
        with outside(bench.path), pytest.raises(TamperedError, match="not pinned"):
            unlock(bench.home, {"unlock": TOKEN})
        assert thief.calls == thief.wrong == []
    finally:
        thief.close()


def test_a_keeper_that_opens_again_has_the_root_of_now(bench: Bench) -> None:
    """One that stands by and leads again, in one process, is not unlocked twice."""
    bench.call("key.rotate", **root(NEW))
    bench.restart()
    assert reads(bench) == 3
    assert bench.desk.vault.root is bench.root.now


@pytest.mark.parametrize("step", ["change", "commit", "turned", "adopt"])
def test_a_second_keeper_that_is_unlocked_during_a_change_leaves_the_files_alone(
    bench: Bench, step: str
) -> None:
    """It would take the next root for one that a crash left, and destroy the only one there is."""
    refused: list[str | None] = []

    def come(now: str) -> None:
        if now == step:
            for secret in (OLD, NEW):
                with outside(bench.path), pytest.raises(ConflictError) as found:
                    unlock(bench.home, secret)
                refused.append(found.value.rule)

    bench.verbs.lifecycle.reached = come
    bench.call("key.rotate", **root(NEW))
    assert refused == ["key.rotate"] * 2
    reopen(bench, NEW)
    assert reads(bench) == 3
    assert states(bench)[-1] == ("root", "passphrase", "done")


def test_the_file_in_use_is_never_overwritten_under_its_other_name(bench: Bench) -> None:
    bench.home.retired_root_file.hardlink_to(bench.home.root_file)
    reopen(bench, OLD)
    assert not bench.home.retired_root_file.exists()
    assert reads(bench) == 3
    reopen(bench, OLD)


def test_which_root_counts_is_not_said_while_somebody_may_still_commit_another(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session that was cut off may commit a moment later; by then the next root would be gone."""
    monkeypatch.setattr("safehold.db.sqlite.PATIENCE_S", 0)
    hurried = open_control(bench.home)
    try:
        with bench.desk.engine.begin(), pytest.raises(UnavailableError):
            check_marker(hurried, bench.desk.vault.root)
        check_marker(hurried, bench.desk.vault.root)
    finally:
        hurried.dispose()


def test_a_change_whose_end_nobody_knows_is_not_called_undone(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through, and the database went away before it said so."""
    real = bench.desk.vault.reroot

    def cut(new: Any, **more: Any) -> int:
        real(new, **more)
        raise UnavailableError("no answer", rule="db.unavailable")

    monkeypatch.setattr(bench.desk.vault, "reroot", cut)
    with pytest.raises(UnavailableError):
        bench.call("key.rotate", **root(NEW))
    assert [state for _, _, state in states(bench)] == ["begun"]
    reopen(bench, NEW)
    assert [state for _, _, state in states(bench)] == ["begun", "done"]
    assert reads(bench) == 3


def test_what_is_no_order_is_refused(bench: Bench) -> None:
    for order in ({}, {"level": "log"}, {"level": "root"}, {"level": "root", "new": NEW}):
        with pytest.raises(InvalidError):
            bench.call("key.rotate", **order)
    with pytest.raises(InvalidError):
        bench.call("key.rotate", **root({"passphrase": "short"}))
    with pytest.raises(InvalidError):
        bench.call("key.rotate", **root({"place": "pkcs11:token=a", "unlock": "1"}))
    assert states(bench) == []
