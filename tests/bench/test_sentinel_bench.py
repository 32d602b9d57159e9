"""The sentinel against its rivals, by one rule, on a log that another hand wrote; see ``sentinel_score``.

The short form takes one seed; the long one five that nobody looked at while the sentinel was made, under ``proof``.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from tests.bench.sentinel_run import (
    LEARN_DAYS,
    OURS,
    PEERS,
    RIVALS,
    compare,
    make_log,
    replay,
    run_ours,
)
from tests.bench.sentinel_score import KINDS, Score, moment, read

SEED = 7
KEPT = (841, 842, 843, 844, 845)
KEPT_OF_OTHERS = {
    "bed": (521, 522, 523, 524, 525),
    "loom": (121, 122, 123, 124, 125),
    "mill": (521, 522, 523, 524, 525),
    "port": (31, 32, 33, 34, 35),
    "ward": (321, 322, 323, 324, 325),
}
BUDGET = 2.0
GOAL = 0.9


def best_of(scores: dict[tuple[str, str, float], Score], peer: str) -> tuple[str, float, Score]:
    """The most that a rival finds while it raises no more false alerts than twice the budget."""
    mine = [
        (columns, budget, score) for (name, columns, budget), score in scores.items()
        if name == peer and score.false_a_day <= 2 * BUDGET
    ]  # fmt: skip
    return max(mine, key=lambda one: (one[2].recall, -one[2].false_a_day))


def tell(board, scores, title: str, floor: float) -> None:
    ours = scores[OURS, "", BUDGET]
    for peer in RIVALS:
        columns, _, other = best_of(scores, peer)
        board.add(
            f"{title}, against {peer}",
            ours=f"{len(ours.found)}/{sum(ours.total.values())} at {ours.false_a_day:.1f} false a day",
            peer=f"{columns}: {len(other.found)} at {other.false_a_day:.1f}",
            ratio=ours.recall / max(other.recall, 0.01), goal=">= 90 % at <= 2 a day",
            met=ours.recall >= GOAL and ours.false_a_day <= BUDGET, floor=floor, rival=True,
        )  # fmt: skip
        board.add(
            f"events judged, against {peer}", ours=f"{ours.rate:,.0f} events/CPU-s, the command",
            peer=f"{columns}: {other.rate:,.0f}", ratio=ours.rate / other.rate, goal=">= 1 x",
            met=ours.rate >= other.rate, floor=0.3, rival=True,
        )  # fmt: skip
    kinds = ours.by_kind()
    board.note(
        "by kind: " + ", ".join(f"{kind} {kinds[kind]}/{ours.total[kind]}" for kind in KINDS)
    )
    late = {kind: ours.delay(kind) for kind in KINDS}
    board.note("median delay: " + ", ".join(f"{kind} {late[kind]:,.0f} s" for kind in KINDS))
    quick = [
        sum(one.event <= 2 for one in ours.found if one.kind == kind)
        for kind in ("export", "join", "artifact")
    ]
    board.note(
        f"by the second event: export, join, artifact {quick}; the command: {ours.rate:,.0f} events/CPU-s"
    )
    if into := os.environ.get("SAFEHOLD_SENTINEL_OUT"):
        rows = [{"method": list(name), **score.row()} for name, score in scores.items()]
        Path(into).write_text(json.dumps(rows, indent=1))


@pytest.mark.bench
def test_the_sentinel_finds_more_than_its_rivals_at_the_same_cost(board, tmp_path):
    if not PEERS.exists():
        pytest.skip("the peers are not installed: make bench")
    # ours at the one budget, rivals with the columns that serve them best: all of it is under ``proof``
    found = compare((SEED,), tmp_path, budgets=(BUDGET,), sets=("features",))
    tell(board, found, "attacks found, one log", floor=1.0)


@pytest.mark.proof
def test_the_sentinel_finds_more_than_its_rivals_on_logs_that_were_kept_back(tmp_path):
    if not PEERS.exists():
        pytest.skip("the peers are not installed: make bench")
    from tests.bench.board import BOARD

    tell(BOARD, compare(KEPT, tmp_path), "attacks found, five logs kept back", floor=1.2)


@pytest.mark.proof
@pytest.mark.parametrize("author", sorted(KEPT_OF_OTHERS))
def test_logs_by_further_authors_that_were_kept_back(tmp_path, author):
    """Less is found there than on the first author's logs, and more than the best rival finds at the same cost."""
    if not PEERS.exists():
        pytest.skip("the peers are not installed: make bench")
    from tests.bench.board import BOARD

    seeds = KEPT_OF_OTHERS[author]
    found = compare(seeds, tmp_path, budgets=(BUDGET,), sets=("features",), author=author)
    tell(BOARD, found, f"attacks found, five logs by the author of {author!r}", floor=1.2)


@pytest.mark.bench
def test_the_command_keeps_up(board, tmp_path):
    log = make_log(SEED, tmp_path)
    score = run_ours(log, (BUDGET,))[OURS, "", BUDGET]
    board.add(
        "replay of a log, start included", ours=f"{score.rate:,.0f} events/CPU-s", peer="a limit: 20,000",
        ratio=score.rate / 20_000, goal=">= 20,000 events/CPU-s", met=score.rate >= 20_000, floor=0.25,
    )  # fmt: skip


@pytest.mark.proof
@pytest.mark.parametrize("manner", ["self", "one", "many"])
def test_a_million_ordinary_events_around_it_do_not_hide_an_attack(tmp_path, manner):
    from tests.access_world import live
    from tests.access_world.__main__ import write
    from tests.access_world.flood import around

    world = live(SEED, learn_days=LEARN_DAYS)
    write(world, tmp_path / "dry")
    found = run_ours(tmp_path / "dry", (BUDGET,))[OURS, "", BUDGET].found
    told = {(one.kind, one.variant) for one in found}
    wanted = [
        ("export", "stranger"),
        ("artifact", "stranger"),
        ("first_time", "bare"),
        ("runaway", "hammer"),
        ("artifact", "job"),
    ]
    number = next(
        place for kind in wanted for place, one in enumerate(world.attacks)
        if (one.kind, one.variant) == kind and kind in told
    )  # fmt: skip
    write(world, tmp_path / "wet", around(world, SEED, number, manner))
    alerts, _ = replay(tmp_path / "wet", BUDGET)
    attack = read(tmp_path / "wet" / "truth.jsonl")[number]
    lines = set(attack["lines"])
    assert any(
        one["principal"] == attack["principal"]
        and lines & set(one["events"])
        and moment(attack["from"]) <= moment(one["t"]) <= moment(attack["to"])
        for one in alerts
    )
