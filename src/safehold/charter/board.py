"""The board: who holds which seat, and what their signatures are worth.

1. A roster is signed by every seat in it, so nobody is a member without having said so with their
   own key.
2. A person counts once, whatever seats they hold; a seat counts once, however often it signs.
3. The stricter of roster and charter decides how many signatures a direction takes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.charter.model import Charter
from safehold.charter.vocabulary import SEATS
from safehold.errors import InvalidError, QuorumError, TamperedError
from safehold.signing import SigningKey, VerifyKey

ROSTER_DOMAIN: Final = "safehold.roster.v1"
ROSTER_VERSION: Final = "safehold-roster/1"
DIRECTIONS: Final = ("widen", "narrow", "stop", "restart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """One seat's signature.

    Args:
        seat: Name of the seat.
        value: 64 bytes.
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
    key: VerifyKey


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
    "widen": Threshold(approve=5, must_include=("privacy", "employee_representative")),
    "narrow": Threshold(approve=1),
    "stop": Threshold(approve=1),
    "restart": Threshold(approve=6),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The seats of the board, with the keys that speak for them.

    Args:
        version: 1 for the first roster of a home.
        seats: The six seats, by name.
        thresholds: Least number of people for each direction.
        signatures: The seats' own signatures over all of the above.
    """

    version: int
    seats: tuple[Seat, ...]
    thresholds: Mapping[str, Threshold]
    signatures: tuple[Signature, ...] = field(default=())

    @classmethod
    def draft(cls, seats: Mapping[str, tuple[str, VerifyKey]]) -> Roster:
        """Return the first roster, not yet signed.

        Args:
            seats: Person and public key for each of the six seats.

        Raises:
            InvalidError: Other seats than the six, or two people who share a key.
        """
        roster = cls(
            version=1,
            seats=tuple(
                Seat(name=name, person=person, key=key)
                for name, (person, key) in sorted(seats.items())
            ),
            thresholds=THRESHOLDS,
        )
        roster._check()
        return roster

    def sign(self, seat: str, key: SigningKey) -> Roster:
        """Return the roster with one more signature.

        Raises:
            InvalidError: The key is not the seat's key.
        """
        if self.seat(seat).key != key.public:
            raise InvalidError("this key does not speak for that seat", rule="roster.key")
        made = Signature(seat=seat, value=key.sign(ROSTER_DOMAIN, canonical.encode(self._body())))
        kept = tuple(old for old in self.signatures if old.seat != seat)
        return replace(self, signatures=(*kept, made))

    def seat(self, name: str) -> Seat:
        """Return a seat.

        Raises:
            InvalidError: The board has no such seat.
        """
        for seat in self.seats:
            if seat.name == name:
                return seat
        raise InvalidError("the board has no such seat", rule="roster.seat")

    def digest(self) -> bytes:
        """Return the SHA-256 of seats, keys and thresholds, 32 bytes."""
        return canonical.digest(self._body())

    def to_json(self) -> dict[str, Any]:
        """Return the signed roster as JSON."""
        return self._body() | {"signatures": [made.to_json() for made in self.signatures]}

    @classmethod
    def open(cls, tree: Any) -> Roster:
        """Read a roster, and check that every seat in it signed it.

        Raises:
            TamperedError: A signature is missing or does not hold.
            InvalidError: It is no roster.
        """
        try:
            roster = cls(
                version=_int(tree["version"]),
                seats=tuple(
                    Seat(
                        name=_str(seat["name"]),
                        person=_str(seat["person"]),
                        key=VerifyKey.from_text(_str(seat["key"])),
                    )
                    for seat in tree["seats"]
                ),
                thresholds={
                    name: Threshold(
                        approve=_int(rule["approve"]),
                        must_include=tuple(_str(seat) for seat in rule["must_include"]),
                    )
                    for name, rule in tree["thresholds"].items()
                },
                signatures=tuple(Signature.from_json(made) for made in tree["signatures"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidError("not a roster", rule="roster.shape") from error
        if roster.to_json() != tree:
            raise InvalidError("not a roster", rule="roster.shape")
        roster._check()
        signed = set()
        body = canonical.encode(roster._body())
        for made in roster.signatures:
            roster.seat(made.seat).key.verify(ROSTER_DOMAIN, body, made.value)
            signed.add(made.seat)
        if missing := sorted(set(SEATS) - signed):
            raise TamperedError(
                f"seats have not signed the roster: {', '.join(missing)}", rule="roster.signed"
            )
        return roster

    def needed(self, direction: str, charter: Charter | None = None) -> Threshold:
        """Return what a direction takes: the stricter of this roster and of a charter.

        Raises:
            InvalidError: There is no such direction.
        """
        if direction not in self.thresholds:
            raise InvalidError("no such direction", rule="roster.direction")
        own = self.thresholds[direction]
        if charter is None:
            return own
        board = charter.oversight
        approve, include = {
            "widen": (board.widen.approve, board.widen.must_include),
            "narrow": (board.narrow.approve, board.narrow.must_include),
            "stop": (board.stop.approve, ()),
            "restart": (board.restart_after_stop.approve, ()),
        }[direction]
        return Threshold(
            approve=max(own.approve, approve),
            must_include=tuple(sorted({*own.must_include, *include})),
        )

    def count(
        self, domain: str, message: bytes, signatures: Iterable[Signature]
    ) -> tuple[tuple[Seat, ...], tuple[str, ...]]:
        """Return the seats whose signature holds, and the names of those whose does not."""
        good: dict[str, Seat] = {}
        bad: list[str] = []
        known = {seat.name: seat for seat in self.seats}
        for made in signatures:
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

    def _body(self) -> dict[str, Any]:
        return {
            "v": ROSTER_VERSION,
            "version": self.version,
            "seats": [
                {"name": seat.name, "person": seat.person, "key": seat.key.text()}
                for seat in self.seats
            ],
            "thresholds": {
                name: {"approve": rule.approve, "must_include": list(rule.must_include)}
                for name, rule in self.thresholds.items()
            },
        }

    def _check(self) -> None:
        if sorted(seat.name for seat in self.seats) != sorted(SEATS):
            raise InvalidError("the board has six seats", rule="roster.seats")
        owners: dict[bytes, str] = {}
        for seat in self.seats:
            if owners.setdefault(seat.key.raw, seat.person) != seat.person:
                raise InvalidError("two people share a key", rule="roster.shared_key")
        if set(self.thresholds) != set(DIRECTIONS):
            raise InvalidError("not the directions of this language", rule="roster.thresholds")
        for name, floor in THRESHOLDS.items():
            rule = self.thresholds[name]
            if rule.approve < floor.approve or not set(floor.must_include) <= set(
                rule.must_include
            ):
                raise InvalidError(
                    f"{name} takes fewer seats than it must", rule="roster.thresholds"
                )


def check_quorum(
    seats: Sequence[Seat], bad: Sequence[str], needed: Threshold, *, rule: str
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
    raise QuorumError(
        "; ".join(parts), rule=rule, fix="collect the missing signatures: safehold charter sign"
    )


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
