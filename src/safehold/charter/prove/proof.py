"""Every promise of a charter, proved for the policy it compiles to.

For each environment (kind of principal and action) one question a promise: is there a request that
breaks it and that no ``forbid`` stops? That is the policy under a careless permit, so no permit
that is added later can break what holds here. Then the closed world: is there a request that is
allowed although ``who_may``, purposes and stages do not say so?

``unsat`` everywhere is a proof. ``sat`` gives a request, which Cedar itself must allow before it is
shown. Anything else is not proved. Strict validation comes first, because Cedar skips a ``forbid``
that errs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import cedarpy
import z3

from safehold.charter.model import Charter
from safehold.charter.prove import est
from safehold.charter.prove import shape as shapes
from safehold.charter.prove.promise import Promise, may_be_allowed, promises
from safehold.charter.prove.reference import judge
from safehold.charter.prove.refusal import NotProvedError, not_proved, unsupported
from safehold.charter.prove.request import Judge, Request
from safehold.charter.prove.result import (
    CLOSED_WORLD,
    WHO_MAY,
    Counterexample,
    Held,
    Proof,
    ReachableError,
)
from safehold.charter.prove.sentence import bare, words
from safehold.charter.prove.symbol import Symbols, Truth
from safehold.charter.prove.translate import Formula, Translator, both, every, negate, some
from safehold.charter.prove.translate import words as words_of
from safehold.charter.prove.view import View
from safehold.charter.prove.witness import choose
from safehold.charter.rule import RED_LINE
from safehold.charter.vocabulary import ACTIONS
from safehold.errors import InvalidError

CARELESS: Final = '@id("careless")\npermit(principal, action, resource);'
STEPS: Final = 50_000_000  # z3's own count of work for one question; the same on every machine
PATIENCE_MS: Final = 20_000  # for one question

Progress = Callable[[dict[str, Any]], None]


class Prover:
    """One policy text against one charter.

    Args:
        charter: Whose promises are proved.
        cedar: The policies.
        schema: Their types.
        progress: Is told how far the proof is.
    """

    def __init__(
        self, charter: Charter, cedar: str, schema: str, *, progress: Progress | None = None
    ) -> None:
        self.charter = charter
        self.cedar = cedar
        self.schema = schema
        self._tell = progress or (lambda _message: None)
        self.complaints = validate(cedar, schema)
        self.shape = shapes.read(schema)
        if set(self.shape.actions) != set(ACTIONS):
            raise unsupported("types that lack an action, or have one more")
        self.statements = est.read(cedar)
        names, strings = words_of(self.statements)
        self.symbols = Symbols(self.shape, names=names, strings=strings)
        self.formulas = self._translate()
        self._none: dict[int, Truth] = {}

    def _translate(self) -> dict[tuple[str, str], tuple[Formula, ...]]:
        translator = Translator(self.symbols, self.statements)
        try:
            return {place: translator.formulas(*place) for place in self.shape.environments()}
        except NotProvedError as error:
            if not self.complaints:
                raise
            raise NotProvedError(
                f"{error.message}; {self.complaints[0]}", rule=error.rule, fix=error.fix
            ) from None

    def run(self, *, thorough: bool) -> Proof:
        """Prove everything.

        Args:
            thorough: Look for permits that can never fire and forbids that change nothing too.

        Raises:
            ReachableError: A promise can be broken; a counterexample says how.
            NotProvedError: Something is neither proved nor refuted, or the policy does not pass
                strict validation.
        """
        begun = time.process_time()
        asked = promises(self.charter)
        if not thorough:
            self._hold_together(asked)
        held = []
        for done, promise in enumerate(asked):
            self._tell({"title": promise.id, "done": done, "of": len(asked) + 2})
            held.append(self._hold(promise) if thorough else _holds(promise))
        self._tell({"title": "closed world", "done": len(asked), "of": len(asked) + 2})
        held.append(self._close())
        self._tell({"title": "who may", "done": len(asked) + 1, "of": len(asked) + 2})
        held.append(self._keep(asked))
        if self.complaints:
            raise NotProvedError(
                f"not proved: {self.complaints[0]}",
                rule="charter.cedar.strict",
                fix="a forbid that errs would be skipped, so nothing is proved of such a policy",
            )
        dead, idle = self._analyse() if thorough else ((), ())
        return Proof(
            charter=self.charter.id,
            version=self.charter.version,
            digest=self.charter.digest().hex(),
            policies=len(self.statements),
            environments=len(self.formulas),
            held=tuple(held),
            dead=dead,
            idle=idle,
            cpu_ms=_ms(begun),
        )

    def _hold_together(self, asked: Sequence[Promise]) -> None:
        """Prove all promises at once: one question an environment, and not one a promise."""
        for place in self.formulas:
            view = View(self.symbols, *place)
            breach = some([promise.breach(view) for promise in asked])
            if self._solve(self._unstopped(breach, place)) is None:
                continue
            for promise in asked:
                self._hold_in(promise, view)
            raise not_proved("the promises hold each on its own, but not together")

    def _hold(self, promise: Promise) -> Held:
        begun = time.process_time()
        for place in self.formulas:
            self._hold_in(promise, View(self.symbols, *place))
        return Held(id=promise.id, plain=promise.plain, cpu_ms=_ms(begun))

    def _hold_in(self, promise: Promise, view: View) -> None:
        breach = promise.breach(view)
        if breach is False:
            return
        found = self._solve(self._unstopped(breach, (view.action, view.principal)))
        if found is not None:
            raise self._broken(promise, view, breach, found)

    def _unstopped(self, breach: Truth, place: tuple[str, str]) -> Truth:
        """Return that something happens and no forbid stops it."""
        stopped = some([one.holds for one in self.formulas[place] if not one.permit])
        return both(breach, negate(stopped))

    def _close(self) -> Held:
        begun = time.process_time()
        for place, formulas in self.formulas.items():
            view = View(self.symbols, *place)
            wider = both(_allowed(formulas), negate(may_be_allowed(self.charter, view)))
            if (found := self._solve(wider)) is not None:
                raise self._wider(view, found)
        return Held(
            id=CLOSED_WORLD,
            plain="Nothing is allowed that who_may does not name",
            cpu_ms=_ms(begun),
        )

    def _keep(self, asked: Sequence[Promise]) -> Held:
        """Prove that what ``who_may`` names, and no promise forbids, is not refused."""
        begun = time.process_time()
        for place, formulas in self.formulas.items():
            view = View(self.symbols, *place)
            named = may_be_allowed(self.charter, view)
            breach = some([promise.breach(view) for promise in asked])
            lost = every([named, negate(breach), negate(_allowed(formulas))])
            if (found := self._solve(lost)) is not None:
                raise self._lost(view, found)
        return Held(
            id=WHO_MAY, plain="Whoever who_may names can do what it says", cpu_ms=_ms(begun)
        )

    def _broken(self, promise: Promise, view: View, breach: Truth, solver: Any) -> ReachableError:
        # rather a request that this very policy allows than one that takes a further permit
        allowed = self._solve(both(breach, _allowed(self.formulas[view.action, view.principal])))
        careless = allowed is None
        request = choose(allowed if allowed is not None else solver, self.charter, view)
        self._confirm(request, careless=careless)
        if promise.id not in judge(self.charter, request).broken:
            raise not_proved(f"the reference judges a request against {promise.id} otherwise")
        sentence = words(
            request, how=_how(promise, request), against=_against(promise), careless=careless
        )
        return self._reachable(promise.id, sentence, request, careless=careless)

    def _wider(self, view: View, solver: Any) -> ReachableError:
        request = choose(solver, self.charter, view)
        self._confirm(request, careless=False)
        if judge(self.charter, request).named:
            raise not_proved("the reference finds a way in who_may that the prover does not")
        sentence = words(request, against="nothing in who_may allows it")
        return self._reachable(CLOSED_WORLD, sentence, request)

    def _lost(self, view: View, solver: Any) -> ReachableError:
        request = choose(solver, self.charter, view)
        if Judge(self.cedar, self.schema, self.shape).answer(request).allowed:
            raise not_proved("Cedar allows what the solver says is refused")
        if not judge(self.charter, request).allowed:
            raise not_proved("the reference refuses what the prover finds in who_may")
        sentence = words(
            request, against="who_may allows it and no promise forbids it", could="could not"
        )
        return self._reachable(WHO_MAY, sentence, request)

    def _reachable(
        self, promise: str, sentence: str, request: Request, *, careless: bool = False
    ) -> ReachableError:
        return ReachableError(
            Counterexample(promise=promise, sentence=sentence, request=request, careless=careless),
            complaint=self.complaints[0] if self.complaints else "",
        )

    def _confirm(self, request: Request, *, careless: bool) -> None:
        cedar = f"{self.cedar}\n{CARELESS}" if careless else self.cedar
        if not Judge(cedar, self.schema, self.shape).answer(request).allowed:
            raise not_proved("Cedar denies the counterexample that the solver found")

    def _analyse(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the permits that can never fire, and the forbids that change nothing."""
        dead = [one.id for one in self.statements if one.permit and not self._matters(one.id)]
        idle = [one.id for one in self.statements if not one.permit and not self._matters(one.id)]
        return tuple(dead), tuple(idle)

    def _matters(self, name: str) -> bool:
        """Tell whether a policy applies somewhere where no other forbid does."""
        return any(
            self._solve(both(mine, negate(some([one.holds for one in rest if not one.permit]))))
            is not None
            for mine, rest in self._apart(name)
        )

    def _apart(self, name: str) -> Iterator[tuple[Truth, Sequence[Formula]]]:
        for formulas in self.formulas.values():
            for mine in formulas:
                if mine.id == name:
                    yield mine.holds, [one for one in formulas if one.id != name]

    def _solve(self, question: Truth) -> Any | None:
        """Return None if a question has no answer, or the solver that found one.

        Raises:
            NotProvedError: The solver gave up.
        """
        if question is False:
            return None
        if question is not True and question.get_id() in self._none:
            return None  # the same formula, of another kind of principal
        solver = z3.SolverFor("QF_BV", ctx=self.symbols.z3)
        solver.set("rlimit", STEPS)
        solver.set("timeout", PATIENCE_MS)
        solver.add(self.symbols.axioms)
        if question is not True:
            solver.add(question)
        answer = solver.check()
        if answer == z3.unsat:
            if question is not True:
                self._none[question.get_id()] = question  # kept, so that its number stays its own
            return None
        if answer == z3.sat:
            return solver
        raise not_proved("the solver gave up on a question")


