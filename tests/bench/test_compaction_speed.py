"""Ten thousand micro-blocks before and after they are joined: scan, one column, size, objects; and what joining costs.

Through a real keeper's register, ledger and vault. All ratios are of CPU-seconds of one process in one run.
"""

from __future__ import annotations

import random
import time

import numpy as np
import pyarrow as pa
import pytest
from tests.bench.board import BOARD
from tests.compaction_desk import on_disk
from tests.keeper_desk import Bench, found_bench, rest_table

from safehold.catalog.register import LIVE, TELEMETRY
from safehold.catalog.tier import CLOSED, LEAST, TARGET, choose
from safehold.keeper.terms import label_of
from safehold.telemetry.stream import segment_name
from safehold.vault import PlainBlock, durable

pytestmark = pytest.mark.bench

PEOPLE = 400
HOURS = 25  # micro-blocks of one person's day
ROWS = 300
MONTH = 30


def _hour(draw: np.random.Generator, hour: int) -> pa.Table:
    """Rows of a pointer as they come: numbers that grow, places that wander."""
    table = rest_table("pointer", ROWS)
    steps = np.cumsum(draw.integers(20_000, 400_000, ROWS))
    columns = {
        "seq": np.arange(hour * ROWS, (hour + 1) * ROWS, dtype=np.uint32),
        "t": steps + hour * 3_600_000_000,
        "mono": steps,
        "x": np.clip(np.cumsum(draw.integers(-9, 10, ROWS)) + 900, 0, 1919).astype(np.int16),
        "y": np.clip(np.cumsum(draw.integers(-9, 10, ROWS)) + 500, 0, 1079).astype(np.int16),
        "kind": draw.integers(0, 4, ROWS).astype(np.uint8),
    }
    for name, values in columns.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(
            at, table.schema.field(at), pa.array(values).cast(table.schema.field(at).type)
        )
    return table


