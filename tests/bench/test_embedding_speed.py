"""Vectors a CPU-second: the recipe's way from sealed text to sealed form, against plain numpy of the same embedder."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from tests.bench.board import Board, sized
from tests.embedding_desk import texts_of

from safehold.enclave.embedding.encoder import blur, shipped
from safehold.enclave.embedding.form import to_table
from safehold.enclave.embedding.text import WINDOW, cut_windows, own_texts, words_of

pytestmark = pytest.mark.bench

PEOPLE, ROUNDS = sized(40, 4), sized(3, 1)
NOISE = 0.4


def ours(texts: list[pa.Table], *, scan: bool = True) -> int:
    """Return how many vectors came of it; without the scan only what plain numpy does too."""
    known, count = shipped(), 0
    for table in texts:
        said = own_texts("chat", table) if scan else table["text"].combine_chunks()
        windows = cut_windows(known.code(words_of(said)), most=10**6)
        vectors = blur(known.embed(windows), noise=NOISE)
        count += to_table(np.zeros(len(vectors), np.uint8), vectors).num_rows
    return count


def plain(texts: list[list[str]]) -> int:
    """The same embedder as somebody would write it: a dictionary, a loop, and numpy."""
    known, count = shipped(), 0
    places = {word: at for at, word in enumerate(known.words.to_pylist())}
    rng = np.random.default_rng(0)
    for said in texts:
        codes = [
            places[word]
            for text in said
            for word in re.split(r"[^a-z0-9']+", text.lower())
            if word in places
        ]
        for start in range(0, len(codes) - WINDOW + 1, WINDOW):
            vector = known.table[codes[start : start + WINDOW]].sum(axis=0)
            vector = vector / np.linalg.norm(vector) + rng.normal(0, NOISE, len(vector))
            count += len(vector) > 0
    return count


def best(work: Callable[[], int]) -> tuple[float, int]:
    """Return CPU seconds of the best of some rounds, and what it counted."""
    taken = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        count = work()
        taken.append(time.process_time() - begun)
    return min(taken), count


def test_vectors_a_second(board: Board) -> None:
    said = [texts_of(number, chars=12_000)[0] for number in range(PEOPLE)]
    tables = [pa.table({"text": pa.array(one, pa.large_string())}) for one in said]
    ours(tables[:2])  # the rules are compiled once
    whole, count = best(lambda: ours(tables))
    bare, same = best(lambda: ours(tables, scan=False))
    peer, peers = best(lambda: plain(said))
    assert count <= same == peers
    for what, made, spent, floor in (
        ("with the scan", count, whole, 0.05),
        ("without the scan", same, bare, 0.66),
    ):
        board.add(
            f"embeddings, {what}",
            ours=f"{made / spent:,.0f} vectors/CPU-s",
            peer=f"plain numpy, no scan: {peers / peer:,.0f}",
            ratio=peer / spent,
            goal="(none: it scans)" if what == "with the scan" else ">= 0.67 x",
            met=peer / spent >= 0.67,
            floor=floor,
            rival=True,
        )
