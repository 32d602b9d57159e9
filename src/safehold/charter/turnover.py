"""One change of the board: what it may be, what is voted on, and the roster that follows from it.

1. A version of the roster changes one thing: a seat's key (``rotate``), a seat's holder (``replace``), the expiry
   (``renew``), or the witnesses by whose clocks a notice counts (``witnesses``).
2. Thresholds, and who may hold several seats, stay as every seat signed them in the first version.
3. What the seats vote on is the change and not the roster that follows: a key that somebody rotates meanwhile makes
   another roster of it and neither ends the proposal nor spoils a vote.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from safehold import canonical
from safehold.charter.board import Seat
from safehold.charter.pinned import Pinned
from safehold.charter.roster import Roster
from safehold.errors import InvalidError
from safehold.signing import SpeakingKey, speaking_key

CHANGE_VERSION: Final = "safehold-roster-change/1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a version changes.

    Args:
        kind: ``rotate``, ``replace``, ``renew`` or ``witnesses``.
        seat: The seat whose key or holder changes.
        person: Who holds it from then on.
        key: Its new key.
        expires_s: The new expiry, seconds since 1970-01-01 UTC.
        pinned: The new witnesses.
    """

    kind: str
    seat: str = ""
    person: str = ""
    key: SpeakingKey | None = None
    expires_s: int = 0
    pinned: Pinned | None = None

    def digest(self, home: str) -> bytes:
        """Return the SHA-256 of what the seats of a home vote on, 32 bytes."""
        return canonical.digest({"v": CHANGE_VERSION, "home": home, **self.to_json()})

    def newcomer(self) -> Seat | None:
        """Return the seat as it is after a replacement; its new key has to agree as well."""
        if self.kind != "replace" or self.key is None:
            return None
        return Seat(name=self.seat, person=self.person, key=self.key)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        match self.kind:
            case "renew":
                return {"kind": self.kind, "expires_s": self.expires_s}
            case "witnesses":
                return {"kind": self.kind, "pinned": (self.pinned or Pinned()).to_json()}
            case _:
                key = "" if self.key is None else self.key.text()
                return {"kind": self.kind, "seat": self.seat, "person": self.person, "key": key}

    @classmethod
    def from_json(cls, tree: Any) -> Change:
        """Read what ``to_json`` made.

        Raises:
            InvalidError: It is no change of a roster.
        """
        match tree:
            case {"kind": "renew", "expires_s": int(expires_s)} if len(tree) == 2:
                return cls(kind="renew", expires_s=expires_s)
            case {"kind": "witnesses", "pinned": pinned} if len(tree) == 2:
                return cls(kind="witnesses", pinned=Pinned.from_json(pinned))
            case {
                "kind": "rotate" | "replace" as kind,
                "seat": str(seat),
                "person": str(person),
                "key": str(key),
            } if len(tree) == 4:
                return cls(kind=kind, seat=seat, person=person, key=speaking_key(key))
            case _:
                raise InvalidError("not a change of the roster", rule="roster.change")


def follow_up(old: Roster, change: Change) -> Roster:
    """Return the version that follows a roster by one change, not yet agreed to.

    Raises:
        InvalidError: It changes nothing, or more than one thing.
    """
    seats = list(old.seats)
    if change.seat:
        held = old.seat(change.seat)
        seats[seats.index(held)] = Seat(
            name=held.name, person=change.person, key=change.key or held.key
        )
    made = replace(
        old,
        version=old.version + 1,
        previous=old.digest().hex(),
        expires_s=change.expires_s or old.expires_s,
        seats=tuple(seats),
        pinned=old.pinned if change.pinned is None else change.pinned,
        signatures=(),
    )
    made.check()
    if change_of(old, made) != change:
        raise InvalidError("a roster changes one thing at a time", rule="roster.change")
    return made


def change_of(old: Roster, new: Roster) -> Change:
    """Return the one thing that a version changes.

    Raises:
        InvalidError: It does not follow, or changes nothing, something else, or more than one thing.
    """
    if new.version != old.version + 1 or new.previous != old.digest().hex() or new.home != old.home:
        raise InvalidError(
            "this roster does not follow the present one",
            rule="roster.version",
            fix="draw it up again from the present roster: safehold board",
        )
    if new.thresholds != old.thresholds or new.several != old.several:
        raise InvalidError("thresholds of a roster never change", rule="roster.thresholds")
    changed = [(was, now) for was, now in zip(old.seats, new.seats, strict=True) if was != now]
    same = (not changed, new.expires_s == old.expires_s, new.pinned == old.pinned)
    if same == (True, False, True) and new.expires_s > old.expires_s:
        return Change(kind="renew", expires_s=new.expires_s)
    if same == (True, True, False):
        return Change(kind="witnesses", pinned=new.pinned)
    if same == (False, True, True) and len(changed) == 1:
        was, now = changed[0]
        if was.key == now.key:
            raise InvalidError("a new holder brings a key of their own", rule="roster.old_key")
        kind = "rotate" if was.person == now.person else "replace"
        return Change(kind=kind, seat=was.name, person=now.person, key=now.key)
    raise InvalidError("a roster changes one thing at a time", rule="roster.change")


def next_roster(
    old: Roster,
    *,
    seat: str = "",
    person: str = "",
    key: SpeakingKey | None = None,
    expires_s: int | None = None,
    pinned: Pinned | None = None,
) -> Roster:
    """Return the version that follows, not yet agreed to.

    Args:
        old: The present version.
        seat: The seat that changes.
        person: Who holds it from now on; whoever holds it now if empty.
        key: Its new key.
        expires_s: New expiry, instead of a seat.
        pinned: New witnesses, instead of a seat.

    Raises:
        InvalidError: It changes nothing, or more than one thing.
    """
    if pinned is not None:
        return follow_up(old, Change(kind="witnesses", pinned=pinned))
    if expires_s is not None:
        return follow_up(old, Change(kind="renew", expires_s=expires_s))
    held = old.seat(seat)
    named = person or held.person
    if key is None or key == held.key:
        raise InvalidError("a new holder brings a key of their own", rule="roster.old_key")
    kind = "rotate" if named == held.person else "replace"
    return follow_up(old, Change(kind=kind, seat=seat, person=named, key=key))
