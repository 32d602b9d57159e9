"""The ways to say that something is not proved."""

from __future__ import annotations

from typing import ClassVar

from safehold.errors import InvalidError


class NotProvedError(InvalidError):
    """A promise was neither proved nor refuted; that counts as not held."""

    exit_code: ClassVar[int] = 1


def unsupported(what: str, *, policy: str = "") -> NotProvedError:
    """Return the error for a construct that the prover does not model; the caller raises it.

    A construct that is left out silently would make a false proof, so there is no other way on.

    Args:
        what: The construct, in words or as Cedar spells it.
        policy: Id of the policy it stands in, where it is known.
    """
    where = f" (policy {policy})" if policy else ""
    return NotProvedError(
        f"unsupported, so not proved: {what}{where}",
        rule="charter.prove.unsupported",
        fix="write the policy with the operators listed in docs/reference/proving.md",
    )


def not_proved(why: str) -> NotProvedError:
    """Return the error for a promise that the solver neither proved nor refuted."""
    return NotProvedError(
        f"not proved: {why}",
        rule="charter.prove.unknown",
        fix="report this; a charter that is not proved is not signed and not enacted",
    )
