"""A training whose people are in several sandboxes: the same sample, the same sums, one noise for each round."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.unit.test_enclave_train import SHAPE, WORDS, gathered, people

from safehold.enclave import lead
from safehold.enclave.lead import Shards, SharedLearner
from safehold.enclave.model import Examples, make_examples
from safehold.enclave.shard import Shard
from safehold.enclave.shard import main as shard_main
from safehold.enclave.training import gather_people, learner_of, train
from safehold.errors import InvalidError, SafeholdError, TamperedError
from safehold.privacy import release
from safehold.privacy.account import (
    Plan,
    calibrate,
    log_chance_of_more,
    seats_for,
)
from safehold.privacy.training import descent, slots
from safehold.sandbox.channel import Frame

COUNT, MOST, CLIP = 37, 16, 0.1
PLACES = {"type": "ask", "do": "places", "most": MOST}
WHOLE = Plan(
    epsilon_micro=8_000_000, delta_e12=10**6, rounds=6, sampling_ppm=1_000_000, multiplier=1.0
)
SAMPLED = Plan(
    epsilon_micro=8_000_000, delta_e12=10**6, rounds=12, sampling_ppm=300_000, multiplier=1.0
)


class Local:
    """Asks shards in this process; some of them are lost on the way."""

    def __init__(
        self, sizes: Sequence[int], lost: frozenset[tuple[int, int]] = frozenset()
    ) -> None:
        self.everybody = examples()
        ends = np.concatenate([[0], np.cumsum(sizes)])
        self.groups = [self.everybody[a:b] for a, b in itertools.pairwise(ends)]
        self.shards = [self.fresh(at) for at in range(len(sizes))]
        self.places: list[bytes] = []
        self.lost, self.rounds = lost, 0

    def fresh(self, at: int) -> Shard:
        return Shard(self.groups[at], SHAPE)

    def __call__(self, header: Mapping[str, Any], bodies: Sequence[bytes]) -> list[bytes]:
        asked = {"type": "ask", **header}
        if header["do"] == "places":
            self.places = list(bodies)
        if header["do"] == "sum":
            self.rounds += 1
        found = []
        for at, body in enumerate(bodies):
            if header["do"] == "sum" and (self.rounds, at) in self.lost:
                self.shards[at].answer(asked, memoryview(body))  # nobody hears it
                self.shards[at] = self.fresh(at)
                self.shards[at].answer(PLACES, memoryview(self.places[at]))
            found.append(self.shards[at].answer(asked, memoryview(body)))
        return found


def examples() -> list[Examples]:
    # of different lengths, some over the cap and one with nothing
    walks = people(COUNT, length=60)
    return [
        make_examples(
            type(one)(*(getattr(one, name)[: 5 + 7 * (at % 8)] for name in ("token", "app", "start"))),
            SHAPE,
        )
        for at, one in enumerate(walks)
    ]  # fmt: skip


@pytest.fixture
def dice(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Let what is drawn be the same after each call; the product draws from the operating system."""
    rng = [np.random.default_rng(5)]

    def words(count: int) -> NDArray[np.uint64]:
        return rng[0].integers(0, 2**64, count, dtype=np.uint64)

    def again() -> None:
        rng[0] = np.random.default_rng(5)

    monkeypatch.setattr(release, "_words", words)
    return again


class Watched:
    """A learner that remembers where gradients were taken, of whom, and their sum."""

    def __init__(self, inner: Any) -> None:
        self._inner, self.chunk = inner, inner.chunk
        self.sums: list[NDArray[np.float64]] = []
        self.within: list[float] = []
        self.there: list[int] = []
        self.at: list[NDArray[np.float64]] = []
        self.who: list[tuple[Any, Any]] = []

    def start(self) -> Any:
        return self._inner.start()

    def prepare(self, given: Any) -> Any:
        return self._inner.prepare(given)

    def sum_clipped(self, params: Any, given: Any, present: Any, bounds: Any) -> Any:
        total, within = self._inner.sum_clipped(params, given, present, bounds)
        self.at.append(params["weights"].copy())
        self.sums.append(total["weights"])
        self.within.append(within)
        self.there.append(int(present.sum()))
        self.who.append((given["place"], present))
        return total, within


def shared(plan: Plan, ask: Local, sizes: Sequence[int]) -> SharedLearner:
    return SharedLearner(ask, sizes, SHAPE, plan=plan, most=MOST)


def fit(plan: Plan, learner: Watched, given: Any, noise: Any = None) -> Any:
    drawn: dict[str, Any] = {} if noise is None else {"noise": noise}
    return train(given, SHAPE, plan=plan, clip=CLIP, rate=1.0, learner=learner, **drawn)  # type: ignore[arg-type]


