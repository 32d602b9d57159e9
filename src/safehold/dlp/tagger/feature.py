"""What the tagger looks at, as hashed numbers: no word can be read from a model.

Features of one word (``word_features``) are computed once per distinct word of a batch and looked at from
up to two places away; features that join words, their forms and lists (``place_features``) once per token.
The trainer and the tagger use this very code.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.tagger.gazetteer import Gazetteer
from safehold.dlp.tagger.token import Tokens, byte_view

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
BITS: Final = 18  # log2 of the number of weights per label
_LONGEST: Final = 64  # bytes of a word that count
_MIX: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX2: Final = np.uint64(0xBF58476D1CE4E5B9)


def _powers() -> Hashes:
    value, found = 0x243F6A8885A308D3, []  # a fixed sequence of odd multipliers
    for _ in range(_LONGEST):
        value = (value * 0x5851F42D4C957F2D + 0x14057B7EF767814F) & (2**64 - 1)
        found.append((value ^ value >> 29) | 1)
    return np.array(found, np.uint64)


_POWERS: Final = _powers()
# forms of a word
SIGN, NUMBER, MIXED_NUMBER, CAPITALS, LETTER, CAPITAL, SMALL, CAMEL, LINE, CASELESS, EMPTY = range(
    11
)


def mix(values: Hashes) -> Hashes:
    """Return values whose upper bits depend on all bits."""
    values = (values ^ (values >> np.uint64(30))) * _MIX2
    result: Hashes = (values ^ (values >> np.uint64(27))) * _MIX
    return result


def hash_words(texts: Any) -> Hashes:
    """Return a 64-bit hash of each text; the empty text has hash 0."""
    data, offsets = byte_view(texts)
    length = np.minimum(np.diff(offsets), _LONGEST)
    result = np.zeros(len(length), np.uint64)
    full = np.flatnonzero(length)
    if not len(full):
        return result
    start, size = offsets[:-1][full], length[full]
    first = np.concatenate([[0], np.cumsum(size)[:-1]])
    within = np.arange(int(size.sum())) - np.repeat(first, size)
    values = data[np.repeat(start, size) + within].astype(np.uint64) + np.uint64(1)
    result[full] = mix(np.add.reduceat(values * _POWERS[within], first))
    return result


def pair_hash(left: Hashes, right: Hashes) -> Hashes:
    """Return a hash of two words that follow one another."""
    return mix(left * _POWERS[0] + right * _POWERS[1])


def fold_words(words: Any) -> pa.Array:
    """Return words in small letters without marks, digits as zeros: what is hashed and looked up."""
    small = pc.utf8_lower(words)
    if not pc.all(pc.string_is_ascii(small)).as_py():
        small = pc.replace_substring_regex(pc.utf8_normalize(small, "NFKD"), r"\p{Mn}+", "")
        small = pc.utf8_lower(small)
    return pc.replace_substring_regex(small, "[0-9]", "0")


@dataclass(frozen=True, slots=True)
class Words:
    """What is known of each distinct word.

    Args:
        word: Hash of the folded word.
        form: One of the forms above.
        lists: Bits of the lists that hold it.
        rank: How common the word is, 0 (unknown) to 7 (very common).
        parts: Hashes of its beginnings and ends and of its shape, one row each.
    """

    word: Hashes
    form: Ints
    lists: Ints
    rank: Ints
    parts: Hashes


def read_words(words: Any, gazetteer: Gazetteer) -> Words:
    """Return what is known of distinct words.

    Args:
        words: Distinct tokens as bytes; the last is the empty one.
        gazetteer: Lists of names and common words.
    """
    texts = words.cast(pa.large_string())
    folded = fold_words(texts)
    hashed = hash_words(folded)
    data, offsets = byte_view(folded)
    padded = np.concatenate(
        [np.zeros(4, np.uint64), data.astype(np.uint64), np.zeros(4, np.uint64)]
    )
    start, end = offsets[:-1] + 4, offsets[1:] + 4
    length = end - start

    def piece(width: int, *, tail: bool) -> Hashes:
        value = np.zeros(len(start), np.uint64)
        for step in range(width):
            at = end - 1 - step if tail else start + step
            byte = np.where(step < length, padded[np.clip(at, 0, len(padded) - 1)], np.uint64(0))
            value = value << np.uint64(8) | byte
        return value

    form, shape = _forms(texts, words)
    parts = [
        piece(2, tail=False), piece(3, tail=False), piece(4, tail=False),
        piece(1, tail=True), piece(2, tail=True), piece(3, tail=True), piece(4, tail=True),
        shape,
        np.minimum(length, 12).astype(np.uint64) * np.uint64(16) + form.astype(np.uint64),
    ]  # fmt: skip
    lists, rank = gazetteer.look_up(hashed)
    return Words(hashed, form, lists, rank, mix(np.stack(parts)))


def _forms(texts: Any, words: Any) -> tuple[Ints, Hashes]:
    data, offsets = byte_view(words)
    length = np.diff(offsets)

    def told(kernel: Any) -> npt.NDArray[np.bool_]:
        return np.asarray(kernel(texts).to_numpy(zero_copy_only=False), bool)

    upper, lower = told(pc.utf8_is_upper), told(pc.utf8_is_lower)
    head = pc.utf8_slice_codeunits(texts, 0, 1)
    first_upper = np.asarray(pc.utf8_is_upper(head).to_numpy(zero_copy_only=False), bool)
    rest = pc.utf8_slice_codeunits(texts, 1, 1 << 30)
    rest_lower = np.asarray(pc.utf8_is_lower(rest).to_numpy(zero_copy_only=False), bool)
    alpha = told(pc.utf8_is_alnum)
    digit = (data >= ord("0")) & (data <= ord("9"))
    count = np.concatenate([[0], np.cumsum(digit)])
    digits = count[offsets[1:]] - count[offsets[:-1]]
    one = np.asarray(pc.equal(pc.utf8_length(texts), 1).to_numpy(zero_copy_only=False), bool)
    form = np.full(len(length), CASELESS, np.int64)
    form[alpha] = CAMEL
    form[~alpha] = SIGN
    form[lower] = SMALL
    form[upper] = CAPITALS
    form[first_upper & rest_lower] = CAPITAL
    form[upper & one] = LETTER
    form[(digits > 0) & (digits < length)] = MIXED_NUMBER
    form[(digits > 0) & (digits == length)] = NUMBER
    caseless = alpha & ~upper & ~lower & ~first_upper & (digits == 0)
    has_case = np.asarray(
        pc.not_equal(pc.utf8_lower(texts), pc.utf8_upper(texts)).to_numpy(zero_copy_only=False),
        bool,
    )
    form[caseless & ~has_case] = CASELESS
    line = np.asarray(pc.equal(words, pa.scalar(b"\n", pa.large_binary())), bool)
    form[line] = LINE
    form[length == 0] = EMPTY
    # the first six and the last two letters by kind
    kinds = np.zeros(256, np.uint64)
    kinds[ord("A") : ord("Z") + 1] = 1
    kinds[ord("a") : ord("z") + 1] = 2
    kinds[ord("0") : ord("9") + 1] = 3
    kinds[128:] = 4
    code = np.concatenate([kinds[data], np.zeros(8, np.uint64)])
    shape = np.zeros(len(length), np.uint64)
    for step in range(6):
        at = np.minimum(offsets[:-1] + step, len(code) - 1)
        shape = shape * np.uint64(6) + np.where(step < length, code[at], np.uint64(5))
    for step in (2, 1):
        at = np.maximum(offsets[1:] - step, 0)
        shape = shape * np.uint64(6) + np.where(length > 6 + step - 1, code[at], np.uint64(5))
    return form, shape


_PARTS: Final = ("p2", "p3", "p4", "s1", "s2", "s3", "s4", "shape", "size")
_FAR: Final = {
    0: ("w", "p2", "p3", "p4", "s1", "s2", "s3", "s4", "shape", "size", "g", "gf", "r", "f"),
    -1: ("w", "s2", "s3", "p3", "g", "gf", "shape"),
    1: ("w", "s2", "s3", "p3", "g", "gf", "shape"),
    -2: ("w", "g", "f"),
    2: ("w", "g", "f"),
}  # what is looked at, by how far away


def _id(values: Sequence[Hashes], *, salt: int) -> Ints:
    """Return the number of a feature: multiply and shift, another multiplier for each value and feature."""
    total = np.full(1, (salt * 0xD6E8FEB86659FD93 + 0xA0761D6478BD642F) & (2**64 - 1), np.uint64)
    for step, value in enumerate(values):
        total = total + value * _POWERS[(salt * 7 + step * 3) % _LONGEST]
    return (total >> np.uint64(64 - BITS)).view(np.int64)


def word_features(words: Words) -> dict[int, Ints]:
    """Return for each distance the numbers of the features of each distinct word, features x words."""
    values = dict(zip(_PARTS, words.parts, strict=True))
    values |= {
        "w": words.word,
        "g": mix((words.lists * 8 + words.rank).astype(np.uint64)),
        "gf": mix((words.lists * 16 + words.form).astype(np.uint64)),
        "r": mix((words.rank * 16 + words.form).astype(np.uint64)),
        "f": mix(words.form.astype(np.uint64)),
    }
    names = list(values)
    return {
        far: np.stack(
            [_id((values[name],), salt=(far + 3) * 64 + names.index(name)) for name in wanted]
        )
        for far, wanted in _FAR.items()
    }


def _row_case(tokens: Tokens, form: Ints) -> Ints:
    """Return for each token how its row is written: 0 all small, 1 mixed, 2 capitals, 3 mostly capitalised."""
    row = tokens.row
    rows = int(row.max()) + 1 if len(row) and row.max() >= 0 else 0
    if not rows:
        return np.zeros(len(row), np.int64)
    real = row >= 0

    def counted(*forms: int) -> Ints:
        return np.bincount(row[real & np.isin(form, forms)], minlength=rows)

    small, capital, loud = counted(SMALL), counted(CAPITAL, LETTER), counted(CAPITALS)
    case = np.ones(rows, np.int64)
    case[(capital == 0) & (loud == 0)] = 0
    case[(capital > 0.5 * (small + capital)) & (small + capital > 3)] = 3
    case[loud > 0.6 * (small + capital + loud)] = 2
    return np.where(real, case[row], 1)


@dataclass(frozen=True, slots=True)
class Places:
    """What is known of each token, for the features that join several.

    Args:
        word: Hash of the word.
        form: Its form.
        listed: Its lists and its form.
        case: How its row is written.
        run: What the stretch around it holds.
        pairs: Lists of names that hold this word with the next, and with the one before.
    """

    word: Hashes
    form: Hashes
    listed: Hashes
    case: Hashes
    run: Hashes
    pairs: Hashes


def read_places(tokens: Tokens, words: Words, gazetteer: Gazetteer) -> Places:
    """Return what is known of each token."""
    at = tokens.word
    word, form = words.word[at], words.form[at]
    names, _ = gazetteer.look_up(pair_hash(word[:-1], word[1:]))
    pairs = np.zeros(len(at), np.int64)
    pairs[:-1] += names * 256
    pairs[1:] += names
    wide = (form, words.lists[at] * 16 + form, _row_case(tokens, form), tokens.run, pairs)
    # small numbers are spread over all bits once, so that a product of two says which two
    return Places(word, *(mix(values.astype(np.uint64) + np.uint64(1)) for values in wide))


def place_features(places: Places, low: int, high: int) -> Iterator[Ints]:
    """Yield for each joined feature its number for the tokens from ``low`` to ``high``.

    Args:
        places: What is known of each token.
        low: First token, at least ``MARGIN``.
        high: Token after the last, at least ``MARGIN`` before the end.
    """

    def near(values: Hashes, far: int) -> Hashes:
        return values[low + far : high + far]

    w, f, g = places.word, places.form, places.listed
    w0, wl, wr, wll, wrr = near(w, 0), near(w, -1), near(w, 1), near(w, -2), near(w, 2)
    f0, fl, fr = near(f, 0), near(f, -1), near(f, 1)
    g0, gl, gr = near(g, 0), near(g, -1), near(g, 1)
    case, run, pairs = near(places.case, 0), near(places.run, 0), near(places.pairs, 0)
    groups = (
        (wl, w0), (w0, wr), (wll, wl), (wr, wrr), (fl, f0, fr), (f0, fr, near(f, 2)), (gl, g0),
        (g0, gr), (wl, g0), (wr, g0), (gl, g0, gr), (wll, wl, g0), (case, f0), (case, g0), (case, w0),
        (run, f0), (run, g0), (pairs,), (pairs, f0, case), (wl, wr, f0), (near(f, -2), f0, case),
        (near(g, 2), gr, f0),
    )  # fmt: skip
    for number, group in enumerate(groups):
        yield _id(group, salt=1024 + number)
