"""Canonical bytes equal RFC 8785 inside the profile, and are refused outside it."""

import sys
import tracemalloc
import uuid

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from safehold.canonical import LARGEST, b64, decode, digest, encode, unb64
from safehold.errors import InvalidError

keys = st.text(st.characters(min_codepoint=0, max_codepoint=127), max_size=8)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
leaves = st.none() | st.booleans() | st.integers(-LARGEST, LARGEST) | texts
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_the_profile_equals_rfc_8785(value):
    assert encode(value) == rfc8785.dumps(value)
    assert decode(encode(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        -0.0,
        float("nan"),
        LARGEST + 1,
        -LARGEST - 1,
        {"\u00e9": 1},
        {1: 2},
        b"bytes",
        {"a": {"b": 1e3}},
        {"a": 1, "b": LARGEST + 1},
        {"a": -LARGEST - 1},
        {"a": "\ud800"},
        {"a": 1e3},
        {"a": uuid.UUID(int=1)},
        {"\u00e9": "\u00e9"},
        {"\ud800": 1},
        "\ud800",
        object(),
    ],
)
def test_outside_the_profile_is_refused(value):
    with pytest.raises(InvalidError):
        encode(value)


@given(st.dictionaries(keys, st.integers(-LARGEST, LARGEST) | texts, max_size=4))
def test_a_flat_value_is_encoded_as_it_is_within_another(value):
    """Flat mappings take a way of their own; what they come to is the same."""
    assert encode([value]) == b"[" + encode(value) + b"]"


def test_nesting_is_bounded():
    value = []
    for _ in range(70):
        value = [value]
    with pytest.raises(InvalidError, match="deeply"):
        encode(value)


@pytest.mark.parametrize(
    "data", [b'{"b":1,"a":2}', b'{"a": 1}', b'{"a":1}\n', b"{", b'{"a":1,"a":2}']
)
def test_only_the_canonical_spelling_is_read(data):
    with pytest.raises(InvalidError):
        decode(data)


def test_a_digest_tells_values_apart():
    assert digest({"a": 1}) != digest({"a": 2})
    assert len(digest([])) == 32


@given(st.binary(max_size=40))
def test_base64_has_one_spelling(data):
    assert unb64(b64(data)) == data


@pytest.mark.parametrize("text", ["QQ", "QQ=", "QR==", "Q Q=", "QQ==\n", "-_==", "é"])
def test_other_spellings_of_base64_are_refused(text):
    with pytest.raises(InvalidError):
        unb64(text)


@pytest.mark.parametrize("value", [{"a": "x" * 300}, {"a": ["x" * 300]}])
def test_what_is_kept_takes_no_more_memory_than_it_needs(value):
    encode(value)
    tracemalloc.start()
    try:
        kept = [encode({"b": number, **value}) for number in range(500)]
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    # a buffer as the encoder leaves it has 4,096 bytes and more
    assert held < 1.5 * sum(map(sys.getsizeof, kept))
