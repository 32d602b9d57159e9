"""What is compiled writes the bytes that Python writes, and refuses what Python refuses."""

from __future__ import annotations

import gc
import os
import struct
import subprocess
import sys
import threading
import tracemalloc
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ledger_desk import entry, intent

from safehold import canonical
from safehold.errors import InvalidError
from safehold.ledger import draft as drafting
from safehold.ledger import press
from safehold.ledger.draft import Drafts
from safehold.ledger.entry import Entry
from safehold.ledger.subjects import Subject
from safehold.vault import keys, sidecar

compiled = pytest.mark.skipif(
    not press.COMPILED and not os.environ.get("CI"), reason="no compiler: python hatch_build.py"
)

texts = st.text(max_size=20) | st.sampled_from(
    ["", "\0", "é" * 2_049, "x" * 4_096, "\ud800", '"\\']
)
values = st.one_of(
    texts,
    st.integers(-(2**53), 2**53),
    st.booleans(),
    st.none(),
    st.floats(),
    st.lists(st.integers(0, 9)),
)
details = st.dictionaries(st.text(max_size=5), values, max_size=4)
facts = st.sampled_from(
    [
        {},
        {"purpose": "train"},
        {"epsilon_micro": 1, "purpose": "train"},
        {"purpose": "train", "epsilon_micro": 1},
        {"purpose": "two words"},
        {"other": "x"},
        {"epsilon_micro": -1},
        {"epsilon_micro": True},
        {"purpose": object()},
    ]
)
entries = st.builds(
    Entry,
    kind=st.sampled_from(["access.intent", "access.result", "home", "index.epoch", "nothing"]),
    actor=texts,
    object=texts,
    detail=details,
    segment=st.sampled_from(["", "eu.keys", "eu.keys", "no segment"]),
    charter=st.sampled_from([b"", b"c" * 32, b"c"]),
    subjects=st.sampled_from([(), (), (Subject(key=os.urandom(32), flags=1),)]),
    public=facts,
    ref=st.sampled_from([None, None, 0, 7, -1, True, "x"]),
    key=st.sampled_from(["", "", "once", "é"]),
)
plain = st.builds(
    Entry,
    kind=st.just("access.intent"),
    actor=st.text("aé\0😀", max_size=9),
    object=st.text(st.characters(codec="ascii"), max_size=9),
    detail=st.dictionaries(
        st.text("abc", max_size=3),
        st.text("x😀", max_size=9) | st.integers(0, 2**53 - 1),
        max_size=4,
    ),
    segment=st.sampled_from(["", "eu.keys"]),
    public=st.sampled_from([{}, {"purpose": "train"}, {"unit": "person", "purpose": "train"}]),
    key=st.sampled_from(["", "", "once"]),
)


def outcome(way: Any, some: list[Entry], noise: bytes) -> Any:
    made = Drafts()
    try:
        columns = way(
            some, noise, orjson.dumps, canonical.encode_plain, drafting._frame, drafting._public,
            made.note, drafting._text, drafting._detail,
        )  # fmt: skip
    except InvalidError as error:
        return error.rule, error.message
    return columns, made.refs, made.keys, made.subjects, made.facts


def same(some: list[Entry]) -> Any:
    noise = os.urandom(96 * len(some))
    one = outcome(press._press.draft, some, noise)  # type: ignore[attr-defined]
    assert one == outcome(press.draft_plainly, some, noise)
    return one


def test_what_is_compiled_is_what_runs():
    """Without it the ledger is right and half as fast; where everything is installed that is a fault."""
    if not os.environ.get("CI") and not press.COMPILED:
        pytest.skip("no compiler: python hatch_build.py")
    assert press.COMPILED
    assert press.draft is not press.draft_plainly
    assert keys.seal_all is not keys.seal_plainly
    assert sidecar.COMPILED


@compiled
@settings(max_examples=150, deadline=None)
@given(some=st.lists(entries, max_size=3))
def test_drafts_are_the_same_or_refused_alike(some: list[Entry]):
    same(some)


