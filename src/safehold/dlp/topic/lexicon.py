"""The words that tell what a message is about, and where they stand in texts; array arithmetic, no loop over rows.

A text is read in small letters, without marks, every digit as ``0`` and every other sign as a blank. A row is
looked at only if it holds a word of a term that may carry a topic; most rows of work do not.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Any, Final

import ahocorasick_rs as ac
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.engine.rows import bytes_of
from safehold.dlp.fold import fold_rows
from safehold.dlp.pattern import TOPIC_FILES, read_data
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
_BLANK, _BORDER, _MONEY = 0x20, 0x0A, ord("$")
_GLUE: Final = b"@~_=\\"  # beside a word: it is a part of something else
_BESIDE: Final = b"*~()\"'.,:;!?"  # beyond a sign that emphasises a word
_NICKS: Final = ("condition", "medication")
_ENDS: Final = b".!?;\n"  # of a sentence, before a blank
# signs of several bytes that are read as plain ones; as many bytes as before
_READ_AS: Final = ((b"\xe2\x80\xa6", b"..."), (b"\xc2\xa3", b" $"), (b"\xe2\x82\xac", b"  $"))


def _table() -> bytes:
    table = bytearray([_BLANK]) * 256
    for code in range(128):
        sign = chr(code)
        if sign.isalnum():
            table[code] = ord("0") if sign.isdigit() else ord(sign.lower())
    table[128:] = bytes(range(128, 256))
    table[0], table[_MONEY] = _BORDER, _MONEY
    return bytes(table)


_TABLE: Final = _table()


@cache
def _parts_of_words() -> npt.NDArray[np.bool_]:
    """Return for each code point whether it is a letter or a digit, as a word has them."""
    return np.fromiter((chr(code).isalnum() for code in range(0x110000)), bool, 0x110000)


def _without_signs(data: bytes) -> bytes:
    """Return text in which what is no letter and no digit beyond ASCII is blanks, as many bytes as before."""
    code = np.frombuffer(data, np.uint8).copy()
    beyond = np.flatnonzero(code >= 0x80)
    points = np.frombuffer(code[beyond].tobytes().decode().encode("utf-32-le"), np.uint32)
    width = 2 + (points >= 0x800).astype(np.int64) + (points >= 0x10000)
    code[beyond[np.repeat(~_parts_of_words()[points], width)]] = _BLANK
    return code.tobytes()


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The terms and their groups.

    Args:
        terms: The terms, as they are compared.
        group: Number of the group of each.
        groups: Names of the groups, in order of the file.
        carries: Whether a group may carry a topic.
        finder: Finds the terms.
        gate: Finds those that may carry a topic, as whole words.
        digest: SHA-256 of the file.
    """

    terms: tuple[str, ...]
    group: Ints
    groups: tuple[str, ...]
    carries: npt.NDArray[np.bool_]
    finder: Any
    gate: Any
    digest: str

    @property
    def nicks(self) -> list[int]:
        """Groups whose terms are nicknames too."""
        return [self.groups.index(name) for name in _NICKS if name in self.groups]

    def of(self, group: str) -> tuple[str, ...]:
        """Return the terms of a group."""
        wanted = self.groups.index(group)
        return tuple(
            term for term, at in zip(self.terms, self.group.tolist(), strict=True) if at == wanted
        )


@dataclass(frozen=True, slots=True)
class Hits:
    """Terms found.

    Args:
        row: Row of each.
        sentence: In which sentence, counted over all rows.
        term: Its number.
    """

    row: Ints
    sentence: Ints
    term: Ints


