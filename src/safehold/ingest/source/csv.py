"""CSV with a header line (RFC 4180), a block at a time; a cell is text until a rule reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pcsv

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.refusal import Refusal
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.table import Batch, bring

_MOST_RAGGED = 100_000


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
        self._ragged: list[int] = []
        head = reader.pread(0, limits.line_bytes)
        line, found, _ = head.partition(b"\n")
        if not found and reader.size > len(head):
            raise InvalidError("its first line has no end", file=name, row=0, rule="source.line")
        if line.count(b",") >= limits.columns:
            raise InvalidError(
                f"more than {limits.columns} columns", file=name, row=0, rule="source.columns"
            )
        try:
            names = [cell.strip().strip('"') for cell in line.decode("utf-8-sig").split(",")]
        except UnicodeDecodeError as error:
            raise InvalidError("not UTF-8", file=name, row=0, rule="source.utf8") from error
        if len(set(names)) != len(names) or "" in names:
            raise InvalidError(
                "the header line names each column once", file=name, row=0, rule="source.columns"
            )
        self.schema = pa.schema([(column, pa.binary()) for column in names])

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order; a row with too few or too many cells is refused.

        Raises:
            InvalidError: A line is longer than the limit, or nearly every row is ragged.
        """
        good = 0
        try:
            for batch in self._open():
                table = _blank_to_null(pa.Table.from_batches([batch]))
                for part in _split(table, self._limits.batch_rows):
                    rows = self._numbers(good, len(part))
                    good += len(part)
                    yield bring(part, rows, kinds, name=self.name, limits=self._limits)
        except (pa.ArrowException, OSError, MemoryError) as error:
            raise InvalidError(
                "a row cannot be read: its quotes do not close, or it is longer than the limit",
                file=self.name,
                row=good + len(self._ragged),
                rule="source.csv",
            ) from error
        yield Batch(
            pa.table({}),
            np.zeros(0, dtype=np.int64),
            len(self._ragged),
            [Refusal(row, "", "source.ragged") for row in self._ragged],
        )

    def _open(self) -> Any:
        self._reader.seek(0)
        self._ragged = []
        return pcsv.open_csv(
            pa.PythonFile(self._reader, mode="r"),
            read_options=pcsv.ReadOptions(
                use_threads=False,
                block_size=self._limits.line_bytes,
                column_names=self.schema.names,
                skip_rows=1,
            ),
            parse_options=pcsv.ParseOptions(
                invalid_row_handler=self._note_ragged, newlines_in_values=True
            ),
            convert_options=pcsv.ConvertOptions(
                column_types={name: pa.binary() for name in self.schema.names},
                strings_can_be_null=False,
            ),
        )

    def _note_ragged(self, row: Any) -> str:
        if len(self._ragged) >= _MOST_RAGGED:
            return "error"
        self._ragged.append(int(row.number) - 2)
        return "skip"

    def _numbers(self, good: int, count: int) -> np.ndarray:
        """Return the source numbers of the next rows: those that were skipped keep theirs."""
        numbers = np.arange(good, good + count, dtype=np.int64)
        for skipped in self._ragged:
            numbers[numbers >= skipped] += 1
        return numbers


def _blank_to_null(table: pa.Table) -> pa.Table:
    """Read an empty cell as absent, as the other two formats do."""
    columns = [
        pc.if_else(pc.equal(column, b""), pa.scalar(None, pa.binary()), column)
        for column in table.columns
    ]
    return pa.table(columns, names=table.schema.names)


def _split(table: pa.Table, size: int) -> Iterator[pa.Table]:
    for start in range(0, len(table), size):
        yield table.slice(start, size)
