"""The staff roster as a dictionary: names the employer has are found exactly, in any spelling of them.

Letters are compared without case and marks; a point, dash, underscore, comma or blank between the parts of a
name are alike; an ending ``'s`` does not matter. A single name that is also a common word (``Will``, ``Mark``,
``May``) or has one or two letters counts only where its capital or its neighbours say that it is a name.

The roster is handed in with the order to take a source in, lives in that sandbox only and is kept nowhere;
nothing it finds is reported but the class and a count.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import ahocorasick_rs
import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, NAMES
from safehold.dlp.cue import Neighbours, common_words, says_name
from safehold.dlp.engine.rows import large_texts
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
RULE: Final = "roster.name"
MOST: Final = 200_000  # people
LONGEST: Final = 100  # characters of one name
MOST_OTHERS: Final = 16  # further names of one person
FIELDS: Final = frozenset({"name", "given", "family", "also", "email"})
_PERSON: Final = NAMES.index("PERSON")
_TOKEN: Final = CLASSES["PERSON"].token
_NEAR: Final = 40  # characters in which the words beside a name are looked for
_SURE, _ALONE, _CUED = 99, 90, 70  # percent
_SHORT: Final = 2  # letters; a name this short is written by chance
_GERMAN: Final = {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "ø": "oe", "å": "aa", "æ": "ae"}


@dataclass(frozen=True, slots=True)
class Found:
    """Names of the roster in texts, ordered by row and start; they do not overlap.

    Args:
        row: Row of each.
        start: First code point.
        end: Code point after the last.
        byte_start: First byte within the row.
        byte_end: Byte after the last.
        confidence: Percent.
    """

    row: Ints
    start: Ints
    end: Ints
    byte_start: Ints
    byte_end: Ints
    confidence: Ints

    @property
    def kind(self) -> Ints:
        """Number of the class of each: all are PERSON."""
        return np.full(len(self.row), _PERSON, np.int64)

    def __len__(self) -> int:
        return len(self.row)


@cache
def _letters() -> dict[int, str | None]:
    """Return what stands for each sign that is not a plain small letter: one sign, or None for a mark."""
    table: dict[int, str | None] = {}
    for code in range(0x250 + 0x1E00):
        if 0x600 <= code < 0x1E00:
            continue
        char = chr(code)
        kind = unicodedata.category(char)
        if kind in ("Mn", "Me", "Cf"):
            table[code] = None
        elif kind[0] in "LN":
            plain = unicodedata.normalize("NFD", char)[0].lower()
            if plain != char:
                table[code] = plain[0]
        else:
            table[code] = " "
    for code in (*range(0x1E00, 0x2000), *range(0x2000, 0x2070), 0x3000, *range(0xFF01, 0xFF5F)):
        char = chr(code)
        kind = unicodedata.category(char)
        plain = unicodedata.normalize("NFKD", char)[0].lower()
        table[code] = None if kind == "Cf" else plain if plain.isalnum() else " "
    return table


_ASCII: Final = bytes(ord(chr(c).lower()) if chr(c).isalnum() else 32 for c in range(128)) + bytes(
    range(128, 256)
)


def _folded(text: str) -> tuple[str, Ints | None]:
    """Return a text as it is compared, and where each of its signs stands; None where all are one to one."""
    if text.isascii():
        return text.encode().translate(_ASCII).decode(), None
    table = _letters()
    kept = [at for at, char in enumerate(text) if table.get(ord(char), char) is not None]
    folded = text.translate(table)
    return folded, None if len(kept) == len(text) else np.array([*kept, len(text)], np.int64)


class Roster:
    """Names of people, ready to be found.

    Args:
        people: For each person ``name``, or ``given`` and ``family``; ``also``, further names and handles;
            ``email``. All are optional.

    Raises:
        InvalidError: An entry has another shape, or there are too many.
    """

    def __init__(self, people: Iterable[Mapping[str, Any]]) -> None:
        self._sure: dict[str, bool] = {}  # pattern: whether it stands for somebody on its own
        self._plain: list[dict[str, Any]] = []
        for row, entry in enumerate(people):
            if row >= MOST:
                raise InvalidError(f"more than {MOST} people on the roster", rule="roster.size")
            self._add(_checked(entry, row))
            self._plain.append(dict(entry))
        self._patterns = sorted(self._sure)
        self._names = frozenset(word for word in self._patterns if _stands_alone(word))
        self._automaton: Any = None
        self._gate: Any = None
        if self._patterns:
            standard = ahocorasick_rs.MatchKind.Standard
            self._automaton = ahocorasick_rs.AhoCorasick(self._patterns, matchkind=standard)
            longest = sorted({max(each.split(), key=len) for each in self._patterns})
            whole = [f" {word}{end} " for word in longest for end in ("", "s")]
            self._gate = ahocorasick_rs.AhoCorasick(whole, matchkind=standard)

    def __len__(self) -> int:
        return len(self._plain)

    def to_spec(self) -> list[dict[str, Any]]:
        """Return the roster as JSON values, for the job of a sandbox."""
        return [dict(entry) for entry in self._plain]

    def digest(self, key: bytes) -> str:
        """Return a keyed hash of the roster: which one was used can be told, who is on it cannot be tried."""
        data = orjson.dumps(self._plain, option=orjson.OPT_SORT_KEYS)
        return hmac.new(key, b"safehold.roster.v1\0" + data, hashlib.sha256).hexdigest()

    def _put(self, words: Sequence[str], *, sure: bool) -> None:
        pattern = " ".join(words)
        sure = sure and any(map(_stands_alone, words))
        if pattern:
            self._sure[pattern] = self._sure.get(pattern, False) or sure

    def _add(self, entry: Mapping[str, Any]) -> None:
        name = entry.get("name") or " ".join(
            part for part in (entry.get("given"), entry.get("family")) if part
        )
        local = entry.get("email", "").partition("@")[0]
        for text in _spellings(name):
            self._add_name(text.split())
        for other in (*entry.get("also", ()), local):
            for text in _spellings(other):
                words = text.split()
                self._put(words, sure=len(words) > 1 or _stands_alone(text))

    def _add_name(self, words: list[str]) -> None:
        for word in words:
            self._put([word], sure=_stands_alone(word))
        if len(words) < 2:
            return
        given, family = words[0], words[-1]
        for pair in ((given, family), (family, given), words, (*words[1:], given)):
            self._put(pair, sure=True)
        self._put((given[0], family), sure=True)
        self._put((family, given[0]), sure=len(family) > _SHORT)
        self._put((given, family[0]), sure=len(given) > _SHORT)
        if len(words) > 2:
            self._put((given, words[1][0], family), sure=True)
            self._put((given[0], words[1][0], family), sure=True)
            self._put(words[:2], sure=True)
        glued = ["".join(words), family + given]
        glued += [given[0] + family] if _stands_alone(family) else []
        glued += [given + family[0]] if _stands_alone(given) else []
        for handle in glued:
            if len(handle) > 4:
                self._put([handle], sure=True)

    def find(self, texts: Any) -> Found:
        """Return the names of the roster in texts.

        Args:
            texts: Arrow strings; sliced arrays, chunks and nulls are fine.
        """
        found: list[tuple[int, int, int, int, int, int]] = []
        if self._automaton is not None:
            plain = large_texts(texts)
            rows = self._rows_to_read(plain)
            for row, text in zip(
                rows.tolist(), plain.take(pa.array(rows)).to_pylist(), strict=True
            ):
                found += [(row, *span) for span in self._find(text)]
        table = np.array(found, np.int64).reshape(len(found), 6)
        return Found(*(table[:, at] for at in range(6)))

    def _rows_to_read(self, texts: Any) -> Ints:
        """Return the rows that hold the longest word of a pattern as a whole word, or a sign beyond ASCII."""
        # two blanks between rows: one ends the last word of a row, the other begins the first of the next
        between = (pa.scalar("", pa.large_string()), pa.scalar("\0\0", pa.large_string()))
        joined = pc.binary_join_element_wise(pc.fill_null(texts, ""), *between)
        offsets = np.frombuffer(joined.buffers()[1], np.int64, len(joined) + 1 + joined.offset)
        offsets = offsets[joined.offset :]
        data = b"" if joined.buffers()[2] is None else joined.buffers()[2].to_pybytes()
        data = data[offsets[0] : offsets[-1]]
        plain = (b" " + data.translate(_ASCII)).decode("latin-1")
        hits = [start for _, start, _ in self._gate.find_matches_as_indexes(plain)]
        odd = np.flatnonzero(np.frombuffer(data, np.uint8) >= 128)
        # a match begins with the blank before its word, and one blank was put in front
        places = np.concatenate([np.array(hits, np.int64), odd])
        return np.unique(np.searchsorted(offsets - offsets[0], places, side="right") - 1)

    def _find(self, text: str) -> list[tuple[int, int, int, int, int]]:
        folded, places = _folded(text)
        # runs of blanks count as one, so that "Doe, Jane" and "J. Doe" are two words each
        squeezed, origin = _squeeze(folded)
        hits = self._automaton.find_matches_as_indexes(squeezed, overlapping=True)
        best: list[tuple[int, int, int]] = []
        for number, start, end in hits:
            stop = _whole(squeezed, start, end)
            if stop < 0:
                continue
            pattern = self._patterns[number]
            sure = _SURE if " " in pattern else _ALONE
            if not self._sure[pattern]:
                low, high = _span(origin, places, start, end)
                near = Neighbours(
                    text[:low], text[low:high], text[high:],
                    squeezed[max(0, start - _NEAR) : start].split()[-1:],
                    squeezed[end : end + _NEAR].split()[:1],
                )  # fmt: skip
                if not says_name(near, key=squeezed[start:end], names=self._names):
                    continue
                sure = _CUED
            best.append((start, stop, sure))
        return [
            (low, high, byte, byte + len(text[low:high].encode("utf-8", "replace")), sure)
            for start, end, sure in _merged(best)
            for low, high in (_span(origin, places, start, end),)
            for byte in (len(text[:low].encode("utf-8", "replace")),)
        ]


def _squeeze(folded: str) -> tuple[str, list[int] | None]:
    if "  " not in folded:
        return folded, None
    kept = [at for at, sign in enumerate(folded) if sign != " " or (at and folded[at - 1] != " ")]
    return "".join([folded[at] for at in kept]), [*kept, len(folded)]


def _span(origin: list[int] | None, places: Ints | None, start: int, end: int) -> tuple[int, int]:
    """Return where a stretch of what is compared stands in the text."""
    low, last = (start, end - 1) if origin is None else (origin[start], origin[end - 1])
    return (low, last + 1) if places is None else (int(places[low]), int(places[last + 1]))


def _whole(text: str, start: int, end: int) -> int:
    """Return where a match of whole words ends, a plural or possessive s left out; -1 for a part of a word."""
    if not (text[start] < "\u0600"):  # scripts that write words together
        return end
    if start and text[start - 1].isalnum():
        return -1
    if end == len(text) or not text[end].isalnum():
        return end
    possessive = text[end] == "s" and end - start > 3 and not text[end + 1 : end + 2].isalnum()
    return end if possessive else -1


def _merged(spans: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Return spans that do not overlap, the union of those that did."""
    result: list[tuple[int, int, int]] = []
    for start, end, sure in sorted(spans):
        if result and start < result[-1][1]:
            first, last, other = result[-1]
            result[-1] = (first, max(last, end), max(other, sure))
        else:
            result.append((start, end, sure))
    return result


