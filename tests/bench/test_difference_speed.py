"""How long the keeper takes to decide whether an amendment is wider or narrower."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import boardroom
from tests.bench.board import Board, cpu

from safehold.charter import compile  # noqa: A004
from safehold.charter.difference import compare

pytestmark = pytest.mark.bench


def test_an_amendment_is_compared_in_the_time_of_a_few_compilations(board: Board):
    old = boardroom.charter("example")
    purpose = replace(old.purposes["train_ui_agent"], sources=("keys", "pointer", "focus"))
    grant = replace(old.who_may["data_scientist"].grant, approvers=3)
    new = replace(
        old,
        version=2,
        purposes={**old.purposes, "train_ui_agent": purpose},
        who_may={
            **old.who_may,
            "data_scientist": replace(old.who_may["data_scientist"], grant=grant),
        },
        red_lines=(
            *old.red_lines,
            replace(old.red_lines[0], id="more", forbid_terms=("analytics",)),
        ),
    )
    assert compare(old, new).direction == "narrow"
    ours = cpu(lambda: compare(old, new))
    peer = cpu(lambda: (compile(old), compile(new)))
    board.add(
        "difference of two charters",
        ours=f"{ours * 1000:,.0f} ms CPU",
        peer=f"both compiled: {peer * 1000:,.0f} ms CPU",
        ratio=ours / peer,
        goal="under 1 s",
        met=ours < 1,
        most=40,
    )
