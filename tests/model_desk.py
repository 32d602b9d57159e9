"""A keeper that keeps models: sandboxes are scripts, gates and signatures are the product's."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save
from tests.keeper_desk import (
    CROWD,
    PURPOSE,
    Bench,
    OpenGatekeeper,
    Script,
    found_bench,
    passed,
)
from tests.seated import founding

from safehold import canonical
from safehold.access.proof import Holder
from safehold.app.draft import draft_grant
from safehold.app.gate import EgressGatekeeper
from safehold.app.model_gates import MODEL_RECIPES
from safehold.assurance.canary.plant import CANDIDATES
from safehold.canonical import b64, unb64
from safehold.charter import Charter
from safehold.enclave.model import ARCHITECTURE, Shape
from safehold.enclave.vocabulary import MINIWOB
from safehold.keeper.messages import use_message
from safehold.keeper.ports import Frame
from safehold.keeper.quarantine import domain_of
from safehold.keeper.recipes import PULL_VERB as PULL
from safehold.keeper.recipes import TRIAL_VERB as ATTACK
from safehold.signing import SigningKey

MANY = (*CROWD, *(f"q{number:03}" for number in range(200)))  # 253: of them 51 are held out
GATES = (
    ("membership", "membership", "membership.advantage", "<=", 150_000),
    ("canary", "canary", "canary.exposed", "==", 0),
    ("inversion", "invert", "invert.recovered", "==", 0),
)


def gated(*gates: tuple[str, str, str, str, int]) -> Charter:
    """Return the demo's charter, whose scientists may pull, with gates on models."""
    tree = canonical.decode(canonical.encode(founding().to_json()))
    tree["who_may"]["data_scientist"]["do"] = [
        *tree["who_may"]["data_scientist"]["do"], "pull_artifact",
    ]  # fmt: skip
    tree["gates"] = [
        {
            "id": name, "attack": attack, "level": None, "measure": measure,
            "must_be": {"op": op, "micro": micro},
        }
        for name, attack, measure, op, micro in gates
    ]  # fmt: skip
    return Charter.from_json(tree)


class Keepers(OpenGatekeeper):
    """Judges what leaves an attack or a look into a file as the product does."""

    def open(self, recipe, spec, people):
        real = recipe in MODEL_RECIPES
        return (EgressGatekeeper() if real else super()).open(recipe, spec, people)

    def reads(self, recipe):
        return EgressGatekeeper().reads(recipe)

    def settings(self, recipe, *, synthetic):
        return EgressGatekeeper().settings(recipe, synthetic=synthetic)


@functools.cache  # the library orders metadata as it likes
def weights(seed: int = 1) -> bytes:
    """Return a model of the product's own form."""
    shape = Shape(tokens=len(MINIWOB.tokens), apps=len(MINIWOB.apps))
    chance = np.random.default_rng(seed)
    return save(
        {name: chance.normal(size=size).astype(np.float32) for name, size in shape.tensors.items()},
        metadata={"architecture": ARCHITECTURE, "vocabulary": MINIWOB.digest()},
    )


def train_as(bench: Bench, body: bytes) -> None:
    def script(spec: Mapping[str, Any]) -> Iterator[Frame]:
        figures = {
            "type": "metrics", "unit": "person", "epsilon_micro": 1_000_000, "delta_e12": 1_000_000,
            "epsilon_rdp": 0.99, "epsilon_pld": 0.95, "noise_multiplier": 26.7, "rounds": 40,
            "actions_per_person": 64, "top1": 0.5,
        }  # fmt: skip
        yield passed("metrics", values=figures)
        yield passed("model", body=body)

    bench.workshop.scripts["train"] = script


