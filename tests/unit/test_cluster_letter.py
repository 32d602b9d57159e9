"""Claims, warrants, sealed pieces and parcels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold import canonical
from safehold.cluster.letter import (
    CLAIM,
    Claim,
    Worker,
    keys_of,
    read_claim,
    read_warrant,
    write_warrant,
)
from safehold.cluster.line import LARGEST_BODY, Line, LineError
from safehold.cluster.parcel import Unpacker, pack_job, read_end, read_told
from safehold.cluster.seal import BACK, IN, TaskKey, cut, fresh_secret
from safehold.cluster.spool import Spool
from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.sandbox.frame import HEAD, dump_header
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.parts import check_sealed, seal_bytes
from safehold.signing import SigningKey

WORKER, KEEPER = SigningKey.generate(), SigningKey.generate()
CREW = {"w": Worker(key=WORKER.public, level="E2")}


def claim(**changes: Any) -> Claim:
    told: dict[str, Any] = {
        "home": "home_x",
        "run": "run_x",
        "attempt": 1,
        "worker": "w",
        "key": TaskKey().public,
        "level": "E3",
        "kernel": "k",
        "mechanisms": ("m",),
        "program": "p",
        "gone": (),
    }
    return Claim(**told | changes)


def test_a_claim_reads_back_as_it_was_signed() -> None:
    one = claim(gone=(1, 2), attempt=3)
    assert read_claim(one.sign(WORKER), CREW) == one


@pytest.mark.parametrize(
    ("made", "rule"),
    [
        (lambda: claim(worker="v").sign(WORKER), "cluster.worker"),
        (lambda: claim(level="E1").sign(WORKER), "cluster.level"),
        (lambda: claim(level="E9").sign(WORKER), "cluster.claim"),
        (lambda: claim().sign(SigningKey.generate()), f"signing.{CLAIM}"),
        (lambda: claim().sign(WORKER)[:-1], "cluster.claim"),
        (lambda: b"", "cluster.claim"),
        (lambda: bytes(100), "cluster.claim"),
        (lambda: b"[]" + bytes(64), "cluster.claim"),
        (lambda: claim(kernel="k" * 100_000).sign(WORKER), "cluster.claim"),
    ],
)
def test_a_claim_that_does_not_hold_is_not_answered(made: Any, rule: str) -> None:
    with pytest.raises((DeniedError, TamperedError)) as error:
        read_claim(made(), CREW)
    assert error.value.rule == rule


@given(place=st.integers(0, 400), bit=st.integers(0, 7))
def test_no_bit_of_a_claim_can_be_changed(place: int, bit: int) -> None:
    data = bytearray(claim().sign(WORKER))
    data[place % len(data)] ^= 1 << bit
    with pytest.raises(SafeholdError):
        read_claim(bytes(data), CREW)


def test_a_warrant_opens_for_the_one_key_the_one_claim_and_the_one_keeper() -> None:
    task, secret = TaskKey(), fresh_secret()
    said = claim(key=task.public).sign(WORKER)
    warrant = write_warrant(said, task.public, secret, KEEPER)
    assert read_warrant(warrant, said, task, KEEPER.public) == secret
    assert secret not in warrant
    for wrong in (
        lambda: read_warrant(warrant, said, TaskKey(), KEEPER.public),
        lambda: read_warrant(warrant, said + b" ", task, KEEPER.public),
        lambda: read_warrant(warrant, said, task, WORKER.public),
        lambda: read_warrant(warrant[:-1], said, task, KEEPER.public),
        lambda: read_warrant(b"", said, task, KEEPER.public),
    ):
        with pytest.raises(TamperedError):
            wrong()


def test_keys_of_one_attempt_open_nothing_of_another_way_number_or_attempt() -> None:
    secret = fresh_secret()
    one = keys_of(secret, home="h", run="r", attempt=1)
    piece = one.seal(IN, 0, b"data", last=True)
    assert one.open(IN, 0, piece, last=True) == b"data"
    other = keys_of(secret, home="h", run="r", attempt=2)
    for keys, way, number, last in (
        (one, BACK, 0, True), (one, IN, 1, True), (one, IN, 0, False), (other, IN, 0, True),
    ):  # fmt: skip
        with pytest.raises(TamperedError):
            keys.open(way, number, piece, last=last)
    one.require_word(one.word("going", 1), "going", 1)
    with pytest.raises(TamperedError):
        one.require_word(one.word("going", 1), "going", 2)
    assert repr(secret) not in repr(one)


@given(st.lists(st.binary(max_size=40)), st.integers(1, 16))
def test_cut_keeps_every_byte_and_only_the_last_piece_is_shorter(
    chunks: list[bytes], size: int
) -> None:
    pieces = list(cut(chunks, size))
    assert b"".join(pieces) == b"".join(chunks)
    assert all(len(one) == size for one in pieces[:-1])
    assert len(pieces[-1]) <= size
    assert pieces[-1] or len(pieces) == 1


@given(st.binary(max_size=300), st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 64))
def test_a_job_is_the_same_on_the_other_side(spec: bytes, inputs: list[bytes], size: int) -> None:
    with ExitStack() as stack:
        given_inputs = []
        for one in inputs:
            given_inputs.append(seal_bytes(one))
            stack.callback(os.close, given_inputs[-1])
        job = Job(
            recipe="feature", spec=spec, inputs=tuple(given_inputs), limits=Limits.of("train"),
            least="E2",
        )  # fmt: skip
        whole = b"".join(pack_job(job))
        parcel = stack.enter_context(Unpacker())
        for at in range(0, len(whole), size):
            parcel.add(whole[at : at + size])
        there = parcel.job()
        assert (there.recipe, there.spec, there.limits, there.least) == (
            job.recipe, job.spec, job.limits, job.least,
        )  # fmt: skip
        for one in there.inputs:
            check_sealed(one)
        assert [os.pread(one, 1000, 0) for one in there.inputs] == inputs


@pytest.mark.parametrize("change", ["short", "long", "garbage", "huge"])
def test_a_parcel_in_another_form_is_no_job(change: str) -> None:
    memory = seal_bytes(b"input")
    job = Job(recipe="r", spec=b"{}", inputs=(memory,), limits=Limits())
    whole = b"".join(pack_job(job))
    os.close(memory)
    data = {
        "short": whole[:-1],
        "long": whole + b"x",
        "garbage": b"\0\0\0\2{]" + whole,
        "huge": b"\xff" * 8,
    }[change]
    with pytest.raises(TamperedError), Unpacker() as parcel:
        parcel.add(data)
        parcel.job()


def test_what_is_too_large_for_a_worker_is_refused_before_it_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("safehold.cluster.parcel.LARGEST_INPUT", 3)
    memory = seal_bytes(b"four")
    try:
        with pytest.raises(InvalidError) as error:
            pack_job_first(Job(recipe="r", inputs=(memory,), limits=Limits()))
        assert error.value.rule == "cluster.input"
    finally:
        os.close(memory)


def pack_job_first(job: Job) -> bytes:
    return next(pack_job(job))


def test_words_of_a_worker_in_another_form_are_none() -> None:
    for broken in (b"T", b"T[]", b"T{}", b"Tnonsense"):
        with pytest.raises(TamperedError):
            read_told(broken)
    for broken in (b"E", b"E[]", b"E3"):
        with pytest.raises(TamperedError):
            read_end(broken)


def wire(kind: str, body: bytes) -> bytes:
    head = dump_header({"type": kind})
    return HEAD.pack(4 + len(head) + len(body), len(head)) + head + body


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield b"F" + data[at : at + size]


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 30))
def test_a_spool_gives_back_the_frames_that_were_sent(bodies: list[bytes], size: int) -> None:
    keys = keys_of(fresh_secret(), home="h", run="r", attempt=1)
    spool = Spool(keys)
    sent = [b"T{}", *pieces(b"".join(wire("x", one) for one in bodies), size), b"Enull"]
    for number, piece in enumerate(sent):
        last = number == len(sent) - 1
        assert spool.add(keys.seal(BACK, number, piece, last=last), last=last) == piece
    for _ in range(2):
        found = list(spool.frames(budget=10_000, largest=1_000))
        assert [bytes(frame.body) for frame in found] == bodies
    spool.close()


def test_a_spool_holds_ciphertext_and_takes_each_piece_once() -> None:
    keys = keys_of(fresh_secret(), home="h", run="r", attempt=1)
    spool = Spool(keys)
    sealed = keys.seal(BACK, 0, b"F" + wire("x", b"planted"), last=False)
    spool.add(sealed, last=False)
    with pytest.raises(TamperedError):
        spool.add(sealed, last=False)
    spool._file.seek(0)
    assert b"planted" not in spool._file.read()
    spool._file.seek(0, 2)
    frames = spool.frames(budget=1_000, largest=1_000)
    assert bytes(next(frames).body) == b"planted"
    frames.close()  # whoever gives up leaves no thread behind
    spool.close()


class Pipe:
    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def read(self, count: int) -> bytes:
        out, self.data = self.data[:count], self.data[count:]
        return out

    def write(self, data: Any) -> None:
        self.data += bytes(data)

    def flush(self) -> None:
        pass


def test_a_line_carries_messages_and_nothing_else() -> None:
    pipe = Pipe()
    line = Line(pipe, pipe)
    line.write({"a": 1}, b"body")
    line.write({"b": []})
    assert line.read() == ({"a": 1}, b"body")
    assert line.read() == ({"b": []}, b"")
    for broken in (
        b"",
        b"\0\0\0\2\0\0\0\0[]",
        b"\0\0\0\2\0\0\0\0{]",
        b"\xff" * 9,
        b"\0\0\0\2\0\0\0\1{}",
    ):
        with pytest.raises(LineError):
            Line(Pipe(broken), pipe).read()
    with pytest.raises(LineError):
        line.write({}, bytes(LARGEST_BODY + 1))


def test_a_claim_in_the_only_form_is_canonical() -> None:
    data = claim().sign(WORKER)
    assert canonical.encode(canonical.decode(data[:-64])) == data[:-64]
