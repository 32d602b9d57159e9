"""How likely each topic is for each message: a logistic model over terms, their groups and pairs of groups.

Its features are closed: what is in the lexicon. A model that saw every word would tell work chat from made-up
text, not one topic from another. The weights are whole numbers in a text file that can be read.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from safehold.dlp.pattern import TOPIC_FILES, read_data
from safehold.dlp.topic.lexicon import Hits, Lexicon, load_lexicon
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
TOPICS: Final = ("HEALTH", "FINANCE", "LEGAL", "PERFORMANCE", "UNION", "LEAVE")
FORMAT: Final = "safehold.topics/v1"
SCALE: Final = 64  # of the whole numbers in the file
_MANY: Final = (2, 4)  # terms of one group from which a group counts once more
_BLOCK: Final = 1 << 12  # windows at a time
_PACKED: Final = 24  # groups whose counts fit one whole number


@dataclass(frozen=True, slots=True)
class Windows:
    """Stretches of text that are judged.

    Args:
        row: Row of each.
        window: Of each term its window, in order.
        term: Terms in them, each once a window.
    """

    row: Ints
    window: Ints
    term: Ints


@dataclass(frozen=True, slots=True)
class Model:
    """The weights.

    Args:
        weights: Features x topics: terms, groups, groups with many terms, pairs of groups.
        bias: What a topic has before anything is read.
        bound: From which score on a topic is taken.
        about: How it was trained.
    """

    weights: Floats
    bias: Floats
    bound: Floats
    about: dict[str, Any]


def pairs_of(lexicon: Lexicon) -> tuple[Ints, Ints]:
    """Return the pairs of groups of which one may carry a topic."""
    one, two = np.triu_indices(len(lexicon.groups), k=1)
    either = lexicon.carries[one] | lexicon.carries[two]
    return one[either], two[either]


def features_of(lexicon: Lexicon) -> int:
    """Return how many features there are."""
    groups = len(lexicon.groups)
    return len(lexicon.terms) + groups * (1 + len(_MANY)) + len(pairs_of(lexicon)[0])


def cut_windows(hits: Hits, *, whole: bool = False) -> Windows:
    """Return each sentence, and each two that follow one another, as windows; or each row as one.

    Args:
        hits: Terms found.
        whole: A row is one window.
    """
    row, term = hits.row, hits.term
    if whole:
        code = row
    else:
        # window 2s is sentence s, window 2s + 1 is the sentences s and s + 1
        code = hits.sentence * 2
        code = np.concatenate([code, code + 1, code - 1])
        row, term = np.tile(row, 3), np.tile(term, 3)
    if not len(code):
        return Windows(row, code, term)
    # a window that reaches into the next row is two: one for each
    order = np.lexsort((term, row, code))
    code, row, term = code[order], row[order], term[order]
    change = np.r_[True, (code[1:] != code[:-1]) | (row[1:] != row[:-1])]
    window = np.cumsum(change) - 1
    fresh = change | np.r_[True, term[1:] != term[:-1]]
    return Windows(row[change], window[fresh], term[fresh])


def group_counts(windows: Windows, lexicon: Lexicon) -> Ints:
    """Return how many terms of each group each window holds."""
    size = len(lexicon.groups)
    flat = windows.window * size + lexicon.group[windows.term]
    counts = np.bincount(flat, minlength=len(windows.row) * size)
    return counts.reshape(len(windows.row), size)


def group_features(counts: Ints, lexicon: Lexicon) -> Floats:
    """Return the features of groups and pairs, one line a window, each 0 or 1."""
    one, two = pairs_of(lexicon)
    there = counts > 0
    parts = [there, *(counts >= many for many in _MANY), there[:, one] & there[:, two]]
    return np.concatenate(parts, axis=1).astype(np.float32)


def score_windows(windows: Windows, lexicon: Lexicon, model: Model) -> Floats:
    """Return the score of each topic for each window; above 0 it is likelier than not."""
    size = len(windows.row)
    scores = np.tile(model.bias, (size, 1))
    terms = len(lexicon.terms)
    for topic in range(len(TOPICS)):
        weight = model.weights[:terms, topic][windows.term]
        scores[:, topic] += np.bincount(windows.window, weights=weight, minlength=size)
    borders = np.arange(0, size + _BLOCK, _BLOCK)
    cuts = np.searchsorted(windows.window, borders)
    for low, first, last in zip(
        borders.tolist(), cuts[:-1].tolist(), cuts[1:].tolist(), strict=False
    ):
        row = windows.row[low : low + _BLOCK]
        part = Windows(row, windows.window[first:last] - low, windows.term[first:last])
        counts, back = _alike(group_counts(part, lexicon))
        scores[low : low + _BLOCK] += (group_features(counts, lexicon) @ model.weights[terms:])[
            back
        ]
    return scores


def _alike(counts: Ints) -> tuple[Ints, Ints]:
    """Return counts that differ for the features, and for each window its own: many windows hold the same groups."""
    level = np.searchsorted(np.array([1, *_MANY]), counts, side="right")
    keys = []
    for begin in range(0, level.shape[1], _PACKED):
        part = level[:, begin : begin + _PACKED]
        keys.append(part @ (len(_MANY) + 2) ** np.arange(part.shape[1]))
    order = np.lexsort(keys)
    fresh = np.zeros(len(order), bool)
    fresh[:1] = True
    for key in keys:
        fresh[1:] |= key[order[1:]] != key[order[:-1]]
    back = np.empty(len(order), np.int64)
    back[order] = np.cumsum(fresh) - 1
    return counts[order[fresh]], back


def pack_model(model: Model, lexicon: Lexicon) -> bytes:
    """Return a model as bytes; weights are rounded."""
    head = {
        "format": FORMAT,
        "about": model.about,
        "terms": lexicon.digest,
        "topics": list(TOPICS),
        "bias": _whole(model.bias),
        "bound": _whole(model.bound),
    }
    lines = [json.dumps(_whole(line), separators=(",", ":")) for line in model.weights]
    text = json.dumps(head, indent=1)[:-2] + ',\n "weights": [\n' + ",\n".join(lines) + "\n]}\n"
    return text.encode()


def _whole(values: Floats) -> list[int]:
    return [int(value) for value in np.round(values * SCALE)]


def read_model(data: bytes, lexicon: Lexicon) -> Model:
    """Return the model in some bytes.

    Raises:
        InvalidError: It is no model, or one for other terms.
    """
    try:
        item = json.loads(data)
        weights, bias, bound = (
            np.array(item[name], np.float32) / np.float32(SCALE)
            for name in ("weights", "bias", "bound")
        )
        said = item["format"], item["terms"], item["topics"]
        about = dict(item["about"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidError("not a model of topics", rule="dlp.topic") from error
    fits = said == (FORMAT, lexicon.digest, list(TOPICS))
    if not fits or weights.shape != (features_of(lexicon), len(TOPICS)):
        raise InvalidError(
            "the model of topics was trained with other terms",
            rule="dlp.topic",
            fix="safehold dlp train-topics",
        )
    return Model(weights, bias, bound, about)


@cache
def load_model() -> Model:
    """Return the model that comes with the program."""
    return read_model(read_data(TOPIC_FILES[1]), load_lexicon())
