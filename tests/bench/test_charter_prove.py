"""The prover on the charters: each red line against its limit, and the whole against enumeration in the same run."""

from __future__ import annotations

import pytest
from tests import boardroom
from tests.bench.board import Board, cpu

from safehold import charter as charters
from safehold.charter.prove.proof import Prover

LIMIT_S = 1.0


@pytest.mark.bench
def test_proof_of_the_example(board: Board) -> None:
    made = boardroom.policy("example")

    def whole(*, thorough: bool):
        return Prover(made.charter, made.cedar, made.schema).run(thorough=thorough)

    whole(thorough=False)  # loads z3
    apart, together, tried = [], [], []
    for _ in range(3):  # interleaved, so that a busy machine slows all
        apart.append(whole(thorough=True))
        together.append(cpu(lambda: whole(thorough=False), rounds=1))
        tried.append(cpu(lambda: charters.examine(made), rounds=1))
    lines = [
        {one.id: one.cpu_ms or 0 for one in proof.held if one.id.startswith("red_line.")}
        for proof in apart
    ]
    slowest = min(max(one.values()) for one in lines) / 1000
    enumeration = min(tried)
    board.add(
        "proof of the slowest red line of the example",
        ours=f"{slowest:.3f} CPU-s",
        peer=f"all promises by enumeration: {enumeration:.2f}",
        ratio=slowest / enumeration,
        goal="< 1 s each",
        met=slowest < LIMIT_S,
        most=0.5,
    )
    board.add(
        "proof of the example, as a keeper starts",
        ours=f"{min(together):.2f} CPU-s, {len(apart[0].held)} promises",
        peer=f"all promises by enumeration: {enumeration:.2f}",
        ratio=min(together) / enumeration,
        goal="<= 1 s in all",
        met=min(together) <= 1,
        most=1.0,
    )
    everything = min(proof.cpu_ms for proof in apart) / 1000
    board.add(
        "proof of the example, promise by promise",
        ours=f"{everything:.2f} CPU-s with dead permits",
        peer=f"all promises by enumeration: {enumeration:.2f}",
        ratio=everything / enumeration,
        goal="(none)",
        met=True,
        most=2.0,
    )
