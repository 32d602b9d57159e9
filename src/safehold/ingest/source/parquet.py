"""Parquet, one row group and one small batch at a time.

What a file says about itself is checked before anything is decoded: the footer's size, the number
of columns, the size of each column chunk. Text columns are read as dictionaries, so a value that is
repeated a million times is held once.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.table import Batch, bring


class ParquetSource:
    """Rows of a Parquet file.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.

    Raises:
        InvalidError: It is not Parquet, is cut short, or asks for more than the limits.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.name = name
        self._limits = limits
        self._reader = reader
        self._check_footer()
        try:
            self._file = self._open(None)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise self._broken() from error
        meta = self._file.metadata
        if meta.num_columns > limits.columns:
            raise InvalidError(
                f"more than {limits.columns} columns", file=name, row=0, rule="source.columns"
            )
        self.schema = self._file.schema_arrow
        if len(set(self.schema.names)) != len(self.schema.names):
            raise InvalidError("two columns share a name", file=name, row=0, rule="source.columns")
        self._check_groups(meta)
        self._rows = meta.num_rows

    def _open(self, words: list[str] | None) -> pq.ParquetFile:
        return pq.ParquetFile(
            pa.PythonFile(self._reader, mode="r"),
            read_dictionary=words,
            buffer_size=1 << 16,
            pre_buffer=False,
            thrift_string_size_limit=self._limits.footer_bytes,
            thrift_container_size_limit=1_000_000,
            arrow_extensions_enabled=False,
        )

    def _check_footer(self) -> None:
        tail = self._reader.pread(max(0, self._reader.size - 8), 8)
        if self._reader.size < 12 or tail[4:] != b"PAR1" or self._reader.pread(0, 4) != b"PAR1":
            raise self._broken()
        (length,) = struct.unpack("<I", tail[:4])
        if length + 12 > self._reader.size:
            raise self._broken()
        if length > self._limits.footer_bytes:
            raise InvalidError(
                f"its footer is larger than {self._limits.footer_bytes} bytes",
                file=self.name,
                row=0,
                rule="source.footer",
                fix="write fewer columns and fewer row groups",
            )

    def _check_groups(self, meta: pq.FileMetaData) -> None:
        total = 0
        for index in range(meta.num_row_groups):
            group = meta.row_group(index)
            for column in range(meta.num_columns):
                if group.column(column).total_uncompressed_size > self._limits.page_bytes:
                    raise InvalidError(
                        f"a column of row group {index} is larger than"
                        f" {self._limits.page_bytes} bytes",
                        file=self.name,
                        row=total,
                        rule="source.size",
                        fix="write smaller row groups",
                    )
            total += group.num_rows
        if total != meta.num_rows:
            raise InvalidError(
                "the row count in the footer is not that of the row groups",
                file=self.name,
                row=min(total, meta.num_rows),
                rule="source.row_count",
            )

    def batches(self, kinds: Mapping[str, str]) -> Iterator[Batch]:
        """Yield the rows in order.

        Raises:
            InvalidError: The file is damaged, or holds fewer or more rows than it says.
        """
        wanted = [name for name in kinds if name in self.schema.names]
        words = [name for name in wanted if kinds[name] == "text"]
        at = 0
        try:
            file = self._open(words)
            groups = file.iter_batches(
                batch_size=self._batch_rows(), columns=wanted, use_threads=False
            )
            for batch in groups:
                rows = np.arange(at, at + batch.num_rows, dtype=np.int64)
                at += batch.num_rows
                yield bring(
                    pa.Table.from_batches([batch]), rows, kinds, name=self.name, limits=self._limits
                )
        except (pa.ArrowException, OSError, ValueError, MemoryError, pa.ArrowMemoryError) as error:
            raise InvalidError(
                "the file is damaged, or holds more than the limits allow",
                file=self.name,
                row=at,
                rule="source.parquet",
            ) from error
        if at != self._rows:
            raise InvalidError(
                "it holds fewer or more rows than it says",
                file=self.name,
                row=at,
                rule="source.row_count",
            )

    def _batch_rows(self) -> int:
        meta = self._file.metadata
        size = sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))
        width = max(1, size // max(1, meta.num_rows))
        return int(max(64, min(self._limits.batch_rows, self._limits.batch_bytes // width)))

    def _broken(self) -> InvalidError:
        return InvalidError(
            "not a whole Parquet file", file=self.name, row=0, rule="source.parquet"
        )
