"""Who opened somebody's data, by name; and what that somebody is not told yet: both decided by the board alone.

A person's trail names role, purpose, recipe and time of every use, and never who it was. Rules:
1. To tell them who it was (``identity``), or to withhold what a use was beyond its time, kind and purpose (``delay``),
   takes what a widening takes: five people, privacy and the employee representative among them.
2. A decision names one person and the entries it is about, and ends: one about names after 30 days, a delay after 90.
   A delay goes before a name.
3. It is a leaf about that person before it counts. They find it in their trail at once, also a delay: that something
   is withheld, and until when, is never withheld. Which entries it is about is sealed under their own key.
4. No entry is ever left out: the proof that a trail is complete has no exception.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.charter import Signature
from safehold.charter.board import check_quorum
from safehold.clock import DAY_US, SECOND_US
from safehold.errors import DeniedError, InvalidError, MissingError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.personal import handle_of, open_personal, seal_personal
from safehold.keeper.server import Report
from safehold.ledger import Entry
from safehold.ledger.package import TOLD

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.disclosure/1"
DOMAIN: Final = "safehold.disclosure.v1"
LEAF: Final = "disclosure"
IDENTITY, DELAY = "identity", "delay"
LONGEST_US: Final[Mapping[str, int]] = {IDENTITY: 30 * DAY_US, DELAY: 90 * DAY_US}
LIFE_US: Final = 3 * DAY_US  # five seats sign on five machines
MOST: Final = 64  # entries of one decision
LONGEST_REASON: Final = 500  # characters
ACTOR: Final = "act"


def write_order(
    what: str,
    *,
    home: str,
    person: str,
    entries: Sequence[int],
    reason: str,
    at_us: int,
    until_us: int,
) -> bytes:
    """Return a decision as it is signed.

    Args:
        what: ``identity`` or ``delay``.
        home: Id of the home.
        person: The company's name for whom it is about.
        entries: Leaves of the uses.
        reason: Why, in a sentence.
        at_us: When it is drawn up, microseconds.
        until_us: When it ends.
    """
    return canonical.encode(
        {
            "v": VERSION,
            "home": home,
            "what": what,
            "person": person,
            "entries": list(entries),
            "reason": reason,
            "at_us": at_us,
            "until_us": until_us,
        }
    )


class Disclosures:
    """The verb ``people.disclose``, and what its decisions come to.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._seen = 0
        self._found: list[int] = []

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take the next leaf of the ledger."""
        self._seen = index + 1
        if leaf["k"] == LEAF:
            self._found.append(index)

    def keep_up(self) -> list[int]:
        """Read what came since; return the leaves of all decisions."""
        with self._lock:
            for index, leaf in self._desk.ledger.leaves(self._seen):
                self.note(index, leaf)
            return list(self._found)

    def told(self, person: PersonId) -> Mapping[int, Sequence[str]]:
        """Return what of which entries is told to a person now, where a decision says otherwise than the rule."""
        desk, now = self._desk, self._desk.now_us()
        (subject,) = desk.subjects([str(person)])
        named: dict[int, str] = {}
        found = self.keep_up()
        for index in found:
            try:
                said = open_personal(subject.key, desk.ledger.detail(index)["detail"]["sealed"])
            except TamperedError:
                continue  # somebody else's
            if now >= said["until_us"]:
                continue
            for entry in said["entries"]:
                if named.get(entry) != DELAY:
                    named[entry] = said["what"]
        return {
            entry: () if what == DELAY else ("obj", "det", ACTOR) for entry, what in named.items()
        }

    def disclose(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a decision of the board about what one person is told.

        Raises:
            QuorumError: Fewer seats signed it than a widening takes.
            DeniedError: It is of another home or time, ends too late, or was taken already.
            MissingError: Nobody of that name is enrolled, or there is no such use.
        """
        desk = self._desk
        text = str(arguments["order"]).encode()
        said = _read(text, home=desk.home.id)
        now, longest = desk.now_us(), LONGEST_US[said["what"]]
        if not now - LIFE_US <= said["at_us"] <= now + SECOND_US:
            raise DeniedError(
                "a decision of another time", rule="disclosure.time", fix="draw it up anew"
            )
        if not now < said["until_us"] <= said["at_us"] + longest:
            raise DeniedError(
                f"this ends after {longest // DAY_US} days at most", rule="disclosure.until"
            )
        made = [Signature.from_json(one) for one in arguments["signatures"]]
        seats, bad = desk.trust.roster.count(DOMAIN, text, made)
        needed = desk.trust.roster.needed("widen", desk.trust.charter())
        check_quorum(seats, bad, needed, rule="disclosure.quorum", fix="let further seats sign it")
        person = desk.people.find(said["person"])
        self._require_uses(said["entries"])
        key = f"{LEAF}/{canonical.digest(said).hex()}"
        with desk.lock:
            if desk.ledger.find(key) is not None:
                raise DeniedError("this was decided already", rule="disclosure.again")
            (subject,) = desk.subjects([str(person)])
            record = {
                "what": said["what"],
                "entries": said["entries"],
                "reason": said["reason"],
                "until_us": said["until_us"],
                "seats": sorted(one.name for one in seats),
            }
            (receipt,) = desk.log(
                Entry(
                    kind=LEAF,
                    actor="board",
                    object=handle_of(subject.key, key),
                    detail={"sealed": seal_personal(subject.key, record)},
                    charter=desk.trust.digest(),
                    public={"state": said["what"], "until": said["until_us"] // SECOND_US},
                    subjects=[subject],
                    key=key,
                )
            )
        return {"entry": receipt.index, "what": said["what"], "until_us": said["until_us"]}

    def _require_uses(self, entries: Sequence[int]) -> None:
        ledger = self._desk.ledger
        for index in entries:
            leaves = list(ledger.leaves(index, index + 1)) if index < ledger.size else []
            if not leaves or leaves[0][1]["k"] not in TOLD:
                raise MissingError("there is no such use", rule="disclosure.entry")


def _read(text: bytes, *, home: str) -> dict[str, Any]:
    wrong = InvalidError("not a decision about what somebody is told", rule="disclosure.order")
    match canonical.decode(text):
        case {
            "v": "safehold.disclosure/1", "home": str(named), "what": str(what), "person": str(),
            "entries": list(entries), "reason": str(reason), "at_us": int(), "until_us": int(),
        } as said if len(said) == 8 and what in LONGEST_US:  # fmt: skip
            if named != home:
                raise DeniedError("a decision for another home", rule="disclosure.order")
            if not 0 < len(reason) <= LONGEST_REASON or not reason.isprintable():
                raise wrong
            if not 0 < len(set(map(str, entries))) == len(entries) <= MOST:
                raise wrong
            if not all(type(one) is int and one >= 0 for one in entries):
                raise wrong
            return dict(said)
        case _:
            raise wrong
