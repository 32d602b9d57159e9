"""Who may ask, and who agreed."""

from safehold.access.approval import (
    Approval,
    ApprovedGrant,
    approve,
    check_decision,
    verify_approvals,
)
from safehold.access.capability import (
    attenuate,
    mint,
    read_claims,
    revocation_ids,
    verify_capability,
)
from safehold.access.claims import Claims, Demand
from safehold.access.grant import Grant, check_grant
from safehold.access.people import EVERYBODY, PeopleFilter, check_people
from safehold.access.policy import AccessRequest, Decision, authorise
from safehold.access.price import Price
from safehold.access.principal import Agent, Human, Principal, Workload, operator_of
from safehold.access.proof import Holder, Nonces, check_device, prove_device

__all__ = [
    "EVERYBODY",
    "AccessRequest",
    "Agent",
    "Approval",
    "ApprovedGrant",
    "Claims",
    "Decision",
    "Demand",
    "Grant",
    "Holder",
    "Human",
    "Nonces",
    "PeopleFilter",
    "Price",
    "Principal",
    "Workload",
    "approve",
    "attenuate",
    "authorise",
    "check_decision",
    "check_device",
    "check_grant",
    "check_people",
    "mint",
    "operator_of",
    "prove_device",
    "read_claims",
    "revocation_ids",
    "verify_approvals",
    "verify_capability",
]
