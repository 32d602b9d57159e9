"""The tagger: what it finds, where it says it is, and that a piece it does not read holds nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from safehold.dlp.classes import NAMES
from safehold.dlp.tagger import findings, tag_names
from safehold.dlp.tagger import tag as tagging
from safehold.dlp.tagger.chain import LONGEST, Odds, Pieces, cut_pieces, marginals
from safehold.dlp.tagger.token import cut_tokens

TEXTS = [
    ("Please ask Robert Smith about the invoice.", {"Robert Smith": "PERSON"}),
    ("hi, my name is maria gonzalez and i live in chicago", {"maria gonzalez": "PERSON", "chicago": "LOC"}),
    ("We moved the team from Paris to London.", {"Paris": "LOC", "London": "LOC"}),
    ("She worked at Microsoft before she joined Deutsche Bank.",
     {"Microsoft": "ORG", "Deutsche Bank": "ORG"}),
    ("Assignee: Priya Sharma", {"Priya Sharma": "PERSON"}),
]  # fmt: skip


def found(text, **more):
    names = tag_names(pa.array([text]), **more)
    return {
        text[a:b]: NAMES[kind]
        for a, b, kind in zip(names.start, names.end, names.kind, strict=True)
    }


@pytest.mark.parametrize(("text", "names"), TEXTS)
def test_names_are_found(text, names):
    assert names.items() <= found(text).items()


@pytest.mark.parametrize(
    "text",
    [
        "please review the report before lunch",
        "upgrade to 2.6.12-9 and run apt-get install foo",
        "kubectl get pods -n staging",
        "TODO: check the {} value",
        "12 34 56",
        "... !!! ???",
    ],
)
def test_there_is_nothing_to_find(text):
    assert not [kind for kind in found(text).values() if kind != "DATE"]


def test_places_are_those_of_the_text():
    texts = [
        "\U0001f600\u65e5 Ask Jos\u00e9 Garc\u00eda \u201cnow\u201d",
        None,
        "",
        "e\u0301 Ask Robert Smith",
    ]
    names = tag_names(pa.array(["Robert Smith", *texts, "x"]).slice(1, 4))
    assert set(names.row.tolist()) == {0, 3}
    for row, start, end, low, high in zip(
        names.row, names.start, names.end, names.byte_start, names.byte_end, strict=True
    ):
        assert texts[row][start:end] == texts[row].encode()[low:high].decode()
    assert texts[0][names.start[0] : names.end[0]] == "Jos\u00e9 Garc\u00eda"


def test_a_row_is_read_alone():
    texts = [text for text, _ in TEXTS] * 3 + ["", "\n\n", "Robert", "Smith said"]
    together = findings(texts)
    assert together == [findings([text])[0] for text in texts]
    chunked = tag_names(pa.chunked_array([texts[:4], texts[4:]]))
    assert chunked.start.tolist() == [span[0] for row in together for span in row]


def test_a_long_row_is_read_to_its_end(monkeypatch):
    monkeypatch.setattr(tagging, "BLOCK", 1_000)
    text = "caf\u00e9 please review the report. " * 200 + "Assignee: Priya Sharma"
    assert "Priya Sharma" in found(text)
    solid = "\u00e9" * 5_000  # no blank to cut at, and no cut inside a sign
    assert len(tag_names(pa.array([solid]))) <= 1


def test_labels_are_summed_over_all_paths():
    draw = np.random.default_rng(3)
    scores = draw.normal(size=(4, 3)).astype(np.float32)
    moves = draw.normal(size=(3, 3)).astype(np.float32)
    pieces = Pieces(np.array([0, 3]), np.array([3, 1]))
    likely, expected, total = marginals(scores, pieces, moves, expect=True)
    weights = {}
    for path in itertools.product(range(3), repeat=3):
        score = sum(scores[at, label] for at, label in enumerate(path))
        score += sum(moves[a, b] for a, b in itertools.pairwise(path))
        weights[path] = np.exp(score)
    whole = sum(weights.values())
    for at in range(3):
        for label in range(3):
            share = sum(w for path, w in weights.items() if path[at] == label) / whole
            assert likely[at, label] == pytest.approx(share, rel=1e-4)
    ones = sum(
        w * ((p[0], p[1]) == (1, 2)) + w * ((p[1], p[2]) == (1, 2)) for p, w in weights.items()
    )
    assert expected[1, 2] == pytest.approx(ones / whole, rel=1e-4)
    alone = float(np.log(np.exp(scores[3]).sum()))
    assert total == pytest.approx(np.log(whole) + alone, rel=1e-5)


def test_a_piece_that_is_not_read_holds_no_name():
    draw = np.random.default_rng(5)
    left_out = 0
    for _ in range(60):
        size = int(draw.integers(1, 40))
        scores = draw.normal(scale=2, size=(size, 5)).astype(np.float32)
        scores[:, 0] += draw.uniform(0, 14)
        moves = draw.normal(scale=1.5, size=(5, 5)).astype(np.float32)
        pieces = cut_pieces(np.sort(draw.integers(0, 6, size)))
        odds = Odds(size, moves)
        odds.add(0, scores[: size // 2])
        odds.add(size // 2, scores[size // 2 :])
        kept = odds.worth_reading(pieces, least=0.3)
        likely, _, _ = marginals(scores, pieces, moves)
        read = set(kept.start.tolist())
        for start, count in zip(pieces.start.tolist(), pieces.size.tolist(), strict=True):
            if start not in read:
                left_out += 1
                assert (1 - likely[start : start + count, 0]).max() < 0.3
    assert left_out > 20


def test_pieces_cover_every_token_once():
    row = np.repeat([0, -1, 1, 2, -1], [3, 2, 2 * LONGEST + 1, LONGEST, 2])
    pieces = cut_pieces(row)
    covered = np.concatenate(
        [np.arange(a, a + n) for a, n in zip(pieces.start, pieces.size, strict=True)]
    )
    assert sorted(covered.tolist()) == np.flatnonzero(row >= 0).tolist()
    assert pieces.size.max() <= LONGEST
    assert (np.diff(pieces.size) <= 0).all()


def test_tokens_put_together_are_the_text():
    texts = ["don't \u201cgo\u201d\u00a0to  caf\u00e9_3\n", "", None, "a@b.c"]
    tokens = cut_tokens(pa.array(texts, pa.large_string()))
    words = tokens.words.to_pylist()
    for number, row, start, end in zip(
        tokens.word, tokens.row, tokens.start, tokens.end, strict=True
    ):
        assert words[number] == (texts[row].encode()[start:end] if row >= 0 else b"")
    kept = b"".join(words[number] for number in tokens.word[tokens.row == 0])
    assert kept.decode() == texts[0].replace(" ", "").replace("\u00a0", "")
