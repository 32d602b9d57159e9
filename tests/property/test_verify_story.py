"""A log read many leaves at once tells what it tells leaf by leaf, and fails at the same leaf."""

from __future__ import annotations

import base64
import os

from hypothesis import given, settings
from hypothesis import strategies as st

from safehold.ledger.tile import pack_entries
from safehold_verify import story as module
from safehold_verify.errors import VerificationError
from safehold_verify.files import cut_bundle
from safehold_verify.story import SKEW_MS, Story

NOW = 1_790_000_000_000
DIGEST = base64.b64encode(os.urandom(32))


def leaf(kind: bytes, *, time: int, middle: bytes = b"", segment: bytes = b"eu/keys") -> bytes:
    return (
        b'{"act":"%b","chr":"%b","ct":"%b","det":"%b","k":"%b","obj":"%b"%b,"seg":"%b","sub":"%b"'
        b',"t":%d,"v":"sh-audit/1"}'
    ) % (DIGEST, DIGEST, DIGEST, DIGEST, kind, DIGEST, middle, segment, DIGEST, time)


@st.composite
def logs(draw: st.DrawFn) -> list[bytes]:
    """Leaves of a log in which a few things may be wrong."""
    wrong = draw(st.sampled_from([0, 0, 1, 3]))
    count = draw(st.integers(1, 90))
    faults = {draw(st.integers(0, count - 1)): draw(st.integers(0, 7)) for _ in range(wrong)}
    open_intents: list[int] = []
    closed: list[int] = []
    found, now = [], NOW
    for at in range(count):
        now += draw(st.sampled_from([0, 0, 1, 900, 1_000_000]))
        fault = faults.get(at, -1)
        time = now - (SKEW_MS + 1 if fault == 0 else draw(st.sampled_from([0, 0, SKEW_MS])))
        segment = draw(st.sampled_from([b"eu/keys", b"us/west", b"eu", b""]))
        completes = draw(st.booleans())
        rows = draw(st.sampled_from([0, 7, 10, 199, 20_000]))
        if fault == 1:  # completes nothing, itself, or what was completed
            ref = draw(st.sampled_from([at, at + 1, 10**15, 0, *closed[-2:]]))
            if ref in open_intents:
                open_intents.remove(ref)
            kind, middle = b"access.result", b',"ref":%d' % ref
        elif open_intents and completes:
            ref = open_intents.pop(draw(st.integers(0, len(open_intents) - 1)))
            closed.append(ref)
            kind, middle = b"access.result", b',"pub":{"rows":%d},"ref":%d' % (rows, ref)
        elif draw(st.integers(0, 4)):
            open_intents.append(at)
            kind, middle = b"access.intent", b',"pub":{"rows":%d}' % rows
        else:
            kind, middle = draw(st.sampled_from([b"lease", b"grant", b"ingest"])), b""
        if fault == 2:
            kind = b"ingest.x"
        data = leaf(kind, time=time, middle=middle, segment=segment)
        if fault == 3:
            place = draw(st.integers(0, len(data) - 1))
            data = data[:place] + draw(st.binary(min_size=1, max_size=1)) + data[place + 1 :]
        found.append(data)
    return found


def told(story: Story) -> tuple[object, ...]:
    return dict(story.kinds), story.first, story.last, story._course.state()


@given(logs(), st.integers(1, 40), st.sampled_from([1, 9, 50, 2_048]))
@settings(max_examples=200, deadline=None)
def test_a_log_told_at_once_and_leaf_by_leaf(entries: list[bytes], width: int, many: int) -> None:
    plain, quick = Story(len(entries)), Story(len(entries))
    wrong: list[str | None] = [None, None]
    try:
        plain._tell_slowly([b"\0" + one for one in entries])
    except VerificationError as error:
        wrong[0] = str(error)
    before, module._MANY = module._MANY, many
    try:
        for at in range(0, len(entries), width):
            some = entries[at : at + width]
            quick.take(*cut_bundle(pack_entries(some), len(some), "a bundle"))
        quick.close()
    except VerificationError as error:
        wrong[1] = str(error)
    finally:
        module._MANY = before
    assert wrong[0] == wrong[1]
    if wrong[0] is None:
        one, two = told(plain), told(quick)
        assert one[:3] == two[:3]
        for state in (one[3], two[3]):
            state["intents"].sort()  # type: ignore[index]
        assert one[3]["intents"] == two[3]["intents"]  # type: ignore[index]
