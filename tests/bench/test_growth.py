"""How each part grows with its work: ten and a hundred times as much, and the exponent that fits.

One is linear, zero does not grow. What is paid once (a start, a compilation) makes small sizes dear and the exponent small,
so the slope between the two largest sizes is what is judged. ``docs/draw_growth.py`` draws it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from tests import boardroom
from tests.access_days import days_of
from tests.bench.board import Board, sized
from tests.bench.growth import Curve, measure
from tests.bench.miniwob import DEPTH, HASHED, MOST_EXAMPLES, MOST_WORDS
from tests.bench.training_curve import task_of
from tests.ledger_desk import Desk, intent
from tests.vaults import make_home, plain

import safehold_verify as verifier
from safehold.access.policy import _decide, _translate
from safehold.app.joining import rehearse
from safehold.catalog.algebra import Inherited, join
from safehold.clock import SystemClock
from safehold.dlp.scan import find_spans
from safehold.privacy.account import Plan
from safehold.privacy.training.action import make_slots
from safehold.privacy.training.course import Clip, Steps
from safehold.privacy.training.descent import train_private
from safehold.sentinel import Sentinel, Settings

pytestmark = pytest.mark.bench
Work = Callable[[], object]


def grown(board: Board, curve: Curve, most: float = 2.0) -> None:
    """Add a curve to the record, and its row; more than so many times linear fails."""
    board.curves.append(curve.to_json())
    (small, one), (_, ten), (large, hundred) = curve.points
    said = " / ".join(f"{spent * 1000:,.3g}" for spent in (one, ten, hundred))
    linear = curve.expected >= 1
    ratio = hundred / ten / 10 if linear else hundred / one
    board.add(
        f"growth: {curve.name}",
        ours=f"{said} CPU-ms",
        peer=f"{small:,} to {large:,} {curve.unit}: exponent {curve.exponent:.2f}, {curve.last:.2f} at the end",
        ratio=ratio,
        goal="10 x work <= 12 x time" if linear else "100 x work <= 3 x time",
        met=ratio <= (1.2 if linear else 3.0),
        most=most if linear else 8.0,
    )


def test_ledger(board: Board, tmp_path: Path) -> None:
    numbers = itertools.count()

    def filled(size: int) -> Desk:
        place = tmp_path / str(next(numbers))
        place.mkdir()
        desk = Desk(place, clock=SystemClock())
        entries = [intent(at, segment="eu.keys") for at in range(min(size, 1_000))]
        with desk.open() as ledger:
            for _ in range(max(1, size // len(entries))):
                ledger.append(entries)
            ledger.publish()
        return desk

    def appended(size: int) -> Work:
        place = tmp_path / str(next(numbers))
        place.mkdir()
        desk = Desk(place, clock=SystemClock())
        entries = [intent(at, segment="eu.keys") for at in range(min(size, 500))]

        def work() -> None:
            with desk.open() as ledger:
                for _ in range(max(1, size // len(entries))):
                    ledger.append(entries)

        return work

    def audited(size: int) -> Work:
        desk = filled(size)
        return lambda: verifier.verify_log(desk.directory, desk.policy, heads=[desk.head])

    def proved(size: int) -> Work:
        ledger = filled(size).open()
        ledgers.append(ledger)
        return lambda: [ledger.path(at * 7_919 % size, size) for at in range(50)]

    ledgers: list[object] = []
    base = sized(200, 5)
    grown(board, measure("ledger, appends", "entries", base, appended))
    grown(board, measure("ledger, offline audit", "entries", base, audited))
    grown(
        board,
        measure("ledger, 50 inclusion proofs", "entries in the log", base, proved, expected=0),
    )
    for ledger in ledgers:
        ledger.close()  # type: ignore[attr-defined]


def test_store(board: Board, tmp_path: Path) -> None:
    table = pa.table({"key": np.arange(300, dtype=np.int16), "dwell": np.ones(300, np.float32)})
    numbers = itertools.count()

    def made(size: int):  # type: ignore[no-untyped-def]
        place = tmp_path / str(next(numbers))
        place.mkdir()
        home = make_home(place)
        return home, [plain(f"psn_{at}", table=table) for at in range(size)]

    def sealed(size: int) -> Work:
        home, blocks = made(size)
        return lambda: home.vault.seal(blocks, segment="de")

    def read(size: int) -> Work:
        home, blocks = made(size)
        found = home.vault.seal(blocks, segment="de").blocks
        return lambda: sum(len(one) for _, one in home.vault.read(found))

    def one(size: int) -> Work:
        home, blocks = made(size)
        found = home.vault.seal(blocks, segment="de").blocks
        return lambda: [list(home.vault.read([found[size // 2]])) for _ in range(10)]

    base = sized(20, 1)
    grown(board, measure("store, sealing", "blocks", base, sealed))
    grown(board, measure("store, reading all", "blocks", base, read))
    grown(board, measure("store, one person ten times", "people", base, one, expected=0))


def test_detection(board: Board) -> None:
    line = (
        "write to ann@mail.example or call 415-555-1234 about the quarterly summary before lunch "
    )

    def scanned(size: int) -> Work:
        texts = pa.array([f"{line}{at}" for at in range(size)], pa.large_string())
        return lambda: find_spans(texts)

    find_spans(pa.array([line]))
    grown(board, measure("detection", "messages", sized(200, 5), scanned))


def test_decisions(board: Board) -> None:
    made = boardroom.policy()

    def decided(size: int) -> Work:
        asked = [boardroom.request(people=1_000 + at) for at in range(size)]
        return lambda: [_decide(made, one, *_translate(made, one)) for one in asked]

    grown(board, measure("decisions", "requests", sized(20, 1), decided))


def test_training(board: Board) -> None:
    draw = np.random.default_rng(1)

    def trained(size: int) -> Work:
        shape = (size, MOST_EXAMPLES)
        raw = {
            "past": draw.integers(0, 20, (*shape, DEPTH)).astype(np.int32),
            "words": draw.integers(0, HASHED, (*shape, MOST_WORDS)).astype(np.int32),
            "target": draw.integers(0, 20, shape).astype(np.int32),
            "weight": np.full(shape, 1 / MOST_EXAMPLES, np.float32),
        }
        people = make_slots(raw, np.ones(HASHED), task_of(20))
        plan = Plan(epsilon_micro=1, delta_e12=1, rounds=2, sampling_ppm=1_000_000, multiplier=1.0)
        return lambda: train_private(
            task_of(20).learner(), people, plan=plan, clip=Clip(bound=0.3), steps=Steps(rate=1.0)
        )

    grown(board, measure("training, two rounds", "people", sized(20, 1), trained))


def test_sentinel(board: Board) -> None:
    events = days_of("lab", 1, days=sized(12, 12), people=sized(100, 8), each=0).events
    base = len(events) // 100

    def watched(size: int) -> Work:
        def work() -> None:
            sentinel = Sentinel(Settings(learn_days=2))
            for event in events[:size]:
                sentinel.observe(event)

        return work

    grown(board, measure("sentinel", "events", base, watched))


def test_labels(board: Board) -> None:
    def joined(size: int) -> Work:
        some = [
            Inherited(
                people=frozenset(f"psn_{number:026}" for number in range(at, at + size)),
                streams=frozenset({"key"}), purposes=frozenset({"train"}), jurisdictions=frozenset({"DE"}),
                expires=20_000, first_day=19_000, last_day=19_500, sensitivity=1,
            )
            for at in range(3)
        ]  # fmt: skip
        return lambda: join(some)

    # sets of the smallest size lie in the processor's cache, and of the largest they do not: a name costs ten times as much
    grown(board, measure("labels joined", "people in each", sized(2_000, 10), joined), most=6.0)


def test_joins(board: Board) -> None:
    def summed(size: int) -> Work:
        def work() -> float:
            told = rehearse(
                people=size, common=size * 3 // 4, clamp=100, epsilon_micro=4_000_000, least=10
            )
            return float(sum(house["cpu_s"] for house in told["houses"]))

        return work

    grown(board, measure("psi-sum, both houses", "people in each", sized(60, 40), summed))
