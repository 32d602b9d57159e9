"""What the verbs about audits share: how one step is written, and how engagements and findings are found."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from safehold.assurance.engagement.order import EngagementOrder, read_engagement
from safehold.errors import DeniedError, MissingError, SafeholdError
from safehold.keeper.audits import KIND, Engagement, Finding
from safehold.ledger import Entry, Receipt

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Record:
    """The audits of a home.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def scope(self) -> tuple[int, int]:
        """Return the first and the last epoch that the next audit is about; the last is -1 if none is closed."""
        held = self.desk.trust.audited().counting()
        return 0 if held is None else held[1].last + 1, self.desk.ledger.epochs.closed() - 1

    def put(
        self,
        public: Mapping[str, int | str],
        detail: Mapping[str, Any],
        *,
        actor: str,
        ref: int | None = None,
        key: str = "",
    ) -> Receipt:
        """Append one step if the fold will count it.

        Args:
            public: What its leaf says.
            detail: What is sealed.
            actor: Who takes it.
            ref: The leaf it is about.
            key: By which it is appended once.

        Raises:
            DeniedError: It does not follow from what came before.
        """
        desk = self.desk
        trial = deepcopy(desk.trust.audited())
        wrong = trial.take(
            desk.ledger.size, desk.trust.now_ms(), -1 if ref is None else ref, public
        )
        if wrong:
            raise DeniedError(wrong, rule="audit.turn", fix="safehold audit list")
        (receipt,) = desk.log(
            Entry(
                kind=KIND,
                actor=actor,
                object=KIND if ref is None else f"{KIND}/{ref}",
                detail=detail,
                charter=desk.trust.digest(),
                public=public,
                ref=ref,
                key=key,
            )
        )
        return receipt

    def engagement(self, index: Any) -> Engagement:
        """Return the engagement of a leaf.

        Raises:
            MissingError: There is none.
        """
        found = self.desk.trust.audited().find(index) if type(index) is int else None
        if found is None:
            raise MissingError(
                "no such engagement", rule="audit.missing", fix="safehold audit list"
            )
        return found

    def going(self, arguments: Mapping[str, Any]) -> Engagement:
        """Return the engagement that an argument names, if it goes on.

        Raises:
            DeniedError: It does not.
        """
        one = self.engagement(arguments.get("engagement"))
        if not one.going:
            raise DeniedError("it has ended, or has its opinion", rule="audit.turn")
        return one

    def finding(self, arguments: Mapping[str, Any]) -> Finding:
        """Return the finding that an argument names.

        Raises:
            MissingError: There is none.
        """
        index = arguments.get("finding")
        found = self.desk.trust.audited().finding(index) if type(index) is int else None
        if found is None:
            raise MissingError("no such finding", rule="audit.finding", fix="safehold audit list")
        return found

    def order(self, one: Engagement) -> EngagementOrder:
        """Return the order by which an auditor was engaged.

        Raises:
            ShreddedError: It was long ago.
        """
        text = str(self.desk.ledger.detail(one.index)["detail"]["order"]).encode()
        return read_engagement(text, home=self.desk.home.id)

    def told(self, index: int) -> dict[str, Any]:
        """Return the sealed detail of a leaf; nothing once nobody can read it."""
        with suppress(SafeholdError):  # expired
            return dict(self.desk.ledger.detail(index)["detail"])
        return {}
