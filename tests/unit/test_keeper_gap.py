"""Which two words of a device prove the longest silence."""

from types import SimpleNamespace

import pytest

from safehold.access.gap import Mark, sign_mark
from safehold.errors import MissingError
from safehold.keeper.ask import shards
from safehold.keeper.silence import quiet_pair
from safehold.keeper.work import share_of
from safehold.signing import SigningKey

DEVICE = SigningKey(b"d" * 32)


def said(at_us, count, event_us=5):
    mark = Mark(at_us=at_us, event_us=event_us, positions={"key": count})
    return SimpleNamespace(at_us=at_us, device=DEVICE.public.text(), record=sign_mark(mark, DEVICE))


def times(rows, from_us):
    first, last = quiet_pair(rows, from_us)
    return first.at_us, last.at_us


def test_the_record_ends_before_recording_goes_on():
    assert times([said(10, 7), said(20, 7), said(30, 7), said(40, 9, 35)], 8) == (10, 30)


def test_a_word_from_before_counts_if_nothing_was_recorded_in_between():
    assert times([said(5, 7), said(20, 7), said(40, 9, 35)], 8) == (5, 20)


def test_a_word_from_before_does_not_count_if_something_was():
    assert times([said(5, 6, 4), said(20, 7), said(30, 7)], 8) == (20, 30)


@pytest.mark.parametrize("rows", [[], [said(10, 7)], [said(5, 6, 4), said(20, 7)], [said(5, 7)]])
def test_one_word_proves_nothing(rows):
    with pytest.raises(MissingError):
        quiet_pair(rows, 8)


def test_of_one_stream_a_word_after_events_of_another_proves_nothing():
    rows = [said(20, 7, 6), said(30, 7, 25)]
    first, last = quiet_pair(rows, 8, only={"key"})
    assert (first.at_us, last.at_us) == (20, 30)
    with pytest.raises(MissingError):
        quiet_pair([said(20, 7, 12), said(30, 7, 25)], 8, only={"key"})


def test_a_large_crowd_is_sampled_and_a_small_one_is_not():
    assert share_of(50) == share_of(1_000) == 1_000_000
    assert share_of(4_000) == 250_000


def test_shards_are_bounded_in_people_and_in_rows():
    blocks = {
        f"p{at:03}": [SimpleNamespace(rows=1), SimpleNamespace(rows=at % 7)] for at in range(100)
    }
    blocks["p050"] = [SimpleNamespace(rows=500)]
    groups = list(shards(blocks, rows=90, people=20))
    assert [one for group in groups for one in group] == sorted(blocks)
    assert max(len(group) for group in groups) == 20
    sizes = [sum(block.rows for one in group for block in blocks[one]) for group in groups]
    # one person alone may be larger, for a person is never split
    assert [len(group) for group, size in zip(groups, sizes, strict=True) if size > 90] == [1]
