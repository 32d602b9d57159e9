"""Rows out of nested documents: what a shape says, cell by cell, within bounds.

A reader hands out documents; here they become the columns a mapping asks for. What is not named is never read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite
from typing import Any, Final, Protocol

import numpy as np
import orjson
import pyarrow as pa

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal
from safehold.ingest.shape import Cell, Lookup, Path, Shape
from safehold.ingest.source.image import holds_image
from safehold.ingest.source.table import Batch, bring

_TYPES: Final = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.large_string(),
    "texts": pa.list_(pa.string()),
}
_ROWS: Final = 4_096
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_EXACT: Final = 2**53
_LONGEST_JSON: Final = 1 << 18  # characters of a text that is read as JSON


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a source.

    Args:
        value: Plain values.
        about: What is known besides: ``@file``, ``@folder``.
    """

    value: Any
    about: Mapping[str, str] = field(default_factory=dict)


class Documents(Protocol):
    """A reader of one format."""

    size: int
    names: list[str]
    pictures: int

    def documents(self) -> Iterator[Document | str]:
        """Yield documents in order; a text is the rule that one of them broke."""
        ...

    def table(self, lookup: Lookup) -> Any:
        """Return the document that a table of words is in, or None."""
        ...


class RecordSource:
    """Rows of a nested source.

    Args:
        reader: Hands out its documents.
        name: Its name.
        shape: Where rows and cells are.
        limits: What it may ask for.
    """

    def __init__(self, reader: Documents, *, name: str, shape: Shape, limits: Limits) -> None:
        self.name = name
        self.names = reader.names  # of what lies inside: folders, files, tables
        self.pictures = reader.pictures  # that were found and not read
        self._reader = reader
        self._shape = shape
        self._limits = limits
        self.schema = pa.schema([(column, pa.null()) for column in shape.cells])

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order, each column as the kind that is asked for.

        Raises:
            InvalidError: The rows repeat the source more often than the limit allows.
        """
        cells = {name: self._shape.cells[name] for name in kinds}
        tables = {name: self._table(parts) for name, parts in self._shape.tables.items()}
        most = self._limits.amplify * max(self._reader.size, 1 << 20)
        rows: list[dict[str, Any]] = []
        numbers: list[int] = []
        refusals: list[Refusal] = []
        at = start = size = spent = 0
        for found in self._rows():
            if isinstance(found, str):
                refusals.append(Refusal(at, "", found))
            else:
                row, wrong, weight = _read_row(found, cells, tables, self._limits)
                size += weight
                spent += weight
                if wrong is not None:
                    refusals.append(Refusal(at, *wrong))
                else:
                    rows.append(row)
                    numbers.append(at)
            at += 1
            if spent > most:
                raise InvalidError(
                    f"its rows repeat it more than {self._limits.amplify} times over",
                    file=self.name,
                    row=at - 1,
                    rule="source.amplified",
                )
            if at - start >= _ROWS or size >= self._limits.batch_bytes:
                yield self._batch(rows, numbers, refusals, at - start, kinds)
                rows, numbers, refusals, start, size = [], [], [], at, 0
        if at > start:
            yield self._batch(rows, numbers, refusals, at - start, kinds)

    def _batch(
        self,
        rows: list[dict[str, Any]],
        numbers: list[int],
        refusals: list[Refusal],
        read: int,
        kinds: Mapping[str, str],
    ) -> Batch:
        table = pa.table(
            {name: pa.array([row[name] for row in rows], _TYPES[kinds[name]]) for name in kinds}
        )
        batch = bring(
            table, np.array(numbers, dtype=np.int64), kinds, name=self.name, limits=self._limits
        )
        return Batch(batch.table, batch.rows, read, sorted([*refusals, *batch.refusals]))

    def _rows(self) -> Iterator[dict[str, Any] | str]:
        """Yield for each row what its paths begin with."""
        for document in self._reader.documents():
            if isinstance(document, str):
                yield document
                continue
            yield from _descend(
                {"": document.value, **document.about},
                document.value,
                self._shape.steps,
                self._shape.sort,
            )

    def _table(self, parts: tuple[Lookup, ...]) -> dict[str, Any]:
        words: dict[str, Any] = {}
        for part in parts:
            words.update(part.values)
            if not part.key:
                continue
            for row in every(self._reader.table(part), part.rows):
                key = every(row, part.key)
                if not key or not isinstance(key[0], str | int):
                    continue
                found: Any = part.constant
                if part.value:
                    values = [one for one in every(row, part.value) if isinstance(one, str)]
                    found = values if "*" in part.value else (values[0] if values else None)
                words[str(key[0])] = found
        return words


def every(value: Any, path: Path) -> list[Any]:
    """Return everything that a path finds; a text on the way is read as JSON."""
    found = [value]
    for part in path:
        after: list[Any] = []
        for one in found:
            at = _opened(one)
            if part == "*":
                if isinstance(at, list):
                    after.extend(at)
                elif isinstance(at, dict):
                    after.extend(at.values())
            elif isinstance(at, dict):
                if part in at:
                    after.append(at[part])
            elif (
                isinstance(at, list) and part.isdecimal() and len(part) < 7 and int(part) < len(at)
            ):
                after.append(at[int(part)])
        found = after
    return found


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "[") and len(value) <= _LONGEST_JSON:
        return _loads(value)
    return value


@lru_cache(maxsize=8)  # the same text of a parent is asked for by every row below it
def _loads(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _descend(
    around: dict[str, Any], value: Any, steps: tuple[tuple[str, Path], ...], sort: Path
) -> Iterator[dict[str, Any]]:
    if not steps:
        yield around
        return
    (name, path), rest = steps[0], steps[1:]
    if path and path[-1] == "*":
        for holder in every(value, path[:-1]):
            inside = _opened(holder)
            pairs: Any = ()
            if isinstance(inside, dict):
                pairs = inside.items()
            elif isinstance(inside, list):
                pairs = ((None, one) for one in inside)
            if sort and not rest:
                pairs = sorted(pairs, key=lambda pair: _rank(pair[1], sort))
            for key, one in pairs:
                yield from _descend({**around, "": one, name: one, "@key": key}, one, rest, sort)
        return
    for one in every(value, path):
        yield from _descend({**around, "": one, name: one}, one, rest, sort)


def _rank(row: Any, path: Path) -> tuple[int, float, str]:
    """Return where a row comes in order: numbers by size, then texts, then what has neither."""
    found = every(row, path)
    if found and isinstance(found[0], int | float) and found[0] == found[0]:
        return 0, found[0], ""
    return (1, 0, found[0]) if found and isinstance(found[0], str) else (2, 0, "")


def _find(around: Mapping[str, Any], path: Path) -> list[Any]:
    if path[0] in around:
        return every(around[path[0]], path[1:])
    return every(around[""], path)


def _read_row(
    around: Mapping[str, Any],
    cells: Mapping[str, Cell],
    tables: Mapping[str, Mapping[str, Any]],
    limits: Limits,
) -> tuple[dict[str, Any], tuple[str, str] | None, int]:
    row: dict[str, Any] = {}
    weight = 0
    for name, cell in cells.items():
        found = [one for one in _find(around, cell.path) if one is not None]
        weight += 8 * len(found)
        value, rule = _read_cell(found, around, cell, tables=tables, limits=limits)
        if rule:
            return row, (name, rule), weight + limits.word_bytes
        row[name] = value
        if isinstance(value, str):
            weight += len(value)
        elif isinstance(value, list):
            weight += sum(map(len, value)) + 8 * len(value)
    return row, None, weight + 8 * len(cells)


def _read_cell(  # noqa: PLR0911 - one return a rule
    found: list[Any],
    around: Mapping[str, Any],
    cell: Cell,
    *,
    tables: Mapping[str, Mapping[str, Any]],
    limits: Limits,
) -> tuple[Any, str]:
    if cell.count:
        return len(found), ""
    if cell.kind == "texts":
        return _read_words(found, cell, tables)
    if not found:
        return (_below(None, around, cell) if cell.append else None), ""
    value, rule = as_kind(found[0], cell.kind, limits)
    if rule or not isinstance(value, str):
        return value, rule
    if cell.unless and value in [str(one) for one in _find(around, cell.unless)]:
        return None, ""
    for table in cell.lookup:
        looked = _look_up(value, tables[table], cell.missing)
        if not looked:
            return None, ""
        value = looked[0]
    for pattern, by in cell.replace:
        value = pattern.sub(by, value)
    return (_below(value, around, cell) if cell.append else value), ""


def _read_words(
    found: list[Any], cell: Cell, tables: Mapping[str, Mapping[str, Any]]
) -> tuple[list[str] | None, str]:
    if not found:
        return None, ""
    if len(found) == 1 and isinstance(found[0], list):
        found = [one for one in found[0] if one is not None]
    if not all(isinstance(one, str) for one in found):
        return None, "source.type"
    words: list[str] = found
    for table in cell.lookup:
        missing = cell.missing if table == cell.lookup[-1] else "none"
        words = [new for word in words for new in _look_up(word, tables[table], missing)]
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        return None, "source.utf8"
    return (words if words or not cell.lookup else None), ""


def _look_up(word: str, table: Mapping[str, Any], missing: str) -> list[str]:
    found = table.get(word)
    if found is None:
        if missing == "none":
            return []
        return [word] if missing == "keep" else [missing]
    return list(found) if isinstance(found, list) else [found]


def _below(value: str | None, around: Mapping[str, Any], cell: Cell) -> str | None:
    """Put names below a text, with underscores as blanks: they hide where a number begins."""
    names = [one for one in _find(around, cell.append) if isinstance(one, str)]
    lines = [value] if value else []
    lines += ["[file] " + name.replace("_", " ") for name in names]
    return "\n".join(lines) if lines else value


def as_kind(  # noqa: PLR0911, PLR0912 - one return a rule
    value: Any, kind: str, limits: Limits
) -> tuple[Any, str]:
    """Return a plain value as the kind of its column, or the rule that it breaks."""
    if isinstance(value, bytes | bytearray):
        return None, "source.image" if holds_image(value) else "source.type"
    if kind == "text":
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            return None, "source.type"
        text = str(value)
        if len(text) > limits.cell_bytes:
            return None, "source.cell_size"
        try:
            text.encode()
        except UnicodeEncodeError:  # half a pair of surrogates
            return None, "source.utf8"
        return text, ""
    if kind == "flag":
        return (value, "") if isinstance(value, bool) else (None, "source.type")
    if isinstance(value, str) and len(value) <= 64:
        try:
            value = int(value) if kind == "integer" else float(value)
        except ValueError:
            return None, "source.type"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None, "source.type"
    if kind == "number":
        if (isinstance(value, int) and abs(value) > _EXACT) or not isfinite(value):
            return None, "source.range"
        return float(value), ""
    if isinstance(value, float):
        if not abs(value) < _EXACT:
            return None, "source.range"
        value = round(value)
    return (value, "") if _SMALLEST <= value <= _LARGEST else (None, "source.range")
