"""Find sensitive spans in Arrow text.

Rows are gated by one Arrow kernel call with one cheap, wide pattern; spans are sought only in the
rows that hit, in one buffer in which a zero byte separates the rows. No pattern matches a zero
byte, so no span crosses a border.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from safehold.dlp.classes import CLASSES, GROUPS, NAMES
from safehold.dlp.fold import fold_rows, places_of
from safehold.dlp.pattern import Rule, load_gate, load_patterns
from safehold.errors import InvalidError

Ints = npt.NDArray[np.int64]
SPANS: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("column", pa.string()),
        ("start", pa.int64()),
        ("end", pa.int64()),
        ("byte_start", pa.int64()),
        ("byte_end", pa.int64()),
        ("class", pa.string()),
        ("confidence", pa.uint8()),
        ("rule_id", pa.string()),
    ]
)
ALL: Final = frozenset(GROUPS)


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans found, ordered by row and start; they may overlap.

    Args:
        row: Row of each span.
        start: First code point.
        end: Code point after the last.
        byte_start: First byte within the row.
        byte_end: Byte after the last.
        rule: Number of the rule.
        confidence: Percent.
    """

    row: Ints
    start: Ints
    end: Ints
    byte_start: Ints
    byte_end: Ints
    rule: Ints
    confidence: Ints

    @property
    def kind(self) -> Ints:
        """Number of the class of each span."""
        return np.array([rule.kind for rule in load_patterns()], np.int64)[self.rule]

    def __len__(self) -> int:
        return len(self.row)


_EMPTY: Final = Spans(*(np.zeros(0, np.int64) for _ in range(7)))


@cache
def _rules_of(groups: frozenset[str], report: bool) -> tuple[Rule, ...]:  # noqa: FBT001 - a cache key
    rules = (rule for rule in load_patterns() if rule.masked or report)
    return tuple(rule for rule in rules if CLASSES[NAMES[rule.kind]].group in groups)


def _plain(texts: Any) -> pa.Array:
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
        if isinstance(texts, pa.ChunkedArray):
            texts = (
                pa.concat_arrays(texts.chunks)
                if texts.num_chunks
                else pa.array([], pa.large_string())
            )
    return texts.cast(pa.large_string())


