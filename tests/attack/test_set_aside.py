"""Malformed messages that are set aside: sealed, few, brief, and nothing that a rule, a choice or a stop refused."""

from __future__ import annotations

import io
import json
import time
import zipfile
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from tests.aside_desk import (
    GARBAGE,
    aside,
    broken,
    found_aside,
    hand_in,
    permit,
    repair,
    setting_aside,
    without,
)
from tests.keeper_desk import Bench, copy_bench
from tests.nats import Nats
from tests.stream_desk import Device, Line, begin, events_of, found_stream, front

from safehold.access.cover import cover
from safehold.access.envelope import LeaseKey, name_of
from safehold.access.people import PeopleFilter
from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError, ShreddedError
from safehold.ingest import leased
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.line import HttpLine
from safehold.ingest.rest import pack
from safehold.keeper import aside as setting
from safehold.subjects import Pause, Standing
from safehold_verify.person import Person

PICTURE = "data:image/png;base64," + "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJ" * 4
BODY, SCHEMA = ("refused", "leased.body"), ("refused", "leased.schema")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_aside(tmp_path_factory.mktemp("aside"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    one = begin(copy_bench(made, tmp_path))
    yield one
    one.stop()


@pytest.fixture
def device(bench: Bench) -> Device:
    return Device(Line(bench), bench)


def test_without_the_clause_or_the_agreement_a_message_is_refused_and_gone(tmp_path: Path) -> None:
    bench = begin(found_stream(tmp_path))
    try:
        assert hand_in(bench, broken(Device(Line(bench), bench))) == [BODY]
        assert bench.call("ingest.aside")["allowed"] is False
        # they opted in before the clause was there, and did not agree to its purpose
        bench.enact(setting_aside(bench.charter()))
        assert hand_in(bench, broken(Device(Line(bench), bench))) == [BODY]
        assert aside(bench) == {}
    finally:
        bench.stop()


def test_a_malformed_message_is_refused_and_set_aside_sealed_under_its_sender(
    bench: Bench, device: Device
) -> None:
    size = bench.desk.ledger.size
    sealed = broken(device)
    assert hand_in(bench, device.seal(), sealed) == [("stored", ""), BODY]
    assert aside(bench) == {"ana": 1}
    # the leaf is about her, and comes before anything knows of the block
    said = [
        bench.desk.ledger.detail(index)["detail"] for index, _ in bench.desk.ledger.leaves(size)
    ]
    (leaf,) = [one for one in said if one.get("step") == "aside"]
    assert leaf["rule"] == "leased.body"
    (block,) = bench.desk.catalog.blocks(kind="set_aside", streams=("key",), after_day=0)
    assert block.label.purposes == ("repair",)
    assert block.label.expires == bench.today + 1 + 3
    # the same again, by whichever way, is one
    assert hand_in(bench, sealed) == [BODY]
    assert aside(bench) == {"ana": 1}
    # and no file of the home has it
    assert not any(GARBAGE in one.read_bytes() for one in bench.path.rglob("*") if one.is_file())


def test_an_operator_sees_counts_and_nothing_of_anybody(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device), broken(Device(device.line, bench, "bo")))
    told = bench.call("ingest.aside")
    assert told == {
        "allowed": True,
        "keep_days": 3,
        "a_day": 2,
        "messages": 2,
        "counts": [{"rule": "leased.body", "stream": "key", "day": bench.today, "messages": 2}],
    }


def spoilt(device: Device, **columns: Any) -> bytes:
    """Return a table that lacks a column and breaks a rule as well."""
    table = without(device.table(**columns), "code")
    return bytes(device.seal(table))


def test_what_breaks_a_rule_beside_its_form_is_never_kept(bench: Bench, device: Device) -> None:
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}  # so it is not its form that keeps it out
    for columns in (
        {"person": "bo"},
        {"minim": 0},
        {"field_kind": "password"},
        {"commit": PICTURE},
        {"t": -1},
        {"t": 0},  # past its retention
    ):
        assert hand_in(bench, spoilt(device, **columns)) == [SCHEMA], columns
        assert aside(bench) == {"ana": 1}, columns


