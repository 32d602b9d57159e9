"""Whatever order envelopes come in, however often, and however batches are cut: each is stored once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.keeper_desk import Bench
from tests.stream_desk import Device, Line, begin, events_of, found_stream

from safehold.access.cover import BUCKET, cover, uncover
from safehold.access.envelope import ALREADY, STORED, LeaseKey, name_of
from safehold.canonical import b64
from safehold.errors import InvalidError
from safehold.ingest.network.answer import MOST, join_envelopes, split_envelopes
from safehold.signing import SigningKey

MANY = 5
KEY = LeaseKey(b"q" * 32)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    one = begin(found_stream(tmp_path_factory.mktemp("stream")))
    yield one
    one.stop()


@settings(max_examples=12)
@given(
    batches=st.lists(
        st.lists(st.integers(0, MANY - 1), min_size=1, max_size=7), min_size=1, max_size=4
    )
)
def test_each_envelope_is_stored_once(bench: Bench, batches: list[list[int]]) -> None:
    # a device of its own each time: its pseudonym's numbers have not been seen
    device = Device(Line(bench), bench, "ana", SigningKey.generate())
    start = len(events_of(bench))
    device.first = start
    sealed = [device.seal() for _ in range(MANY)]
    rows = len(device.table())
    came: set[int] = set()
    for batch in batches:
        said = bench.call("lease.hand-in", envelopes=[b64(sealed[one]) for one in batch])
        states = [one["state"] for one in said["answers"]]
        assert states == [ALREADY if one in came else STORED for one in batch]
        came.update(batch)
        assert len(events_of(bench)) == start + rows * len(came)
    rest = bench.call("lease.hand-in", envelopes=[b64(one) for one in sealed])
    assert [one["state"] for one in rest["answers"]] == [
        ALREADY if one in came else STORED for one in range(MANY)
    ]
    assert [seq for _, seq in events_of(bench)] == list(range(start + rows * MANY))
    assert len(bench.desk.catalog.parts.known([name_of(one) for one in sealed])) == MANY


@given(envelopes=st.lists(st.binary(min_size=1, max_size=50), min_size=1, max_size=9))
def test_a_body_of_envelopes_is_read_as_it_was_written(envelopes: list[bytes]) -> None:
    assert split_envelopes(join_envelopes(envelopes)) == envelopes


@given(body=st.binary(max_size=200))
def test_any_other_body_is_refused(body: bytes) -> None:
    try:
        found = split_envelopes(body)
    except InvalidError:
        return
    assert join_envelopes(found) == body
    assert 0 < len(found) <= MOST
    assert all(found)


@settings(max_examples=30)
@given(data=st.binary(max_size=3 * BUCKET), other=st.binary(max_size=3 * BUCKET))
def test_a_cover_tells_of_its_envelope_how_many_buckets_it_is(data: bytes, other: bytes) -> None:
    made, second = cover(data, KEY.public), cover(other, KEY.public)
    assert uncover(made, KEY) == data
    same = (len(data) + 4 + BUCKET - 1) // BUCKET == (len(other) + 4 + BUCKET - 1) // BUCKET
    assert (len(made) == len(second)) == same
    assert made != cover(data, KEY.public), "and never the same twice"
