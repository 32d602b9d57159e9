"""Which charters may be signed and enacted at all, whoever agrees to them.

This is the one place that decides it: before a seat signs, when one is proposed, before it is enacted, and whenever a
keeper starts.
"""

from __future__ import annotations

from safehold.charter.compile import Policy
from safehold.charter.compile import compile as compile_charter
from safehold.charter.model import Charter
from safehold.charter.prove import prove


def admit(charter: Charter) -> Policy:
    """Return the policy of a charter that may be signed.

    Raises:
        InvalidError: It does not compile to policy, or a promise of it is not proved.
        ReachableError: A promise of it can be broken; the message says by whom and how.
    """
    return admit_policy(compile_charter(charter))


def admit_policy(policy: Policy) -> Policy:
    """Return a compiled charter that may be enforced.

    Raises:
        InvalidError: A promise of it is not proved.
        ReachableError: A promise of it can be broken.
    """
    prove(policy)
    return policy
