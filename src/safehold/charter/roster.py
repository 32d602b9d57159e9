"""One version of the roster: who holds which seat, and until when that stands.

1. The first version is signed by every seat in it, so nobody is a member without having said so with their own
   key; ``succession`` says who must sign a later one.
2. A person holds one seat, unless the roster names them as somebody who holds several; they count once.
3. A roster belongs to one home and names the version before it, so none stands in for another.
4. It names the witnesses by whose clocks a notice counts; whoever edits a list elsewhere chooses nobody.
5. The stricter of roster and charter decides how many signatures a direction takes.

After its expiry a roster still stops and narrows; it widens and resumes nothing until it is renewed. The chain of
versions follows The Update Framework's root (TUF specification, "Update the root role").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from safehold import canonical
from safehold.charter.board import (
    CHANGES,
    DIRECTIONS,
    THRESHOLDS,
    Seat,
    Signature,
    Threshold,
    count,
    stricter,
)
from safehold.charter.model import Charter
from safehold.charter.pinned import Pinned
from safehold.charter.vocabulary import SEATS
from safehold.errors import InvalidError, TamperedError
from safehold.signing import SigningKey, SpeakingKey, speaking_key

ROSTER_DOMAIN: Final = "safehold.roster.v3"
ROSTER_VERSION: Final = "safehold-roster/3"
STANDING_VERSION: Final = "safehold-standing/1"
DAY_S: Final = 86_400
LIFE_S: Final = 365 * DAY_S  # of a new roster
LONGEST_LIFE_S: Final = 400 * DAY_S  # that a roster may have before it when it is enacted


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """The seats of the board, with the keys that speak for them.

    Args:
        home: Id of the home whose board it is.
        version: 1 for the first roster of a home.
        previous: Digest of the version before it, hex; empty for the first.
        expires_s: Until when it may widen, seconds since 1970-01-01 UTC.
        seats: The six seats, by name.
        several: People who may hold several seats; each still counts once.
        thresholds: Least number of people for each direction and each change of the roster.
        pinned: The witnesses by whose clocks a notice counts.
        signatures: Signatures over all of the above: every seat's under the first version, and those of the old and
            the new key under one that changes a key. All else is agreed to by votes (``succession``).
    """

    home: str
    version: int
    previous: str
    expires_s: int
    seats: tuple[Seat, ...]
    several: tuple[str, ...]
    thresholds: Mapping[str, Threshold]
    pinned: Pinned = field(default=Pinned())
    signatures: tuple[Signature, ...] = field(default=())

    @classmethod
    def draft(
        cls,
        seats: Mapping[str, tuple[str, SpeakingKey]],
        *,
        home: str,
        now_s: int,
        several: Iterable[str] = (),
        pinned: Pinned | None = None,
    ) -> Roster:
        """Return the first roster of a home, not yet signed.

        Args:
            seats: Person and public key for each of the six seats.
            home: Id of the home.
            now_s: The present time, seconds.
            several: People who may hold several seats.
            pinned: The witnesses by whose clocks a notice counts; without any no notice ever ends.

        Raises:
            InvalidError: Other seats than the six, two people who share a key, or a person in several seats
                who is not named for it.
        """
        roster = cls(
            home=home,
            version=1,
            previous="",
            expires_s=now_s + LIFE_S,
            seats=tuple(
                Seat(name=name, person=person, key=key)
                for name, (person, key) in sorted(seats.items())
            ),
            several=tuple(sorted(several)),
            thresholds=THRESHOLDS,
            pinned=pinned or Pinned(),
        )
        roster.check()
        return roster

    def sign(self, seat: str, key: SigningKey) -> Roster:
        """Return the roster with one more signature by a seat of this version.

        Raises:
            InvalidError: The key is not the seat's key.
        """
        if self.seat(seat).key != key.public:
            raise InvalidError("this key does not speak for that seat", rule="roster.key")
        return self.add(Signature(seat=seat, value=key.sign(ROSTER_DOMAIN, self.message())))

    def add(self, made: Signature) -> Roster:
        """Return the roster with one more signature, unchecked; a rotation has two by one seat."""
        return replace(self, signatures=(*(one for one in self.signatures if one != made), made))

    def seat(self, name: str) -> Seat:
        """Return a seat.

        Raises:
            InvalidError: The board has no such seat.
        """
        for seat in self.seats:
            if seat.name == name:
                return seat
        raise InvalidError("the board has no such seat", rule="roster.seat")

    def message(self) -> bytes:
        """Return what is signed: canonical bytes of everything but the signatures."""
        return canonical.encode(self._body())

    def digest(self) -> bytes:
        """Return the SHA-256 of what is signed, 32 bytes."""
        return canonical.digest(self._body())

    def standing(self) -> bytes:
        """Return the SHA-256 of everything but keys and version, 32 bytes: what no holder changes alone.

        A proposal is about this, so it outlives any number of rotated keys.
        """
        body = self._body()
        return canonical.digest(
            {
                "v": STANDING_VERSION,
                "seats": [{"name": seat.name, "person": seat.person} for seat in self.seats],
                **{
                    name: body[name]
                    for name in ("home", "expires_s", "several", "thresholds", "pinned")
                },
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Return the roster with its signatures as JSON."""
        return self._body() | {"signatures": [made.to_json() for made in self.signatures]}

    @classmethod
    def from_json(cls, tree: Any) -> Roster:
        """Read what ``to_json`` made; no signature is checked.

        Raises:
            InvalidError: It is no roster.
        """
        try:
            roster = cls(
                home=_str(tree["home"]),
                version=_int(tree["version"]),
                previous=_str(tree["previous"]),
                expires_s=_int(tree["expires_s"]),
                seats=tuple(
                    Seat(
                        name=_str(seat["name"]),
                        person=_str(seat["person"]),
                        key=speaking_key(_str(seat["key"])),
                    )
                    for seat in tree["seats"]
                ),
                several=tuple(_str(person) for person in tree["several"]),
                thresholds={
                    name: Threshold(
                        approve=_int(rule["approve"]),
                        must_include=tuple(_str(seat) for seat in rule["must_include"]),
                    )
                    for name, rule in tree["thresholds"].items()
                },
                pinned=Pinned.from_json(tree["pinned"]),
                signatures=tuple(Signature.from_json(made) for made in tree["signatures"]),
            )
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise InvalidError("not a roster", rule="roster.shape") from error
        if roster.to_json() != tree:
            raise InvalidError("not a roster", rule="roster.shape")
        roster.check()
        return roster

    @classmethod
    def open(cls, tree: Any) -> Roster:
        """Read the first roster of a home, and check that every seat in it signed it.

        Raises:
            TamperedError: A signature is missing or does not hold, or it is no first roster.
            InvalidError: It is no roster.
        """
        roster = cls.from_json(tree)
        if roster.version != 1 or roster.previous:
            raise TamperedError("the chain of rosters does not begin here", rule="roster.version")
        signed, bad = roster.count(ROSTER_DOMAIN, roster.message(), roster.signatures)
        if bad:
            raise TamperedError("a signature of the roster does not hold", rule="roster.signed")
        if missing := sorted(set(SEATS) - {seat.name for seat in signed}):
            raise TamperedError(
                f"seats have not signed the roster: {', '.join(missing)}", rule="roster.signed"
            )
        return roster

    def needed(self, direction: str, *charters: Charter) -> Threshold:
        """Return what a direction takes: the strictest of this roster and of some charters.

        Raises:
            InvalidError: There is no such direction.
        """
        if direction not in self.thresholds:
            raise InvalidError("no such direction", rule="roster.direction")
        return stricter(
            self.thresholds[direction],
            *(_asked(direction, charter) for charter in charters if direction in DIRECTIONS),
        )

    def count(
        self, domain: str, message: bytes, signatures: Iterable[Signature]
    ) -> tuple[tuple[Seat, ...], tuple[str, ...]]:
        """Return the seats whose signature holds, and the names of those whose does not."""
        return count(self.seats, domain, message, signatures)

    def _body(self) -> dict[str, Any]:
        return {
            "v": ROSTER_VERSION,
            "home": self.home,
            "version": self.version,
            "previous": self.previous,
            "expires_s": self.expires_s,
            "seats": [
                {"name": seat.name, "person": seat.person, "key": seat.key.text()}
                for seat in self.seats
            ],
            "several": list(self.several),
            "thresholds": {
                name: {"approve": rule.approve, "must_include": list(rule.must_include)}
                for name, rule in self.thresholds.items()
            },
            "pinned": self.pinned.to_json(),
        }

    def check(self) -> None:
        """Check what holds of every version by itself.

        Raises:
            InvalidError: It does not.
        """
        if [seat.name for seat in self.seats] != sorted(SEATS):
            raise InvalidError("the board has six seats", rule="roster.seats")
        owners: dict[bytes, str] = {}
        for seat in self.seats:
            if owners.setdefault(seat.key.raw, seat.person) != seat.person:
                raise InvalidError("two people share a key", rule="roster.shared_key")
        if not {made.seat for made in self.signatures} <= set(SEATS):
            raise InvalidError("a signature by a seat that does not exist", rule="roster.seat")
        people = [seat.person for seat in self.seats]
        if doubled := {one for one in people if people.count(one) > 1} - set(self.several):
            raise InvalidError(
                f"{len(doubled)} people hold several seats and are not named for it",
                rule="roster.several",
                fix="give each seat to a person of its own; where that cannot be, the roster names them",
            )
        self.pinned.check()
        if set(self.thresholds) != {*DIRECTIONS, *CHANGES}:
            raise InvalidError("not the directions of this language", rule="roster.thresholds")
        for name, floor in THRESHOLDS.items():
            if stricter(self.thresholds[name], floor) != stricter(self.thresholds[name]):
                raise InvalidError(
                    f"{name} takes fewer seats than it must", rule="roster.thresholds"
                )


def _asked(direction: str, charter: Charter) -> Threshold:
    """Return what a charter asks of the board for a direction."""
    board = charter.oversight
    match direction:
        case "widen":
            return Threshold(approve=board.widen.approve, must_include=board.widen.must_include)
        case "narrow":
            return Threshold(approve=board.narrow.approve, must_include=board.narrow.must_include)
        case "stop":
            return Threshold(approve=board.stop.approve)
        case _:
            return Threshold(approve=board.restart_after_stop.approve)


def _int(value: Any) -> int:
    if type(value) is not int:
        raise TypeError
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value
