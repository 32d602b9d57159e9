"""CSV with a header line (RFC 4180), a block at a time; a cell is text until a rule reads it.

The file is cut into blocks of whole rows here and not by Arrow's streaming reader, which reads ahead
in a thread of its own, as far as 128 MB and beyond the end of whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv
import re2

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.table import Batch, bring

_MOST_RAGGED: Final = 100_000
_BLOCK: Final = 1 << 20
# A cell as Arrow reads it: quoted from its first character on, or plain; what follows a closing quote is plain.
_CELL: Final = rb'(?:"(?:[^"]|"")*"(?:[^",\r\n][^,\r\n]*)?|[^",\r\n][^,\r\n]*)?'
_ROW: Final = _CELL + rb"(?:," + _CELL + rb")*"


def _compile(pattern: bytes) -> Any:
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1  # bytes, whatever they mean
    options.dot_nl = options.never_capture = True
    return re2.compile(pattern, options)


_ROWS: Final = _compile(rb"(?:" + _ROW + rb"(?:\r\n|\n|\r))*")
_LAST: Final = _compile(_ROW)


class CsvSource:
    """Rows of a CSV file.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.

    Raises:
        InvalidError: It has no usable header, or asks for more than the limits.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.name = name
        self._reader = reader
        self._limits = limits
        self._row = 0  # the first one that was not read yet
        head = reader.pread(0, limits.line_bytes)
        line, found, _ = head.partition(b"\n")
        if not found and reader.size > len(head):
            raise InvalidError("its first line has no end", file=name, row=0, rule="source.line")
        if line.count(b",") >= limits.columns:
            raise InvalidError(
                f"more than {limits.columns} columns", file=name, row=0, rule="source.columns"
            )
        try:
            names = tell_apart(
                [cell.strip().strip('"') for cell in line.decode("utf-8-sig").split(",")]
            )
        except UnicodeDecodeError as error:
            raise InvalidError("not UTF-8", file=name, row=0, rule="source.utf8") from error
        if "" in names or len(set(names)) != len(names):
            raise InvalidError(
                "the header line names each column", file=name, row=0, rule="source.columns"
            )
        self._start = len(line) + len(found)
        self.schema = pa.schema([(column, pa.binary()) for column in names])

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order; a row with too few or too many cells is refused.

        Raises:
            InvalidError: A line is longer than the limit, or nearly every row is ragged.
        """
        self._row = ragged = 0
        for block in self._blocks():
            table, skipped = self._parse(block)
            ragged += len(skipped)
            if ragged > _MOST_RAGGED:
                raise self._unreadable()
            rows = np.arange(self._row, self._row + table.num_rows + len(skipped), dtype=np.int64)
            if skipped:  # those that were skipped keep their numbers
                rows = np.delete(rows, np.array(skipped, dtype=np.int64) - self._row)
            for start in range(0, table.num_rows, self._limits.batch_rows):
                part = slice(start, start + self._limits.batch_rows)
                yield bring(
                    _blank_to_null(table[part]),
                    rows[part],
                    kinds,
                    name=self.name,
                    limits=self._limits,
                )
            if skipped:
                yield Batch(
                    pa.table({}),
                    np.zeros(0, dtype=np.int64),
                    len(skipped),
                    [Refusal(number, "", "source.ragged") for number in skipped],
                )
            self._row += table.num_rows + len(skipped)

    def _blocks(self) -> Iterator[bytes]:
        """Yield whole rows, about a mebibyte at a time; a row is never longer than the limit."""
        offset, rest = self._start, b""
        while piece := self._reader.pread(offset, _BLOCK):
            offset += len(piece)
            rest += piece
            whole = _whole_rows(rest)
            if whole:
                yield rest[:whole]
                rest = rest[whole:]
            if len(rest) > self._limits.line_bytes:
                raise self._unreadable()
        if rest:
            if not _LAST.fullmatch(rest):
                raise self._unreadable()
            yield rest

    def _parse(self, block: bytes) -> tuple[pa.Table, list[int]]:
        """Return the rows of a block, and the numbers of those with too few or too many cells."""
        skipped: list[int] = []

        def note(row: Any) -> str:
            skipped.append(self._row + int(row.number) - 1)
            return "skip"

        if not block.strip(b"\r\n"):
            return self.schema.empty_table(), skipped
        plain = _is_text(block)
        if (
            not plain
        ):  # Arrow shows a ragged row as text: each byte as a letter of its own, and back again
            block = block.decode("latin-1").encode()
        try:
            table = pcsv.read_csv(
                pa.BufferReader(block),
                read_options=pcsv.ReadOptions(
                    use_threads=False, block_size=len(block), column_names=self.schema.names
                ),
                parse_options=pcsv.ParseOptions(invalid_row_handler=note, newlines_in_values=True),
                convert_options=pcsv.ConvertOptions(
                    column_types={name: pa.binary() for name in self.schema.names},
                    strings_can_be_null=False,
                ),
            )
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise self._unreadable() from error
        return table if plain else _bytes_again(table), skipped

    def _unreadable(self) -> InvalidError:
        return InvalidError(
            "a row cannot be read: its quotes do not close, or it is longer than the limit",
            file=self.name,
            row=self._row,
            rule="source.csv",
        )


def tell_apart(names: list[str]) -> list[str]:
    """Return the names of columns; the second of a name gets `` (2)``, and a mapping has to know it as that."""
    seen: dict[str, int] = {}
    told = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        told.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
    return told


def _whole_rows(data: bytes) -> int:
    """Return the length of the whole rows that data begins with."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    found = _ROWS.match(data)
    return 0 if found is None else int(found.end())


def _is_text(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _bytes_again(table: pa.Table) -> pa.Table:
    """Return cells whose bytes were written as letters as those bytes."""
    columns = [
        pa.array([cell.decode().encode("latin-1") for cell in column.to_pylist()], pa.binary())
        for column in table.columns
    ]
    return pa.table(columns, names=table.schema.names)


def _blank_to_null(table: pa.Table) -> pa.Table:
    """Read an empty cell as absent, as the other two formats do."""
    columns = [
        pc.if_else(pc.equal(column, b""), pa.scalar(None, pa.binary()), column)
        for column in table.columns
    ]
    return pa.table(columns, names=table.schema.names)
