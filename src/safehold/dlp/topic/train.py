"""Train the model of topics: on messages the project makes up, and on chat of others as examples of no topic.

The same data and seed give the same file on the same machine. Bounds are set on phrases that were kept out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.classes import GROUPS, NAMES
from safehold.dlp.scan import find_spans
from safehold.dlp.topic.composer import Composer
from safehold.dlp.topic.judge import (
    TOPICS,
    Model,
    Windows,
    cut_windows,
    features_of,
    group_counts,
    group_features,
    pack_model,
)
from safehold.dlp.topic.lexicon import Lexicon, find_terms, load_lexicon, rows_to_judge
from safehold.dlp.topic.unit import score_texts
from safehold.dlp.trained import put_model
from safehold.errors import InvalidError

Floats = npt.NDArray[np.float32]
CORPUS: Final = "irc_train_unlabelled"
_KEPT_OUT: Final = 5  # of this many phrases one is kept out
_LEAST, _MOST = -0.4, 0.7  # a bound is between them: 40 to 67 % likely


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How to train.

    Args:
        seed: The same seed and data give the same model.
        each: Messages made from each phrase.
        rounds: Steps over all messages.
        rate: Length of a step.
        pull: Pull of every weight towards nothing, of a term's own weight above all.
        per_mb: Units of a topic in a megabyte of the chat trained on that are borne.
    """

    seed: int = 1
    each: int = 24
    rounds: int = 400
    rate: float = 0.05
    pull: float = 1e-4
    per_mb: float = 0.5


def chat_lines(path: Path, *, even: bool) -> Iterator[str]:
    """Yield the lines of half of the documents of a chat corpus, without who said them.

    Args:
        path: JSON lines with ``id`` and ``text``.
        even: Which half; a document is always in the same one.

    Raises:
        InvalidError: A line has another shape.
    """
    try:
        for line in path.read_text("utf-8").splitlines():
            item = json.loads(line)
            name, text = item["id"], item["text"]
            if (hashlib.sha256(f"{name}".encode()).digest()[0] % 2 == 0) == even:
                yield from text.splitlines()
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidError(
            "a line of the corpus has another shape", file=path.name, rule="dlp.corpus"
        ) from error


def _fit(
    windows: Windows, truth: Floats, weight: Floats, lexicon: Lexicon, recipe: Recipe
) -> tuple[Floats, Floats]:
    """Return weights and bias of a logistic model, by Adam over all messages at once."""
    size, terms = len(windows.row), len(lexicon.terms)
    counts = group_features(group_counts(windows, lexicon), lexicon)
    weights = np.zeros((features_of(lexicon), len(TOPICS)), np.float32)
    bias = np.full(len(TOPICS), -3, np.float32)
    mean, square = np.zeros_like(weights), np.zeros_like(weights)
    # a term that was made up says what its group says, unless the chat shows otherwise
    pull = np.full((len(weights), 1), recipe.pull, np.float32)
    pull[:terms] *= 2
    flow = weight / weight.sum()
    for turn in range(1, recipe.rounds + 1):
        scores = np.tile(bias, (size, 1)) + counts @ weights[terms:]
        for topic in range(len(TOPICS)):
            own = weights[:terms, topic][windows.term]
            scores[:, topic] += np.bincount(windows.window, weights=own, minlength=size)
        slope = (1 / (1 + np.exp(-scores)) - truth) * flow
        push = np.empty_like(weights)
        push[terms:] = counts.T @ slope
        for topic in range(len(TOPICS)):
            push[:terms, topic] = np.bincount(
                windows.term, weights=slope[windows.window, topic], minlength=terms
            )
        push += pull * weights
        mean = 0.9 * mean + 0.1 * push
        square = 0.99 * square + 0.01 * push * push
        step = mean / (1 - 0.9**turn) / (np.sqrt(square / (1 - 0.99**turn)) + 1e-8)
        weights -= recipe.rate * step
        bias -= recipe.rate * np.sign(slope.sum(axis=0)) * min(0.2, float(np.abs(slope.sum())))
    return weights, bias


def _unsuspected(lines: list[str]) -> list[str]:
    """Return the lines in which no rule finds anything on a topic: only these are examples of none."""
    spans = find_spans(pa.array(lines, pa.large_string()), groups=frozenset(GROUPS))
    on = np.isin(np.array(NAMES)[spans.kind], TOPICS)
    suspected = set(spans.row[on].tolist())
    return [line for row, line in enumerate(lines) if row not in suspected]


def _windows(texts: list[str], lexicon: Lexicon) -> tuple[Windows, npt.NDArray[np.int64]]:
    """Return each text that may be judged as one window, and which texts those are."""
    array = pa.array(texts, pa.large_string())
    rows = rows_to_judge(array, lexicon)
    windows = cut_windows(find_terms(array.take(pa.array(rows)), lexicon), whole=True)
    return windows, rows[windows.row]


