"""What is contained opens for nobody at any door, from its leaf on, until enough seats lift it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from tests.access_desk import Office
from tests.containing import contain, lift, rule_of
from tests.keeper_desk import CROWD, PURPOSE, Bench, copy_bench, found_bench
from tests.model_desk import begin as begin_models
from tests.model_desk import gated, permit, proved, pull, trained
from tests.world import outside

from safehold import canonical
from safehold.access import Holder, prove_device, read_claims
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.keeper.messages import obtain_message
from safehold.keeper.recipes import ATTACK_VERB as DATASET_ATTACK
from safehold.keeper.recipes import TRIAL_VERB as MODEL_ATTACK
from safehold.signing import SigningKey

DEVICE = SigningKey(b"d" * 32)
WHO = "ana"
NUMBERS = count(1)  # of sources: none is taken in twice
PLACE = "us-ca"
OVER_GRANTS = ("train", "dataset", "membership", "pull")


def begin(bench: Bench) -> Bench:
    begin_models(bench).workshop.scripts |= dict.fromkeys(
        ("reidentify", "inspect"), lambda _spec: iter(())
    )
    return bench


def releasing_figures() -> Charter:
    tree = canonical.decode(canonical.encode(gated().to_json()))
    tree["purposes"][PURPOSE]["releases"] = ["model_weights_dp", "dp_aggregate"]
    return Charter.from_json(tree)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """A home with telemetry, features, a model, and a device that may record; nothing is contained."""
    path = tmp_path_factory.mktemp("contained")
    bench = begin(found_bench(path, people=CROWD, charter=releasing_figures()))
    bench.take(*CROWD)
    bench.call("feature", purpose=PURPOSE)
    trained(bench)
    bench.call(
        "source.add", person=CROWD[0], device=DEVICE.public.text(), evidence="a list of devices"
    )
    bench.stop()
    return bench


@pytest.fixture(scope="module")
def shared(made: Bench, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One keeper for all pairs of a target and a door; each lifts again what it contained."""
    path = tmp_path_factory.mktemp("pairs")
    with outside(path):
        bench = begin(copy_bench(made, path))
        yield bench
        bench.stop()


