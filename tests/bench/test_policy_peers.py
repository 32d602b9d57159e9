"""Decisions about the rules of the example charter: our engine against Rego and Casbin, which must agree first.

The policies of the others are made from ours (``policy_words``), so that all three decide the same. A request is one
that nobody decided before: what the product remembers is in ``test_access_speed``. CPU-seconds, the least of some turns.
"""

from __future__ import annotations

import random
import time
from typing import Any

import cedarpy
import orjson
import pytest
from tests import boardroom
from tests.bench.board import Board, sized
from tests.bench.peers import Absent, Peer
from tests.bench.policy_words import plain, policies, to_casbin, to_rego
from tests.requests_at_random import Draw

from safehold.charter import Policy

pytestmark = pytest.mark.bench
COUNT = sized(2_000, 60)  # requests on which all must agree
TIMED = sized(400, 20)
TURNS = sized(3, 1)
# below what was measured: Rego 2.0 and 2.9, Casbin 3.8 and 3.8 times slower, one by one and batched
FLOORS = {("rego", False): 1.2, ("rego", True): 1.5, ("casbin", False): 2.0, ("casbin", True): 2.0}
NAMES = {"rego": "Rego (rego-cpp 1.5.2)", "casbin": "Casbin 1.43"}


class Ours:
    """The engine as the product asks it: facts checked against the schema, reasons told."""

    def __init__(self, policy: Policy, draw: Draw, requests: list[dict[str, Any]]) -> None:
        known = {f'{one["uid"]["type"]}::"{one["uid"]["id"]}"': one for one in draw.entities}
        self.policy = policy
        self.near = [[known[one["principal"]], known[one["resource"]]] for one in requests]
        self.asked = [
            {
                "principal": one["principal"],
                "action": one["action"],
                "resource": one["resource"],
                "context": orjson.dumps(one["context"]).decode(),
            }
            for one in requests
        ]
        self.plain = [
            {
                "principal": {**plain(near[0]["attrs"]), "kind": near[0]["uid"]["type"]},
                "action": one["action"].partition('"')[2].rstrip('"'),
                "resource": plain(near[1]["attrs"]),
                "context": plain(one["context"]),
            }
            for one, near in zip(requests, self.near, strict=True)
        ]

    def one(self, at: int) -> bool:
        """Decide about one request."""
        text = orjson.dumps(self.near[at]).decode()
        entities = cedarpy.Entities.from_json_str(text, schema=self.policy.types)
        found = cedarpy.is_authorized(
            self.asked[at], self.policy.policies, entities, self.policy.types
        )
        return bool(found.allowed and not found.diagnostics.errors)

    def many(self, count: int) -> list[bool]:
        """Decide about the first so many at once."""
        text = orjson.dumps([entity for near in self.near[:count] for entity in near]).decode()
        entities = cedarpy.Entities.from_json_str(text, schema=self.policy.types)
        found = cedarpy.is_authorized_batch(
            self.asked[:count], self.policy.policies, entities, self.policy.types
        )
        return [bool(one.allowed and not one.diagnostics.errors) for one in found]


def _ours(ours: Ours, batch: bool) -> float:
    """Return the CPU-seconds of one go."""
    start = time.process_time()
    if batch:
        ours.many(TIMED)
    else:
        for at in range(TIMED):
            ours.one(at)
    return time.process_time() - start


def test_decisions_of_three_engines(board: Board) -> None:
    policy = boardroom.policy("example")
    draw = Draw(policy, policy, random.Random(5))
    ours = Ours(policy, draw, draw.requests(COUNT))
    decided = [ours.one(at) for at in range(COUNT)]
    assert ours.many(COUNT) == decided
    assert 0.1 < sum(decided) / COUNT < 0.9  # both answers are asked for
    best = {batch: min(_ours(ours, batch) for _ in range(TURNS)) for batch in (False, True)}
    found = policies(policy)
    for name, label in NAMES.items():
        try:
            with Peer("policy_peers.py") as peer:
                peer.ask(
                    do="load", rego=to_rego(found), rules=to_casbin(found), requests=ours.plain
                )
                theirs = peer.ask(do=name, batch=False, count=COUNT)
                assert theirs["allowed"] == decided, f"{name} does not decide the same"
                for batch in (False, True):
                    turns = []
                    for _ in range(TURNS):  # in turns, so that a busy moment meets both
                        best[batch] = min(
                            best[batch],
                            _ours(ours, batch),
                        )  # fmt: skip
                        turns.append(peer.ask(do=name, batch=batch, count=TIMED)["seconds"])
                    _row(board, label, batch, best[batch], min(turns), FLOORS[name, batch])
        except Absent as absent:
            for batch in (False, True):
                board.miss(
                    _what(batch), ours=f"{TIMED / best[batch]:,.0f}/s of CPU", peer=label,
                    why=str(absent), goal="above the peer",
                )  # fmt: skip
    board.note(
        f"decisions: all engines that are here agreed on {COUNT:,} requests, {sum(decided):,} of them allowed,"
        f" {len(found)} policies"
    )


def _what(batch: bool) -> str:
    return f"decisions never made before, {f'{TIMED} at once' if batch else 'one by one'}"


def _row(board: Board, label: str, batch: bool, ours: float, theirs: float, floor: float) -> None:
    board.add(
        _what(batch), ours=f"{TIMED / ours:,.0f}/s of CPU", peer=f"{label}: {TIMED / theirs:,.0f}/s",
        ratio=theirs / ours, goal="above the peer", met=ours < theirs, floor=floor, rival=True,
    )  # fmt: skip