@compiled
@settings(max_examples=60, deadline=None)
@given(some=st.lists(plain, max_size=6))
def test_drafts_of_good_entries_are_the_same(some: list[Entry]):
    columns, *_ = same(some)
    assert [*map(len, columns)] == [len(some)] * 5


@compiled
@pytest.mark.parametrize("count", [1, 63, 64, 2_500])
def test_whole_columns_are_the_same(count: int):
    some = [intent(at, segment="eu.keys" if at % 5 else "") for at in range(count)]
    (_, _, heads, middles, secrets), *_ = same(some)
    fast = press._press  # type: ignore[attr-defined]
    tail = b'","t":1,"v":"sh-audit/1"}'
    rests, bound = fast.bind(b"mark", heads, middles, tail)
    assert (rests, bound) == press.bind_plainly(b"mark", heads, middles, tail)
    leaves, hashes = fast.finish(heads, secrets, rests)
    assert (leaves, hashes) == press.finish_plainly(heads, secrets, rests)
    assert fast.leaf_hashes(leaves) == hashes
    assert fast.leaf_hashes(one for one in leaves) == hashes
    for width in (2, 4):
        assert fast.pack(leaves, width) == press.pack_plainly(leaves, width)
    whole = fast.pack(leaves, 2)
    for way in (fast.cut, press.cut_plainly):
        assert way(whole) == leaves
        assert way(b"") == []
        for torn in (whole[:-1], whole[:1], whole + b"\0", whole + b"\0\1"):
            with pytest.raises(ValueError, match="within"):
                way(torn)
    for way in (fast.pack, press.pack_plainly):
        assert way([], 2) == b""
        with pytest.raises(OverflowError):
            way([b"", bytes(65_536)], 2)
    row = b"".join(hashes)
    for cut in (len(row), len(row) - 1, 32, 31, 0):
        assert fast.fold(row[:cut]) == press.fold_plainly(row[:cut])


@compiled
@settings(max_examples=60, deadline=None)
@given(
    parts=st.lists(st.tuples(st.binary(max_size=200), st.binary(max_size=90)), max_size=5),
    place=st.binary(max_size=9), front=st.binary(max_size=21), first=st.integers(0, 2**32 - 6),
    pad=st.sampled_from([1, 16, 64]),
)  # fmt: skip
def test_what_is_sealed_is_the_same_and_opens(
    parts: list[tuple[bytes, bytes]], place: bytes, front: bytes, first: int, pad: int
):
    key, secrets, aads = os.urandom(32), [one for one, _ in parts], [one for _, one in parts]
    sealed = keys._series.seal(key, front, first, place, pad, secrets, aads)
    assert sealed == keys.seal_plainly(key, front, first, place, pad, secrets, aads)
    for number, (one, (secret, aad)) in enumerate(zip(sealed, parts, strict=True), first):
        nonce = bytes(8) + number.to_bytes(4, "big")
        assert one.startswith(front + nonce[8:])
        said = AESGCM(key).decrypt(nonce, one[len(front) + 4 :], place + aad)
        assert said[:4] + said[4 : 4 + len(secret)] == len(secret).to_bytes(4, "big") + secret
        assert len(said) % pad == 0
        assert not any(said[4 + len(secret) :])


@compiled
def test_what_was_just_seen_counts_for_its_own_kind_alone():
    said = {"purpose": "train"}
    good = entry(0, kind="access.intent", public=said)
    assert same([good, entry(1, kind="document", public=said)])[0].startswith("ledger.")
    assert len(same([good, entry(1, kind="release", public=said), good])[0]) == 5


def test_facts_that_are_remembered_as_checked_take_less_than_a_kilobyte(monkeypatch):
    monkeypatch.setattr(drafting, "_checked", {})
    tracemalloc.start()
    try:
        for number in range(500):
            drafting._public("access.intent", {"purpose": "train_ui_agent", "rows": number})
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(drafting._checked) == 500
    assert held < 1_000 * 500


@compiled
@pytest.mark.parametrize("name", ["é", "x\u20ac", "\U0001f600", "\ud800"])
def test_a_detail_whose_names_are_not_ascii_is_refused(name: str):
    assert same([entry(0, detail={"a": 1, name: "b"})])[0].startswith("canonical.")


