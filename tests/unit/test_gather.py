"""Requests of many callers in one call: who goes with whom, and what each is told."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from tests.world import raised

from safehold.errors import DeniedError, SafeholdError, UnavailableError
from safehold.ingest.network.combine import FullError
from safehold.ingest.network.gather import Gatherer

WAIT_S = 60.0
Answers = Sequence[str | SafeholdError]


class Keeper:
    """Answers when it is let; remembers who came together."""

    def __init__(self, answer: Callable[[Sequence[str]], Answers]) -> None:
        self._answer = answer
        self.calls: list[list[str]] = []
        self.called, self.let = threading.Semaphore(0), threading.Semaphore(0)

    def __call__(self, asked: Sequence[str]) -> Answers:
        self.calls.append(list(asked))
        self.called.release()
        assert self.let.acquire(timeout=WAIT_S)
        return self._answer(asked)


def echoes(asked: Sequence[str]) -> Answers:
    return [f"for {one}" for one in asked]


@contextmanager
def gathering(keeper: Keeper, **changes: float) -> Iterator[Gatherer[str, str]]:
    given = {"most": 4, "every_s": 0.0, "waiting": 8, "patience_s": WAIT_S} | changes
    one: Gatherer[str, str] = Gatherer(keeper, name="test", **given)  # type: ignore[arg-type]
    try:
        yield one
    finally:
        keeper.let.release(100)
        one.close()


class Asking:
    """Callers, each in a thread of their own."""

    def __init__(self, gatherer: Gatherer[str, str]) -> None:
        self._gatherer = gatherer
        self.told: dict[str, str | SafeholdError] = {}
        self._threads: list[threading.Thread] = []

    def ask(self, *names: str) -> None:
        """Have callers wait, in order."""
        for name in names:
            before = len(self._gatherer._queue)
            thread = threading.Thread(target=self._one, args=(name,), daemon=True)
            thread.start()
            self._threads.append(thread)
            for _ in range(600):
                if len(self._gatherer._queue) > before:
                    break
                thread.join(0.1)

    def first(self, keeper: Keeper, name: str = "first") -> None:
        """Have one caller's request under way."""
        thread = threading.Thread(target=self._one, args=(name,), daemon=True)
        thread.start()
        self._threads.append(thread)
        assert keeper.called.acquire(timeout=WAIT_S)

    def end(self) -> dict[str, str | SafeholdError]:
        for thread in self._threads:
            thread.join(WAIT_S)
        return self.told

    def _one(self, name: str) -> None:
        try:
            self.told[name] = self._gatherer.ask(name)
        except SafeholdError as error:
            self.told[name] = error


def test_who_asks_alone_goes_at_once_and_the_others_together() -> None:
    keeper = Keeper(echoes)
    with gathering(keeper) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b", "c", "d", "e")
        keeper.let.release(3)
        told = asking.end()
    assert keeper.calls == [["first"], ["a", "b", "c", "d"], ["e"]], "no more than fit go together"
    assert told == {one: f"for {one}" for one in ("first", "a", "b", "c", "d", "e")}


def test_the_next_call_begins_so_much_later() -> None:
    keeper = Keeper(echoes)
    keeper.let.release(100)
    with gathering(keeper, every_s=3.0) as gatherer:
        gatherer.ask("first")
        asking = Asking(gatherer)
        asking.ask("a")
        asking.ask("b")
        asking.end()
    assert keeper.calls == [["first"], ["a", "b"]]


def test_what_is_said_of_one_is_told_to_them_alone() -> None:
    keeper = Keeper(lambda asked: [
        DeniedError("no", rule="lease.device") if one == "b" else f"for {one}" for one in asked
    ])  # fmt: skip
    with gathering(keeper) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b", "c")
        keeper.let.release(2)
        told = asking.end()
    assert (told["a"], told["c"]) == ("for a", "for c")
    assert isinstance(told["b"], DeniedError)


@pytest.mark.parametrize(
    "answer",
    [
        lambda asked: echoes(asked)[:-1],
        lambda asked: [*echoes(asked), "for nobody"],
        lambda _: {}["no answers"],
        lambda _: None.answers,
    ],
)
def test_answers_that_are_not_for_whoever_asked_are_nobodys(
    answer: Callable[[Sequence[str]], Answers],
) -> None:
    strange = [True]
    keeper = Keeper(lambda asked: answer(asked) if strange else echoes(asked))
    with gathering(keeper) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b")
        keeper.let.release(2)
        told = asking.end()
        assert all(isinstance(one, UnavailableError) for one in told.values()), told
        strange.clear()
        keeper.let.release()
        assert gatherer.ask("again") == "for again", "whoever comes later is answered"


def test_what_is_said_of_all_is_told_to_all() -> None:
    def no(_asked: Sequence[str]) -> Answers:
        raise DeniedError("everything is stopped", rule="oversight.stop")

    keeper = Keeper(no)
    with gathering(keeper) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b")
        keeper.let.release(2)
        told = asking.end()
    assert {one.rule for one in told.values() if isinstance(one, SafeholdError)} == {
        "oversight.stop"
    }


def test_no_more_wait_than_may() -> None:
    keeper = Keeper(echoes)
    with gathering(keeper, waiting=2) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b")
        assert isinstance(raised(lambda: gatherer.ask("c")), FullError)
        keeper.let.release(2)
        assert len(asking.end()) == 3


def test_nobody_asks_for_whoever_has_gone() -> None:
    keeper = Keeper(echoes)
    with gathering(keeper, patience_s=1.0) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("gone")
        told = asking.end()
        assert {one.rule for one in told.values() if isinstance(one, SafeholdError)} == {
            "ingest.slow"
        }
        gatherer._patience_s = WAIT_S  # a busy machine may take longer than those waited
        keeper.let.release(2)
        assert gatherer.ask("here") == "for here"
    assert keeper.calls == [["first"], ["here"]]


def test_who_waits_when_it_closes_is_answered() -> None:
    keeper = Keeper(echoes)
    with gathering(keeper, every_s=1_000.0) as gatherer:
        asking = Asking(gatherer)
        asking.first(keeper)
        asking.ask("a", "b")
        keeper.let.release(2)
        gatherer.close()
        assert len(asking.end()) == 3
        assert isinstance(raised(lambda: gatherer.ask("late")), FullError)
    assert keeper.calls == [["first"], ["a", "b"]]


@pytest.mark.parametrize("said", [None, 7, {"answers": []}])
def test_an_answer_of_no_shape_ends_no_more_than_its_call(said: object) -> None:
    """Whoever asks next is answered: one answer that is no list must not end the thread that all wait for."""
    answers: list[object] = [said]
    keeper = Keeper(lambda asked: answers.pop() if answers else echoes(asked))  # type: ignore[arg-type,return-value]
    keeper.let.release(2)
    with gathering(keeper, patience_s=5.0) as gatherer:
        assert raised(lambda: gatherer.ask("first")).rule == "ingest.answer"
        assert gatherer.ask("second") == "for second"