def one(plan: Plan, noise: Any = None) -> tuple[Watched, Any]:
    arrays = {**gather_people(examples(), SHAPE, most=MOST), "place": np.arange(COUNT)}
    learner = Watched(learner_of(SHAPE))
    return learner, fit(plan, learner, arrays, noise)


def several(plan: Plan, sizes: Sequence[int], ask: Local, noise: Any = None) -> tuple[Watched, Any]:
    learner = Watched(shared(plan, ask, sizes))
    return learner, fit(plan, learner, {"place": np.arange(COUNT)}, noise)


def rounding(present: int) -> float:
    """Return how far two sums of the same people may be apart, entry by entry.

    Each adds at most n = present x MOST numbers in single precision, of which the sizes add up to at most A in one
    entry: |error| <= n u / (1 - n u) A with u = 2^-24 (Higham 2002, section 4.2), twice. A person's numbers of one
    entry are values times errors times weights, so A <= 2 x present (a value is at most 2, an error 1, weights 1).
    """
    terms = present * MOST
    gamma = terms * 2.0**-24 / (1 - terms * 2.0**-24)
    return 2 * gamma * 2 * present


@pytest.mark.parametrize("plan", [WHOLE, SAMPLED], ids=["everybody", "sampled"])
@pytest.mark.parametrize("sizes", [(18, 19), (COUNT,), (5, 12, 20)], ids=str)
def test_sample_and_sums_before_noise_are_those_of_one_sandbox(
    dice: Callable[[], None], plan: Plan, sizes: tuple[int, ...]
) -> None:
    def silent(shape: tuple[int, ...], _: float) -> NDArray[np.float64]:
        return np.zeros(shape)

    dice()
    alone, model = one(plan, silent)
    dice()
    together, other = several(plan, sizes, Local(sizes), silent)
    for (place, here), (other_place, there) in zip(together.who, alone.who, strict=True):
        assert np.array_equal(place[here], other_place[there])
    assert together.within == alone.within
    dice()
    learner = shared(plan, Local(sizes), sizes)
    learner.prepare({"place": np.arange(COUNT)})  # the same examples of everybody
    worst = 0.0
    for at, (place, present), whole in zip(alone.at, alone.who, alone.sums, strict=True):
        parts, _ = learner.sum_clipped({"weights": at}, {"place": place}, present, {"": CLIP})
        worst = max(worst, float(np.abs(parts["weights"] - whole).max()))
        assert np.abs(parts["weights"] - whole).max() <= rounding(int(present.sum()))
    assert worst < 1e-5, "and in truth far below the bound"
    assert np.abs(other.weights - model.weights).max() < 1e-4


def test_the_noise_is_drawn_as_often_as_with_one_sandbox(dice: Callable[[], None]) -> None:
    def counted(seen: list[tuple[tuple[int, ...], float]]) -> Any:
        def noise(shape: tuple[int, ...], deviation: float) -> NDArray[np.float64]:
            seen.append((shape, deviation))
            return release.draw_gaussian(shape, deviation)

        return noise

    first: list[Any] = []
    second: list[Any] = []
    dice()
    _, alone = one(SAMPLED, counted(first))
    dice()
    _, together = several(SAMPLED, (18, 19), Local((18, 19)), counted(second))
    assert first == second
    assert len(first) == SAMPLED.rounds
    # the same draws, so the same model but for the order in which numbers were added
    assert np.abs(alone.weights - together.weights).max() < 1e-4


LOST = [
    frozenset({(1, 0)}),
    frozenset({(3, 1), (4, 0)}),
    frozenset({(at, 1) for at in range(1, 13)}),
]


