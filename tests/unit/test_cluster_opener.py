"""The opener with real sandboxes and a real carrier; Ray is not there, and would only hand letters on."""

from __future__ import annotations

import contextlib
import io
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import psutil
import pytest

from safehold.cluster import opener as opener_module
from safehold.cluster.carrier import Carrier, CarrierError
from safehold.cluster.letter import Worker, keys_of, read_claim, write_warrant
from safehold.cluster.line import Line, LineError
from safehold.cluster.opener import Identity, Opener, _Tether
from safehold.cluster.parcel import pack_job, read_end, read_told
from safehold.cluster.seal import BACK, IN, Keys, fresh_secret
from safehold.errors import TamperedError
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.launch import Launcher
from safehold.signing import SigningKey

HERE = Path(__file__).resolve().parent
KEEPER, WORKER = SigningKey.generate(), SigningKey.generate()


class JobLauncher(Launcher):
    _recipes: ClassVar = {"job": "sandbox_jobs"}
    _extra = (HERE,)


@pytest.fixture(scope="module")
def opener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opener]:
    launcher = JobLauncher()
    identity = Identity(home="home_x", name="w", key=WORKER, keeper=KEEPER.public, program="0:test")
    path = tmp_path_factory.mktemp("o") / "s"
    opener = Opener(identity, launcher, path)
    thread = threading.Thread(target=opener.serve, daemon=True)
    thread.start()
    yield opener
    opener.close()
    thread.join(30)
    assert not path.exists()


@pytest.fixture
def served(opener: Opener) -> Iterator[Carrier]:
    yield Carrier(str(opener._path), lambda piece: piece)
    while Trip.streams:  # one that is left to the collector of garbage may lose its socket first
        with contextlib.suppress(CarrierError):
            Trip.streams.pop().close()


class Trip:
    """One attempt as the keeper sees it, without anything between."""

    streams: ClassVar[list[Any]] = []

    def __init__(self, carrier: Carrier, run: str, attempt: int = 1, **job: Any) -> None:
        self.carrier, self.run, self.attempt = carrier, run, attempt
        self.secret = fresh_secret()
        self.keys: Keys = keys_of(self.secret, home="home_x", run=run, attempt=attempt)
        spec = b'{"job":"' + job.get("name", "echo").encode() + b'"' + job.get("more", b"") + b"}"
        made = Job(recipe="job", spec=spec, limits=Limits(wall=120.0), least="E0")
        pieces = list(pack_job(made))
        parcel = [
            self.keys.seal(IN, at, piece, last=at == len(pieces) - 1)
            for at, piece in enumerate(pieces)
        ]
        self.stream = carrier.work(run, attempt, parcel)
        self.streams.append(self.stream)
        said, self.claim = next(self.stream)
        assert said == "claim"

    def warrant(self, *, keeper: SigningKey = KEEPER, claim: bytes | None = None) -> None:
        told = read_claim(self.claim, {"w": Worker(key=WORKER.public, level="E0")})
        self.answered = time.monotonic()
        self.tell("warrant", write_warrant(claim or self.claim, told.key, self.secret, keeper))

    def tell(self, what: str, body: bytes = b"", number: int = 0) -> None:
        self.carrier.tell(self.run, self.attempt, what, number, body)

    def word(self) -> tuple[bytes, int]:
        """Return a word of the keeper's as it would be said now."""
        number = int((time.monotonic() - self.answered) * 1000)
        return self.keys.word("going", number), number

    def say(self) -> None:
        self.tell("word", *self.word())

    def pieces(self) -> list[bytes]:
        """Return what is in the sealed pieces that come back, until the opener says that nothing is left."""
        found = []
        for said, body in self.stream:
            if said == "gone":
                self.keys.require_word(body, "gone")
                return found
            found.append(self.keys.open(BACK, len(found), body, last=said == "last"))
        raise AssertionError("it did not say that nothing is left")


others: set[psutil.Process] = set()


