"""Segments, capabilities and all that is derived: their keys change while uses go on, and are listed."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cheap_home import cheap_home
from tests.keeper_desk import Bench, copy_bench
from tests.key_crashing import NEW, OLD
from tests.key_services import PIN, SoftHsm, find_softhsm
from tests.lifecycle_desk import blocks, reads, reopen, root, states, token
from tests.world import PASSPHRASE, outside

import safehold_verify as verifier
from safehold.app.verification import verify_home
from safehold.errors import (
    ConflictError,
    MissingError,
    SafeholdError,
    ShreddedError,
    SignInError,
)
from safehold.keeper.lifecycle import FIXED


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


def test_segments_change_and_old_copies_end(bench: Bench, tmp_path: Path) -> None:
    import shutil

    from safehold import db
    from safehold.vault import Objects, Vault

    shutil.copy(bench.home.control, tmp_path / "old.db")
    name = blocks(bench)[0].segment
    first = bench.call("key.rotate", level="segment", segment=name)
    assert first["segments"] == [name]
    assert first["rewrapped"] > 3
    every = bench.call("key.rotate", level="segment")
    epochs = bench.call("key.list")["levels"][1]["epochs"]
    assert epochs[name] == 3
    assert set(every["segments"]) == set(epochs)
    assert reads(bench) == 3
    with pytest.raises(MissingError):
        bench.call("key.rotate", level="segment", segment="nowhere")
    assert states(bench)[-1][-1] == "undone"
    engine = db.open_engine(tmp_path / "old.db")
    old = Vault.open(
        engine=engine,
        root=bench.root,
        epochs=bench.home.epochs,
        objects=Objects(bench.home.objects),
        clock=bench.clock,
    )
    with pytest.raises(ShreddedError):
        list(old.read(blocks(bench)))
    engine.dispose()


def test_a_capability_lives_its_hour_when_the_minting_key_changes(bench: Bench) -> None:
    minting = bench.verbs.grants.minting
    first = minting.public
    assert bench.desk.vault.derive("capability-mint") == minting.seed

    def minted_by(wanted) -> Callable[[Any], str]:
        def check(public) -> str:
            if public.text() != wanted.text():
                raise SignInError("not minted here", rule="capability.signature")
            return "in"

        return check

    assert minting.verify(minted_by(first)) == "in"
    bench.call("key.rotate", level="mint")
    second = minting.public
    assert second.text() != first.text()
    assert minting.verify(minted_by(first)) == minting.verify(minted_by(second)) == "in"
    bench.clock.advance(3600 * 1_000_000)
    with pytest.raises(SignInError):
        minting.verify(minted_by(first))
    bench.restart()
    minting = bench.verbs.grants.minting
    assert minting.verify(minted_by(second)) == "in"
    bench.call("key.rotate", level="mint")
    with pytest.raises(SignInError):
        minting.verify(minted_by(first))
    assert minting.verify(minted_by(second)) == "in"


def test_one_change_at_a_time(bench: Bench) -> None:
    refused: list[SafeholdError] = []

    def again(step: str) -> None:
        if step == "change":
            with pytest.raises(ConflictError) as caught:
                bench.call("key.rotate", level="mint")
            refused.append(caught.value)

    bench.verbs.lifecycle.reached = again
    bench.call("key.rotate", level="segment")
    assert [error.rule for error in refused] == ["key.rotate"]


@pytest.mark.parametrize("level", ["root", "segment", "mint"])
def test_uses_go_on_while_keys_change(bench: Bench, level: str) -> None:
    """Readers and a writer of secrets run until a number of changes are through; none of them fails."""
    wanted = blocks(bench)
    over = threading.Event()
    rounds = [0, 0, 0]
    failed: list[BaseException] = []

    def run(at: int, act: Callable[[int], object]) -> None:
        try:
            while not over.is_set() or not rounds[at]:
                act(rounds[at])
                rounds[at] += 1
        except BaseException as error:
            failed.append(error)
            over.set()

    def read(_: int) -> None:
        bench.desk.vault._keyring.forget()  # so that every reading asks the root
        assert len(list(bench.desk.vault.read(wanted))) == 3

    def secret(number: int) -> None:
        data = number.to_bytes(8, "big")
        bench.desk.vault.seal_secret("of-the-test", data)
        assert bench.desk.vault.open_secret("of-the-test") == data

    acts = (read, read, secret)
    threads = [threading.Thread(target=run, args=(at, act)) for at, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    orders = [{"level": level}] * 2
    if level == "root":
        orders = [root(NEW, OLD), root(OLD, NEW)]
    try:
        for order in orders:
            if over.is_set():
                break
            bench.call("key.rotate", **order)
    finally:
        over.set()
        for thread in threads:
            thread.join(300)
    assert failed == []
    assert min(rounds) > 0
    reopen(bench, OLD)
    assert bench.desk.vault.open_secret("of-the-test") == (rounds[2] - 1).to_bytes(8, "big")
    assert reads(bench) == 3


def test_no_answer_entry_or_file_shows_a_key(bench: Bench, softhsm: SoftHsm) -> None:
    secrets = [bench.root.now.secret(), bench.root.derivation()]
    answers = [
        bench.call("key.rotate", **root(token(softhsm, "quiet"))),
        bench.call("key.rotate", level="segment"),
        bench.call("key.rotate", level="mint"),
        bench.call("key.list"),
        bench.call("status"),
    ]
    secrets += [bench.verbs.grants.minting.seed, PIN.encode(), PASSPHRASE.encode()]
    said = json.dumps(answers).encode()
    said += b"".join(file.read_bytes() for file in bench.path.rglob("*") if file.is_file())
    from base64 import b64encode

    for secret in secrets:
        for form in (secret, secret.hex().encode(), b64encode(secret)):
            assert form not in said


def test_the_list_names_every_level_and_says_what_cannot_change(bench: Bench) -> None:
    levels = {one["level"]: one for one in bench.call("key.list")["levels"]}
    assert list(levels) == ["root", "segment", "row", "log", "mint", "derived"]
    assert levels["derived"]["fixed"] == FIXED
    assert levels["row"]["numbers"]["person"] == 3
    made = levels["root"]["since_ms"]
    bench.clock.advance(90 * 86_400 * 1_000_000)
    bench.call("key.rotate", level="mint")
    levels = {one["level"]: one for one in bench.call("key.list")["levels"]}
    assert levels["mint"]["since_ms"] >= made + 90 * 86_400_000
    assert levels["root"]["since_ms"] == made


def test_purposes_that_are_derived_are_those_that_the_list_names() -> None:
    """A new derived key has to be put on the list, with the reason why it cannot be changed."""
    import re

    import safehold

    source = Path(safehold.__file__).parent
    found: set[str] = set()
    for file in source.rglob("*.py"):
        found |= set(re.findall(r'vault\.derive\(f?"([a-z-]+)', file.read_text()))
    assert found - {"roster-identity", "source-identity"} <= {*FIXED, "capability-mint"}


def test_the_ledger_with_changes_of_keys_verifies(bench: Bench) -> None:
    bench.call("key.rotate", level="mint")
    bench.call("key.rotate", **root(NEW))
    bench.stop()
    with outside(bench.path):
        assert verify_home(bench.home.path)["size"] > 0
    verifier.verify_log(bench.home.ledger, bench.home.policy_file)
