"""A home that an auditor comes to: its texts are published, it was used, drilled and measured."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.keeper_desk import CROWD, PURPOSE, Bench, found_bench, passed
from tests.model_desk import Keepers, canary, gated, weights
from tests.voices import Voice, enrol

from safehold.app.evidence.bundle import Bundle
from safehold.app.evidence.gather import gather
from safehold.assurance.control import Standing, Verdict, shipped, stand
from safehold.assurance.drill.scenario import BY_ID
from safehold.assurance.milestone import measure_all
from safehold.assurance.probe import judge
from safehold.charter.legal import DOCUMENTS
from safehold.clock import DAY_US
from safehold.keeper.ports import Frame
from safehold.keeper.program import name_program
from safehold.ledger import Entry

CANARY = ("canary", "canary", "canary.exposed", "==", 0)
CAUSE = "a door was left open"
ZOE = "zoe"
KEYS: dict[str, Any] = {}  # of the one person with a voice, in homes that are copies of one


def held(bench: Bench, *names: str, state: str = "held") -> int:
    """Hand in a drill: every scenario, or some."""
    results = [
        {"scenario": one, "of": "deployment", "state": state, "people": int(state == "broken")}
        for one in names or tuple(BY_ID)
    ]
    named = [str(one["scenario"]) for one in results]
    begun = bench.call("drill.begin", scenarios=named, program=name_program())
    return int(bench.call("drill.record", run=begun["run"], results=results)["first"])


def train(_spec: Any, **changes: Any) -> Iterator[Frame]:
    """Train nothing, and say what a trainer says."""
    figures = {
        "type": "metrics", "unit": "person", "epsilon_micro": 1_000_000, "delta_e12": 200_000,
        "epsilon_rdp": 0.99, "epsilon_pld": 0.95, "noise_multiplier": 26.7, "rounds": 40,
        "actions_per_person": 64, "top1": 0.5, "audit": "passed",
    } | changes  # fmt: skip
    yield passed("metrics", values=figures)
    yield passed("model", body=weights())


def begin(bench: Bench) -> Bench:
    """Start it, with sandboxes that train and attack as they are told to."""
    bench.start()
    bench.desk.gatekeeper = Keepers()
    bench.workshop.scripts["train"] = train
    return bench


def trained(bench: Bench, **changes: Any) -> str:
    """Train one more model, and attack it."""
    bench.workshop.scripts["train"] = lambda spec: train(spec, **changes)
    model = bench.call("train", **bench.use(bench.pass_()))["artifact"]
    canary(bench, model)
    return str(model)


def voice(bench: Bench) -> Voice:
    """Return the one person with a key of their own."""
    return Voice(bench, ZOE, KEYS[ZOE])


def sound(path: Path, **figures: Any) -> Bench:
    """Make a home in which as many probes as possible have something to look at; it is stopped.

    Args:
        path: Where.
        **figures: What its trainer says otherwise than a sound one.
    """
    bench = begin(found_bench(path, people=CROWD, charter=gated(CANARY)))
    for name in DOCUMENTS:
        bench.call("document.publish", name=name)
    bench.take(*CROWD)
    KEYS[ZOE] = enrol(bench, ZOE)[ZOE].key
    bench.call("feature", purpose=PURPOSE)
    trained(bench, **figures)
    bench.call("people.erase", person=CROWD[-1], evidence="a letter")
    bench.call("stop", **bench.order("stop", "privacy"))
    bench.call("resume", **bench.order("resume", cause=CAUSE), cause=CAUSE)
    held(bench)
    measure_all(bench.verbs)
    bench.clock.at_us += DAY_US
    measure_all(bench.verbs)
    bench.stop()
    return bench


def verdicts(bench: Bench, *, anew: bool = True) -> dict[str, Verdict]:
    """Return what every probe says now."""
    return judge(gather(bench.verbs, anew=anew))


def standings(found: dict[str, Verdict]) -> list[Standing]:
    """Return how every obligation stands."""
    return stand(shipped(), found)


def red(found: dict[str, Verdict]) -> set[str]:
    """Return the probes that are not satisfied."""
    return {name for name, one in found.items() if one.state == "not-satisfied"}


def log(bench: Bench, kind: str, ref: int | None = None, **public: Any) -> int:
    """Append a leaf, as a keeper that was tampered with could."""
    entry = Entry(
        kind=kind, actor="somebody", object="something", detail={}, public=public, ref=ref,
        charter=bench.desk.trust.digest(),
    )  # fmt: skip
    return bench.desk.log(entry)[0].index


def build(bench: Bench) -> dict[str, bytes]:
    """Return the files of a bundle."""
    return Bundle(bench.verbs).build()[0]
