"""Malformed messages that are set aside: sealed, few, brief, and nothing that a rule, a choice or a stop refused."""

from __future__ import annotations

import io
import json
import time
import zipfile
from base64 import b64decode
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.aside_desk import (
    BODY,
    GARBAGE,
    SCHEMA,
    aside,
    broken,
    found_aside,
    setting_aside,
    spoilt,
)
from tests.keeper_desk import Bench
from tests.nats import Nats
from tests.stream_desk import Device, Line, begin, found_stream, front, hand_in

from safehold.access.cover import cover
from safehold.access.envelope import LeaseKey, name_of
from safehold.clock import DAY_US
from safehold.errors import DeniedError, ShreddedError, UnavailableError
from safehold.ingest.network.broker import Broker
from safehold.ingest.network.consumer import Consumer
from safehold.ingest.network.line import HttpLine
from safehold.keeper import aside as setting
from safehold.subjects import Pause, Standing
from safehold_verify.person import Person


@pytest.fixture(scope="module")
def made_stream(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_aside(tmp_path_factory.mktemp("aside"))


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


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


def test_what_counts_though_nobody_could_say_so_keeps_its_rows(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is cut while the register takes it: what the register names is there."""
    register = type(bench.desk.catalog.aside)
    add = register.add

    def counts_unsaid(*given: Any) -> None:
        add(*given)
        raise UnavailableError("the control database does not answer", rule="db.unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(register, "add", counts_unsaid)
        hand_in(bench, broken(device))
    assert aside(bench) == {"ana": 1}
    blocks = bench.desk.catalog.blocks(kind="set_aside", streams=("key",), after_day=0)
    assert [table.num_rows for _, table in bench.desk.vault.read(blocks)] == [1]


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
