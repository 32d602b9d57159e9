"""What was proved once by this very program is not proved again at every start; anything else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench

from safehold.charter import Policy, load, shipped
from safehold.charter import compile as compile_charter
from safehold.charter import prove as prove_module
from safehold.errors import RedLineError
from safehold.keeper import enacted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path)
    yield copy
    copy.stop()


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    real = enacted.admit_policy

    def admit(policy: Policy) -> Policy:
        found.append(policy.digest)
        return real(policy)

    monkeypatch.setattr(enacted, "admit_policy", admit)
    return found


def test_a_second_start_proves_nothing_again(bench: Bench, asked: list[str]) -> None:
    bench.start()
    asked.clear()
    bench.restart()
    assert not asked
    assert bench.desk.trust.policy().digest == bench.charter().digest().hex()


@pytest.mark.parametrize("note", [b"", b"00" * 32, None])
def test_without_the_note_of_it_it_is_proved(
    bench: Bench, asked: list[str], note: bytes | None
) -> None:
    bench.start()
    bench.stop()
    if note is None:
        bench.home.proved_file.unlink()
    else:
        bench.home.proved_file.write_bytes(note)
    asked.clear()
    bench.start()
    assert asked == [bench.charter().digest().hex()]


def test_another_program_proves_it_itself_and_refuses_what_it_cannot_prove(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.start()
    bench.stop()
    monkeypatch.setattr(prove_module, "_program", lambda: b"another version")

    def reachable(_policy: Policy) -> Policy:
        raise RedLineError("a promise can be broken", rule="test")

    monkeypatch.setattr(enacted, "admit_policy", reachable)
    with pytest.raises(RedLineError):
        bench.start()


def test_the_fingerprint_follows_charter_policy_and_program(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = (compile_charter(load(shipped(name))) for name in ("demo", "example"))
    before = prove_module.fingerprint(one)
    assert prove_module.fingerprint(one) == before
    assert prove_module.fingerprint(other) != before
    monkeypatch.setattr(prove_module, "_program", lambda: b"another version")
    assert prove_module.fingerprint(one) != before
