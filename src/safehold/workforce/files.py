"""Write a workforce as files in canonical wire form: for tests and how-tos, never for the demo."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from safehold.errors import InvalidError
from safehold.telemetry.schema import WIRE
from safehold.workforce.day import person_day
from safehold.workforce.people import streams_of
from safehold.workforce.spec import Spec

FORMATS: Final = ("parquet", "jsonl", "csv")


def write_files(spec: Spec, folder: Path, format: str = "parquet") -> list[Path]:  # noqa: A002
    """Write one file per stream and return their paths.

    Rows are ordered by person, day and time. In JSONL and CSV, ``t`` and ``mono`` and every other
    time is an integer count of microseconds; a CSV cell holds participants separated by spaces.
    The files hold raw text, secrets included.

    Args:
        spec: The company.
        folder: Where to write; it is made if it is missing.
        format: ``parquet``, ``jsonl`` or ``csv``.

    Raises:
        InvalidError: The format is unknown.
    """
    if format not in FORMATS:
        raise InvalidError("Unknown file format", rule="workforce.files", fix=", ".join(FORMATS))
    folder.mkdir(parents=True, exist_ok=True)
    parts: dict[str, list[pa.Table]] = {stream: [] for stream in streams_of(spec)}
    for index in range(spec.people):
        for day in range(spec.days):
            for stream, table in person_day(spec, index, day).items():
                parts[stream].append(table)
    paths = []
    for stream, tables in parts.items():
        path = folder / f"{stream}.{format}"
        _write(pa.concat_tables(tables).cast(WIRE[stream]), path, format)
        paths.append(path)
    return paths


def _write(table: pa.Table, path: Path, form: str) -> None:
    if form == "parquet":
        pq.write_table(table, path, compression="zstd")
        return
    flat = table.cast(pa.schema([_as_number(field) for field in table.schema]))
    if form == "jsonl":
        with path.open("wb") as out:
            for batch in flat.to_batches(max_chunksize=10_000):
                for row in batch.to_pylist():
                    out.write(orjson.dumps(row) + b"\n")
        return
    for at, field in enumerate(flat.schema):
        if pa.types.is_list(field.type):
            joined = pc.binary_join(flat.column(at), " ")
            flat = flat.set_column(at, pa.field(field.name, pa.string()), joined)
    pc_csv.write_csv(flat, path)


def _as_number(field: pa.Field) -> pa.Field:
    if pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type):
        return pa.field(field.name, pa.int64(), nullable=field.nullable)
    return field
