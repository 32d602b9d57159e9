"""Whether somebody may ask for this at all, and everything that stands against it, said at once.

The compiled policy is asked as if everything else were at its best: enough people who all take part, a strong
sandbox, every gate passed, every approval given. What is refused then, no approval can bring about.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from safehold.access.claims import claims_of
from safehold.access.grant import Grant, check_grant
from safehold.access.policy import AccessRequest, authorise
from safehold.charter import Policy
from safehold.charter.model import GrantRule
from safehold.charter.vocabulary import REPAIR
from safehold.errors import DeniedError

CROWD: Final = 1_000_000_000
BEST: Final = "E4"
# a query that nobody reviewed is asked for by its kind alone; a repair is an act of whoever operates the way in
_ACTIONS: Final[dict[tuple[str, ...], str]] = {("sql",): "query", (REPAIR,): "operate"}


def check_eligible(grant: Grant, policy: Policy, *, now_us: int) -> GrantRule:
    """Return what the charter demands of a grant, if approvals are all that it lacks.

    Args:
        grant: What is asked for.
        policy: The compiled charter in force.
        now_us: Microseconds.

    Raises:
        RedLineError: It would cross a red line.
        DeniedError: The charter does not give it; the message lists everything that stands against it, and the rule
            is that of the first.
        InvalidError: It is not well formed.
    """
    rule = check_grant(grant, policy.charter)
    refused: list[DeniedError] = []
    for segment in grant.segments:
        try:
            _use(grant, rule, policy, segment, now_us)
        except DeniedError as error:
            refused.append(error)
    if refused:
        first = refused[0]
        words = list(dict.fromkeys(error.message for error in refused))
        raise type(first)("; ".join(words), rule=first.rule, fix=first.fix)
    return rule


def _use(grant: Grant, rule: GrantRule, policy: Policy, segment: str, now_us: int) -> None:
    claims = claims_of(
        grant,
        approvals=rule.approvers,
        grant_expires_us=grant.expires_us,
        expires_us=grant.expires_us,
    )
    charter = policy.charter
    request = AccessRequest(
        principal=grant.requester,
        action=_ACTIONS.get(grant.recipes, "run_approved_recipe"),
        purpose=grant.purpose,
        stage="",
        now_us=now_us,
        segment=segment,
        # a segment is of one stream; what is not named so holds all that is asked for
        streams=tuple(one for one in grant.streams if segment.endswith(f".{one}")) or grant.streams,
        purposes=(grant.purpose,),
        jurisdictions=charter.jurisdictions,
        expires_us=grant.expires_us + 1,
        people=CROWD,
        consent=True,
        assurance=BEST,
        claims=claims,
        holder=grant.holder.text(),
        gates=tuple(gate.id for gate in charter.gates),
    )
    for stage in grant.stages:
        authorise(policy, replace(request, stage=stage))
