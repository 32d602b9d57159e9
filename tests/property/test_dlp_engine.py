"""Any text at all: the engine finds what the plain reading finds, and masking leaves nothing to find."""

import time
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.adversary import against
from tests.detection import engine_spans, plain_spans
from tests.detection_cases import FOUND, NEAR

from safehold.dlp import mask_text
from safehold.dlp.engine.tier import TIERS
from safehold.dlp.pattern import load_patterns
from safehold.dlp.scan import find_spans

PIECES = [*FOUND.values(), *NEAR.values()]
SIGNS = "0123456789abcdefABF @.-:/_+=()[]'\"\\\n\t\0é漢😀\u0301\u200b\uff11\u00ad\u202e#!$%"
ANY = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60)
NEAR = st.lists(
    st.one_of(
        st.sampled_from(PIECES),
        st.sampled_from(PIECES).flatmap(lambda text: st.integers(0, len(text)).map(lambda at: text[:at])),
        st.text(alphabet=SIGNS, max_size=24),
    ),
    max_size=5,
).map("".join)  # fmt: skip
ROWS = st.lists(st.one_of(st.none(), ANY, NEAR), max_size=6)
RULES = [rule.id for rule in load_patterns()]


@given(ROWS)
@settings(max_examples=120)
def test_every_tier_finds_what_the_plain_reading_finds(rows):
    want = plain_spans(rows)
    assert engine_spans(rows) == want
    pytest.importorskip("hyperscan")
    assert engine_spans(rows, tier="fast") == want


@given(ROWS)
@settings(max_examples=120)
def test_masking_leaves_nothing_and_spans_stay_in_their_rows(rows):
    array = pa.array(rows, pa.string())
    for row, start, end, low, high, _, confidence in engine_spans(array):
        text = rows[row]
        assert 0 <= start < end <= len(text)
        assert text[:start].encode() == text.encode()[:low]
        assert text[start:end].encode() == text.encode()[low:high]
        assert 0 < confidence <= 100
    masked = mask_text(array)
    assert masked.text.is_null().to_pylist() == [text is None for text in rows]
    assert not len(find_spans(masked.text))


@given(ROWS, ROWS)
@settings(max_examples=60)
def test_what_stands_in_other_rows_changes_nothing(one, two):
    alone = engine_spans(one)
    assert [each for each in engine_spans(one + two) if each[0] < len(one)] == alone


@pytest.mark.parametrize("rule", RULES)
def test_text_made_against_a_rule_gives_the_same_in_every_tier(rule):
    pattern = next(each.pattern for each in load_patterns() if each.id == rule)
    texts = list(against(pattern, 700).values())
    want = plain_spans(texts)
    assert engine_spans(texts) == want
    if pytest.importorskip("hyperscan"):
        assert engine_spans(texts, tier="fast") == want


def seconds(text, *, tier="default", rounds=3, enough=0.0):
    """The least CPU-seconds of finding all spans of one text; one turn that is quick enough is enough."""
    array, best = pa.array([text], pa.large_string()), float("inf")
    for _ in range(rounds):
        if best <= enough:
            break
        start = time.process_time()
        find_spans(array, tier=tier)
        best = min(best, time.process_time() - start)
    return best


def linear(small, large, growth):
    """Ten times the text may take 25 times as long, and a little more for what does not grow."""
    assert large <= 2.5 * growth * small + 0.05, (small, large)


@pytest.mark.parametrize("rule", RULES)
def test_time_grows_with_the_text_and_not_faster(rule):
    pattern = next(each.pattern for each in load_patterns() if each.id == rule)
    small, large = against(pattern, 8_000), against(pattern, 80_000)
    for name in small:
        find_spans(pa.array([small[name]]))  # what is made on first use is not counted
        little = seconds(small[name])
        # a collection of garbage in a process that holds much may fall into one turn, not into three
        linear(little, seconds(large[name], rounds=3, enough=25 * little + 0.05), 10)


@pytest.mark.proof
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("rule", RULES)
def test_time_grows_with_the_text_up_to_ten_megabytes(rule, tier):
    if tier == "fast":
        pytest.importorskip("hyperscan")
    pattern = next(each.pattern for each in load_patterns() if each.id == rule)
    sizes = [1_000, 10_000, 100_000, 1_000_000, 10_000_000]
    texts = {size: against(pattern, size) for size in sizes}
    for name in texts[sizes[0]]:
        taken = [
            seconds(texts[size][name], tier=tier, rounds=2 if size < 10_000_000 else 1)
            for size in sizes
        ]
        print(f"{rule} {tier} {name}: " + ", ".join(f"{size:,}: {each * 1e3:.1f} ms" for size, each in zip(sizes, taken, strict=True)))  # fmt: skip
        for small, large in pairwise(taken):
            linear(small, large, 10)
