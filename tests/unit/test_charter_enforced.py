"""Nobody signs, checks, enacts or enforces a charter that is not proved: tried with a compiler that forgets a guard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.world import raised

from safehold import charter as charters
from safehold.app import charters as desk
from safehold.charter import compile as compiler
from safehold.charter.admission import admit
from safehold.charter.prove import ReachableError
from safehold.errors import DeniedError, RedLineError

FORGOTTEN = "guard.consent"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("made"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.stop()


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """A compiler that forgets a guard, as a fault in it would."""
    import sys

    module: Any = sys.modules["safehold.charter.compile"]
    whole = module._guards
    monkeypatch.setattr(
        module, "_guards", lambda promise: (one for one in whole(promise) if one.id != FORGOTTEN)
    )


def test_the_compiler_is_forgetful(forgetful: None) -> None:
    policy = compiler(charters.load(charters.shipped("demo")))
    assert FORGOTTEN not in policy.by_id
    with pytest.raises(ReachableError) as caught:
        admit(policy.charter)
    assert "with somebody in it who does not take part" in caught.value.message


def test_a_keeper_enacts_nothing_unproved(bench: Bench, forgetful: None) -> None:
    before = bench.charter().digest()
    error = raised(lambda: bench.enact(bench.changed()))
    assert isinstance(error, RedLineError)
    assert error.rule == f"charter.{FORGOTTEN}"
    assert bench.charter().digest() == before


def test_a_keeper_does_not_start_with_what_is_not_proved(
    made: Bench, tmp_path: Path, forgetful: None
) -> None:
    copy = copy_bench(made, tmp_path)
    error = raised(copy.start)
    assert isinstance(error, RedLineError)


def test_nobody_signs_what_is_not_proved(bench: Bench, tmp_path: Path, forgetful: None) -> None:
    file = tmp_path / "charter.yaml"
    file.write_bytes(charters.shipped("demo").read_bytes())
    with pytest.raises(DeniedError) as caught:
        desk.sign_charter(bench.home.path, file, seat="privacy", key=tmp_path / "none", seats=None)
    assert caught.value.rule == f"charter.{FORGOTTEN}"
    assert not desk.signatures_file(file).exists()


def test_the_check_proves_too() -> None:
    found = desk.check_charter(charters.shipped("demo"))
    assert found["proved"] >= len(found["promises"])
