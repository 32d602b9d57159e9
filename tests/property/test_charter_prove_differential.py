"""The translator against Cedar, and the reference against both, on random policies and random requests.

The short form runs with the suite; tests/proof/test_charter_prove.py runs the same at length.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache

import z3
from tests import boardroom
from tests.policy_maker import PolicyMaker, RequestMaker, decide, evaluate, evaluate_all

from safehold import charter as charters
from safehold.charter.prove import est
from safehold.charter.prove import shape as shapes
from safehold.charter.prove.promise import may_be_allowed, promises
from safehold.charter.prove.proof import _allowed
from safehold.charter.prove.reference import judge
from safehold.charter.prove.request import Judge
from safehold.charter.prove.shape import Shape
from safehold.charter.prove.symbol import Symbols
from safehold.charter.prove.translate import Translator, negate, words
from safehold.charter.prove.view import View
from safehold.charter.prove.witness import read

SEED = 20261126
SHARE = 0.2  # of the requests must be allowed, or agreement says little


class Opinions:
    """What Cedar and the prover's formulas say about one text of policies."""

    def __init__(self, policy: charters.Policy, text: str) -> None:
        self.policy = policy
        self.text = text
        self.shape: Shape = shapes.read(policy.schema)
        statements = est.read(text)
        names, strings = words(statements)
        self.symbols = Symbols(self.shape, names=names, strings=strings)
        translator = Translator(self.symbols, statements)
        self.allowed = cache(lambda action, kind: _allowed(translator.formulas(action, kind)))

    def compare(self, maker: RequestMaker, count: int, *, spoil: float) -> int:
        """Compare on random requests; return how many were allowed."""
        asked = [maker.request(spoil=spoil) for _ in range(count)]
        said = decide(self.text, self.policy.schema, self.shape, asked)
        for one, allowed in zip(asked, said, strict=True):
            formula = self.allowed(one.action, one.kind)
            assert evaluate(self.symbols, formula, one) is allowed, (self.text, one)
        return sum(said)

    def compare_models(self, chance: random.Random) -> int:
        """Let the solver find a request that is allowed and one that is denied; Cedar must agree."""
        judge_ = Judge(self.text, self.policy.schema, self.shape)
        action, kind = chance.choice(self.shape.environments())
        found = 0
        for wanted in (True, False):
            formula = self.allowed(action, kind)
            question = formula if wanted else negate(formula)
            if question is False:
                continue
            solver = z3.SolverFor("QF_BV", ctx=self.symbols.z3)
            solver.add(self.symbols.axioms)
            if question is not True:
                solver.add(question)
            if solver.check() != z3.sat:
                continue
            request = read(solver.model(), View(self.symbols, action, kind))
            assert judge_.answer(request).allowed is wanted, (self.text, request)
            found += 1
        return found


def compare_random_policies(
    policy: charters.Policy, *, texts: int, each: int, seed: int
) -> tuple[int, int]:
    """Return how many requests were compared over random policies, and how many were allowed."""
    chance = random.Random(seed)
    shape = shapes.read(policy.schema)
    maker = RequestMaker(policy.charter, shape, chance)
    allowed = models = 0
    for text in PolicyMaker(shape, chance).texts(policy.schema, texts):
        opinions = Opinions(policy, text)
        allowed += opinions.compare(maker, each, spoil=0.6)
        models += opinions.compare_models(chance)
    assert models >= texts  # about two of three environments have an answer to both questions
    return texts * each, allowed


def compare_the_compiled(policy: charters.Policy, *, count: int, seed: int) -> int:
    """Compare Cedar, formulas, promises and the reference on the compiled charter; return the allowed."""
    chance = random.Random(seed)
    shape = shapes.read(policy.schema)
    maker = RequestMaker(policy.charter, shape, chance)
    opinions = Opinions(policy, policy.cedar)
    allowed = opinions.compare(maker, count // 2, spoil=0.6)
    asked = [maker.request(spoil=0.6) for _ in range(count - count // 2)]
    for one, said in zip(asked, decide(policy.cedar, policy.schema, shape, asked), strict=True):
        assert judge(policy.charter, one).allowed is said, one
        allowed += said
    return allowed


def compare_the_promises(policy: charters.Policy, *, count: int, seed: int) -> set[str]:
    """Compare the promises' formulas with the reference; return every promise that was broken."""
    chance = random.Random(seed)
    shape = shapes.read(policy.schema)
    maker = RequestMaker(policy.charter, shape, chance)
    symbols = Opinions(policy, policy.cedar).symbols
    made = promises(policy.charter)

    @cache
    def formulas(action: str, kind: str) -> tuple[list[tuple[str, object]], object]:
        view = View(symbols, action, kind)
        breaches = [(one.id, one.breach(view)) for one in made]
        return [(name, one) for name, one in breaches if one is not False], may_be_allowed(
            policy.charter, view
        )

    seen: set[str] = set()
    for _ in range(count):
        one = maker.request(spoil=0.8)
        breaches, named = formulas(one.action, one.kind)
        said = judge(policy.charter, one)
        *broken, may = evaluate_all(symbols, [*(breach for _, breach in breaches), named], one)
        told = {name for (name, _), breaks in zip(breaches, broken, strict=True) if breaks}
        assert told == said.broken, one
        assert may is said.named, one
        seen |= said.broken
    return seen


def run(compare: Callable[[], tuple[int, int]]) -> None:
    count, allowed = compare()
    assert allowed >= SHARE * count, f"{allowed} of {count} were allowed"


def test_the_translator_agrees_with_cedar_on_random_policies():
    run(lambda: compare_random_policies(boardroom.policy("example"), texts=100, each=80, seed=SEED))


def test_cedar_the_formulas_and_the_reference_agree_on_the_compiled_example():
    run(lambda: (2_500, compare_the_compiled(boardroom.policy("example"), count=2_500, seed=SEED)))


def test_the_promises_and_the_reference_agree_on_what_breaks():
    policy = boardroom.policy("example")
    seen = compare_the_promises(policy, count=250, seed=SEED)
    assert len(seen) > 30
