"""Grants as the ledger and their sealed records have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from safehold import canonical
from safehold.access import (
    Grant,
    PeopleFilter,
)
from safehold.access.emergency import LEAST_REVIEWS
from safehold.errors import (
    InvalidError,
    MissingError,
    ShreddedError,
    TamperedError,
)
from safehold.keeper import tables

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class GrantRecords:
    """What is written down of grants.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._leaves: dict[str, int] = {}  # id of a grant to the index of its leaf
        self._terms: dict[int, Grant] = {}  # by that index

    def find(self, name: str) -> int | None:
        """Return the index of a grant's leaf, or nothing."""
        desk = self._desk
        if name not in self._leaves:
            seen = set(self._leaves.values())
            for index in desk.trust.grants():
                if index in seen:
                    continue
                try:  # the first leaf of an id is the grant: its uses name that one
                    self._leaves.setdefault(desk.ledger.detail(index)["object"], index)
                except ShreddedError:  # long ago; no capability lives that long
                    continue
        return self._leaves.get(name)

    def row(self, name: str) -> Any:
        """Return the row that the control database has of a grant, or nothing."""
        with self._desk.engine.begin() as connection:
            return connection.execute(
                sa.select(tables.grant).where(tables.grant.c.id == name)
            ).one_or_none()

    def entry(self, name: str) -> int:
        """Return the index of a grant's leaf; the ledger says so, the row only repeats it."""
        row, entry = self.row(name), self.find(name)
        if entry is None:
            raise MissingError("no such grant", rule="grant.missing")
        if row is None or row.entry != entry:
            raise TamperedError("a grant's row is not what the ledger says", rule="grant.row")
        return entry

    def record(self, name: str) -> Any:
        """Return the sealed record of a grant.

        Raises:
            MissingError: There is none.
        """
        return canonical.decode(self._desk.vault.open_secret(secret_name(name)))

    def meant(self, name: str) -> PeopleFilter:
        """Return whom a grant means, by its sealed record; everybody where that does not say.

        Raises:
            MissingError: There is no such record.
        """
        return PeopleFilter.from_json(self.record(name).get("people"))

    def stated(self, entry: int) -> Grant | None:
        """Return a grant as its leaf has it, or its record where that was shredded; nothing of an older version.

        Raises:
            ShreddedError: Neither tells it any more.
        """
        if entry not in self._terms:
            try:
                self._terms[entry] = Grant.from_json(self._told(entry))
            except InvalidError:
                return None
        return self._terms[entry]

    def remembered(self, entry: int) -> Grant | None:
        """Return a grant that was stated before, and nothing of one that was not."""
        return self._terms.get(entry)

    def priced(self, entry: int) -> dict[str, Any]:
        """Return the price of a grant as its leaf has it; nothing where that was shredded."""
        try:
            return dict(self._desk.ledger.detail(entry)["detail"].get("price", {}))
        except ShreddedError:
            return {}

    def reviews_due(self, entry: int, grant: Grant) -> int:
        """Return how many people review a grant after its end: one, or in an emergency what its leaf says."""
        if not grant.break_glass:
            return 1
        try:
            return int(self._desk.ledger.detail(entry)["detail"]["reviews"])
        except ShreddedError:
            return LEAST_REVIEWS

    def approved_by(self, entry: int) -> frozenset[str]:
        """Return the seats whose approvals a grant counted, as its leaf has them.

        Raises:
            ShreddedError: It tells them no more.
        """
        return frozenset(self._desk.ledger.detail(entry)["detail"]["seats"])

    def counted(self, requester: str) -> list[dict[str, Any]]:
        """Return how the grants of somebody stand: counters alone."""
        trust, found = self._desk.trust, []
        for entry in trust.grants():
            try:
                grant = Grant.from_json(self._told(entry))
            except (InvalidError, MissingError, ShreddedError):  # long ago
                continue
            if grant.requester.id == requester:
                totals = trust.totals(entry)
                found.append(
                    {
                        "grant": grant.id,
                        "parent": grant.parent,
                        "depth": grant.depth,
                        "runs": totals.runs,
                        "of": grant.max_runs,
                        "rows": totals.rows,
                        "ended": trust.revoked(entry) or trust.closed(entry),
                    }
                )
        return found

    def begun_us(self, entry: int) -> int:
        """Return when a grant began: the time of its leaf."""
        return self._desk.trust.record(entry).begun_ms * 1000

    def said(self, entry: int) -> Any:
        """Return a grant as its leaf has it.

        Raises:
            ShreddedError: It tells it no more.
        """
        return self._desk.ledger.detail(entry)["detail"].get("grant")

    def _told(self, entry: int) -> Any:
        """Return a grant by its leaf, or by its record where what the leaf says was shredded."""
        try:
            return self.said(entry)
        except ShreddedError:
            with self._desk.engine.begin() as connection:
                row = connection.execute(
                    sa.select(tables.grant).where(tables.grant.c.entry == entry)
                ).one_or_none()
            if row is None:
                raise
            return self.record(row.id)["grant"]


def secret_name(name: str) -> str:
    """Return under which name the vault has the record of a grant."""
    return f"grant/{name}"
