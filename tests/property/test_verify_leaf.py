"""The quick reading of leaves accepts exactly what the one pattern of their canonical form accepts."""

from __future__ import annotations

import base64
import os
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.ledger.tile import pack_entries
from safehold_verify.errors import VerificationError
from safehold_verify.files import cut_bundle
from safehold_verify.leaf import KINDS, Leaf, parse_leaf
from safehold_verify.shape import Shapes

# The definition, kept here apart from the verifier: closed fields in order, no spaces, one spelling.
HASH = rb"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]="
FACT = rb'"([a-z0-9_]{1,32})":(?:0|[1-9][0-9]{0,15}|"[A-Za-z0-9._:/+=@-]{1,256}")'
LEAF = re.compile(
    rb'\{"act":"' + HASH + rb'","chr":"(?:' + HASH + rb')?","ct":"' + HASH + rb'","det":"' + HASH
    + rb'","k":"([a-z.]{1,32})","obj":"' + HASH + rb'"(?:,"pub":\{(' + FACT + rb"(?:," + FACT
    + rb')*)\})?(?:,"ref":(0|[1-9][0-9]{0,15}))?,"seg":"([A-Za-z0-9._:/@-]{0,128})","sub":"' + HASH
    + rb'","t":(0|[1-9][0-9]{0,15}),"v":"sh-audit/1"\}'
)  # fmt: skip


def oracle(data: bytes) -> Leaf | None:
    found = LEAF.fullmatch(data)
    if found is None or found[1].decode() not in KINDS:
        return None
    facts = re.findall(FACT, found[2] or b"")
    if any(one >= two for one, two in pairwise(facts)):
        return None
    return found[1].decode(), int(found[7]), -1 if found[5] is None else int(found[5])


def pattern(data: bytes) -> Leaf | None:
    try:
        return parse_leaf(data)
    except VerificationError:
        return None


def at_once(entries: list[bytes], shapes: Shapes | None = None) -> list[Leaf] | None:
    """What the reading of many leaves at once says; nothing if one of them is none."""
    try:
        cut, rows = cut_bundle(pack_entries(entries), len(entries), "a bundle")
        assert [one[1:] for one in cut] == entries
        groups = (shapes or Shapes()).read(cut, rows)
    except VerificationError:
        return None
    found: dict[int, Leaf] = {}
    for group in groups:
        for number, place in enumerate(group.places):
            time = group.times if isinstance(group.times, int) else group.times[number]
            ref = -1 if group.refs is None else group.refs[number]
            assert place not in found
            found[place] = (group.kind, time, ref)
    assert sorted(found) == list(range(len(entries)))
    return [found[place] for place in range(len(entries))]


def quick(data: bytes, beside: bytes, shapes: Shapes | None = None) -> Leaf | None:
    """What a leaf is said to be when it is read with good ones; their shape is the one at hand."""
    found = at_once([beside, beside, data, beside], shapes)
    return None if found is None else found[2]


def digest() -> bytes:
    return base64.b64encode(os.urandom(32))


def leaf(middle: bytes = b"", *, charter: bool = True, kind: bytes = b"ingest") -> bytes:
    return (
        b'{"act":"%b","chr":"%b","ct":"%b","det":"%b","k":"%b","obj":"%b"%b,"seg":"eu/keys","sub":"%b"'
        b',"t":1790000000000,"v":"sh-audit/1"}'
    ) % (
        digest(), digest() if charter else b"", digest(), digest(), kind, digest(), middle, digest()
    )  # fmt: skip


# a public fact may look like the end of a leaf, as far as its own syntax lets it
TRICKY = b',"pub":{"obj":"x","seg":"x","sub":"' + b"A" * 43 + b'=","t":1},"ref":0'
SAMPLES = [
    leaf(),
    leaf(charter=False, kind=b"choice"),
    leaf(b',"pub":{"objects":1,"rows":200}'),
    leaf(b',"pub":{"outcome":"done","rows":7},"ref":12', kind=b"access.result"),
    leaf(b',"ref":3', kind=b"feature"),
    leaf(TRICKY, charter=False),
]


@pytest.mark.parametrize("data", SAMPLES)
def test_a_leaf_is_read_at_once_as_by_the_pattern(data: bytes) -> None:
    said = oracle(data)
    assert said is not None
    assert pattern(data) == said
    for count in (1, 3, 4, 256):
        assert at_once([data] * count) == [said] * count


def judged(data: bytes, beside: bytes, shapes: Shapes | None = None) -> None:
    """Both readings of some bytes are what the definition says."""
    said = oracle(data)
    assert pattern(data) == said
    assert quick(data, beside, shapes) == said


@pytest.mark.parametrize("data", SAMPLES)
def test_one_byte_changed_inserted_or_lost_anywhere(data: bytes) -> None:
    some = b'"=,:}+/B09a.\n\xff'
    shapes = Shapes()
    for at in range(len(data) + 1):
        changed = [data[:at] + data[at + 1 :], data[:at], data[at:]]
        for byte in some:
            one = bytes((byte,))
            changed += [data[:at] + one + data[at + 1 :], data[:at] + one + data[at:]]
        for bad in changed:
            judged(bad, data, shapes)


