"""Find sensitive spans in Arrow text.

The text is read a chunk at a time. The engine tells which rules can match in which rows and tries no
others; what it finds are bytes of one buffer, which become rows, bytes and code points here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from safehold.dlp.classes import CLASSES, GROUPS, NAMES
from safehold.dlp.engine.rows import chunks_of, points_before
from safehold.dlp.engine.run import Engine
from safehold.dlp.engine.tier import admit_tier, current_tier
from safehold.dlp.fold import Folded, fold_rows
from safehold.dlp.pattern import load_patterns
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
def _engine_of(groups: frozenset[str], tier: str, report: bool) -> Engine:  # noqa: FBT001 - a cache key
    rules = (rule for rule in load_patterns() if rule.masked or report)
    return Engine([rule for rule in rules if CLASSES[NAMES[rule.kind]].group in groups], tier=tier)


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


def find_spans(
    texts: Any, *, groups: frozenset[str] = ALL, report: bool = False, tier: str | None = None
) -> Spans:
    """Return every span of the given groups.

    Args:
        texts: An Arrow array of strings or a dictionary of them; it may be sliced and hold nulls.
        groups: Groups of classes that are looked for.
        report: Also what is not masked when data comes in, such as an ordinary date.
        tier: Which machine finds them, see ``engine.tier``; every tier finds the same.

    Raises:
        InvalidError: The tier cannot run here.
    """
    given = _plain(texts)
    if not len(given) or not (engine := _engine_of(groups, _tier(tier), report)).rules:
        return _EMPTY
    parts = []
    for begin, part in chunks_of(given):
        folded = fold_rows(part)
        parts.append(_unfolded(_seek(engine, folded.text), folded, begin))
    return _joined(parts)


def _tier(name: str | None) -> str:
    return current_tier() if name is None else admit_tier(name)


def _joined(parts: list[Spans]) -> Spans:
    parts = [part for part in parts if len(part)]
    if len(parts) <= 1:
        return parts[0] if parts else _EMPTY
    return Spans(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Spans)))


def _unfolded(spans: Spans, folded: Folded, begin: int) -> Spans:
    """Return spans of a chunk with the borders they have in the text as it is."""
    if not len(spans):
        return spans
    row = spans.row + begin
    if not len(folded.rows):
        return replace(spans, row=row)
    odd, borders = folded.unfold(spans.row, spans.start, spans.end)
    names = ("start", "end", "byte_start", "byte_end")
    fixed = {}
    for name, fresh in zip(names, borders, strict=True):
        values = getattr(spans, name).copy()
        values[odd] = fresh
        fixed[name] = values
    return replace(spans, row=row, **fixed)


def _seek(engine: Engine, part: Any) -> Spans:
    data, offsets, rows, found = engine.find(part)
    if not len(found):
        return _EMPTY
    table = found[np.lexsort((found[:, 2], found[:, 1], found[:, 0]))]
    start, end = table[:, 0], table[:, 1]
    place = np.searchsorted(offsets, start, side="right") - 1
    first = offsets[place] + 1
    points = points_before(data)
    return Spans(
        row=rows[place],
        start=points[start] - points[first],
        end=points[end] - points[first],
        byte_start=start - first,
        byte_end=end - first,
        rule=table[:, 2],
        confidence=table[:, 3],
    )


def scan(
    batch: pa.RecordBatch | pa.Table,
    columns: Iterable[str],
    *,
    groups: frozenset[str] = ALL,
    tier: str | None = None,
) -> pa.Table:
    """Return the sensitive spans of some text columns.

    Args:
        batch: The rows.
        columns: Names of text columns; dictionaries are taken too.
        groups: Groups of classes that are looked for.
        tier: Which machine finds them; every tier finds the same.

    Returns:
        A table with the schema ``SPANS``: ``start`` and ``end`` in code points, ``byte_start`` and
        ``byte_end`` in UTF-8 bytes of the row. It never holds the text.

    Raises:
        InvalidError: There is no such column, or the tier cannot run here.
    """
    parts = []
    ids = np.array([rule.id for rule in load_patterns()])
    for name in columns:
        if name not in batch.schema.names:
            raise InvalidError("there is no such column", field=name, rule="dlp.scan")
        spans = find_spans(batch.column(name), groups=groups, report=True, tier=tier)
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
