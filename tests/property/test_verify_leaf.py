"""The quick reading of leaves accepts exactly what the one pattern of their canonical form accepts."""

from __future__ import annotations

import base64
import os
import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safehold_verify.errors import VerificationError
from safehold_verify.leaf import KINDS, Leaf, _cut, parse_leaves

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


def quick(data: bytes) -> Leaf | None:
    found: list[Leaf] = []
    try:
        parse_leaves([data], found)
    except VerificationError:
        return None
    return found[0]


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
    assert _cut([data]) == [said] == [quick(data)]


@pytest.mark.parametrize("data", SAMPLES)
def test_one_byte_changed_inserted_or_lost_anywhere(data: bytes) -> None:
    said = oracle(data)
    some = b'"=,:{}+/AB09az._\\ \n\0\xff'
    for at in range(len(data) + 1):
        changed = [data[:at] + data[at + 1 :], data[:at], data[at:]]
        for byte in some:
            one = bytes((byte,))
            changed += [data[:at] + one + data[at + 1 :], data[:at] + one + data[at:]]
        for bad in changed:
            if bad != data:
                assert quick(bad) == oracle(bad), (at, bad[max(0, at - 5) : at + 5])
    assert quick(data) == said


def test_every_byte_at_every_place() -> None:
    data = SAMPLES[3]
    for at in range(len(data)):
        for byte in range(256):
            bad = data[:at] + bytes((byte,)) + data[at + 1 :]
            assert (quick(bad) is None) == (oracle(bad) is None), (at, byte)


def test_what_one_hash_lost_another_did_not_win() -> None:
    """Hashes are checked many at once: their sum being right must not be enough."""
    data = SAMPLES[0]
    marks = [found.end() for found in re.finditer(rb'"(?:act|chr|ct|det|obj|sub)":"', data)]
    assert len(marks) == 6
    for one in marks:
        for two in marks:
            lost = data[:one] + data[one + 1 :]
            at = two - (two > one)
            bad = lost[:at] + b"A" + lost[at:]
            assert oracle(bad) is None or one == two
            assert quick(bad) == oracle(bad)
            swapped = bytearray(data)  # the sign at the end goes into the middle of another
            swapped[one + 43], swapped[two + 20] = swapped[two + 20], swapped[one + 43]
            assert quick(bytes(swapped)) is oracle(bytes(swapped)) is None


@given(st.data())
@settings(max_examples=1_500, deadline=None)
def test_spliced_leaves(draw: st.DataObject) -> None:
    one, two = (draw.draw(st.sampled_from(SAMPLES)) for _ in range(2))
    cut = draw.draw(st.integers(0, len(one)))
    on = draw.draw(st.integers(0, len(two)))
    noise = draw.draw(
        st.binary(max_size=3)
        | st.sampled_from([b'","sub":"', b',"ref":', b',"pub":{}', b'"', b"=", b"==", digest()])
    )
    bad = one[:cut] + noise + two[on:]
    assert quick(bad) == oracle(bad)


@given(st.integers(0, 299), st.integers(0, 200), st.binary(min_size=1, max_size=1))
@settings(max_examples=100, deadline=None)
def test_the_wrong_one_of_many_is_named(which: int, at: int, byte: bytes) -> None:
    entries = [SAMPLES[place % len(SAMPLES)] for place in range(300)]
    entries[which] = entries[which][:at] + byte + entries[which][at + 1 :]
    found: list[Leaf] = []
    wrong = oracle(entries[which]) is None
    try:
        parse_leaves(entries, found)
    except VerificationError:
        assert wrong
        assert len(found) == which
    else:
        assert not wrong
        assert found == [oracle(one) for one in entries]
