"""Who contains, who lifts, and what does not: forged and used orders, restarts, restored databases, new grants."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.agency import Agency
from tests.attack.test_export import Asking
from tests.containing import (
    KEY,
    OTHER,
    SEGMENT,
    SHE,
    contain,
    found_held,
    lift,
    narrow,
    ordered,
    refuses,
)
from tests.identities import human, workload
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, script_training
from tests.seated import changed
from tests.world import outside, raised

from safehold.charter.difference.watch import WATCH
from safehold.errors import DeniedError, MissingError
from safehold.keeper.contained import KINDS
from safehold.keeper.containing import Wish
from safehold.ledger import Entry


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return found_held(tmp_path_factory.mktemp("held"))


@pytest.fixture
def bench(made: Bench, tmp_path: Path) -> Iterator[Bench]:
    with outside(tmp_path):
        copy = copy_bench(made, tmp_path).start()
        script_training(copy)
        yield copy
        copy.stop()


@pytest.fixture(scope="module")
def shared(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One keeper for all attempts that change nothing."""
    path = tmp_path_factory.mktemp("attempts")
    with outside(path):
        copy = copy_bench(made, path).start()
        yield copy
        copy.stop()


@pytest.fixture
def house(bench: Bench) -> Agency:
    return Agency(bench)


# --- who ----------------------------------------------------------------------------------------------


def test_whoever_operates_or_checks_contains_what_is_narrow_and_nobody_else(bench: Bench) -> None:
    who = {
        role: human(bench.call, f"the-{role}", role)
        for role in ("engineer", "auditor", "data_scientist")
    }
    robot = workload(bench.call, "robot")
    for name in ("engineer", "auditor"):
        made = who[name].ask("contain", **narrow())
        assert bench.desk.ledger.detail(made["entry"])["actor"] == f"the-{name}"
        lift(bench, made["entry"])
        error = raised(lambda name=name: who[name].ask("contain", **narrow("collection", "all")))
        assert error.rule == "containment.seat"
    for one in (who["data_scientist"], robot):
        for verb in ("contain", "containment.preview", "containment.list"):
            assert raised(lambda one=one, verb=verb: one.ask(verb)).rule == "door.role"
    assert bench.call("contain", **narrow())["entry"]
    bench.call("principal.identify")
    for verb in ("contain", "containment.preview", "containment.list"):
        assert raised(lambda verb=verb: bench.call(verb)).rule == "door.identified"
    contain(bench, "collection", "all")  # a seat needs no session: its order is what counts


def test_an_agent_contains_and_lifts_nothing_whatever_it_holds(house: Agency) -> None:
    bench = house.bench
    house.person("ana")
    helper = house.agent("helper", "ana")
    order = ordered(bench, "contain", *bench.seats, **narrow())
    entry = contain(bench, "segment", OTHER)["entry"]
    back = ordered(bench, "lift", *bench.seats, entry=entry, reason="over")
    for verb, said in (
        ("contain", order), ("contain", narrow()), ("containment.lift", back),
        ("containment.preview", narrow()), ("containment.list", {}),
    ):  # fmt: skip
        error = raised(lambda verb=verb, said=said: helper.ask(verb, **said))
        assert error.rule == "door.agent"
    assert [one["entry"] for one in bench.call("containment.list")["containments"]] == [entry]


def test_what_an_agent_handed_on_ends_with_it(house: Agency) -> None:
    """Another agent is in the middle of a run under the contained one's grant."""
    bench = house.bench
    ana, first = house.person("ana"), house.agent("first", "ana")
    second = house.agent("second", "ana")
    whole, _ = house.operator(ana)
    passed_on = house.below(first, whole.id)
    house.give(first, passed_on)
    holder = house.give(second, house.below(second, passed_on.id))
    train = bench.workshop.scripts["train"]

    def contained_meanwhile(spec: Any) -> Iterator[Any]:
        contain(bench, "principal", "first")
        yield from train(spec)

    bench.workshop.scripts["train"] = contained_meanwhile
    size = bench.desk.ledger.size
    assert raised(lambda: house.train(second, holder)).rule == "containment.principal"
    ended = [
        leaf["pub"]["outcome"]
        for _, leaf in bench.desk.ledger.leaves(size)
        if leaf["k"] == "access.result"
    ]
    assert ended == ["stopped"]
    assert raised(lambda: house.train(second, holder)).rule == "containment.principal"


