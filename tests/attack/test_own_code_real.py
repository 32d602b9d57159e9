"""The scripts of the how-to before a whole keeper, in real sandboxes: what they give, and what stands in the ledger."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from tests.attack.test_own_code import letting_figures
from tests.seated import changed
from tests.world import PURPOSE, World, raised

from safehold.access import Holder, Price, approve
from safehold.access.code import name_code
from safehold.app.draft import draft_grant
from safehold.app.permit import Pass
from safehold.keeper.program import name_program
from safehold.signing import SigningKey

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "run-your-own-code.md"
SCRIPTS = dict(
    re.findall(r"^```python (\S+)\n(.*?)^```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
)
FIGURE = SCRIPTS["mean.py"].encode()
COUNTS = b"""# /// safehold
# streams = ["pointer"]
# words = ["spoke"]
# ///
import os, socket
import safehold_enclave as enclave
enclave.count("people", len(enclave.people()))
enclave.count("rows", enclave.table("pointer").num_rows)
enclave.say("spoke")
"""
STEAL = (
    COUNTS
    + b"""
enclave.say(next(iter(enclave.people())))
"""
)


def allowed(world: World, script: bytes) -> Pass:
    """Return the right to one run of a script, as three seats gave it."""
    key = SigningKey.generate()
    grant = draft_grant(
        world.desk.trust.charter(),
        requester=f"ana-{name_code(script)[-6:]}",
        purpose=PURPOSE,
        reason="a script of the how-to",
        holder=key,
        minutes=60,
        recipe="code",
        script=script,
    )
    tree: dict[str, Any] = grant.to_json()
    now = world.clock.now_us()
    tree |= {"asked_us": now, "expires_us": now + 10**10}
    grant = type(grant).from_json(tree)
    price = Price.from_json(world.call("request.new", grant=grant.to_json())["price"])
    approvals = [
        approve(grant, price, seat, world.seats[seat], now_us=now).to_json()
        for seat in ("privacy", "legal", "ml_lead")
    ]
    answer = world.call("grant.enact", grant=grant.to_json(), approvals=approvals)
    return Pass(answer["grant"], Holder(answer["token"], key), grant.stages[0])


@pytest.fixture
def lab(world: World) -> World:
    world.enact(changed(letting_figures(world.desk.trust.charter())))
    return world


def run(world: World, script: bytes) -> dict[str, Any]:
    return allowed(world, script).run(world.client, PURPOSE, script, lambda _: None)


def test_a_figure_of_real_sandboxes_is_near_the_truth(lab: World) -> None:
    """Ten groups; the noise is 400 * sqrt(2) / 10 = 57, and forty deviations are out of the question."""
    left = lab.desk.trust.left(PURPOSE).epsilon_micro
    answer = run(lab, FIGURE)
    assert answer["figure"]["groups"] == 10
    assert answer["figure"]["error"] == pytest.approx(56.57, abs=0.01)
    assert abs(answer["figure"]["value"] - 200) < 200 + 40 * 57
    assert lab.desk.trust.left(PURPOSE).epsilon_micro == left - 1_000_000
    assert answer["people"] >= 50
    packed = lab.workshop.packed[-10:]
    groups = [{header["person"] for header in one} for one in packed]
    assert len(set.union(*groups)) == sum(map(len, groups)) == answer["people"]
    result = lab.desk.ledger.detail(answer["entry"])["detail"]
    assert result["code"] == name_code(FIGURE)
    assert (result["level"], result["kernel"]) == (answer["level"], answer["kernel"])
    assert result["program"] == name_program()
    assert {"seccomp", "namespaces", "wall-clock"} <= set(result["mechanisms"])


def test_counts_of_made_up_people(lab: World) -> None:
    answer = run(lab, COUNTS)
    assert answer["counts"]["people"] == answer["people"]
    assert answer["counts"]["rows"] > answer["people"]
    assert (answer["words"], answer["figure"]) == (["spoke"], None)


def test_a_word_that_no_seat_saw_ends_the_run(lab: World) -> None:
    error = raised(lambda: run(lab, STEAL))
    assert error.rule == "egress.text"
