"""What portals leave with the keeper: proofs count once, counts are shared, notes and answers have one owner and an end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safehold import db
from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import InvalidError
from safehold.keeper import answered, pigeonholes
from safehold.keeper.pigeonholes import Pigeonholes

NOW = 1_800_000_000
A, B, C, D = (f"{digit:x}" * 64 for digit in (10, 11, 12, 13))


@dataclass
class Place:
    """A keeper's memory over a real control database; its time stands until it is moved."""

    engine: Any
    now_us: int = NOW * SECOND_US

    def keeper(self) -> Any:
        """Return the verbs of a keeper that has just begun to lead."""
        desk = SimpleNamespace(engine=self.engine, now_us=lambda: self.now_us)
        verbs = Pigeonholes(desk).verbs()  # type: ignore[arg-type]
        return lambda verb, **given: verbs[verb](given, (), lambda _: None)

    def wait(self, seconds: float) -> None:
        self.now_us += round(seconds * SECOND_US)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    engine = db.open_engine(tmp_path / "control.db")
    db.migrate(engine)
    yield Place(engine)
    engine.dispose()


def spend(call: Any, at_s: int, name: str = A) -> str:
    return str(call("portal.spend", name=name, at_s=at_s)["state"])


def test_a_proof_counts_once_and_never_from_before_the_keeper_began(place: Place) -> None:
    call = place.keeper()
    assert spend(call, NOW) == "before"
    place.wait(2)
    assert [spend(call, NOW + 2) for _ in range(2)] == ["fresh", "spent"]
    assert spend(call, NOW + 2, B) == "fresh"
    # another keeper takes over: what it was not told of does not count
    call = place.keeper()
    assert spend(call, NOW + 2) == "before"


def test_a_proof_of_a_clock_that_runs_ahead_is_known_to_the_next_keeper(place: Place) -> None:
    call = place.keeper()
    place.wait(2)
    assert spend(call, NOW + 40) == "fresh"
    place.wait(5)
    call = place.keeper()
    assert spend(call, NOW + 40) == "spent"


def test_proofs_are_forgotten_when_they_no_longer_count_and_are_bounded(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pigeonholes, "MOST_SPENT", 2)
    call = place.keeper()
    place.wait(2)
    found = [spend(call, NOW + 2, name) for name in (A, B, C)]
    assert found == ["fresh", "fresh", "full"]
    place.wait(122)
    assert spend(call, NOW + 124, C) == "fresh"


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 30))
def test_nobody_gets_more_than_the_limit_in_a_minute(waits: list[float], most: int) -> None:
    place = Place(None)
    call = place.keeper()
    began, taken = place.now_us, 0
    for wait in waits:
        place.wait(wait)
        taken += call("portal.count", name=A, a_minute=most)["left"] > 0
    minutes = (place.now_us - began) / (60 * SECOND_US)
    assert taken <= most * (1 + minutes) + 1e-6


def begin(call: Any, name: str = A, *, asked: str = C, again: bool = False) -> dict[str, Any]:
    said: dict[str, Any] = call("portal.begin", name=name, owner=B, asked=asked, again=again)
    return said


def test_one_portal_carries_a_request_out_and_the_others_get_its_answer(place: Place) -> None:
    call = place.keeper()
    assert begin(call)["state"] == "begun"
    assert begin(call)["state"] == "running"
    assert begin(call, asked=D)["state"] == "reused"
    call("portal.end", name=A, state="done", status=201, answer=b64(b"sealed"))
    # durable: the next keeper knows it
    call = place.keeper()
    said = begin(call)
    assert (said["state"], said["status"], unb64(said["answer"])) == ("done", 201, b"sealed")
    place.wait(86_401)
    assert begin(call)["state"] == "begun"


def test_what_a_portal_that_fell_silent_was_at_is_not_known(place: Place) -> None:
    call = place.keeper()
    begin(call)
    place.wait(10)
    call("portal.hold", requests=[A], notes=[])
    place.wait(10)
    assert begin(call)["state"] == "running"
    place.wait(6)
    assert begin(call)["state"] == "unknown"
    assert begin(call, again=True)["state"] == "begun"


def test_a_keeper_that_has_just_begun_believes_portals_for_a_while(place: Place) -> None:
    begin(place.keeper())
    place.wait(60)
    call = place.keeper()
    assert begin(call)["state"] == "running"
    place.wait(16)
    assert begin(call)["state"] == "unknown"


def test_a_request_that_was_not_carried_out_may_come_again(place: Place) -> None:
    call = place.keeper()
    begin(call)
    call("portal.end", name=A, state="gone")
    assert begin(call)["state"] == "begun"
    call("portal.end", name=A, state="unknown")
    assert begin(call)["state"] == "unknown"


def test_an_owner_has_a_bounded_number_and_the_oldest_answer_goes_first(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answered, "MOST_EACH", 2)
    call = place.keeper()
    names = [f"{number:064x}" for number in range(1, 5)]
    for name in names[:2]:
        assert begin(call, name)["state"] == "begun"
        place.wait(1)
    assert begin(call, names[2])["state"] == "full"
    call("portal.end", name=names[0], state="done", status=200, answer="")
    assert begin(call, names[2])["state"] == "begun"
    assert begin(call, names[0])["state"] == "full"


def put(call: Any, name: str = A, owner: str = B, record: bytes = b"x", **more: Any) -> str:
    return str(call("portal.put", name=name, owner=owner, record=b64(record), **more)["state"])


def notes(call: Any, owner: str = B, **which: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = call("portal.notes", owner=owner, **which)["notes"]
    return found


def test_notes_are_found_by_their_owner_alone_and_say_whether_their_portal_is_silent(
    place: Place,
) -> None:
    call = place.keeper()
    assert put(call) == "kept"
    assert [one["lost"] for one in notes(call)] == [False]
    assert notes(call, C) == notes(call, C, name=A) == []
    place.wait(16)
    assert [one["lost"] for one in notes(call, name=A)] == [True]
    put(call, record=b"over", over=True)
    place.wait(16)
    assert [(one["lost"], unb64(one["record"])) for one in notes(call)] == [(False, b"over")]
    place.wait(3_600)
    assert notes(call) == []
    assert place.keeper()("portal.hold", requests=[], notes=[A])["missing"] == [A]


def test_notes_are_bounded_of_one_owner_and_altogether(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pigeonholes, "MOST_EACH", 2)
    monkeypatch.setattr(pigeonholes, "ROOM", 10)
    call = place.keeper()
    names = [f"{number:064x}" for number in range(1, 5)]
    assert [put(call, name) for name in names] == ["kept", "kept", "full", "full"]
    assert put(call, names[3], C, b"y" * 20) == "full"
    with pytest.raises(InvalidError):
        put(call, names[3], C, b"y" * (pigeonholes.LARGEST + 1))


@pytest.mark.parametrize("name", ["", "A" * 64, "g" * 64, "a" * 63, 7, None])
def test_names_are_hashes_and_nothing_else(place: Place, name: Any) -> None:
    with pytest.raises(InvalidError):
        place.keeper()("portal.spend", name=name, at_s=NOW + 5)