def test_the_sentinel_contains_what_is_narrow_and_names_its_alert(bench: Bench) -> None:
    verbs, desk = bench.verbs.containment, bench.desk
    (alert,) = desk.ledger.append(
        [
            Entry(
                kind="alert", actor="sentinel", object="somebody", detail={},
                public={"signal": "burst", "severity": 3, "state": "open"},
            )
        ]
    )  # fmt: skip
    wish = Wish(what="segment", target=SEGMENT, reason="a burst", of=alert.index)
    made = verbs.begin(wish, by="sentinel")
    ((_, leaf),) = desk.ledger.leaves(made["entry"], made["entry"] + 1)
    assert leaf["ref"] == alert.index
    error = raised(
        lambda: verbs.begin(Wish(what="collection", target="all", reason="x"), by="sentinel")
    )
    assert error.rule == "containment.seat"
    error = raised(lambda: bench.call("contain", **narrow("purpose", PURPOSE), of=0))
    assert error.rule == "containment.of"


def test_nobody_blinds_those_who_watch(shared: Bench) -> None:
    charter = shared.charter()
    assert WATCH in charter.purposes
    order = ordered(shared, "contain", *shared.seats, **narrow("purpose", WATCH))
    assert isinstance(refuses(shared, "containment.watch", "contain", **order), DeniedError)


@pytest.mark.parametrize(
    ("what", "target"),
    [("grant", "grant_none"), ("grant", "4"), ("capability", "ab" * 32), ("capability", "x"),
     ("principal", "nobody"), ("principal", "pipeline"), ("principal", SHE), ("segment", "us-ca.mouse"),
     ("segment", "US-CA.pointer"), ("purpose", "performance"), ("artifact", "art_none"), ("dataset", "features:1"),
     ("run", "7"), ("run", "x"), ("collection", "everything"), ("collection", "us-ca.feature")],
)  # fmt: skip
def test_what_is_not_there_is_not_contained(shared: Bench, what: str, target: str) -> None:
    size = shared.desk.ledger.size
    for verb in ("contain", "containment.preview"):
        error = refuses(shared, "containment.missing", verb, **narrow(what, target))
        assert isinstance(error, MissingError)
        assert error.fix
    order = ordered(shared, "contain", "hr", **narrow(what, target))
    refuses(shared, "containment.missing", "contain", **order)
    assert shared.desk.ledger.size == size


@pytest.mark.parametrize(
    "said",
    [{}, {"what": "everything"}, {"target": ""}, {"target": "x" * 300}, {"reason": ""}, {"of": "7"}, {"of": -2},
     {"reason": "x" * 1_001}, {"what": 7}],
)  # fmt: skip
def test_half_a_wish_contains_nothing(shared: Bench, said: dict[str, Any]) -> None:
    asked = {} if not said else narrow() | said
    error = raised(lambda: shared.call("contain", **asked))
    assert (error.rule or "").startswith("containment.")
    assert error.exit_code == 2


# --- what does not lift -------------------------------------------------------------------------------


