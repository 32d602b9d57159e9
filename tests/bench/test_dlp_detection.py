"""Detection on one core against its peers, interleaved in one run.

The classes differ: DataFog's core knows 14 kinds, Presidio also finds names, which no rule of ours does.
"""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from tests.bench.board import cpu
from tests.detection import chat, corpus

from safehold.dlp.engine.tier import TIERS
from safehold.dlp.scan import find_spans
from safehold.dlp.tier import find_settled, tier_of

pytestmark = [pytest.mark.bench, pytest.mark.real]
PEERS = Path(sys.prefix) / "peers/bin/python"
TURNS = 3
# what is asserted: a ratio of this run that holds on a busy machine; the goals are printed
FLOORS = {"chat": 0.6, "dense": 0.05}
GOALS = {"chat": 100, "dense": 25}
MORE = {"chat": 1_000, "dense": 500}
SHORT = 31_000  # bytes Presidio and spaCy are given
LONGER = 200_000  # bytes the tier with names is given


class Peers:
    def __init__(self):
        self.process = subprocess.Popen(
            [PEERS, str(Path(__file__).with_name("dlp_peers.py"))], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip

    def seconds(self, peer, texts):
        self.process.stdin.write(json.dumps({"peer": peer, "texts": texts}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline()).get("seconds")

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


@pytest.fixture
def peers():
    if not PEERS.exists():
        pytest.skip("the peers are not installed: make bench")
    peers = Peers()
    yield peers
    peers.close()


def megabytes(texts):
    return sum(len(text.encode()) for text in texts) / 1e6


def first(texts, size):
    few, held = [], 0
    for text in texts:
        few.append(text)
        held += len(text.encode())
        if held >= size:
            break
    return few


@pytest.mark.parametrize("kind", ["chat", "dense"])
def test_detection_against_its_peers(board, shared_data, peers, kind):
    texts = chat(shared_data) if kind == "chat" else corpus(shared_data, "piianon_technology")
    array, size, few = pa.array(texts, pa.large_string()), megabytes(texts), first(texts, SHORT)
    some, names = first(texts, LONGER), tier_of("ner")
    find_settled(few, names)  # its model is read once
    best = {}
    for _ in range(TURNS):
        taken = {
            ("masked", tier): cpu(lambda tier=tier: find_spans(array, tier=tier), rounds=1) / size for tier in TIERS
        }  # fmt: skip
        taken["all rules", "default"] = cpu(lambda: find_spans(array, report=True), rounds=1) / size
        taken["names", "ner"] = cpu(lambda: find_settled(some, names), rounds=1) / megabytes(some)
        for peer, given in (("datafog", texts), ("presidio", few), ("spacy", few)):
            seconds = peers.seconds(peer, given)
            taken["peer", peer] = seconds and seconds / megabytes(given)
        for name, value in taken.items():
            best[name] = min(value or float("inf"), best.get(name, float("inf")))
    fog, slow = best["peer", "datafog"], best["peer", "presidio"]
    for name in (("masked", "default"), ("masked", "fast"), ("all rules", "default")):
        ours = 1 / best[name]
        board.add(
            f"detection, {kind}, {name[0]}, tier {name[1]}", ours=f"{ours:,.1f} MB/CPU-s",
            peer=f"datafog-core 0.4.4: {1 / fog:,.1f}", ratio=fog / best[name],
            goal=f">= {GOALS[kind]} MB/CPU-s, above the peer", met=ours >= GOALS[kind] and best[name] < fog,
            floor=FLOORS[kind] if name[0] == "masked" else FLOORS[kind] / 2,
        )  # fmt: skip
    if slow < float("inf"):
        for tier in TIERS:
            ours = best["masked", tier]
            board.add(
                f"detection, {kind}, pattern classes only, tier {tier}", ours=f"{1 / ours:,.1f} MB/CPU-s",
                peer=f"Presidio 2.2.366, small model: {1 / slow:.4f}", ratio=slow / ours,
                goal=f">= {MORE[kind]:,} x", met=slow / ours >= MORE[kind], floor=20,
            )  # fmt: skip
        ours = best["names", "ner"]
        for peer, other in (
            ("Presidio 2.2.366, small model", slow),
            ("spaCy 3.8.18, its names alone", best["peer", "spacy"]),
        ):
            board.add(
                f"detection, {kind}, tier ner", ours=f"{1 / ours:,.2f} MB/CPU-s", peer=f"{peer}: {1 / other:.4f}", ratio=other / ours,
                goal=">= 1 MB/CPU-s, >= 50 x Presidio", met=ours <= 1 and slow / ours >= 50, floor=5,
            )  # fmt: skip
