"""The charter as frozen records; every key of the language is a field here.

Lengths of time, probabilities and budgets are whole numbers with their unit in the name, so the
canonical form
holds no float. Terms are stored with their vocabulary.
"""

# ruff: noqa: RUF009 - key() only wraps dataclasses.field
from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from safehold import canonical
from safehold.charter import record, value
from safehold.charter.oversight import Assurance, Audit, Gate, Oversight, Promise
from safehold.charter.participation import Controller, DataSubjects, Participation
from safehold.charter.record import key
from safehold.charter.vocabulary import (
    ACTIONS,
    DERIVED,
    DLP_GROUPS,
    INTERNAL,
    RELEASES,
    REPAIR,
    SILOS,
    STAGES,
)
from safehold.errors import DeniedError
from safehold.telemetry.stream import STREAM_TO_WHAT, WHAT_TO_STREAM, Level

DOMAIN: Final = "safehold.charter.v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where data may be collected."""

    collect_in: tuple[str, ...] = key(value.name)
    counterpart_rule: str = key(value.one_of("drop_unless_consented"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Category:
    """What kind of data this is, in each vocabulary."""

    fides: str = key(value.word)
    dpv: str = key(value.word)
    sh: str | None = key(value.word, default=None)

    def terms(self) -> tuple[str, ...]:
        """Return the terms of every vocabulary."""
        return tuple(term for _, term in self.slots())

    def slots(self) -> tuple[tuple[str, str], ...]:
        """Return each term that is given, after the name of its slot."""
        slots = (("fides", self.fides), ("dpv", self.dpv), ("sh", self.sh))
        return tuple((slot, term) for slot, term in slots if term is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimise:
    """What is taken away where it is recorded."""

    level: str = key(value.one_of(*(level.name for level in Level)), default="L3")
    drop: tuple[str, ...] = key(value.name, default=())
    apps: tuple[str, ...] | None = key(value.name, default=None)
    titles: str = key(value.one_of("class_only", "dropped"), default="dropped")
    channels: tuple[str, ...] | None = key(
        value.one_of("public", "private", "direct"), default=None
    )
    dlp: tuple[str, ...] = key(value.one_of(*DLP_GROUPS), default=())
    silo: str | None = key(value.one_of(*SILOS), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Collect:
    """One kind of data that may be recorded, and how little of it."""

    what: str = key(value.one_of(*WHAT_TO_STREAM))
    category: Category = key()
    minimise: Minimise = key()
    keep_days: int = key(value.days, key="keep")
    sensitivity: int = key(value.integer, default=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Privacy:
    """The privacy promise of a purpose; the unit is the person."""

    unit: str = key(value.one_of("person"))
    epsilon_micro: int = key(value.micro, key="epsilon")
    delta_pico: int = key(value.pico, key="delta")
    min_people: int = key(value.integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purpose:
    """One thing the data may be used for."""

    plain: str = key(value.prose)
    uses: Category = key()
    sources: tuple[str, ...] = key(value.one_of(*WHAT_TO_STREAM, *INTERNAL), key="from")
    stages: tuple[str, ...] = key(value.one_of(*STAGES))
    privacy: Privacy | None = key(default=None)
    releases: tuple[str, ...] = key(value.one_of(*RELEASES))
    derived_keep_days: int | None = key(value.days, key="derived_keep", default=None)

    def covers(self) -> tuple[str, ...]:
        """Return what this purpose may touch: its sources, and features where it builds them."""
        return (*self.sources, DERIVED) if "feature" in self.stages else self.sources


@dataclass(frozen=True, slots=True, kw_only=True)
class RedLine:
    """Something nobody can grant. At least one machine form, beside the words for people."""

    id: str = key(value.name)
    plain: str | None = key(value.prose, default=None)
    rule: str | None = key(value.prose, default=None)
    forbid: tuple[str, ...] = key(value.word, default=())
    dpv: tuple[str, ...] = key(value.word, default=())
    forbid_terms: tuple[str, ...] = key(value.word, default=())
    forbid_actions: tuple[str, ...] = key(value.one_of(*ACTIONS), default=())
    forbid_beside: tuple[str, ...] = key(value.one_of(*SILOS), default=())
    min_people: int | None = key(value.integer, default=None)
    law: str | None = key(value.word, default=None)

    def terms(self) -> tuple[str, ...]:
        """Return the forbidden uses of every vocabulary; a bare word of the older spelling names its own."""
        older = (word if ":" in word else f"dpv:{word}" for word in self.dpv)
        return (*self.forbid, *older, *self.forbid_terms)

    def words(self) -> str:
        """Return the line in words for people."""
        return self.plain or self.rule or f"{self.id.replace('-', ' ')}: nobody can allow it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caps:
    """How much one grant may move."""

    rows: int = key(value.integer)
    bytes_out: int = key(value.integer)
    runs: int = key(value.integer)


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantRule:
    """What a grant of a role needs, and how long it lives."""

    max_s: int = key(value.duration, key="max")
    token_s: int = key(value.duration, key="token")
    approvers: int = key(value.integer)
    reason: str | None = key(value.one_of("ticket", "words"), default=None)
    budget: Caps | None = key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What one role may do, and in which stages."""

    do: tuple[str, ...] = key(value.one_of(*ACTIONS))
    stages: tuple[str, ...] = key(value.one_of(*STAGES))
    grant: GrantRule | None = key(default=None)
    sees_data: bool | None = key(default=None)
    may_delegate: bool | None = key(default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Malformed messages of leased devices are kept for a while, sealed under the key of whose device it is.

    Without this clause none is. ``review`` says what the purpose must be like.
    """

    purpose: str = key(value.one_of(REPAIR))
    keep_days: int = key(value.days, key="keep")
    a_day: int = key(value.integer)  # messages of one person that may be set aside on one day


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


# a charter is frozen, and its digest is asked for once a block: kept by identity, as long as it lives
_DIGESTS: Final[dict[int, tuple[weakref.ref[Any], bytes]]] = {}


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class Charter:
    """The only document that can make data exist or move; what it does not say is forbidden."""

    charter: str = key(value.one_of("safehold/v1"))
    id: str = key(value.name)
    version: int = key(value.integer)
    title: str = key(value.prose)
    summary: str = key(value.prose)
    controller: Controller = key()
    regimes: tuple[str, ...] = key(value.word)
    data_subjects: DataSubjects = key()
    participation: Participation = key()
    places: Places = key(key="jurisdictions")
    collect: tuple[Collect, ...] = key()
    never_collect: tuple[str, ...] = key(value.word)
    purposes: Mapping[str, Purpose] = key()
    red_lines: tuple[RedLine, ...] = key()
    who_may: Mapping[str, Role] = key()
    oversight: Oversight = key()
    promises: tuple[Promise, ...] = key()
    audit: Audit = key()
    gates: tuple[Gate, ...] = key(default=())
    assurance: Assurance = key(default=Assurance())
    set_aside: SetAside | None = key(default=None, later=True)

    @property
    def jurisdictions(self) -> tuple[str, ...]:
        """Where data may be collected."""
        return self.places.collect_in

    def to_json(self) -> dict[str, Any]:
        """Return the canonical tree: what is hashed, signed and stored."""
        return cast("dict[str, Any]", record.dump(self))

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
        place = id(self)
        held = _DIGESTS.get(place)
        if held is not None and held[0]() is self:
            return held[1]
        value = canonical.digest(self.to_json())
        _DIGESTS[place] = (weakref.ref(self, lambda _gone: _DIGESTS.pop(place, None)), value)
        return value

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
        """Return the purposes that may use a stream, sorted; what is set aside has its own, which nothing else has."""
        named = STREAM_TO_WHAT.get(what, what)
        aside = None if self.set_aside is None else self.set_aside.purpose
        return tuple(
            sorted(n for n, one in self.purposes.items() if named in one.covers() and n != aside)
        )

    def purpose(self, name: str) -> Purpose:
        """Return a purpose.

        Raises:
            DeniedError: The charter knows no such purpose.
        """
        if name not in self.purposes:
            raise DeniedError("the charter has no such purpose", rule="charter.purpose")
        return self.purposes[name]

    def least_approvals(self, name: str) -> int:
        """Return the approvals that no grant of a role goes without, one in an emergency included.

        Agents never ask in an emergency, so theirs are the ordinary ones.

        Raises:
            DeniedError: The charter knows no such role, or it gets no grant.
        """
        rule, emergency = self.role(name).grant, self.oversight.break_glass
        if rule is None:
            raise DeniedError("this role needs no grant and gets none", rule="grant.role")
        if emergency is None or name == "agent":
            return rule.approvers
        return min(rule.approvers, emergency.approvers)

    def role(self, name: str) -> Role:
        """Return a role.

        Raises:
            DeniedError: The charter knows no such role.
        """
        if name not in self.who_may:
            raise DeniedError("the charter has no such role", rule="charter.role")
        return self.who_may[name]
