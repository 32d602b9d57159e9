"""Requests that break one promise each and are as favourable as can be in everything else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, product
from typing import Any, Final

from safehold.charter import types as names
from safehold.charter.favourable import Datasets, favourable, member, principal, uid
from safehold.charter.granted import OPERATE, repairs
from safehold.charter.model import Charter, RedLine
from safehold.charter.redline import forms
from safehold.charter.types import NONE, OTHER
from safehold.charter.vocabulary import DATA, GRANTED, LEARN, ROWS, SELF, STAGES

Request = dict[str, Any]
_Who = tuple[str, str, dict[str, Any]]  # role, Cedar's name of the principal, the principal


class Grid:
    """Requests that are as favourable as can be, and ways to spoil one thing in each.

    Args:
        charter: Whose promises are tried.
        actions: The actions of the compiled schema.
    """

    def __init__(
        self, charter: Charter, actions: Sequence[str], *, exhaustive: bool = False
    ) -> None:
        self.charter = charter
        self.actions = actions
        self.exhaustive = exhaustive
        self.purposes = tuple(sorted(charter.purposes))
        self.principals = tuple(_principals(charter))
        self._posing: dict[str, dict[str, Any]] = {}
        self._data = Datasets()

    @property
    def entities(self) -> list[dict[str, Any]]:
        """Every principal, and every resource that a request made so far names."""
        people = {name: entity for _, name, entity in self.principals} | self._posing
        return [*people.values(), *self._data.entities()]

    def _each(
        self, actions: Sequence[str], *dimensions: Sequence[Any]
    ) -> Iterator[tuple[str, tuple[Any, ...]]]:
        """Yield every action with the product of the dimensions, or with each varied on its own."""
        if self.exhaustive:
            points = list(product(*dimensions))
        else:
            first = tuple(dimension[0] for dimension in dimensions)
            points = [first]
            for place, dimension in enumerate(dimensions):
                points += [(*first[:place], one, *first[place + 1 :]) for one in dimension[1:]]
        yield from product(actions, points)

    def promises(self) -> Iterator[tuple[str, str, Iterator[Request]]]:
        """Yield every promise with the requests that would break it."""
        for written in self.charter.red_lines:
            line = forms(written)
            yield f"red_line.{line.id}", line.words(), self._crossings(written)
        for name, (actions, use, data) in _GUARDS.items():
            if name == "gates" and not self.charter.gates:
                continue
            spoilt = self._spoilt(actions, use, data)
            if actions is GRANTED:
                spoilt = chain(spoilt, self._repairs(use, data))
            yield f"guard.{name}", f"without {name}", spoilt
        if names.dataset_gates(self.charter):
            yield (
                "guard.data-gates",
                "training before the attacks on the data failed",
                self._spoilt(LEARN, {"gates": []}, {}, stages=("training",)),
            )
        yield (
            "guard.grant-purpose",
            "a grant for another purpose",
            self._under_other_purposes(),
        )
        yield from self._of_roles()
        for name, role in sorted(self.charter.who_may.items()):
            if role.grant is not None:
                few = {"grant_approvals": self.charter.least_approvals(name) - 1}
                yield (
                    f"guard.approvers-{name}",
                    f"fewer approvals than {name} needs",
                    chain(
                        self._spoilt(GRANTED, few, {}, role=name),
                        self._repairs(few, {}, role=name),
                    ),
                )
        for action in self.actions:
            yield f"guard.closed-{action}", f"{action} by other roles", self._closed(action)

    def _of_roles(self) -> Iterator[tuple[str, str, Iterator[Request]]]:
        for name, role in sorted(self.charter.who_may.items()):
            if role.sees_data is False:
                yield (
                    f"guard.blind-{name}",
                    f"{name} and data",
                    self._spoilt((*ROWS, "query"), {}, {}, role=name),
                )
        agents, others = self._agents(), [one for one in self.principals if one[0] != "agent"]
        yield (
            "guard.agent-operator",
            "an agent without its operator's grant",
            self._by(agents, {"grant_operator": "another"}),
        )
        # posing: an agent in another role, and somebody else in the role of an agent
        yield (
            "guard.agent-role",
            "an agent in another role",
            self._by([_principal("Agent", role) for role, _, _ in others], {}),
        )
        if "agent" in self.charter.who_may:
            posing = [_principal(kind, "agent") for kind in ("Human", "Workload")]
            yield "guard.agent-kind", "somebody in the role of an agent", self._by(posing, {})

    def _agents(self) -> list[_Who]:
        return [_principal("Agent", role) for role in names.roles(self.charter)]

    def _by(self, people: Sequence[_Who], use: Mapping[str, Any]) -> Iterator[Request]:
        for who in people:
            self._posing[who[1]] = who[2]
        for action, (who, stage, purpose) in self._each(
            self.actions, people, STAGES, self.purposes
        ):
            yield self.request(action, who, stage=stage, purpose=purpose, use=use)

    def _under_other_purposes(self) -> Iterator[Request]:
        """Yield uses under a grant for each other purpose, whichever the stated one is."""
        known = (*self.purposes, *names.purposes(self.charter)[len(self.purposes) :])
        for action, (who, stage, purpose, granted) in self._each(
            GRANTED, self.principals, STAGES, self.purposes, known
        ):
            other = granted if granted != purpose else NONE
            use = {"grant_purpose": member("Purpose", other)}
            yield self.request(action, who, stage=stage, purpose=purpose, use=use)
        yield from self._repairs({"grant_purpose": member("Purpose", NONE)}, {})

    def _crossings(self, written: RedLine) -> Iterator[Request]:
        line = forms(written)
        people = self.principals
        if banned := names.banned_terms(line):
            for action, (who, term, stage) in self._each(self.actions, people, banned, STAGES):
                yield self.request(action, who, stage=stage, purpose=term)
            for action, (who, term, one) in self._each(self.actions, people, banned, self.purposes):
                both = [member("Purpose", one), member("Purpose", term)]
                yield self.request(action, who, purpose=one, use={"grant_purpose": both[1]})
                yield self.request(action, who, purpose=one, data={"purposes": both})
        kinds = names.kinds()
        for action, (who, stage, purpose, what) in self._each(
            line.forbid_actions, people, STAGES, self.purposes, kinds
        ):
            data = {"what": [member("What", what)]}
            yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.forbid_beside:
            for action, (who, silo, purpose, stage) in self._each(
                DATA, people, line.forbid_beside, self.purposes, STAGES
            ):
                data = {"silos": [member("Silo", silo)]}
                yield self.request(action, who, stage=stage, purpose=purpose, data=data)
        if line.min_people is not None:
            few = (line.min_people - 1, 1, 0)
            for action, (who, count, stage, purpose) in self._each(
                GRANTED, people, few, STAGES, self.purposes
            ):
                use = {"people": count}
                yield self.request(action, who, stage=stage, purpose=purpose, use=use)

    def _spoilt(
        self,
        actions: Sequence[str],
        use: Mapping[str, Any],
        data: Mapping[str, Any],
        *,
        role: str | None = None,
        stages: Sequence[str] = STAGES,
        purposes: Sequence[str] = (),
    ) -> Iterator[Request]:
        # a request by nobody the charter names has no grant role to spoil
        people = [
            who
            for who in self.principals
            if role in (None, who[0]) and not ("grant_role" in use and who[0] == OTHER)
        ]
        for action, (who, stage, purpose) in self._each(
            actions, people, stages, purposes or self.purposes
        ):
            yield self.request(action, who, stage=stage, purpose=purpose, use=use, data=data)

    def _repairs(
        self, use: Mapping[str, Any], data: Mapping[str, Any], *, role: str | None = None
    ) -> Iterator[Request]:
        """Yield what opens what was set aside, which takes a grant as well."""
        if mends := repairs(self.charter):
            yield from self._spoilt(OPERATE, use, data, role=role, purposes=mends)

    def _closed(self, action: str) -> Iterator[Request]:
        people = [who for who in self.principals if not self._able(who[0], action)]
        for _, (who, stage, purpose) in self._each((action,), people, STAGES, self.purposes):
            yield self.request(action, who, stage=stage, purpose=purpose)

    def _able(self, role: str, action: str) -> bool:
        return role in self.charter.who_may and action in self.charter.who_may[role].do

    def request(
        self,
        action: str,
        who: _Who,
        *,
        purpose: str,
        stage: str = "training",
        use: Mapping[str, Any] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> Request:
        """Return a request that nothing refuses, but for what ``use`` and ``data`` change."""
        role, name, _ = who
        context, attributes = favourable(
            role=role,
            purpose=purpose,
            stage=stage,
            what="keys",
            place=self.charter.jurisdictions[0],
            gates=names.gates(self.charter),
        )
        return {
            "principal": name,
            "action": uid("Action", action),
            "resource": self._data.name(attributes | dict(data or {})),
            "context": context | dict(use or {}),
        }


def _principals(charter: Charter) -> Iterator[_Who]:
    for role in names.roles(charter):
        for kind in ("Agent",) if role == "agent" else ("Human", "Workload"):
            if kind == "Workload" and role in (OTHER, "employee", "auditor"):
                continue
            yield _principal(kind, role)


def _principal(kind: str, role: str) -> _Who:
    return role, *principal(kind, role)


# what is spoilt, in the request and in the data, to break each condition of use
_Spoilt = tuple[Sequence[str], Mapping[str, Any], Mapping[str, Any]]
_GUARDS: Final[Mapping[str, _Spoilt]] = {
    "purpose": (
        DATA,
        {"purpose": member("Purpose", NONE), "grant_purpose": member("Purpose", NONE)},
        {"purposes": [member("Purpose", NONE)]},
    ),
    "label": (DATA, {}, {"purposes": [member("Purpose", NONE)]}),
    "unlabelled": (DATA, {}, {"what": []}),
    "consent": (DATA, {"consent": False}, {}),
    "jurisdiction": (DATA, {}, {"places": [member("Place", OTHER)]}),
    "retention": (DATA, {"now": 2, "grant_expires": 3}, {}),
    "assurance": (DATA, {"assurance": 0}, {}),
    "grant": (GRANTED, {"granted": False}, {}),
    "grant-stage": (GRANTED, {"grant_stages": []}, {}),
    "grant-what": (GRANTED, {"grant_what": []}, {}),
    "grant-segment": (GRANTED, {"grant_segments": ["another"]}, {}),
    "grant-expired": (GRANTED, {"grant_expires": 1}, {}),
    "grant-holder": (GRANTED, {"holder": "another"}, {}),
    "grant-role": (GRANTED, {"grant_role": member("Role", OTHER)}, {}),
    "own-data": (SELF, {}, {"owner": "another"}),
    "gates": (("pull_artifact",), {"gates": []}, {}),
}