@pytest.fixture(autouse=True)
def left_free(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "shared" in request.fixturenames:
        one = request.getfixturevalue("shared")
        for held in one.call("containment.list")["containments"]:
            lift(one, held["entry"])


@dataclass
class Doors:
    """Somebody with grants before one keeper, and everything that they can try."""

    bench: Bench
    holders: dict[str, Holder] = field(default_factory=dict)

    def __post_init__(self) -> None:
        bench = self.bench
        bench.desk.trust._spent.clear()
        self.model = trained(bench)  # of the newest build
        self.build = [
            node.id for node in bench.desk.lineage.look()[0].values() if node.kind == "feature"
        ][-1]
        (self.source,) = [
            node.id for node in bench.desk.lineage.look()[0].values() if node.kind == "source"
        ][:1]
        for name, recipe in (
            ("train", "train"),
            ("dataset", "reidentify"),
            ("membership", "membership"),
            ("pull", "pull"),
        ):
            self.holders[name] = permit(bench, recipe)
        self.grants = {
            holder.token: bench.call("grant.list")["grants"][-len(OVER_GRANTS) + at]["id"]
            for at, holder in enumerate(self.holders.values())
        }
        office = Office(bench)
        self.asked = office.ask()
        self.office = office

    def grant(self, door: str) -> str:
        return self.grants[self.holders[door].token]

    def token(self, door: str) -> str:
        minting = self.bench.verbs.grants.minting
        claims = minting.verify(lambda key: read_claims(self.holders[door].token, key))
        return claims.revocation_ids[0]

    def leave(self) -> None:
        """Take back what was asked for; somebody has few open requests at a time."""
        self.office.vote(self.asked, "legal", "deny")

    def try_(self, door: str) -> Any:
        return getattr(self, f"_{door}")()

    def _feature(self) -> Any:
        return self.bench.call("feature", purpose=PURPOSE)

    def _train(self) -> Any:
        self.bench.desk.trust._spent.clear()
        return self.bench.call("train", **self.bench.use(self.holders["train"]))

    def _dataset(self) -> Any:
        holder = self.holders["dataset"]
        return self.bench.call(
            DATASET_ATTACK,
            purpose=PURPOSE,
            stage="feature",
            dataset=None,
            **proved(self.bench, holder, DATASET_ATTACK),
        )

    def _membership(self) -> Any:
        return self.bench.call(
            MODEL_ATTACK,
            artifact=self.model,
            purpose=PURPOSE,
            **proved(self.bench, self.holders["membership"], MODEL_ATTACK),
        )

    def _canary(self) -> Any:
        return self.bench.call("attack.canary", artifact=self.model)

    def _pull(self) -> Any:
        return pull(self.bench, self.model, self.holders["pull"])

    def _request(self) -> Any:
        return self.office.vote(self.office.ask(), "legal", "deny")

    def _decide(self) -> Any:
        return self.office.vote(self.asked, "privacy")

    def _mint(self) -> Any:
        said = self.bench.verbs.grants.records.stated(
            self.bench.verbs.grants.records.find(self.grant("train"))
        )
        return self.bench.call("grant.enact", grant=said.to_json())

    def _ingest(self) -> Any:
        number = next(NUMBERS)
        return self.bench.take(CROWD[0], name=f"more-{number}", first=10 * number)

    def _lease(self) -> Any:
        nonce = unb64(self.bench.call("nonce")["nonce"])
        return self.bench.call(
            "lease.obtain",
            person=CROWD[0],
            device=DEVICE.public.text(),
            nonce=b64(nonce),
            proof=b64(prove_device(DEVICE, nonce, obtain_message(CROWD[0]))),
        )

    def _symmetry(self) -> Any:
        self.bench.desk.trust._spent.clear()
        return self.bench.call("people.symmetry", purpose=PURPOSE, epsilon_micro=1_000)

    def _import(self) -> Any:
        file = self.bench.path / "weights"
        file.write_bytes(b"x")
        with file.open("rb") as handle:
            return self.bench.call("artifact.import", handle.fileno(), purpose=PURPOSE)


DOORS = (
    "train", "dataset", "membership", "canary", "pull", "import", "symmetry", "request", "decide", "mint", "ingest",
    "lease", "feature",
)  # fmt: skip
USES = {"train", "dataset", "membership"}  # of data
# by what is contained: what somebody names, and the doors that it closes; every other stays as it was
CASES: Mapping[str, tuple[Callable[[Doors], tuple[str, str]], set[str]]] = {
    "grant": (lambda one: ("grant", one.grant("train")), {"train", "mint"}),
    "token": (lambda one: ("capability", one.token("train")), {"train", "mint"}),
    "who": (lambda one: ("principal", WHO), {*OVER_GRANTS, "request", "decide", "mint"}),
    "telemetry": (lambda _: ("segment", f"{PLACE}.pointer"), {*USES, "feature"}),
    "features": (lambda _: ("segment", f"{PLACE}.feature"), {"train", "membership", "request", "decide", "mint"}),
    "purpose": (lambda _: ("purpose", PURPOSE), set(DOORS) - {"ingest", "lease"}),
    "model": (lambda one: ("artifact", one.model), {"membership", "canary", "pull"}),
    "build": (lambda one: ("dataset", one.build), USES),
    "source": (lambda one: ("dataset", one.source), {*USES, "feature"}),
    "recording": (lambda _: ("collection", "all"), {"ingest", "lease"}),
    "stream": (lambda _: ("collection", "pointer"), {"ingest"}),
    "place": (lambda _: ("collection", f"{PLACE}.pointer"), {"ingest"}),
}  # fmt: skip


@pytest.fixture(scope="module")
def before(shared: Bench) -> Mapping[str, str | None]:
    """What stops somebody at each door while nothing is contained: next to nothing does."""
    doors = Doors(shared)
    found = {door: rule_of(lambda door=door: doors.try_(door)) for door in DOORS}
    doors.leave()
    assert {door for door, rule in found.items() if rule is None} >= set(DOORS) - {
        "membership",  # of so few people nobody was held out of the training
        "import",  # what looks into the file says nothing here
    }
    return found


@pytest.mark.parametrize("case", sorted(CASES))
def test_what_is_contained_closes_its_doors_and_no_other(
    shared: Bench, before: Mapping[str, str | None], case: str
) -> None:
    named, closed = CASES[case]
    doors = Doors(shared)
    what, target = named(doors)
    if what == "capability":  # it is known by a use
        rule_of(lambda: doors.try_("train"))
    made = contain(shared, what, target)
    entry = made["entry"]
    found = {}
    for door in DOORS:
        size, packed = shared.desk.ledger.size, len(shared.workshop.packed)
        found[door] = rule_of(lambda door=door: doors.try_(door))
        if found[door] == f"containment.{what}":
            kinds = shared.leaves(size)
            assert kinds[-1] == "refusal", door
            assert not {"access.intent", "artifact", "grant", "request", "lease"} & set(kinds), door
            assert len(shared.workshop.packed) == packed, door
            assert case != "recording" or "ingest" not in kinds, door
    assert {door for door in DOORS if found[door] == f"containment.{what}"} == closed
    free = [door for door in DOORS if door not in closed]
    assert {door: found[door] for door in free} == {door: before[door] for door in free}
    doors.leave()  # to deny narrows, and is heard
    assert contain(shared, what, target) == made | {"already": True, "leases_ended": 0}
    lift(shared, entry)
    again = {door: rule_of(lambda door=door: doors.try_(door)) for door in closed - {"decide"}}
    assert not [door for door, rule in again.items() if (rule or "").startswith("containment.")]
    assert shared.call("containment.list") == {"containments": []}
