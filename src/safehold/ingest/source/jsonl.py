"""JSON Lines: one object a line, no nesting but a list of texts.

A block of lines is read at once by Arrow's parser; where that refuses, the same lines are read one
by one so that the row and the rule can be named.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.json as pj

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.table import SPANS, Batch, bring

_TYPES: Final = {
    "integer": pa.int64(),
    "span_ms": pa.int64(),
    "span_s": pa.int64(),
    "number": pa.float64(),
    "flag": pa.bool_(),
    "text": pa.string(),
    "bytes": pa.string(),
    "texts": pa.list_(pa.string()),
}
_BLOCK: Final = 1 << 20


class JsonlSource:
    """Rows of a JSON Lines file.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.

    Raises:
        InvalidError: The first line is not a JSON object.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.name = name
        self.ignore: frozenset[str] = frozenset()  # keys that may be there and are not read
        self._reader = reader
        self._limits = limits
        first = reader.pread(0, limits.line_bytes + 1).split(b"\n", 1)[0]
        if len(first) > limits.line_bytes:
            raise self._too_long(0)
        if first.startswith(codecs.BOM_UTF8):
            raise InvalidError(
                "the file begins with a byte order mark, which JSON Lines does not have",
                file=name,
                row=0,
                rule="source.json",
                fix="save it as UTF-8 without a byte order mark",
            )
        try:
            value = orjson.loads(first)
        except orjson.JSONDecodeError as error:
            raise InvalidError(
                "the first line is not JSON", file=name, row=0, rule="source.json"
            ) from error
        if not isinstance(value, dict) or not value:
            raise InvalidError("each line is a JSON object", file=name, row=0, rule="source.json")
        if len(value) > limits.columns:
            raise InvalidError(
                f"more than {limits.columns} columns", file=name, row=0, rule="source.columns"
            )
        self.schema = pa.schema([(key, pa.null()) for key in value])

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order; a line that breaks a rule is refused.

        Raises:
            InvalidError: A line is longer than the limit.
        """
        at = 0
        for block, count in self._blocks():
            yield read_lines(
                block, at, kinds, name=self.name, limits=self._limits, ignore=self.ignore
            )
            at += count

    def _blocks(self) -> Iterator[tuple[bytes, int]]:
        """Yield whole lines, about a mebibyte at a time, with their number."""
        offset, rest, row = 0, b"", 0
        while offset < self._reader.size:
            data = self._reader.pread(offset, _BLOCK)
            if not data:
                break
            offset += len(data)
            head, found, tail = data.rpartition(b"\n")
            if not found:
                rest += data
            else:
                block = rest + head + b"\n"
                rest = tail
                count = block.count(b"\n")
                yield block, count
                row += count
            if len(rest) > self._limits.line_bytes:
                raise self._too_long(row)
        if rest:
            yield rest + b"\n", 1

    def _too_long(self, row: int) -> InvalidError:
        return InvalidError(
            f"a line is longer than {self._limits.line_bytes} bytes",
            file=self.name,
            row=row,
            rule="source.line",
        )


def read_lines(
    block: bytes,
    at: int,
    kinds: Mapping[str, str],
    *,
    name: str,
    limits: Limits,
    ignore: frozenset[str] = frozenset(),
) -> Batch:
    """Read whole lines; one that breaks a rule is refused.

    Args:
        block: The lines, each with its end.
        at: Number of the first in its source.
        kinds: The columns and their kinds.
        name: Name of the source.
        limits: Length of lines and cells.
        ignore: Keys that may be there and are not read.
    """
    count = block.count(b"\n")
    rows = np.arange(at, at + count, dtype=np.int64)
    table = _read_fast(block, count, kinds)
    refusals: list[Refusal] = []
    if table is None:
        table, good, refusals = _read_slow(block, at, kinds, limits=limits, ignore=ignore)
        rows = rows[good]
    batch = bring(table, rows, kinds, name=name, limits=limits)
    return Batch(batch.table, batch.rows, count, sorted([*refusals, *batch.refusals]))


def _read_fast(block: bytes, count: int, kinds: Mapping[str, str]) -> pa.Table | None:
    if block.count(b"{") != count or block.count(b"[") > count:
        return None  # nesting, or braces in a text: read with care
    schema = pa.schema([(name, _TYPES[kind]) for name, kind in kinds.items()])
    try:
        table = pj.read_json(
            pa.BufferReader(block),
            read_options=pj.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=pj.ParseOptions(
                explicit_schema=schema,
                newlines_in_values=False,
                unexpected_field_behavior="error",
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError, OSError):
        return None
    return table if len(table) == count else None


def _read_slow(
    block: bytes,
    at: int,
    kinds: Mapping[str, str],
    *,
    limits: Limits,
    ignore: frozenset[str],
) -> tuple[pa.Table, np.ndarray, list[Refusal]]:
    good: list[int] = []
    refusals: list[Refusal] = []
    columns: dict[str, list[Any]] = {name: [] for name in kinds}
    for index, line in enumerate(block.split(b"\n")[:-1]):
        value, wrong = _read_line(line, kinds, limits, ignore)
        if wrong is not None:
            refusals.append(Refusal(at + index, *wrong))
            continue
        good.append(index)
        for name, cells in columns.items():
            cells.append(value.get(name))
    table = pa.table({name: pa.array(columns[name], _TYPES[kinds[name]]) for name in kinds})
    return table, np.array(good, dtype=np.int64), refusals


def _read_line(  # noqa: PLR0911 - one return a rule
    line: bytes, kinds: Mapping[str, str], limits: Limits, ignore: frozenset[str]
) -> tuple[dict[str, Any], tuple[str, str] | None]:
    if len(line) > limits.line_bytes:
        return {}, ("", "source.line")
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return {}, ("", "source.utf8")
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}, ("", "source.json")
    if not isinstance(value, dict):
        return {}, ("", "source.json")
    for key, cell in value.items():
        kind = kinds.get(key)
        if kind is None and key in ignore:
            continue
        if kind is None:
            return {}, ("", "source.unknown_column")
        if cell is not None and not _fits(cell, kind):
            return {}, (key, "source.type")
    return value, None


def _fits(cell: Any, kind: str) -> bool:
    if kind == "integer" or kind in SPANS:
        return type(cell) is int and -(2**63) <= cell < 2**63
    if kind == "number":
        return type(cell) in (int, float)
    if kind == "flag":
        return type(cell) is bool
    if kind == "texts":
        return isinstance(cell, list) and all(isinstance(item, str) for item in cell)
    return isinstance(cell, str)
