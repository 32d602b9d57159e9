"""What a coordinator learns, what a silo refuses, and how a run ends that should not go on."""

from __future__ import annotations

import hashlib
import math
import ssl
import urllib.error
import urllib.request

import numpy as np
import pytest
from tests.federated import SHAPE, DirectWire, Federation, SandboxedWorkshop
from tests.flowers import need_flower, nodes
from tests.keeper_desk import PURPOSE

from safehold import canonical
from safehold.app.federate import GrantedKeeper, vocabulary_of
from safehold.app.permit import Pass
from safehold.canonical import b64
from safehold.clock import SECOND_US
from safehold.errors import (
    BudgetSpentError,
    DeniedError,
    InvalidError,
    TamperedError,
    UnavailableError,
)
from safehold.federation.identity import make_node_key
from safehold.federation.mask import DOMAIN, Masker, _said
from safehold.federation.message import pack, unpack
from safehold.federation.pipe import flower
from safehold.federation.round import Coordinator
from safehold.federation.wire import flower_wire
from safehold.keeper.agreement import ORDER, Agreement
from safehold.privacy.distributed import GRID_BITS


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    federation = Federation.found(tmp_path_factory.mktemp("houses"))
    yield federation
    federation.close()


@pytest.fixture
def budget(made, monkeypatch):
    """Each test begins a run of its own; what earlier ones spent is left out of sight."""
    for house in made.houses.values():
        house.bench.desk.trust._spent.clear()


@pytest.fixture
def start(made, budget, tmp_path):
    def begin(agreement=None, wire=None, place=None):
        agreement = agreement or made.agreement
        wire = wire or DirectWire({name: one.silo(agreement) for name, one in made.houses.items()})
        return Coordinator(
            agreement, key=made.key, wire=wire, place=place or tmp_path / "state", step_s=60
        ), wire

    return begin


def vectors(wire):
    return [
        (name, np.frombuffer(body, "<u8").copy())
        for name, data in wire.came
        for _, body in [unpack(data)]
        if len(body) == 8 * SHAPE.parameters
    ]


def test_a_run_learns_and_each_ledger_holds_its_part(made, start):
    coordinator, wire = start()
    answer = coordinator.run()
    assert answer["rounds"] == 3
    assert answer["lost"] == []
    # everybody has one habit: the model knows what follows after the second word of it
    flat = np.frombuffer(answer["model"], "<f4").reshape(SHAPE.rows + 1, SHAPE.tokens)
    assert int(flat[2].argmax()) == 3
    run = answer["run"]
    for name, house in made.houses.items():
        mine = [one for one in house.leaves() if one["run"] == run]
        assert [(one["state"], one["number"]) for one in mine] == [
            ("joined", 0), ("step", 1), ("step", 2), ("step", 3), ("check", 1), ("done", 1)
        ]  # fmt: skip
        assert answer["silos"][name]["size"] > answer["silos"][name]["entry"]
        detail = house.bench.desk.ledger.detail(answer["silos"][name]["entry"])["detail"]
        assert detail["certificate"] == made.agreement.certificate
        assert detail["agreement"] == made.agreement.digest()
        # the charge stands once, however many steps there were
        assert len(house.bench.desk.trust._spent) >= 1
        assert (
            sum(one.get("epsilon_micro", 0) for one in house.bench.desk.trust._spent) == 4_000_000
        )


def test_nothing_that_reaches_the_coordinator_is_unmasked(made, start, monkeypatch, tmp_path):
    """The masked vectors look uniform; the same run without masks would be told apart at once."""

    def largest(wire):
        return [float(np.abs(vector.view(np.int64)).max()) for _, vector in vectors(wire)]

    coordinator, wire = start()
    coordinator._step()
    assert len(vectors(wire)) == 3
    noise = made.agreement.numbers["deviation"]
    bound = 2.0**GRID_BITS * 60 + 12 * noise  # what an unmasked vector can come to
    assert bound < 2.0**40
    # of so many uniform numbers one is above 2^62, but for a chance of 2^-1000
    assert all(one > 2.0**62 for one in largest(wire))
    total = sum(vector for _, vector in vectors(wire)).view(np.int64)
    assert np.abs(total).max() < 3 * bound  # only the sum is small

    for house in made.houses.values():
        house.bench.desk.trust._spent.clear()
    monkeypatch.setattr(Masker, "mask", lambda self, vector, **_: vector)
    bare, wire = start(place=tmp_path / "bare")
    bare._step()
    assert all(one < bound for one in largest(wire))


