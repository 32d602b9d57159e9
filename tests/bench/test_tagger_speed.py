"""The tagger of names: speed, linear time, and quality on text it was not trained on, beside its peers."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pyarrow as pa
import pytest
from tests.bench.board import PLAIN, cpu, plain_pass
from tests.tagger_data import LISTS

from safehold.dlp.classes import NAMES
from safehold.dlp.roster import Roster
from safehold.dlp.tagger import tag_names
from safehold.dlp.tagger.composer import Composer
from safehold.dlp.tagger.labelled import class_of

pytestmark = pytest.mark.bench
KINDS = ("PERSON", "LOC", "ORG")
Spans = list[tuple[int, int, str]]


def chat(count: int) -> list[str]:
    composer = Composer(LISTS, seed=11)
    return [composer.text().text for _ in range(count)]


def size_of(texts: list[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def tagged(texts: list[str], model=None) -> list[Spans]:
    names = tag_names(pa.array(texts), model=model)
    found: list[Spans] = [[] for _ in texts]
    columns = (names.row, names.start, names.end, names.kind)
    for row, start, end, kind in zip(*(each.tolist() for each in columns), strict=True):
        found[row].append((start, end, NAMES[kind]))
    return found


def f2(gold: list[Spans], told: list[Spans]) -> float:
    """F2 over all classes; a span counts when half of it lies in spans of its class."""
    hits = golds = right = given = 0
    for one, two in zip(gold, told, strict=True):
        for kind in KINDS:
            mine = {at for a, b, name in two if name == kind for at in range(a, b)}
            true = {at for a, b, name in one if name == kind for at in range(a, b)}
            for spans, other, is_gold in ((one, mine, True), (two, true, False)):
                for a, b, name in spans:
                    if name != kind:
                        continue
                    hit = 2 * len(other.intersection(range(a, b))) >= b - a
                    if is_gold:
                        golds, hits = golds + 1, hits + hit
                    else:
                        given, right = given + 1, right + hit
    recall, precision = hits / max(golds, 1), right / max(given, 1)
    return 5 * precision * recall / max(4 * precision + recall, 1e-9)


def corpus(path: Path, most: int) -> tuple[list[str], list[Spans]]:
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()[:most]]
    gold = [
        [(a, b, kind) for a, b, label in row["spans"] if (kind := class_of(label)) in KINDS]
        for row in rows
    ]
    return [row["text"] for row in rows], gold


def test_tagger_per_second(board):
    texts = chat(6_000)
    array, amount = pa.array(texts), size_of(texts)
    ours, peer = cpu(lambda: tag_names(array)), plain_pass(pa.table({"text": array}))
    board.add(
        "names by the tagger, composed text",
        ours=f"{amount / ours:.2f} MB/CPU-s",
        peer=f"{PLAIN}: {amount / peer:,.0f}",
        ratio=peer / ours,
        goal=">= 1 MB/CPU-s",
        met=amount / ours >= 1,
        floor=0.0002,
    )


def test_roster_per_second(board):
    composer = Composer(LISTS, seed=12)
    people = [{"given": composer.first(), "family": composer.last()} for _ in range(1_500)]
    roster, texts = Roster(people), chat(6_000)
    array, amount = pa.array(texts), size_of(texts)
    ours, peer = cpu(lambda: roster.find(array)), plain_pass(pa.table({"text": array}))
    board.add(
        "a roster of 1,500 people, text full of its names",
        ours=f"{amount / ours:.2f} MB/CPU-s",
        peer=f"{PLAIN}: {amount / peer:,.0f}",
        ratio=peer / ours,
        goal="(none)",
        met=True,
        floor=0.0001,
    )


@pytest.mark.parametrize("kind", ["one word", "capitals", "signs", "new words", "one line"])
def test_time_is_linear(board, kind):
    def made(size: int) -> pa.Array:
        unit = {
            "one word": "a", "capitals": "Ab ", "signs": "@.'-/", "one line": "Ask Robert Smith and ",
        }.get(kind)  # fmt: skip
        if unit is None:
            text = " ".join(f"W{at:x}" for at in range(size // 6))
        else:
            text = unit * (size // len(unit))
        return pa.array([text])

    small, large = made(1_000_000), made(8_000_000)
    one, many = cpu(lambda: tag_names(small)), cpu(lambda: tag_names(large))
    board.add(
        f"names in adversarial text: {kind}",
        ours=f"8 x the text: {many / one:.1f} x the time",
        peer="linear: 8 x",
        ratio=many / one / 8,
        goal="linear",
        met=many / one < 12,
        most=3.0,
    )


def test_against_presidio_on_real_text_it_was_not_trained_on(board, shared_data):
    """wnut17 (real tweets): the tagger is trained here without it; Presidio as it comes, small model."""
    if find_spec("presidio_analyzer") is None or find_spec("faker") is None:
        pytest.skip("needs Presidio with a model, and safehold[ner]")
    from safehold.dlp.presidio import findings, load_analyzer
    from safehold.dlp.tagger.lists import load_lists
    from safehold.dlp.tagger.train import Recipe, gather_texts, lists_gazetteer, train_model

    folder = shared_data / "dlp"
    texts, gold = corpus(folder / "wnut17_train.jsonl", 600)
    lists, recipe = load_lists(), Recipe(composed=8_000, rounds=3)
    made, _ = gather_texts(folder, lists, recipe, without=["wnut17_train"])
    model = train_model(made, lists_gazetteer(lists), recipe, about={})
    load_analyzer()
    for name, change in (("", str), (", small letters", str.lower)):
        part = [change(text) for text in texts]
        here = [at for at, text in enumerate(part) if len(text) == len(texts[at])]
        part, true = [part[at] for at in here], [gold[at] for at in here]
        theirs: list[list] = []
        slow = cpu(lambda part=part, theirs=theirs: theirs.append(findings(part)), rounds=1)
        fast = cpu(lambda part=part: tag_names(pa.array(part), model=model))
        mine = f2(true, tagged(part, model))
        other = f2(true, [[span[:3] for span in row] for row in theirs[0]])
        board.add(
            f"names in real tweets, unseen{name}: F2",
            ours=f"{mine:.3f}",
            peer=f"Presidio, small model: {other:.3f}",
            ratio=mine / other,
            goal="above Presidio",
            met=mine > other,
            floor=1.0,
        )
        board.add(
            f"names in real tweets{name}: speed",
            ours=f"{size_of(part) / fast:.2f} MB/CPU-s",
            peer=f"Presidio analyze(): {size_of(part) / slow:.4f}",
            ratio=slow / fast,
            goal=">= 50 x",
            met=slow / fast >= 50,
            floor=20,
        )
