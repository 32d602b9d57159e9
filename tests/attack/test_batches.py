"""Envelopes in batches: stored once whatever comes twice, judged apart, and refused by a rule."""

from __future__ import annotations

from typing import Any

import pytest
from tests.keeper_desk import Bench
from tests.seated import wider
from tests.stream_desk import Device, RecipeWorkshop, events_of, hand_in, rows_of
from tests.world import raised

from safehold.access.envelope import name_of
from safehold.canonical import b64
from safehold.catalog.parts import Parts
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    SafeholdError,
    ShreddedError,
    UnavailableError,
)
from safehold.keeper.chunk import Chunks
from safehold.keeper.sealed import failed, may_be_of_one
from safehold.signing import SigningKey


@pytest.fixture
def bench(stream_bench: Bench) -> Bench:
    return stream_bench


STORED, ALREADY = ("stored", ""), ("already", "")


def test_a_batch_is_one_source_one_chunk_and_one_sandbox(bench: Bench, device: Device) -> None:
    other = Device(device.line, bench, "bo")
    sealed = [device.seal(), device.seal(), other.seal(), other.seal()]
    size, sources = bench.desk.ledger.size, bench.desk.catalog.counts()["sources"]
    assert hand_in(bench, *sealed) == [STORED] * 4
    said = [
        (leaf["k"], bench.desk.ledger.detail(index)["detail"]["step"])
        for index, leaf in bench.desk.ledger.leaves(size)
    ]
    assert said == [("ingest", "begin"), ("ingest", "chunk"), ("ingest", "live")]
    assert bench.workshop.runs == 1
    assert bench.desk.catalog.counts()["sources"] == sources + 1
    # rows of one person and day lie in one block, however many envelopes they came in
    assert bench.blocks() == {"ana": 1, "bo": 1}
    assert events_of(bench) == [(who, at) for who in ("ana", "bo") for at in range(device.first)]


def test_the_same_envelope_again_is_answered_the_same_and_stored_once(
    bench: Bench, device: Device
) -> None:
    first, second = device.seal(), device.seal()
    assert hand_in(bench, first, first, second) == [STORED] * 3
    rows, size = rows_of(bench), bench.desk.ledger.size
    assert hand_in(bench, second, first) == [ALREADY] * 2
    one = bench.call("lease.submit", envelope=b64(first), device=device.key.public.text())
    again = bench.call("lease.submit", envelope=b64(first), device=device.key.public.text())
    assert one == again
    assert one["tally"]["taken"]["key"] * 2 == device.first
    assert (rows_of(bench), bench.desk.ledger.size) == (rows, size)


def test_what_was_stored_is_known_after_a_restart_and_what_was_not_is_refused(
    bench: Bench, device: Device
) -> None:
    stored, lost = device.seal(), device.seal()
    assert hand_in(bench, stored) == [STORED]
    bench.restart()
    assert hand_in(bench, stored, lost) == [ALREADY, ("refused", "lease.dead")]


def test_envelopes_come_in_any_order(bench: Bench, device: Device) -> None:
    sealed = [device.seal() for _ in range(4)]
    assert hand_in(bench, sealed[3]) == [STORED]
    assert hand_in(bench, sealed[1], sealed[0]) == [STORED] * 2
    assert hand_in(bench, sealed[3], sealed[2]) == [ALREADY, STORED]
    assert len(events_of(bench)) == device.first


def spoilt(device: Device, other: Device) -> list[tuple[bytes, str]]:
    """Return envelopes that must not be taken, and why."""
    stranger = SigningKey.generate()
    good = device.seal()
    return [
        (b"nonsense", "envelope.shape"),
        (good[:-1] + bytes([good[-1] ^ 1]), "signing.safehold.envelope.v1"),
        (good[:-100] + bytes([good[-100] ^ 1]) + good[-99:], "signing.safehold.envelope.v1"),
        (device.seal(by=stranger), "lease.device"),
        (device.seal(lease=other.lease.id), "lease.device"),
        (device.seal(lease=other.lease.id, by=other.key, number=900), "envelope.seal"),
        (device.seal(to=other.lease.sealing), "envelope.seal"),
        (device.seal(lease="lea_0"), "lease.dead"),
        (device.seal(stream="chat"), "lease.stream"),
        (device.seal(sealed_us=1), "lease.time"),
        (device.seal(number=5_000), "lease.number"),
        (device.seal(body=b"no table"), "leased.body"),
        (device.seal(device.table(10_000, person="bo")), "leased.person"),
        (device.seal(device.table(11_000, minim=1)), "leased.level"),
        (device.seal(device.table(12_000, field_kind="password")), "leased.password"),
        (device.seal(device.table(13_000).drop_columns(["code"])), "leased.schema"),
    ]


