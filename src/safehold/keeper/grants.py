"""Grants: approved by seats, kept in the ledger, used through short-lived capabilities.

What a use must show is checked by ``admission``. How often a grant was used is counted in the ledger.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from safehold import canonical
from safehold.access import (
    Approval,
    ApprovedGrant,
    Grant,
    PeopleFilter,
    Price,
    check_grant,
    mint,
    verify_approvals,
)
from safehold.access.emergency import SEVERITY, require_allowed
from safehold.canonical import b64
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
    UnavailableError,
)
from safehold.keeper import tables
from safehold.keeper.admission import Admission, Admitted, Use
from safehold.keeper.caller import caller
from safehold.keeper.contained import GRANT, block_hash
from safehold.keeper.descent import Above, Descent
from safehold.keeper.desk import Desk
from safehold.keeper.grant_records import GrantRecords, secret_name
from safehold.keeper.messages import use_message
from safehold.keeper.minting import Minting
from safehold.keeper.requests import Requests
from safehold.keeper.server import Report
from safehold.keeper.touched import by_grant
from safehold.ledger import Entry

__all__ = ["Admitted", "Grants", "Use", "use_message"]

MOST_NONCES: Final = 32  # of one call


class Grants:
    """The verbs about grants, and the check at every use.

    Args:
        desk: What the keeper works with.
        requests: What was asked for.
        descent: Whose a grant is, and what it descends from.
    """

    def __init__(self, desk: Desk, requests: Requests, descent: Descent) -> None:
        self._desk = desk
        self.records = GrantRecords(desk)
        self._requests = requests
        self._descent = descent
        self.minting = Minting(desk.vault, desk.clock)
        self._admission = Admission(desk, self, self.minting)

    def nonce(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a fresh nonce for one use, and as many more as are asked for.

        ``patient`` says that a person reads before they sign.
        """
        count, now = arguments.get("count", 1), self._desk.now_us()
        patient = arguments.get("patient") is True
        if type(count) is not int or not 1 <= count <= MOST_NONCES:
            raise InvalidError("not a number of nonces", field="count", rule="nonce.count")
        made = [b64(self._desk.nonces.issue(now, patient=patient)) for _ in range(count)]
        return {"nonce": made[0]} if count == 1 else {"nonce": made[0], "nonces": made}

    def enact(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take an approved grant, log it, and mint a capability; again for a longer grant.

        Raises:
            QuorumError: Too few seats approved it.
            DeniedError: The charter does not give it, a seat denied it, or it was revoked.
        """
        desk = self._desk
        desk.trust.require_running()
        with desk.lock:
            return self._enact(arguments)

    def _enact(self, arguments: dict[str, Any]) -> dict[str, Any]:
        desk = self._desk
        tree = arguments["grant"]
        grant = Grant.from_json(tree)
        self._descent.require_own(grant.requester)
        self._require_free(grant)
        name, row, known = grant.id, self.records.row(grant.id), self.records.find(grant.id)
        if known is not None and desk.trust.revoked(known):
            raise DeniedError("this grant was revoked", rule="grant.revoked")
        if known is not None and desk.trust.closed(known):
            raise DeniedError("this grant is closed", rule="grant.closed", fix="ask for a new one")
        if known is not None and self.records.said(known) != tree:
            raise ConflictError("another grant has this id", rule="grant.id")
        record = self._asked(grant, arguments) if row is None else self.records.record(row.id)
        approved = self._approve(record)
        if known is None:
            desk.trust.tightness().check_approved(approved, desk.trust.roster, desk.trust.charter())
        above = self._descent.require(grant, self)
        if row is None:
            # a crash may have left the leaf without its row; a second leaf would have all its runs left
            entry = self._log(approved, record["request"], above) if known is None else known
            # requester and reason are words about people, so the record is sealed
            desk.vault.seal_secret(secret_name(name), canonical.encode(record))
            with desk.engine.begin() as connection:
                connection.execute(
                    tables.grant.insert().values(
                        id=name,
                        record=approved.grant.digest(),
                        entry=entry,
                        revoked=False,
                    )
                )
        elif record["grant"] != tree:
            raise ConflictError("another grant has this id", rule="grant.id")
        entry = self.records.entry(name)
        return {
            "grant": name,
            "token": mint(
                approved,
                self.minting.seed,
                begun_us=self.records.begun_us(entry),
                now_us=desk.now_us(),
            ),
            "runs_left": approved.grant.max_runs - desk.trust.uses(entry),
        }

    def _require_free(self, grant: Grant) -> None:
        """Pass if nothing that a grant is about is contained, nor any token of it; no token is minted else."""
        trust, known = self._desk.trust, self.records.find(grant.id)
        if known is None and grant.parent:
            # the first token of it stands under the one above too
            known = self.records.find(grant.parent)
        entries = () if known is None else (known, *trust.above(known))
        trust.contained.require_free(by_grant(grant, entries))
        trust.contained.require_minted(entries)

    def _asked(self, grant: Grant, arguments: dict[str, Any]) -> dict[str, Any]:
        """Return the record of a grant that is new: as it was asked and priced here, with every decision known."""
        given = [Approval.from_json(one) for one in arguments.get("approvals", ())]
        charter, roster = self._desk.trust.charter(), self._desk.trust.roster
        check_grant(grant, charter)
        try:
            request = self._requests.take(grant)
        except (DeniedError, ConflictError) as error:
            if error.rule != "approval.denied":  # say first that nobody agreed to it, if nobody did
                verify_approvals(grant, _unpriced(grant), given, roster, charter)
            raise
        verify_approvals(grant, request.price, [*request.approvals, *given], roster, charter)
        if self.records.find(grant.id) is None:
            # else only its row was lost, and its own emergency is open
            self._requests.require_reviewed(grant)
        return {
            "grant": grant.to_json(),
            "price": request.price.to_json(),
            "people": request.people.to_json(),
            "approvals": [one.to_json() for one in (*request.approvals, *given)],
            "request": request.entry,
        }

    def _log(self, approved: ApprovedGrant, request: int, above: Sequence[Above]) -> int:
        """Append the leaf of a grant, and that of its request's end before it; return the index of the grant's."""
        desk, grant = self._desk, approved.grant
        opened: list[Entry] = []
        terms: dict[str, int] = {}
        if grant.break_glass:  # the incident opens by itself, in the same append
            terms = {"reviews": require_allowed(desk.trust.charter()).reviews}
            opened.append(
                Entry(
                    kind="incident",
                    actor=grant.requester.id,
                    object=grant.id,
                    detail={"cause": "break-glass", "severity": SEVERITY, "reason": grant.reason},
                    charter=desk.trust.digest(),
                    public={"state": "open"},
                    key=f"incident/{grant.id}/break-glass",
                )
            )
        ended, receipt, *_ = desk.log(
            Entry(
                kind="request",
                actor=grant.requester.id,
                object=grant.id,
                detail={},
                charter=desk.trust.digest(),
                public={"state": "enacted"},
                ref=request,
                key=f"request/{request}/enacted",
            ),
            Entry(
                kind="grant",
                actor=grant.requester.id,
                object=grant.id,
                detail={
                    "grant": grant.to_json(),
                    "seats": sorted(one.seat for one in approved.approvals),
                    "price": approved.price.to_json(),
                    **terms,
                },
                charter=desk.trust.digest(),
                public={"state": "approved", **({"parent": above[0].entry} if above else {})},
                key=f"grant/{grant.id}/{grant.digest().hex()}",
            ),
            *opened,
        )
        desk.trust.note_request(ended.index)
        desk.trust.note_grant(receipt.index)
        return receipt.index

    def listing(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the grants with their use so far; with ``mine`` the caller's own."""
        desk, mine = self._desk, arguments.get("mine") is True
        with desk.engine.begin() as connection:
            rows = connection.execute(sa.select(tables.grant).order_by(tables.grant.c.entry)).all()
        shown = []
        for row in rows:
            try:
                grant = Grant.from_json(self.records.record(row.id)["grant"])
            except InvalidError:  # of an older version; nobody can use it
                continue
            if mine and grant.requester.id != caller().id:
                continue
            shown.append(
                {
                    "id": row.id,
                    "purpose": grant.purpose,
                    "recipes": list(grant.recipes),
                    "expires_us": grant.ends_us(self.records.begun_us(row.entry)),
                    "runs": desk.trust.uses(row.entry),
                    "of": grant.max_runs,
                    "revoked": desk.trust.revoked(row.entry),
                    "closed": desk.trust.closed(row.entry),
                    "entry": row.entry,
                }
            )
        return {"grants": shown}

    def revoke(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """End a grant at once, or one token of it with all that was narrowed from it.

        Whoever may speak to the keeper may narrow.
        """
        desk = self._desk
        name = str(arguments["grant"])
        entry, block = self.records.entry(name), arguments.get("block")
        facts = {"state": "revoked"}
        if block is not None:
            facts |= {"state": "narrowed", "block": block_hash(str(block))}
        receipt = desk.trust.revoke(
            Entry(
                kind="grant",
                actor="operator",
                object=name,
                detail={"step": "revoke"},
                charter=desk.trust.digest(),
                public=facts,
                ref=entry,
            )
        )
        if block is not None:
            return {"grant": name, "entry": receipt.index}
        with desk.engine.begin() as connection:
            connection.execute(
                tables.grant.update().where(tables.grant.c.id == name).values(revoked=True)
            )
        self.end(entry)
        return {"grant": name, "entry": receipt.index}

    def close_ended(self) -> list[int]:
        """Close every grant that has ended, with the range of its uses; return their leaves.

        Raises:
            UnavailableError: The ledger does not take it; a later turn closes them.
        """
        desk = self._desk
        ended = [(entry, self._ended(entry)) for entry in desk.trust.grants(only_open=True)]
        return [entry for entry, state in ended if state and self._close(entry, state)]

    def end(self, entry: int) -> None:
        """Close one grant if it has ended; what the ledger does not take now is closed later."""
        state = self._ended(entry)
        if state:
            with contextlib.suppress(UnavailableError, TamperedError):
                self._close(entry, state)

    def _close(self, entry: int, state: str) -> bool:
        desk = self._desk
        grant = self.records.remembered(entry)
        receipt = desk.trust.close_grant(
            entry,
            Entry(
                kind="grant.closed",
                actor="keeper",
                object="" if grant is None else grant.id,
                detail={},
                charter=desk.trust.digest(),
                key=f"grant.closed/{entry}",
            ),
            state=state,
        )
        return receipt is not None

    def _ended(self, entry: int) -> str | None:
        """Return why a grant has ended, or nothing while it may be used."""
        desk = self._desk
        if desk.trust.revoked(entry):
            return "revoked"
        try:
            grant = self.records.stated(entry)
        except ShreddedError:  # long ago
            return "expired"
        except (MissingError, TamperedError):  # whoever would use it is refused
            return None
        if grant is None:  # of an older version
            return "expired"
        if desk.now_us() >= grant.ends_us(self.records.begun_us(entry)):
            return "expired"
        return "used" if desk.trust.uses(entry) >= grant.max_runs else None

    def admit(self, arguments: dict[str, Any], use: Use) -> Admitted:
        """Return the capability that came with a request, if it holds and its grant does: see ``admission``."""
        admitted = self._admission.admit(arguments, use)
        self._descent.require_own(admitted.claims.principal)
        return admitted

    def recall(self, name: str) -> tuple[ApprovedGrant, PeopleFilter, int, int]:
        """Return a grant as the board approves of it now, its filter, the index of its leaf, and when it ends.

        Raises:
            DeniedError: It was revoked, or its approvals no longer hold.
        """
        desk = self._desk
        row, entry = self.records.row(name), self.records.entry(name)
        if row is None or row.revoked or desk.trust.revoked(entry):
            raise DeniedError("this grant was revoked", rule="grant.revoked")
        # also where something below it asks: what is contained is handed on to nobody
        desk.trust.contained.require_free([(GRANT, str(entry))])
        record = self.records.record(row.id)
        approved, people = self._approve(record), PeopleFilter.from_json(record["people"])
        if people.digest() != approved.grant.people:
            raise TamperedError("a grant's row is not what the ledger says", rule="grant.row")
        for one in self._descent.require(approved.grant, self):
            desk.trust.bound(one.entry, one.caps)
        return approved, people, entry, approved.grant.ends_us(self.records.begun_us(entry))

    def _approve(self, record: dict[str, Any]) -> ApprovedGrant:
        trust = self._desk.trust
        if "price" not in record:
            raise DeniedError(
                "a grant of an older version", rule="grant.version", fix="ask for a new one"
            )
        return verify_approvals(
            Grant.from_json(record["grant"]),
            Price.from_json(record["price"]),
            [Approval.from_json(one) for one in record["approvals"]],
            trust.roster,
            trust.charter(),
        )


def _unpriced(grant: Grant) -> Price:
    """Return the price of a grant that nobody was shown one of."""
    return Price(
        grant=grant.digest().hex(),
        people=0,
        classes=(),
        days=0,
        models=(),
        epsilon_micro=0,
        epsilon_left_micro=0,
        at_us=0,
    )
