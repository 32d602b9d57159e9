"""Whatever the text: after masking nothing is found, and nothing planted is left."""

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.timing import least, linear

from safehold.dlp import Rules, mask_text, minimise
from safehold.dlp.scan import find_spans
from safehold.telemetry.schema import WIRE

PARTS = [
    "ann@b.example", "4111 1111 1111 1111", "123-45-6789", "password: hunter42", "AKIAIOSFODNN7EXAMPLE", " ", ", ", "é漢😀",
    "call ", "code ", "[", "]", ":", "+1 415 555 1234", "DE89370400440532013000", "10.1.2.3", "the ", "key = ", "union meeting ",
    "00:1b:44:11:3a:b7", "https://", "salary of 90,000 ", "\n", "\0", "482913", "-", "user ", "a_1",
]  # fmt: skip
texts = st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=6)), max_size=12).map("".join)
slow = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@slow
@given(st.lists(st.one_of(st.none(), texts), min_size=1, max_size=5))
def test_after_masking_a_scan_finds_nothing(values):
    array = pa.array(values, pa.large_string())
    masked = mask_text(array)
    assert len(masked.text) == len(values)
    assert masked.text.is_null().to_pylist() == [v is None for v in values]
    left = find_spans(masked.text)
    assert not len(left)
    assert (masked.sens[find_spans(array).row] > 0).all()


@slow
@given(
    texts,
    st.sampled_from(
        ["4111111111111111", "123-45-6789", "ghp_" + "aB3d" * 9, "ann.lee@mail.example"]
    ),
)
def test_a_planted_secret_is_never_left_in_text(around, secret):
    masked = mask_text(pa.array([f"{around} {secret} {around}"])).text[0].as_py()
    assert secret not in masked


keys = st.one_of(
    st.sampled_from(["Backspace", "Delete", "ArrowLeft", "ArrowRight", "Home", "End", "Enter", "Shift", "a", "1", " ", "Tab", "v", "x", None, ""]),
    st.characters(codec="utf-8"), st.text(max_size=3),
)  # fmt: skip
rows = st.lists(
    st.tuples(
        keys, st.integers(0, 4), st.one_of(st.none(), st.integers(0, 255)), st.booleans(), st.integers(-(2**50), 2**50),
        st.one_of(st.none(), st.text(max_size=4)), st.sampled_from(["s", "t"]), st.one_of(st.none(), st.integers(0, 2**32 - 1)),
    ),
    max_size=60,
)  # fmt: skip


@slow
@given(rows, st.integers(0, 4), st.randoms())
def test_no_valid_key_events_make_it_fail_and_no_event_is_lost_unseen(made, level, chance):
    count = len(made)
    seqs = list(range(count))
    chance.shuffle(seqs)
    columns = {
        "person": ["p"] * count, "device": ["d"] * count, "session": [r[6] for r in made], "seq": seqs,
        "t": [abs(r[4]) for r in made], "mono": [r[4] for r in made], "kind": [r[1] for r in made],
        "key": [r[0] for r in made], "mods": [r[2] for r in made], "repeat": [r[3] for r in made],
        "composing": [not r[3] for r in made], "commit": [r[5] for r in made], "ctx": [r[7] for r in made],
    }  # fmt: skip
    arrays = []
    for f in WIRE["key"]:
        kind = pa.int64() if pa.types.is_temporal(f.type) else f.type
        arrays.append(
            pa.array(columns[f.name], kind).cast(f.type)
            if f.name in columns
            else pa.nulls(count, f.type)
        )
    table = pa.Table.from_arrays(arrays, schema=WIRE["key"])
    rules = Rules.from_spec({"stream": "key", "level": level})
    first = minimise("key", table, rules)
    assert first.table.num_rows + sum(first.dropped.values()) == count
    assert minimise("key", table, rules) == first  # nothing is remembered
    if level in (1, 2, 3):
        assert all(len(k) > 1 for k in first.table["key"].to_pylist())


@pytest.mark.parametrize(
    "unit",
    [
        "1",
        "1-",
        "a@",
        "a.",
        "4111 ",
        "password: ",
        "A1b2C3d4",
        "::1",
        "é漢😀",
        "key=",
        "a@b.c ",
        "Aa1!",
    ],
)
def test_scanning_takes_linear_time(unit):
    texts = [pa.array([(unit * size)[:size]]) for size in (32_000, 1_000_000)]
    small, large = (least(lambda text=text: find_spans(text), 2) for text in texts)
    assert linear(small, large, growth=31.25)
