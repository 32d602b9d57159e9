"""Changing the log's key: overlap, retirement, crashes in between, and a stolen old key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.ledger_desk import DESKS, Desk, desk_over, entry
from tests.world import raised

import safehold_verify as verifier
from safehold.app.verification import verify_home
from safehold.errors import ConflictError, InvalidError, TamperedError, UnavailableError
from safehold.keeper import rotation as rotation_module
from safehold.keeper.rotation import LOG_KEY, split_seeds
from safehold.ledger import Ledger, LogSigner, Witness, policy_text
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import open_note, text_of
from safehold.ledger.panel import policy_logs
from safehold.ledger.vkey import VKey
from safehold.vault import Vault

NEW = b"n" * 32


@pytest.fixture(params=DESKS)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    return desk_over(request.param, tmp_path, request)


def keys(desk: Desk) -> tuple[LogSigner, LogSigner]:
    return desk.signer, LogSigner(NEW, name=desk.signer.name)


def reopen(desk: Desk, *signers: LogSigner) -> Ledger:
    return Ledger.open(
        desk.directory,
        signer=signers,
        witnesses=[desk.witness],
        sidecar=desk.sealer,
        clock=desk.clock,
        store=desk.store,
    )


def write_policy(desk: Desk, *signers: LogSigner) -> None:
    names = [key for one in signers for key in one.policy_keys]
    desk.policy.write_text(policy_text(names, {"council": desk.witness.vkeys}), "utf-8")


def signed_by(note: bytes, *signers: LogSigner) -> list[bool]:
    found = []
    for one in signers:
        try:
            open_note(note, [one.vkey])
            found.append(True)
        except TamperedError:
            found.append(False)
    return found


def test_overlap_and_retirement(desk: Desk) -> None:
    old, new = keys(desk)
    with desk.open() as ledger:
        ledger.append([entry()])
        ledger.publish()
        early = ledger.prove(0)
        receipt = ledger.introduce_key(new)
        leaf = dict(ledger.leaves(receipt.index))[receipt.index]
        assert (leaf["k"], leaf["pub"]["state"], leaf["pub"]["vkey"]) == (
            "key.rotate",
            "begin",
            new.vkey.text(),
        )
        assert ledger.vkeys == (new.vkey.text(), old.vkey.text())
        ledger.publish()
        assert signed_by(ledger.head(), old, new) == [True, True]
        with pytest.raises(ConflictError):
            ledger.introduce_key(LogSigner(b"m" * 32, name=old.name))
        with pytest.raises(ConflictError, match="know the new key"):
            ledger.retire_key()  # the witness would not believe a head of the new key alone
    write_policy(desk, new, old)
    verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])
    with reopen(desk, old, new) as ledger:  # the journal says which keys sign, and in what order
        assert ledger.vkeys == (new.vkey.text(), old.vkey.text())
        desk.witness.trust(new.vkey.text())  # no further head is needed for it to be known
        receipt = ledger.retire_key()
        assert dict(ledger.leaves(receipt.index))[receipt.index]["pub"]["state"] == "retired"
        ledger.publish()
        assert signed_by(ledger.head(), old, new) == [False, True]
        late = ledger.prove(receipt.index)
        with pytest.raises(ConflictError):
            ledger.retire_key()
    desk.witness.distrust(old.vkey.text())
    with reopen(desk, new) as ledger:
        ledger.append([entry()])
    with pytest.raises(TamperedError):
        reopen(desk, old)
    both, one = desk.policy.with_name("both"), desk.policy.with_name("one")
    desk.policy.replace(both)
    write_policy(desk, new)
    desk.policy.replace(one)
    for policy in (both, one):
        assert verifier.verify_log(desk.directory, policy, heads=[desk.head]).size == 4
    for proof, policy, holds in (
        (early, both, True),
        (early, one, False),
        (late, both, True),
        (late, one, True),
    ):
        note = proof.encode()[proof.encode().index(b"\n\n") + 2 :]
        trusted = verifier.parse_policy(policy.read_bytes())
        logs = [key for key in trusted.logs if key.algorithm == 1]
        if holds:
            verifier.open_note(note, logs)
        else:
            with pytest.raises(verifier.VerificationError):
                verifier.open_note(note, logs)


def test_a_stolen_old_key_counts_for_nobody_after_it_is_retired(desk: Desk) -> None:
    old, new = keys(desk)
    with desk.open() as ledger:
        ledger.introduce_key(new)
        desk.witness.trust(new.vkey.text())
        ledger.retire_key()
        ledger.publish()
    desk.witness.distrust(old.vkey.text())
    forged = Checkpoint(old.name, 3, b"f" * 32).text()
    note = old.sign(forged) + old.publish_lines(forged)
    assert desk.witness.add_checkpoint(2, [], note).status == 403
    write_policy(desk, new)
    trusted = verifier.parse_policy(desk.policy.read_bytes())
    with pytest.raises(verifier.VerificationError):
        verifier.open_note(note, trusted.keys())
    # a head of the true log, signed with the stolen key in place of the new one
    text = text_of(desk.head)
    _, held = open_note(desk.head, [VKey.parse(one) for one in desk.witness.vkeys])
    assert held
    (desk.directory / "checkpoint").write_bytes(old.sign(text) + desk.head[len(text) + 1 :])
    with pytest.raises(verifier.VerificationError):
        verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])


def test_only_a_new_key_of_this_log(desk: Desk) -> None:
    with desk.open() as ledger:
        for wrong in (desk.signer, LogSigner(NEW, name="example.com/other")):
            with pytest.raises(InvalidError):
                ledger.introduce_key(wrong)
        with pytest.raises(ConflictError):
            ledger.retire_key()
        assert ledger.size == 0


# --- in a home: seeds, trust and policy follow the journal


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Any:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


def check(bench: Bench) -> int:
    """Everything outside says what the journal says; return how many keys sign."""
    ledger, witness = bench.desk.ledger, Witness(bench.home.witness)
    ledger.append([])
    ledger.publish()
    assert set(policy_logs(bench.home.policy_file)) == set(ledger.policy_keys)
    assert {key.text() for key in witness.logs()} == set(ledger.vkeys)
    seeds = split_seeds(bench.desk.vault.open_secret(LOG_KEY))
    assert {LogSigner(one, name=ledger.origin).vkey.text() for one in seeds} == set(ledger.vkeys)
    assert verify_home(bench.home.path)["verified"]
    return len(ledger.vkeys)


def test_a_home_changes_its_key(bench: Bench) -> None:
    before = bench.desk.ledger.vkey
    begun = bench.call("ledger.rotate", step="begin")
    assert begun["signing"][1] == before
    assert check(bench) == 2
    assert raised(lambda: bench.call("ledger.rotate", step="begin")).code == "conflict"
    bench.restart()
    assert check(bench) == 2
    ended = bench.call("ledger.rotate", step="retire")
    assert ended["signing"] == begun["signing"][:1]
    assert check(bench) == 1
    bench.restart()
    assert check(bench) == 1
    assert bench.desk.ledger.vkey == begun["signing"][0] != before
    bench.call("ledger.rotate", step="begin")  # and again
    bench.call("ledger.rotate", step="retire")
    assert check(bench) == 1
    assert raised(lambda: bench.call("ledger.rotate", step="other")).code == "invalid"


STEPS: tuple[tuple[Any, str], ...] = (
    (Vault, "seal_secret"),
    (Witness, "trust"),
    (Witness, "distrust"),
    (rotation_module, "replace_file"),
    (Ledger, "introduce_key"),
    (Ledger, "retire_key"),
    (Ledger, "publish"),
)


class CrashError(BaseException):
    """The power went."""


@pytest.mark.parametrize("step", range(len(STEPS)))
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_crash_between_any_two_steps_recovers(bench: Bench, step: int, moment: str) -> None:
    place, name = STEPS[step]
    crashes = 0
    for phase in ("begin", "retire"):
        real = getattr(place, name)

        def crash(*arguments: Any, real: Callable[..., Any] = real, **named: Any) -> Any:
            if moment == "after":
                real(*arguments, **named)
            raise CrashError

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, name, crash)
            try:
                getattr(bench.desk.rotation, phase)()
            except CrashError:
                crashes += 1
                # as if the process had gone: nothing is published on the way out
                bench.desk.ledger._sequencer.stop(UnavailableError("gone", rule="test"))
        bench.restart()
        signing = check(bench)
        if phase == "begin" and signing == 1:  # it had not happened; it can be done again
            bench.desk.rotation.begin()
            assert check(bench) == 2
        if phase == "retire" and signing == 2:
            bench.desk.rotation.retire()
            assert check(bench) == 1
    assert crashes


def test_a_policy_of_another_log_is_not_replaced(bench: Bench, made: Bench) -> None:
    other = LogSigner(NEW, name="safehold.local/other/audit")
    text = policy_text(other.policy_keys, {"local": Witness(bench.home.witness).vkeys})
    bench.home.policy_file.write_text(text, "utf-8")
    with pytest.raises(TamperedError, match="another log"):
        bench.desk.rotation.settle()
    assert bench.home.policy_file.read_text("utf-8") == text
    bench.home.policy_file.write_text(made.home.policy_file.read_text("utf-8"), "utf-8")
