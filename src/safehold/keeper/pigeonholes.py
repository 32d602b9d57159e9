"""What the portals of a home leave with its keeper, so that they behave as one: in memory, for minutes, bounded.

Proofs that were used, how often an address signed in, notes about work that goes on. Notes are sealed by the portals
and named by their keyed hashes; nothing here is anybody's right. It ends with the keeper: a proof from before it began
counts for nothing then, and portals put the notes of what they still carry out again.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import InvalidError
from safehold.keeper.answered import HELD_US, Answered, name_of
from safehold.keeper.server import Report, Verb

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SKEW_S: Final = 60  # a proof is taken so long before and after its time
MOST_SPENT: Final = 200_000
MOST_COUNTED: Final = 20_000
MOST_NOTES: Final = 4_000
MOST_EACH: Final = 20  # notes of one owner
LARGEST: Final = 2 << 20  # bytes of a note
ROOM: Final = 64 << 20  # bytes of all notes
LIFE_US: Final = 3_600 * SECOND_US
MOST_HELD: Final = 4_000  # names in one call


@dataclass(slots=True)
class _Note:
    owner: str
    record: bytes
    at_us: int
    held_us: int  # until when its portal is believed to be at work on it; 0 once it is over


class Pigeonholes:
    """The verbs ``portal.spend``, ``portal.count``, ``portal.put``, ``portal.notes`` and ``portal.hold``.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._answered = Answered(desk)
        # the second in which it began is over for proofs: one of it may have been used before
        self._began_s = desk.now_us() // SECOND_US + 1
        self._spent: OrderedDict[str, int] = OrderedDict()
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._notes: dict[str, _Note] = {}
        self._size = 0

    def verbs(self) -> dict[str, Verb]:
        """Return them by name."""
        return {
            "portal.spend": self.spend,
            "portal.count": self.count,
            "portal.put": self.put,
            "portal.notes": self.notes,
            "portal.hold": self.hold,
            **self._answered.verbs(),
        }

    def spend(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Note that a proof was used; return ``fresh`` the first time, else why it does not count.

        ``spent``: it was used before, at any portal; ``before``: its time is before this keeper began to lead, so
        nobody knows; ``full``: there are too many at once.
        """
        name, at_s = name_of(arguments["name"]), int(arguments["at_s"])
        now_s = self._desk.now_us() // SECOND_US
        with self._lock:
            while self._spent and next(iter(self._spent.values())) < now_s:
                self._spent.popitem(last=False)
            if name in self._spent:
                return {"state": "spent"}
            if at_s < self._began_s:
                return {"state": "before"}
            if len(self._spent) >= MOST_SPENT:
                return {"state": "full"}
            # a client whose clock runs ahead: the time of its proof does not tell whether it was used before
            if now_s < self._began_s + 2 * SKEW_S and self._answered.was_spent(name):
                return {"state": "spent"}
            if at_s > now_s:
                self._answered.keep_spent(name)
            self._spent[name] = now_s + 2 * SKEW_S + 1
        return {"state": "fresh"}

    def count(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Count one more of somebody, at all portals together; return how many are left (0: one too many)."""
        name, most = name_of(arguments["name"]), int(arguments["a_minute"])
        if not 0 < most <= 1_000_000:
            raise InvalidError("not a limit", rule="portal.count")
        now = self._desk.now_us()
        with self._lock:
            left, since = self._counts.pop(name, (float(most), now))
            left = min(float(most), left + (now - since) * most / (60 * SECOND_US))
            self._counts[name] = (max(0.0, left - 1), now)
            while len(self._counts) > MOST_COUNTED:
                self._counts.popitem(last=False)
        return {"left": int(left)}

    def put(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Keep a sealed note of an owner, or its newer text; return ``kept``, or ``full``.

        Raises:
            InvalidError: It is too long.
        """
        name, owner = name_of(arguments["name"]), name_of(arguments["owner"])
        record, now = unb64(str(arguments["record"])), self._desk.now_us()
        if len(record) > LARGEST:
            raise InvalidError("a note is too long", rule="portal.note")
        held = 0 if arguments.get("over") is True else now + HELD_US
        with self._lock:
            self._sweep(now)
            old = self._notes.get(name)
            if old is None and (
                len(self._notes) >= MOST_NOTES
                or sum(one.owner == owner for one in self._notes.values()) >= MOST_EACH
            ):
                return {"state": "full"}
            size = self._size - (len(old.record) if old else 0) + len(record)
            if size > ROOM:
                return {"state": "full"}
            self._size = size
            self._notes[name] = _Note(owner, record, old.at_us if old else now, held)
        return {"state": "kept"}

    def notes(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return the notes of an owner, or one of them; of each whether its portal is silent (``lost``)."""
        owner, now = name_of(arguments["owner"]), self._desk.now_us()
        name = name_of(arguments["name"]) if "name" in arguments else None
        with self._lock:
            self._sweep(now)
            found = [
                {
                    "name": key,
                    "record": b64(one.record),
                    "lost": 0 < one.held_us <= now,
                }
                for key, one in self._notes.items()
                if one.owner == owner and name in (None, key)
            ]
        return {"notes": found}

    def hold(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Note that a portal is still at work on some requests and notes; return the notes that are not here."""
        requests = [name_of(one) for one in list(arguments["requests"])[:MOST_HELD]]
        notes = [name_of(one) for one in list(arguments["notes"])[:MOST_HELD]]
        self._answered.hold(requests)
        now = self._desk.now_us()
        with self._lock:
            for name in notes:
                if (one := self._notes.get(name)) is not None and one.held_us:
                    one.held_us = now + HELD_US
            return {"missing": [name for name in notes if name not in self._notes]}

    def _sweep(self, now: int) -> None:
        for name in [key for key, one in self._notes.items() if now - one.at_us > 2 * LIFE_US or (
            not one.held_us and now - one.at_us > LIFE_US)]:  # fmt: skip
            self._size -= len(self._notes.pop(name).record)
