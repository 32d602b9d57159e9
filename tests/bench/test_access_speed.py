"""Capabilities, decisions and refusals against the bare primitives in the same run.

CPU time of this process, the least of some rounds. Rates are goals for an idle core and are printed; asserted are
ratios. A decision that asks another thing than every earlier one is decided anew, at the engine's rate; who asks, and
under which grant, makes no other thing of it. All three are shown.
"""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import cedarpy
import pytest
from tests import boardroom
from tests.bench.board import Board, cpu, sized
from tests.boardroom import HOLDER, MESSAGE, NONCE, claims, policy, present, request, token

from safehold.access import AccessRequest, attenuate, authorise
from safehold.access.policy import _decide, _translate
from safehold.access.proof import POP_DOMAIN, Holder, proof_message
from safehold.errors import DeniedError
from safehold.signing import SigningKey, VerifyKey

pytestmark = pytest.mark.bench

ROUNDS = sized(5, 1)


def least(count: int, act) -> float:
    """Return CPU-seconds of one call: the least of some rounds."""
    count = sized(count, 5)

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
    others = iter([_other(SigningKey.generate().public) for _ in range(ROUNDS * 3 * 200)])
    first = least(200, lambda: authorise(made, next(others)))
    fresh = least(200, lambda: _decide(made, asked, *_translate(made, asked)))
    for what, taken, goal, floor in (
        ("decisions under a grant in use", recalled, ">= 5,000/s", 2.0),
        ("decisions, each under another grant", first, ">= 5,000/s", 2.0),
        ("decisions of a kind never asked for", fresh, "(none: the engine's own)", 0.4),
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

    def refuse(**changes: object) -> None:
        with pytest.raises(DeniedError):
            authorise(made, request(stage="embedding", **changes))

    refuse()
    recalled = least(1_000, refuse)
    first = least(200, lambda: refuse(segment=f"team-{next(numbers)}"))
    asked = request(stage="embedding")

    def refuse_anew() -> None:
        with pytest.raises(DeniedError):
            _decide(made, asked, *_translate(made, asked))

    fresh = least(200, refuse_anew)
    for what, taken, goal, floor in (
        ("refusals explained before", recalled, ">= 2,000/s", 2.0),
        ("refusals, each in another segment", first, ">= 2,000/s", 2.0),
        ("refusals of a kind never explained", fresh, "(none: the engine's own)", 0.4),
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
