"""Train a tagger: a linear chain over hashed features, in numpy, the same bytes for the same seed.

Classes a corpus is not labelled with are left open: a token that is not marked may be outside or of such a
class, and the likelihood sums over both.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.tagger.chain import Pieces, cut_pieces, marginals
from safehold.dlp.tagger.composer import Composer
from safehold.dlp.tagger.feature import (
    BITS,
    fold_words,
    hash_words,
    pair_hash,
    place_features,
    read_places,
    read_words,
    word_features,
)
from safehold.dlp.tagger.gazetteer import Gazetteer, build_gazetteer
from safehold.dlp.tagger.labelled import KINDS, Labelled, read_labelled
from safehold.dlp.tagger.lists import Lists, load_lists, own_lists
from safehold.dlp.tagger.model import LABELS, Model, pack_model
from safehold.dlp.tagger.token import MARGIN, cut_tokens
from safehold.dlp.trained import put_model
from safehold.errors import InvalidError

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
CORPORA: Final = (
    "presidio_generated_large",
    "presidio_synth_v2",
    "piianon_technology",
    "wnut17_train",
)
_NEVER: Final = np.float32(-30)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Args:
        seed: The same seed and data give the same model.
        composed: Texts the project makes up itself.
        most: Most texts taken from one corpus.
        rounds: Passes over all texts.
        batch: Tokens of a step, about.
        rate: Step length at the beginning.
        decay: Pull of every weight towards nothing, per step.
    """

    seed: int = 1
    composed: int = 24_000
    most: int = 3_500
    rounds: int = 4
    batch: int = 12_000
    rate: float = 0.15
    decay: float = 2e-6


@dataclass(frozen=True, slots=True)
class _Batch:
    features: npt.NDArray[np.int32]  # features x tokens
    allowed: npt.NDArray[np.bool_]  # tokens x labels
    pieces: Pieces


def lists_gazetteer(lists: Lists) -> Gazetteer:
    """Return the lists as hashes: single words, and pairs of words where a name has several."""
    own = own_lists()
    names = {
        "first": [name for part in lists.first.values() for name in part],
        "last": [name for part in lists.last.values() for name in part],
        "place": [*(name for name, _ in lists.cities), *lists.states, *own["regions"]],
        "country": lists.countries,
        "org": own["orgs"] + own["offices"],
        "tail": own["tails"] + own["place_tails"] + own["streets"] + own["place_heads"],
    }
    hashed = {name: _hashes(values) for name, values in names.items()}
    ranks = lists.rank_of()
    folded = hash_words(pa.array(list(ranks), pa.large_string()))
    return build_gazetteer(hashed, dict(zip(folded.tolist(), ranks.values(), strict=True)))


def _hashes(names: Iterable[str]) -> list[int]:
    tokens = cut_tokens(pa.array(sorted(set(names)), pa.large_string()))
    words = hash_words(fold_words(tokens.words.cast(pa.large_string())))[tokens.word]
    real = tokens.row >= 0
    same = real[1:] & real[:-1] & (tokens.row[1:] == tokens.row[:-1])
    alone = real.copy()
    alone[1:] &= ~same
    alone[:-1] &= ~same
    found = set(words[alone].tolist())
    found.update(pair_hash(words[:-1], words[1:])[same].tolist())
    return sorted(found)


def gather_texts(
    folder: Path | None, lists: Lists, recipe: Recipe, *, without: Iterable[str] = ()
) -> tuple[list[Labelled], dict[str, int]]:
    """Return the texts to train on, and how many each source gave.

    Args:
        folder: Where the corpora lie; those that are missing are left out.
        lists: What texts are made up from.
        recipe: How many, and the seed.
        without: Corpora to leave out.
    """
    draw = random.Random(recipe.seed)  # noqa: S311 - order of training texts
    composer = Composer(lists, seed=recipe.seed)
    texts = [composer.worn(composer.text()) for _ in range(recipe.composed)]
    counts = {"composed": len(texts)}
    for name in CORPORA:
        path = None if folder is None else folder / f"{name}.jsonl"
        if path is None or name in set(without) or not path.exists():
            continue
        rows = list(read_labelled(path))
        draw.shuffle(rows)
        rows = rows[: recipe.most]
        counts[name] = len(rows)
        texts += rows + [row.replaced(row.text.lower()) for row in rows if draw.random() < 0.4]
    draw.shuffle(texts)
    return texts, counts


def _allowed(texts: Sequence[Labelled], tokens: Any) -> npt.NDArray[np.bool_]:
    """Return which labels each token may have."""
    size = len(tokens)
    allowed = np.zeros((size, LABELS), bool)
    allowed[:, 0] = True
    bounds = np.searchsorted(tokens.row[tokens.row >= 0], np.arange(len(texts) + 1))
    places = np.flatnonzero(tokens.row >= 0)
    for row, text in enumerate(texts):
        here = places[bounds[row] : bounds[row + 1]]
        if not len(here):
            continue
        for kind in text.open:
            label = 1 + 2 * KINDS.index(kind)
            allowed[here, label : label + 2] = True
        if not text.spans:
            continue
        start, end = tokens.start[here], tokens.end[here]
        if text.text.isascii():
            at = None
        else:
            at = np.concatenate([[0], np.cumsum([len(sign.encode()) for sign in text.text])])
        for first, last, kind in text.spans:
            low, high = (first, last) if at is None else (int(at[first]), int(at[last]))
            inside = here[(start < high) & (end > low)]
            if len(inside):
                label = 1 + 2 * KINDS.index(kind)
                allowed[inside] = False
                allowed[inside[0], label] = True
                allowed[inside[1:], label + 1] = True
    return allowed