@compiled
def test_a_detail_of_a_mebibyte_is_taken_and_one_more_byte_is_not():
    most = {"x": "y" * ((1 << 20) - 8)}
    assert len(same([entry(0, detail=most)])[0]) == 5
    assert same([entry(0, detail={"x": most["x"] + "y"})])[0] == "ledger.detail"


@compiled
def test_lists_with_empty_places_are_found_by_nobody():
    """The collector tells of all lists there are; to read one that C still fills would end the process."""
    some = [entry(at) for at in range(1_237)]
    found: list[int] = []

    def frame(*_: object) -> tuple[bytes, bytes, bytes, bool]:
        found.append(sum(type(one) is list and len(one) == len(some) for one in gc.get_objects()))
        return b"", b"", b"", False

    columns = press._press.draft(  # type: ignore[attr-defined]
        some, bytes(96 * len(some)), orjson.dumps, canonical.encode_plain, frame, drafting._public,
        Drafts().note, drafting._text, drafting._detail,
    )  # fmt: skip
    assert set(found) == {2}  # ours, and the copy that is read
    hashes = press._press.leaf_hashes(columns[2])  # type: ignore[attr-defined]
    assert all(map(gc.is_tracked, (*columns, hashes)))


@compiled
def test_what_is_sealed_by_many_at_once_is_the_same():
    key, secrets = os.urandom(32), [os.urandom(at % 97) for at in range(500)]
    wanted = keys.seal_plainly(key, b"f", 0, b"p", 64, secrets, secrets)
    found: list[list[bytes]] = []
    work = [
        threading.Thread(
            target=lambda: found.extend(
                keys._series.seal(key, b"f", 0, b"p", 64, secrets, secrets) for _ in range(20)
            )
        )
        for _ in range(4)
    ]
    for one in work:
        one.start()
    for one in work:
        one.join()
    assert found == [wanted] * 80


@compiled
@pytest.mark.parametrize("first", [-1, 2**32, 2**32 + 1, 2**64, 2**64 + 7])
def test_a_number_that_four_bytes_do_not_hold_is_refused(first: int):
    """Cut to four bytes it would be a number that was used before, under the same key."""
    for way in (keys._series.seal, keys.seal_plainly):
        assert way(bytes(32), b"", 2**32 - 1, b"", 1, [b""], [b""])[0][:4] == b"\xff" * 4
        with pytest.raises((ValueError, OverflowError, struct.error)):
            way(bytes(32), b"", first, b"", 1, [b"secret"], [b""])


@compiled
def test_what_does_not_fit_is_refused():
    fast, seal = press._press, keys._series.seal  # type: ignore[attr-defined]
    checks = (
        orjson.dumps, canonical.encode_plain, drafting._frame, drafting._public, Drafts().note,
        drafting._text, drafting._detail,
    )  # fmt: skip
    good = entry(1)
    wrong: list[tuple[Any, tuple[Any, ...]]] = [
        (fast.draft, ([good], bytes(95), *checks)),
        (fast.draft, ([good], bytes(97), *checks)),
        (fast.draft, ([], bytes(1), *checks)),
        (fast.draft, ([good], "noise", *checks)),
        (fast.draft, ([object()], bytes(96), *checks)),
        (fast.draft, (None, b"", *checks)),
        (fast.draft, ([good], bytes(96), *checks[:2], lambda *_: None, *checks[3:])),
        (fast.draft, ([entry(1, detail={"x": None})], bytes(96), *checks[:6], lambda *_: None)),
        (
            fast.draft,
            ([entry(1, key="k")], bytes(96), *checks[:4], lambda *_: (b"", ""), *checks[5:]),
        ),
        (fast.draft, ([entry(1, key="k")], bytes(96), *checks[:4], lambda *_: b"", *checks[5:])),
        (fast.draft, ([good], bytes(96), *checks[:2], lambda *_: (1, b"", b"", 0), *checks[3:])),
        (fast.bind, (b"", [b"a"], [], b"")),
        (fast.bind, (b"", [b"a"], [b"a", b"b"], b"")),
        (press.bind_plainly, (b"", [b"a"], [b"a", b"b"], b"")),
        (fast.bind, (b"", [b"a"], ["a"], b"")),
        (fast.bind, (b"", (b"a",), [b"a"], b"")),
        (fast.finish, ([b"a"], [], [b"a"])),
        (fast.finish, ([b"a"], [b"a"], [b"a", b"b"])),
        (fast.finish, ([b"a"], [None], [b"a"])),
        (fast.leaf_hashes, (["a"],)),
        (fast.leaf_hashes, (3,)),
        (fast.fold, (bytearray(64),)),
        (fast.cut, (bytearray(2),)),
        (fast.pack, ([b""], 0)),
        (fast.pack, ([b""], 5)),
        (fast.pack, ((b"",), 2)),
        (fast.pack, ([""], 2)),
        (seal, (bytes(31), b"", 0, b"", 1, [b""], [b""])),
        (seal, (bytes(32), b"", 0, b"", 0, [b""], [b""])),
        (seal, (bytes(32), b"", 0, b"", 1, [b""], [])),
        (seal, (bytes(32), b"", 2**32 - 1, b"", 1, [b""] * 2, [b""] * 2)),
        (seal, (bytes(32), b"", 0, b"", 1, [""], [b""])),
        (seal, (bytes(32), b"", 0, b"", 1, [b""], [None])),
    ]
    for work, arguments in wrong:
        with pytest.raises((TypeError, ValueError, AttributeError, IndexError, RuntimeError)):
            work(*arguments)


