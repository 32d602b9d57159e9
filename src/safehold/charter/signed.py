"""A charter and the signatures under it: what the board has agreed to.

Signatures cover the canonical bytes of a charter, so nothing that is read differently was signed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold.charter.board import Roster, Signature, check_quorum
from safehold.charter.model import DOMAIN, Charter
from safehold.errors import InvalidError
from safehold.signing import SigningKey

SIGNED_VERSION: Final = "safehold-signed-charter/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCharter:
    """A charter that the board has agreed to; only ``verify`` makes one.

    Args:
        charter: What was signed.
        signatures: Those that hold.
        direction: What they were counted for.
        roster: Digest of the roster they were checked against.
    """

    charter: Charter
    signatures: tuple[Signature, ...]
    direction: str
    roster: bytes

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, to be stored."""
        return {
            "v": SIGNED_VERSION,
            "charter": self.charter.to_json(),
            "direction": self.direction,
            "signatures": [made.to_json() for made in self.signatures],
        }

    @classmethod
    def from_json(cls, tree: Any, roster: Roster) -> SignedCharter:
        """Read what ``to_json`` made, and check the signatures again.

        Raises:
            InvalidError: It is no signed charter.
            QuorumError: The signatures do not suffice.
        """
        match tree:
            case {
                "v": str(version),
                "charter": charter,
                "direction": str(direction),
                "signatures": list(signatures),
            } if version == SIGNED_VERSION and len(tree) == 4:
                return verify(
                    Charter.from_json(charter),
                    [Signature.from_json(made) for made in signatures],
                    roster,
                    direction=direction,
                )
            case _:
                raise InvalidError("not a signed charter", rule="board.signed_charter")


def sign(charter: Charter, seat: str, key: SigningKey) -> Signature:
    """Return a seat's signature over the canonical bytes of a charter."""
    return Signature(seat=seat, value=key.sign(DOMAIN, charter.encode()))


def verify(
    charter: Charter,
    signatures: Sequence[Signature],
    roster: Roster,
    *,
    direction: str = "widen",
) -> SignedCharter:
    """Return the charter as signed.

    Args:
        charter: What was signed.
        signatures: In any order; those that do not hold are not counted.
        roster: The board.
        direction: ``widen`` (also the first charter of a home) or ``narrow``.

    Raises:
        QuorumError: Too few different people signed, a seat that must sign did not, or nobody
            signed at all.
    """
    needed = roster.needed(direction, charter)
    good, bad = roster.count(DOMAIN, charter.encode(), signatures)
    check_quorum(good, bad, needed, rule=f"charter.quorum.{direction}")
    kept = {made.seat: made for made in signatures if _holds(roster, charter, made)}
    return SignedCharter(
        charter=charter,
        signatures=tuple(made for _, made in sorted(kept.items())),
        direction=direction,
        roster=roster.digest(),
    )


def _holds(roster: Roster, charter: Charter, made: Signature) -> bool:
    good, _ = roster.count(DOMAIN, charter.encode(), [made])
    return bool(good)