def figures(attack: str, **said: int) -> Script:
    """Return a sandbox in which an attack counts as it is told to."""

    def script(spec: Mapping[str, Any]) -> Iterator[Frame]:
        if attack == "membership":
            members, others = len(spec["members"]), len(spec["others"])
            counts = {
                "members": members, "others": others, "hits": members // 25, "false": others // 20,
                "even_hits": members // 2, "even_false": others // 2,
            }  # fmt: skip
        else:
            counts = {
                "planted": spec["planted"], "candidates": CANDIDATES, "exposed": 0,
                "deepest": 5_000, "mean": 1_500,
            }  # fmt: skip
        yield Frame({"type": "figures", "attack": attack, **counts, **said}, memoryview(b""))

    return script


def begin(bench: Bench) -> Bench:
    bench.start()
    bench.desk.gatekeeper = Keepers()
    train_as(bench, weights())
    for attack in ("membership", "canary"):
        bench.workshop.scripts[attack] = figures(attack)
    return bench


def found(path: Path, *gates: tuple[str, str, str, str, int]) -> Bench:
    """Make a home of many people with built features, and gates on its models."""
    bench = found_bench(path, people=MANY, charter=gated(*(gates or GATES)))
    begin(bench).take(*MANY)
    bench.call("feature", purpose=PURPOSE)
    return bench


def permit(bench: Bench, recipe: str, **changes: Any) -> Holder:
    asked = draft_grant(
        bench.charter(), requester="ana", purpose=PURPOSE, reason="a test", minutes=60,
        holder=SigningKey.generate(), recipe=recipe,
    )  # fmt: skip
    names = ("purpose", "segments", "streams", "columns", "stages", "recipes", "epsilon_micro")
    return bench.pass_(**({name: getattr(asked, name) for name in names} | changes))


def proved(bench: Bench, holder: Holder, verb: str, purpose: str = PURPOSE) -> dict[str, Any]:
    nonce = unb64(bench.call("nonce")["nonce"])
    return {
        "token": holder.token,
        "nonce": b64(nonce),
        "proof": b64(holder.prove(nonce, use_message(verb, purpose))),
    }


def trained(bench: Bench) -> str:
    return bench.call("train", **bench.use(bench.pass_()))["artifact"]


def membership(bench: Bench, artifact: str, **said: int) -> dict[str, Any]:
    bench.workshop.scripts["membership"] = figures("membership", **said)
    holder = permit(bench, "membership")
    return bench.call(ATTACK, artifact=artifact, purpose=PURPOSE, **proved(bench, holder, ATTACK))


def canary(bench: Bench, artifact: str, **said: int) -> dict[str, Any]:
    bench.workshop.scripts["canary"] = figures("canary", **said)
    return bench.call("attack.canary", artifact=artifact)


def pull(
    bench: Bench, artifact: str, holder: Holder | None = None, *, purpose: str = PURPOSE
) -> tuple[bytes, dict[str, Any]]:
    """Pull a model and return its bytes with the answer."""
    held = holder or permit(bench, "pull")
    handle = os.memfd_create("model", os.MFD_CLOEXEC)
    try:
        answer = bench.call(
            PULL, handle, artifact=artifact, purpose=purpose, **proved(bench, held, PULL, purpose)
        )
        return os.pread(handle, 1 << 26, 0), answer
    finally:
        os.close(handle)


def order(bench: Bench, artifact: str, what: str, *seats: str, **changes: Any) -> dict[str, Any]:
    """Return an order of seats about an artifact."""
    shown = next(one for one in bench.call("artifact.list")["artifacts"] if one["id"] == artifact)
    text = canonical.encode(
        {
            "v": "safehold.artifact-order/1", "what": what, "home": bench.home.id,
            "artifact": artifact, "sha256": shown["sha256"], "reason": "a test",
            "at_us": bench.clock.now_us(),
        } | changes
    )  # fmt: skip
    made = [
        {"seat": seat, "value": b64(bench.seats[seat].sign(domain_of(what), text))}
        for seat in seats or tuple(bench.seats)
    ]
    return {"order": text.decode(), "signatures": made}