def find_spans(texts: Any, *, groups: frozenset[str] = ALL, report: bool = False) -> Spans:
    """Return every span of the given groups.

    Args:
        texts: An Arrow array of strings; it may be sliced and hold nulls.
        groups: Groups of classes that are looked for.
        report: Also what is not masked when data comes in, such as an ordinary date.
    """
    given = _plain(texts)
    rules = _rules_of(groups, report)
    if not len(given) or not rules:
        return _EMPTY
    array, odd = fold_rows(given)
    hit = pc.match_substring_regex(array, load_gate())
    rows = np.flatnonzero(pc.fill_null(hit, fill_value=False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return _EMPTY
    joined = pc.binary_join_element_wise(
        array.take(pa.array(rows)),
        pa.scalar("", pa.large_string()),
        pa.scalar("\0", pa.large_string()),
    )
    offsets = np.frombuffer(joined.buffers()[1], np.int64, len(rows) + 1 + joined.offset)[
        joined.offset :
    ]
    data = joined.buffers()[2].to_pybytes()[: offsets[-1]]
    spans = _seek(data, rules, rows=rows, offsets=offsets)
    return _unfold(spans, given, odd) if len(odd) and len(spans) else spans


def _unfold(spans: Spans, given: pa.Array, odd: Ints) -> Spans:
    """Give spans in rows that were read otherwise the borders they have in the text as it is."""
    start, end = spans.start.copy(), spans.end.copy()
    byte_start, byte_end = spans.byte_start.copy(), spans.byte_end.copy()
    texts: dict[int, tuple[str, Ints | None]] = {}
    for at in np.flatnonzero(np.isin(spans.row, odd)).tolist():
        row = int(spans.row[at])
        if row not in texts:
            text = given[row].as_py()
            texts[row] = text, places_of(text)
        text, places = texts[row]
        if places is not None:
            start[at], end[at] = places[start[at]], places[end[at] - 1] + 1
        byte_start[at] = len(text[: start[at]].encode())
        byte_end[at] = byte_start[at] + len(text[start[at] : end[at]].encode())
    return replace(spans, start=start, end=end, byte_start=byte_start, byte_end=byte_end)


def _seek(data: bytes, rules: Iterable[Rule], *, rows: Ints, offsets: Ints) -> Spans:
    found: list[tuple[int, int, int, int]] = []
    lower = data.lower()
    for rule in rules:
        if rule.needs and not any(need.encode() in lower for need in rule.needs):
            continue
        group, check, number = rule.group, rule.check, rule.number
        for match in rule.compiled.finditer(data):
            start, end = match.span(group)
            confidence = check(data, start, end)
            if confidence:
                found.append((start, end, number, confidence))
    if not found:
        return _EMPTY
    table = np.array(found, np.int64)
    table = table[np.lexsort((table[:, 1], table[:, 0]))]
    start, end = table[:, 0], table[:, 1]
    place = np.searchsorted(offsets, start, side="right") - 1
    begin = offsets[place]
    code = np.frombuffer(data, np.uint8)
    points = np.concatenate([[0], np.cumsum((code & 0xC0) != 0x80)])  # code points before each byte
    return Spans(
        row=rows[place],
        start=points[start] - points[begin],
        end=points[end] - points[begin],
        byte_start=start - begin,
        byte_end=end - begin,
        rule=table[:, 2],
        confidence=table[:, 3],
    )


def scan(
    batch: pa.RecordBatch | pa.Table, columns: Iterable[str], *, groups: frozenset[str] = ALL
) -> pa.Table:
    """Return the sensitive spans of some text columns.

    Args:
        batch: The rows.
        columns: Names of text columns; dictionaries are taken too.
        groups: Groups of classes that are looked for.

    Returns:
        A table with the schema ``SPANS``: ``start`` and ``end`` in code points, ``byte_start`` and
        ``byte_end`` in UTF-8 bytes of the row. It never holds the text.

    Raises:
        InvalidError: There is no such column.
    """
    parts = []
    ids = np.array([rule.id for rule in load_patterns()])
    for name in columns:
        if name not in batch.schema.names:
            raise InvalidError("there is no such column", field=name, rule="dlp.scan")
        spans = find_spans(batch.column(name), groups=groups, report=True)
        values = [
            spans.row, [name] * len(spans), spans.start, spans.end,
            spans.byte_start, spans.byte_end,
            np.array(NAMES)[spans.kind], spans.confidence.astype(np.uint8), ids[spans.rule],
        ]  # fmt: skip
        arrays = [pa.array(v, f.type) for v, f in zip(values, SPANS, strict=True)]
        parts.append(pa.Table.from_arrays(arrays, schema=SPANS))
    return pa.concat_tables(parts) if parts else SPANS.empty_table()


def scan_names(names: Iterable[str], *, groups: frozenset[str] = ALL) -> pa.Table:
    """Scan names of things: files, folders, objects, columns, windows.

    Underscores, dots and dashes that join words hide a border, so each name is scanned as it
    is and with underscores read as spaces; both have the same offsets.
    """
    listed = list(names)
    plain = pa.table({"name": pa.array(listed, pa.large_string())})
    loose = pa.table({"name": pa.array([x.replace("_", " ") for x in listed], pa.large_string())})
    found = pa.concat_tables(
        [scan(plain, ["name"], groups=groups), scan(loose, ["name"], groups=groups)]
    )
    return (
        found.group_by(found.schema.names)
        .aggregate([])
        .sort_by([("row", "ascending"), ("start", "ascending")])
    )