def parse_terms(data: bytes) -> Lexicon:
    """Return the lexicon in a file.

    Raises:
        InvalidError: A line has another shape.
    """
    known: dict[str, int] = {}
    groups: list[str] = []
    carries: list[bool] = []
    for line in data.decode().splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, rest = line.partition(" ")
        kind, _, listed = rest.partition(" ")
        if kind not in ("a", "c") or not listed or name in groups:
            raise InvalidError("a line of the terms has another shape", rule="dlp.topic")
        groups.append(name)
        carries.append(kind == "a")
        for entry in listed.split(", "):
            term = entry.rstrip("+")
            for form in (term, term + "s") if entry.endswith("+") else (term,):
                known.setdefault(form, len(groups) - 1)
    terms, group = tuple(known), np.array(list(known.values()), np.int64)
    may = np.array(carries, bool)
    first = [f" {term} ".encode() for term, at in known.items() if may[at] and term != "$"]
    standard = ac.MatchKind.Standard
    return Lexicon(
        terms,
        group,
        tuple(groups),
        may,
        ac.AhoCorasick(terms, matchkind=standard),
        ac.BytesAhoCorasick(first, matchkind=standard, implementation=ac.Implementation.DFA),
        hashlib.sha256(data).hexdigest(),
    )


@cache
def load_lexicon() -> Lexicon:
    """Return the lexicon that comes with the program."""
    return parse_terms(read_data(TOPIC_FILES[0]))


@dataclass(frozen=True, slots=True)
class _Read:
    """Texts end to end.

    Args:
        raw: As they are.
        signs: As they are compared.
        offsets: Where each text begins.
    """

    raw: npt.NDArray[np.uint8]
    signs: npt.NDArray[np.uint8]
    offsets: Ints


def _read(texts: Any) -> _Read:
    folded = pc.fill_null(fold_rows(texts).text, "")
    # the blanks end the last word of a row and begin the first of the next; no term goes over the zero
    before, after, between = (pa.scalar(part, pa.large_string()) for part in (" ", " \0", ""))
    joined = pc.binary_join_element_wise(before, folded, after, between)
    data, offsets = bytes_of(joined)
    if data.count(0) > len(folded):  # a border is no sign of a text: it would end a word unseen
        folded = pc.replace_substring(folded, "\0", " ")
        data, offsets = bytes_of(pc.binary_join_element_wise(before, folded, after, between))
    data = _plain_signs(data)
    plain = data.translate(_TABLE)
    return _Read(np.frombuffer(data, np.uint8), np.frombuffer(plain, np.uint8), offsets)


def _plain_signs(data: bytes) -> bytes:
    if data.isascii():
        return data
    for sign, plain in _READ_AS:
        data = data.replace(sign, plain)
    return _without_signs(data)


def _squeezed(signs: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.uint8], Ints]:
    """Return signs with one blank for each run of them, and where each stands."""
    kept = np.ones(len(signs), bool)
    kept[1:] = (signs[1:] != _BLANK) | (signs[:-1] != _BLANK)
    return signs[kept], np.flatnonzero(kept)


def rows_to_judge(texts: Any, lexicon: Lexicon) -> Ints:
    """Return the rows that hold a term that may carry a topic.

    Of most texts this is all that is done, so it is the least that can tell.

    Args:
        texts: ``large_string``; nulls are fine.
        lexicon: The terms.
    """
    folded = pc.fill_null(fold_rows(texts).text, "")
    after, nothing = (pa.scalar(part, pa.large_string()) for part in (" \0 ", ""))
    data = bytes_of(pc.binary_join_element_wise(folded, after, nothing))[0]
    if data.count(0) > len(folded):  # as in ``_read``
        folded = pc.replace_substring(folded, "\0", " ")
        data = bytes_of(pc.binary_join_element_wise(folded, after, nothing))[0]
    signs = np.frombuffer(b" " + _plain_signs(data).translate(_TABLE), np.uint8)
    blank = signs == _BLANK
    kept = np.ones(len(signs), bool)  # one blank for each run of them
    np.logical_and(blank[1:], blank[:-1], out=kept[1:])
    np.logical_not(kept[1:], out=kept[1:])
    signs = signs[kept]
    hits = lexicon.gate.find_matches_as_indexes(signs.tobytes())
    if not hits:
        return np.zeros(0, np.int64)
    start = np.fromiter(chain.from_iterable(hits), np.int64, 3 * len(hits))[1::3]
    borders = np.flatnonzero(signs == _BORDER)
    return np.unique(np.searchsorted(borders, start))


