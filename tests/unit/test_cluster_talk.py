"""An errand that is asked while it runs: one answer to each question, whichever attempt gives it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from tests.unit.test_cluster_errand import Driven

from safehold.app.ray_workshop import RayTalker
from safehold.cluster.opener import _Asked
from safehold.cluster.parcel import FRAMES, tell
from safehold.cluster.seal import ASKED, BACK, Keys
from safehold.cluster.talk import Talk
from safehold.errors import SafeholdError, TamperedError
from safehold.sandbox.frame import pack_frame, read_frames
from safehold.sandbox.job import Job, Limits
from safehold.sandbox.parts import seal_bytes


class Shard(Driven):
    """Plays the worker of a shard: answers each question with its body, doubled, and is lost when told so."""

    def __init__(self, *, lost_at: int = 0, twice: bool = False, how: str = "") -> None:
        super().__init__()
        self.lost_at, self.twice, self.how = lost_at, twice, how
        self.again = False
        self.levels: list[tuple[str, list[str]]] = []
        self.numbers: list[tuple[int, int]] = []
        self.heard: list[tuple[int, str]] = []
        self.count = 0

    def work(self, place: Mapping[str, Any], keys: Keys) -> None:
        self.count = 0
        if self.how == "late":
            self.send(place, keys, FRAMES + b"".join(pack_frame({"type": "answer"}, b"x")))
        self.tell(place, keys)

    def tell(self, place: Mapping[str, Any], keys: Keys) -> None:
        level, had = self.levels.pop(0) if self.levels else ("E2", [])
        self.send(place, keys, tell({"level": level, "kernel": "k", "mechanisms": had}))

    def send(self, place: Mapping[str, Any], keys: Keys, piece: bytes) -> None:
        self.say(place, "piece", keys.seal(BACK, self.count, piece, last=False))
        self.count += 1

    def write(self, header: Mapping[str, Any], body: bytes = b"") -> None:
        super().write(header, body)
        if header["do"] != "ask" or self.keys is None:
            return
        self.numbers.append((int(header["attempt"]), int(header["number"])))
        asked = self.keys.open(ASKED, header["number"], body, last=False)
        source, sink = os.pipe()
        os.write(sink, asked)
        os.close(sink)
        (frame,) = read_frames(source, budget=1 << 20)
        os.close(source)
        self.heard.append((int(header["attempt"]), frame.header["do"]))
        answer = b"".join(pack_frame({"type": "answer"}, bytes(frame.body) * 2))
        if len(self.heard) == self.lost_at:
            self.send(header, self.keys, FRAMES + answer[:-1])  # all but the last byte
            self.say(header, "lost")
            return
        for _ in range(1 + self.twice):
            self.send(header, self.keys, FRAMES + answer)
        if self.how == "twice":
            self.tell(header, self.keys)


@pytest.fixture
def inputs() -> Iterator[list[int]]:
    made = [seal_bytes(b"x")]
    yield made
    os.close(made[0])


def talking(farm: Shard, inputs: list[int]) -> Talk:
    job = Job(recipe="train.shard", inputs=tuple(inputs), limits=Limits(), least="E2", talks=True)
    return Talk(farm, job, least="E2")


def ask(one: Talk, do: str, body: bytes, *, remember: bool = False) -> bytes:
    return bytes(one.ask({"type": "ask", "do": do}, body, remember=remember).body)


def finish(one: Talk, farm: Shard) -> None:
    closer = threading.Thread(target=one.close, daemon=True)
    closer.start()
    if farm.keys is not None:
        for held in list(farm._held.values()):
            farm.say(held.place, "gone", held.keys.word("gone"))
    closer.join(30)
    assert not closer.is_alive()


@pytest.mark.parametrize("lost_at", [0, 1, 2, 3], ids=["never", "first", "remembered", "third"])
def test_a_lost_attempt_is_told_again_what_was_to_be_remembered_and_the_open_question(
    inputs: list[int], lost_at: int
) -> None:
    farm = Shard(lost_at=lost_at)
    one = talking(farm, inputs)
    assert ask(one, "lengths", b"a") == b"aa"
    assert ask(one, "places", b"b", remember=True) == b"bb"
    assert ask(one, "sum", b"c") == b"cc"
    assert ask(one, "sum", b"d") == b"dd"
    assert one.ran().attempts == (2 if lost_at else 1)
    second = [do for attempt, do in farm.heard if attempt == 2]
    assert (
        second
        == {
            0: [],
            1: ["lengths", "places", "sum", "sum"],
            2: ["places", "sum", "sum"],
            3: ["places", "sum", "sum"],
        }[lost_at]
    )
    finish(one, farm)


def test_an_answer_that_nobody_asked_for_ends_it(inputs: list[int]) -> None:
    farm = Shard(twice=True)
    one = talking(farm, inputs)
    with pytest.raises(SafeholdError) as error:
        for _ in range(3):
            ask(one, "sum", b"a")
    assert error.value.rule == "cluster.question"
    finish(one, farm)


def test_what_confined_it_is_what_confined_every_attempt_that_answered(inputs: list[int]) -> None:
    """A worker that held the rows and answered is named, though another one has taken its place."""
    farm = Shard(lost_at=2)
    farm.levels = [("E3", ["a", "b"]), ("E2", ["b", "c"]), ("E3", ["b"])]
    one = talking(farm, inputs)
    shard = RayTalker(one)
    assert ask(one, "lengths", b"a") == b"aa"
    assert (shard.level, set(shard.mechanisms)) == (
        "E3",
        {"a", "b", "ray-worker:w", "ray-attempt:1"},
    )
    assert ask(one, "sum", b"b") == b"bb"
    assert (shard.level, set(shard.mechanisms)) == ("E2", {"b", "ray-worker:w", "ray-attempt:2"})
    finish(one, farm)


@pytest.mark.parametrize("how", ["twice", "late"])
def test_a_worker_says_what_confines_it_once_and_before_all_else(
    inputs: list[int], how: str
) -> None:
    """Told again, questions would be sealed under numbers that were used for others."""
    farm = Shard(how=how)
    one = talking(farm, inputs)
    with pytest.raises(SafeholdError) as error:
        for body in (b"a", b"b", b"c"):
            ask(one, "sum", body)
    assert error.value.rule == "cluster.parcel"
    assert len(farm.numbers) == len(set(farm.numbers))
    finish(one, farm)


def test_an_answer_that_nobody_has_looked_at_yet_is_not_taken_for_the_next_one(
    inputs: list[int],
) -> None:
    """The attempt is lost, and made again, between an answer and whoever waits for it."""
    farm = Shard()
    one = talking(farm, inputs)
    assert ask(one, "lengths", b"a") == b"aa"
    waits = one._turn.wait_for

    def wait_for(what: Any, timeout: float | None = None) -> Any:
        told = waits(what, timeout)
        if not farm.again:
            farm.again = True
            one._turn.release()
            farm.say(next(iter(farm._held.values())).place, "lost")
            end = time.monotonic() + 20
            while [do for attempt, do in farm.heard if attempt == 2] != ["places"]:
                assert time.monotonic() < end
                time.sleep(0.01)
            time.sleep(0.1)  # until its answer is there
            one._turn.acquire()
        return told

    one._turn.wait_for = wait_for  # type: ignore[method-assign]
    assert ask(one, "places", b"b", remember=True) == b"bb"
    del one._turn.wait_for
    assert ask(one, "sum", b"c") == b"cc"
    finish(one, farm)


def test_what_is_to_be_remembered_fills_no_memory(inputs: list[int]) -> None:
    farm = Shard(lost_at=6)
    one = talking(farm, inputs)
    for body in (b"a", b"b", b"c", b"d", b"e"):
        ask(one, "places", body, remember=True)
    assert ask(one, "sum", b"f") == b"ff"
    assert [do for attempt, do in farm.heard if attempt == 2] == ["places", "sum"]
    finish(one, farm)


class Taker:
    def __init__(self) -> None:
        self.taken: list[bytes] = []

    def tell(self, data: bytes) -> None:
        self.taken.append(data)


def keys() -> Keys:
    return Keys(b"s" * 32, b"place")


def test_an_opener_hands_pieces_on_in_their_order_whatever_order_they_came_in() -> None:
    asked, taker = _Asked(keys()), Taker()
    for number in (2, 0, 3, 1):
        asked.take(number, keys().seal(ASKED, number, b"%d" % number, last=False))
    asked.close()
    asked.hand(taker)  # type: ignore[arg-type]
    assert taker.taken == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("how", ["again", "other number", "other way", "too many"])
def test_an_opener_takes_no_piece_twice_and_none_that_the_keeper_did_not_seal(how: str) -> None:
    asked = _Asked(keys())
    piece = keys().seal(ASKED, 0, b"x", last=False)
    asked.take(0, piece)
    with pytest.raises(TamperedError):
        if how == "again":
            asked.take(0, piece)
        elif how == "other number":
            asked.take(1, piece)
        elif how == "other way":
            asked.take(1, keys().seal(BACK, 1, b"x", last=False))
        else:
            for number in range(2, 200):
                asked.take(number, keys().seal(ASKED, number, b"x", last=False))