def test_a_restart_and_a_restored_database_lift_nothing(bench: Bench, tmp_path: Path) -> None:
    human(bench.call, "bo")
    named = bench.call("grant.list")["grants"]
    holder = bench.pass_()
    grant = next(one["id"] for one in bench.call("grant.list")["grants"] if one not in named)
    bench.stop()
    shutil.copy(bench.home.control, tmp_path / "before.db")
    bench.start()
    script_training(bench)
    before = {
        (what, target): contain(bench, what, target)["entry"]
        for what, target in (
            ("grant", grant), ("principal", "bo"), ("segment", SEGMENT), ("collection", "all"),
        )
    }  # fmt: skip
    listed = bench.call("containment.list")
    assert [one["entry"] for one in listed["containments"]] == list(before.values())
    bench.stop()
    for file in bench.home.path.glob("control.db*"):
        file.unlink()
    shutil.copy(tmp_path / "before.db", bench.home.control)
    with sqlite3.connect(bench.home.control) as base:
        assert base.execute("SELECT count(*) FROM access_grant").fetchone() == (1,)
    bench.start()
    script_training(bench)
    assert bench.call("containment.list") == listed
    assert raised(lambda: bench.call("train", **bench.use(holder))).rule == "containment.grant"
    assert raised(lambda: bench.call("feature", purpose=PURPOSE)).rule == "containment.segment"
    assert raised(lambda: bench.take(SHE, name="b")).rule == "containment.collection"
    lift(bench, before["grant", grant], "privacy", "hr")
    lift(bench, before["segment", SEGMENT])
    bench.restart()
    script_training(bench)
    assert bench.call("train", **bench.use(holder))["artifact"]


def test_a_charter_and_a_resumption_lift_nothing(bench: Bench) -> None:
    entry = contain(bench, "purpose", PURPOSE)["entry"]
    bench.enact(changed(bench.charter(), title="Another title of the same charter"))
    assert raised(lambda: bench.call("feature", purpose=PURPOSE)).rule == "containment.purpose"
    bench.call("stop", **bench.order("stop", "hr"))
    bench.call("resume", **bench.order("resume"))
    assert raised(lambda: bench.call("feature", purpose=PURPOSE)).rule == "containment.purpose"
    lift(bench, entry)


def test_no_new_grant_and_no_new_token_gets_round_it(house: Agency) -> None:
    bench = house.bench
    ana = house.person("ana")
    grant, holder = house.operator(ana)
    entry = contain(bench, "grant", grant.id)["entry"]
    for act in (
        lambda: house.train(ana, holder),
        lambda: ana.ask("grant.enact", grant=grant.to_json()),
    ):
        assert raised(act).rule == "containment.grant"
    # another grant is another matter, which seats decide; so whoever is contained gets none
    assert house.operator(ana, id="grant_other")[1].token
    lift(bench, entry, "privacy", "hr")
    contain(bench, "principal", "ana")
    for act in (
        lambda: house.train(ana, holder),
        lambda: house.operator(ana, id="grant_third"),
        lambda: ana.ask("session.show"),
        ana.sign_in,
    ):
        assert raised(act).rule == "containment.principal"


def test_no_first_token_of_a_new_grant_below_a_contained_token(house: Agency) -> None:
    """Whoever took the token of a grant would only have one minted of a grant below it."""
    bench = house.bench
    ana = house.person("ana")
    helper = house.agent("helper", "ana")
    grant, holder = house.operator(ana)
    below = house.below(helper, grant.id)
    raised(
        lambda: helper.ask("grant.enact", grant=below.to_json())
    )  # nobody has approved of it yet
    answer = helper.ask("request.new", grant=below.to_json())
    approvals = house.approvals(below, answer["price"])
    house.train(ana, holder)
    (token,) = bench.desk.ledger.detail(
        bench.desk.trust.record(bench.desk.trust.grants()[-1]).intents[-1]
    )["detail"]["tokens"]
    contain(bench, "capability", token)
    error = raised(lambda: helper.ask("grant.enact", grant=below.to_json(), approvals=approvals))
    assert error.rule == "containment.capability"


