"""Who may ask, and who agreed."""

from safehold.access.approval import Approval, ApprovedGrant, approve, verify_approvals
from safehold.access.capability import (
    Claims,
    Demand,
    attenuate,
    mint,
    revocation_ids,
    verify_capability,
)
from safehold.access.grant import Grant, check_grant
from safehold.access.policy import AccessRequest, Decision, authorise
from safehold.access.principal import Agent, Human, Principal, Workload
from safehold.access.proof import Holder, Nonces, check_device, prove_device

__all__ = [
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
    "Principal",
    "Workload",
    "approve",
    "attenuate",
    "authorise",
    "check_device",
    "check_grant",
    "mint",
    "prove_device",
    "revocation_ids",
    "verify_approvals",
    "verify_capability",
]
