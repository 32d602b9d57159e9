"""What stands instead of what was found."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold.dlp.scan import find_spans
from safehold.dlp.transform import NEVER_NAMED, Change, Policy, derive_key, name_value, redact
from safehold.errors import InvalidError

KEY = bytes(range(32))
TEXT = "mail ada.lovelace@example.com or Ada.Lovelace@Example.com, card 4111 1111 1111 1111, from 192.0.2.17"


def changed(text, **changes):
    policy = Policy(changes={name: Change(word) for name, word in changes.items()}, key=KEY)
    return redact(pa.table({"t": [text, None]}), ["t"], policy)["t"].to_pylist()[0]


def test_without_a_policy_everything_becomes_its_class():
    assert changed(TEXT) == "mail [EMAIL] or [EMAIL], card [CARD], from [IP]"


def test_what_is_dropped_leaves_nothing():
    assert changed(TEXT, EMAIL="drop", CARD="drop") == "mail  or , card , from [IP]"


def test_two_spellings_of_one_thing_are_one_pseudonym():
    parts = changed(TEXT, EMAIL="pseudonym").split()
    assert parts[1] == parts[3].rstrip(",")
    assert parts[1].startswith("[EMAIL:")
    assert "ada" not in parts[1]


def test_pseudonyms_of_two_purposes_people_or_classes_cannot_be_joined():
    keys = [derive_key(KEY, "a"), derive_key(KEY, "b"), derive_key(bytes(32), "a")]
    names = {
        name_value(key, kind, "ada@example.com") for key in keys for kind in ("EMAIL", "USERNAME")
    }
    assert len(names) == 6


@pytest.mark.parametrize("kind", sorted(NEVER_NAMED))
def test_what_can_be_tried_out_gets_no_pseudonym(kind):
    with pytest.raises(InvalidError) as refused:
        Policy(changes={kind: Change.PSEUDONYM}, key=KEY)
    assert refused.value.rule == "dlp.transform.guessable"


def test_a_number_of_another_class_gets_no_pseudonym_either():
    assert changed("from 192.0.2.17", IP="pseudonym") == "from [IP]"


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("from 192.0.2.17 now", "from [IP:192.0.0.0/16] now"),
        ("to ada@mail.example.org", "to [EMAIL:*.org]"),
    ],
)
def test_something_coarser(text, want):
    assert changed(text, IP="generalise", EMAIL="generalise") == want


@pytest.mark.parametrize(
    ("policy", "rule"),
    [
        ({"changes": {"NOTHING": Change.DROP}}, "dlp.transform.class"),
        ({"changes": {"EMAIL": Change.PSEUDONYM}}, "dlp.transform.key"),
        ({"changes": {"EMAIL": Change.PSEUDONYM}, "key": b"short"}, "dlp.transform.key"),
        ({"changes": {"CARD": Change.GENERALISE}}, "dlp.transform.coarser"),
    ],
)
def test_a_policy_that_cannot_be_kept_is_refused(policy, rule):
    with pytest.raises(InvalidError) as refused:
        Policy(**policy)
    assert refused.value.rule == rule
    assert refused.value.fix


def test_a_key_is_never_shown():
    assert str(list(KEY)) not in repr(Policy(key=KEY))
    assert repr(KEY) not in repr(Policy(key=KEY))
    with pytest.raises(InvalidError):
        derive_key(b"short", "a")


@pytest.mark.parametrize("column", ["none", "n"])
def test_a_column_that_is_none_of_text_is_refused(column):
    with pytest.raises(InvalidError):
        redact(pa.table({"n": [1]}), [column], Policy())


def test_sliced_rows_and_batches_are_taken():
    batch = pa.record_batch({"t": ["x", "mail a.b@example.com", None, "y"]})
    done = redact(batch.slice(1, 2), ["t"], Policy())
    assert done.column(0).to_pylist() == ["mail [EMAIL]", None]
    assert done.schema == batch.schema


@given(st.text(max_size=200), st.sampled_from(list(Change)))
def test_any_text_is_taken_and_what_was_found_is_gone(text, change):
    text = f"{text} ada.lovelace@example.com {text}"
    told = changed(text, EMAIL=change)
    assert "lovelace" not in told
    assert len(find_spans(pa.array([text]))) > 0
