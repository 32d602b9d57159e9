"""What a charter promises, as predicates of their own.

They are written from the charter's records (red lines, conditions of use, ``who_may``), never from
the policies that the compiler makes: a fault of the compiler is not repeated here. Each says which
requests would *break* the promise. ``may_be_allowed`` is the other half, the closed world: what
``who_may``, purposes and stages say may be allowed at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

from safehold.charter import terms
from safehold.charter.granted import OPERATE, repairs, takes_grant
from safehold.charter.model import Charter, RedLine
from safehold.charter.prove.symbol import Truth
from safehold.charter.prove.translate import both, every, negate, some
from safehold.charter.prove.view import View
from safehold.charter.redline import forms
from safehold.charter.rule import GUARD, RED_LINE
from safehold.charter.vocabulary import ACTIONS, DATA, GRANTED, LEARN, ROWS, SELF
from safehold.errors import InvalidError

AGENT = "agent"  # the role that only an agent has, and the only one an agent has


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One promise.

    Args:
        id: ``red_line.<id>`` or ``guard.<name>``.
        kind: ``red_line`` or ``guard``.
        plain: What it says, for people.
        how: What breaks it, as the end of a sentence; empty where the purpose says it all.
        breach: When a request would break it; False where it cannot.
    """

    id: str
    kind: str
    plain: str
    how: str
    breach: Callable[[View], Truth]


def promises(charter: Charter) -> tuple[Promise, ...]:
    """Return every promise of a charter that a single request can break."""
    return (*_red_lines(charter), *_guards(charter), *_grants(charter), *_roles(charter))


def forbidden_uses(charter: Charter, line: RedLine) -> tuple[str, ...]:
    """Return every stated purpose that a red line forbids, sorted.

    These are the terms it names with all that lie under them, in every vocabulary, and the charter's own
    purposes whose use, in any vocabulary, has something in common with one of them.
    """
    named = {terms.find(word, kind="use").name for word in line.terms()}
    over = {
        name: {name} | _over(name) for name, term in terms.catalogue().items() if term.kind == "use"
    }
    found = {name for name, broader in over.items() if broader & named}
    for title, purpose in charter.purposes.items():
        uses = {
            terms.find(word, kind="use", vocabulary=slot).name
            for slot, word in purpose.uses.slots()
        }
        # whatever lies under a use of the purpose and under a forbidden term is something that both are
        if any(broader & uses and broader & named for broader in over.values()):
            found.add(title)
    return tuple(sorted(found))


@cache
def _over(name: str) -> frozenset[str]:
    """Return every term that contains one or means the same, by walking up hierarchies and links."""
    found: set[str] = set()
    level = {name}
    while level:
        level = {
            up
            for one in level
            for up in (
                *terms.catalogue()[one].under,
                *(link.other for link in terms.links() if link.term == one),
                *(
                    link.term
                    for link in terms.links()
                    if link.other == one and link.relation == terms.SAME
                ),
            )
        } - found
        found |= level
    return frozenset(found)


def _red_lines(charter: Charter) -> Iterator[Promise]:
    for written in charter.red_lines:
        line = forms(written)
        parts: list[tuple[str, Callable[[View], Truth]]] = []
        if line.terms():
            parts.append(("", _use(forbidden_uses(charter, line))))
        if line.forbid_actions:
            parts.append(("", _for(line.forbid_actions, lambda _view: True)))
        if line.forbid_beside:
            parts.append(
                (
                    f"beside {_or(line.forbid_beside)} data",
                    _for(DATA, _beside(tuple(line.forbid_beside))),
                )
            )
        if line.min_people is not None:
            parts.append((f"about fewer than {line.min_people} people", _few(line.min_people)))
        if not parts:
            raise InvalidError(
                "this red line is only prose, so nothing can be proved of it",
                rule="charter.red_line.machine_form",
                field=f"red_lines.{line.id}",
            )
        for how, breach in parts:
            yield Promise(
                id=f"red_line.{line.id}", kind=RED_LINE, plain=line.words(), how=how, breach=breach
            )


def _use(banned: tuple[str, ...]) -> Callable[[View], Truth]:
    return lambda view: some(
        [
            view.among("context.purpose", banned),
            view.among("context.grant_purpose", banned),
            view.among("resource.purposes", banned),
        ]
    )


def _beside(silos: tuple[str, ...]) -> Callable[[View], Truth]:
    return lambda view: both(view.term("resource.telemetry"), view.among("resource.silos", silos))


def _few(least: int) -> Callable[[View], Truth]:
    return _for(GRANTED, lambda view: view.below("context.people", least))


