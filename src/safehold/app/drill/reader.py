"""Reads every Parquet table below a folder that it may read, and counts: run by somebody who should not be able to.

A program of its own, so that it can run under another user id; it prints counts, never a value.
"""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from ahocorasick_rs import AhoCorasick

DOWN = 1  # kind of a key event


def read(folder: Path, values: list[str], *, by_mode: bool = False) -> dict[str, Any]:
    """Return how many tables, rows, people and planted values somebody reads.

    Args:
        folder: Where the tables are.
        values: Planted values.
        by_mode: Judge by the modes of the files for others, for lack of another user.
    """
    machine = AhoCorasick(values)
    people: set[str] = set()
    canaries: set[int] = set()
    records = tables = of = failed = 0
    for file in sorted(folder.rglob("*.parquet")):
        of += 1
        if by_mode and not _open_to_others(file, folder):
            continue
        try:
            table = pq.ParquetFile(file).read(use_threads=False)
        except PermissionError:
            continue
        except (OSError, pa.ArrowException):
            failed += 1
            continue
        tables += 1
        records += table.num_rows
        if "person" in table.column_names:
            people |= set(table["person"].to_pylist())
        for text in _texts(table):
            canaries |= {found[0] for found in machine.find_matches_as_indexes(text)}
    if not of and not by_mode:
        of = -1  # what may not even be listed
    return {
        "tables": tables,
        "records": records,
        "people": len(people),
        "canaries": len(canaries),
        "of": of,
        "failed": failed,
    }


def _texts(table: pa.Table) -> list[str]:
    texts = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if name == "key" and "kind" in table.column_names:
            texts.append(_typed(table))
        elif name != "person" and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            texts.append("\n".join(one for one in column.to_pylist() if one))
    return texts


def _typed(table: pa.Table) -> str:
    """Return what was typed, as keys went down; what was deleted again is deleted."""
    typed: list[str] = []
    for kind, key in zip(table["kind"].to_pylist(), table["key"].to_pylist(), strict=True):
        if kind != DOWN or not key:
            continue
        if key == "Backspace":
            del typed[-1:]
        elif len(key) == 1:
            typed.append(key)
    return "".join(typed)


def _open_to_others(file: Path, folder: Path) -> bool:
    if not file.stat().st_mode & stat.S_IROTH:
        return False
    places = [one for one in file.parents if one == folder or folder in one.parents]
    return all(place.stat().st_mode & stat.S_IXOTH for place in places)


if __name__ == "__main__":
    found = read(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text("utf-8")))
    sys.stdout.write(json.dumps(found))