@pytest.fixture(autouse=True)
def _only_ours() -> None:
    """What other tests of this process have left running is no sandbox."""
    others.clear()
    others.update(psutil.Process().children(recursive=True))


def sandboxes() -> list[psutil.Process]:
    return [one for one in psutil.Process().children(recursive=True) if one not in others]


def test_an_attempt_goes_there_and_back(served: Carrier) -> None:
    trip = Trip(served, "run_1")
    trip.warrant()
    told, *frames, ended = trip.pieces()
    level, kernel, mechanisms = read_told(told)
    probe = JobLauncher().probe
    assert (level, kernel) == (probe.level, probe.kernel)
    assert set(probe.mechanisms) <= set(mechanisms)
    assert b"body" in b"".join(frames)
    assert read_end(ended) is None
    assert not sandboxes()


def test_what_a_recipe_refuses_comes_back_as_it_is_and_what_it_says_otherwise_does_not(
    served: Carrier,
) -> None:
    trip = Trip(served, "run_2", name="refuse", more=b',"code":"denied"')
    trip.warrant()
    error = read_end(trip.pieces()[-1])
    assert error is not None
    assert (error.code, error.rule) == ("denied", "test.rule")
    trip = Trip(served, "run_3", name="crash")
    trip.warrant()
    error = read_end(trip.pieces()[-1])
    assert error is not None
    assert error.rule == "sandbox.failed"
    assert "secret" not in str(error)


def test_without_the_keepers_signature_nothing_is_opened(served: Carrier) -> None:
    trip = Trip(served, "run_4")
    trip.warrant(keeper=SigningKey.generate())
    with pytest.raises(CarrierError, match=r"^an attempt was not carried to its end$"):
        list(trip.stream)


def test_a_warrant_for_another_claim_opens_nothing(served: Carrier) -> None:
    one, other = Trip(served, "run_5"), Trip(served, "run_6")
    told = read_claim(one.claim, {"w": Worker(key=WORKER.public, level="E0")})
    other.tell("warrant", write_warrant(one.claim, told.key, one.secret, KEEPER))
    with pytest.raises(CarrierError):
        list(other.stream)
    one.warrant()
    assert read_end(one.pieces()[-1]) is None


def test_an_attempt_is_made_once_and_a_later_one_ends_the_earlier(served: Carrier) -> None:
    first = Trip(served, "run_7", name="sleep", more=b',"seconds":600')
    first.warrant()
    assert next(first.stream)[0] == "piece"
    with pytest.raises(CarrierError):  # the same number again, while the first goes on
        next(served.work("run_7", 1, []))
    second = Trip(served, "run_7", 2)
    claim = read_claim(second.claim, {"w": Worker(key=WORKER.public, level="E0")})
    assert claim.gone == (1,), "the keeper is told that nothing of it is left"
    assert not sandboxes()
    with pytest.raises(CarrierError):  # and once it is over
        next(served.work("run_7", 1, []))
    second.warrant()
    assert read_end(second.pieces()[-1]) is None


def test_a_sandbox_ends_with_its_carrier(served: Carrier) -> None:
    trip = Trip(served, "run_8", name="sleep", more=b',"seconds":600')
    trip.warrant()
    assert next(trip.stream)[0] == "piece"
    assert sandboxes()
    trip.stream.close()
    end = time.monotonic() + 20
    while sandboxes():
        assert time.monotonic() < end, "it goes on without anybody"
        time.sleep(0.05)


def test_the_keepers_end_is_followed_by_the_word_that_nothing_is_left(served: Carrier) -> None:
    trip = Trip(served, "run_9", name="sleep", more=b',"seconds":600')
    trip.warrant()
    assert next(trip.stream)[0] == "piece"
    trip.tell("end")
    rest = list(trip.stream)
    assert [said for said, _ in rest] == ["last", "gone"]
    trip.keys.require_word(rest[-1][1], "gone")
    assert not sandboxes()


