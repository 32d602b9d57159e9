"""The verbs that compute with another house: a sum over the people in both, and a sum of vectors.

Each is a release of this house's own data by its own keeper. In this order; what fails ends it, and before the sixth
step nothing has left for the other house, not even a connection:

1. a purpose of the charter names the streams of *both* houses, with private joins; a red line ends it;
2. the grant holds, for this recipe and stage;
3. epsilon and delta are charged with the intent, durable in the ledger: for good, however the session ends. The same
   set, or one that differs in one person, is charged again like any other;
4. a sandbox reduces the opened rows to one whole number for each person, clamped;
5. a hiding commitment to these is durable in the ledger, and cosigned in strict mode;
6. a process of its own talks to the other house (``federation``), and hands back figures with noise;
7. the session's id, and what the others committed to, are in the ledger, and so is the release.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from safehold import canonical
from safehold.errors import DeniedError, TamperedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.ask import Ask, Asker
from safehold.keeper.bounds import Opening
from safehold.keeper.chosen import LEVELS
from safehold.keeper.commitment import commit, salt_of
from safehold.keeper.grants import Grants, Use
from safehold.keeper.joint import Order, read_order
from safehold.keeper.release import Release
from safehold.keeper.server import Report, Verb
from safehold.keeper.together import STAGE, check_together, least_of
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

RECIPE: Final = "join"
PSI_SUM: Final = "join.psi-sum"
SUM: Final = "join.sum"
COMMITMENT: Final = "join-commitment"  # the derived key
SHARD_ROWS: Final = 1_000_000
SHARD_PEOPLE: Final = 4_000
TOLD: Final = 1024  # figures that the ledger holds themselves; of more it holds a digest


class Joins:
    """The verbs.

    Args:
        desk: What the keeper works with.
        grants: Checks capabilities.
        release: The one door to data.
    """

    def __init__(self, desk: Desk, grants: Grants, release: Release) -> None:
        self._desk = desk
        self._grants = grants
        self._release = release

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {PSI_SUM: self.psi_sum, SUM: self.vector_sum}

    def psi_sum(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Compute the sum of one house's values over the people who are in both, and their number, with noise.

        Raises:
            RedLineError: A red line keeps these streams apart.
            DeniedError: Charter, grant or budget does not cover it, or too few people are in both.
        """
        return self._join(read_order(arguments, "psi-sum"), PSI_SUM, arguments, descriptors, report)

    def vector_sum(
        self, arguments: dict[str, Any], descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        """Compute the sum of one vector of each house, with noise of each.

        Raises:
            RedLineError: A red line keeps these streams apart.
            DeniedError: Charter, grant or budget does not cover it.
        """
        return self._join(read_order(arguments, "sum"), SUM, arguments, descriptors, report)

    def _join(
        self,
        order: Order,
        verb: str,
        arguments: dict[str, Any],
        descriptors: Sequence[int],
        report: Report,
    ) -> dict[str, Any]:
        desk = self._desk
        charter = desk.trust.charter()
        check_together(charter, order.purpose, mine=(order.stream,), theirs=order.beside)
        if desk.crossing is None:
            raise UnavailableError("this keeper joins nothing", rule="join.missing")
        admitted = self._grants.admit(
            arguments,
            Use(verb=verb, purpose=order.purpose, stage=STAGE, recipe=RECIPE, stream=order.stream),
        )
        try:
            ask = Ask(
                recipe=RECIPE,
                kind="telemetry",
                streams=frozenset({order.stream}),
                purpose=order.purpose,
                stage=STAGE,
                least_people=least_of(charter, order.purpose),
                price=(order.epsilon_micro, self._delta(order)),
            )
            return self._run(order, ask, admitted.asker(), descriptors, report)
        finally:
            self._grants.end(admitted.entry)

    def _run(
        self, order: Order, ask: Ask, asker: Asker, descriptors: Sequence[int], report: Report
    ) -> dict[str, Any]:
        desk = self._desk
        with self._release.opened(ask, asker) as opening:
            people = sorted(opening.blocks)
            members, level = self._measure(order, ask, opening, people, report)
            intent = opening.intent.index
            salt = salt_of(desk.vault.derive(COMMITMENT), intent)
            commitment = commit(self._named(members), salt)
            about = {
                "protocol": order.protocol,
                "party": order.party,
                "parties": order.parties,
                "role": order.role,
                "beside": list(order.beside),
            }
            committed = desk.trust.log_running(
                self._leaf(asker, intent, about, {"state": "committed", "commitment": commitment})
            )
            desk.confirm(committed)
            terms = self._terms(order, ask, commitment)
            listener = descriptors[0] if descriptors and order.answers else None
            told = self._cross(order, terms, members, opening=opening, listener=listener)
            with desk.lock:
                self._release.require_present(opening)
                figures = self._figures(order, told)
                theirs = [told["peers"][name]["commitment"] for name in sorted(told["peers"])]
                desk.trust.log_running(
                    self._leaf(
                        asker,
                        intent,
                        {**about, "certificates": told["certificates"]},
                        {
                            "state": "done",
                            "commitment": commitment,
                            "session": told["session"],
                            "theirs": "+".join(theirs),
                        },
                    )
                )
                released = desk.trust.log_running(
                    Entry(
                        kind="release",
                        actor=asker.principal.id,
                        object=RECIPE,
                        detail={
                            "purpose": order.purpose,
                            "epsilon_micro": order.epsilon_micro,
                            "session": told["session"],
                            "figures": _noted(figures),
                        },
                        charter=desk.trust.digest(),
                        subjects=desk.subjects([str(person) for person in people]),
                        ref=intent,
                    )
                )
            self._release.close(
                ask,
                opening,
                asker,
                {"level": level, "people": len(people), "session": told["session"]},
            )
        return {
            **figures,
            "session": told["session"],
            "commitment": commitment,
            "epsilon": order.epsilon_micro / 1e6,
            "left_out": dict(opening.left_out),
            "level": level,
            "intent": intent,
            "entry": released.index,
        }

    def _leaf(
        self, asker: Asker, intent: int, detail: Mapping[str, Any], public: Mapping[str, str]
    ) -> Entry:
        return Entry(
            kind="join",
            actor=asker.principal.id,
            object=RECIPE,
            detail=dict(detail),
            charter=self._desk.trust.digest(),
            public=dict(public),
            ref=intent,
        )

    def _measure(
        self, order: Order, ask: Ask, opening: Opening, people: Sequence[PersonId], report: Report
    ) -> tuple[dict[PersonId, int], str]:
        """Return one number for each person who has one, made in sandboxes over people in even groups."""
        rows = sum(block.rows for blocks in opening.blocks.values() for block in blocks)
        count = max(-(-len(people) // SHARD_PEOPLE), -(-rows // SHARD_ROWS))
        count = max(1, min(count, len(people) // max(ask.least_people, 1)))
        members: dict[PersonId, int] = {}
        level = ""
        for number in range(count):
            report({"done": number, "of": count})
            group = people[number::count]
            real = {opening.aliases[person]: person for person in group}
            passed, level = self._release.run(ask, opening, group, order.spec(), report)
            for one in passed:
                if one.kind != "measure":
                    raise TamperedError("a measure sent something else", rule="release.frames")
                if one.values["value"] >= order.at_least:
                    members[real[one.person]] = one.values["value"]
        return members, level

    def _cross(
        self,
        order: Order,
        terms: Mapping[str, Any],
        members: Mapping[PersonId, int],
        *,
        opening: Opening,
        listener: int | None,
    ) -> dict[str, Any]:
        desk = self._desk
        crossing = desk.crossing
        if crossing is None:
            raise UnavailableError("this keeper joins nothing", rule="join.missing")
        given: dict[str, Any] = {
            "terms": dict(terms),
            "credentials": dict(order.credentials),
            "calls": {name: list(address) for name, address in order.calls.items()},
            "answers": list(order.answers),
        }
        if order.protocol == "sum":
            vector = self._vector(order, members)
            given["vector"] = b64encode(vector.tobytes()).decode()
        else:
            given["members"] = [
                [name, 0 if order.role == "set" else value] for name, value in self._named(members)
            ]
        with self._release.going(opening, sorted(opening.blocks)) as run:
            if set(run.people) != set(
                opening.blocks
            ):  # nobody can be taken out of what was committed to
                raise DeniedError(
                    "somebody whose data was in this run left while it went on",
                    rule="subjects.left",
                    fix="ask again: it goes on without them",
                )
            with crossing.start(given, listener) as party, desk.watching(party):
                run.attach(party)
                told = party.wait()
                run.require_going()
        return told

    def _named(self, members: Mapping[PersonId, int]) -> list[tuple[str, int]]:
        """Return names, which both houses know people by, and values."""
        return [(self._desk.people.standing(one).external, value) for one, value in members.items()]

    def _terms(self, order: Order, ask: Ask, commitment: str) -> dict[str, Any]:
        psi = order.protocol == "psi-sum"
        count = order.epsilon_micro // 2 if psi else 0
        moved = 1 if order.group == "value" else order.clamp  # by one person, in all cells together
        layout = "" if psi else canonical.digest([order.group, *self._cells(order)[:1024]]).hex()
        return {
            "protocol": order.protocol,
            "purpose": order.purpose,
            "party": order.party,
            "parties": order.parties,
            "streams": [order.stream],
            "beside": list(order.beside),
            "role": order.role,
            "clamp": moved,
            "epsilon_count_micro": count,
            "epsilon_sum_micro": order.epsilon_micro - count,
            "delta_e12": ask.price[1],
            "least": ask.least_people,
            "layout": layout,
            "commitment": commitment,
        }

    def _cells(self, order: Order) -> list[str]:
        match order.group:
            case "level":
                return list(LEVELS)
            case "jurisdiction":
                return sorted(self._desk.trust.charter().jurisdictions)
            case _:
                return [str(value) for value in range(order.clamp + 1)]

    def _vector(self, order: Order, members: Mapping[PersonId, int]) -> np.ndarray[Any, Any]:
        cells = {name: place for place, name in enumerate(self._cells(order))}
        vector = np.zeros(len(cells), np.int64)
        for person, value in members.items():
            standing = self._desk.people.standing(person)
            if order.group == "value":
                vector[value] += 1
            else:
                place = standing.level if order.group == "level" else standing.jurisdiction
                vector[cells[place]] += value
        return vector

    def _figures(self, order: Order, told: Mapping[str, Any]) -> dict[str, Any]:
        if order.protocol == "psi-sum":
            return {"people": told["people"], "at_least": told["at_least"], "sum": told["sum"]}
        vector = np.frombuffer(b64decode(told["vector"]), np.int64)
        cells = self._cells(order)
        if len(vector) != len(cells):
            raise TamperedError("the sum is not what was asked for", rule="join.size")
        return {"cells": dict(zip(cells, vector.tolist(), strict=True))}

    def _delta(self, order: Order) -> int:
        """Return delta: none for a sum, and as much of the purpose's as the session takes of its epsilon."""
        if order.protocol == "sum":
            return 0
        allowed = self._desk.trust.allowed(order.purpose)
        delta = allowed.delta_e12 * order.epsilon_micro // max(allowed.epsilon_micro, 1)
        if delta < 1:
            raise DeniedError(
                "a private join takes a delta above zero, and this purpose has none for it",
                rule="join.privacy",
            )
        return delta


def _noted(figures: Mapping[str, Any]) -> dict[str, Any]:
    cells = figures.get("cells", {})
    if len(cells) <= TOLD:
        return dict(figures)
    return {"cells": len(cells), "sha256": canonical.digest(figures).hex()}
