"""What was done under a grant, held against what was stated; and the review that follows.

Everything is read from the ledger: intents, results and refused attempts that name the grant's leaf. Nothing is kept
beside it, so there is no second record that could say something else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safehold import canonical
from safehold.access import Grant, operator_of
from safehold.access.review import Review, check_review, due_us
from safehold.errors import DeniedError, MissingError, ShreddedError
from safehold.keeper.grants import Grants
from safehold.keeper.server import Report, Verb
from safehold.keeper.uses import GrantUses
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Sessions:
    """The verbs ``grant.show`` and ``grant.review``.

    Args:
        desk: What the keeper works with.
        grants: What was granted.
    """

    def __init__(self, desk: Desk, grants: Grants) -> None:
        self._desk = desk
        self._grants = grants

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"grant.show": self.show, "grant.review": self.review, "grant.due": self.due}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Hold what was asked against every action under a grant, and name the differences."""
        grant, entry = self._find(str(arguments["grant"]))
        uses = self._desk.trust.record(entry)
        record = self._record(grant, entry, uses)
        return {
            **record,
            "digest": canonical.digest(record).hex(),
            "state": self._state(grant, uses),
            "review": self._standing(entry, grant, uses),
        }

    def review(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a seat's signed review of a grant that has ended.

        Raises:
            DeniedError: The grant has not ended, the seat asked or approved, or it was shown something else.
        """
        desk = self._desk
        given = Review.from_json(arguments["review"])
        grant, entry = self._find(given.grant)
        uses = desk.trust.record(entry)
        if not self._ended(grant, uses):
            raise DeniedError(
                "a grant is reviewed after its end",
                rule="review.early",
                fix="wait, or revoke it: safehold grant revoke",
            )
        check_review(
            given,
            desk.trust.roster,
            record=canonical.digest(self._record(grant, entry, uses)),
            barred=self._barred(grant, entry),
        )
        if grant.break_glass and self._person(given.seat) in self._reviewers(uses):
            raise DeniedError(
                "different people review an emergency",
                rule="review.twice",
                fix="let another seat review it",
            )
        entries = [
            Entry(
                kind="review",
                actor=given.seat,
                object=grant.id,
                detail={"review": given.to_json()},
                charter=desk.trust.digest(),
                public={"outcome": given.outcome, "seat": given.seat},
                ref=entry,
                key=f"review/{entry}/{given.seat}/{given.record.hex()}",
            )
        ]
        if given.outcome == "misuse":  # an incident opens by itself
            entries.append(
                Entry(
                    kind="incident",
                    actor=given.seat,
                    object=grant.id,
                    detail={"grant": entry, "cause": "review"},
                    charter=desk.trust.digest(),
                    public={"severity": 2, "state": "open"},
                )
            )
        receipts = desk.log(*entries)
        desk.trust.note(receipts[0].index, {"k": "review", "ref": entry})
        return {"grant": grant.id, "outcome": given.outcome, "entry": receipts[0].index}

    def due(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the grants that wait for a review, the most urgent first."""
        found = []
        for entry in self._desk.trust.grants():
            uses = self._desk.trust.record(entry)
            grant = self._waiting(entry, uses)
            if grant is not None:
                found.append({"grant": grant.id, **self._standing(entry, grant, uses)})
        return {"due": sorted(found, key=lambda one: int(one["due_us"]))}

    def overdue(self, who: frozenset[str]) -> list[str]:
        """Return the grants of some people whose review is overdue, by id."""
        now, found = self._desk.now_us(), []
        for entry in self._desk.trust.grants():
            uses = self._desk.trust.record(entry)
            grant = self._waiting(entry, uses)
            if (
                grant is not None
                and {grant.requester.id, operator_of(grant.requester)} & who
                # an emergency stands in the way until it has all its reviews, whenever they are due
                and (grant.break_glass or self._due_us(grant, uses) < now)
            ):
                found.append(grant.id)
        return found

    def _waiting(self, entry: int, uses: GrantUses) -> Grant | None:
        """Return the grant of a leaf if somebody has to review it; an emergency from its beginning, used or not."""
        try:
            grant = self._grants.records.stated(entry)
        except (MissingError, ShreddedError):  # nobody can tell any more what was stated
            return None
        if grant is None:
            return None
        if grant.break_glass:
            return grant if self._missing(entry, grant, uses) else None
        if uses.reviews or not (uses.count or uses.refused):
            return None  # nothing was done or tried under it
        return grant if self._ended(grant, uses) else None

    def _missing(self, entry: int, grant: Grant, uses: GrantUses) -> int:
        """Return how many reviews by different people a grant still waits for."""
        return max(self._grants.records.reviews_due(entry, grant) - len(self._reviewers(uses)), 0)

    def _reviewers(self, uses: GrantUses) -> frozenset[str]:
        """Return the people whose seats reviewed a grant."""
        return frozenset(
            self._person(str(leaf.get("pub", {}).get("seat", "")))
            for index in uses.reviews
            for _, leaf in self._desk.ledger.leaves(index, index + 1)
        )

    def _person(self, seat: str) -> str:
        """Return who holds a seat; a seat that nobody holds any more stands for itself."""
        seats = {one.name: one.person for one in self._desk.trust.roster.seats}
        return seats.get(seat, seat)

    def _record(self, grant: Grant, entry: int, uses: GrantUses) -> dict[str, Any]:
        """Return stated against done: what a review is about, and the same for everybody who looks."""
        done = [self._use(intent, uses.results.get(intent)) for intent in uses.intents]
        refused = [self._attempt(index) for index in uses.refusals]
        totals = uses.totals(0)
        price = self._grants.records.priced(entry)
        stated = {
            "purpose": grant.purpose,
            "reason": grant.reason,
            "segments": sorted(grant.segments),
            "columns": sorted(grant.columns),
            "recipes": sorted(grant.recipes),
            "days": [grant.first_day, grant.last_day],
            "people": price.get("people", 0),
            "minutes": grant.minutes,
            **({"break_glass": True} if grant.break_glass else {}),
            "runs": grant.max_runs,
            "rows": grant.max_rows,
            "bytes": grant.max_bytes,
            "epsilon_micro": grant.epsilon_micro,
        }
        did = {
            "runs": totals.runs,
            "rows": totals.rows,
            "bytes": -1 if totals.out_bytes is None else totals.out_bytes,
            "epsilon_micro": totals.epsilon_micro,
            "people": max((int(one["people"]) for one in done), default=0),
            "segments": sorted({name for one in done for name in one["segments"]}),
            "columns": sorted({name for one in done for name in one["columns"]}),
            "refused": uses.refused,
        }
        return {
            "grant": grant.id,
            "entry": entry,
            "stated": stated,
            "done": did,
            "uses": done,
            "attempts": refused,
            "differences": differences(stated, did, done),
        }

    def _use(self, intent: int, result: int | None) -> dict[str, Any]:
        known = self._detail(intent)
        detail = known.get("detail", {})
        told = {} if result is None else self._detail(result).get("detail", {})
        return {
            "intent": intent,
            "what": known.get("object", ""),
            "people": detail.get("people", 0),
            "rows": detail.get("rows", 0),
            "segments": list(detail.get("segments", ())),
            "columns": list(detail.get("columns", ())),
            "days": list(detail.get("days", ())),
            "tokens": list(detail.get("tokens", ())),
            "result": result,
            "outcome": "" if result is None else self._outcome(result),
            "artifact": told.get("artifact", ""),
        }

    def _attempt(self, index: int) -> dict[str, Any]:
        known = self._detail(index)
        return {
            "entry": index,
            "what": known.get("object", ""),
            "rule": known.get("detail", {}).get("rule", ""),
        }

    def _outcome(self, index: int) -> str:
        return next(
            str(leaf.get("pub", {}).get("outcome", ""))
            for _, leaf in self._desk.ledger.leaves(index, index + 1)
        )

    def _detail(self, index: int) -> Mapping[str, Any]:
        try:
            return self._desk.ledger.detail(index)
        except ShreddedError:
            return {}

    def _find(self, name: str) -> tuple[Grant, int]:
        entry = self._grants.records.find(name)
        grant = None if entry is None else self._grants.records.stated(entry)
        if entry is None or grant is None:
            raise MissingError("no such grant", rule="grant.missing")
        return grant, entry

    def _barred(self, grant: Grant, entry: int) -> frozenset[str]:
        approved = self._grants.records.approved_by(entry)
        people = {seat.person for seat in self._desk.trust.roster.seats if seat.name in approved}
        return frozenset({grant.requester.id, operator_of(grant.requester), *people} - {""})

    def _ends_us(self, grant: Grant, uses: GrantUses) -> int:
        ends = grant.ends_us(uses.begun_ms * 1000)
        return min(ends, uses.ended_ms * 1000) if uses.ended_ms else ends

    def _ended(self, grant: Grant, uses: GrantUses) -> bool:
        return uses.closed or self._ends_us(grant, uses) <= self._desk.now_us()

    def _due_us(self, grant: Grant, uses: GrantUses) -> int:
        return due_us(self._ends_us(grant, uses))

    def _state(self, grant: Grant, uses: GrantUses) -> str:
        if uses.revoked:
            return "revoked"
        return "ended" if self._ended(grant, uses) else "open"

    def _standing(self, entry: int, grant: Grant, uses: GrantUses) -> dict[str, Any]:
        due = self._due_us(grant, uses)
        missing = self._missing(entry, grant, uses)
        if uses.reviews and not missing:
            return {"state": "reviewed", "entries": list(uses.reviews), "due_us": due}
        if grant.break_glass:
            state = "later" if not self._ended(grant, uses) else "due"
            late = due < self._desk.now_us()
            return {"state": "overdue" if late else state, "missing": missing, "due_us": due}
        if not (uses.count or uses.refused):
            return {"state": "not needed", "due_us": due}
        if not self._ended(grant, uses):
            return {"state": "later", "due_us": due}
        return {"state": "overdue" if due < self._desk.now_us() else "due", "due_us": due}


def differences(
    stated: Mapping[str, Any], done: Mapping[str, Any], uses: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return where what was done is not what was stated, worst first.

    ``more`` should not be possible and asks for an incident; ``refused`` was tried; ``less`` was asked for and not
    needed, which the next request should leave out.
    """
    found: list[dict[str, Any]] = []

    def say(kind: str, what: str, asked: Any, did: Any) -> None:
        found.append({"kind": kind, "what": what, "stated": asked, "done": did})

    for name in ("runs", "rows", "bytes", "epsilon_micro", "people"):
        if done[name] > stated[name] or done[name] < 0:
            say("more", name, stated[name], done[name])
    for name in ("segments", "columns"):
        if beyond := sorted(set(done[name]) - set(stated[name])):
            say("more", name, stated[name], beyond)
    days = [day for one in uses for day in one["days"]]
    if days and (min(days) < stated["days"][0] or max(days) > stated["days"][1]):
        say("more", "days", stated["days"], [min(days), max(days)])
    if done["refused"]:
        say("refused", "attempts", 0, done["refused"])
    for one in uses:
        if one["outcome"] not in ("", "ok"):
            say("failed", f"run {one['intent']}", "ok", one["outcome"])
    if done["runs"] < stated["runs"]:
        say("less", "runs", stated["runs"], done["runs"])
    if uses:
        for name in ("segments", "columns"):
            if unused := sorted(set(stated[name]) - set(done[name])):
                say("less", name, stated[name], unused)
    order = {"more": 0, "refused": 1, "failed": 2, "less": 3}
    return sorted(found, key=lambda one: order[one["kind"]])