@pytest.mark.parametrize("forged", [False, True])
def test_without_the_keepers_word_a_sandbox_ends_whatever_the_carrier_says(
    served: Carrier, monkeypatch: pytest.MonkeyPatch, forged: bool
) -> None:
    """A scheduler that hides the end of an attempt from its opener gains the length of the tether."""
    monkeypatch.setattr(opener_module, "TETHER_S", 3.0)
    trip = Trip(served, f"run_10{forged}", name="sleep", more=b',"seconds":600')
    trip.warrant()
    assert next(trip.stream)[0] == "piece"
    for _ in range(4):  # true words hold it, beyond the length of one tether
        time.sleep(1.0)
        trip.say()
    assert sandboxes()
    end, number = time.monotonic() + 15, 99_999
    while sandboxes():
        assert time.monotonic() < end, "it goes on without the keeper"
        if forged:  # and go on saying so
            number += 1
            trip.tell("word", trip.keys.word("going", 3), number)
        time.sleep(0.05)
    with pytest.raises(CarrierError):
        list(trip.stream)


def test_a_number_that_is_none_does_not_let_a_sandbox_go_on_without_the_keeper(
    served: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever carries letters writes what it likes; it must not end the one thread that holds the tether."""
    monkeypatch.setattr(opener_module, "TETHER_S", 1.0)
    trip = Trip(served, "run_14", name="sleep", more=b',"seconds":600')
    trip.warrant()
    assert next(trip.stream)[0] == "piece"
    trip.tell("ask", b"x" * 32, 1 << 90)  # larger than any nonce
    end = time.monotonic() + 10
    while sandboxes():
        assert time.monotonic() < end, "nobody holds it any more"
        time.sleep(0.05)
    with pytest.raises(CarrierError):
        list(trip.stream)


def test_a_word_that_was_overtaken_neither_ends_an_attempt_nor_holds_it() -> None:
    keys = Keys(b"s" * 32, b"place")
    tether = _Tether(keys, time.monotonic())
    tether.hear(4_000, keys.word("going", 4_000))
    left = tether.left_s()
    for number in (2_000, 4_000, 2_000):
        tether.hear(number, keys.word("going", number))
    assert left - 1.0 < tether.left_s() <= left
    with pytest.raises(TamperedError):
        tether.hear(2_001, keys.word("going", 2_000))


def test_a_header_that_is_nested_too_deep_ends_a_line() -> None:
    text = b"[" * 60_000
    line = Line(io.BytesIO(struct.pack(">II", len(text), 0) + text), io.BytesIO())
    with pytest.raises(LineError):
        line.read()


def test_words_that_were_held_back_hold_a_sandbox_no_longer_than_when_they_were_said(
    served: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A scheduler hoards true words, and lets them through one by one after the keeper has ended the attempt."""
    monkeypatch.setattr(opener_module, "TETHER_S", 2.0)
    trip = Trip(served, "run_12", name="sleep", more=b',"seconds":600')
    trip.warrant()
    assert next(trip.stream)[0] == "piece"
    hoard = []
    for _ in range(8):
        time.sleep(0.1)
        hoard.append(trip.word())
    silent = time.monotonic()
    for word in hoard:
        trip.tell("word", *word)
        time.sleep(1.0)
    assert time.monotonic() > silent + 2.0
    assert not sandboxes(), "the keeper takes it for gone"
    with pytest.raises(CarrierError):
        list(trip.stream)


def test_a_warrant_that_was_held_back_longer_than_the_tether_opens_nothing(
    served: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opener_module, "TETHER_S", 1.0)
    trip = Trip(served, "run_13")
    time.sleep(1.5)
    trip.warrant()
    with pytest.raises(CarrierError):
        list(trip.stream)


def test_whoever_has_another_user_id_is_hung_up_on(
    opener: Opener, served: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opener, "_allowed", frozenset({12345}))
    with pytest.raises(CarrierError):
        next(served.work("run_11", 1, []))
