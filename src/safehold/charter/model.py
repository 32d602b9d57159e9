"""The charter as frozen records; every key of the language is a field here.

Lengths of time, probabilities and budgets are whole numbers with their unit in the name, so the canonical form
holds no float. Terms are stored with their vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold import canonical
from safehold.charter import record, value
from safehold.charter.value import Effect, Threshold
from safehold.errors import DeniedError
from safehold.telemetry.schema import STREAM_TO_WHAT, WHAT_TO_STREAM, Level

DOMAIN: Final = "safehold.charter.v1"
STAGES: Final = (
    "ingest",
    "feature",
    "embedding",
    "training",
    "query",
    "private_join",
    "release",
    "audit",
    "self",
)
SELF: Final = ("see_own_trail", "export_own", "erase_own", "object")
GRANTED: Final = ("run_approved_recipe", "query", "pull_artifact")
ROWS: Final = ("read_raw", "read_rows", "export_vectors", "bulk_export", "join_external")
DATA: Final = (*GRANTED, *ROWS, "operate")
ACTIONS: Final = (*DATA, "verify", *SELF)
RELEASES: Final = ("model_weights_dp", "dp_aggregate", "alert")
DLP_GROUPS: Final = (
    "identifiers",
    "private_communications",
    "health_financial_legal",
    "work_inferences",
    "security_behaviour",
)
SILOS: Final = ("hr", "badge", "payroll", "medical")
SEATS: Final = ("security", "privacy", "legal", "hr", "ml_lead", "employee_representative")
INTERNAL: Final = ("access_log",)  # what a purpose may use though no recorder collects it
DERIVED: Final = "feature"
ASSURANCE: Final = ("E0", "E1", "E2", "E3", "E4")


def _key(read: value.Reader | None = None, *, key: str | None = None, **rest: Any) -> Any:
    """Declare a field: how its words are read, and its key in YAML where that differs."""
    return field(metadata={"read": read, "key": key}, **rest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Controller:
    """Who answers for the study."""

    name: str = _key(value.prose)
    contact: str = _key(value.word)
    dpo: str = _key(value.word)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSubjects:
    """Whose data this is about, and whose never."""

    include: tuple[str, ...] = _key(value.word)
    exclude: tuple[str, ...] = _key(value.word, default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """How somebody leaves."""

    any_time: bool = _key()
    detriment: str = _key(value.one_of("none"))
    effect: Effect = _key(value.effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """How somebody stops for a while."""

    max: str = _key(value.one_of("unlimited"))
    effect: str = _key(value.one_of("nothing_is_recorded"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Participation:
    """Why it is lawful, and the choice each person has."""

    legal_basis: str = _key(value.word)
    opt_in: str = _key(value.word)
    default: str = _key(value.one_of("not_participating"))
    withdraw: Withdrawal = _key()
    pause: Pause = _key()
    applies_equally_to: tuple[str, ...] = _key(value.name)
    manager_visibility_of_choice: str = _key(value.one_of("never"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where data may be collected."""

    collect_in: tuple[str, ...] = _key(value.name)
    counterpart_rule: str = _key(value.one_of("drop_unless_consented"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What kind of data this is, in each vocabulary."""

    fides: str = _key(value.word)
    dpv: str = _key(value.word)
    sh: str | None = _key(value.word, default=None)

    def terms(self) -> tuple[str, ...]:
        """Return the terms of every vocabulary."""
        return tuple(term for term in (self.fides, self.dpv, self.sh) if term is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimise:
    """What is taken away where it is recorded."""

    level: str = _key(value.one_of(*(level.name for level in Level)), default="L3")
    drop: tuple[str, ...] = _key(value.name, default=())
    apps: tuple[str, ...] | None = _key(value.name, default=None)
    titles: str = _key(value.one_of("class_only", "dropped"), default="dropped")
    channels: tuple[str, ...] | None = _key(
        value.one_of("public", "private", "direct"), default=None
    )
    dlp: tuple[str, ...] = _key(value.one_of(*DLP_GROUPS), default=())
    silo: str | None = _key(value.one_of(*SILOS), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """One kind of data that may be recorded, and how little of it."""

    what: str = _key(value.one_of(*WHAT_TO_STREAM))
    category: Category = _key()
    minimise: Minimise = _key()
    keep_days: int = _key(value.days, key="keep")
    sensitivity: int = _key(value.integer, default=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The privacy promise of a purpose; the unit is the person."""

    unit: str = _key(value.one_of("person"))
    epsilon_micro: int = _key(value.micro, key="epsilon")
    delta_pico: int = _key(value.pico, key="delta")
    min_people: int = _key(value.integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One thing the data may be used for."""

    plain: str = _key(value.prose)
    uses: Category = _key()
    sources: tuple[str, ...] = _key(value.one_of(*WHAT_TO_STREAM, *INTERNAL), key="from")
    stages: tuple[str, ...] = _key(value.one_of(*STAGES))
    privacy: Privacy | None = _key(default=None)
    releases: tuple[str, ...] = _key(value.one_of(*RELEASES))
    derived_keep_days: int | None = _key(value.days, key="derived_keep", default=None)

    def covers(self) -> tuple[str, ...]:
        """Return what this purpose may touch: its sources, and features where it builds them."""
        return (*self.sources, DERIVED) if "feature" in self.stages else self.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RedLine:
    """Something nobody can grant. At least one machine form, beside the words for people."""

    id: str = _key(value.name)
    plain: str | None = _key(value.prose, default=None)
    rule: str | None = _key(value.prose, default=None)
    forbid: tuple[str, ...] = _key(value.word, default=())
    dpv: tuple[str, ...] = _key(value.word, default=())
    forbid_terms: tuple[str, ...] = _key(value.word, default=())
    forbid_actions: tuple[str, ...] = _key(value.one_of(*ACTIONS), default=())
    forbid_beside: tuple[str, ...] = _key(value.one_of(*SILOS), default=())
    min_people: int | None = _key(value.integer, default=None)
    law: str | None = _key(value.word, default=None)

    def terms(self) -> tuple[str, ...]:
        """Return the forbidden uses of every vocabulary."""
        return (*self.forbid, *self.dpv, *self.forbid_terms)

    def words(self) -> str:
        """Return the line in words for people."""
        return self.plain or self.rule or f"{self.id.replace('-', ' ')}: nobody can allow it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much one grant may move."""

    rows: int = _key(value.integer)
    bytes_out: int = _key(value.integer)
    runs: int = _key(value.integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRule:
    """What a grant of a role needs, and how long it lives."""

    max_s: int = _key(value.duration, key="max")
    token_s: int = _key(value.duration, key="token")
    approvers: int = _key(value.integer)
    reason: str | None = _key(value.one_of("ticket", "words"), default=None)
    budget: Caps | None = _key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one role may do, and in which stages."""

    do: tuple[str, ...] = _key(value.one_of(*ACTIONS))
    stages: tuple[str, ...] = _key(value.one_of(*STAGES))
    grant: GrantRule | None = _key(default=None)
    sees_data: bool | None = _key(default=None)
    may_delegate: bool | None = _key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quorum:
    """How many seats must agree, and which of them always."""

    approve: int = _key(value.integer)
    must_include: tuple[str, ...] = _key(value.one_of(*SEATS), default=())
    notice_s: int = _key(value.duration, key="notice", default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """Who can stop everything, and how fast."""

    approve: int = _key(value.integer)
    effect: Effect = _key(value.effect)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restart:
    """What it takes to start again after a stop."""

    approve: int = _key(value.integer)
    needs: tuple[str, ...] = _key(value.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oversight:
    """The board."""

    seats: tuple[str, ...] = _key(value.one_of(*SEATS))
    widen: Quorum = _key()
    narrow: Quorum = _key()
    stop: Stop = _key()
    restart_after_stop: Restart = _key()
    break_glass: str = _key(value.one_of("never"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A measurement with a bound, published to employees."""

    id: str = _key(value.name)
    says: str = _key(value.prose)
    measure: str = _key(value.name)
    must_be: Threshold = _key(value.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """An attack that must fail before an artifact leaves."""

    id: str = _key(value.name)
    attack: str = _key(value.one_of("reidentify", "membership", "canary", "invert"))
    level: str | None = _key(value.one_of(*(level.name for level in Level)), default=None)
    measure: str = _key(value.name)
    must_be: Threshold = _key(value.threshold)


@dataclass(frozen=True, slots=True, kw_only=True)
class Assurance:
    """The least sandbox level for each sensitivity, 1 to 4."""

    level_1: str = _key(value.one_of(*ASSURANCE[1:]), key="sensitivity_1", default="E1")
    level_2: str = _key(value.one_of(*ASSURANCE[1:]), key="sensitivity_2", default="E2")
    level_3: str = _key(value.one_of(*ASSURANCE[1:]), key="sensitivity_3", default="E3")
    level_4: str = _key(value.one_of(*ASSURANCE[1:]), key="sensitivity_4", default="E3")

    def least(self, sensitivity: int) -> int:
        """Return the least level for a sensitivity, as a number."""
        names = (self.level_1, self.level_2, self.level_3, self.level_4)
        return ASSURANCE.index(names[sensitivity - 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnesses:
    """Who outside keeps the head of the log."""

    min: int = _key(value.integer)
    includes: str = _key(value.one_of(*SEATS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """Who checks from outside, and how often."""

    independent_days: int = _key(value.every, key="independent")
    bundle: str = _key(value.one_of("offline_verifiable"))
    witnesses: Witnesses = _key()


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectRule:
    """What the charter says about one stream, for those who record and minimise it.

    Args:
        what: Name in the charter.
        stream: Name of the stream.
        level: Minimisation level.
        keep_days: Days until the keys of this data are destroyed.
        apps: The only applications recorded; None means no limit was set.
        channels: The only kinds of channel recorded; None means no limit was set.
        drop: Parts that are never recorded.
        dlp: Groups of classes that are masked.
        titles: What is left of window titles.
        silo: The silo this data never leaves, if it has one.
        sensitivity: 1 to 4.
        purposes: Purposes that may use it.
    """

    what: str
    stream: str
    level: Level
    keep_days: int
    apps: frozenset[str] | None
    channels: frozenset[str] | None
    drop: frozenset[str]
    dlp: frozenset[str]
    titles: str
    silo: str | None
    sensitivity: int
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Charter:
    """The only document that can make data exist or move; what it does not say is forbidden."""

    charter: str = _key(value.one_of("safehold/v1"))
    id: str = _key(value.name)
    version: int = _key(value.integer)
    title: str = _key(value.prose)
    summary: str = _key(value.prose)
    controller: Controller = _key()
    regimes: tuple[str, ...] = _key(value.word)
    data_subjects: DataSubjects = _key()
    participation: Participation = _key()
    places: Places = _key(key="jurisdictions")
    collect: tuple[Collect, ...] = _key()
    never_collect: tuple[str, ...] = _key(value.word)
    purposes: Mapping[str, Purpose] = _key()
    red_lines: tuple[RedLine, ...] = _key()
    who_may: Mapping[str, Role] = _key()
    oversight: Oversight = _key()
    promises: tuple[Promise, ...] = _key()
    audit: Audit = _key()
    gates: tuple[Gate, ...] = _key(default=())
    assurance: Assurance = _key(default=Assurance())

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Where data may be collected."""
        return self.places.collect_in

    def to_json(self) -> dict[str, Any]:
        """Return the canonical tree: what is hashed, signed and stored."""
        tree = record.dump(self)
        assert isinstance(tree, dict)
        return tree

    @classmethod
    def from_json(cls, tree: Any) -> Charter:
        """Read a tree made by ``to_json``; unknown, missing or mistyped keys are refused.

        Raises:
            InvalidError: The tree is not a charter.
        """
        return record.load(cls, tree)

    def encode(self) -> bytes:
        """Return the canonical bytes."""
        return canonical.encode(self.to_json())

    def digest(self) -> bytes:
        """Return the SHA-256 of the canonical bytes, 32 bytes."""
        return canonical.digest(self.to_json())

    def item(self, what: str) -> Collect:
        """Return the collect entry of a stream or of its name in the charter.

        Raises:
            DeniedError: The charter does not name it, so it must not exist.
        """
        named = STREAM_TO_WHAT.get(what, what)
        for item in self.collect:
            if item.what == named:
                return item
        raise DeniedError(
            "the charter does not allow this to be collected",
            rule="charter.collect",
            fix="a new charter version, signed by the board's widening quorum",
        )

    def rules(self, what: str) -> CollectRule:
        """Return what the charter says about one stream.

        Args:
            what: A stream (``key``) or its name in the charter (``keys``).

        Raises:
            DeniedError: The charter does not name it.
        """
        item = self.item(what)
        less = item.minimise
        return CollectRule(
            what=item.what,
            stream=WHAT_TO_STREAM[item.what],
            level=Level[less.level],
            keep_days=item.keep_days,
            apps=None if less.apps is None else frozenset(less.apps),
            channels=None if less.channels is None else frozenset(less.channels),
            drop=frozenset(less.drop),
            dlp=frozenset(less.dlp),
            titles=less.titles,
            silo=less.silo,
            sensitivity=item.sensitivity,
            purposes=self.purposes_of(item.what),
        )

    def retention(self, what: str) -> int:
        """Return the days this data may be kept."""
        return self.item(what).keep_days

    def purposes_of(self, what: str) -> tuple[str, ...]:
        """Return the purposes that may use a stream, sorted."""
        named = STREAM_TO_WHAT.get(what, what)
        return tuple(sorted(n for n, purpose in self.purposes.items() if named in purpose.covers()))

    def purpose(self, name: str) -> Purpose:
        """Return a purpose.

        Raises:
            DeniedError: The charter knows no such purpose.
        """
        if name not in self.purposes:
            raise DeniedError("the charter has no such purpose", rule="charter.purpose")
        return self.purposes[name]

    def role(self, name: str) -> Role:
        """Return a role.

        Raises:
            DeniedError: The charter knows no such role.
        """
        if name not in self.who_may:
            raise DeniedError("the charter has no such role", rule="charter.role")
        return self.who_may[name]