def test_what_one_envelope_breaks_keeps_no_other_out(bench: Bench, device: Device) -> None:
    """Every way to be refused at once, with good ones in between."""
    other = Device(device.line, bench, "bo")
    bad = spoilt(device, other)
    good = [other.seal() for _ in bad]
    mixed = [one for pair in zip((data for data, _ in bad), good, strict=True) for one in pair]
    answers = hand_in(bench, *mixed)
    assert answers[1::2] == [STORED] * len(good)
    found = [(state, rule) for state, rule in answers[::2]]
    assert [state for state, _ in found] == ["refused"] * len(bad)
    assert [rule for _, rule in found] == [rule for _, rule in bad]
    assert {who for who, _ in events_of(bench)} == {"bo"}
    assert bench.workshop.runs == 1, "none of them cost the others a sandbox"


def test_refusals_are_counted_in_the_ledger_by_rule_and_never_by_content(
    bench: Bench, device: Device
) -> None:
    bench.clock.advance(60_000_000)
    size = bench.desk.ledger.size
    for _ in range(5):
        hand_in(bench, device.seal(lease="lea_0"), b"nonsense")
    said = [
        bench.desk.ledger.detail(index)["detail"]
        for index, leaf in bench.desk.ledger.leaves(size)
        if leaf["k"] == "refusal"
    ]
    assert said == [
        {"rule": "lease.dead", "count": 2, "rules": {"lease.dead": 1, "envelope.shape": 1}}
    ], "one leaf in a while"
    bench.clock.advance(11_000_000)
    hand_in(bench, b"nonsense")
    last = bench.desk.ledger.detail(bench.desk.ledger.size - 1)["detail"]
    assert last["rules"] == {"lease.dead": 4, "envelope.shape": 5}


def test_events_that_came_before_are_refused_within_a_batch_and_across(
    bench: Bench, device: Device
) -> None:
    """A device that seals the same events twice, in two envelopes that both hold."""
    first = device.table(0)
    assert hand_in(bench, device.seal(first), device.seal(first)) == [
        STORED,
        ("refused", "sequence.duplicate"),
    ]
    last = device.table(len(first))
    assert hand_in(bench, device.seal(first), device.seal(last)) == [
        ("refused", "sequence.duplicate"),
        STORED,
    ]
    assert [seq for _, seq in events_of(bench)] == list(range(2 * len(first)))


def test_another_envelope_under_a_number_that_was_used_is_refused(
    bench: Bench, device: Device
) -> None:
    assert hand_in(bench, device.seal(number=3)) == [STORED]
    assert hand_in(bench, device.seal(number=3)) == [("refused", "lease.replay")]


@pytest.mark.parametrize("how", ["pause", "withdraw", "stop", "removed", "expired"])
def test_an_envelope_whose_lease_ended_is_refused_and_what_was_stored_still_known(
    bench: Bench, device: Device, how: str
) -> None:
    stored, late = device.seal(), device.seal()
    assert hand_in(bench, stored) == [STORED]
    if how == "stop":
        bench.call("stop", **bench.order("stop", "employee_representative"))
    elif how == "removed":
        bench.call("source.remove", person="ana", device=device.key.public.text())
    elif how == "expired":
        bench.clock.advance(16 * 60_000_000)
    else:
        bench.call("people.choose", person="ana", choice=how)
    answers = hand_in(bench, late, stored)
    assert answers[0][0] == "refused"
    assert answers[1] == ALREADY