@pytest.mark.parametrize("lost", LOST, ids=len)
def test_a_shard_that_is_lost_is_asked_again_with_the_same_sample_and_no_noise_was_drawn_for_it(
    dice: Callable[[], None], lost: frozenset[tuple[int, int]]
) -> None:
    """Bit by bit: were a round's noise seen with two sums, their difference would be people's gradients."""
    drawn: list[int] = []

    def noise(shape: tuple[int, ...], deviation: float) -> NDArray[np.float64]:
        drawn.append(1)
        return release.draw_gaussian(shape, deviation)

    dice()
    whole, model = several(SAMPLED, (18, 19), Local((18, 19)), noise)
    drawn.clear()
    dice()
    ask = Local((18, 19), lost)
    broken, other = several(SAMPLED, (18, 19), ask, noise)
    assert len(drawn) == SAMPLED.rounds
    assert all(np.array_equal(a, b) for a, b in zip(whole.sums, broken.sums, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(whole.at, broken.at, strict=True))
    assert np.array_equal(model.weights, other.weights)


def test_what_one_person_adds_is_bounded_whatever_the_number_of_shards() -> None:
    ask = Local((18, 19))
    learner = shared(WHOLE, ask, (18, 19))
    places = learner.prepare({"place": np.arange(COUNT)})
    start = {"weights": np.full((SHAPE.rows + 1, SHAPE.tokens), 0.1)}
    everybody, _ = learner.sum_clipped(start, places, np.ones(COUNT, bool), {"": CLIP})
    for at in range(0, COUNT, 6):
        present = np.ones(COUNT, bool)
        present[at] = False
        rest, _ = learner.sum_clipped(start, places, present, {"": CLIP})
        moved = np.linalg.norm(everybody["weights"] - rest["weights"])
        assert moved <= CLIP * release.SLACK


def lying(change: Callable[[NDArray[np.float64]], Any], what: str = "sum") -> SharedLearner:
    """Return a learner of whose two shards the second changes what it says."""
    ask = Local((18, 19))

    def told(header: Mapping[str, Any], bodies: Sequence[bytes]) -> list[bytes]:
        found = ask(header, bodies)
        if header["do"] == what:
            numbers = np.frombuffer(found[1], "<f8" if what == "sum" else "<i8").copy()
            change(numbers)
            found[1] = numbers.tobytes()
        return found

    return SharedLearner(told, (18, 19), SHAPE, plan=WHOLE, most=MOST)


LIES: dict[str, Callable[[NDArray[np.float64]], Any]] = {
    "not a number": lambda sums: sums.__setitem__(3, np.nan),
    "without end": lambda sums: sums.__setitem__(3, -np.inf),
    "over all numbers": lambda sums: sums.__setitem__(slice(0, 9), 1e200),
    "one person too many": lambda sums: sums.__setitem__(3, 12 * CLIP),
    "a count of nobody": lambda sums: sums.__setitem__(-1, -1.0),
    "a count of more": lambda sums: sums.__setitem__(-1, 12.0),
    "a count of none": lambda sums: sums.__setitem__(-1, np.nan),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sum_that_the_people_on_the_seats_cannot_have_ends_the_training(lie: str) -> None:
    """The noise covers one person's bound; a shard that does not clip is found before noise is drawn."""
    learner = lying(LIES[lie])
    places = learner.prepare({"place": np.arange(COUNT)})
    present = np.arange(COUNT) < 18 + 11
    with pytest.raises(TamperedError):
        learner.sum_clipped(learner.start(), places, present, {"": CLIP})


def test_a_shard_of_which_nobody_was_drawn_adds_nothing() -> None:
    learner = lying(lambda sums: sums.__setitem__(3, 1e-9))
    places = learner.prepare({"place": np.arange(COUNT)})
    with pytest.raises(TamperedError):
        learner.sum_clipped(learner.start(), places, np.arange(COUNT) < 18, {"": CLIP})


@pytest.mark.parametrize("count", [-1, 1 << 31, 1 << 62])
def test_a_person_with_more_examples_than_anybody_has_fills_no_memory(count: int) -> None:
    learner = lying(lambda lengths: lengths.__setitem__(0, count), "lengths")
    with pytest.raises(TamperedError):
        learner.prepare({"place": np.arange(COUNT)})


def test_a_round_that_draws_more_of_a_shard_than_it_has_seats_takes_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lead, "seats_for", lambda *_, **__: 4)
    learner = shared(SAMPLED, Local((18, 19)), (18, 19))
    places = learner.prepare({"place": np.arange(COUNT)})
    start = learner.start()
    few, many = np.zeros(COUNT, bool), np.zeros(COUNT, bool)
    few[[0, 1, 20]] = True
    many[:5] = many[20] = True
    assert np.any(learner.sum_clipped(start, places, few, {"": CLIP})[0]["weights"])
    assert not np.any(learner.sum_clipped(start, places, many, {"": CLIP})[0]["weights"])


def test_seats_of_shards_run_out_no_more_often_than_those_of_one() -> None:
    plan = calibrate(epsilon_micro=2_000_000, delta_e12=10**6, rounds=40, sampling_ppm=100_000)
    size, parts = 2_000, 500
    seats = seats_for(plan, size, parts=parts)
    run_out = parts * plan.rounds * np.exp(log_chance_of_more(seats, count=size, share=0.1))
    assert run_out <= 1e-12
    assert seats < size / 4, "and a shard does the work of its own people"


def test_questions_have_one_size_whoever_is_drawn() -> None:
    """Whoever carries them sees sizes; they follow from public numbers alone."""
    sizes: list[dict[str, set[tuple[int, ...]]]] = []
    for length in (40, 9):
        seen: dict[str, set[tuple[int, ...]]] = {}
        ask = Local((18, 19))
        ask.groups = [[make_examples(one, SHAPE) for one in people(n, length=length)] for n in (18, 19)]  # fmt: skip
        ask.shards = [ask.fresh(0), ask.fresh(1)]

        def record(header: Any, bodies: Any, ask: Any = ask, seen: Any = seen) -> list[bytes]:
            told = ask(header, bodies)
            seen.setdefault(header["do"], set()).add(tuple(map(len, (*bodies, *told))))
            return list(told)

        learner = SharedLearner(record, (18, 19), SHAPE, plan=SAMPLED, most=MOST)
        fit(SAMPLED, Watched(learner), {"place": np.arange(COUNT)})
        sizes.append(seen)
    assert sizes[0] == sizes[1]
    assert all(len(one) == 1 for one in sizes[0].values())


def frames(*headers: dict[str, Any]) -> Iterator[Frame]:
    return iter([Frame(one, memoryview(b"x")) for one in headers])


def answer(shard: int, number: int) -> dict[str, Any]:
    return {"type": "answer", "shard": shard, "number": number}


def test_answers_are_taken_in_any_order_and_once() -> None:
    sent: list[dict[str, Any]] = []
    ask = Shards(lambda header, _: sent.append(header), frames(answer(1, 0), answer(0, 0)), 2)
    assert ask({"do": "sum"}, [b"a", b"b"]) == [b"x", b"x"]
    assert [one["shard"] for one in sent] == [0, 1]


@pytest.mark.parametrize(
    "told",
    [
        [answer(0, 0), answer(0, 0)],
        [answer(0, 0), answer(1, 1)],
        [answer(0, 0), answer(2, 0)],
        [answer(0, 0)],
        [answer(0, 0), {"type": "ask"}],
    ],
    ids=["twice", "another round", "nobody", "none", "no answer"],
)
def test_an_answer_that_is_none_ends_the_training(told: list[dict[str, Any]]) -> None:
    ask = Shards(lambda *_: None, frames(*told), 2)
    with pytest.raises(TamperedError):
        ask({"do": "sum"}, [b"", b""])


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ({"type": "ask", "do": "sum", "bound": 0.1}, b""),  # before places
        (PLACES, b"\0\0\0\0"),
        (PLACES | {"most": 1 << 20}, b""),
        (PLACES, np.full(COUNT * MOST, 999, "<i4").tobytes()),
        ({"type": "ask", "do": "rows"}, b""),
    ],
    ids=["early", "few", "most", "far", "rows"],
)
def test_a_shard_answers_nothing_else(header: dict[str, Any], body: bytes) -> None:
    with pytest.raises(InvalidError):
        Shard(examples(), SHAPE).answer(header, memoryview(body))


