"""Capabilities, decisions and refusals against the bare primitives in the same run.

CPU time of this process, the least of some rounds. Rates are goals for an idle core and are printed; asserted are
ratios. A decision that differs in one letter from every earlier one is decided anew: both are shown.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import cedarpy
import pytest
from tests import boardroom
from tests.bench.board import Board, cpu
from tests.boardroom import HOLDER, MESSAGE, NONCE, claims, policy, present, request, token

from safehold.access import AccessRequest, attenuate, authorise
from safehold.access.policy import _translate
from safehold.access.proof import POP_DOMAIN, Holder, proof_message
from safehold.errors import DeniedError
from safehold.signing import SigningKey, VerifyKey

pytestmark = pytest.mark.bench

ROUNDS = 5


def least(count: int, act) -> float:
    """Return CPU-seconds of one call: the least of some rounds."""

    def several() -> None:
        for _ in range(count):
            act()

    return min(cpu(several) for _ in range(ROUNDS)) / count


def _other(holder: VerifyKey) -> AccessRequest:
    """Return the same use by the holder of another grant."""
    return request(claims=replace(claims(), holder=holder), holder=holder.text())


def test_checking_a_capability(board: Board) -> None:
    text = token()
    narrow = attenuate(text, boardroom.MINT.public, max_rows=1000)
    proof = Holder(text, HOLDER).prove(NONCE, MESSAGE)
    message = proof_message(text, NONCE, MESSAGE)
    bare = least(300, lambda: HOLDER.public.verify(POP_DOMAIN, message, proof))
    for what, shown in (("as minted", text), ("narrowed once", narrow)):
        proof = Holder(shown, HOLDER).prove(NONCE, MESSAGE)
        ours = least(200, lambda shown=shown, proof=proof: present(shown, proof=proof))
        board.add(
            f"capability check, {what}",
            ours=f"{ours * 1000:.2f} CPU-ms",
            peer=f"one Ed25519 signature checked: {bare * 1000:.2f} CPU-ms",
            ratio=ours / bare,
            goal="<= 1 ms",
            met=ours <= 0.001,
            most=20.0,
        )


def test_deciding(board: Board) -> None:
    made, asked = policy(), request()
    question, entities = _translate(made, asked)
    loaded = cedarpy.Entities.from_json_str(json.dumps(entities), schema=made.types)
    bare = least(300, lambda: cedarpy.is_authorized(question, made.policies, loaded, made.types))
    numbers = itertools.count(1_000)
    authorise(made, asked)
    recalled = least(2_000, lambda: authorise(made, request(people=next(numbers))))
    others = [_other(SigningKey.generate().public) for _ in range(ROUNDS * 400)]
    fresh = least(200, lambda: authorise(made, others.pop()))
    for what, taken, goal, floor in (
        ("decisions under a grant in use", recalled, ">= 5,000/s", 2.0),
        ("decisions never asked before", fresh, ">= 5,000/s", 0.3),
    ):
        board.add(
            what,
            ours=f"{1 / taken:,.0f}/s of CPU",
            peer=f"the engine alone, {len(made.rules)} rules: {1 / bare:,.0f}/s",
            ratio=bare / taken,
            goal=goal,
            met=1 / taken >= 5_000,
            floor=floor,
        )


def test_explaining_refusals(board: Board) -> None:
    made = policy()
    numbers = itertools.count(1_000)
    question, entities = _translate(made, request(stage="embedding"))
    loaded = cedarpy.Entities.from_json_str(json.dumps(entities), schema=made.types)
    bare = least(300, lambda: cedarpy.is_authorized(question, made.policies, loaded, made.types))

    def refuse(**changes: str) -> None:
        with pytest.raises(DeniedError):
            authorise(made, request(stage="embedding", **changes))

    refuse()
    recalled = least(1_000, refuse)
    fresh = least(200, lambda: refuse(segment=f"team-{next(numbers)}"))
    for what, taken, goal, floor in (
        ("refusals explained before", recalled, ">= 2,000/s", 2.0),
        ("refusals never explained before", fresh, ">= 2,000/s", 0.2),
    ):
        board.add(
            what,
            ours=f"{1 / taken:,.0f}/s of CPU",
            peer=f"the engine alone, {len(made.rules)} rules: {1 / bare:,.0f}/s",
            ratio=bare / taken,
            goal=goal,
            met=1 / taken >= 2_000,
            floor=floor,
        )
