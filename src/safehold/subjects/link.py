"""A sign-in that speaks for a person: which principal, proved by which identity, and since when.

Rules:
1. A link is made in a session of a human, with the person's one-time code or with a signature of their own key.
2. It counts for one principal who proved one identity. Another identity of the same principal is not it: whoever
   enrols principals could have added one of their own.
3. It ends when the principal is suspended or removed, and does not come back with them.
4. One that was made with a code while somebody spoke for the person already narrows at once, and reads only after
   seven days, in which the others see it and can end it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from safehold.canonical import b64
from safehold.clock import DAY_US

REST_US: Final = 7 * DAY_US


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One sign-in that speaks for a person.

    Args:
        principal: Id of the principal.
        identity: Hash of what proved them, base64.
        method: How they signed in.
        since_us: When the link was made.
        register: Version of the register of principals then; one who was suspended in a later one is linked no more.
        rests: Whether somebody else spoke for the person when a code made it.
    """

    principal: str
    identity: str
    method: str
    since_us: int
    register: int
    rests: bool = False

    def resting(self, at_us: int) -> bool:
        """Return whether it may not read yet."""
        return self.rests and at_us < self.since_us + REST_US

    def to_record(self) -> list[Any]:
        """Return it as canonical JSON values."""
        return [
            self.principal,
            self.identity,
            self.method,
            self.since_us,
            self.register,
            self.rests,
        ]

    @classmethod
    def from_record(cls, record: Sequence[Any]) -> Link:
        """Read what ``to_record`` wrote."""
        principal, identity, method, since_us, register, rests = record
        return cls(
            principal=principal,
            identity=identity,
            method=method,
            since_us=since_us,
            register=register,
            rests=rests,
        )


def digest_identity(name: str) -> str:
    """Return what is kept of a proved identity: an address of a person may stand in it."""
    return b64(sha256(b"safehold/identity/1" + name.encode()).digest())
