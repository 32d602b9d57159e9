"""The same rows give the same frames whatever format they come in, and chunks lose nothing."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ingest_job import (
    NOW_US,
    as_csv,
    as_jsonl,
    as_parquet,
    run_bytes,
    wire_table,
)

from safehold.ingest.chunk import cut_chunks
from safehold.ingest.limits import Limits
from safehold.ingest.source.table import Batch

WORDS = st.text(
    st.characters(exclude_categories=("Cs",), exclude_characters="\0\r"), min_size=1, max_size=12
)


@st.composite
def chats(draw: st.DrawFn) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for person in draw(st.lists(st.sampled_from(["ann", "bob"]), min_size=1, max_size=8)):
        mono = len(rows) * 1_000_000
        rows.append(
            {
                "person": person, "device": "d", "session": f"s-{person}", "seq": len(rows),
                "t": NOW_US - 3_600_000_000 + mono, "mono": mono,
                "platform": draw(st.sampled_from(["slack", None])),
                "channel": draw(st.sampled_from(["general", "help"])), "channel_kind": "channel",
                "msg": f"m{len(rows)}", "participants": ["ann", "bob"], "text": draw(WORDS),
                "attachments": draw(st.integers(0, 255)),
            }
        )  # fmt: skip
    return rows


@settings(max_examples=20, deadline=None)
@given(rows=chats())
def test_formats_are_equivalent(rows: list[dict[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        runs = [
            run_bytes(as_parquet(wire_table("chat", rows)), "a.parquet", path),
            run_bytes(as_jsonl(rows), "a.jsonl", path),
            run_bytes(as_csv(rows), "a.csv", path),
        ]
    first, *others = [run.all for run in runs]
    for other in others:
        assert other == first


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=20),
    batch=st.integers(1, 50),
    size=st.integers(2, 60),
    most=st.integers(1, 12),
    mixed=st.booleans(),
)
def test_chunks_hold_every_row_once_whatever_the_batches(
    lengths: list[int], batch: int, size: int, most: int, mixed: bool
) -> None:
    session = np.repeat(np.arange(len(lengths)), lengths)
    if mixed:  # sessions that go on side by side
        session = np.sort(session.reshape(-1) * 7 % len(lengths) * 31 % 5)[::-1] + session % 3
    # two columns tell them apart, and one of them has holes
    who = pa.array([None if one % 4 == 3 else f"s{one % 4}" for one in session.tolist()])
    table = pa.table({"s": session // 4, "who": who, "t": np.arange(len(session))})
    limits = Limits(chunk_rows=size, chunk_sessions=most)

    def read(step: int) -> list[list[int]]:
        batches = (
            Batch(
                table.slice(start, step),
                np.arange(start, min(start + step, len(table))),
                min(step, len(table) - start),
                [],
            )
            for start in range(0, len(table), step)
        )
        chunks = list(cut_chunks(batches, session=["s", "who"], pause="t", limits=limits))
        for chunk in chunks:
            held = chunk.table.select(["s", "who"]).to_pylist()
            assert len({(row["s"], row["who"]) for row in held}) <= most
        assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
        assert sum(chunk.read for chunk in chunks) == len(table)
        assert all(len(chunk.table) == len(chunk.rows) <= size for chunk in chunks)
        return [chunk.table.column("t").to_pylist() for chunk in chunks]

    whole = read(batch)
    assert [row for chunk in whole for row in chunk] == list(range(len(table)))
    assert whole == read(len(table))
