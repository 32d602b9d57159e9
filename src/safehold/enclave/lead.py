"""Recipe: the lead of a training that goes on in several sandboxes.

Parts in:  of those who only score, as for ``train``; whoever trains is in a shard (``shard``)
Frames out: ``ask`` for the shards, which the keeper carries; and what ``train`` sends, which the gate judges
Told:      ``answer`` frames of the shards

Everything that is drawn is drawn here, once: which of a person's examples count, who takes part in a round, and the
noise of a round, after all of its sums are there. The loop is ``privacy.training.descent``, as with one sandbox; it
sees a learner whose sum is the sum of the shards' sums.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import Shape
from safehold.enclave.train import Settings, conclude, plan_of, read_people, require_enough
from safehold.enclave.training import learner_of, longest_gradient, train
from safehold.errors import InvalidError, TamperedError
from safehold.privacy.account import Plan, seats_for
from safehold.privacy.release import SLACK, pick_places
from safehold.privacy.training.learner import Params, People
from safehold.sandbox.channel import Frame, read_frames

Emit = Callable[..., None]
LARGEST: Final = 1 << 50  # bytes of all answers of a run
RULE: Final = "enclave.lead"
MOST_SHARDS: Final = 1024
MOST_EXAMPLES: Final = 1 << 26  # of one person: a place is drawn for each, and stands in four bytes


class Asker(Protocol):
    """Asks every shard one thing."""

    def __call__(self, header: Mapping[str, Any], bodies: Sequence[bytes]) -> list[bytes]:
        """Return the answers, in the order of the shards.

        Args:
            header: What is asked, of all of them.
            bodies: What each is told beside it.
        """
        ...


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit, told: int) -> None:
    """Run the recipe.

    Args:
        spec: As of ``train``, and ``shards``: how many people are in each.
        inputs: Descriptors of sealed parts, of those who only score.
        emit: Writes one frame.
        told: Descriptor of the answers.

    Raises:
        InvalidError: The spec or a part is wrong.
        DeniedError: There are too few people.
        TamperedError: A shard does not answer what it was asked, or the trainer does not keep its promise.
    """
    sizes = spec.pop("shards", None)
    if not (
        isinstance(sizes, list)
        and 1 <= len(sizes) <= MOST_SHARDS
        and all(type(one) is int and one > 0 for one in sizes)
    ):
        raise InvalidError("shards are sizes", rule="enclave.train.spec", field="shards")
    settings = Settings.from_spec(spec)
    shape = settings.shape
    _, held_out = read_people(inputs, settings.vocabulary, shape)
    require_enough(sum(sizes), least=settings.min_people)
    plan = plan_of(settings)
    ask = Shards(emit, read_frames(told, budget=LARGEST), len(sizes))

    def fit(progress: Callable[[int], None]) -> Any:
        learner = SharedLearner(ask, sizes, shape, plan=plan, most=settings.actions_per_person)
        return train(
            {"place": np.arange(sum(sizes), dtype=np.int64)}, shape, plan=plan,
            clip=settings.clip_micro / 1e6, rate=settings.rate_micro / 1e6, progress=progress,
            learner=learner,
        )  # fmt: skip

    conclude(settings, plan, fit, held_out, trained=sum(sizes), emit=emit)


class Shards:
    """Asks shards over the lead's own pipes.

    Args:
        emit: Writes one frame.
        answers: What the lead is told.
        count: How many shards there are.
    """

    def __init__(self, emit: Emit, answers: Iterator[Frame], count: int) -> None:
        self._emit, self._answers, self._count = emit, answers, count
        self._numbers = itertools.count()

    def __call__(self, header: Mapping[str, Any], bodies: Sequence[bytes]) -> list[bytes]:
        """Return the answers, in the order of the shards.

        Raises:
            TamperedError: One answered something else, or twice.
        """
        number = next(self._numbers)
        for shard, body in enumerate(bodies):
            self._emit({"type": "ask", "shard": shard, "number": number, **header}, body)
        found: dict[int, bytes] = {}
        for frame in itertools.islice(self._answers, self._count):
            match frame.header:
                case {"type": "answer", "shard": int(shard), "number": int(answered)} if (
                    answered == number and shard not in found and 0 <= shard < self._count
                ):
                    found[shard] = bytes(frame.body)
                case _:
                    raise TamperedError("an answer to another question", rule=RULE)
        if len(found) != self._count:
            raise TamperedError("a shard did not answer", rule=RULE)
        return [found[shard] for shard in range(self._count)]


class SharedLearner:
    """The model over slots, whose people are elsewhere: ``people`` holds their places, in the order of their names.

    Its sum is that of one sandbox but for the order in which numbers are added: each shard adds in single precision,
    and the sums are added in double.

    Args:
        ask: Asks every shard.
        sizes: People of each shard; public.
        shape: Sizes of the model.
        plan: Says how many seats a shard needs, which follows from public numbers.
        most: Examples of one person at most.
    """

    def __init__(
        self, ask: Asker, sizes: Sequence[int], shape: Shape, *, plan: Plan, most: int
    ) -> None:
        self._ask, self._sizes, self._shape, self._most = ask, sizes, shape, most
        self._start = np.concatenate([[0], np.cumsum(sizes)])
        self.chunk = sum(sizes)  # everybody has a seat here; how many a shard has is counted below
        self._seats = [seats_for(plan, size, parts=len(sizes)) for size in sizes]

    def start(self) -> Params:
        """Return a model that knows nothing."""
        return learner_of(self._shape).start()

    def prepare(self, people: People) -> People:
        """Draw which examples of everybody count, once for the whole run, and tell each shard.

        Raises:
            TamperedError: A shard holds other people than it was given.
        """
        told = self._ask({"do": "lengths"}, [b""] * len(self._sizes))
        if any(len(one) != 8 * size for one, size in zip(told, self._sizes, strict=True)):
            raise TamperedError("a shard holds other people", rule=RULE)
        lengths = np.concatenate([np.frombuffer(one, "<i8") for one in told]).astype(np.int64)
        if (lengths < 0).any() or (lengths > MOST_EXAMPLES).any():
            raise TamperedError("a shard counts what nobody can have", rule=RULE)
        table = np.full((len(lengths), self._most), -1, "<i4")  # one size, however many there are
        for row, places in zip(table, pick_places(lengths, most=self._most), strict=True):
            row[: len(places)] = places
        self._ask({"do": "places", "most": self._most}, [one.tobytes() for one in self._cut(table)])
        return people

    def sum_clipped(
        self,
        params: Params,
        people: People,
        present: NDArray[np.bool_],
        bounds: Mapping[str, float],
    ) -> tuple[Params, float]:
        """Return the sum of clipped gradients; see ``Learner``.

        A round that draws more people of a shard than it has seats takes nobody, as one does that draws more of all
        (``account.seats_for``): that depends on no data.

        Raises:
            TamperedError: A shard's sum is none, or longer than the people on its seats can make it.
        """
        places = np.sort(people["place"][present])
        ends = np.searchsorted(places, self._start)
        seated = [np.full(seats, -1, "<i4") for seats in self._seats]
        if all(np.diff(ends) <= self._seats):
            for at, seats in enumerate(seated):
                mine = places[ends[at] : ends[at + 1]] - self._start[at]
                seats[: len(mine)] = mine
        weights, bound = params["weights"].astype("<f8").tobytes(), float(bounds[""])
        told = self._ask({"do": "sum", "bound": bound}, [weights + one.tobytes() for one in seated])
        total = np.zeros((self._shape.rows + 1, self._shape.tokens))
        within = 0.0
        for one, seats in zip(told, seated, strict=True):
            if len(one) != 8 * (total.size + 1):
                raise TamperedError("a sum of another size", rule=RULE)
            numbers = np.frombuffer(one, "<f8")
            self._require_sum(
                numbers[:-1], float(numbers[-1]), people=int((seats >= 0).sum()), bound=bound
            )
            total += numbers[:-1].reshape(total.shape)
            within += float(numbers[-1])
        return {"weights": total}, within

    def _cut(self, table: NDArray[Any]) -> list[NDArray[Any]]:
        return np.split(table, self._start[1:-1])

    def _require_sum(
        self, total: NDArray[np.float64], within: float, *, people: int, bound: float
    ) -> None:
        """Pass if so many people can have this sum, each clipped to a bound: those of an honest shard always can.

        Raises:
            TamperedError: They cannot, or it is no number at all: its shard did not clip.
        """
        # adding n numbers in single precision moves the sum by at most 2 n u of their sizes (Higham 2002, section 4.2)
        rounding = people * self._most * 2.0**-23 * longest_gradient(self._shape)
        most = people * (bound * SLACK + rounding)
        # a comparison with what is not a number is false; a norm of what is too large would not be finite
        fits = np.abs(total).max() <= most and np.linalg.norm(total) <= most
        if not (fits and 0 <= within <= people):
            raise TamperedError("a sum is larger than its people can make it", rule=RULE)
