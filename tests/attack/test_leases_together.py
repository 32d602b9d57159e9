"""Many devices ask in one call: each is judged by itself, each person's list is whole, and nothing is given before it is logged."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.keeper_desk import Bench, copy_bench, found_bench
from tests.lease_desk import Device, nonces, one_by_one, together
from tests.voices import enrol
from tests.world import raised

from safehold.access.lease import Lease, read_lease
from safehold.canonical import unb64
from safehold.errors import MissingError
from safehold.ingest.network import front
from safehold.keeper import grants, leasing
from safehold.keeper.leasing import MANY, MOST, PAD, read_said
from safehold.keeper.terms import streams_of
from safehold.signing import SigningKey, VerifyKey
from safehold.telemetry.stream import STREAMS
from safehold_verify.package import verify_package

PEOPLE = ("ana", "bo", "cy", "di", "ed")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_bench(tmp_path_factory.mktemp("together"), people=PEOPLE)


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    one = copy_bench(made, tmp_path).start()
    yield one
    one.stop()


@pytest.fixture
def devices(bench: Bench) -> list[Device]:
    return [Device(one, SigningKey.generate()).enrol(bench) for one in PEOPLE]


def asks(bench: Bench, *devices: Device) -> list[dict[str, Any]]:
    return [
        one.asks(nonce) for one, nonce in zip(devices, nonces(bench, len(devices)), strict=True)
    ]


def ask(bench: Bench, asked: list[Any]) -> list[dict[str, Any]]:
    answers: list[dict[str, Any]] = bench.call(MANY, asked=asked)["answers"]
    assert len(answers) == len(asked)
    return answers


def lease_of(bench: Bench, answer: dict[str, Any]) -> Lease:
    keeper = VerifyKey.from_text(bench.home.keeper_key.read_text("ascii").strip())
    return read_lease(answer["lease"].encode(), keeper=keeper)


def leaves(bench: Bench, since: int) -> list[str]:
    return [leaf["k"] for _, leaf in bench.desk.ledger.leaves(since)]


def live(bench: Bench) -> list[Lease]:
    return list(bench.verbs.leases._lessor._live.values())


# -- each by itself --------------------------------------------------------------------------------


def spoilt(
    bench: Bench, good: dict[str, Any], other: dict[str, Any], *, alien: Device
) -> dict[str, tuple[Any, str]]:
    """Return requests that must get nothing, and the rule of each."""
    return {
        "another's proof": (good | {"proof": other["proof"]}, "lease.device"),
        "another's nonce": (good | {"nonce": other["nonce"]}, "lease.device"),
        "another person": (good | {"person": other["person"]}, "lease.device"),
        "another device": (good | {"device": other["device"]}, "lease.device"),
        "a device of nobody": (asks(bench, alien)[0], "lease.device"),
        "a device of another": (
            asks(bench, Device("bo", SigningKey.generate()).enrol(bench))[0] | {"person": "ana"},
            "lease.device",
        ),
        "no nonce": (good | {"nonce": ""}, "lease.device"),
        "no request": (None, "keeper.verb"),
        "a list": ([good], "keeper.verb"),
        "half of one": ({"person": "ana"}, "keeper.verb"),
    }


@pytest.mark.parametrize("first", [True, False])
def test_what_is_wrong_with_one_is_refused_to_it_and_given_to_the_others(
    bench: Bench, devices: list[Device], first: bool
) -> None:
    ana, bo, cy = devices[:3]
    wrong = spoilt(bench, *asks(bench, ana, bo), alien=Device("di", SigningKey.generate()))
    words = set()
    for what, (request, rule) in wrong.items():
        size = bench.desk.ledger.size
        good = asks(bench, cy, bo)
        asked = [request, *good] if first else [*good, request]
        answers = ask(bench, asked)
        bad = answers.pop(0 if first else -1)
        assert bad["error"]["rule"] == rule, what
        words.add((rule, bad["error"]["message"], bad["error"]["fix"]))
        assert [lease_of(bench, one).device for one in answers] == [cy.public, bo.public], what
        assert {one.device for one in live(bench)} == {cy.public, bo.public}, what
        assert leaves(bench, size)[-2:] == ["lease", "refusal"], what
        said = bench.desk.ledger.detail(bad["error"]["entry"])
        told = {"rule": rule, "count": 1, "rules": {rule: 1}}
        assert (said["object"], said["detail"]) == (MANY, told), what
    assert len(words) == 2, "what is wrong with a device or a person is not told"


def test_people_who_may_not_be_recorded_get_nothing_while_others_do(
    bench: Bench, devices: list[Device]
) -> None:
    ana, bo, cy, di, ed = devices
    bench.call("people.choose", person="ana", choice="pause")
    bench.call("people.choose", person="bo", choice="withdraw")
    bench.call("source.remove", person="cy", device=cy.public)
    other = next(one for one in STREAMS if one not in streams_of(bench.charter()))
    agreed = {"person": "fay", "jurisdiction": "US-CA", "streams": [other]}
    bench.call("people.enrol", people=[agreed], evidence="made up")
    fay = Device("fay", SigningKey.generate()).enrol(bench)
    size = bench.desk.ledger.size
    answers = ask(bench, asks(bench, ana, bo, cy, di, ed, fay))
    rules = [one["error"]["rule"] if "error" in one else None for one in answers]
    assert rules[2:] == ["lease.device", None, None, "charter.collect"]
    assert None not in rules[:2]
    assert {one.person for one in live(bench)} == {"di", "ed"}
    assert leaves(bench, size) == ["choice", "choice", "lease", "refusal"]
    (index,) = [at for at, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "lease"]
    assert len(bench.desk.ledger.detail(index)["detail"]["sealed"]) == 2, "of the two alone"


def test_one_who_pauses_after_the_leaf_gets_nothing_while_others_do(
    bench: Bench, devices: list[Device]
) -> None:
    """It is the same thread that comes in between; another one would wait for the lock."""
    put = bench.verbs.sources.put_first

    def late(*arguments: Any) -> None:
        put(*arguments)
        bench.verbs.leases.close(bench.desk.people.find("ana"), "pause")

    bench.verbs.sources.put_first = late  # type: ignore[method-assign]
    answers = ask(bench, asks(bench, *devices[:2]))
    assert answers[0]["error"]["rule"] == "lease.pause"
    assert lease_of(bench, answers[1]).person == "bo"


def test_junk_among_them_takes_nothing_from_anybody(bench: Bench, devices: list[Device]) -> None:
    draw = random.Random(7)
    junk = ["", "\0", "ä", "A" * 10_000, "=" * 44, 0, -1, 1.5, None, True, [], {}, ["a"] * 50, {"a": {}},
            "\ud800", 10**30, "ana", devices[0].public]  # fmt: skip
    made = [draw.choice(junk) for _ in range(20)]
    for field in ("person", "device", "nonce", "proof"):
        whole = asks(bench, devices[0])[0]
        made += [whole | {field: one} for one in junk if one not in ("ana", devices[0].public)]
    draw.shuffle(made)
    for at in range(0, len(made), 40):
        asked = [*made[at : at + 40], *asks(bench, devices[1])]
        answers = ask(bench, asked)
        assert all("error" in one for one in answers[:-1])
        assert lease_of(bench, answers[-1]).person == "bo"


# -- once, and within bounds -----------------------------------------------------------------------


def test_a_batch_that_comes_again_gives_nothing(bench: Bench, devices: list[Device]) -> None:
    asked = asks(bench, *devices)
    assert all("lease" in one for one in ask(bench, asked))
    held, size = len(live(bench)), bench.desk.ledger.size
    assert {one["error"]["rule"] for one in ask(bench, asked)} == {"lease.device"}
    assert len(live(bench)) == held
    assert leaves(bench, size) == ["refusal"]


def test_the_same_request_twice_in_a_batch_gives_one_lease(
    bench: Bench, devices: list[Device]
) -> None:
    (asked,) = asks(bench, devices[0])
    first, second = ask(bench, [asked, asked])
    assert lease_of(bench, first).device == devices[0].public
    assert second["error"]["rule"] == "lease.device"
    assert len(live(bench)) == 1


def test_a_device_that_asks_twice_is_in_the_ledger_twice(
    bench: Bench, devices: list[Device]
) -> None:
    size = bench.desk.ledger.size
    answers = ask(bench, asks(bench, devices[0], devices[1], devices[0]))
    assert len({lease_of(bench, one).id for one in answers}) == 3
    assert leaves(bench, size) == ["choice", "choice", "lease", "lease"]
    assert len(entries_of(bench, "ana", size)) == 2
    assert len(entries_of(bench, "bo", size)) == 1


@pytest.mark.parametrize("many", [0, MOST + 1, None])
def test_more_than_fit_are_refused_and_no_nonce_is_lost(
    bench: Bench, devices: list[Device], many: int | None
) -> None:
    (good,) = asks(bench, devices[0])
    asked = "all" if many is None else [good] * many
    assert raised(lambda: bench.call(MANY, asked=asked)).rule == "lease.batch"
    assert not live(bench)
    assert "lease" in ask(bench, [good])[0]


def test_the_front_asks_for_no_more_than_the_keeper_gives() -> None:
    assert front.MOST_LEASES <= leasing.MOST
    assert front.MOST_NONCES <= grants.MOST_NONCES


# -- what the ledger says --------------------------------------------------------------------------


def entries_of(bench: Bench, person: str, since: int) -> list[int]:
    """Return the entries about a person that are leases."""
    found = bench.verbs.looking.own.of(bench.desk.people.find(person)).index.tolist()
    kinds = dict(bench.desk.ledger.leaves(since))
    return [at for at in found if at >= since and kinds[at]["k"] == "lease"]


def test_everybodys_own_list_has_their_lease_and_no_word_of_another(
    bench: Bench, tmp_path: Path
) -> None:
    voices = enrol(bench, "v1", "v2", "v3", "v4", "v5")
    for one in voices.values():
        one.choose("consent", streams=["key", "pointer"])
    devices = [Device(one, SigningKey.generate()).enrol(bench) for one in voices]
    size = bench.desk.ledger.size
    together(bench, devices[:3])
    together(bench, devices[:4])  # renewals
    both = [at for at, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "lease"]
    assert len(both) == 2
    for device, held in zip(devices, (both, both, both, both[1:], []), strict=True):
        own = voices[device.person]
        shown = [one for one in own.ask("people.uses")["uses"] if one["kind"] == "lease"]
        assert [one["entry"] for one in shown] == held[::-1]
        for one in shown:
            assert one["device"] == device.key.public.key_id
            assert one["streams"] == ["key", "pointer"]
        package = tmp_path / f"{device.person}.json"
        package.write_text(own.ask("people.trail")["package"])
        proved = {use.index for use in verify_package(package, bench.home.policy_file).uses}
        assert proved & set(both) == set(held)
        for other in devices:
            if other is not device:
                assert other.key.public.key_id not in str(shown)
                assert other.person not in str(shown)


def test_a_leaf_of_many_names_nobody(bench: Bench, devices: list[Device]) -> None:
    size = bench.desk.ledger.size
    together(bench, devices)
    ((index, leaf),) = [
        (at, leaf) for at, leaf in bench.desk.ledger.leaves(size) if leaf["k"] == "lease"
    ]
    assert not leaf.get("pub")
    said = bench.desk.ledger.detail(index)
    sealed = said["detail"]["sealed"]
    assert sealed == sorted(sealed), "not in the order in which they came"
    assert len({len(one) for one in sealed}) == 1
    assert len(unb64(sealed[0])) <= PAD + 64, "a leaf of hundreds stays small"
    written = bench.desk.ledger.leaf(index).decode() + str(said)
    for one in devices:
        person = bench.desk.people.find(one.person)
        for word in (one.person, person, one.public, one.key.public.key_id):
            assert f"'{word}'" not in written
            assert f'"{word}"' not in written
        (subject,) = bench.desk.subjects([person])
        assert read_said(subject.key, said["detail"])["device"] == one.key.public.key_id
    assert isinstance(raised(lambda: read_said(b"x" * 32, said["detail"])), MissingError)


def test_a_lease_alone_and_among_others_is_the_same(bench: Bench, devices: list[Device]) -> None:
    (alone,) = one_by_one(bench, devices[:1])
    said = together(bench, devices[:2])
    (among, _) = said["answers"]
    assert {one: said["rules"][one] for one in among["streams"]} == alone["rules"]
    assert said["keeper"] == alone["keeper"]
    first, second = lease_of(bench, alone), lease_of(bench, among)
    names = ("charter", "person", "device", "streams", "apps", "quiet", "silences")
    assert all(getattr(first, one) == getattr(second, one) for one in names)


# -- before it is given ----------------------------------------------------------------------------


def test_nobody_gets_a_lease_that_is_not_in_the_ledger(
    bench: Bench, devices: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    append = bench.desk.ledger.append

    def full(entries: Any) -> Any:
        if any(one.kind == "lease" for one in entries):
            raise OSError("no space")
        return append(entries)

    with monkeypatch.context() as patch:
        patch.setattr(bench.desk.ledger, "append", full)
        with pytest.raises(OSError, match="no space"):
            together(bench, devices)
    assert not live(bench)
    lessor, size, seen = bench.verbs.leases._lessor, bench.desk.ledger.size, []
    grant = lessor.grant

    def looks(**given: Any) -> bytes:
        seen.append(leaves(bench, size))
        return grant(**given)

    monkeypatch.setattr(lessor, "grant", looks)
    together(bench, devices)
    assert len(seen) == len(devices)
    assert all("lease" in one for one in seen), "the leaf was there before each"


def test_no_lease_of_anybody_follows_the_leaf_of_a_stop(
    bench: Bench, devices: list[Device], monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, stops = bench.verbs.sources, []
    first_of = sources.first_of

    def stopped(*arguments: Any) -> Any:
        if not stops:
            stops.append(bench.call("stop", **bench.order("stop", "privacy"))["entry"])
        return first_of(*arguments)

    monkeypatch.setattr(sources, "first_of", stopped)
    asked = asks(bench, *devices)
    assert raised(lambda: ask(bench, asked)).rule == "oversight.stop"
    assert "lease" not in leaves(bench, stops[0] + 1)
    assert not live(bench)


def crash(bench: Bench, at: str, act: Callable[[], object], *, skip: int = 0) -> None:
    """Die at a step, as far as what rests is concerned, and start again."""
    real, left = bench.desk.devices.put_all, [skip]

    def cut(*arguments: Any) -> None:
        if left[0] == 0:
            raise OSError("power cut")
        left[0] -= 1
        real(*arguments)

    if at == "row":
        bench.desk.devices.put_all = cut  # type: ignore[method-assign]
        with pytest.raises(OSError, match="power cut"):
            act()
    else:
        act()  # its answer is heard by nobody
    bench.restart()


@pytest.mark.parametrize(("at", "skip"), [("row", 0), ("row", 1), ("answer", 0)])
def test_a_crash_leaves_a_home_that_starts_and_leases_of_nobody(
    bench: Bench, devices: list[Device], at: str, skip: int
) -> None:
    """Two devices of one person are among them: what is looked for after a crash is one change of each person."""
    more = [Device("ana", SigningKey.generate()).enrol(bench) for _ in range(2)]
    size = bench.desk.ledger.size
    crash(bench, at, lambda: together(bench, [*devices, *more]), skip=skip)
    assert not live(bench)
    used = bench.desk.devices.used_by(bench.desk.people.find("ana"))
    told = [leaf["k"] for _, leaf in bench.desk.ledger.leaves(size)].count("choice")
    assert told >= 5, "those were durable"
    assert len(used) == told - 4
    answers = together(bench, [*devices, *more])["answers"]
    assert all("lease" in one for one in answers)
    assert len(entries_of(bench, "ana", size)) >= 3
    bench.restart()
    assert len(bench.desk.devices.used_by(bench.desk.people.find("ana"))) == 3
