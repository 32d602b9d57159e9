"""Whatever rows a stream holds come back as they went in."""

from __future__ import annotations

import string

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.vaults import LABEL, TODAY, make_home, plain

from safehold.telemetry.schema import REST
from safehold.vault import keys, pad
from safehold.vault.header import Header, parse
from safehold.vault.label import Label

_WORDS = st.text(string.ascii_letters + "\u00e4\u4e2d ", max_size=8)


def _values(kind: pa.DataType) -> st.SearchStrategy:
    if pa.types.is_dictionary(kind):
        return st.sampled_from(["a", "b", "c", "\u00e9", ""])
    if pa.types.is_list(kind):
        return st.lists(_values(kind.value_type), max_size=3)
    if pa.types.is_fixed_size_binary(kind):
        return st.binary(min_size=kind.byte_width, max_size=kind.byte_width)
    if pa.types.is_boolean(kind):
        return st.booleans()
    if pa.types.is_integer(kind):
        bits = kind.bit_width
        if pa.types.is_unsigned_integer(kind):
            return st.integers(0, 2**bits - 1)
        return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return st.integers(-(2**40), 2**40)  # Python's own times end before Arrow's
    if pa.types.is_floating(kind):
        return st.floats(allow_nan=False, width=kind.bit_width)
    return _WORDS


def _column(field: pa.Field, values: list) -> pa.Array:
    if pa.types.is_dictionary(field.type):
        return pa.array(values, pa.string()).dictionary_encode().cast(field.type)
    if pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type):
        return pa.array(values, pa.int64()).cast(field.type)
    return pa.array(values, field.type)


@st.composite
def _tables(draw, stream: str) -> pa.Table:
    schema = REST[stream]
    count = draw(st.integers(0, 12))
    columns = []
    for field in schema:
        one = _values(field.type)
        if field.nullable:
            one = st.none() | one
        columns.append(_column(field, draw(st.lists(one, min_size=count, max_size=count))))
    table = pa.table(columns, schema=schema)
    if count and draw(st.booleans()):
        cut = draw(st.integers(0, count))
        table = pa.concat_tables([table.slice(0, cut), table.slice(cut)])
    return table


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return make_home(tmp_path_factory.mktemp("vault"))


@pytest.mark.parametrize("stream", sorted(REST))
@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_rows_of_every_stream_come_back(home, stream, data):
    table = data.draw(_tables(stream))
    sealed = home.vault.seal([plain(stream=stream, table=table)], segment="de")
    ((record, back),) = home.vault.read(sealed.blocks)
    assert record.rows == table.num_rows
    assert back.schema == REST[stream]
    assert back.to_pylist() == table.to_pylist()
    back.validate(full=True)


@settings(max_examples=50, deadline=None)
@given(
    purposes=st.sets(st.sampled_from(["a", "b", "c d", "\u00e9"]), min_size=1),
    rows=st.integers(0, 2**40),
    expires=st.integers(1, 2**31 - 1),
    jurisdiction=st.sampled_from(["DE", "US-CA", "*"]),
)
def test_a_header_is_read_as_it_was_written(purposes, rows, expires, jurisdiction):
    header = Header(
        tag=b"t" * 16,
        stream="key",
        segment="de",
        window=TODAY,
        label=Label(
            purposes=tuple(sorted(purposes)),
            jurisdiction=jurisdiction,
            expires=expires,
            charter=LABEL.charter,
        ),
        object="ab" * 16,
        generation=1,
        sequence=0,
        rows=rows,
        codec="ipc",
    )
    assert parse(header.encode()) == header


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=200), aad=st.binary(max_size=40), flip=st.integers(0, 10_000))
def test_small_secrets_open_whole_or_not_at_all(data, aad, flip):
    key = keys.new_key()
    sealed = keys.seal_bytes(key, data, aad=aad)
    assert keys.open_bytes(key, sealed, aad=aad) == data
    bad = bytearray(sealed)
    bad[flip % len(bad)] ^= 1
    with pytest.raises(Exception, match="does not hold"):
        keys.open_bytes(key, bytes(bad), aad=aad)


@settings(max_examples=200, deadline=None)
@given(size=st.integers(1, 2**40))
def test_a_bucket_covers_its_size_within_an_eighth(size):
    padded = pad.bucket(size)
    assert padded >= size
    assert padded == pad.bucket(padded)
    assert padded <= max(512, size * 1.125)
