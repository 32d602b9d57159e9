"""What a charter lets pass, read from its clauses one question at a time, by nobody who compares charters.

A question is one thing that could happen: an event recorded, a result let out, a grant given, a vote of the
board counted, a measurement accepted. A narrower charter lets nothing pass that the wider one did not.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safehold.charter import terms
from safehold.charter.model import Charter
from safehold.charter.redline import forms
from safehold.charter.value import Threshold
from safehold.charter.vocabulary import ACTIONS, DLP_GROUPS, RELEASES, SEATS, SILOS, STAGES
from safehold.telemetry.stream import WHAT_TO_STREAM

APPS = ("editor", "spreadsheet", "ticketing", "mail", "crm", "another")
PLACES = ("US-CA", "US-WA", "DE", "FR")
SUBJECTS = (
    "employee",
    "consultant",
    "trainee",
    "visitor",
    "job_applicant",
    "next_of_kin",
    "customer",
)
PARTS = ("clipboard", "password_fields", "screen", "another")
NEEDS = ("root_cause_published", "incident_replay_green", "another")
CATEGORIES = tuple(name for name, term in terms.catalogue().items() if term.kind == "category")
USES = tuple(name for name, term in terms.catalogue().items() if term.kind == "use")


@dataclass(frozen=True)
class Recorded:
    """One event, recorded so and kept so long."""

    what: str
    place: str
    subject: str
    app: str
    channel: str
    part: str
    unmasked: str
    level: int
    title: str
    age: int
    silo: str


@dataclass(frozen=True)
class Contained:
    """A kind of data of one category, recorded although somebody may have banned it."""

    category: str


@dataclass(frozen=True)
class Computed:
    """A result let out for a purpose."""

    purpose: str
    source: str
    stage: str
    release: str
    epsilon: int
    delta: int
    people: int


@dataclass(frozen=True)
class Granted:
    """A grant given to a role and used."""

    role: str
    action: str
    life: int
    token: int
    approvals: int
    reason: str
    rows: int
    runs: int
    sees: bool
    hands_on: bool


@dataclass(frozen=True)
class Crossed:
    """Something that a red line might stop."""

    use: str
    action: str
    beside: str
    people: int


@dataclass(frozen=True)
class Voted:
    """The board allows more, or starts again."""

    seats: frozenset[str]
    notice: int
    needs: frozenset[str]


@dataclass(frozen=True)
class Hindered:
    """The board fails to tighten, or to stop, or somebody to leave."""

    seats: frozenset[str]
    waited: int
    seconds: int


@dataclass(frozen=True)
class Accepted:
    """A study goes on with these measurements, this audit and these witnesses."""

    name: str
    micro: int
    audited: int
    witnesses: int
    regime: str
    sandbox: int
    sensitivity: int


Question = Recorded | Contained | Computed | Granted | Crossed | Voted | Hindered | Accepted
KINDS = ("Recorded", "Contained", "Computed", "Granted", "Crossed", "Voted", "Hindered", "Accepted")


def passes(charter: Charter, question: Question) -> bool:
    """Tell whether a charter lets something pass."""
    return _JUDGES[type(question).__name__](charter, question)


def _recorded(charter: Charter, q: Recorded) -> bool:
    items = {item.what: item for item in charter.collect}
    subjects = charter.data_subjects
    if q.what not in items or q.place not in charter.jurisdictions:
        return False
    if q.subject not in subjects.include or q.subject in subjects.exclude:
        return False
    item, less = items[q.what], items[q.what].minimise
    return (
        (less.apps is None or q.app in less.apps)
        # carried out: public channels alone where none is named; read: any channel
        and (less.channels is None or q.channel in less.channels)
        and q.part not in less.drop
        and (q.unmasked == "" or q.unmasked not in (less.dlp or DLP_GROUPS))
        and q.level >= int(less.level[1])
        and (q.title == "" or less.titles == "class_only")
        and q.age <= item.keep_days
        and (less.silo is None or q.silo == less.silo)
    )


def _contained(charter: Charter, q: Contained) -> bool:
    banned = (terms.find(word, kind="category").name for word in charter.never_collect)
    return not any(terms.overlaps(q.category, one) for one in banned)


def _computed(charter: Charter, q: Computed) -> bool:
    purpose = charter.purposes.get(q.purpose)
    if purpose is None or purpose.privacy is None:
        return False
    limits = purpose.privacy
    return (
        q.source in purpose.sources
        and q.stage in purpose.stages
        and q.release in purpose.releases
        and q.epsilon <= limits.epsilon_micro
        and q.delta <= limits.delta_pico
        and q.people >= limits.min_people
    )


def _granted(charter: Charter, q: Granted) -> bool:
    role = charter.who_may.get(q.role)
    if role is None or role.grant is None or q.action not in role.do:
        return False
    grant = role.grant
    caps = grant.budget
    return (
        q.life <= grant.max_s
        and q.token <= grant.token_s
        and q.approvals >= grant.approvers
        and grant.reason in {None, q.reason}
        and (caps is None or (q.rows <= caps.rows and q.runs <= caps.runs))
        and (not q.sees or role.sees_data is not False)
        and (not q.hands_on or role.may_delegate is not False)
    )


def _crossed(charter: Charter, q: Crossed) -> bool:
    for line in map(forms, charter.red_lines):
        banned = [terms.find(word, kind="use").name for word in line.terms()]
        if any(q.use in terms.within(one) for one in banned):
            return False
        if q.action in line.forbid_actions or q.beside in line.forbid_beside:
            return False
        if line.min_people is not None and q.people < line.min_people:
            return False
    return True


def _voted(charter: Charter, q: Voted) -> bool:
    board = charter.oversight
    return (
        len(q.seats) >= board.widen.approve
        and set(board.widen.must_include) <= q.seats
        and q.notice >= board.widen.notice_s
        and len(q.seats) >= board.restart_after_stop.approve
        and set(board.restart_after_stop.needs) <= q.needs
    )


def _hindered(charter: Charter, q: Hindered) -> bool:
    board = charter.oversight
    tightens = (
        len(q.seats) >= board.narrow.approve
        and set(board.narrow.must_include) <= q.seats
        and q.waited >= board.narrow.notice_s
    )
    stops = len(q.seats) >= board.stop.approve and q.seconds >= board.stop.effect.within_s
    leaves = charter.participation.withdraw.any_time and (
        q.seconds >= charter.participation.withdraw.effect.within_s
    )
    return not (tightens and stops and leaves)


def _accepted(charter: Charter, q: Accepted) -> bool:
    bounds = [one.must_be for one in (*charter.promises, *charter.gates) if one.id == q.name]
    return (
        all(_admits(bound, q.micro) for bound in bounds)
        and q.audited <= charter.audit.independent_days
        and q.witnesses >= charter.audit.witnesses.min
        and q.regime not in charter.regimes
        and q.sandbox >= charter.assurance.least(q.sensitivity)
    )


def _admits(bound: Threshold, micro: int) -> bool:
    return {
        "<=": micro <= bound.micro,
        "<": micro < bound.micro,
        ">=": micro >= bound.micro,
        ">": micro > bound.micro,
        "==": micro == bound.micro,
    }[bound.op]


_JUDGES = {
    "Recorded": _recorded,
    "Contained": _contained,
    "Computed": _computed,
    "Granted": _granted,
    "Crossed": _crossed,
    "Voted": _voted,
    "Hindered": _hindered,
    "Accepted": _accepted,
}


def questions(chance: random.Random, charters: Sequence[Charter], count: int) -> Iterator[Question]:
    """Yield questions, most of them at the edge of what one of the charters lets pass."""
    ask = (_record, _contain, _compute, _grant, _cross, _vote, _hinder, _accept)
    for _ in range(count):
        yield chance.choice(ask)(chance, chance.choice(charters))


def _near(chance: random.Random, number: int) -> int:
    return max(0, number + chance.choice((-1, 0, 0, 1)))


def _mostly(chance: random.Random, likely: Sequence[str], others: Sequence[str]) -> str:
    return chance.choice(likely) if likely and chance.random() < 0.9 else chance.choice(others)


def _record(chance: random.Random, charter: Charter) -> Recorded:
    item = chance.choice(charter.collect)
    less = item.minimise
    kept = [part for part in PARTS if part not in less.drop]
    unmasked = [group for group in DLP_GROUPS if less.dlp and group not in less.dlp]
    return Recorded(
        what=_mostly(chance, [item.what], tuple(WHAT_TO_STREAM)),
        place=_mostly(chance, charter.jurisdictions, PLACES),
        subject=_mostly(chance, charter.data_subjects.include, SUBJECTS),
        app=_mostly(chance, less.apps or APPS, APPS),
        channel=_mostly(chance, less.channels or ("public",), ("public", "private", "direct")),
        part=_mostly(chance, kept, PARTS),
        unmasked=_mostly(chance, ["", *unmasked], ["", *DLP_GROUPS]),
        level=min(4, _near(chance, int(less.level[1]))),
        title=_mostly(chance, [""] if less.titles == "dropped" else ["class", ""], ["class"]),
        age=_near(chance, item.keep_days),
        silo=_mostly(chance, [less.silo or ""], ["", *SILOS]),
    )


def _contain(chance: random.Random, _: Charter) -> Contained:
    return Contained(category=chance.choice(CATEGORIES))


def _compute(chance: random.Random, charter: Charter) -> Computed:
    name = chance.choice(list(charter.purposes))
    purpose = charter.purposes[name]
    limits = purpose.privacy
    return Computed(
        purpose=name,
        source=_mostly(chance, purpose.sources, tuple(WHAT_TO_STREAM)),
        stage=_mostly(chance, purpose.stages, STAGES),
        release=_mostly(chance, purpose.releases, RELEASES),
        epsilon=_near(chance, limits.epsilon_micro if limits else 1),
        delta=_near(chance, limits.delta_pico if limits else 1),
        people=_near(chance, limits.min_people if limits else 50),
    )


def _grant(chance: random.Random, charter: Charter) -> Granted:
    name = chance.choice(list(charter.who_may))
    role = charter.who_may[name]
    grant = role.grant
    caps = grant.budget if grant else None
    return Granted(
        role=name,
        action=_mostly(chance, role.do, ACTIONS),
        life=_near(chance, grant.max_s if grant else 1),
        token=_near(chance, grant.token_s if grant else 1),
        approvals=_near(chance, grant.approvers if grant else 1),
        reason=_mostly(chance, [grant.reason or ""] if grant else [""], ["", "ticket", "words"]),
        rows=_near(chance, caps.rows if caps else 9),
        runs=_near(chance, caps.runs if caps else 9),
        sees=chance.random() < 0.3,
        hands_on=chance.random() < 0.3,
    )


def _cross(chance: random.Random, charter: Charter) -> Crossed:
    people = [line.min_people for line in map(forms, charter.red_lines) if line.min_people]
    return Crossed(
        use=chance.choice(USES),
        action=_mostly(chance, ["operate"], ACTIONS),
        beside=_mostly(chance, [""], SILOS),
        people=_near(chance, max(people, default=1)),
    )


def _vote(chance: random.Random, charter: Charter) -> Voted:
    board = charter.oversight
    seats = chance.sample(SEATS, min(len(SEATS), chance.randint(4, 6)))
    return Voted(
        seats=frozenset({*seats, *(board.widen.must_include if chance.random() < 0.7 else ())}),
        notice=_near(chance, board.widen.notice_s),
        needs=frozenset(need for need in NEEDS if chance.random() < 0.9),
    )


def _hinder(chance: random.Random, charter: Charter) -> Hindered:
    board = charter.oversight
    return Hindered(
        seats=frozenset(chance.sample(SEATS, chance.randint(0, 6))),
        waited=_near(chance, board.narrow.notice_s),
        seconds=chance.choice(
            (
                _near(chance, board.stop.effect.within_s),
                _near(chance, charter.participation.withdraw.effect.within_s),
            )
        ),
    )


def _accept(chance: random.Random, charter: Charter) -> Accepted:
    named = (*charter.promises, *charter.gates)
    one = chance.choice(named)
    sensitivity = chance.randint(1, 4)
    return Accepted(
        name=one.id,
        micro=_near(chance, one.must_be.micro),
        audited=_near(chance, charter.audit.independent_days),
        witnesses=_near(chance, charter.audit.witnesses.min),
        regime=_mostly(chance, ["none"], ("eu-gdpr", "ccpa", "eu-aiact", "uk-gdpr")),
        sandbox=_near(chance, charter.assurance.least(sensitivity)),
        sensitivity=sensitivity,
    )