def test_a_choice_during_the_run_leaves_the_rows_of_that_person_out(
    bench: Bench, device: Device
) -> None:
    other = Device(device.line, bench, "bo")
    assert isinstance(bench.workshop, RecipeWorkshop)
    bench.workshop.during = lambda _spec: bench.call(  # type: ignore[method-assign]
        "people.choose", person="ana", choice="withdraw"
    )
    assert hand_in(bench, device.seal(), other.seal())[1] == STORED
    assert {who for who, _ in events_of(bench)} == {"bo"}


def test_the_keeper_tries_again_what_fails_and_a_sandbox_that_dies_of_one_takes_no_other_with_it(
    bench: Bench, device: Device
) -> None:
    """A parser that crashes on one envelope, whatever else is in the batch."""
    other = Device(device.line, bench, "bo")
    sealed = [device.seal(), other.seal(), other.seal(), other.seal(), other.seal()]
    assert isinstance(bench.workshop, RecipeWorkshop)

    def die(spec: Any) -> None:
        if "ana" in spec["people"]:
            raise UnavailableError("the job died", rule="sandbox.failed")

    bench.workshop.during = die  # type: ignore[method-assign]
    assert hand_in(bench, *sealed) == [("later", "sandbox.failed"), *[STORED] * 4]
    del bench.workshop.during
    assert hand_in(bench, *sealed) == [STORED, *[ALREADY] * 4]


