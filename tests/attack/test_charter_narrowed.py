"""One seat narrows the charter at once: what a device recorded under the charter before comes in under neither."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.devices import DEVICE, Recorder
from tests.seated import wider
from tests.world import World, raised

from safehold.access.lease import read_lease
from safehold.canonical import b64
from safehold.charter import Charter
from safehold.errors import DeniedError, SafeholdError
from safehold.signing import VerifyKey

pytestmark = pytest.mark.usefixtures("collectors_are_let_in")


@pytest.fixture
def person(world: World) -> str:
    return next(
        one.external
        for one in world.desk.people.everybody().values()
        if "key" in one.streams and one.external in world.participants()
    )


def shorter(world: World) -> Charter:
    """Return a charter that keeps keystrokes for two days only."""
    return wider(world.charter(), days=2)


def narrow(world: World) -> None:
    answer = world.enact(shorter(world), seats=["hr"])
    assert (answer["direction"], answer["seats"]) == ("narrow", ["hr"])


def sealed(world: World, person: str) -> tuple[Recorder, list[bytes]]:
    """Return a recorder and envelopes that it has sealed and not handed in."""
    recorder = Recorder(world, person)
    kept: list[bytes] = []
    recorder.line.submit = kept.append  # type: ignore[method-assign]
    recorder.type("sealed under the charter before")
    recorder.collector.flush()
    assert kept
    return recorder, kept


def hand_in(world: World, envelope: bytes) -> SafeholdError:
    return raised(
        lambda: world.call("lease.submit", envelope=b64(envelope), device=DEVICE.public.text())
    )


def rows(world: World) -> int:
    return int(world.call("status")["counts"]["rows"])


@pytest.mark.parametrize("between", [lambda _world: None, World.restart], ids=["", "restart"])
def test_what_was_sealed_before_a_narrowing_opens_for_nobody(
    world: World, person: str, between: Callable[[World], object]
) -> None:
    """The private half is destroyed with the enactment, and is not there after a restart."""
    _, kept = sealed(world, person)
    before = rows(world)
    narrow(world)
    assert not world.service.verbs.leases._lessor._live  # type: ignore[union-attr]
    between(world)
    for envelope in kept:
        assert hand_in(world, envelope).rule == "lease.dead"
    assert rows(world) == before


def test_a_lease_that_outlives_its_charter_lets_nothing_in(
    world: World, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lease that was given in the very moment of the enactment carries the older charter."""
    _, kept = sealed(world, person)
    before = rows(world)
    monkeypatch.setattr(world.service.verbs.leases._lessor, "end_all", lambda: 0)  # type: ignore[union-attr]
    narrow(world)
    assert hand_in(world, kept[0]).rule == "lease.charter"
    assert rows(world) == before


def test_a_narrowing_between_the_check_of_an_envelope_and_its_rest_keeps_it_out(
    world: World, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lease was checked under one charter; the rows would have been labelled under the other."""
    _, kept = sealed(world, person)
    before, real = rows(world), world.workshop.pack
    raced: list[bool] = []

    def pack(parts: object) -> int:
        if not raced:
            raced.append(True)
            narrow(world)
        return real(parts)  # type: ignore[arg-type]

    monkeypatch.setattr(world.workshop, "pack", pack)
    error = hand_in(world, kept[0])
    assert raced
    assert isinstance(error, DeniedError)
    assert error.rule == "lease.charter"
    assert rows(world) == before


def test_a_device_that_asks_again_records_under_the_new_charter(world: World, person: str) -> None:
    recorder, _ = sealed(world, person)
    narrow(world)
    again = Recorder(world, person)
    again.number = recorder.number
    before = rows(world)
    again.type("recorded under the new charter")
    again.collector.flush()
    assert again.sealed > 0
    assert rows(world) > before


def test_no_lease_follows_the_leaf_of_a_stop(
    world: World, person: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stop comes between the question whether anything is stopped and the leaf of the lease."""
    world.add(person, DEVICE)
    sources, stops = world.service.verbs.sources, []  # type: ignore[union-attr]
    real = sources.first_of

    def stopped(*arguments: object) -> object:
        stops.append(world.call("stop", **world.order("stop", "hr"))["entry"])
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sources, "first_of", stopped)
    assert raised(lambda: world.obtain(person, DEVICE)).rule == "oversight.stop"
    after = [leaf["k"] for _, leaf in world.desk.ledger.leaves(stops[0] + 1)]
    assert "lease" not in after


def test_a_lease_names_the_applications_of_each_stream_by_itself(world: World, person: str) -> None:
    """A limit on one stream is no limit on another, and a stream without any application is not one without limit."""
    tight = world.charter()
    limits = {"keys": (), "focus": ("crm", "editor"), "pointer": None}
    collect = tuple(
        replace(one, minimise=replace(one.minimise, apps=limits.get(one.what)))
        for one in tight.collect
    )
    world.enact(replace(tight, version=tight.version + 1, collect=collect), seats=["hr"])
    world.add(person, DEVICE)
    answer = world.obtain(person, DEVICE)
    lease = read_lease(answer["lease"].encode(), keeper=VerifyKey.from_text(answer["keeper"]))
    assert set(lease.apps) == set(lease.streams)
    assert lease.apps["key"] == ()
    assert lease.apps["focus"] == ("crm", "editor")
    assert lease.apps["pointer"] is None