def test_a_shard_whose_learner_does_not_clip_answers_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a model says of its audit holds for the processes that clipped, not for the lead's alone."""
    monkeypatch.setattr(slots, "scale_within", lambda norms, _: np.ones_like(norms))
    source, sink = os.pipe()
    os.close(sink)
    with pytest.raises(TamperedError) as error:
        shard_main(WORDS.to_spec(), [], lambda *_: None, source)
    os.close(source)
    assert error.value.rule == "enclave.train.audit"


def test_a_seat_of_nobody_is_refused() -> None:
    shard = Shard(examples(), SHAPE)
    shard.answer(PLACES, memoryview(np.zeros(COUNT * MOST, "<i4").tobytes()))
    weights = np.zeros(SHAPE.parameters).tobytes()
    with pytest.raises(InvalidError):
        shard.answer(
            {"type": "ask", "do": "sum", "bound": 0.1},
            memoryview(weights + np.array([COUNT], "<i4").tobytes()),
        )


@pytest.mark.parametrize("sizes", [[], [0], ["2"], 3, None])
def test_a_lead_takes_sizes_alone(sizes: Any) -> None:
    with pytest.raises(SafeholdError):
        lead.main({"shards": sizes}, [], lambda *_: None, 0)


def test_the_loop_is_the_one_that_is_audited() -> None:
    assert gathered(2)["rows"].shape[0] == 2
    assert train.__globals__["train_private"] is descent.train_private