def _stands_alone(word: str) -> bool:
    return len(word) > _SHORT and word not in common_words() and not word.isdigit()


def _spellings(text: str) -> list[str]:
    """Return a name as it is compared, and once more with its German letters written out."""
    spelled = [text]
    written = "".join(
        _GERMAN.get(sign, sign) for sign in unicodedata.normalize("NFC", text).lower()
    )
    if written != text.lower():
        spelled.append(written)
    return [" ".join(_folded(each)[0].split()) for each in spelled]


def _checked(entry: Any, row: int) -> Mapping[str, Any]:
    if not isinstance(entry, Mapping) or not set(entry) <= FIELDS:
        raise InvalidError(
            "an entry of the roster has name, given, family, also, email",
            row=row,
            rule="roster.entry",
        )
    also = entry.get("also", [])
    texts = [entry.get(field, "") for field in ("name", "given", "family", "email")]
    if not isinstance(also, (list, tuple)) or len(also) > MOST_OTHERS:
        raise InvalidError(
            f"further names are a list of at most {MOST_OTHERS}", row=row, rule="roster.entry"
        )
    if not all(isinstance(text, str) and len(text) <= LONGEST for text in (*texts, *also)):
        raise InvalidError("a name is a short text", row=row, rule="roster.entry")
    return entry