def find_terms(texts: Any, lexicon: Lexicon) -> Hits:
    """Return every term in texts, overlapping ones too.

    Args:
        texts: ``large_string``; nulls are fine.
        lexicon: The terms.
    """
    read = _read(texts)
    # a sentence ends before a blank; no term goes over its end, nor over that of a row
    ends = np.isin(read.raw, np.frombuffer(_ENDS, np.uint8))
    ends[:-1] &= (read.raw[1:] <= _BLANK) | (read.raw[:-1] == _BORDER)
    signs = np.where(ends, np.uint8(_BORDER), read.signs)
    squeezed, places = _squeezed(signs)
    hits = lexicon.finder.find_matches_as_indexes(
        squeezed.tobytes().decode("latin-1"), overlapping=True
    )
    flat = np.fromiter(chain.from_iterable(hits), np.int64, 3 * len(hits))
    term, start, end = flat[0::3], flat[1::3], flat[2::3]
    padded = np.full(len(squeezed) + 2, _BORDER, np.uint8)
    padded[1:-1] = squeezed
    letter = (padded != _BLANK) & (padded != _BORDER) & (padded != _MONEY)
    money = padded[start + 1] == _MONEY
    whole = np.where(money, padded[end + 1] == ord("0"), ~letter[start] & ~letter[end + 1])
    term, place, last = term[whole], places[start[whole]], places[end[whole] - 1]
    # a part of an address, a path of a home or an identifier is no word
    edged = np.full(len(read.raw) + 2, _BLANK, np.uint8)
    edged[1:-1] = read.raw
    glued = np.isin(edged, np.frombuffer(_GLUE, np.uint8))
    glued[1:-1] &= ~_emphasis(edged)
    real = ~glued[place] & ~glued[last + 2]
    # a nickname that is spoken to: one word and a colon at the begin of a message
    begins = np.isin(place, read.offsets + 1)
    real &= ~(begins & (edged[last + 2] == ord(":")) & np.isin(lexicon.group[term], lexicon.nicks))
    term, place = term[real], place[real]
    return Hits(
        np.searchsorted(read.offsets, place, side="right") - 1, _borders(signs)[place], term
    )


def _emphasis(signs: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    """Return which signs, but the first and the last, only emphasise what stands between two of them.

    One alone is a part of a nickname, a path or an identifier.
    """
    free = np.isin(signs, np.frombuffer(_BESIDE, np.uint8)) | (signs <= _BLANK)
    found, at = np.zeros(len(signs) - 2, bool), np.arange(len(signs) - 2)
    border = signs[1:-1] == 0
    before = np.maximum.accumulate(np.where(border, at, -1))
    after = np.minimum.accumulate(np.where(border, at, len(at))[::-1])[::-1]
    for sign in b"_~":
        here = signs[1:-1] == sign
        opens, closes = here & free[:-2] & ~free[2:], here & ~free[:-2] & free[2:]
        opened = np.maximum.accumulate(np.where(opens, at, -1))
        closed = np.minimum.accumulate(np.where(closes, at, len(at))[::-1])[::-1]
        found |= (closes & (opened > before)) | (opens & (closed < after))
    return found


def _borders(signs: npt.NDArray[np.uint8]) -> Ints:
    """Return how many sentences end before each sign; several ends without a word between are one."""
    solid = np.flatnonzero(signs != _BLANK)
    ends = signs[solid] == _BORDER
    ends[1:] &= ~ends[:-1] if len(ends) else ends
    counted = np.zeros(len(signs), bool)
    counted[solid[ends]] = True
    return np.cumsum(counted)
