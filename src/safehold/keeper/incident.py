"""One incident: where it stands, what each step does to it, and what is allowed from where.

Holds: a step that does not follow from those before it (a state out of turn, a step of an incident that has ended, a
later moment of awareness, an end without two seats) changes nothing, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.access.emergency import SEVERITY

GRAVEST: Final = 0
LEAST: Final = 5
GATE: Final = 2  # an open incident this grave, or graver, lets nothing resume
RECURS_MS: Final = 30 * 86_400_000  # what comes back within this time after the end opens it again
AGREE: Final = 2  # people who must agree before an incident ends, or is called less grave

OPEN, TRIAGED, CONTAINED = "open", "triaged", "contained"
ERADICATED, RECOVERING, CLOSED, REOPENED = "eradicated", "recovering", "closed", "reopened"
NEXT: Final[Mapping[str, tuple[str, ...]]] = {
    OPEN: (TRIAGED, CONTAINED),
    REOPENED: (TRIAGED, CONTAINED),
    TRIAGED: (CONTAINED,),
    CONTAINED: (ERADICATED,),
    ERADICATED: (RECOVERING, CONTAINED),  # something else was found
    RECOVERING: (CLOSED, CONTAINED),
    CLOSED: (REOPENED,),
}
ROLES: Final = ("commander", "scribe", "privacy", "communications", "responder")
NOTICES: Final = ("authority", "people", "board", "regulator", "attorney")
DECISIONS: Final = ("sent", "not_needed")
AGREED: Final = ("close", "lower")  # what takes two people
STEPS: Final = (
    "move", "note", "scope", "assign", "severity", "uncontained", "clock", "notice", "cause", "action", "done", "agree",
    "close", "lower", "reopen", "report", "list",
)  # fmt: skip
AFTER: Final = frozenset(
    {"reopen", "note", "scope", "notice", "report", "done", "list"}
)  # of one that has ended
QUIET: Final = frozenset({"note", "agree", "list"})  # steps that change nothing a decision rests on
LIFTED: Final = "lifted"  # of a containment


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One leaf about an incident.

    Args:
        index: Of the leaf.
        at_ms: When.
        step: What was done; ``open`` of the first.
        state: The state after it.
        severity: Its severity after it; None if no leaf has said one.
        facts: The public facts.
    """

    index: int
    at_ms: int
    step: str
    state: str
    severity: int | None
    facts: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Incident:
    """How one incident stands.

    Args:
        index: Leaf that opened it, by which it is called.
        opened_ms: When.
        aware_ms: Since when somebody knew: what every clock counts from.
        alert: Leaf of the alert that opened it, if one did.
        state: Where it is.
        severity: 0 (gravest) to 5; None if no leaf says so in the clear.
        begun: Leaf that opened it, or opened it again last.
        basis: Newest leaf that a decision about it rests on.
        contained_ms: When it was first contained; 0 before.
        closed_ms: When it ended; 0 while it is open.
        ended: Leaf that ended it; -1 while it is open.
        uncontained: Leaf that says why nothing is contained, since it began; None without.
        causes: Leaves that name a published cause, with its hash.
        actions: Leaves of what is to be done, and whether it is.
        notices: By notice the leaf that decides, the decision and when.
        decided: By notice the newest leaf that decides about it.
        roles: By role the leaf that assigns it.
        held: Containments for it: by the leaf that began one, whether it is in force.
        agreed: Agreements that count still: (about, seat) and their leaf.
        steps: Every leaf about it, oldest first.
    """

    index: int
    opened_ms: int
    aware_ms: int
    alert: int | None = None
    state: str = OPEN
    severity: int | None = None
    begun: int = 0
    basis: int = 0
    contained_ms: int = 0
    closed_ms: int = 0
    ended: int = -1
    uncontained: int | None = None
    causes: dict[int, str] = field(default_factory=dict)
    actions: dict[int, bool] = field(default_factory=dict)
    notices: dict[str, tuple[int, str, int]] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)
    roles: dict[str, int] = field(default_factory=dict)
    held: dict[int, bool] = field(default_factory=dict)
    agreed: dict[tuple[str, str], int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    @property
    def grave(self) -> int:
        """Its severity; what no leaf says in the clear counts as that of an emergency."""
        return SEVERITY if self.severity is None else self.severity

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self.state != CLOSED

    @property
    def turned(self) -> Step:
        """Step that changed its state or its severity last: the leaf that says how it stands now."""
        after = [None, *((one.state, one.severity) for one in self.steps)]
        return next(
            one
            for one, before in zip(reversed(self.steps), reversed(after[:-1]), strict=True)
            if before != (one.state, one.severity)
        )

    def caused(self) -> dict[int, str]:
        """Return the causes that were published since it began, or began again."""
        return {index: sha for index, sha in self.causes.items() if index > self.begun}

    def settled(self) -> set[str]:
        """Return the notices that somebody has decided about since it began, or began again."""
        return {name for name, index in self.decided.items() if index > self.begun}


@dataclass(frozen=True, slots=True)
class Leaf:
    """One step as its leaf tells it: where it lies, when, what it refers to, and its public facts."""

    index: int
    at: int
    ref: int
    facts: Mapping[str, Any]

    def word(self, name: str) -> str:
        """Return a fact that is a word; nothing if there is none."""
        return str(self.facts.get(name, ""))


def take(one: Incident, leaf: Leaf) -> bool:
    """Let one step count if it follows from those before it; tell whether it does."""
    step = leaf.facts["step"]
    if not one.open and step not in AFTER:
        return False
    return _TAKEN[step](one, leaf)


def _move(one: Incident, leaf: Leaf) -> bool:
    state = leaf.word("state")
    if state not in NEXT[one.state] or state in (CLOSED, REOPENED):
        return False
    if state == CONTAINED and not one.contained_ms:
        one.contained_ms = leaf.at
    one.state = state
    return True


def _reopen(one: Incident, leaf: Leaf) -> bool:
    if one.open:
        return False
    one.state, one.begun, one.uncontained = REOPENED, leaf.index, None
    one.closed_ms, one.ended = 0, -1
    # that nobody had to be told was said of what was known then; what was sent stays sent
    one.notices = {name: known for name, known in one.notices.items() if known[1] == "sent"}
    return True


def _set_severity(one: Incident, leaf: Leaf) -> bool:
    level = severity_of(leaf.facts)
    if level is None or level > one.grave:
        return False  # less grave takes two people: the step "lower"
    one.severity = level
    return True


def _lower(one: Incident, leaf: Leaf) -> bool:
    level = severity_of(leaf.facts)
    if level is None or not _enough(one, agreement("lower", level)):
        return False
    one.severity = level
    return True


def _close(one: Incident, leaf: Leaf) -> bool:
    if CLOSED not in NEXT[one.state] or not _enough(one, "close"):
        return False
    one.state, one.closed_ms, one.ended = CLOSED, leaf.at, leaf.index
    return True


def _enough(one: Incident, what: str) -> bool:
    return sum(about == what for about, _ in one.agreed) >= AGREE


def _agree(one: Incident, leaf: Leaf) -> bool:
    about, seat = leaf.word("about"), leaf.word("seat")
    if about not in AGREED or not seat:
        return False
    one.agreed[agreement(about, severity_of(leaf.facts)), seat] = leaf.index
    return True


def _begin_clock(one: Incident, leaf: Leaf) -> bool:
    one.aware_ms = min(one.aware_ms, int(leaf.facts.get("since", leaf.at)))
    return True


def _decide(one: Incident, leaf: Leaf) -> bool:
    name, decision = leaf.word("notice"), leaf.word("decision")
    if name not in NOTICES or decision not in DECISIONS:
        return False
    known = one.notices.get(name)
    if known is None or known[1] != "sent":  # what was sent first was sent then
        one.notices[name] = (leaf.index, decision, leaf.at)
    one.decided[name] = leaf.index
    return True


def _finish(one: Incident, leaf: Leaf) -> bool:
    if leaf.ref not in one.actions:
        return False
    one.actions[leaf.ref] = True
    return True


def _keep(one: Incident, leaf: Leaf) -> bool:
    match leaf.facts["step"]:
        case "cause":
            one.causes[leaf.index] = leaf.word("sha256")
        case "action":
            one.actions[leaf.index] = False
        case "assign":
            one.roles[leaf.word("about")] = leaf.index
        case "uncontained":
            one.uncontained = leaf.index
        case _:
            pass
    return True


_TAKEN: Final[Mapping[str, Callable[[Incident, Leaf], bool]]] = {
    **dict.fromkeys(STEPS, _keep),
    "move": _move,
    "reopen": _reopen,
    "severity": _set_severity,
    "lower": _lower,
    "close": _close,
    "agree": _agree,
    "clock": _begin_clock,
    "notice": _decide,
    "done": _finish,
}


def add(one: Incident, index: int, at: int, step: str, facts: Mapping[str, Any]) -> None:
    """Put one more leaf among the steps of an incident."""
    one.steps.append(
        Step(
            index=index,
            at_ms=at,
            step=step,
            state=one.state,
            severity=one.severity,
            facts=facts,
        )
    )


def agreement(about: str, severity: int | None) -> str:
    """Return what is agreed to: that an incident ends, or that it is called so grave and no more."""
    return f"lower/{severity}" if about == "lower" else about


def severity_of(facts: Mapping[str, Any]) -> int | None:
    """Return the severity that public facts say; None if they say none that there is."""
    level = facts.get("severity")
    return level if type(level) is int and GRAVEST <= level <= LEAST else None
