"""Writing a trust policy (C2SP tlog-policy); the offline verifier has the reader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safehold.errors import InvalidError
from safehold.ledger.vkey import ED25519, LATTICE, TIMED, VKey


def policy_text(
    logs: str | Sequence[str],
    witnesses: Mapping[str, str | Sequence[str]],
    *,
    quorum: int | None = None,
) -> str:
    """Return the policy that trusts one log, and heads that enough of some witnesses have cosigned.

    Every line of a published head is of a key that the policy names, so a line more is noticed.

    Args:
        logs: Verifier keys of the log: Ed25519 and ML-DSA-44, and those of both its keys while one
            is being changed.
        witnesses: Short name of each witness (one word) and its verifier keys; the first one
            counts for the quorum.
        quorum: How many must have cosigned; all if absent.

    Raises:
        InvalidError: A key is malformed or of the wrong type, or the quorum cannot be met.
    """
    need = len(witnesses) if quorum is None else quorum
    if not 0 <= need <= len(witnesses):
        raise InvalidError("no such quorum of these witnesses", rule="ledger.policy")
    lines = [f"log {_typed(key, (ED25519, LATTICE))}" for key in _several(logs)]
    for name, keys in witnesses.items():
        first, *others = _several(keys)
        lines.append(f"witness {name} {_typed(first, TIMED)}")
        lines += [
            f"witness {name}-{number} {_typed(key, TIMED)}" for number, key in enumerate(others, 2)
        ]
    if not need:
        return "\n".join([*lines, "quorum none", ""])
    lines += [f"group oversight {need} {' '.join(witnesses)}", "quorum oversight", ""]
    return "\n".join(lines)


def _several(keys: str | Sequence[str]) -> Sequence[str]:
    return [keys] if isinstance(keys, str) else keys


def _typed(text: str, types: Sequence[int]) -> str:
    key = VKey.parse(text)
    if key.algorithm not in types:
        raise InvalidError("a verifier key of the wrong type", rule="ledger.policy")
    return key.text()
