"""The verbs by which the board engages an auditor, and ends that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from safehold.assurance.engagement.independence import Known, check_independent
from safehold.assurance.engagement.order import (
    DOMAIN,
    DismissalOrder,
    EngagementOrder,
    check_dates,
    check_time,
    read_dismissal,
    read_engagement,
)
from safehold.assurance.engagement.record import Record
from safehold.canonical import b64
from safehold.charter import Signature
from safehold.charter.board import check_quorum
from safehold.errors import DeniedError, SafeholdError
from safehold.keeper.audits import BOARD, ENDED, ENGAGED, Engagement
from safehold.keeper.principals import Principals
from safehold.keeper.server import Report, Verb
from safehold.ledger.vkey import VKey


class Appointing:
    """The verbs.

    Args:
        record: The audits.
        principals: Who is known to operate.
    """

    def __init__(self, record: Record, principals: Principals) -> None:
        self._record = record
        self._desk = record.desk
        self._principals = principals

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"audit.engage": self.engage, "audit.dismiss": self.dismiss}

    def engage(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Engage an auditor, by the order of as many seats as widening takes.

        Raises:
            QuorumError: Too few seats signed it.
            DeniedError: The auditor is not independent as far as rules can tell, or the scope leaves epochs out.
        """
        desk = self._desk
        order = read_engagement(str(arguments["order"]).encode(), home=desk.home.id)
        with desk.lock:
            self._count(order, arguments)
            check_dates(order, desk.now_us())
            earlier = desk.trust.audited().all()
            if earlier and earlier[-1].going and order.starts <= earlier[-1].ends:
                raise DeniedError(
                    "another engagement goes on",
                    rule="audit.turn",
                    fix="let it end, or dismiss it: safehold audit dismiss",
                )
            self._check_scope(order)
            person = desk.trust.roster.seat(order.seat).person
            check_independent(order, self._known(order, earlier, person), earlier)
            receipt = self._record.put(
                {
                    "state": ENGAGED,
                    "sha256": order.sha256,
                    "key": b64(order.vkey.key),
                    "org": order.org,
                    "seat": order.seat,
                    "first": order.first,
                    "last": order.last,
                    "starts": order.starts,
                    "ends": order.ends,
                },
                {
                    "order": order.text.decode(),
                    "signatures": list(arguments["signatures"]),
                    "person": person,
                },
                actor=BOARD,
                key=f"audit/{order.sha256}",
            )
        return {"engagement": receipt.index, "order": order.sha256, "entry": receipt.index}

    def dismiss(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End an engagement before its opinion, by the order of as many seats as widening takes.

        Raises:
            QuorumError: Too few seats signed it.
            MissingError: There is no such engagement.
        """
        desk = self._desk
        order = read_dismissal(str(arguments["order"]).encode(), home=desk.home.id)
        with desk.lock:
            self._count(order, arguments)
            one = self._record.engagement(order.engagement)
            if not one.going:
                raise DeniedError("it has ended, or has an opinion", rule="audit.turn")
            receipt = self._record.put(
                {"state": ENDED, "by": BOARD, "sha256": order.sha256},
                {"order": order.text.decode(), "signatures": list(arguments["signatures"])},
                actor=BOARD,
                ref=one.index,
                key=f"audit/{order.sha256}",
            )
        return {"engagement": one.index, "entry": receipt.index}

    def _count(self, order: EngagementOrder | DismissalOrder, arguments: Mapping[str, Any]) -> None:
        desk = self._desk
        check_time(order.at_us, desk.now_us())
        desk.trust.board.require_current()
        if desk.ledger.find(f"audit/{order.sha256}"):
            raise DeniedError("this order was carried out already", rule="audit.order")
        roster = desk.trust.roster
        given = [Signature.from_json(one) for one in arguments["signatures"]]
        seats, bad = roster.count(DOMAIN, order.text, given)
        if order.seat not in {seat.name for seat in seats}:
            raise DeniedError("the seat that drew it up has not signed it", rule="audit.seat-signs")
        check_quorum(
            seats,
            bad,
            roster.needed("widen", desk.trust.charter()),
            rule="audit.quorum",
            fix="collect the missing signatures: safehold audit engage PAPER --seat SEAT --key FILE",
        )

    def _check_scope(self, order: EngagementOrder) -> None:
        """Pass if the scope leaves no epoch out: from the end of the last audit to the newest closed epoch."""
        first, last = self._record.scope()
        newer = order.last < last and self._closed_ms(order.last + 1) < order.at_us // 1000
        if order.first > first or order.last > last or newer:
            raise DeniedError(
                f"an audit is about every closed epoch since the last: {first} to {last}"
                if last >= 0
                else "no epoch is closed yet",
                rule="audit.scope",
                fix="safehold ledger close-epoch; then draw the order up again",
            )

    def _closed_ms(self, epoch: int) -> int:
        """Return when an epoch was closed, milliseconds; what is closed after an order is the next audit's."""
        entry = self._desk.index.entry_of(epoch).entry
        return next(int(leaf["t"]) for _, leaf in self._desk.ledger.leaves(entry, entry + 1))

    def _known(self, order: EngagementOrder, earlier: Sequence[Engagement], person: str) -> Known:
        desk, before = self._desk, None
        rosters = list(desk.trust.board.rosters)
        for one in reversed(earlier):
            if one.org == order.org or one.key == b64(order.vkey.key):
                with suppress(SafeholdError):  # long ago
                    before = str(desk.ledger.detail(one.index)["detail"]["person"])
                break
        people = self._principals.everybody()
        return Known(
            seats={seat.person for roster in rosters for seat in roster.seats},
            seat_keys={b64(seat.key.raw) for roster in rosters for seat in roster.seats},
            principals={one.id for one in people} | {one.operator for one in people} - {""},
            log_keys={
                b64(VKey.parse(text).key) for text in (*desk.ledger.policy_keys, *desk.local)
            },
            person=person,
            before=before,
        )