def test_nothing_below_a_contained_grant_or_operator_goes_on(house: Agency) -> None:
    bench = house.bench
    ana = house.person("ana")
    helper, second = house.agent("helper", "ana"), house.agent("second", "ana")
    grant, _ = house.operator(ana)
    below = house.below(helper, grant.id)
    token = house.give(helper, below)
    attempts = (
        lambda: house.train(helper, token),
        lambda: house.below(helper, grant.id),
        lambda: house.below(second, below.id),
        lambda: helper.ask("grant.enact", grant=below.to_json()),
    )
    for what, target in (("grant", grant.id), ("principal", "ana")):
        entry = contain(bench, what, target)["entry"]
        assert {raised(act).rule for act in attempts} == {f"containment.{what}"}
        lift(bench, entry, "privacy", "hr")
    contain(bench, "principal", "helper")
    assert raised(lambda: house.train(helper, token)).rule == "containment.principal"
    assert raised(lambda: helper.ask("tool.call", agent="helper", tool="train")).rule == (
        "containment.principal"
    )
    assert house.below(second, grant.id).depth == 1, "others go on"


# --- people --------------------------------------------------------------------------------------------


def test_what_people_may_do_about_their_own_data_goes_on(bench: Bench) -> None:
    (build,) = [one.id for one in bench.desk.lineage.look()[0].values() if one.kind == "feature"]
    for what, target in (
        ("segment", SEGMENT), ("segment", "us-ca.feature"), ("purpose", PURPOSE), ("collection", "all"),
        ("dataset", build),
    ):  # fmt: skip
        contain(bench, what, target)
    copy = Asking(bench, KEY)
    files = copy.opened(copy.ask(copy.sign(SHE)))
    manifest = json.loads(files["manifest.json"])
    assert {"telemetry", "features"} <= {one["file"].partition("/")[0] for one in manifest["files"]}
    assert bench.call("people.choose", person=SHE, choice="withdraw")["entry"]
    erased = bench.call("people.erase", person=SHE, evidence="a letter")
    assert erased["keys"]
    assert raised(lambda: bench.desk.people.find(SHE)).rule == "subjects.find"


def test_somebody_contained_still_speaks_for_themselves(bench: Bench) -> None:
    """A principal of the same person is contained; what they sign with a key of their own is heard."""
    ana = human(bench.call, "ana")
    contain(bench, "principal", "ana")
    order = ordered(bench, "contain", "hr", **narrow())
    assert ana.ask("contain", **order)["entry"], "the seat's order counts, and not who carries it"
    assert raised(lambda: ana.ask("contain", **narrow())).rule == "containment.principal"


def test_a_preview_has_no_effect_and_names_nobody(bench: Bench) -> None:
    holder = bench.pass_()
    bench.call("train", **bench.use(holder))
    size = bench.desk.ledger.size
    (grant,) = [one["id"] for one in bench.call("grant.list")["grants"]]
    found = {
        what: bench.call("containment.preview", what=what, target=target)
        for what, target in (
            ("segment", SEGMENT), ("purpose", PURPOSE), ("grant", grant), ("principal", "ana"),
            ("collection", "pointer"),
        )
    }  # fmt: skip
    assert bench.desk.ledger.size == size
    assert bench.call("containment.list") == {"containments": []}
    for what, reach in found.items():
        assert reach["people"] == 50, (what, "real people are told in tens")
        assert not any(f'"{person}"' in json.dumps(reach) for person in CROWD if person != "ana")
    assert found["purpose"]["grants"] == found["principal"]["grants"] == [grant]
    assert found["purpose"]["models"] == found["grant"]["models"] != []
    assert found["segment"]["datasets"]
    assert found["segment"]["models"] == found["purpose"]["models"]
    assert set(KINDS) > set(found)


def test_no_name_of_anybody_is_public(bench: Bench) -> None:
    human(bench.call, "zoe-of-accounts")
    contain(bench, "principal", "zoe-of-accounts")
    ledger = bench.desk.ledger
    assert not [at for at in range(ledger.size) if b"zoe-of" in ledger.leaf(at)]
