"""Two policies over one set of symbols, to ask on which requests they differ."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import z3

from safehold.charter.prove import est
from safehold.charter.prove import shape as shapes
from safehold.charter.prove.symbol import Symbols, Truth
from safehold.charter.prove.translate import Formula, Translator, both, every, negate, some, words

STEPS: Final = 50_000_000  # z3's own count of work for one question; the same on every machine


class Pair:
    """Two policies of the same types, strictly valid against them.

    Args:
        old: Cedar policies; an empty text allows nothing.
        new: Cedar policies.
        schema: The types of both.

    Raises:
        NotProvedError: A policy, or a type, holds something that is not modelled.
    """

    def __init__(self, old: str, new: str, schema: str) -> None:
        self._shape = shapes.read(schema)
        before = est.read(old) if old else ()
        after = est.read(new)
        names, strings = words((*before, *after))
        self.symbols = Symbols(self._shape, names=names, strings=strings)
        self._before = Translator(self.symbols, before)
        self._after = Translator(self.symbols, after)
        self._none: dict[int, Truth] = {}

    def environments(self) -> Iterator[tuple[str, str]]:
        """Yield each action with each kind of principal."""
        yield from self._shape.environments()

    def differ(self, action: str, principal: str) -> tuple[Truth, Truth]:
        """Return what the new policy allows and the old does not, and the other way round."""
        before, after = (
            _allowed(one.formulas(action, principal)) for one in (self._before, self._after)
        )
        return both(after, negate(before)), both(before, negate(after))

    def never(self, question: Truth) -> bool:
        """Tell whether it is shown that no request answers a question; a solver that gives up shows nothing."""
        if question is False:
            return True
        if question is not True and question.get_id() in self._none:
            return True  # the same formula, of another kind of principal
        solver = z3.SolverFor("QF_BV", ctx=self.symbols.z3)
        solver.set("rlimit", STEPS)
        solver.add(self.symbols.axioms)
        if question is not True:
            solver.add(question)
        if solver.check() != z3.unsat:
            return False
        if question is not True:
            self._none[question.get_id()] = question  # kept, so that its number stays its own
        return True


def _allowed(formulas: Sequence[Formula]) -> Truth:
    return both(
        some([one.holds for one in formulas if one.permit]),
        every([negate(one.holds) for one in formulas if not one.permit]),
    )
