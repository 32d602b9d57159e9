"""Requests: asked, priced, decided by seats; each step a leaf before it counts.

1. Who may not ask is told everything that stands against it, and nothing is left open.
2. The price is computed here, before any seat decides, and kept; every approval names it.
3. Whoever asked decides nothing, nor does the operator of an agent that asked. One denial ends a request for ever.
4. What nobody decided in a day has ended. Whoever has too many open requests, or a grant whose review is overdue,
   waits.
The ledger is the truth: the sealed record beside it holds the words, and one that was put back opens nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.access import (
    Approval,
    Grant,
    PeopleFilter,
    Principal,
    check_decision,
    check_people,
    operator_of,
)
from safehold.access.code import approvers_of
from safehold.access.conflict import standing_of_seats
from safehold.access.eligibility import check_eligible
from safehold.access.emergency import approving
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
)
from safehold.keeper.asked import Asked
from safehold.keeper.caller import caller
from safehold.keeper.pricing import price_grant, price_narrower
from safehold.keeper.request import Request
from safehold.keeper.server import Report, Verb
from safehold.keeper.touched import by_grant
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

MOST_OPEN: Final = 5  # requests of one person that wait for seats


class Requests:
    """The verbs about requests.

    Args:
        desk: What the keeper works with.
        overdue: Returns the grants of somebody whose review is overdue, by id.
        whose: Raises unless the caller may ask for a grant; see ``descent``.
        see: Raises unless the caller may see what somebody asked for.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        overdue: Callable[[frozenset[str]], list[str]],
        whose: Callable[[Grant], object],
        see: Callable[[Principal], object],
    ) -> None:
        self._desk = desk
        self._whose = whose
        self._see = see
        self._overdue = overdue
        self._entries: dict[str, int] = {}  # id of the grant to the index of the request's leaf
        self._who: dict[int, str] = {}  # who asked, by that index

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "request.new": self.new,
            "request.list": self.listing,
            "request.show": self.show,
            "request.narrower": self.narrower,
            "request.decide": self.decide,
        }

    def new(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a request, price it, and put it before the seats.

        Raises:
            DeniedError: The charter does not give it to this requester; the message says all that is missing. Or they
                have too many open requests, or a review that is overdue.
        """
        desk = self._desk
        desk.trust.require_running()
        grant = Grant.from_json(arguments["grant"])
        people = PeopleFilter.from_json(arguments.get("people"))
        with desk.lock:
            self._check(grant, people)
            if self._entry(grant.id) is not None:
                raise ConflictError("another request has this id", rule="request.id")
            price = price_grant(desk, grant, people)
            (receipt,) = desk.log(
                Entry(
                    kind="request",
                    actor=grant.requester.id,
                    object=grant.id,
                    detail={
                        "grant": grant.digest().hex(),
                        "purpose": grant.purpose,
                        "price": price.to_json(),
                    },
                    charter=desk.trust.digest(),
                    public={"state": "asked"},
                )
            )
            desk.trust.note_request(receipt.index)
            self._entries[grant.id], self._who[receipt.index] = receipt.index, grant.requester.id
            request = Request(
                grant=grant, people=people, price=price, approvals=(), entry=receipt.index
            )
            self._keep(request)
        return {
            "request": grant.id,
            "digest": grant.digest().hex(),
            "price": price.to_json(),
            "reach": price.reach,
            "entry": receipt.index,
        }

    def _check(self, grant: Grant, people: PeopleFilter) -> None:
        desk = self._desk
        now = desk.now_us()
        self._whose(grant)
        desk.trust.contained.require_free(by_grant(grant))
        check_eligible(grant, desk.trust.policy(), now_us=now)
        desk.trust.tightness().check_grant(grant, desk.trust.charter())
        privacy = desk.trust.charter().purpose(grant.purpose).privacy
        check_people(
            people,
            digest=grant.people,
            charter=desk.trust.charter(),
            least=0 if privacy is None else privacy.min_people,
        )
        self.require_reviewed(grant)
        waiting = [
            one
            for one in desk.trust.requests()
            if one.state(now) == "open" and self._asker(one.entry) == grant.requester.id
        ]
        if len(waiting) >= MOST_OPEN:
            raise DeniedError(
                f"{len(waiting)} requests of this requester are open, of at most {MOST_OPEN}",
                rule="request.open",
                fix="wait until the seats have decided",
            )

    def require_reviewed(self, grant: Grant) -> None:
        """Pass if nothing of whoever asks waits for a review that stands in the way of their next grant.

        Raises:
            DeniedError: A review is overdue, or an emergency of theirs has not all its reviews.
        """
        who = frozenset({grant.requester.id, operator_of(grant.requester)} - {""})
        if late := self._overdue(who):
            raise DeniedError(
                f"a review is overdue, or an emergency is not reviewed: {', '.join(late)}",
                rule="review.overdue",
                fix="let a seat that neither asked nor approved review it: safehold grant review",
            )

    def listing(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the requests of the last days, newest first; with ``mine`` the caller's own."""
        shown, mine = [], arguments.get("mine") is True
        for one in reversed(self._desk.trust.requests()):
            name = self._name(one.entry)
            if name is None:
                continue
            if mine and self._asker(one.entry) != caller().id:
                continue
            try:
                shown.append(self._summary(self._open(name), one))
            except MissingError:
                continue
        return {"requests": shown}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show one request: what is asked, its price, and who said what."""
        request = self._find(str(arguments["request"]))
        self._see(request.grant.requester)
        standing = self._standing(request)
        return {
            **self._summary(request, standing),
            "grant": request.grant.to_json(),
            "people": request.people.to_json(),
            "price": request.price.to_json(),
            "seats": standing_of_seats(
                request.grant,
                self._desk.trust.roster,
                self._desk.trust.charter(),
                standing.decided,
            ),
        }

    def narrower(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what an open request could leave out, and how far each would reach then."""
        request = self._find(str(arguments["request"]))
        self._see(request.grant.requester)
        return {
            "request": request.grant.id,
            "reach": request.price.reach,
            "narrower": price_narrower(self._desk, request.grant, request.people),
        }

    def decide(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a seat's signed decision; it is a leaf before it counts.

        Raises:
            DeniedError: The request has ended, or this seat decides nothing about it; the rule says why.
        """
        desk = self._desk
        approval = Approval.from_json(arguments["approval"])
        with desk.lock:
            request = self._find(str(arguments["request"]))
            self._require_open(request, desk.now_us())
            if approval.decision == "approve":  # to deny narrows, and is always heard
                desk.trust.contained.require_free(by_grant(request.grant))
            if approval.decision == "approve" and not approving(
                request.grant, desk.trust.charter(), [approval.seat]
            ):
                raise DeniedError(
                    "the charter does not name this seat for emergencies",
                    rule="emergency.seat",
                )
            check_decision(
                approval, request.grant, request.price, desk.trust.roster, now_us=desk.now_us()
            )
            (receipt,) = desk.log(
                Entry(
                    kind="request",
                    actor=approval.seat,
                    object=request.grant.id,
                    detail={"decision": approval.to_json()},
                    charter=desk.trust.digest(),
                    public={"state": approval.decision, "seat": approval.seat},
                    ref=request.entry,
                )
            )
            desk.trust.note_request(receipt.index)
            others = [one for one in request.approvals if one.seat != approval.seat]
            request = Request(
                grant=request.grant,
                people=request.people,
                price=request.price,
                approvals=(*others, approval),
                entry=request.entry,
            )
            self._keep(request)
        return {**self._summary(request, self._standing(request)), "entry": receipt.index}

    def take(self, grant: Grant) -> Request:
        """Return the request that a grant came of.

        Raises:
            DeniedError: Nobody asked for it here, or a seat denied it.
            ConflictError: Another was asked for under its id.
        """
        try:
            request = self._find(grant.id)
        except MissingError as error:
            raise DeniedError(
                "nobody asked this keeper for it, so nobody was shown its price",
                rule="request.unknown",
                fix="safehold request new",
            ) from error
        if request.grant != grant:
            raise ConflictError("another grant has this id", rule="grant.id")
        if self._standing(request).state(self._desk.now_us()) == "denied":
            raise DeniedError("a seat of the board denied this grant", rule="approval.denied")
        return request

    def _require_open(self, request: Request, now_us: int) -> None:
        match self._standing(request).state(now_us):
            case "open":
                return
            case "denied":
                raise DeniedError("a seat of the board denied this grant", rule="approval.denied")
            case "expired":
                raise DeniedError(
                    "this request was not approved within a day",
                    rule="request.expired",
                    fix="ask again: safehold request new",
                )
            case _:
                raise DeniedError(
                    "a grant came of this request",
                    rule="request.ended",
                    fix="revoke the grant instead: safehold grant revoke",
                )

    def _summary(self, request: Request, standing: Asked) -> dict[str, Any]:
        desk, grant = self._desk, request.grant
        rule = desk.trust.charter().who_may.get(grant.requester.role)
        needed = 0 if rule is None or rule.grant is None else rule.grant.approvers
        glass = desk.trust.charter().oversight.break_glass
        if grant.break_glass and glass is not None:
            needed = min(needed, glass.approvers)
        needed = approvers_of(grant.recipes, needed)
        people = {seat.name: seat.person for seat in desk.trust.roster.seats}
        agreed = {people.get(seat) for seat, said in standing.decided.items() if said == "approve"}
        return {
            "request": grant.id,
            "requester": grant.requester.id,
            "purpose": grant.purpose,
            "break_glass": grant.break_glass,
            "reason": grant.reason,
            "state": standing.state(desk.now_us()),
            "decisions": dict(sorted(standing.decided.items())),
            "agreed": len(agreed - {None}),  # whoever holds several seats counts once
            "needed": needed,
            "minutes": grant.minutes,
            "reach": request.price.reach,
            "digest": grant.digest().hex(),
            "entry": request.entry,
        }

    def _find(self, name: str) -> Request:
        entry = self._entry(name)
        if entry is None:
            raise MissingError("no such request", rule="request.missing")
        request = self._open(name)
        if request.entry != entry or self._told(entry) != request.grant.digest().hex():
            raise TamperedError("a request is not what the ledger says", rule="request.row")
        return request

    def _standing(self, request: Request) -> Asked:
        found = self._desk.trust.request(request.entry)
        if found is None:
            raise TamperedError("a request is not what the ledger says", rule="request.row")
        return found

    def _keep(self, request: Request) -> None:
        self._desk.vault.seal_secret(_secret(request.grant.id), canonical.encode(request.to_json()))

    def _open(self, name: str) -> Request:
        return Request.from_json(canonical.decode(self._desk.vault.open_secret(_secret(name))))

    def _told(self, entry: int) -> str:
        try:
            return str(self._detail(entry)["detail"]["grant"])
        except ShreddedError as error:
            raise MissingError("this request is long over", rule="request.missing") from error

    def _detail(self, entry: int) -> Mapping[str, Any]:
        return self._desk.ledger.detail(entry)

    def _asker(self, entry: int) -> str:
        if entry not in self._who:
            self._who[entry] = str(self._detail(entry)["actor"])
        return self._who[entry]

    def _name(self, entry: int) -> str | None:
        try:
            return str(self._detail(entry)["object"])
        except ShreddedError:
            return None

    def _entry(self, name: str) -> int | None:
        """Return the index of the leaf of a request; the first of a name is the request."""
        if name not in self._entries:
            seen = set(self._entries.values())
            for one in self._desk.trust.requests():
                if one.entry not in seen and (known := self._name(one.entry)) is not None:
                    self._entries.setdefault(known, one.entry)
        return self._entries.get(name)


def _secret(name: str) -> str:
    if not name or len(name) > 128:
        raise InvalidError("not the id of a request", rule="request.id")
    return f"request/{name}"