def train_model(
    lexicon: Lexicon, recipe: Recipe, *, chat: Iterable[str] = (), progress: Callable[[str], object]
) -> Model:
    """Return a model.

    Args:
        lexicon: The terms.
        recipe: Seed and size.
        chat: Lines of real chat; all count as examples of no topic.
        progress: Told what came out.
    """
    messages = Composer(lexicon, seed=recipe.seed).messages(recipe.each)
    lines = _unsuspected(sorted(set(chat)))
    kept_out = np.array([one.phrase % _KEPT_OUT == 0 for one in messages] + [False] * len(lines))
    texts = [one.text for one in messages] + lines
    topics = np.array([one.topic for one in messages] + [-1] * len(lines))

    def fit(keep: npt.NDArray[np.bool_]) -> tuple[Floats, Floats]:
        chosen = np.flatnonzero(keep)
        windows, which = _windows([texts[at] for at in chosen.tolist()], lexicon)
        topic = topics[chosen][which]
        truth = (topic[:, None] == np.arange(len(TOPICS))).astype(np.float32)
        weight = np.ones((len(topic), 1), np.float32)
        weight[topic >= 0] = 0.5  # most of what is said at work is on no topic
        return _fit(windows, truth, weight, lexicon, recipe)

    nothing = np.zeros(len(TOPICS), np.float32)
    trial = Model(*fit(~kept_out), nothing, {})
    bound = _bounds(trial, lexicon, lines, recipe)
    chosen = np.flatnonzero(kept_out)
    found = _recalled(
        trial, bound, lexicon, texts=[texts[at] for at in chosen.tolist()], topic=topics[chosen]
    )
    for name, (recall, alarms) in found.items():
        progress(f"{name}: recall {recall:.2f} of phrases kept out, {alarms} of work taken for it")
    about = {
        "seed": recipe.seed, "messages": len(messages), "chat": len(lines),
        "kept_out_recall": {name: round(recall, 3) for name, (recall, _) in found.items()},
    }  # fmt: skip
    weights, bias = fit(np.ones(len(texts), bool))
    final = Model(weights, bias, nothing, about)
    return Model(weights, bias, np.maximum(bound, _bounds(final, lexicon, lines, recipe)), about)


def _bounds(model: Model, lexicon: Lexicon, lines: list[str], recipe: Recipe) -> Floats:
    """Return the score of each topic above which few lines of chat lie."""
    bound = np.zeros(len(TOPICS), np.float32)
    if not lines:
        return bound
    _, scores = score_texts(pa.array(lines, pa.large_string()), lexicon, model)
    borne = int(recipe.per_mb * sum(map(len, lines)) / 1e6)
    for topic in range(len(TOPICS)):
        high = np.sort(scores[:, topic])[::-1]
        if len(high) > borne:
            bound[topic] = float(np.clip(high[borne] + 1 / 64, _LEAST, _MOST))
    return bound


def _recalled(
    model: Model,
    bound: Floats,
    lexicon: Lexicon,
    *,
    texts: list[str],
    topic: npt.NDArray[np.int64],
) -> dict[str, tuple[float, int]]:
    """Return for each topic the share of its messages that is taken, and how many of work are."""
    rows, scores = score_texts(pa.array(texts, pa.large_string()), lexicon, model)
    taken = np.zeros((len(texts), len(TOPICS)), bool)
    taken[rows] = scores >= bound
    return {
        name: (float(taken[topic == at].any(axis=1).mean()), int(taken[topic < 0, at].sum()))
        for at, name in enumerate(TOPICS)
    }


def train_file(
    out: Path,
    *,
    folder: Path | None,
    recipe: Recipe,
    progress: Callable[[str], object] = lambda _line: None,
) -> dict[str, Any]:
    """Train a model of topics and write it.

    Args:
        out: Gets the model; it appears whole or not at all.
        folder: Where the chat corpus lies; without one, made-up messages alone.
        recipe: Seed and size.
        progress: Told what came out.

    Returns:
        What it was trained on, its size and its hash.

    Raises:
        InvalidError: There is no such folder, or the corpus has another shape.
    """
    if folder is not None and not folder.is_dir():
        raise InvalidError("there is no such folder", rule="dlp.corpus", fix="--data DIR")
    path = None if folder is None else folder / f"{CORPUS}.jsonl"
    chat = [] if path is None or not path.exists() else list(chat_lines(path, even=True))
    lexicon = load_lexicon()
    model = train_model(lexicon, recipe, chat=chat, progress=progress)
    data = pack_model(model, lexicon)
    return put_model(out, data, model.about)
