"""What the gate looks for on behalf of a rule: of all that its matches must hold, the rarest.

Words are preferred, for one automaton finds all of them at once. How rare something is, is only an
estimate from ordinary chat: a bad one costs time and never a match.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache, reduce
from itertools import product
from operator import or_
from typing import Final

from safehold.dlp.engine.needs import Need, Run, Runs, digits_of, needed, price
from safehold.dlp.engine.shapes import window_of
from safehold.dlp.engine.syntax import DIGIT, both_cases, read_expression
from safehold.errors import InvalidError

# a literal that stands at more places of ordinary text is looked for with its neighbours
_RARE: Final = 2e-3
_RARE_BY_DIGIT: Final = 1e-6
_USUAL: Final = 1e-3
_SHORT: Final = (1, 1, 5, 4, 2)  # for so many letters
_SPELLINGS: Final = 12
_WORDS: Final = 64  # words of one need, and shapes of one need, beyond which another is taken
_SHAPES: Final = 4
_SEEN: Final = 0.05
_SECOND: Final = 3e-4  # how often a second need may be met
_ASKED: Final = 2  # needs by words a rule is asked for
_LONGEST: Final = 12  # signs of a literal


@cache
def _words_of(run: Run) -> tuple[bytes, ...]:
    """Return literals one of which stands in every text of a run; none when all are too common."""
    best: tuple[bytes, ...] = ()
    # what stands beside a digit is found as quickly together with it, and is rarer so
    cost = _RARE_BY_DIGIT if any(mask & ~DIGIT == 0 for mask in run) else _RARE
    choices = [_signs(mask) for mask in run]
    cased = tuple(map(both_cases, run))
    for low in range(len(run)):
        count = 1
        for high in range(low + 1, min(len(run), low + _LONGEST) + 1):
            count *= len(choices[high - 1]) or _SPELLINGS + 1
            if count > _SPELLINGS:
                break
            longer = 1 - 0.01 * (high - low)  # the longer of two that are as rare
            rare = price([cased[low:high]])
            if rare * count * longer >= cost:
                continue
            words = tuple(b"".join(each) for each in product(*choices[low:high]))
            now = max(rare, _common(words[0]) if count == 1 else 0.0) * count * longer
            if now < cost:
                cost, best = now, words
    return best


# words of every second sentence: they tell little, however rare their letters are
_FREQUENT: Final = frozenset(
    b"the and with for you that this work all one two can use user key log in of on is it at not have from but are "
    b"was file note list line name time day now get out who part code run open call call back order show box".split()
)


# each row of letters that stands in one of them
_PARTS: Final = frozenset(
    word[low:high]
    for word in _FREQUENT
    for low in range(len(word))
    for high in range(low + 1, len(word) + 1)
)


@cache
def _common(word: bytes) -> float:
    """Return how often a common word stands at one place of ordinary text; 0 for any other."""
    letters = word.strip()
    if not letters.isalpha():
        return 0.0
    # letters are not drawn one by one: short rows of them are in many words
    drawn = price([tuple(map(_masked, word))])
    short = drawn * _SHORT[len(letters)] if len(letters) < len(_SHORT) else drawn
    return max(short, _USUAL if letters in _PARTS else 0.0)


@cache
def _signs(mask: int) -> list[bytes]:
    """Return the few signs of a set, in lower case; none for many, or for digits."""
    if mask >> 128 or mask.bit_count() > (1 if mask & DIGIT else 2 * _SPELLINGS):
        return []
    return sorted({chr(code).lower().encode() for code in range(128) if mask >> code & 1})


def _shortest(words: set[bytes]) -> list[bytes]:
    """Return words without those that hold another of them."""
    return sorted(w for w in words if not any(o != w and o in w for o in words))


def known_of(pattern: str) -> tuple[tuple[Need, ...], int]:
    """Return what every match of an expression holds, and how many digits; nothing where it is not read."""
    with suppress(InvalidError):
        node = read_expression(pattern)
        return needed(node), digits_of(node)
    return (), 0


def choose(
    needs: tuple[Need, ...], said: Sequence[str]
) -> tuple[list[tuple[list[bytes], int]], Need | None]:
    """Return the needs that are looked for: by words, two at most; without any, one by shape.

    What a rule says of itself is used where its expression gives no words, or very many.
    """
    spelt: list[tuple[list[bytes], int]] = []
    seen: set[bytes] = set()
    for need in needs:
        listed = _spelt(need)
        if not listed or len(listed) > _WORDS or len(spelt) == _ASKED:
            continue
        if spelt and _often(listed) > _SECOND:
            continue
        if not any(o in w or w in o for o in seen for w in listed):
            spelt.append((listed, need.times))
            seen.update(listed)
    if not spelt and said:
        spelt = [(_shortest({word.lower().encode() for word in said}), 1)]
    if spelt:
        return spelt, None
    shaped = [_merged(need.runs) for need in needs]
    best = min(shaped, key=price, default=None)
    if best is not None and price(best) <= _SEEN:
        return [], Need(best)
    spelt = [(listed, need.times) for need in needs if (listed := _spelt(need))][:1]
    return spelt, Need(best) if best is not None and not spelt else None


def _merged(runs: Runs) -> Runs:
    """Return the windows of some runs, or one that is as wide as all of them when they are many."""
    windows = tuple(dict.fromkeys(map(window_of, runs)))
    if len(windows) <= _SHAPES:
        return windows
    least = min(map(len, runs))
    from_begin = tuple(_union(run[at] for run in runs) for at in range(least))
    from_end = tuple(_union(run[at - least] for run in runs) for at in range(least))
    return (window_of(min(from_begin, from_end, key=lambda run: price([run]))),)


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks)


def _spelt(need: Need) -> list[bytes]:
    """Return words one of which stands in every run of a need; none when they would be too common."""
    words: set[bytes] = set()
    for run in need.runs:
        found = _words_of(run)
        if not found:
            return []
        words.update(found)
    listed = _shortest(words)
    return listed if _often(listed) ** need.times <= _RARE * 2 else []


def _often(words: Sequence[bytes]) -> float:
    return sum(max(price([tuple(map(_masked, word))]), _common(word)) for word in words)


def _masked(code: int) -> int:
    return both_cases(1 << code)
