"""CSV is cut into blocks of whole rows as Arrow would read them, and no further than a refusal needs."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pcsv
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.ingest_job import as_csv, chat_row, run_bytes

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.source import csv
from safehold.ingest.source.file import FileReader

NAMES = ("a", "b", "c")
KINDS = dict.fromkeys(NAMES, "bytes")
quoted = st.text(st.sampled_from('x,"\n\r'), max_size=6).map(
    lambda text: '"' + text.replace('"', '""') + '"'
)
plain = st.text(st.sampled_from("xyz 1"), min_size=1, max_size=6)
stray = plain.map(lambda text: text + '"' + text)  # no quote to Arrow, for the cell began without
late = st.tuples(quoted, plain).map("".join)  # what follows a closing quote is plain
cells = st.one_of(quoted, plain, stray, late, st.just(""))
ends = st.sampled_from(["\n", "\r\n"])


class Counted(FileReader):
    """A file that knows how much was read of it, and by which threads."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        self.read_bytes = 0
        self.threads: set[int] = set()

    def pread(self, offset: int, length: int) -> bytes:
        data = super().pread(offset, length)
        self.read_bytes += len(data)
        self.threads.add(threading.get_ident())
        return data


def open_file(path: Path) -> Counted:
    return Counted(os.open(path, os.O_RDONLY))


def read(path: Path) -> tuple[list[dict[str, object]], list[int], list[int]]:
    """Return the rows of a file, their numbers, and the numbers of those that were refused."""
    rows: list[dict[str, object]] = []
    numbers: list[int] = []
    refused: list[int] = []
    for batch in csv.CsvSource(open_file(path), name="a.csv", limits=Limits()).batches(KINDS):
        if batch.table.num_columns:
            rows += batch.table.to_pylist()
            numbers += batch.rows.tolist()
        refused += [one.row for one in batch.refusals]
    return rows, numbers, refused


@given(
    st.lists(st.tuples(st.lists(cells, min_size=2, max_size=4), ends), min_size=1, max_size=30),
    st.integers(1, 64),
    st.booleans(),
)
@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_blocks_are_cut_where_rows_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[tuple[list[str], str]],
    block: int, ended: bool,
) -> None:  # fmt: skip
    # a row of one empty cell is an empty line, and those are no rows
    text = "".join(",".join(row) + end for row, end in lines if any(row) or len(row) > 1)
    data = b"a,b,c\n" + (text if ended else text.rstrip("\r\n")).encode()
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    monkeypatch.setattr(csv, "_BLOCK", block)
    wrong: list[int] = []

    def note(row: object) -> str:
        wrong.append(row.number - 2)
        return "skip"

    whole = pcsv.read_csv(
        pa.BufferReader(data),
        read_options=pcsv.ReadOptions(use_threads=False, block_size=len(data)),
        parse_options=pcsv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
        convert_options=pcsv.ConvertOptions(column_types={name: pa.binary() for name in NAMES}),
    )
    rows, numbers, refused = read(path)
    assert rows == [
        {name: value or None for name, value in row.items()} for row in whole.to_pylist()
    ]
    assert refused == wrong
    everything = np.arange(len(rows) + len(refused))
    assert numbers == np.setdiff1d(everything, refused).tolist()


@pytest.mark.parametrize("end", [b'"', b'x,1,2\n"never closed\n', b"no quote at all"])
def test_a_row_without_an_end_is_refused_before_much_of_it_is_read(
    tmp_path: Path, end: bytes
) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"a,b,c\n1,2,3\n" + end)
        file.truncate(1 << 30)  # sparse
    reader = open_file(path)
    source = csv.CsvSource(reader, name="a.csv", limits=Limits())
    with pytest.raises(InvalidError) as caught:
        list(source.batches(KINDS))
    assert caught.value.rule == "source.csv"
    assert f"a.csv, row {2 if end.startswith(b'x') else 1}" in caught.value.message
    assert reader.read_bytes < 3 * Limits().line_bytes
    # nobody reads on behind the back of whoever asked: the descriptor may be closed now
    assert reader.threads == {threading.get_ident()}


def test_a_ragged_row_that_is_not_text_is_refused_like_any_other(tmp_path: Path) -> None:
    rows = as_csv([chat_row(number) for number in range(4)]).split(b"\n")
    rows[2] += b",\xff\xfe"
    rows[3] = rows[3].replace(b"the build is green", b"gr\xfcn")
    frames = run_bytes(b"\n".join(rows), "a.csv", tmp_path, tolerate=0.9)
    refused = {item["row"]: item["rule"] for item in frames.of("refused")}
    assert refused == {1: "source.ragged", 2: "source.utf8"}
    assert frames.tally()["taken"] == {"chat": 2}
