"""The board: its seats, what their signatures are worth, and how many it takes.

1. A person counts once, whatever seats they hold; a seat counts once, however often it signs.
2. What a direction takes is never less than ``THRESHOLDS``, whatever a roster or a charter says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError, QuorumError, TamperedError
from safehold.signing import SpeakingKey

DIRECTIONS: Final = ("widen", "narrow", "stop", "restart")
CHANGES: Final = ("replace", "renew")  # of the roster; rotating a key is its holder's own affair
VETO: Final = ("privacy", "employee_representative")
MOST_SIGNATURES: Final = 64  # on one order


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One seat's signature.

    Args:
        seat: Name of the seat.
        value: 64 bytes, or the packed assertion of a passkey.
    """

    seat: str
    value: bytes

    def to_json(self) -> dict[str, str]:
        """Return it as JSON."""
        return {"seat": self.seat, "value": b64(self.value)}

    @classmethod
    def from_json(cls, tree: Any) -> Signature:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is something else.
        """
        match tree:
            case {"seat": str(seat), "value": str(text)} if len(tree) == 2:
                return cls(seat=seat, value=unb64(text))
            case _:
                raise InvalidError("not a signature", rule="board.signature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """One place on the board.

    Args:
        name: Name of the seat.
        person: Id of the person who holds it.
        key: Their public key.
    """

    name: str
    person: str
    key: SpeakingKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """How many people must sign, and which seats always.

    Args:
        approve: Number of different people.
        must_include: Seats without which it does not count.
    """

    approve: int
    must_include: tuple[str, ...] = ()


THRESHOLDS: Final[Mapping[str, Threshold]] = {
    "widen": Threshold(approve=5, must_include=VETO),
    "narrow": Threshold(approve=1),
    "stop": Threshold(approve=1),
    "restart": Threshold(approve=6),
    # besides the seat that is replaced; with notice, or as many as widen (see ``succession``)
    "replace": Threshold(approve=4, must_include=VETO),
    "renew": Threshold(approve=4, must_include=VETO),
}


def stricter(first: Threshold, *others: Threshold) -> Threshold:
    """Return what satisfies all of several thresholds."""
    every = (first, *others)
    return Threshold(
        approve=max(one.approve for one in every),
        must_include=tuple(sorted({seat for one in every for seat in one.must_include})),
    )


def count(
    seats: Iterable[Seat], domain: str, message: bytes, signatures: Iterable[Signature]
) -> tuple[tuple[Seat, ...], tuple[str, ...]]:
    """Return the seats whose signature holds, and the names of those whose does not.

    Raises:
        InvalidError: There are more than any board could give: whoever hands them in would keep all others waiting.
    """
    made_by = list(islice(signatures, MOST_SIGNATURES + 1))
    if len(made_by) > MOST_SIGNATURES:
        raise InvalidError(
            f"more than {MOST_SIGNATURES} signatures", field="signatures", rule="quorum.signatures"
        )
    good: dict[str, Seat] = {}
    bad: list[str] = []
    known = {seat.name: seat for seat in seats}
    for made in made_by:
        seat = known.get(made.seat)
        if seat is None:
            bad.append("a seat that does not exist")
            continue
        try:
            seat.key.verify(domain, message, made.value)
        except TamperedError:
            bad.append(seat.name)
        else:
            good[seat.name] = seat
    return tuple(good.values()), tuple(bad)


def check_quorum(
    seats: Sequence[Seat],
    bad: Sequence[str],
    needed: Threshold,
    *,
    rule: str,
    fix: str = "collect the missing signatures: safehold charter sign",
) -> None:
    """Check that enough different people, and the seats that must, are among those who signed.

    Raises:
        QuorumError: They are not; the message names seats and counts, never people.
    """
    people = {seat.person for seat in seats}
    missing = sorted(set(needed.must_include) - {seat.name for seat in seats})
    if len(people) >= needed.approve and not missing:
        return
    parts = [f"{len(people)} of {needed.approve} people have signed"]
    if len(people) < len(seats):
        parts.append("a person who holds several seats counts once")
    if missing:
        parts.append(f"missing: {', '.join(missing)}")
    if bad:
        parts.append(f"not valid: {', '.join(bad)}")
    raise QuorumError("; ".join(parts), rule=rule, fix=fix)