def test_what_cannot_be_judged_is_never_kept(bench: Bench, device: Device) -> None:
    for column in ("person", "minim", "app", "t", "field_kind"):
        assert hand_in(bench, device.seal(without(device.table(), column))) == [SCHEMA]
        other = device.table()
        index = other.schema.get_field_index(column)
        other = other.set_column(index, column, pa.array([None] * len(other), pa.float64()))
        assert hand_in(bench, device.seal(other)) == [SCHEMA]
        assert aside(bench) == {}, column
    more = device.table()
    more = more.append_column("more", pa.array(["x"] * len(more)))
    assert hand_in(bench, device.seal(more)) == [SCHEMA]
    for column in ("person", "minim", "t"):  # values that are missing
        table = device.table()
        table = table.set_column(
            table.schema.get_field_index(column),
            table.schema.field(column),
            pa.array([None] * len(table), table.schema.field(column).type),
        )
        assert hand_in(bench, device.seal(without(table, "code"))) == [SCHEMA]
    assert aside(bench) == {}


def streamed(device: Device, table: pa.Table, change: Callable[[bytes], bytes]) -> bytes:
    """Return an envelope with the bytes of a table, changed."""
    return bytes(device.seal(device.table(), body=change(bytes(pack(table)))))


def bad_text(table: pa.Table) -> pa.Table:
    """Return a table of which one text is no UTF-8."""
    at = table.schema.get_field_index("code")
    kind = table.schema.field(at).type
    texts = pa.array([b"\xff\xfe"] * len(table), pa.binary())
    buffers = texts.buffers()
    return table.set_column(at, "code", pa.Array.from_buffers(kind, len(table), buffers))


def test_a_table_that_breaks_off_is_judged_by_what_can_be_read(
    bench: Bench, device: Device
) -> None:
    """A fault in its last bytes is no way past the rules for all those before it."""

    def cut(data: bytes) -> bytes:
        return data[:-8] + bytes([255, 255, 255, 255, 255, 255, 0, 0])  # no end, but a length

    for at, columns in enumerate(({"minim": 0}, {"person": "bo"}, {"commit": PICTURE})):
        sealed = streamed(device, device.table(**columns), cut)
        assert hand_in(bench, sealed) == [BODY], at
        assert aside(bench) == {}, columns
    # one that no rule speaks against is kept, for it is its form alone
    assert hand_in(bench, streamed(device, device.table(), cut)) == [BODY]
    assert aside(bench) == {"ana": 1}


def test_a_table_whose_values_are_not_what_their_types_say_is_never_kept(
    bench: Bench, device: Device
) -> None:
    for table in (device.table(minim=0), device.table(person="bo"), device.table()):
        sealed = streamed(device, bad_text(table), bytes)
        assert hand_in(bench, sealed) == [BODY]
        assert aside(bench) == {}


