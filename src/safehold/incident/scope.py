"""What an incident is about: grants, principals, segments, artifacts, and a time. It is sealed in its leaves.

It only grows: whoever notes more adds to it, and nobody takes anything away. So nothing that was once within an
incident leaves its timeline, or its list of people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from safehold.errors import InvalidError, SafeholdError
from safehold.incident.target import Target
from safehold.keeper.incident import Incident
from safehold.keeper.incidents import about_alert
from safehold.ledger import Ledger

LISTS: Final = ("grants", "principals", "segments", "artifacts", "keys")
MOST: Final = 1000  # of each
LONGEST: Final = 256  # characters of a name
BESIDE: Final = 4  # leaves that are appended together when something is granted


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What an incident is about.

    Args:
        grants: Leaves of grants.
        principals: Ids in the register of principals.
        segments: Names such as ``us-ca.key``.
        artifacts: Ids.
        keys: Keys that somebody may have, such as ``us-ca.key/3`` or ``@mint``: of these alone it counts whose data
            could have been opened, and not only whose was.
        first_ms: From when; 0 if nobody said.
        last_ms: Until when; 0 if it goes on.
    """

    grants: frozenset[int] = frozenset()
    principals: frozenset[str] = frozenset()
    segments: frozenset[str] = frozenset()
    artifacts: frozenset[str] = frozenset()
    keys: frozenset[str] = frozenset()
    first_ms: int = 0
    last_ms: int = 0

    def __or__(self, other: Scope) -> Scope:
        """Return what either is about.

        What names something and no time is about it at any time, and a time that is named later takes nothing of that
        away; a scope that names nothing has no say in it.
        """
        said = [one for one in (self, other) if not one.empty] or [self, other]
        starts, ends = [one.first_ms for one in said], [one.last_ms for one in said]
        return Scope(
            grants=self.grants | other.grants,
            principals=self.principals | other.principals,
            segments=self.segments | other.segments,
            artifacts=self.artifacts | other.artifacts,
            keys=self.keys | other.keys,
            first_ms=min(starts),
            last_ms=max(ends) if all(ends) else 0,
        )

    @property
    def empty(self) -> bool:
        """Whether it names nothing, which is not the same as nothing having happened."""
        return not (self.grants or self.principals or self.segments or self.artifacts or self.keys)

    def to_json(self) -> dict[str, Any]:
        """Return it as it lies sealed in a leaf."""
        return {
            "grants": sorted(self.grants),
            "principals": sorted(self.principals),
            "segments": sorted(self.segments),
            "artifacts": sorted(self.artifacts),
            "keys": sorted(self.keys),
            "first_ms": self.first_ms,
            "last_ms": self.last_ms,
        }

    @classmethod
    def from_json(cls, tree: Any) -> Scope:
        """Read what ``to_json`` made, or what a caller named; what is left out is nothing.

        Raises:
            InvalidError: It is no scope.
        """
        wrong = InvalidError(
            "a scope is lists of grants, principals, segments, artifacts and keys",
            rule="incident.scope",
        )
        if not isinstance(tree, Mapping) or set(tree) - {*LISTS, "first_ms", "last_ms"}:
            raise wrong
        lists = {name: tree.get(name, []) for name in LISTS}
        if any(not isinstance(one, list) or len(one) > MOST for one in lists.values()):
            raise wrong
        if any(type(one) is not int or one < 0 for one in lists["grants"]):
            raise wrong
        for name in LISTS[1:]:
            if any(not isinstance(one, str) or not 0 < len(one) <= LONGEST for one in lists[name]):
                raise wrong
        times = [tree.get(name, 0) for name in ("first_ms", "last_ms")]
        if any(type(one) is not int or one < 0 for one in times):
            raise wrong
        return cls(
            grants=frozenset(lists["grants"]),
            principals=frozenset(lists["principals"]),
            segments=frozenset(lists["segments"]),
            artifacts=frozenset(lists["artifacts"]),
            keys=frozenset(lists["keys"]),
            first_ms=times[0],
            last_ms=times[1],
        )


def scope_of(one: Incident, ledger: Ledger) -> Scope:
    """Return what an incident is about, from the leaves that say so; what was shredded says nothing any more."""
    found = first = Scope()
    for step in one.steps:
        try:
            told = ledger.detail(step.index)
        except SafeholdError:
            continue
        more = _of_leaf(step.index, told, ledger)
        found |= more
        first = more if step.index == one.index else first
    if one.alert is not None:  # whom it is about, at the time that was said when it was opened
        found |= Scope(
            principals=frozenset({about_alert(ledger, one.alert)} - {""}),
            first_ms=first.first_ms,
            last_ms=first.last_ms,
        )
    return found


def _of_leaf(index: int, told: Mapping[str, Any], ledger: Ledger) -> Scope:
    detail = told["detail"]
    if isinstance(detail.get("scope"), Mapping):
        return Scope.from_json(detail["scope"])
    match detail:
        case {
            "cause": "break-glass"
        }:  # the grant's leaf lies just before this one, in the same commit
            near = ledger.leaves(max(index - BESIDE, 0), index)
            return Scope(grants=frozenset([one for one, leaf in near if leaf["k"] == "grant"][-1:]))
        case {"cause": "review", "grant": int(grant)}:
            return Scope(grants=frozenset({grant}))
        case {"intent": int(intent)}:
            return Scope(grants=frozenset(_grant_of(intent, ledger)))
        case _:
            return Scope()


def _grant_of(intent: int, ledger: Ledger) -> Iterable[int]:
    return (
        int(leaf["ref"])
        for _, leaf in ledger.leaves(intent, intent + 1)
        if leaf["k"] == "access.intent" and "ref" in leaf
    )


def targets_of(scope: Scope, ledger: Ledger) -> tuple[list[Target], list[Target]]:
    """Return what to ask the blast radius: what was opened under a scope, and what could have been with its keys."""
    times: dict[str, Any] = {}
    if scope.first_ms:
        times["since_us"] = scope.first_ms * 1000
    if scope.last_ms:
        times["until_us"] = scope.last_ms * 1000
    opened = [Target(principal=name, **times) for name in sorted(scope.principals)]
    opened += [Target(segment=name, **times) for name in sorted(scope.segments)]
    opened += [Target(artifact=name, **times) for name in sorted(scope.artifacts)]
    for index in sorted(scope.grants):
        with suppress(
            SafeholdError
        ):  # nobody can tell any more which grant it was; its uses still count
            opened.append(Target(grant=str(ledger.detail(index)["object"])))
    return opened, [Target(key=name) for name in sorted(scope.keys)]


def checked(scope: Scope, ledger: Ledger) -> Scope:
    """Return a scope whose grants are leaves of grants.

    Raises:
        InvalidError: One of them is something else.
    """
    for index in scope.grants:
        kinds = [leaf["k"] for _, leaf in ledger.leaves(index, index + 1)]
        if kinds != ["grant"]:
            raise InvalidError("not the entry of a grant", rule="incident.scope", field="grants")
    for key in scope.keys:
        Target.from_json({"key": key})  # says so itself if there is no such key
    return scope