def test_no_sum_of_fewer_silos_is_anything(made, start):
    coordinator, wire = start()
    coordinator._step()
    by_name = dict(vectors(wire))
    for one, other in (("east", "north"), ("north", "west"), ("east", "west")):
        both = (by_name[one] + by_name[other]).view(np.int64)
        assert np.abs(both).max() > 2.0**62


def test_a_step_is_answered_once(made, start):
    coordinator, wire = start()
    coordinator._step()
    (again,) = [data for name, data in wire.sent if name == "east" and b'"do":"step"' in data[:40]]
    header, body = unpack(wire.silos["east"].answer(again))
    assert header["rule"] == "federation.replay"
    assert body == b""
    # also by a keeper that was started anew: the ledger remembers
    house = made.houses["east"]
    house.bench.stop()
    house.open()
    header, body = unpack(wire.silos["east"].answer(again))
    assert header["rule"] == "federation.replay"
    assert body == b""


def forged(made, wire, *, run, number, members, key=None, model=None, agreement=None):
    agreement = agreement or made.agreement
    body = np.zeros(SHAPE.parameters, "<f4").tobytes() if model is None else model
    order = canonical.encode(
        {
            "v": "safehold.federation.order/1", "what": "step", "run": run, "number": number,
            "agreement": agreement.digest(), "aggregate": "", "members": members,
            "model": hashlib.sha256(np.zeros(SHAPE.parameters, "<f4").tobytes()).hexdigest(),
        }
    )  # fmt: skip
    signed = b64((key or made.key).sign(ORDER, order))
    head = {"do": "step", "run": run, "order": order.decode(), "signature": signed}
    return unpack(wire.silos["east"].answer(pack(head, body)))[0].get("rule")


def test_a_silo_refuses_what_was_not_agreed_on(made, start):
    coordinator, wire = start()
    coordinator._members()
    run, hello = coordinator.state.run, coordinator._hello
    said = {"run": run, "number": 1, "members": hello}
    stranger = type(made.key).generate()
    assert forged(made, wire, **said, key=stranger) == f"signing.{ORDER}"
    assert forged(made, wire, **said, model=b"\1" * 4 * SHAPE.parameters) == "federation.model"
    alone = {"east": hello["east"]}
    assert forged(made, wire, run=run, number=1, members=alone) == "federation.least"
    assert forged(made, wire, run=run, number=4, members=hello) == "federation.replay"
    assert forged(made, wire, run="0" * 32, number=1, members=hello) == "federation.joined"
    unknown = hello | {"mallory": hello["west"]}
    assert forged(made, wire, run=run, number=1, members=unknown) == "federation.members"


def test_a_run_that_was_paid_for_is_not_gone_on_with_under_another_agreement(made, start):
    """Else a run is charged with much noise, and its steps are answered with nearly none."""
    coordinator, wire = start()
    coordinator._members()
    run = coordinator.state.run
    cheap = made.agreed(deviation=1 << 16)  # joining under it is refused for its noise
    other = DirectWire({"east": made.houses["east"].silo(cheap)})
    members = {
        name: Masker(
            cheap, name=name, run=run, seed=bytes([at] * 32),
            identity=house.bench.verbs.federation._identity(),
        ).hello()
        for at, (name, house) in enumerate(made.houses.items())
    }  # fmt: skip
    federation = made.houses["east"].bench.verbs.federation
    members["east"] = federation._masks(cheap, "east", run).hello()
    refused = "federation.other-agreement"
    assert forged(made, other, run=run, number=1, members=members, agreement=cheap) == refused
    header, _ = unpack(other.silos["east"].answer(pack({"do": "join", "run": run})))
    assert header["rule"] == refused
    # nothing was used up by it
    assert [leaf["state"] for leaf in made.houses["east"].leaves() if leaf["run"] == run] == [
        "joined"
    ]