@compiled
def test_an_error_of_a_check_comes_through_and_leaves_nothing_behind():
    good = [entry(at) for at in range(100)]
    for wrong in (
        entry(1, actor="x" * 4_097),
        entry(1, detail={"x": 1.5}),
        entry(1, kind="nothing"),
    ):
        before = sys.getrefcount(wrong.actor)
        for _ in range(50):
            with pytest.raises(InvalidError):
                drafting.draft([*good, wrong, *good])
        assert sys.getrefcount(wrong.actor) < before + 5  # the newest error holds one


@pytest.mark.parametrize("version", ["0", None])
def test_a_compiled_module_of_another_version_or_of_none_is_left_alone(version: str | None):
    story = (
        "import sys, types\n"
        "for name in ('safehold.ledger._press', 'safehold.vault._series'):\n"
        "    sys.modules[name] = types.ModuleType(name)\n"
        + (f"    sys.modules[name].VERSION = {version}\n" if version else "")
        + "from safehold.ledger import press\n"
        "from safehold.vault import keys\n"
        "assert not press.COMPILED and press.draft is press.draft_plainly\n"
        "assert keys.seal_all is keys.seal_plainly\n"
    )
    subprocess.run(
        [sys.executable, "-c", story],
        check=True,
        env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
    )


def test_without_what_is_compiled_a_ledger_is_the_same(tmp_path):
    """A log that one way wrote is opened, continued and proved by the other."""
    story = (
        "import sys; from pathlib import Path\n"
        "if sys.argv[2] == 'plain': sys.modules['safehold.ledger._press'] = None;"
        " sys.modules['safehold.vault._series'] = None\n"
        "from tests.ledger_desk import Desk, entry\n"
        "from safehold.ledger import press\n"
        "from safehold.vault import keys\n"
        "path = Path(sys.argv[1])\n"
        "if sys.argv[2] == 'plain': assert not press.COMPILED and keys.seal_all is keys.seal_plainly\n"
        "desk = Desk.reopen(path) if (path / 'audit-key').exists() else Desk(path)\n"
        "desk.save() if desk.sealer.fixed is None else None\n"
        "with desk.open() as ledger:\n"
        "    ledger.append([entry(at, key=f'{sys.argv[2]}-{ledger.size}-{at}') for at in range(300)])\n"
        "    assert all(ledger.opening(at).object for at in range(0, ledger.size, 50))\n"
        "    print(ledger.size)\n"
    )
    sizes = [
        subprocess.run(
            [sys.executable, "-c", story, str(tmp_path), way],
            check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for way in ("plain", "compiled", "plain")
    ]  # fmt: skip
    assert sizes == ["300", "600", "900"]
