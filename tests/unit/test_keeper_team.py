"""What a lead and its shards say to each other is carried once, and ends with whichever of them fails."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from safehold.errors import DeniedError, InvalidError, SafeholdError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.planting import Plan
from safehold.keeper.ports import Beside, Frame
from safehold.keeper.team import Team, cut, read_workers


class Part:
    """One sandbox of a team; what it answers is the test's."""

    level, kernel, mechanisms, program = "E3", "k", ("m",), "0:test"

    def __init__(self, answer: Any = None) -> None:
        self._answer = answer
        self.told: list[tuple[dict[str, Any], bytes]] = []
        self.asked: list[tuple[dict[str, Any], bytes, bool]] = []
        self.killed = False

    def frames(self) -> Iterator[Frame]:
        return iter(())

    def kill(self) -> None:
        self.killed = True

    def tell(self, header: Mapping[str, Any], body: bytes) -> None:
        self.told.append((dict(header), body))

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        self.asked.append((dict(header), body, remember))
        if isinstance(self._answer, BaseException):
            raise self._answer
        return Frame(
            self._answer or {"type": "answer", "number": header["number"]}, memoryview(b"sum")
        )


def question(shard: Any = 1, what: Any = "sum") -> Frame:
    return Frame({"type": "ask", "shard": shard, "number": 7, "do": what}, memoryview(b"model"))


def carry(team: Team, frame: Frame) -> None:
    with ThreadPoolExecutor(1) as pool:
        team.carry(frame, pool).result()


@pytest.mark.parametrize(("what", "remembered"), [("sum", False), ("places", True)])
def test_a_question_goes_to_its_shard_and_the_answer_back_once(what: str, remembered: bool) -> None:
    lead, first, second = Part(), Part(), Part()
    carry(Team(lead, [first, second]), question(what=what))
    assert not first.asked
    assert [(body, kept) for _, body, kept in second.asked] == [(b"model", remembered)]
    assert lead.told == [({"type": "answer", "number": 7, "shard": 1}, b"sum")]


@pytest.mark.parametrize(
    "frame",
    [question(2), question(-1), question("1"), question(what=3), Frame({"type": "ask"}, memoryview(b""))],
    ids=["far", "before", "word", "nothing", "empty"],
)  # fmt: skip
def test_a_question_to_nobody_is_refused(frame: Frame) -> None:
    with pytest.raises(TamperedError):
        carry(Team(Part(), [Part(), Part()]), frame)


class Slow(Part):
    """Answers when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.may = threading.Event()

    def ask(self, header: Mapping[str, Any], body: bytes, *, remember: bool) -> Frame:
        assert self.may.wait(20)
        return super().ask(header, body, remember=remember)


def test_a_shard_has_one_question_at_a_time_and_none_waits_in_the_keepers_memory() -> None:
    first, second = Part(), Slow()
    team = Team(Part(), [first, second])
    with ThreadPoolExecutor(2) as pool:
        asked = team.carry(question(), pool)
        try:
            team.carry(question(shard=0), pool).result(20)
            with pytest.raises(TamperedError):
                team.carry(question(), pool)
        finally:
            second.may.set()
        asked.result(20)
        team.carry(question(), pool).result(20)
    assert len(second.asked) == 2


LOST = DeniedError("lost", rule="cluster.lost")


@pytest.mark.parametrize(
    ("answer", "rule"),
    [(LOST, "cluster.lost"), ({"type": "answer", "number": 8}, "train.question")],
    ids=["lost", "another"],
)
def test_a_shard_that_fails_ends_the_lead_which_is_told_nothing(answer: Any, rule: str) -> None:
    lead = Part()
    team = Team(lead, [Part(), Part(answer)])
    carry(team, question())
    assert lead.killed
    assert not lead.told
    stopped = SafeholdError("stopped", rule="sandbox.stopped")
    assert team.why(stopped).rule == rule


def test_what_nobody_foresaw_ends_the_lead_as_well() -> None:
    lead = Part()
    team = Team(lead, [Part(), Part(OSError("no"))])
    with pytest.raises(OSError, match="no"):
        carry(team, question())
    assert lead.killed
    assert team.why(SafeholdError("stopped")).rule == "train.question"


def test_ending_a_team_ends_everybody() -> None:
    parts = [Part(), Part(), Part()]
    Team(parts[0], parts[1:]).kill()
    assert all(one.killed for one in parts)


def opening(count: int) -> tuple[Any, Sequence[PersonId]]:
    people = [PersonId(f"person_{at}") for at in range(count)]
    return SimpleNamespace(aliases={one: f"p{at:03}" for at, one in enumerate(people)}), people


@pytest.mark.parametrize("workers", [2, 3, 7])
def test_shards_are_runs_of_the_one_order_and_hold_everybody_who_trains_once(workers: int) -> None:
    one, people = opening(20)
    plan = Plan(
        held_out=("p003", "p011"), beside=Beside(names=frozenset({"p0055", "p9"})), record={}
    )
    groups, held = cut(one, people, plan, workers)
    trains = sorted({*one.aliases.values(), "p0055", "p9"} - {"p003", "p011"})
    assert [name for group in groups for name in group] == trains
    assert held == ["p003", "p011"]
    assert max(map(len, groups)) - min(map(len, groups)) <= 1


def test_a_shard_of_nobody_is_refused() -> None:
    one, people = opening(3)
    with pytest.raises(DeniedError):
        cut(one, people, Plan(held_out=("p000",), beside=Beside(), record={}), 3)


def desk(most: int) -> Any:
    return SimpleNamespace(workshop=SimpleNamespace(most_together=lambda: most))


@pytest.mark.parametrize("given", [0, 5, -1, "2", 2.0, True, None])
def test_no_more_shards_than_can_wait_for_each_other(given: Any) -> None:
    with pytest.raises(InvalidError) as error:
        read_workers(given, desk(4))
    assert error.value.rule == "train.workers"


@pytest.mark.parametrize("given", [1, 4])
def test_as_many_as_there_are_may_be_asked_for(given: int) -> None:
    assert read_workers(given, desk(4)) == given
