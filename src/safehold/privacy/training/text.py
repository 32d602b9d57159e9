"""A text task: the next word out of a public list, from the two words before it.

The words that can be said are a closed public list, so that none of what people wrote becomes a
class, and the words that are looked at are hashed, so that none becomes a name. What is learned is
the model over slots. Whose text is handed in is the caller's promise: only people who opted in.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from typing import Final

import numpy as np

from safehold.errors import InvalidError
from safehold.privacy.release import pick_places
from safehold.privacy.training.learner import People
from safehold.privacy.training.slots import SlotLearner

HASHED: Final = 4_096  # rows for a word, and as many for a pair of words
_WORD: Final = re.compile(r"[a-z']+|[.,!?]")
_START: Final = "<start>"
_NEAR, _PAIR, _BIAS = 1.0, 1.0, 0.5


def next_word_learner(words: Sequence[str]) -> SlotLearner:
    """Return the model over a public list of words; class 0 is every other word."""
    return SlotLearner(rows=1 + 3 * HASHED, classes=len(words) + 1)


def next_words(texts: Sequence[Sequence[str]], words: Sequence[str], *, most: int) -> People:
    """Return each person's examples as arrays of public shape; see ``SlotLearner``.

    Args:
        texts: What each person wrote, one entry a message. Only of people who opted in.
        words: The public list, lower case.
        most: Examples of a person at most, drawn at random where there are more.

    Raises:
        InvalidError: The list has doubles, or nothing can be taken.
    """
    if len(set(words)) != len(words) or not words or most < 1:
        raise InvalidError("the public list holds different words", rule="train.text")
    place = {word: at + 1 for at, word in enumerate(words)}
    found = [_examples(messages, place) for messages in texts]
    picked = pick_places(np.array([len(one) for one in found], np.int64), most=most)
    rows = np.zeros((len(texts), most, 4), np.int32)
    target = np.zeros((len(texts), most), np.int32)
    weight = np.zeros((len(texts), most), np.float32)
    for at, (examples, places) in enumerate(zip(found, picked, strict=True)):
        for to, place_ in enumerate(places):
            *rows[at, to], target[at, to] = examples[place_]
            weight[at, to] = 1 / len(places)
    values = np.broadcast_to(np.array([_BIAS, _NEAR, _NEAR / 2, _PAIR], np.float32), rows.shape)
    return {"rows": rows, "values": values.copy(), "target": target, "weight": weight}


def _examples(messages: Sequence[str], place: dict[str, int]) -> list[tuple[int, ...]]:
    found: list[tuple[int, ...]] = []
    for message in messages:
        before, last = _START, _START
        for word in _WORD.findall(message.lower()):
            found.append((
                0,
                1 + _hash(last),
                1 + HASHED + _hash(before),
                1 + 2 * HASHED + _hash(f"{before} {last}"),
                place.get(word, 0),
            ))  # fmt: skip
            before, last = last, word
    return found


def _hash(words: str) -> int:
    return zlib.crc32(words.encode()) % HASHED