def _fill(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> int:
    """Let ten thousand micro-blocks rest, each in an object of its own; return their Arrow bytes."""
    monkeypatch.setattr(durable, "sync", lambda _path: None)  # a disk would take minutes for them
    desk = bench.desk
    place = desk.people.standing(desk.people.find("p000")).jurisdiction
    segment = segment_name(place, "pointer")
    window = bench.today - 1
    label = label_of(desk.trust.charter(), "pointer", jurisdiction=place, window=window)
    draw, size = np.random.default_rng(1), 0
    rows = desk.catalog._rows
    for hour in range(HOURS):
        table = _hour(draw, hour)
        size += table.nbytes * PEOPLE
        objects = [
            desk.vault.seal(
                [
                    PlainBlock(
                        person=desk.people.find(f"p{one:03}"),
                        stream="pointer",
                        window=window,
                        label=label,
                        table=table,
                    )
                ],
                segment=segment,
            )
            for one in range(PEOPLE)
        ]
        with desk.engine.begin() as connection:
            for number, item in enumerate(objects):
                source = f"{hour:02}{number:06}"
                rows.insert(connection, source, [item], kind=TELEMETRY, state=LIVE)
    return size


def _scan(bench: Bench, columns: list[str] | None = None) -> tuple[float, int]:
    """Return the least CPU-seconds of three scans, and the rows."""
    best = float("inf")
    for _ in range(3):
        blocks = bench.desk.catalog.blocks(kind=TELEMETRY, streams=["pointer"], after_day=0)
        began = time.process_time()
        rows = sum(len(table) for _, table in bench.desk.vault.read(blocks, columns=columns))
        best = min(best, time.process_time() - began)
    return best, rows


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    people = [f"p{one:03}" for one in range(PEOPLE)]
    return found_bench(tmp_path_factory.mktemp("bench"), people=people).start()


def test_ten_thousand_micro_blocks(bench: Bench) -> None:
    with pytest.MonkeyPatch.context() as patched:
        size = _fill(bench, patched)
    plan = time.process_time()
    planned = bench.call("dataset.compact", dry_run=True)
    plan = time.process_time() - plan
    whole, rows = _scan(bench)
    column, _ = _scan(bench, ["x"])
    began = time.process_time()
    answer = bench.call("dataset.compact")
    cost = time.process_time() - began
    bench.verbs.compaction.tidy(alone=True)
    after, rows_after = _scan(bench)
    column_after, _ = _scan(bench, ["x"])
    assert rows_after == rows == PEOPLE * HOURS * ROWS
    old, new = answer["before"], answer["after"]
    assert len(on_disk(bench)) == new["objects"]
    mb = answer["bytes"] / 1e6
    BOARD.add(
        "scan 10^4 micro-blocks, joined", ours=f"{after:.2f} s", peer=f"{whole:.2f} s as they came",
        ratio=whole / after, goal=">= 3 x", met=whole / after >= 3, floor=2.0,
    )  # fmt: skip
    BOARD.add(
        "one column of them, joined", ours=f"{column_after:.2f} s",
        peer=f"{column:.2f} s as they came", ratio=column / column_after, goal=">= 5 x",
        met=column / column_after >= 5, floor=3.0,
    )  # fmt: skip
    BOARD.add(
        "bytes at rest, joined", ours=f"{new['bytes'] / 1e6:.1f} MB",
        peer=f"{old['bytes'] / 1e6:.1f} MB as they came", ratio=new["bytes"] / old["bytes"],
        goal="<= 0.9 x", met=new["bytes"] / old["bytes"] <= 0.9, most=1.0,
    )  # fmt: skip
    BOARD.add(
        "objects, joined", ours=f"{new['objects']}", peer=f"{old['objects']} as they came",
        ratio=new["objects"] / old["objects"], goal="<= 0.01 x",
        met=new["objects"] / old["objects"] <= 0.01, most=0.01,
    )  # fmt: skip
    saved = whole - after
    BOARD.add(
        "joining pays for itself after", ours=f"{cost:.2f} s once",
        peer=f"{saved:.2f} s saved by each scan", ratio=cost / saved, goal="<= 10 scans",
        met=cost / saved <= 10, most=10,
    )  # fmt: skip
    BOARD.note(
        f"joining {answer['blocks']} blocks into {answer['into']}: {cost / mb:.3f} CPU-s a sealed MB,"
        f" {cost / answer['blocks'] * 1e6:.0f} us a block ({planned['runs']} runs;"
        f" choosing alone {plan:.2f} s); {size / 1e6:.0f} MB of Arrow"
    )
    bench.stop()


@pytest.mark.parametrize(("hour", "arrivals"), [(11_000, 24), (11_000, 96), (1_500, 288)])
def test_what_a_month_of_arrivals_writes_again(hour: int, arrivals: int) -> None:
    """Blocks come through the day, more or less large; a turn comes after each, and after each day."""
    draw = random.Random(5)
    came = written = left = blocks_left = 0
    for _ in range(MONTH):
        blocks: list[int] = []
        for number in range(arrivals + 3):
            closed = number >= arrivals  # and some come late
            size = int(hour * draw.uniform(0.3, 1.7))
            came += size
            blocks.append(size)
            for one in sorted(choose(blocks, closed=closed), key=lambda found: -found.start):
                joined = sum(blocks[place] for place in one)
                written += joined
                blocks[one.start : one.stop] = [joined]
        left += sum(size for size in blocks if size < LEAST)
        blocks_left += len(blocks)
    ratio = written / came
    BOARD.add(
        f"written again, {arrivals} blocks of {hour / 1000:g} KB a day", ours=f"{written / 1e6:.0f} MB",
        peer=f"{came / 1e6:.0f} MB came in a month", ratio=ratio, goal="<= 4 x", met=ratio <= 4,
        most=4,
    )  # fmt: skip
    BOARD.note(
        f"{blocks_left / MONTH:.1f} blocks a day are left; {left / came:.1%} of the bytes lie in blocks"
        f" below {LEAST // 1000} KB (bound for one row: {np.ceil(np.log(TARGET / hour) / np.log(CLOSED)):.0f})"
    )
