"""The register of principals: who is who, by whom they were enrolled, and what proves them.

Holds: every change is a leaf before it is here; the leaf names the version and a blinded digest of the whole
register, so one that was edited, or put back, stops every proved call. Roles are words of the charter, checked when
somebody is enrolled and again whenever they count; no token says one. Who an agent is, for whom it acts and what it
may ask for at most is fixed here by people, and never by an agent.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical, ids
from safehold.canonical import b64
from safehold.errors import (
    ConflictError,
    DeniedError,
    MissingError,
    SignInError,
    TamperedError,
)
from safehold.keeper.caller import HUMAN, caller
from safehold.keeper.contained import PRINCIPAL
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SECRET: Final = "principals"  # noqa: S105 - the name it is sealed under
VERSION: Final = "safehold.principals/1"
ACTIVE: Final = "active"
SUSPENDED: Final = "suspended"
REMOVED: Final = "removed"
MOST_NAMES: Final = 8
MOST: Final = 20_000  # principals of one home


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPolicy:
    """What an agent may ask for at most, whatever its operator may.

    Args:
        purposes: Purposes of the charter.
        recipes: Approved recipes.
        rows: Rows of one run; 0 for none.
        bytes: Bytes out of one run.
        runs: Runs of one grant.
        calls: Tool calls in a minute.
    """

    purposes: tuple[str, ...]
    recipes: tuple[str, ...]
    rows: int
    bytes: int
    runs: int
    calls: int

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> AgentPolicy:
        """Read what ``asdict`` made."""
        return cls(
            **{**tree, "purposes": tuple(tree["purposes"]), "recipes": tuple(tree["recipes"])}
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """One principal.

    Args:
        id: Their id; never another's, also after they left.
        kind: ``human``, ``workload`` or ``agent``.
        role: Their one role in the charter.
        names: What proves them: ``key:...``, ``oidc:ISSUER#SUBJECT``, ``spiffe://...``.
        by: Who enrolled them.
        since_us: When, microseconds.
        state: ``active``, ``suspended`` or ``removed``.
        off: Whether they signed off: what acts for them rests until they sign in again.
        operator: The person an agent acts for.
        via: The workload through which an agent comes, if it has no line of its own.
        policy: What an agent may ask for at most.
        broken: Version of the register in which they were last suspended or removed; 0 if never.
    """

    id: str
    kind: str
    role: str
    names: tuple[str, ...]
    by: str
    since_us: int
    state: str = ACTIVE
    off: bool = False
    operator: str = ""
    via: str = ""
    policy: AgentPolicy | None = None
    broken: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as canonical JSON values."""
        tree = asdict(self)
        tree["names"] = list(self.names)
        if self.policy is not None:
            tree["policy"] |= {
                "purposes": list(self.policy.purposes),
                "recipes": list(self.policy.recipes),
            }
        return tree

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> Enrolled:
        """Read what ``to_json`` made."""
        policy = tree["policy"]
        return cls(
            **{
                **tree,
                "names": tuple(tree["names"]),
                "policy": None if policy is None else AgentPolicy.from_json(policy),
            }
        )

    @property
    def keys(self) -> frozenset[str]:
        """Public keys of theirs, base64."""
        return frozenset(one.removeprefix("key:") for one in self.names if one.startswith("key:"))


@dataclass(slots=True)
class _Held:
    """The register in memory.

    Args:
        version: How many changes it has seen.
        salt: Blinds its digest.
        parts: ``principals``, ``providers``, ``bundles``, ``ended`` (sessions), ``rules``: each by name.
    """

    version: int = 0
    salt: str = ""
    parts: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {
            name: {} for name in ("principals", "providers", "bundles", "ended", "rules")
        }
    )

    def to_json(self) -> dict[str, Any]:
        return {"v": VERSION, "version": self.version, "salt": self.salt, **self.parts}

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> _Held:
        found = cls(version=tree["version"], salt=tree["salt"])
        for name in found.parts:
            found.parts[name] = dict(tree[name])
        return found

    def changed(self, part: str, name: str, value: Any, salt: str) -> _Held:
        made = _Held(self.version + 1, salt, {one: dict(held) for one, held in self.parts.items()})
        if value is None:
            made.parts[part].pop(name, None)
        else:
            made.parts[part][name] = value
        return made

    def digest(self) -> str:
        return canonical.digest(self.to_json()).hex()


