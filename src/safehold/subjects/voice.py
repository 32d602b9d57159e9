"""By which key a person speaks, and how they came to it.

Rules:
1. A first key is set with a one-time code that was handed to the person; a code is good for fourteen days, once.
2. Whoever has the key changes it by signing for the new one; that counts at once.
3. A key that was replaced with a code (the person lost theirs, or somebody says so) may narrow at once; it reads and
   widens only after seven days, in which the old key still speaks and may take its place again.
4. A sign-in that is linked to the person reads and narrows, and never widens; see ``link``. Beside it a key that a code
   set rests as if it had replaced another.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any, Final

from safehold.canonical import b64
from safehold.clock import DAY_US
from safehold.errors import DeniedError
from safehold.subjects.link import REST_US, Link

CODE_LIFE_US: Final = 14 * DAY_US
BY_SIGN_IN: Final = "sign-in"  # what spoke before a key, where that was no key


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """The keys of one person.

    Args:
        key: Ed25519 public key, base64, or passkey; empty before there is one.
        since_us: When it was set.
        before: The key it replaced with a code, base64; counts until the rest is over.
        code: Hash of an open one-time code, base64, or empty.
        code_us: When the code was made.
        link: The sign-in that speaks for them, if one is linked.
    """

    key: str = ""
    since_us: int = 0
    before: str = ""
    code: str = ""
    code_us: int = 0
    link: Link | None = None

    @property
    def speaks(self) -> bool:
        """Whether the person speaks for themselves, by a key or by a sign-in."""
        return bool(self.key) or self.link is not None

    def keys(self, at_us: int) -> tuple[str, ...]:
        """Return the keys that may say something narrowing now."""
        before = self.before if self.resting(at_us) else ""
        return tuple(one for one in (self.key, before) if one not in {"", BY_SIGN_IN})

    def trusted(self, at_us: int) -> tuple[str, ...]:
        """Return the keys that may read and widen now."""
        if self.resting(at_us):
            return () if self.before == BY_SIGN_IN else (self.before,)
        return (self.key,) if self.key else ()

    def resting(self, at_us: int) -> bool:
        """Return whether the key replaced another with a code a short while ago."""
        return bool(self.before) and at_us < self.since_us + REST_US

    def invite(self, digest: str, *, at_us: int) -> Voice:
        """Return it with an open code; an earlier one ends."""
        return replace(self, code=digest, code_us=at_us)

    def admit(self, code: str, *, at_us: int) -> None:
        """Pass if a code is the open one.

        Raises:
            DeniedError: There is none, it is another, or it is too old.
        """
        right = self.code and hmac.compare_digest(self.code, digest_code(code))
        if not right or at_us >= self.code_us + CODE_LIFE_US:
            raise DeniedError(
                "no such code is open for this person",
                rule="subjects.code",
                fix="ask for a new one: safehold people invite",
            )

    def take(self, key: str, *, at_us: int, by_code: bool) -> Voice:
        """Return it with another key; the code, if one was open, is used up."""
        before = ""
        if by_code and self.speaks:
            before = (self.before if self.resting(at_us) else self.key) or BY_SIGN_IN
        return Voice(key=key, since_us=at_us, before=before, link=self.link)

    def join(self, link: Link, *, by_code: bool) -> Voice:
        """Return it with a sign-in that speaks too; the code, if one made it, is used up."""
        if by_code:
            return replace(self, link=replace(link, rests=self.speaks), code="", code_us=0)
        return replace(self, link=link)

    def unlink(self) -> Voice:
        """Return it without a sign-in."""
        return replace(self, link=None)

    def disown(self, *, at_us: int) -> Voice:
        """Return it without what a code made beside another voice and that still rests."""
        kept = self
        if self.resting(at_us):
            before = "" if self.before == BY_SIGN_IN else self.before
            kept = replace(kept, key=before, before="", since_us=at_us)
        if self.link is not None and self.link.resting(at_us):
            kept = replace(kept, link=None)
        return kept

    def to_record(self) -> list[Any]:
        """Return it as canonical JSON values; nothing if nothing is set."""
        if self == NOBODY:
            return []
        said = [self.key, self.since_us, self.before, self.code, self.code_us]
        return said if self.link is None else [*said, self.link.to_record()]

    @classmethod
    def from_record(cls, record: Sequence[Any]) -> Voice:
        """Read what ``to_record`` wrote."""
        if not record:
            return NOBODY
        key, since_us, before, code, code_us, *more = record
        return cls(
            key=key,
            since_us=since_us,
            before=before,
            code=code,
            code_us=code_us,
            link=Link.from_record(more[0]) if more else None,
        )


NOBODY: Final = Voice()


def digest_code(code: str) -> str:
    """Return what is kept of a one-time code: 128 random bits need no slow hash."""
    return b64(sha256(b"safehold/code/1" + code.strip().upper().encode()).digest())
