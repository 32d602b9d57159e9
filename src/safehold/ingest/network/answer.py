"""What is said of an envelope over the network, and how envelopes lie one behind the other in a request."""

from __future__ import annotations

import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from safehold.access.envelope import ALREADY, LATER, REFUSED, STORED
from safehold.errors import DeniedError, InvalidError, UnavailableError

KIND: Final = "application/vnd.safehold.envelopes"
MOST: Final = 256  # envelopes in one request
LARGEST: Final = 16 << 20  # bytes of one request
_LENGTH: Final = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of one envelope.

    Args:
        state: ``stored``, ``already``, ``refused``, or ``later``: try again.
        rule: Why not, where it was not taken; a rule, never what is inside.
    """

    state: str
    rule: str = ""

    @property
    def final(self) -> bool:
        """Whether it will not be answered in another way."""
        return self.state != LATER

    @property
    def taken(self) -> bool:
        """Whether its rows are stored."""
        return self.state in (STORED, ALREADY)

    def to_json(self) -> dict[str, str]:
        """Return it as it is sent."""
        return {"state": self.state, **({"rule": self.rule} if self.rule else {})}

    @classmethod
    def read(cls, value: Any) -> Answer:
        """Return the answer in what was sent.

        Raises:
            UnavailableError: It is none.
        """
        match value:
            case {"state": str(state)} if state in (STORED, ALREADY, REFUSED, LATER):
                return cls(state, str(value.get("rule") or ""))
            case _:
                raise UnavailableError("not an answer about an envelope", rule="ingest.answer")

    def require_taken(self) -> None:
        """Pass if the rows are stored.

        Raises:
            DeniedError: They never will be.
            UnavailableError: They are not yet.
        """
        if self.taken:
            return
        if self.final:
            raise DeniedError("the envelope was refused", rule=self.rule or None)
        raise UnavailableError("the envelope was not taken yet", rule=self.rule or None)


def prove_answer(envelope: bytes, answer: Answer) -> str:
    """Return what shows that an answer is of somebody who has read the envelope under its cover; hexadecimal.

    A queue carries answers as well. Without this, whoever runs it could drop an envelope and say that it was stored.
    """
    key = sha256(b"safehold.answer\0" + envelope).digest()
    return hmac.digest(key, f"{answer.state}\0{answer.rule}".encode(), "sha256").hex()


def join_envelopes(envelopes: Sequence[bytes]) -> bytes:
    """Return envelopes as the body of one request: each with its length (u32, big-endian) before it."""
    return b"".join(part for one in envelopes for part in (_LENGTH.pack(len(one)), one))


def split_envelopes(body: bytes) -> list[bytes]:
    """Return the envelopes in the body of a request.

    Raises:
        InvalidError: It holds none, too many, or something else.
    """
    found: list[bytes] = []
    at = 0
    while at < len(body):
        if len(found) == MOST or len(body) - at < _LENGTH.size:
            raise _wrong()
        (length,) = _LENGTH.unpack_from(body, at)
        at += _LENGTH.size
        if not 0 < length <= len(body) - at:
            raise _wrong()
        found.append(body[at : at + length])
        at += length
    if not found:
        raise _wrong()
    return found


def _wrong() -> InvalidError:
    return InvalidError(f"not 1 to {MOST} whole envelopes", rule="ingest.body")
