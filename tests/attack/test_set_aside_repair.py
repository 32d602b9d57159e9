"""What was set aside is taken in again: under a grant, what holds now and of whoever takes part now, each once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from tests.aside_desk import (
    BODY,
    GARBAGE,
    SCHEMA,
    aside,
    broken,
    found_aside,
    permit,
    repair,
    without,
)
from tests.keeper_desk import Bench
from tests.stream_desk import Device, events_of, hand_in

from safehold.access.people import PeopleFilter
from safehold.errors import DeniedError, InvalidError
from safehold.ingest import leased
from safehold.ingest.rest import pack


@pytest.fixture(scope="module")
def made_stream(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_aside(tmp_path_factory.mktemp("aside"))


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


def mend(monkeypatch: pytest.MonkeyPatch, body: Callable[[], bytes]) -> None:
    """Mend the sandbox's reader: what was broken is read as a whole table."""
    real = leased._read

    def read(header: Any, given: Any, order: Any, number: int) -> Any:
        if bytes(given) == GARBAGE:
            given = pa.py_buffer(body())
        return real(header, given, order, number)

    monkeypatch.setattr(leased, "_read", read)


def test_a_repair_takes_in_what_holds_now_and_keeps_the_rest(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = device.table()
    hand_in(bench, broken(device), device.seal(without(table, "code")))
    assert aside(bench) == {"ana": 2}
    bench.clock.advance(2_000 * 1_000_000)  # its lease is over long since
    mend(monkeypatch, lambda: bytes(pack(table)))
    size = bench.desk.ledger.size
    told = repair(bench)
    assert told["states"] == {"stored": 1, "refused": 1}
    assert told["rules"] == {"leased.schema": 1}
    assert aside(bench) == {"ana": 1}
    assert events_of(bench) == [("ana", at) for at in range(len(table))]
    kinds = bench.leaves(size)
    assert kinds.index("access.intent") < kinds.index("ingest") < kinds.index("access.result")
    assert set(told) == {"states", "rules", "left_out", "intent", "entry"}
    # once: what is stored is not there any more, and what is still there is still refused
    assert repair(bench)["states"] == {"refused": 1}


def test_a_repair_after_a_crash_stores_nothing_twice(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = device.table()
    hand_in(bench, broken(device))
    mend(monkeypatch, lambda: bytes(pack(table)))
    with monkeypatch.context() as patch:
        patch.setattr(type(bench.desk.catalog.aside), "drop", lambda *_: [])
        assert repair(bench)["states"] == {"stored": 1}
    assert aside(bench) == {"ana": 1}
    assert repair(bench)["states"] == {"already": 1}
    assert aside(bench) == {}
    assert len(events_of(bench)) == len(table)


def test_without_a_grant_for_it_nothing_is_opened(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device))
    with pytest.raises(KeyError):
        bench.call("ingest.repair")
    holder = bench.pass_()  # a grant, for something else
    with pytest.raises(DeniedError):
        repair(bench, holder)
    good = permit(bench)
    with pytest.raises(DeniedError):  # and only for this
        bench.call("train", **bench.use(good))
    revoked = permit(bench)
    for one in bench.call("grant.list")["grants"]:
        bench.call("grant.revoke", grant=one["id"])
    for one in (good, revoked):
        with pytest.raises(DeniedError):
            repair(bench, one)
    assert aside(bench) == {"ana": 1}


def test_a_repair_of_chosen_people_is_refused(bench: Bench, device: Device) -> None:
    """Of one person it would tell whether they take part; that they have no name here does not help."""
    hand_in(bench, broken(device))
    ana = bench.desk.people.find("ana")
    holder = permit(bench, PeopleFilter(people=(str(ana),)))
    with pytest.raises(DeniedError) as caught:
        repair(bench, holder)
    assert caught.value.rule == "repair.people"
    assert aside(bench) == {"ana": 1}


def test_the_same_again_is_one_by_whichever_rule_it_is_refused(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = broken(device)
    assert hand_in(bench, sealed) == [BODY]
    real = leased._read

    def read(*given: Any) -> Any:
        try:
            return real(*given)
        except InvalidError as error:  # a newer program says it another way
            raise InvalidError("no columns", rule="leased.schema") from error

    monkeypatch.setattr(leased, "_read", read)
    assert hand_in(bench, sealed) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_no_other_use_meets_it(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device))
    assert bench.blocks() == {}
    assert bench.call("status")["counts"]["rows"] == 0
    with pytest.raises(DeniedError):
        bench.call("feature", purpose="repair")
    with pytest.raises(DeniedError):
        bench.call("feature", purpose="train_ui_agent")


def test_a_repair_leaves_out_whoever_does_not_take_part_now(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device), broken(Device(device.line, bench, "bo")))
    bench.call("people.choose", person="ana", choice="pause", evidence="a form")
    told = repair(bench)
    assert told["states"] == {"refused": 1}
    assert sum(told["left_out"].values()) >= 1


def test_under_another_charter_nothing_of_it_comes_in_and_without_the_clause_nothing_is_tried(
    bench: Bench, device: Device
) -> None:
    hand_in(bench, broken(device))
    now = bench.charter()
    bench.enact(replace(now, version=now.version + 1, title="Another title"))
    assert repair(bench)["rules"] == {"lease.charter": 1}
    holder, now = permit(bench), bench.charter()
    left = {name: one for name, one in now.purposes.items() if name != "repair"}
    bench.enact(replace(now, version=now.version + 1, set_aside=None, purposes=left))
    with pytest.raises(DeniedError) as caught:
        repair(bench, holder)
    assert caught.value.rule == "aside.charter"
    device.renew()
    hand_in(bench, broken(device))
    assert aside(bench) == {"ana": 1}
