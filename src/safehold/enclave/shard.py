"""Recipe: one shard of a training that goes on in several sandboxes. It adds up clipped gradients, and nothing else.

Parts in:  {"person": run-scoped id}, tables of ``action.SCHEMA``; parts of one person are joined
Told:      ``ask`` frames of the lead, numbered (``lead``)
Frames out: one ``answer`` for each, with its number:

- ``lengths``: how many examples each person has, in the order of their names
- ``places``: which of them count, drawn by the lead; nothing comes back
- ``sum``: the sum of clipped gradients of those who sit on the seats of this round, exact

It draws nothing and keeps nothing between two rounds, so one that was lost is replaced by another that is told the same
places. Its sums have no noise: they go to the lead's sandbox and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from safehold.enclave.model import Examples, Shape
from safehold.enclave.train import read_people, require_audited
from safehold.enclave.training import gather_people, learner_of
from safehold.enclave.vocabulary import Vocabulary
from safehold.errors import InvalidError
from safehold.privacy.training.learner import People, take
from safehold.sandbox.channel import read_frames

Emit = Callable[..., None]
RULE: Final = "enclave.shard"
LARGEST: Final = 1 << 50  # bytes of all questions of a run
MOST: Final = 4_096  # examples of one person


def main(spec: dict[str, Any], inputs: Sequence[int], emit: Emit, told: int) -> None:
    """Run the recipe: answer until it is ended.

    Args:
        spec: Public vocabulary; else as the lead's, and not looked at.
        inputs: Descriptors of sealed parts.
        emit: Writes one frame.
        told: Descriptor of the questions.

    Raises:
        InvalidError: A part or a question is wrong.
        TamperedError: The learner that would clip here does not.
    """
    # what the lead audits clips nobody: that happens in this process; who takes part is drawn in the lead's
    require_audited(draws=False)
    vocabulary = Vocabulary.from_spec(spec)
    shape = Shape(tokens=len(vocabulary.tokens), apps=len(vocabulary.apps))
    _, people = read_people(inputs, vocabulary, shape)
    shard = Shard(people, shape)
    for frame in read_frames(told, budget=LARGEST):
        body = shard.answer(frame.header, frame.body)
        emit({"type": "answer", "number": frame.header["number"]}, body)


class Shard:
    """The people of one shard.

    Args:
        people: Their examples, in the order of their names.
        shape: Sizes of the model.
    """

    def __init__(self, people: Sequence[Examples], shape: Shape) -> None:
        self._people, self._shape = people, shape
        self._learner = learner_of(shape)
        self._arrays: People | None = None

    def answer(self, header: Mapping[str, Any], body: memoryview) -> bytes:
        """Return the answer to one question.

        Raises:
            InvalidError: It is none, or comes out of turn.
        """
        match header:
            case {"type": "ask", "do": "lengths"}:
                return np.array([len(one.target) for one in self._people], "<i8").tobytes()
            case {"type": "ask", "do": "places", "most": int(most)} if 1 <= most <= MOST:
                self._choose(np.frombuffer(body, "<i4"), most)
                return b""
            case {"type": "ask", "do": "sum", "bound": float(bound)} if self._arrays is not None:
                return self._sum(self._arrays, body, bound)
            case _:
                raise InvalidError("a question out of turn", rule=RULE)

    def _choose(self, given: NDArray[np.int32], most: int) -> None:
        if given.size != len(self._people) * most:
            raise InvalidError("places of other people", rule=RULE)
        places = [row[row >= 0].astype(np.int64) for row in given.reshape(-1, most)]
        if any(
            len(row) and row.max() >= len(one.target)
            for row, one in zip(places, self._people, strict=True)
        ):
            raise InvalidError("places of other people", rule=RULE)
        arrays = gather_people(self._people, self._shape, most=most, places=places)
        self._arrays = self._learner.prepare(arrays)

    def _sum(self, arrays: People, body: memoryview, bound: float) -> bytes:
        size = 8 * self._shape.parameters
        weights = np.frombuffer(body[:size], "<f8").reshape(self._shape.rows + 1, -1)
        seated = np.frombuffer(body[size:], "<i4").astype(np.int64)
        if len(seated) and not -1 <= seated.min() <= seated.max() < len(self._people):
            raise InvalidError("a seat of somebody else", rule=RULE)
        total, within = self._learner.sum_clipped(
            {"weights": weights}, take(arrays, seated), seated >= 0, {"": bound}
        )
        return total["weights"].astype("<f8").tobytes() + np.array([within], "<f8").tobytes()
