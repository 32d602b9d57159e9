"""What the probes judge: facts that somebody fetched before; nothing here asks for anything.

A part that could not be fetched is None or says why in words, so that a probe can say that it was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from safehold.assurance.probe.record import Record
from safehold.charter import Charter


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """How the newest head of the record stands.

    Args:
        published: Leaves that the newest published head covers, -1 without one.
        cosigned: Leaves that the newest head covers which the quorum has cosigned, -1 without one.
        unreachable: Names of witnesses that could not be reached lately.
        failed: Why the record takes nothing, if it takes nothing.
        remote: How many witnesses there are outside this machine.
        shortfall: Why the witnesses are fewer than the charter asks for, if they are.
        unlike: How they differ from those that the board named, if they do.
    """

    published: int
    cosigned: int
    unreachable: tuple[str, ...] = ()
    failed: str | None = None
    remote: int = 0
    shortfall: str | None = None
    unlike: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The charter in force, and who is behind it.

    Args:
        charter: It.
        digest: Of it, base64, as leaves carry it.
        seats: Seats that signed it.
        roster_expired: Whether the roster's time is over.
        proved: Ids of the promises that were proved of what it compiles to; None where nothing was proved.
        unproved: Why nothing was proved.
    """

    charter: Charter
    digest: str
    seats: tuple[str, ...]
    roster_expired: bool
    proved: tuple[str, ...] | None
    unproved: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """How one text that the law asks for stands.

    Args:
        state: ``current``, ``stale``, ``changed`` or ``missing``.
        entry: Its newest leaf, -1 without one.
        open: Gaps that nobody has filled.
    """

    state: str
    entry: int
    open: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """One dataset.

    Args:
        kind: Such as ``source``, ``feature`` or ``model``.
        expires: First UTC day on which it may no longer exist.
        parents: Their first days of that kind.
        places: Jurisdictions of its people.
        intent: Leaf of the use that made it, -1 where nobody says.
        released: Whether it left by a declared release, which ends the chain.
        live: Whether it can still be used.
    """

    kind: str
    expires: int
    parents: tuple[int, ...]
    places: frozenset[str]
    intent: int
    released: bool
    live: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """How a model stands before one gate.

    Args:
        id: The gate.
        state: Such as ``passed`` or ``failed``.
        entry: Leaf of the attack, -1 without one.
    """

    id: str
    state: str
    entry: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model that is kept, by number and never by name of anybody.

    Args:
        id: Its id.
        state: ``kept``, ``quarantined``, ``released``, ``deleted`` or ``unknown``.
        pulls: How often it was taken out.
        epsilon_micro: What the record charges for it, millionths; None where it charges nothing.
        rdp_micro: What one accountant counts.
        pld_micro: What the other counts.
        audit: How the audit of its trainer ended; empty where nobody says.
        gates: How it stands before each gate of the charter.
        card: Whether its card could be written and holds.
        outside: Whether it was brought from outside.
    """

    id: str
    state: str
    pulls: int
    epsilon_micro: int | None
    rdp_micro: int | None
    pld_micro: int | None
    audit: str
    gates: tuple[Gate, ...]
    card: bool
    outside: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one purpose may reveal, in millionths and 10^-12.

    Args:
        epsilon_micro: Allowed by the charter.
        delta_e12: As above.
        left_micro: What the keeper reckons is left.
        left_e12: As above.
    """

    epsilon_micro: int
    delta_e12: int
    left_micro: int
    left_e12: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """One incident.

    Args:
        index: Leaf that opened it.
        grave: Its severity, 0 the gravest.
        aware_ms: Since when somebody knew.
        contained_ms: When it was contained, 0 before.
        closed_ms: When it ended, 0 while it is open.
        late: Clocks that ran out with nothing decided.
    """

    index: int
    grave: int
    aware_ms: int
    contained_ms: int
    closed_ms: int
    late: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """How one measure of a promise stands.

    Args:
        promised: Whether the charter promises it.
        op: How it is compared: ``<=``, ``==`` and the like.
        bound: With what, millionths.
        micro: What was measured, millionths; None where nothing was.
        sentence: What was looked at.
        entry: Leaf of the measurement, -1 without one.
        at_ms: When it was taken.
    """

    promised: bool
    op: str
    bound: int
    micro: int | None
    sentence: str
    entry: int
    at_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """Which keys there are.

    Args:
        root: How the root is kept.
        level: ``K1`` to ``K4``.
        means: What the level means, in words.
        segments: How many segments have a key.
        rows: How many wrapped keys there are.
        overdue: How many of them are past their day.
        strangers: How many belong to nobody who is enrolled.
    """

    root: str
    level: str
    means: str
    segments: int
    rows: int
    overdue: int
    strangers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Callers:
    """Who may call.

    Args:
        kinds: How many principals of each kind may act.
        shared: How many names prove more than one of them.
        identified: Whether a caller who proves nothing is refused.
    """

    kinds: Mapping[str, int]
    shared: int
    identified: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Everything that the probes judge.

    Args:
        now_ms: The present moment.
        today: UTC day number.
        synthetic: Whether the home is for made-up people.
        record: What the leaves tell.
        head: How the newest head stands.
        board: The charter in force; None without one.
        missing: Uses and people that the record leaves out, millionths, and what was looked at.
        leaving: Longest time of an erasure, millionths of an hour, asked for or under way included; what was looked at.
        drift: Sentences about what runs otherwise than it was signed, by clause.
        documents: The texts, by name.
        register: Why the register of people is not what they chose, if it is not.
        waiting: Requests of people that wait.
        overdue: Requests that are late.
        keys: Which keys there are.
        datasets: What exists.
        broken: How many datasets have a changed label.
        sandbox: Level of the sandbox.
        callers: Who may call.
        late: Intents without a result that are past their patience.
        budgets: By purpose.
        models: The models.
        mishaps: The incidents.
        figures: By measure.
    """

    now_ms: int
    today: int
    synthetic: bool
    record: Record
    head: Head
    board: Board | None
    missing: tuple[int | None, str]
    leaving: tuple[int | None, str]
    drift: Mapping[str, str]
    documents: Mapping[str, Document]
    register: str | None
    waiting: int
    overdue: int
    keys: Keys
    datasets: tuple[Dataset, ...]
    broken: int
    sandbox: str
    callers: Callers
    late: int
    budgets: Mapping[str, Budget] = field(default_factory=dict)
    models: tuple[Model, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)