def test_what_no_rule_looks_at_is_never_kept(bench: Bench, device: Device) -> None:
    """Texts of another type, words beside the rows, and bytes behind the table."""
    table = device.table()
    at = table.schema.get_field_index("commit")
    texts = [PICTURE] * len(table)
    for column in (
        pa.array([one.encode() for one in texts], pa.binary()),
        pa.array(texts).dictionary_encode(),
        pa.array([[one] for one in texts]),
    ):
        assert hand_in(bench, device.seal(table.set_column(at, "commit", column))) == [SCHEMA]
        assert aside(bench) == {}
    lacking = without(table, "code")
    named = lacking.replace_schema_metadata({"note": PICTURE})
    field = lacking.schema.field("key").with_metadata({"note": PICTURE})
    noted = lacking.cast(lacking.schema.set(lacking.schema.get_field_index("key"), field))
    for one in (named, noted):
        assert hand_in(bench, streamed(device, one, bytes)) == [SCHEMA]
        assert aside(bench) == {}
    second = bytes(pack(device.table(minim=0)))
    assert hand_in(bench, streamed(device, lacking, lambda data: data + second)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, device.seal(lacking)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_a_column_that_is_there_twice_breaks_nothing_but_itself(
    bench: Bench, device: Device
) -> None:
    table = device.table()
    twice = table.append_column("commit", table.column("commit"))
    assert hand_in(bench, device.seal(twice)) == [SCHEMA]
    assert aside(bench) == {}


def test_a_row_from_a_pause_is_never_kept(bench: Bench, device: Device) -> None:
    start = bench.clock.now_us()
    bench.call("people.choose", person="ana", choice="pause", evidence="a form")
    bench.clock.advance(60_000_000)
    bench.call("people.choose", person="ana", choice="resume", evidence="a form")
    device.renew()
    rows = len(device.table())
    assert hand_in(bench, spoilt(device, t=[start + 30_000_000] * rows)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_what_a_rule_refused_is_never_kept(bench: Bench, device: Device) -> None:
    good = device.seal()
    assert hand_in(bench, good, device.seal(device.table(minim=0))) == [
        ("stored", ""),
        ("refused", "leased.level"),
    ]
    again = device.table(first=0)
    assert hand_in(bench, device.seal(again)) == [("refused", "sequence.duplicate")]
    assert aside(bench) == {}


def test_a_sandbox_that_lies_about_a_rule_is_not_believed(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leased, "MALFORMED", leased.MALFORMED | {"leased.level"})
    monkeypatch.setattr(leased, "_oldest_harmless", lambda *_: bench.today)
    assert hand_in(bench, device.seal(device.table(minim=0))) == [("refused", "leased.level")]
    assert aside(bench) == {}


def test_what_a_sandbox_does_not_call_malformed_is_never_kept(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A refusal of form is not enough: that nothing else speaks against it must be said as well."""
    real = leased.LeasedChunk

    def chunk(*given: Any) -> Any:
        return real(*given[:5], bench.today) if len(given) > 5 else real(*given)

    monkeypatch.setattr(leased, "LeasedChunk", chunk)
    assert hand_in(bench, spoilt(device, minim=0)) == [SCHEMA]
    assert aside(bench) == {}
    assert hand_in(bench, spoilt(device)) == [SCHEMA]
    assert aside(bench) == {"ana": 1}


def test_nothing_of_a_removed_device_is_set_aside(bench: Bench, device: Device) -> None:
    """It is removed while the sandbox looks: its lease is over, though nobody chose anything."""
    bench.workshop.during = lambda _spec: bench.call(  # type: ignore[method-assign]
        "source.remove", person="ana", device=device.key.public.text()
    )
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


@pytest.mark.parametrize("choice", ["pause", "withdraw"])
def test_nothing_of_somebody_who_paused_or_left_is_set_aside(
    bench: Bench, device: Device, choice: str
) -> None:
    """They choose while the sandbox looks at it: the envelope was opened before."""
    bench.workshop.during = lambda _spec: bench.call(  # type: ignore[method-assign]
        "people.choose", person="ana", choice=choice, evidence="a form"
    )
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


def test_nothing_of_somebody_who_came_back_meanwhile_is_set_aside(
    bench: Bench, device: Device
) -> None:
    def choose(_spec: Any) -> None:
        bench.clock.advance(1_000_000)
        for choice in ("pause", "resume"):
            bench.call("people.choose", person="ana", choice=choice, evidence="a form")
            bench.clock.advance(1_000_000)

    bench.workshop.during = choose  # type: ignore[method-assign]
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


def test_a_dead_lease_keeps_nothing(bench: Bench, device: Device) -> None:
    sealed = broken(device)
    bench.clock.advance(1_000 * 1_000_000)
    assert hand_in(bench, sealed) == [("refused", "lease.dead")]
    other = Device(device.line, bench)
    assert hand_in(bench, broken(other, by=device.key))[0][0] == "refused"
    assert aside(bench) == {}


def test_a_stop_keeps_nothing(bench: Bench, device: Device) -> None:
    sealed = broken(device)
    bench.workshop.during = lambda _spec: bench.call(  # type: ignore[method-assign]
        "stop", **bench.order("stop", "privacy")
    )
    assert hand_in(bench, sealed)[0][0] != "stored"
    assert aside(bench) == {}


def test_few_are_kept_of_a_person_on_a_day(bench: Bench, device: Device) -> None:
    for at in range(3):
        assert hand_in(bench, broken(device, rows=at)) == [BODY]
    assert aside(bench) == {"ana": 2}
    other = Device(device.line, bench, "bo")
    assert hand_in(bench, broken(other)) == [BODY]
    assert aside(bench) == {"ana": 2, "bo": 1}
    bench.clock.advance(DAY_US)
    device.renew()
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {"ana": 3, "bo": 1}


def test_a_large_one_is_not_kept(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting, "LARGEST", len(GARBAGE) - 1)
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


def test_it_ends_with_the_retention_sweep(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device))
    objects = bench.desk.catalog.objects()
    bench.clock.advance(3 * DAY_US)
    bench.call("dataset.sweep")
    assert aside(bench) == {"ana": 1}
    (block,) = bench.desk.catalog.blocks(kind="set_aside", streams=("key",), after_day=0)
    bench.clock.advance(DAY_US)
    assert bench.call("dataset.sweep")["keys"] == 1
    assert aside(bench) == {}
    assert not bench.desk.catalog.objects() & objects
    with pytest.raises(ShreddedError):
        list(bench.desk.vault.read([block]))


def test_no_row_of_it_outlives_the_day_on_which_it_would_have_ended(
    bench: Bench, device: Device
) -> None:
    """Its oldest row is some days old: it ends when that one would have, had it been well formed."""
    last = bench.charter().retention("key")
    old = (bench.today - last + 1) * DAY_US + 1  # a day is left to it
    rows = len(device.table())
    assert hand_in(bench, spoilt(device, t=[old] + [bench.clock.now_us()] * (rows - 1))) == [SCHEMA]
    (block,) = bench.desk.catalog.blocks(kind="set_aside", streams=("key",), after_day=0)
    assert block.label.expires == bench.today + 2 < bench.today + 1 + 3


def test_an_erasure_ends_it(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device))
    bench.call("people.erase", person="ana", evidence="a letter")
    assert bench.desk.catalog.aside.counts() == {}
    assert bench.desk.catalog.objects() == set()


def test_a_withdrawal_ends_it(bench: Bench, device: Device) -> None:
    hand_in(bench, broken(device))
    bench.call("people.choose", person="ana", choice="withdraw", evidence="a form")
    assert bench.desk.catalog.aside.counts() == {}
    assert bench.desk.catalog.objects() == set()


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


def between(bench: Bench, monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Have something happen while a message is being sealed."""
    real = bench.desk.vault.seal

    def seal(*given: Any, **more: Any) -> Any:
        made = real(*given, **more)
        act()
        return made

    monkeypatch.setattr(bench.desk.vault, "seal", seal)


def test_what_happens_while_it_is_sealed_keeps_it_out(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No leaf of it follows the leaf of a choice, a containment or another charter."""
    desk = bench.desk
    objects = desk.catalog.objects()
    contained = DeniedError("collection is contained here", rule="containment.collection")
    with monkeypatch.context() as patch:
        between(
            bench,
            patch,
            lambda: patch.setattr(desk.trust.contained, "require_collected", deny(contained)),
        )
        assert hand_in(bench, broken(device)) == [BODY]
    with monkeypatch.context() as patch:
        between(bench, patch, lambda: patch.setattr(desk.trust, "digest", lambda: bytes(32)))
        assert hand_in(bench, broken(device, rows=1)) == [BODY]
    with monkeypatch.context() as patch:
        between(bench, patch, lambda: patch.setattr(desk.trust, "require_running", deny(contained)))
        assert hand_in(bench, broken(device, rows=2)) == [BODY]
    moved = replace(desk.people.standing(desk.people.find("ana")), jurisdiction="US-WA")
    with monkeypatch.context() as patch:  # the label would be of another place
        between(bench, patch, lambda: patch.setattr(desk.people, "standing", lambda _: moved))
        assert hand_in(bench, broken(device, rows=3)) == [BODY]
    assert aside(bench) == {}
    assert desk.catalog.objects() == objects
    assert hand_in(bench, broken(device, rows=4)) == [BODY]
    assert aside(bench) == {"ana": 1}


def after(bench: Bench, which: str) -> Standing:
    """Return Ana's standing after a choice, of which no lease has heard."""
    people, now = bench.desk.people, bench.clock.now_us()
    held = people.standing(people.find("ana"))
    return {
        "moved": replace(held, moved_us=now + 1),
        "paused": replace(held, pauses=(Pause(now - 1, now + DAY_US),)),
        "another stream": replace(held, streams=frozenset({"pointer"})),
    }[which]


@pytest.mark.parametrize("which", ["moved", "paused", "another stream"])
def test_a_choice_keeps_it_out_whatever_became_of_the_lease(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    chosen, aside_of = after(bench, which), bench.desk.catalog.aside
    real = aside_of.known

    def known(*given: Any) -> bool:
        monkeypatch.setattr(bench.desk.people, "standing", lambda _: chosen)
        return bool(real(*given))

    monkeypatch.setattr(aside_of, "known", known)
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


def deny(error: DeniedError) -> Callable[..., None]:
    def raising(*_: Any) -> None:
        raise error

    return raising


def test_a_stream_that_the_purpose_does_not_cover_is_not_kept(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setting, "sources_of", lambda *_: frozenset({"pointer"}))
    assert hand_in(bench, broken(device)) == [BODY]
    assert aside(bench) == {}


def test_by_http_and_through_a_queue_it_is_the_same(
    bench: Bench, device: Device, nats_server: Nats
) -> None:
    first, second = broken(device), broken(Device(device.line, bench, "bo"))
    with front(bench) as (url, _, line):
        person = HttpLine(url, person="ana", device=device.key, clock=bench.clock)
        with pytest.raises(DeniedError) as caught:
            person.submit(first)
        assert caught.value.rule == "leased.body"
        person.close()
        assert "lease.hand-in" in line.asked
    assert aside(bench) == {"ana": 1}
    key = LeaseKey.generate()
    broker = Broker(nats_server.place(name="aside"))
    broker.prepare()
    try:
        for one in (first, second, device.seal()):
            broker.publish(cover(one, key.public), name=name_of(one), token="ab" * 16)
        consumer = Consumer(broker, Line(bench), key=key)
        end = time.monotonic() + 30
        while broker.waiting() and time.monotonic() < end:
            consumer.turn(wait_s=0.3)
        assert consumer.counted == {"stored": 1, "refused": 2, "refused.leased.body": 2}
    finally:
        broker.close()
    assert aside(bench) == {"ana": 1, "bo": 1}


def test_their_own_copy_has_it(bench: Bench, device: Device) -> None:
    bench.clock.advance(4 * DAY_US)  # a key counts after a while
    device.renew()
    hand_in(bench, broken(device))
    said = json.loads(
        Person(device.key.seed()).ask(person="ana", home=bench.home.id, at_us=bench.clock.now_us())
    )
    out = bench.path / "copy"
    with out.open("wb") as file:
        bench.call("people.export", file.fileno(), **said)
    with zipfile.ZipFile(io.BytesIO(Person(device.key.seed()).open(out.read_bytes()))) as packed:
        (name,) = [
            one for one in packed.namelist() if one.startswith("set-aside/") and "json" in one
        ]
        (row,) = packed.read(name).splitlines()
    assert b64decode(json.loads(row)["message"]) == GARBAGE
