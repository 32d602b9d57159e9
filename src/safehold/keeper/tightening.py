"""An overdue audit tightens access by itself: how far, since when, and what that refuses.

Decided anew at every request from the leaves, the charter in force and the clock, and from nothing else: there is no
switch, no table and no date that somebody could set. A clock that stands before the newest leaf counts as that leaf.

People's own rights are not touched at any step: none of them takes a grant.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from safehold.access import ApprovedGrant, Grant
from safehold.access.code import approvers_of
from safehold.charter import Charter, Roster
from safehold.charter.vocabulary import INTERNAL
from safehold.errors import DeniedError, QuorumError
from safehold.keeper.audits import ADVERSE, Audits

DAY_MS: Final = 86_400_000
GRACE_DAYS: Final = 30  # from late to overdue
SOON_DAYS: Final = 30  # before it is late, for those who plan
FRACTION: Final = 4  # of a role's longest grant, one part is left when an audit is late
EXTRA: Final = 1  # more people who approve of a grant then
IN_TIME, LATE, OVERDUE = "in_time", "late", "overdue"
STEPS: Final = (IN_TIME, LATE, OVERDUE)
FIX: Final = "safehold audit due says what is missing; engage an auditor: safehold audit engage"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tightness:
    """How tight access is held.

    Args:
        step: One of ``STEPS``.
        since_ms: When that step began; 0 in time.
        due_ms: When the next audit is late; 0 if nothing was ever taken in.
        held_ms: When the last audit counts from; 0 if none was ever held.
        adverse: Leaves of adverse opinions that still count.
        soon: Whether it is late within ``SOON_DAYS``.
    """

    step: str = IN_TIME
    since_ms: int = 0
    due_ms: int = 0
    held_ms: int = 0
    adverse: tuple[int, ...] = ()
    soon: bool = False

    @property
    def rule(self) -> str:
        """By which rule something is refused."""
        return "audit.adverse" if self.adverse else f"audit.{self.step}"

    def why(self) -> str:
        """Return in words why access is held tight."""
        if self.adverse:
            return "an auditor's opinion was adverse, and what it rests on is not closed"
        return "the independent audit that the charter promises is past due"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "step": self.step,
            "since_us": self.since_ms * 1000,
            "due_us": self.due_ms * 1000,
            "held_us": self.held_ms * 1000,
            "adverse": list(self.adverse),
            "soon": self.soon,
        }

    def check_grant(self, grant: Grant, charter: Charter) -> None:
        """Pass if a new grant may be asked for and given.

        Raises:
            DeniedError: Access is held too tight for it; the rule says how.
        """
        if self.step == IN_TIME or touches_nobody(grant, charter):
            return
        if self.step == OVERDUE:
            raise DeniedError(f"{self.why()}: no new grant is given", rule=self.rule, fix=FIX)
        role = charter.role(grant.requester.role)
        most = 0 if role.grant is None else role.grant.max_s // 60 // FRACTION
        if grant.minutes > most:
            raise DeniedError(
                f"{self.why()}: a new grant lasts {most} minutes at most",
                rule="audit.length",
                fix=f"ask for {most} minutes; {FIX}",
            )

    def check_approved(self, approved: ApprovedGrant, roster: Roster, charter: Charter) -> None:
        """Pass if as many people agreed to a new grant as it takes now.

        Raises:
            DeniedError: As ``check_grant``.
            QuorumError: Too few did.
        """
        grant = approved.grant
        self.check_grant(grant, charter)
        if self.step == IN_TIME or touches_nobody(grant, charter):
            return
        person = {seat.name: seat.person for seat in roster.seats}
        people = {person[one.seat] for one in approved.approvals}
        rule, glass = charter.role(grant.requester.role).grant, charter.oversight.break_glass
        least = 0 if rule is None else rule.approvers
        if grant.break_glass and glass is not None:
            least = min(least, glass.approvers)
        needed = approvers_of(grant.recipes, least) + EXTRA
        if len(people) < needed:
            raise QuorumError(
                f"{self.why()}: {len(people)} of {needed} approvals",
                rule="audit.approvals",
                fix=f"ask one more seat of the board: safehold request approve; {FIX}",
            )

    def check_widening(self) -> None:
        """Pass if the charter may be widened.

        Raises:
            DeniedError: An audit is overdue.
        """
        if self.step == OVERDUE:
            raise DeniedError(
                f"{self.why()}: the charter is not widened", rule="audit.widening", fix=FIX
            )


def judge(audits: Audits, *, every_days: int, now_ms: int) -> Tightness:
    """Return how tight access is held.

    Args:
        audits: The fold of the ledger.
        every_days: How often the charter in force promises an audit.
        now_ms: The present moment, milliseconds.
    """
    now = max(now_ms, audits.latest_ms)
    held = audits.counting()
    held_ms = 0 if held is None else held[1].at_ms
    begun = held_ms or audits.begun_ms
    due = begun + every_days * DAY_MS if begun else 0
    adverse = _adverse(audits)
    starts = [at for _, at in adverse] + ([due] if due else [])
    since = min(starts, default=0)
    step = IN_TIME
    if starts and now >= since:
        step = OVERDUE if now >= since + GRACE_DAYS * DAY_MS else LATE
    return Tightness(
        step=step,
        since_ms=0 if step == IN_TIME else since,
        due_ms=due,
        held_ms=held_ms,
        adverse=tuple(index for index, _ in adverse),
        soon=bool(due) and step == IN_TIME and now >= due - SOON_DAYS * DAY_MS,
    )


def _adverse(audits: Audits) -> list[tuple[int, int]]:
    """Return the adverse opinions that still count, and since when.

    One counts until all its critical findings are closed; a kinder opinion of somebody else does not end that. Without
    critical findings there is nothing to close, and the next opinion by which an audit was held ends it.
    """
    newest, found = audits.counting(), []
    for one in audits.all():
        if one.opinion is None or one.opinion.word != ADVERSE:
            continue
        critical = one.critical()
        later = newest is not None and newest[1].index > one.opinion.index
        if any(each.open for each in critical) or (not critical and not later):
            found.append((one.opinion.index, one.opinion.at_ms))
    return found


def touches_nobody(grant: Grant, charter: Charter) -> bool:
    """Tell whether a grant is for a purpose that no telemetry serves, such as watching the pipeline itself."""
    return set(charter.purpose(grant.purpose).covers()) <= set(INTERNAL)