def validate(cedar: str, schema: str) -> tuple[str, ...]:
    """Return what Cedar's strict validation says against a policy; nothing where it passes."""
    try:
        policies = json.loads(cedarpy.policies_to_json_str(cedar))["staticPolicies"]
        result = cedarpy.validate_policies(cedar, schema)
    except (ValueError, RuntimeError, TypeError, KeyError) as error:
        raise InvalidError("the policy does not parse", rule="charter.cedar.parse") from error
    found = tuple(_complaint(policies, str(one.policy_id), str(one.error)) for one in result.errors)
    if not result.validation_passed and not found:
        return ("strict validation failed without saying why",)
    return found


def _complaint(policies: dict[str, Any], number: str, error: str) -> str:
    """Return an error with the policy's own id in the place of Cedar's number."""
    name = policies.get(number, {}).get("annotations", {}).get("id", number)
    return f"{name}: {error.partition(f'for policy `{number}`')[2].lstrip(':, ') or error}"


def _allowed(formulas: Sequence[Formula]) -> Truth:
    return both(
        some([one.holds for one in formulas if one.permit]),
        every([negate(one.holds) for one in formulas if not one.permit]),
    )


def _how(promise: Promise, request: Request) -> str:
    if promise.how or promise.kind != RED_LINE:
        return promise.how
    stated = request.text("context.purpose")
    if others := request.group("resource.purposes") - {stated}:
        return f'with data that is sealed for "{bare(min(others))}" too'
    granted = request.text("context.grant_purpose")
    return f'under a grant for "{bare(granted)}"' if granted != stated else ""


def _against(promise: Promise) -> str:
    name = promise.id.partition(".")[2]
    if promise.kind == RED_LINE:
        return f"red line {name} forbids it: {promise.plain}"
    return f"the charter promises: {promise.plain} ({promise.id})"


def _holds(promise: Promise) -> Held:
    return Held(id=promise.id, plain=promise.plain, cpu_ms=None)


def _ms(begun: float) -> int:
    return round((time.process_time() - begun) * 1000)
