"""Writing a trust policy (C2SP tlog-policy); the offline verifier has the reader."""

from __future__ import annotations

from collections.abc import Mapping

from safehold.errors import InvalidError
from safehold.ledger.note import VKey


def policy_text(log: str, witnesses: Mapping[str, str], *, quorum: int | None = None) -> str:
    """Return the policy that trusts one log, and heads that enough of some witnesses have cosigned.

    Args:
        log: Verifier key of the log.
        witnesses: Short name of each witness (one word) and its verifier key.
        quorum: How many must have cosigned; all if absent.

    Raises:
        InvalidError: A key is malformed, or the quorum cannot be met.
    """
    need = len(witnesses) if quorum is None else quorum
    if not 0 <= need <= len(witnesses):
        raise InvalidError("no such quorum of these witnesses", rule="ledger.policy")
    lines = [f"log {VKey.parse(log).text()}"]
    lines += [f"witness {name} {VKey.parse(key).text()}" for name, key in witnesses.items()]
    if not need:
        return "\n".join([*lines, "quorum none", ""])
    lines += [f"group oversight {need} {' '.join(witnesses)}", "quorum oversight", ""]
    return "\n".join(lines)
