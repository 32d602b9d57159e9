"""A value in another guise is the same value, and no guise hides it from the scan."""

from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.planted import left_of

from safehold.dlp import mask_text
from safehold.workforce.guise import (
    COMPOSED,
    LINKED,
    SAID,
    make_composed,
    make_link,
    make_said,
    narrow,
    say,
    widen,
)
from safehold.workforce.meeting import hold
from safehold.workforce.secret import IDENTIFIERS, Secret
from safehold.workforce.spec import Draw, generator

PRINTABLE = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
DIGITS = {say(digit): digit for digit in "0123456789"}
SEEDS = range(25)


@given(text=PRINTABLE)
def test_what_is_widened_is_typed_as_it_was(text):
    assert narrow(widen(text)) == text
    assert narrow(text) == text
    assert not any(" " < mark <= "~" for mark in widen(text))


@given(
    digits=st.text("0123456789", min_size=1, max_size=24), marks=st.lists(st.sampled_from(" -()"))
)
def test_what_is_read_out_has_the_same_digits(digits, marks):
    value = "".join(a + b for a, b in zip(digits, marks + [""] * len(digits), strict=False))
    assert len(DIGITS) == 10
    assert "".join(DIGITS[word] for word in say(value).split()) == digits


@given(seed=st.integers(0, 2**32), pace=st.integers(200, 20_000), planted=st.booleans())
def test_a_meeting_says_its_secret_once_and_one_thing_after_the_other(seed, pace, planted):
    secret = Secret(kind="OTP", value="48392017", before="code ") if planted else None
    said, lasts, place = hold(
        Draw(generator(seed, 0)), action=3, name="m", host="a", guests=["b"], pace=pace,
        secret=secret,
    )  # fmt: skip
    assert len(said) >= 3
    assert all(one.end <= two.start for one, two in pairwise(said))
    assert said[-1].end <= lasts
    holding = [at for at, one in enumerate(said) if "48392017" in one.text]
    assert holding == ([place] if planted else [])
    assert not planted or said[place].speaker == "a"


@pytest.mark.parametrize(
    ("make", "kinds"),
    [(make_said, (*SAID, *IDENTIFIERS)), (make_link, LINKED), (make_composed, COMPOSED)],
)
def test_no_guise_hides_a_value_from_the_scan(make, kinds):
    secrets = [
        make(kind, Draw(generator(seed, 99))) for kind in dict.fromkeys(kinds) for seed in SEEDS
    ]
    texts = [f"new list {one.before}{one.value}{one.after}" for one in secrets]
    masked = mask_text(pa.array(texts, pa.large_string())).text.to_pylist()
    left = [(one, text) for one, text in zip(secrets, masked, strict=True)
            if left_of(one.value, text) >= 0.5]  # fmt: skip
    assert not left