def test_a_part_of_the_keeper_that_is_away_makes_it_later_for_all_at_once(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed = [device.seal() for _ in range(8)]
    gone = UnavailableError("the disk is full", rule="ledger.append")

    def full(*_entries: Any) -> Any:
        raise gone

    with monkeypatch.context() as patch:
        patch.setattr(type(bench.desk.trust), "log_running", full)
        assert hand_in(bench, *sealed) == [("later", "ledger.append")] * 8
    assert hand_in(bench, *sealed) == [STORED] * 8


def test_the_register_s_own_key_keeps_a_part_from_coming_twice(
    bench: Bench, device: Device
) -> None:
    """Whatever looked before it: the transaction itself takes a name once."""
    sealed = device.seal()
    assert hand_in(bench, sealed) == [STORED]
    parts: Parts = bench.desk.catalog.parts
    with pytest.raises(ConflictError):
        parts.commit("00" * 32, {name_of(sealed): {}}, tally={}, objects=[], extents=[], now_us=1)
    assert not bench.desk.catalog.is_live("00" * 32), "and nothing else of its batch is there"


def test_what_counts_though_nobody_could_say_so_keeps_its_rows(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that is cut while a transaction is made durable: it is answered as stored later, so it must be there."""
    sealed = device.seal()
    commit = Parts.commit

    def counts_unsaid(*given: Any, **named: Any) -> None:
        commit(*given, **named)
        raise UnavailableError("the control database does not answer", rule="db.unavailable")

    with monkeypatch.context() as patch:
        patch.setattr(Parts, "commit", counts_unsaid)
        assert hand_in(bench, sealed) == [("later", "db.unavailable")]
    assert hand_in(bench, sealed) == [ALREADY]
    assert len(events_of(bench)) == device.first


def test_two_at_once_with_the_same_envelope(bench: Bench, device: Device) -> None:
    sealed = device.seal()
    second: list[Any] = []
    assert isinstance(bench.workshop, RecipeWorkshop)
    bench.workshop.during = lambda _spec: second.extend(hand_in(bench, sealed))  # type: ignore[method-assign]
    assert hand_in(bench, sealed) == [STORED]
    assert second == [("later", "ingest.once")]
    assert len(events_of(bench)) == device.first


def test_names_are_forgotten_and_the_rows_stay(bench: Bench, device: Device) -> None:
    sealed = device.seal()
    assert hand_in(bench, sealed) == [STORED]
    bench.clock.advance(8 * 86_400_000_000)
    bench.call("dataset.sweep")
    assert bench.desk.catalog.parts.known([name_of(sealed)]) == {}
    assert hand_in(bench, sealed) == [("refused", "lease.dead")]


@pytest.mark.parametrize("given", ["", [], [b64(b"x")] * 513, ["AAAA"] * 600, 5])
def test_what_is_no_batch_is_refused(bench: Bench, given: Any) -> None:
    error = raised(lambda: bench.call("lease.hand-in", envelopes=given))
    assert isinstance(error, InvalidError)


def test_a_batch_that_is_too_large_is_refused(bench: Bench) -> None:
    error = raised(lambda: bench.call("lease.hand-in", envelopes=[b64(bytes(41 << 20))]))
    assert isinstance(error, InvalidError)


def test_a_single_envelope_of_another_device_than_it_says_is_refused(
    bench: Bench, device: Device
) -> None:
    other = SigningKey.generate().public.text()
    error = raised(lambda: bench.call("lease.submit", envelope=b64(device.seal()), device=other))
    assert error.rule == "signing.safehold.envelope.v1"


def test_what_was_judged_by_one_charter_is_not_labelled_under_another(
    bench: Bench, device: Device
) -> None:
    """A narrowing comes while the sandbox looks at a batch: all of it is refused, at once."""
    assert isinstance(bench.workshop, RecipeWorkshop)

    def narrow(_spec: Any) -> None:
        del bench.workshop.during
        bench.enact(wider(bench.charter(), days=2), "hr")

    bench.workshop.during = narrow  # type: ignore[method-assign]
    sealed = [device.seal() for _ in range(4)]
    assert hand_in(bench, *sealed) == [("refused", "lease.charter")] * 4
    assert bench.workshop.runs == 1
    assert hand_in(bench, *sealed) == [("refused", "lease.dead")] * 4
    assert events_of(bench) == []


@pytest.mark.parametrize("what", ["drift", "home", "clock"])
def test_nothing_fresh_comes_in_past_what_guards_the_intake_and_what_is_stored_is_still_said(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    stored, fresh = device.seal(), device.seal()
    assert hand_in(bench, stored) == [STORED]
    rule, state = f"test.{what}", "refused"

    def refuse(*_arguments: Any) -> None:
        raise DeniedError("no", rule=rule)

    if what == "drift":
        monkeypatch.setattr(bench.verbs.intake, "guard", refuse)
    elif what == "home":
        monkeypatch.setattr(bench.verbs.intake, "check_home", refuse)
    else:
        bench.clock.advance(-600_000_000)
        rule, state = "clock.back", "later"
    assert hand_in(bench, stored, fresh) == [ALREADY, (state, rule)]


@pytest.mark.parametrize(
    "gone",
    [
        MissingError("no such person", rule="subjects.standing"),
        ShreddedError("the key was destroyed", rule="vault.key.gone"),
        ConflictError("a key was destroyed while rows were being sealed", rule="vault.key"),
    ],
)
def test_somebody_who_is_being_erased_keeps_nobody_else_s_envelopes_out(
    bench: Bench, device: Device, monkeypatch: pytest.MonkeyPatch, gone: SafeholdError
) -> None:
    """Between two looks at the register they are there, and are not: the rest of the batch is stored."""
    other = Device(device.line, bench, "bo")
    plain = Chunks._plain

    def vanish(self: Chunks, chunk: Any, arrivals: Any, standings: Any) -> Any:
        if any(one.person == "bo" for one in arrivals):
            raise gone
        return plain(self, chunk, arrivals, standings)

    monkeypatch.setattr(Chunks, "_plain", vanish)
    sealed = [device.seal(), other.seal(), device.seal(), device.seal()]
    said = hand_in(bench, *sealed)
    assert said[0] == said[2] == said[3] == STORED
    assert said[1] == ("later" if gone.rule == "vault.key" else "refused", gone.rule)


def test_what_came_by_another_way_meanwhile_is_asked_again_and_not_refused() -> None:
    """The register's own key kept it out: whose rows are live already, the next question tells."""
    error = ConflictError("part of this came before", rule="catalog.part")
    assert failed(error).state == "later"
    assert may_be_of_one(error), "and the others of its batch are stored"