@dataclass(frozen=True, slots=True)
class Unnamed:
    """Texts without the names of the roster.

    Args:
        text: The texts.
        rows: Rows in which a name was found.
    """

    text: pa.Array
    rows: Ints


def mask_roster(texts: Any, roster: Roster) -> Unnamed:
    """Return texts in which the names of the roster are replaced by their class.

    Args:
        texts: Texts, masked by patterns already: what stands for an address stays.
        roster: The names.
    """
    plain = large_texts(texts)
    found = roster.find(plain)
    rows, first = np.unique(found.row, return_index=True)
    if not len(rows):
        return Unnamed(plain, rows)
    bounds = np.append(first, len(found)).tolist()
    start, end = found.start.tolist(), found.end.tolist()
    fresh: list[str] = []
    changed = np.zeros(len(rows), bool)
    for at, text in enumerate(plain.take(pa.array(rows)).to_pylist()):
        parts, done = [], 0
        for low, high in zip(
            start[bounds[at] : bounds[at + 1]], end[bounds[at] : bounds[at + 1]], strict=True
        ):
            if (
                text[low - 1 : low] == "["
                and text[high : high + 1] == "]"
                and text[low:high] in NAMES
            ):
                continue  # a token, not a name
            parts += [text[done:low], _TOKEN]
            done = high
        fresh.append("".join([*parts, text[done:]]))
        changed[at] = bool(parts)
    rows, fresh = rows[changed], [text for text, new in zip(fresh, changed, strict=True) if new]
    place = np.zeros(len(plain), bool)
    place[rows] = True
    masked = pc.replace_with_mask(plain, pa.array(place), pa.array(fresh, pa.large_string()))
    return Unnamed(masked, rows)
