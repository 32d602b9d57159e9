"""Strict mode: while the witnesses do not cosign, no block is opened, whatever was decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, found_bench
from tests.world import raised

from safehold.errors import UnavailableError
from safehold.keeper import desk as desk_module
from safehold.ledger import Ledger, Panel, Witness
from safehold.ledger import publisher as publisher_module
from safehold.ledger.checkpoint import Checkpoint
from safehold.ledger.note import text_of
from safehold.settings import Home


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    bench = found_bench(tmp_path_factory.mktemp("made"), people=CROWD).start()
    bench.take(*CROWD)
    bench.stop()
    return bench


@pytest.fixture
def bench(made: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(publisher_module, "INTERVAL", 3_600)  # nothing is published by itself
    monkeypatch.setattr(desk_module, "COSIGN_S", 0.3)
    copy = copy_bench(made, tmp_path).start()
    yield copy
    copy.desk.ledger._publisher.quorum.need = 0  # a witness that a test took away
    copy.stop()


def down(*_arguments: Any) -> Any:
    raise UnavailableError("the line is cut", rule="test")


def cut(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The witness can still be read, so nothing looks wrong, but it gets no new head."""
    monkeypatch.setattr(Witness, "add_checkpoint", down)


def opened(bench: Bench) -> int:
    return len(bench.workshop.packed)


def test_without_a_cosignature_nothing_is_opened(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut(bench, monkeypatch)
    size, before = bench.desk.ledger.size, opened(bench)
    error = raised(lambda: bench.call("feature", purpose=PURPOSE))
    assert (error.code, error.rule) == ("unavailable", "ledger.strict")
    assert opened(bench) == before
    # the intent was durable before anything was decided against it, and it has an end
    assert bench.leaves(size) == ["access.intent", "access.result"]
    assert error.entry == size
    assert raised(lambda: bench.call("feature", purpose=PURPOSE)).code == "unavailable"
    assert opened(bench) == before


def test_it_is_this_guard_that_holds(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same attack with the guard taken out: everything is opened, and nobody outside knows."""
    cut(bench, monkeypatch)
    monkeypatch.setattr(desk_module.Desk, "confirm", lambda _desk, _receipt: None)
    known = bench.desk.ledger.cosigned
    before = opened(bench)
    bench.call("feature", purpose=PURPOSE)
    assert opened(bench) > before
    assert bench.desk.ledger.cosigned == known


def test_when_a_block_is_opened_the_witness_knows_the_intent(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "COSIGN_S", 60.0)
    known: list[int] = []
    real = bench.desk.vault.read_batches

    def read(blocks: Any) -> Any:
        note = Witness(bench.home.witness).head(bench.desk.ledger.origin)
        known.append(Checkpoint.parse(text_of(note or b"")).size)
        return real(blocks)

    monkeypatch.setattr(type(bench.desk.vault), "read_batches", lambda _vault, blocks: read(blocks))
    size = bench.desk.ledger.size
    bench.call("feature", purpose=PURPOSE)
    intent = size + bench.leaves(size).index("access.intent")
    assert known
    assert all(one > intent for one in known)


def test_a_witness_that_cannot_even_be_read_stops_before_the_intent(bench: Bench) -> None:
    away = bench.home.witness.with_name("away")
    bench.home.witness.rename(away)
    size, before = bench.desk.ledger.size, opened(bench)
    assert raised(lambda: bench.call("feature", purpose=PURPOSE)).code == "unavailable"
    assert (bench.leaves(size), opened(bench)) == ([], before)
    away.rename(bench.home.witness)


def test_what_a_charter_promises_cannot_be_switched_off(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk, charter = bench.desk, bench.charter()
    assert desk.strict
    desk.panel = replace(desk.panel, strict=False)
    assert not desk.home.synthetic
    assert not desk.strict  # its charter promises no witness outside
    witnesses = replace(charter.audit.witnesses, min=1)
    promising = replace(charter, audit=replace(charter.audit, witnesses=witnesses))
    monkeypatch.setattr(desk.trust, "charter", lambda: promising)
    assert desk.strict
    made_up = Home(desk.home.path, desk.home.id, desk.home.outside, synthetic=True)
    monkeypatch.setattr(desk, "home", made_up)
    assert not desk.strict
    assert Panel().strict  # unless somebody says otherwise


def test_an_entry_that_was_never_written_is_never_confirmed(bench: Bench) -> None:
    with pytest.raises(UnavailableError):
        Ledger.await_cosigned(bench.desk.ledger, bench.desk.ledger.size, timeout_s=0)