def test_a_grant_is_for_the_agreement_that_the_board_read(made, start):
    """Else whoever holds one makes up the other houses, and gets this one's sum with too little noise."""
    house, invented = made.houses["east"], made.agreed(honest=1)
    granted = house.holder(made.agreement)
    house.holders[invented.recipe] = granted
    try:
        wire = DirectWire({"east": house.silo(invented)})
        header, _ = unpack(wire.silos["east"].answer(pack({"do": "join", "run": "3" * 32})))
    finally:
        del house.holders[invented.recipe]
    assert header["rule"] == "capability.recipe"
    assert not [leaf for leaf in house.leaves() if leaf["run"] == "3" * 32]


def test_the_coordinator_cannot_put_a_key_of_its_own_in_the_place_of_a_silos(made, start):
    coordinator, wire = start()
    coordinator._members()
    run, hello = coordinator.state.run, dict(coordinator._hello)
    mine = Masker(
        made.agreement, name="west", run=run, seed=b"\7" * 32,
        identity=made.houses["west"].bench.verbs.federation._identity(),
    )  # fmt: skip
    fake = {"key": mine.hello()["key"], "signature": hello["west"]["signature"]}
    members = hello | {"west": fake}
    assert (
        forged(made, wire, run=run, number=1, members=members)
        == "signing.safehold.federation.key.v1"
    )


def test_a_lost_silo_costs_a_step_and_not_the_run(made, start):
    coordinator, wire = start()
    coordinator._members()
    real = wire.silos["north"].answer
    wire.silos["north"].answer = lambda data: b""  # dies while it answers the first step
    coordinator._step()
    assert coordinator.state.lost == [{"step": 1, "missing": ["north"]}]
    assert coordinator.state.rounds == 0
    assert not coordinator.state.model.any()
    wire.lost.add("north")
    coordinator._step()  # two are left: as many as the noise takes
    assert coordinator.state.rounds == 1
    assert coordinator.state.model.any()
    wire.lost.add("west")
    with pytest.raises(UnavailableError) as error:
        coordinator._step()
    assert error.value.rule == "federation.least"
    wire.lost.clear()
    wire.silos["north"].answer = real
    coordinator._step()  # who comes back joins again, and pays nothing again
    assert coordinator.state.rounds == 2
    spent = made.houses["north"].bench.desk.trust._spent
    assert sum(one.get("epsilon_micro", 0) for one in spent) == 4_000_000


@pytest.mark.parametrize("lie", ["unsigned", "no number", "of low order"])
def test_a_silo_whose_key_nobody_can_use_is_left_out_and_the_others_go_on(made, start, lie):
    """Else every honest silo refuses every step, and the one that lies is never the one that is missing."""
    coordinator, wire = start()
    real = wire.silos["north"].answer

    def answer(data):
        header, body = unpack(real(data))
        if "hello" in header:
            key = b64(bytes(32)) if lie == "of low order" else header["hello"]["key"]
            identity = made.houses["north"].bench.verbs.federation._identity()
            said = _said(made.agreement.digest(), coordinator.state.run, "north", key)
            header["hello"] = {
                "unsigned": {"key": key, "signature": b64(bytes(64))},
                "no number": {"key": 1.5, "signature": []},
                "of low order": {"key": key, "signature": b64(identity.sign(DOMAIN, said))},
            }[lie]
        return pack(header, body)

    wire.silos["north"].answer = answer
    coordinator._step()
    assert coordinator.state.rounds == 1
    assert coordinator.state.lost == []
    assert coordinator.refused == {"north": "federation.key"}


def test_a_step_that_everybody_failed_is_an_error(made, start, tmp_path):
    coordinator, wire = start()
    coordinator._members()
    for silo in wire.silos.values():
        silo.answer = lambda data: pack({"error": "failed", "rule": "egress.recipe"})
    with pytest.raises(UnavailableError) as error:
        coordinator.run()
    assert error.value.rule == "federation.all-failed"
    again, _ = start(place=tmp_path / "state")
    with pytest.raises(DeniedError):
        again.run()


