"""From the solver's answer to a request that a person can picture.

Of all requests that break a promise the one is chosen that is ordinary in everything else: one
wish after another is given up, the least telling first, until the promise still breaks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import z3

from safehold.charter.model import Charter
from safehold.charter.prove.refusal import not_proved
from safehold.charter.prove.request import Plain, Request
from safehold.charter.prove.symbol import Symbols, Term, Truth, Value
from safehold.charter.prove.translate import every, some
from safehold.charter.prove.view import View
from safehold.charter.vocabulary import ASSURANCE, SELF

PEOPLE: Final = 1_000
APPROVALS: Final = 6


def wishes(charter: Charter, view: View) -> Iterator[Truth]:
    """Yield what would make a request ordinary, the most telling first."""
    able = tuple(
        name
        for name, role in charter.who_may.items()
        if view.action in role.do and (name == "agent") == (view.principal == "Agent")
    )
    if able:
        yield view.among("principal.role", able)
    elif charter.who_may:
        yield view.among("principal.role", tuple(charter.who_may))
    yield _fitting(charter, view)
    yield view.among("context.purpose", tuple(charter.purposes))
    if view.action in SELF:
        yield view.among("context.stage", ("self",))
    yield view.among("context.stage", _stages(charter, able))
    what = view.term("resource.what")
    yield what == view.symbols.mask("What", ("keys",))
    yield z3.And(what != 0, what & (what - 1) == 0)  # one kind of data
    yield from _calm(charter, view)


def _fitting(charter: Charter, view: View) -> Truth:
    """Return that role, purpose and stage fit each other and the data."""
    ways: list[Truth] = []
    for name, role in charter.who_may.items():
        for title, purpose in charter.purposes.items():
            shared = tuple(one for one in purpose.stages if one in role.stages)
            if view.action in role.do and shared:
                ways.append(
                    every(
                        [
                            view.role(name),
                            view.among("context.purpose", (title,)),
                            view.among("context.stage", shared),
                            view.only("resource.what", purpose.covers()),
                        ]
                    )
                )
    return some(ways)


def _stages(charter: Charter, able: tuple[str, ...]) -> tuple[str, ...]:
    if "data_scientist" in able:
        return ("training",)
    return tuple(stage for name in able for stage in charter.who_may[name].stages) or ("training",)


def _calm(charter: Charter, view: View) -> Iterator[Truth]:
    symbols = view.symbols
    term = view.term
    yield term("context.consent")
    yield term("context.granted")
    yield term("resource.purposes") == term("context.purpose")
    yield term("context.grant_purpose") == term("context.purpose")
    yield term("resource.places") == symbols.mask("Place", charter.jurisdictions[:1])
    yield term("resource.silos") == 0
    yield term("resource.telemetry")
    yield z3.Not(term("resource.synthetic"))
    yield term("context.now") == symbols.long(1)
    yield term("resource.expires") == symbols.long(2)
    yield term("context.grant_expires") == symbols.long(2)
    yield term("context.people") == symbols.long(PEOPLE)
    yield term("context.grant_approvals") == symbols.long(APPROVALS)
    yield term("context.assurance") == symbols.long(len(ASSURANCE) - 1)
    yield term("resource.assurance") == symbols.long(1)
    yield term("context.grant_stages") == term("context.stage")
    yield term("context.grant_what") == term("resource.what")
    yield view.holds("context.grant_segments", "resource.segment")
    yield z3.Not(view.blank("context.holder"))
    yield term("context.grant_holder") == term("context.holder")
    yield term("context.grant_role") == term("principal.role")
    yield z3.Not(view.blank("resource.owner"))
    yield term("principal.sub") == term("resource.owner")
    yield z3.Not(view.blank("resource.segment"))
    yield z3.Not(view.blank("context.grant_operator"))
    if view.principal == "Agent":
        yield term("principal.operator") == term("context.grant_operator")
    yield view.all_of("context.gates", tuple(gate.id for gate in charter.gates))


def choose(solver: Any, charter: Charter, view: View) -> Request:
    """Return an ordinary request among those that a satisfiable solver allows.

    Args:
        solver: A solver whose last answer was ``sat``.
        charter: Whose purposes and roles are ordinary.
        view: The environment.
    """
    wanted = [wish for wish in wishes(charter, view) if not isinstance(wish, bool)]
    solver.add(view.symbols.axioms)  # a wish may have asked something new of a set of strings
    marks = [z3.Bool(f"wish-{place}", view.symbols.z3) for place in range(len(wanted))]
    for mark, wish in zip(marks, wanted, strict=True):
        solver.add(z3.Implies(mark, wish))
    place = {str(mark): number for number, mark in enumerate(marks)}
    while solver.check(marks) == z3.unsat:
        if not (core := solver.unsat_core()):
            raise not_proved("the solver lost its own answer")
        # of the wishes that exclude each other the least telling goes
        least = max(core, key=lambda mark: place[str(mark)])
        marks = [mark for mark in marks if not mark.eq(least)]
    return read(solver.model(), view)


def read(model: Any, view: View) -> Request:
    """Return the request that a model describes."""
    symbols = view.symbols
    values: dict[str, Plain] = {}
    for path, value in symbols.values().items():
        owner, _, name = path.partition(".")
        if owner == "principal" and name not in symbols.shape.principals[view.principal]:
            continue
        values[path] = _plain(model, symbols, value)
    return Request(
        action=view.action,
        kind=view.principal,
        who=_text(model, symbols, symbols.uid["principal"]),
        data=_text(model, symbols, symbols.uid["resource"]),
        values=values,
    )


def _plain(model: Any, symbols: Symbols, value: Value) -> Plain:
    match value.type.kind:
        case "bool":
            return bool(z3.is_true(model.eval(value.term, model_completion=True)))
        case "long":
            return int(model.eval(value.term, model_completion=True).as_signed_long())
        case "string":
            return _text(model, symbols, value.term)
        case "strings":
            return _strings(model, symbols, value.term)
        case _:
            bits = int(model.eval(value.term, model_completion=True).as_long())
            names = [
                name
                for place, name in enumerate(symbols.members[value.type.of])
                if bits >> place & 1
            ]
            return frozenset(names) if value.type.kind == "set" else names[0]


def _text(model: Any, symbols: Symbols, term: Term) -> str:
    code = int(model.eval(term, model_completion=True).as_long())
    written = {place: text for text, place in symbols.codes.items()}
    return written.get(code) or _fresh(symbols, f"text-{code}") if code else ""


def _strings(model: Any, symbols: Symbols, name: str) -> frozenset[str]:
    held = {
        _text(model, symbols, term)
        for term, answer in symbols.asked(name).items()
        if z3.is_true(model.eval(answer, model_completion=True))
    }
    if not held and not z3.is_true(model.eval(symbols.vacant(name), model_completion=True)):
        held = {_fresh(symbols, "text-of-its-own")}
    return frozenset(held)


def _fresh(symbols: Symbols, text: str) -> str:
    while text in symbols.codes:
        text += "-"
    return text


__all__ = ["choose", "read", "wishes"]