def _for(actions: tuple[str, ...], breach: Callable[[View], Truth]) -> Callable[[View], Truth]:
    """Return a predicate that only holds for some actions."""
    return lambda view: breach(view) if view.action in actions else False


def _granted(charter: Charter, breach: Callable[[View], Truth]) -> Callable[[View], Truth]:
    """Return a predicate that only holds of what takes a grant."""

    def of(view: View) -> Truth:
        if view.action in GRANTED:
            return breach(view)
        mends = repairs(charter)
        if view.action not in OPERATE or not mends:
            return False
        return both(view.among("context.purpose", mends), breach(view))

    return of


def _or(names: tuple[str, ...]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"


def _guards(charter: Charter) -> Iterator[Promise]:
    known = tuple(charter.purposes)
    places = tuple(dict.fromkeys(charter.jurisdictions))
    for name, plain, how, breach in (
        ("purpose", "Each use states one purpose of the charter", "",
         lambda view: negate(view.among("context.purpose", known))),
        ("label", "Data is used only for what it was sealed for",
         "though the data was not sealed for it",
         lambda view: negate(view.holds("resource.purposes", "context.purpose"))),
        ("unlabelled", "Data without kind, place or purpose is not used",
         "though the data lacks a kind, a place or a purpose",
         lambda view: some([view.empty(f"resource.{one}") for one in ("what", "places", "purposes")])),
        ("consent", "Only people who take part now are included",
         "with somebody in it who does not take part",
         lambda view: negate(view.term("context.consent"))),
        ("jurisdiction", "Data is used only where the charter allows", "from another place",
         lambda view: negate(view.only("resource.places", places))),
        ("retention", "Data past its end is not used", "after the data's end",
         lambda view: view.term("context.now") >= view.term("resource.expires")),
        ("assurance", "The sandbox is as strong as the data demands", "in too weak a sandbox",
         lambda view: both(
             negate(view.term("resource.synthetic")),
             view.term("context.assurance") < view.term("resource.assurance"),
         )),
    ):  # fmt: skip
        yield Promise(
            id=f"guard.{name}", kind=GUARD, plain=plain, how=how, breach=_for(DATA, breach)
        )
    yield Promise(
        id="guard.own-data",
        kind=GUARD,
        plain="Self-service reaches only one's own data",
        how="on somebody else's data",
        breach=_for(
            SELF,
            lambda view: some(
                [
                    view.term("resource.owner") != view.term("principal.sub"),
                    view.blank("resource.owner"),
                ]
            ),
        ),
    )
    if gates := tuple(gate.id for gate in charter.gates):
        yield Promise(
            id="guard.gates",
            kind=GUARD,
            plain="A model leaves only after every attack on it failed",
            how="before every attack on it failed",
            breach=_for(
                ("pull_artifact",), lambda view: negate(view.all_of("context.gates", gates))
            ),
        )
    attacks = tuple(gate.id for gate in charter.gates if gate.attack == "reidentify")
    if attacks:
        yield Promise(
            id="guard.data-gates",
            kind=GUARD,
            plain="Nothing is trained on data before the attacks on it failed",
            how="before the attacks on the data failed",
            breach=_for(
                LEARN,
                lambda view: both(
                    view.term("context.stage") == view.symbols.member("Stage", "training"),
                    negate(view.all_of("context.gates", attacks)),
                ),
            ),
        )


def _grants(charter: Charter) -> Iterator[Promise]:
    for name, plain, how, breach in (
        ("grant", "Nobody has standing access", "without a grant",
         lambda view: negate(view.term("context.granted"))),
        ("grant-purpose", "A grant is for one purpose", "under a grant for another purpose",
         lambda view: view.term("context.grant_purpose") != view.term("context.purpose")),
        ("grant-stage", "A grant names its stages", "in a stage that the grant does not name",
         lambda view: negate(view.holds("context.grant_stages", "context.stage"))),
        ("grant-what", "A grant names its data", "on data that the grant does not name",
         lambda view: (view.term("resource.what") & ~view.term("context.grant_what")) != 0),
        ("grant-segment", "A grant names its segments", "in a segment that the grant does not name",
         lambda view: negate(view.holds("context.grant_segments", "resource.segment"))),
        ("grant-expired", "A grant ends", "after the grant has ended",
         lambda view: view.term("context.now") >= view.term("context.grant_expires")),
        ("grant-holder", "A grant belongs to one key", "under somebody else's grant",
         lambda view: some([
             view.term("context.grant_holder") != view.term("context.holder"),
             view.blank("context.holder"),
         ])),
        ("grant-role", "A grant belongs to one role", "under a grant of another role",
         lambda view: view.term("context.grant_role") != view.term("principal.role")),
    ):  # fmt: skip
        yield Promise(
            id=f"guard.{name}", kind=GUARD, plain=plain, how=how, breach=_granted(charter, breach)
        )
    for name, role in sorted(charter.who_may.items()):
        if role.grant is not None:
            yield Promise(
                id=f"guard.approvers-{name}",
                kind=GUARD,
                plain=f"A grant of {name} has {charter.least_approvals(name)} approvals",
                how=f"with fewer than {charter.least_approvals(name)} approvals",
                breach=_granted(charter, _approvals(name, charter.least_approvals(name))),
            )


def _approvals(name: str, least: int) -> Callable[[View], Truth]:
    return lambda view: both(view.role(name), view.below("context.grant_approvals", least))


def _roles(charter: Charter) -> Iterator[Promise]:
    yield Promise(
        id="guard.agent-operator",
        kind=GUARD,
        plain="An agent acts only under its own operator's grant",
        how="without a grant of its own operator",
        breach=_agent(
            lambda view: some(
                [
                    view.blank("principal.operator"),
                    view.term("context.grant_operator") != view.term("principal.operator"),
                ]
            )
        ),
    )
    named = AGENT in charter.who_may
    yield Promise(
        id="guard.agent-role",
        kind=GUARD,
        plain="An agent has the role of an agent",
        how="in a role that no agent has",
        breach=_agent(lambda view: negate(view.role(AGENT)) if named else True),
    )
    if named:
        yield Promise(
            id="guard.agent-kind",
            kind=GUARD,
            plain="A person or a workload is no agent",
            how="in the role of an agent",
            breach=lambda view: False if view.principal == "Agent" else view.role(AGENT),
        )
    for name, role in sorted(charter.who_may.items()):
        if role.sees_data is False:
            yield Promise(
                id=f"guard.blind-{name}",
                kind=GUARD,
                plain=f"The role {name} never sees data",
                how="and see data",
                breach=_for((*ROWS, "query"), _has_role(name)),
            )
    for action in ACTIONS:
        able = tuple(name for name, role in charter.who_may.items() if action in role.do)
        yield Promise(
            id=f"guard.closed-{action}",
            kind=GUARD,
            plain=f"Only {', '.join(sorted(able)) or 'nobody'} may {action.replace('_', ' ')}",
            how="",
            breach=_for((action,), _outside(able)),
        )


def _has_role(name: str) -> Callable[[View], Truth]:
    return lambda view: view.role(name)


def _outside(able: tuple[str, ...]) -> Callable[[View], Truth]:
    return lambda view: negate(view.among("principal.role", able))


def _agent(breach: Callable[[View], Truth]) -> Callable[[View], Truth]:
    return lambda view: breach(view) if view.principal == "Agent" else False


def may_be_allowed(charter: Charter, view: View) -> Truth:
    """Return when ``who_may``, purposes and stages let a request be allowed; nothing else may be."""
    ways: list[Truth] = []
    for name, role in charter.who_may.items():
        if view.action not in role.do or (name == AGENT) != (view.principal == "Agent"):
            continue
        if view.action in SELF:
            ways.append(every([view.role(name), *_own(view)]))
        elif view.action == "verify":
            ways.append(every([view.role(name), view.among("context.stage", role.stages)]))
        else:
            ways += [
                every([view.role(name), *way]) for way in _purposes(charter, view, role.stages)
            ]
    return some(ways)


def _own(view: View) -> list[Truth]:
    return [
        view.among("context.stage", ("self",)),
        view.term("resource.owner") == view.term("principal.sub"),
        negate(view.blank("resource.owner")),
    ]


def _purposes(charter: Charter, view: View, stages: tuple[str, ...]) -> Iterator[list[Truth]]:
    for title, purpose in charter.purposes.items():
        shared = tuple(stage for stage in purpose.stages if stage in stages)
        way = [
            view.among("context.purpose", (title,)),
            view.among("context.stage", shared),
            view.only("resource.what", purpose.covers()),
            view.among("resource.purposes", (title,)),
        ]
        if takes_grant(charter, view.action, title):
            way += [
                view.term("context.granted"),
                view.among("context.grant_purpose", (title,)),
                view.term("context.now") < view.term("context.grant_expires"),
            ]
        yield way


__all__ = ["Promise", "forbidden_uses", "may_be_allowed", "promises"]
