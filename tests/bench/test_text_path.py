"""The whole path of streams that carry text, against a pipeline of Presidio and Parquet, and against no privacy.

Ours is all of it: sandbox, minimisation, scan, pseudonyms, sealing, catalogue, ledger. The pipeline reads the same
columns, finds and replaces personal data, hashes names and writes Parquet: nothing is encrypted, logged or confined.
It is given the first rows alone, since it needs minutes for what we take in at once; a rate is rows by CPU-seconds.
Ours looks for patterns and planted classes; Presidio as it comes looks for names as well, so it is also run without.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.bench.board import SHORT, Board, sized
from tests.bench.path_desk import Bench, opened, rewrite
from tests.bench.peers import Absent, Peer
from tests.tagger_data import LISTS

from safehold.clock import SystemClock, day_of
from safehold.dlp.tagger.composer import Composer
from safehold.telemetry.schema import WIRE
from safehold.workforce import Spec, person_day

pytestmark = pytest.mark.bench
MESSAGES = sized(80_000, 200)
EVENTS = sized(300_000, 1_000)
PEOPLE = 40
STREAMS = ("chat",) if SHORT else ("chat", "ai", "key", "pointer")
PEER_ROWS = {
    "chat": sized(300, 5),
    "ai": sized(300, 5),
    "key": sized(30_000, 400),
    "pointer": EVENTS,
}
GOAL = 100.0
# of a pipeline with Presidio as it comes; of its patterns alone; of Parquet without privacy: about a third of what was measured
FLOORS = {
    "chat": (40.0, 3.0, 0.01),
    "ai": (40.0, 3.0, 0.01),
    "key": (5.0, 0.4, 0.05),
    "pointer": (0.1, 0.1, 0.09),
}
NAMES = ["person", "device", "session"]


def texts(count: int) -> list[str]:
    """Return messages, none like another; one in fifty has something to find."""
    composer, draw = Composer(LISTS, seed=3), np.random.default_rng(3)
    said = [composer.text().text for _ in range(sized(4_000, 60))]
    pairs = draw.integers(0, len(said), (count, 2)).tolist()
    made = [f"{said[one][:60]} {said[two][:40]} {at}" for at, (one, two) in enumerate(pairs)]
    for at in range(0, count, 50):
        made[at] += f" write to ann{at}@mail.example or call 415-555-{at % 10_000:04}"
    return made


def messages(stream: str, count: int) -> pa.Table:
    """Return a day of chat in public channels, or of what an assistant was asked."""
    day = day_of(SystemClock().now_us()) - 1
    at = np.arange(count)
    people = [f"{stream}{one}" for one in range(PEOPLE)]
    told = {
        "person": pa.array([people[one] for one in np.sort(at % PEOPLE)]),
        "device": pa.repeat("desk", count), "session": pa.array([f"s-{one}" for one in np.sort(at % PEOPLE)]),
        "seq": pa.array(at.astype(np.uint32)), "t": pa.array(day * 86_400_000_000 + at * 100_000),
        "mono": pa.array(at * 100_000), "app": pa.repeat(stream, count), "text": pa.array(texts(count)),
        "platform": pa.repeat("chat", count), "channel": pa.repeat("help-desk", count),
        "channel_kind": pa.repeat("channel", count), "msg": pa.array([f"{stream}-{one}" for one in at.tolist()]),
        "conversation": pa.array([f"c{one}" for one in (at // 10).tolist()]), "turn": pa.array((at % 10).astype(np.uint16)),
        "role": pa.repeat("user", count),
    }  # fmt: skip
    return pa.Table.from_arrays(
        [
            told[field.name].cast(field.type) if field.name in told else pa.nulls(count, field.type)
            for field in WIRE[stream]
        ],
        schema=WIRE[stream],
    )


def typed(stream: str) -> pa.Table:
    """Return events of a busy day of one person after another."""
    spec = Spec(
        people=4, days=1, start_day=day_of(SystemClock().now_us()) - 1, seed=5,
        pace=sized(90_000, 900),
    )  # fmt: skip
    days, made, rows = [person_day(spec, at, 0)[stream] for at in range(4)], [], 0
    while rows < EVENTS:
        table = days[len(made) % 4].slice(0, EVENTS - rows)
        name = pa.repeat(f"{stream[0]}{len(made)}", len(table))
        made.append(table.set_column(0, table.schema.field(0), name))
        rows += len(table)
    return pa.concat_tables(made)


def test_the_way_in_against_a_pipeline_of_others(board: Board, tmp_path: Path) -> None:
    peer: Peer | Absent
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(opened(tmp_path, level="L3"))
        try:
            peer = stack.enter_context(Peer("ingest_peers.py"))
        except Absent as absent:
            peer = absent
        for stream in STREAMS:
            table = messages(stream, MESSAGES) if stream in {"chat", "ai"} else typed(stream)
            file = tmp_path / f"{stream}.parquet"
            pq.write_table(table, file, compression="zstd")
            _compare(board, bench, peer, stream, file, table)


def _compare(
    board: Board, bench: Bench, peer: Peer | Absent, stream: str, file: Path, table: pa.Table
) -> None:
    keeper, sandbox, _ = bench.take(file)
    rate = len(table) / (keeper + sandbox)
    size = (
        sum(len(text.encode()) for text in table["text"].to_pylist()) / 1e6
        if "text" in table.schema.names
        else 0
    )
    mine = f"{rate:,.0f} rows/CPU-s" + (f", {size / (keeper + sandbox):.1f} MB" if size else "")
    what = f"whole path, {stream}, L3"
    full, pattern, bare = FLOORS[stream]
    few = file.with_suffix(".few")
    pq.write_table(table.slice(0, PEER_ROWS[stream]), few, compression="zstd")
    order = {
        "do": "run", "source": str(few), "target": str(file.with_suffix(".out")), "names": NAMES,
        "text": "text" if size else None, "join": stream == "key",
    }  # fmt: skip
    ways = [("Presidio 2.2 + Parquet", False, full)]
    if stream != "pointer":
        ways.append(("the same, patterns alone", True, pattern))
    else:
        ways = [("names hashed + Parquet", True, full)]
    for label, alone, floor in ways:
        goal = (
            f">= {GOAL:.0f} x"
            if size and not alone
            else "(none: other classes)"
            if size
            else "(none)"
        )
        try:
            if isinstance(peer, Absent):
                raise peer
            told = peer.ask(**order, pattern=alone)
        except Absent as absent:
            board.miss(what, ours=mine, peer=label, why=str(absent), goal=goal)
            continue
        theirs = told["rows"] / told["seconds"]
        board.add(
            what, ours=mine, peer=f"{label}: {theirs:,.0f}", ratio=rate / theirs, goal=goal,
            met=rate / theirs >= GOAL, floor=floor, rival=True,
        )  # fmt: skip
    plain = len(table) / rewrite(file)
    board.add(
        what, ours=mine, peer=f"no privacy, Parquet read and written: {plain:,.0f}", ratio=rate / plain,
        goal="(none)", met=True, floor=bare, rival=True,
    )  # fmt: skip