def test_every_byte_at_every_place() -> None:
    """Beside others of the same length, so that the columns decide and not the pattern alone."""
    data, shapes = SAMPLES[3], Shapes()
    for at in range(len(data)):
        for byte in (0, 10, *range(32, 127), 128, 255):
            bad = data[:at] + bytes((byte,)) + data[at + 1 :]
            assert quick(bad, data, shapes) == oracle(bad), (at, byte)


def test_what_one_hash_lost_another_did_not_win() -> None:
    data = SAMPLES[0]
    marks = [found.end() for found in re.finditer(rb'"(?:act|chr|ct|det|obj|sub)":"', data)]
    assert len(marks) == 6
    for one in marks:
        for two in marks:
            lost = data[:one] + data[one + 1 :]
            at = two - (two > one)
            bad = lost[:at] + b"A" + lost[at:]
            assert oracle(bad) is None or one == two
            judged(bad, data)
            swapped = bytearray(data)  # the sign at the end goes into the middle of another
            swapped[one + 43], swapped[two + 20] = swapped[two + 20], swapped[one + 43]
            assert oracle(bytes(swapped)) is None
            judged(bytes(swapped), data)


def test_leaves_of_one_length_and_several_layouts() -> None:
    """Digits that move from one number to another, kinds and words as long as one another."""
    alike = [
        leaf(b',"pub":{"objects":1,"rows":200}'),
        leaf(b',"pub":{"objects":12,"rows":20}'),
        leaf(b',"pub":{"objects":123,"rows":2}'),
        leaf(b',"pub":{"purpose":"a/b+c=d@.x"}', kind=b"inhale"),
        leaf(b',"pub":{"purpose":"a1b2c3d4e5"}'),
        leaf(b',"pub":{"purpose":"aXbYcZ.e-f"}'),
    ]
    assert len({len(one) for one in alike}) == 1
    assert oracle(alike.pop(3)) is None
    many = [alike[(at * at) % 5] for at in range(256)]
    assert at_once(many) == [oracle(one) for one in many]
    shapes = Shapes()
    for one in alike:  # each is met with the shape of the one before
        assert at_once([one] * 7, shapes) == [oracle(one)] * 7


def test_numbers_and_times_that_differ_are_read_one_by_one() -> None:
    many = []
    for at in range(100, 356):
        text = leaf(b',"pub":{"rows":%d},"ref":%d' % (at, 1_000 - at % 7), kind=b"access.result")
        many.append(text.replace(b"1790000000000", b"%d" % (1_790_000_000_000 + at)))
    found = at_once(many)
    assert found == [oracle(one) for one in many]
    assert found is not None
    assert len({time for _, time, _ in found}) == 256


def test_a_number_never_begins_with_nought() -> None:
    good = leaf(b',"pub":{"rows":200},"ref":100', kind=b"access.result")
    for old, new in ((b":200", b":020"), (b":100", b":010"), (b"1790000000000", b"0790000000000")):
        bad = good.replace(old, new)
        assert bad != good
        assert oracle(bad) is None
        judged(bad, good)


@given(st.data())
@settings(max_examples=1_500, deadline=None)
def test_spliced_leaves(draw: st.DataObject) -> None:
    one, two = (draw.draw(st.sampled_from(SAMPLES)) for _ in range(2))
    cut = draw.draw(st.integers(0, len(one)))
    on = draw.draw(st.integers(0, len(two)) | st.just(cut))
    noise = draw.draw(
        st.binary(max_size=3)
        | st.sampled_from([b'","sub":"', b',"ref":', b',"pub":{}', b'"', b"=", b"==", digest()])
    )
    judged(one[:cut] + noise + two[on:], draw.draw(st.sampled_from([one, two])))


@given(st.lists(st.sampled_from(SAMPLES), min_size=1, max_size=300), st.data())
@settings(max_examples=100, deadline=None)
def test_the_wrong_one_of_many_is_found(entries: list[bytes], draw: st.DataObject) -> None:
    which = draw.draw(st.integers(0, len(entries) - 1))
    at = draw.draw(st.integers(0, len(entries[which]) - 1))
    byte = draw.draw(st.binary(min_size=1, max_size=1))
    entries = [*entries]
    entries[which] = entries[which][:at] + byte + entries[which][at + 1 :]
    right = [oracle(one) for one in entries]
    assert at_once(entries) == (None if None in right else right)


def test_shapes_are_not_remembered_without_end() -> None:
    shapes = Shapes()
    for length in range(1, 513):
        word = b"w" * (length // 2 + 1)
        facts = b',"pub":{"a":"' + word + b'","b":"' + b"w" * (length - length // 2) + b'"}'
        if length > 500:
            continue
        at_once([leaf(facts)] * 4, shapes)
    assert len(shapes._shapes) <= 256