def test_a_coordinator_that_was_killed_goes_on_and_nothing_is_spent_twice(made, start, tmp_path):
    coordinator, wire = start()
    coordinator._step()
    first, model = coordinator.state.run, coordinator.state.model.copy()
    # killed between an order and its answers: the number is gone, the model is the one before
    coordinator.state.step += 1
    coordinator.state.write(tmp_path / "state")
    again, wire = start(place=tmp_path / "state")
    assert again.state.run == first
    assert np.array_equal(again.state.model, model)
    answer = again.run()
    assert answer["rounds"] == 2
    for house in made.houses.values():
        spent = sum(one.get("epsilon_micro", 0) for one in house.bench.desk.trust._spent)
        assert spent == 4_000_000
        steps = [
            one["number"]
            for one in house.leaves()
            if one["run"] == first and one["state"] == "step"
        ]
        assert steps == [1, 3]


def test_a_model_that_ruins_is_not_released(made, start):
    agreement = made.agreed(worse_ppm=300_000, epsilon_micro=4_000_000, checks=1)
    coordinator, wire = start(agreement)
    for _ in range(2):
        coordinator._step()
    # the guess before was right for everybody (as a quarter of the habit goes); after it, never
    good = np.zeros((SHAPE.rows + 1, SHAPE.tokens))
    for before, after in ((2, 3), (3, 5), (5, 7), (7, 2)):
        good[before, after] = 50.0
    bad = np.zeros_like(good)
    bad[-1, 11] = 90.0
    coordinator.state.accepted = good.reshape(-1)
    coordinator.state.model = bad.reshape(-1)
    coordinator.state.counted = 0
    with pytest.raises(DeniedError) as error:
        coordinator._check()
    assert error.value.rule == "federation.ruined"
    assert "north" in str(error.value)
    assert coordinator.state.ended


def test_a_sum_that_cannot_be_ends_the_run(made, start):
    coordinator, wire = start()
    real = wire.silos["west"].answer

    def lie(data):
        header, body = unpack(real(data))
        if len(body) != 8 * SHAPE.parameters:
            return pack(header, body)
        return pack(header, (np.frombuffer(body, "<u8") + np.uint64(2**40)).tobytes())

    wire.silos["west"].answer = lie
    with pytest.raises(TamperedError) as error:
        coordinator._step()
    assert error.value.rule == "federation.norm"
    assert not coordinator.state.model.any()


def test_a_house_does_not_join_with_too_little_noise_a_wider_promise_or_another_vocabulary(
    made, start
):
    for agreement, rule in (
        (made.agreed(deviation=made.agreement.numbers["deviation"] - 1), "federation.noise"),
        (made.agreed(epsilon_micro=5_000_000), "federation.promise"),
        (made.agreed(vocabulary_of(synthetic=False).digest()), "federation.vocabulary"),
    ):
        wire = DirectWire({"east": made.houses["east"].silo(agreement)})
        header, _ = unpack(wire.silos["east"].answer(pack({"do": "join", "run": "1" * 32})))
        assert header["rule"] == rule


def test_the_budget_is_spent_by_joining(made, start):
    coordinator, wire = start()
    coordinator._members()
    header, _ = unpack(wire.silos["east"].answer(pack({"do": "join", "run": "2" * 32})))
    assert header["error"] == BudgetSpentError.code


def test_a_step_runs_in_a_sandbox(made, start):
    house = made.houses["east"]
    sandboxed, before = SandboxedWorkshop(), house.bench.desk.workshop
    house.bench.desk.workshop = sandboxed
    try:
        coordinator, wire = start()
        coordinator._step()
        coordinator._check()
    finally:
        house.bench.desk.workshop = before
    assert coordinator.state.rounds == 1
    assert sandboxed.levels == [sandboxed.real.level()] * 2