def _batches(texts: Sequence[Labelled], gazetteer: Gazetteer, size: int) -> list[_Batch]:
    batches = []
    start, total = 0, 0
    for at, text in enumerate(texts):
        total += len(text.text) // 4
        if total < size and at < len(texts) - 1:
            continue
        part = texts[start : at + 1]
        start, total = at + 1, 0
        tokens = cut_tokens(pa.array([each.text for each in part], pa.large_string()))
        words = read_words(tokens.words, gazetteer)
        inner = slice(MARGIN, len(tokens) - MARGIN)
        places = read_places(tokens, words, gazetteer)
        stacked = [np.stack(list(place_features(places, MARGIN, len(tokens) - MARGIN)))]
        for far, ids in word_features(words).items():
            stacked.append(ids[:, tokens.word[MARGIN + far : len(tokens) - MARGIN + far]])
        row = tokens.row[inner]
        real = row >= 0
        pieces = cut_pieces(row[real])
        batches.append(
            _Batch(
                np.ascontiguousarray(np.concatenate(stacked)[:, real], np.int32),
                _allowed(part, tokens)[inner][real],
                pieces,
            )
        )
    return batches


def train_model(
    texts: Sequence[Labelled],
    gazetteer: Gazetteer,
    recipe: Recipe,
    *,
    about: Mapping[str, Any],
    progress: Callable[[str], object] = lambda _line: None,
) -> Model:
    """Return a model trained on texts.

    Args:
        texts: Labelled texts, in the order they are used.
        gazetteer: Lists of names.
        recipe: Seed, rounds and step length.
        about: What the model says about its sources.
        progress: Told after each round.
    """
    draw = np.random.default_rng(recipe.seed)
    batches = _batches(texts, gazetteer, recipe.batch)
    count = 1 << BITS
    weights = np.zeros((count, LABELS), np.float32)
    moves = np.zeros((LABELS, LABELS), np.float32)
    squares = np.full((count, LABELS), 1e-3, np.float32)
    move_squares = np.full((LABELS, LABELS), 1e-3, np.float32)
    average, averaged = np.zeros_like(weights), 0
    average_moves = np.zeros_like(moves)
    for turn in range(recipe.rounds):
        loss = 0.0
        for at in draw.permutation(len(batches)).tolist():
            batch = batches[at]
            scores = np.zeros((batch.features.shape[1], LABELS), np.float32)
            for line in batch.features:
                scores += weights[line]
            free, free_moves, free_sum = marginals(scores, batch.pieces, moves, expect=True)
            bound = np.where(batch.allowed, scores, _NEVER)
            told, told_moves, told_sum = marginals(bound, batch.pieces, moves, expect=True)
            loss += free_sum - told_sum
            slope = told - free
            flat = batch.features.ravel()
            for label in range(LABELS):
                push = np.bincount(
                    flat, weights=np.tile(slope[:, label], len(batch.features)), minlength=count
                ).astype(np.float32)
                squares[:, label] += push * push
                weights[:, label] += recipe.rate * push / np.sqrt(squares[:, label])
            # pull: soft threshold, so that what is rarely used becomes exactly nothing
            pull = np.float32(recipe.decay * recipe.rate)
            weights -= np.clip(weights, -pull, pull)
            push_moves = told_moves - free_moves
            move_squares += push_moves * push_moves
            moves += recipe.rate * push_moves / np.sqrt(move_squares)
            if turn >= recipe.rounds // 2:
                average += weights
                average_moves += moves
                averaged += 1
        progress(f"round {turn + 1} of {recipe.rounds}: {loss / len(texts):.3f} a text")
    weights = average / np.float32(max(averaged, 1))
    weights[np.abs(weights) < 0.02] = 0
    return Model(weights, average_moves / np.float32(max(averaged, 1)), gazetteer, dict(about))


def train_file(
    out: Path,
    *,
    folder: Path | None,
    recipe: Recipe,
    without: Iterable[str] = (),
    progress: Callable[[str], object] = lambda _line: None,
) -> dict[str, Any]:
    """Train a tagger and write it; the same data and seed give the same bytes on the same machine.

    Args:
        out: Gets the model; it appears whole or not at all.
        folder: Where the corpora lie; without one, made-up text alone.
        recipe: Seed and size.
        without: Corpora to leave out, to be tested on.
        progress: Told after each round.

    Returns:
        What it was trained on, its size and its hash.

    Raises:
        InvalidError: There is no such folder or corpus.
        UnavailableError: A package of ``[ner]`` is missing.
    """
    left_out = frozenset(without)
    if folder is not None and not folder.is_dir():
        raise InvalidError("there is no such folder", rule="dlp.corpus", fix="--data DIR")
    if unknown := left_out - set(CORPORA):
        raise InvalidError(
            f"{len(unknown)} corpora are unknown", rule="dlp.corpus", fix=", ".join(CORPORA)
        )
    lists = load_lists()
    texts, counts = gather_texts(folder, lists, recipe, without=left_out)
    about = {"seed": recipe.seed, "rounds": recipe.rounds, "texts": counts}
    model = train_model(texts, lists_gazetteer(lists), recipe, about=about, progress=progress)
    data = pack_model(model)
    return put_model(out, data, about)