class Principals:
    """The register.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.RLock()
        self._held: _Held | None = None
        self._names: dict[str, str] = {}

    # -- reading -------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """How many changes the register has seen."""
        return self._now().version

    def find(self, name: str) -> Enrolled | None:
        """Return a principal by id, whatever their state, if they were ever enrolled."""
        tree = self._now().parts["principals"].get(name)
        return None if tree is None else Enrolled.from_json(tree)

    def everybody(self) -> list[Enrolled]:
        """Return all who were ever enrolled, by id."""
        return [
            Enrolled.from_json(tree) for _, tree in sorted(self._now().parts["principals"].items())
        ]

    def proved(self, name: str) -> Enrolled:
        """Return who is known by a proved name.

        Raises:
            SignInError: Nobody is.
        """
        with self._lock:
            self._now()
            known = self._names.get(name)
        if known is None:
            raise SignInError(
                "nobody of this identity is enrolled",
                rule="principal.unknown",
                fix="safehold principal enrol",
            )
        found = self.find(known)
        if found is None:
            raise SignInError("nobody of this identity is enrolled", rule="principal.unknown")
        return found

    def active(self, name: str) -> Enrolled:
        """Return a principal who may act now, with a role that the charter in force has.

        Raises:
            SignInError: Nobody of this id is enrolled.
            DeniedError: They were suspended or have left, or the charter no longer has their role.
        """
        found = self.find(name)
        if found is None:
            raise SignInError("nobody of this id is enrolled", rule="principal.unknown")
        if found.state != ACTIVE:
            raise DeniedError(f"this principal is {found.state}", rule=f"principal.{found.state}")
        trust = self._desk.trust
        trust.contained.require_free((PRINCIPAL, one) for one in (found.id, found.operator) if one)
        if found.role and trust.digest() and found.role not in trust.charter().who_may:
            raise DeniedError("the charter in force has no such role", rule="principal.role")
        return found

    def provider(self, issuer: str) -> dict[str, Any]:
        """Return the record of an identity provider."""
        return self._part("providers", issuer, "oidc.unknown")

    def providers(self) -> dict[str, dict[str, Any]]:
        """Return all identity providers."""
        return dict(self._now().parts["providers"])

    def bundle(self, domain: str) -> dict[str, Any]:
        """Return the trust bundle of a trust domain."""
        return self._part("bundles", domain, "spiffe.unknown")

    def ended(self, session: str) -> bool:
        """Return whether a session was ended by whoever opened it."""
        return session in self._now().parts["ended"]

    @property
    def identified(self) -> bool:
        """Whether a caller who proves nothing may no longer operate this home."""
        return "identified" in self._now().parts["rules"]

    # -- writing -------------------------------------------------------------------------------

    def enrol(self, who: Enrolled) -> int:
        """Enrol somebody, and return the leaf that says so.

        Raises:
            ConflictError: The id, or what proves them, is taken.
        """
        with self._lock:
            if self.find(who.id) is not None:
                raise ConflictError("this id is taken", rule="principal.id")
            if len(self._now().parts["principals"]) >= MOST:
                raise ConflictError("too many principals", rule="principal.most")
            taken = [name for name in who.names if name in self._names]
            if taken:
                raise ConflictError("this identity is somebody's already", rule="principal.name")
            return self._change("enrolled", "principals", who.id, who.to_json())

    def change(self, who: str, step: str, /, **fields: Any) -> int:
        """Change some fields of a principal, and return the leaf that says so."""
        with self._lock:
            found = self.find(who)
            if found is None:
                raise MissingError("nobody of this id is enrolled", rule="principal.missing")
            if found.state == REMOVED:
                raise ConflictError("this principal has left", rule="principal.removed")
            if fields.get("state", ACTIVE) != ACTIVE:  # what rests on them ends for good
                fields["broken"] = self._now().version + 1
            return self._change(step, "principals", who, replace(found, **fields).to_json())

    def put_provider(self, issuer: str, record: Mapping[str, Any], *, state: str) -> int:
        """Believe an identity provider, or its newest keys."""
        return self._change(state, "providers", issuer, dict(record))

    def put_bundle(self, domain: str, record: Mapping[str, Any]) -> int:
        """Believe a trust domain."""
        return self._change("bundle", "bundles", domain, dict(record))

    def end_session(self, session: str, until_us: int) -> int:
        """End a session before its time."""
        with self._lock:
            now = self._desk.now_us()
            for old, end in self._now().parts["ended"].items():
                if end <= now:  # over by itself
                    self._change("ended", "ended", old, None)
                    break
            return self._change("ended", "ended", session, until_us)

    def require_identity(self) -> int:
        """From now on whoever operates this home proves who they are; there is no way back.

        Raises:
            ConflictError: Nobody is enrolled who could operate it.
        """
        with self._lock:
            people = [one for one in self.everybody() if one.kind == HUMAN and one.state == ACTIVE]
            if not people:
                raise ConflictError(
                    "nobody is enrolled who could operate this home",
                    rule="principal.nobody",
                    fix="safehold principal enrol",
                )
            return self._change("identified", "rules", "identified", 1)

    # -- ground --------------------------------------------------------------------------------

    def recover(self) -> None:
        """Finish a change whose leaf is durable and whose register is not.

        Raises:
            TamperedError: The register is not what the ledger says.
        """
        self._now()

    def _part(self, part: str, name: str, rule: str) -> dict[str, Any]:
        found = self._now().parts[part].get(name)
        if found is None:
            raise SignInError("this home does not believe whoever says so", rule=rule)
        return dict(found)

    def _now(self) -> _Held:
        newest = self._desk.trust.enrolments
        with self._lock:
            held = self._held
            if held is None or held.version != newest.version:
                held = self._read(newest.version, newest.digest, newest.index)
                self._take(held)
            return held

    def _read(self, version: int, digest: str, index: int) -> _Held:
        try:
            held = _Held.from_json(canonical.decode(self._desk.vault.open_secret(SECRET)))
        except MissingError:
            held = _Held()
        if held.version + 1 == version:  # a crash came between the leaf and the register
            said = self._desk.ledger.detail(index)["detail"]
            held = held.changed(said["part"], said["name"], said["value"], said["salt"])
            if held.digest() == digest:
                self._desk.vault.seal_secret(SECRET, canonical.encode(held.to_json()))
        if held.version != version or (version and held.digest() != digest):
            raise TamperedError(
                "the register of principals is not what the ledger says", rule="principal.rollback"
            )
        return held

    def _change(self, state: str, part: str, name: str, value: Any) -> int:
        desk = self._desk
        with desk.lock, self._lock:
            salt = b64(ids.random_bytes(32))
            made = self._now().changed(part, name, value, salt)
            (receipt,) = desk.log(
                Entry(
                    kind="principal",
                    actor=caller().id,
                    object=name,
                    detail={"part": part, "name": name, "value": value, "salt": salt},
                    charter=desk.trust.digest(),
                    public={"state": state, "version": made.version, "digest": made.digest()},
                )
            )
            desk.trust.enrolments.note(
                receipt.index, {"version": made.version, "digest": made.digest()}
            )
            desk.vault.seal_secret(SECRET, canonical.encode(made.to_json()))
            self._take(made)
            return receipt.index

    def _take(self, held: _Held) -> None:
        self._held = held
        self._names = {
            name: one
            for one, tree in held.parts["principals"].items()
            if tree["state"] != REMOVED
            for name in tree["names"]
        }