def test_an_agreement_with_one_key_for_two_houses_is_none(made):
    tree = canonical.decode(canonical.encode(dict(made.agreement.tree)))
    tree["silos"]["west"]["identity"] = tree["silos"]["east"]["identity"]
    with pytest.raises(InvalidError):
        Agreement.from_json(tree)
    tree = canonical.decode(canonical.encode(dict(made.agreement.tree)))
    tree["numbers"]["colluding"] = 2
    with pytest.raises(InvalidError):
        Agreement.from_json(tree)
    assert math.isfinite(made.agreement.least)


def refused(path, port, *, ca, key):
    config = {
        "be": "node", "server": f"127.0.0.1:{port}", "ca": str(path / ca), "key": str(key),
        "retries": 0, "patience": 1.0,
    }  # fmt: skip
    with pytest.raises(UnavailableError), flower(config):
        pass


def test_three_silos_train_over_tls_and_strangers_stay_outside(made, budget, tmp_path):
    need_flower()
    path = made.path
    keys = {name: house.node_key for name, house in made.houses.items()}
    silos = {name: house.silo(made.agreement).answer for name, house in made.houses.items()}
    with flower_wire(
        made.agreement,
        host="127.0.0.1",
        port=0,
        certificate=path / "server.pem",
        key=path / "server.key",
    ) as wire:
        came = []
        real = wire._line.read

        def read():
            got = real()
            came.append(got[1])
            return got

        wire._line.read = read
        # whoever is not named, and whoever trusts another authority, does not get in
        make_node_key(path / "stranger.node")
        refused(path, wire.port, ca="ca.pem", key=path / "stranger.node")
        refused(path, wire.port, ca="stranger.pem", key=keys["east"])
        # of Flower's interfaces nobody reaches any but that of nodes, and that only with a signature
        trusted = ssl.create_default_context(cafile=str(path / "ca.pem"))
        for place, status in (
            ("docs", 404), ("openapi.json", 404), ("v1/control/start-run", 404),
            ("v1/control/register-node", 404), ("v1/runtime/acquire-task", 404), ("health", 404),
        ):  # fmt: skip
            with pytest.raises(urllib.error.HTTPError) as error:
                urllib.request.urlopen(
                    f"https://localhost:{wire.port}/{place}", data=b"", context=trusted, timeout=30
                )
            assert error.value.code == status
        with nodes(path, wire.port, silos, keys):
            wire.await_online(set(silos), within_s=120)
            assert wire.online() == set(silos)
            coordinator = Coordinator(
                made.agreement, key=made.key, wire=wire, place=tmp_path / "state", step_s=240
            )
            answer = coordinator.run()
    assert answer["rounds"] == 3
    flat = np.frombuffer(answer["model"], "<f4").reshape(SHAPE.rows + 1, SHAPE.tokens)
    assert int(flat[2].argmax()) == 3
    assert set(answer["silos"]) == set(silos)
    # what came over the wire: nine vectors, each as wide as uniform ones are
    masked = [body for body in map(vector, came) if body is not None]
    assert len(masked) == 9
    assert all(np.abs(one.view(np.int64)).max() > 2.0**62 for one in masked)


def vector(data):
    if len(data) < 8 * SHAPE.parameters:
        return None
    _, body = unpack(data)
    return np.frombuffer(body, "<u8").copy() if len(body) == 8 * SHAPE.parameters else None


def test_a_node_in_a_long_run_renews_its_capability(made, budget):  # the last: its clock goes on
    house = made.houses["west"]

    def permit():
        terms = {"recipes": (made.agreement.recipe,), "max_runs": 9, "max_per_hour": 9}
        return Pass("", house.bench.pass_(**terms))

    asked = {
        "agreement": dict(made.agreement.tree), "name": "west", "run": "3" * 32, "purpose": PURPOSE
    }  # fmt: skip
    old, renewing = (GrantedKeeper(house.bench, permit(), renew) for renew in (None, permit))
    house.bench.clock.at_us += 61 * 60 * SECOND_US
    with pytest.raises(DeniedError) as error:
        old.ask("federate.join", asked)
    assert error.value.rule == "capability.expired"
    assert renewing.ask("federate.join", asked)["step"] == 0
