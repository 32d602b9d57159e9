"""Erasure: a person's keys are destroyed, and what is left of them says nothing.

Steps, each durable before the next, each repeatable after a crash:

1. *choice*    a leaf like that of any other choice; from here nothing of them is used or recorded
2. *index*     the epoch of the ledger ends, so that the index of it still knows them
3. *begin*     sandboxes that hold rows of them are ended; a leaf of kind ``erasure`` commits to the request and to what
               becomes of everything that was made from them, and tells how many leaves become unreadable
4. *destroy*   their data keys and their ledger key, and what hid who was in which entry of epochs that are over
   and the keys of tables that were made from them and others; what can be made again without them is made later, and
   a third leaf, with ``ref``, tells so: see ``rebuilding``
5. *forget*    blocks, devices, marks and their row in the register; a voucher stays, so that the enrolment adds up
6. *result*    the database is scrubbed of what was deleted, then a second leaf, with ``ref``, that tells whether it was
               in time

The deadline is the charter's: what it says of a withdrawal. Both leaves, with what they commit to, are the receipt.

One that fails on the way keeps its request: asking again carries it on, and the person can choose nothing else, since
the leaf of step 3 tells how many choices there were.

Between 4 and 5 the register still has a row of somebody without a key; between 1 and 4 their newest choice is an
erasure. Both are found at the next start and carried on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from safehold import canonical, db, ids
from safehold.canonical import b64
from safehold.errors import InvalidError, MissingError, TamperedError, UnavailableError
from safehold.ids import PersonId
from safehold.keeper.choices import Newest, device_changes, padded
from safehold.keeper.crowd import Crowd, read_choice
from safehold.keeper.deadlines import deadline
from safehold.keeper.effects import Effects, conclude
from safehold.keeper.rebuilding import Rebuilding, amend
from safehold.keeper.server import Report
from safehold.ledger import Entry, Receipt
from safehold.ledger.package import erasure_receipt

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

_LOG = logging.getLogger(__name__)
LONGEST_EVIDENCE = 500  # characters
PAD = 4096  # bytes: how much was made from somebody does not show in the length of a leaf


def _go_on(_step: str) -> None:
    """Let a step begin."""


class Erasure:
    """The verb, and what carries on after a crash.

    Args:
        desk: What the keeper works with.
        crowd: Writes the choice.
        effects: Finds what was made from somebody.
        rebuilding: Ends tables of several people, and knows what became of them.
        on_silence: Called with a person and a reason when recording must end at once; it must not wait for a
            witness, since nobody else can choose meanwhile.
        on_gone: Called with a person whose keys are destroyed, to forget what others keep of them.
    """

    def __init__(
        self,
        desk: Desk,
        crowd: Crowd,
        effects: Effects,
        rebuilding: Rebuilding,
        *,
        on_silence: Callable[[PersonId, str], object],
        on_gone: Callable[[PersonId], None],
    ) -> None:
        self._desk = desk
        self._crowd = crowd
        self._effects = effects
        self._rebuilding = rebuilding
        self._on_silence = on_silence
        self._on_gone = on_gone
        # the leaves of erasures that are not through: once the keys are gone nothing is asked of them again
        self._begun: dict[str, int] = {}
        self.reached: Callable[[str], None] = _go_on  # told each step; tests crash there

    def erase(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Erase one person, and return what proves to them that the erasure of their request is in the ledger."""
        desk = self._desk
        evidence = arguments["evidence"]
        if not isinstance(evidence, str) or not 0 < len(evidence) <= LONGEST_EVIDENCE:
            raise InvalidError("not a short text", field="evidence", rule="subjects.evidence")
        return self.begin(desk.people.find(str(arguments["person"])), {"evidence": evidence})

    def begin(self, person: PersonId, said: Mapping[str, Any]) -> dict[str, Any]:
        """Erase one person.

        Args:
            person: Who.
            said: What is recorded of who asked for it, and how.
        """
        with self._desk.lock:
            request = self._desk.erasing.get(person)  # one that was cut short is carried on
            if request is None:
                request = self._choose(person, said)
            self._on_silence(person, "withdrawn")
            done = self._carry_on(person, request)
        # nobody waits for the witnesses of somebody else's erasure
        return done | self._told(done["entry"], done["result"])

    def _choose(self, person: PersonId, said: Mapping[str, Any]) -> str:
        """Write the choice of a person to be erased, and return the request."""
        request = ids.opaque_id("ers")
        asked = self._desk.now_us()
        record = {
            "choice": "erase",
            "at_us": asked,
            "request": request,
            **said,
        }
        self._desk.asked[request] = asked
        self.reached("choice")
        try:
            self._crowd.record(person, record, read_choice(record))
        except UnavailableError:  # no word of it can be kept, but nobody records on meanwhile
            self._on_silence(person, "withdrawn")
            raise
        return request

    def recover(self, newest: Newest) -> None:
        """Carry on with erasures that a crash cut short after the keys were destroyed.

        Raises:
            TamperedError: The key of somebody is gone who was not being erased.
        """
        desk = self._desk
        keyless = sorted(desk.people.everybody().keys() - desk.vault.subjects.living().keys())
        waiting = set(newest.pending().values())
        begun = [
            (request, leaf)
            for request, (leaf, _) in newest.erased.items()
            if leaf not in newest.done and request not in waiting
        ]
        if len(keyless) > len(begun):
            raise TamperedError(
                "the ledger key of somebody is gone who was not erased",
                rule="subjects.rollback",
                fix="put back the newest control database",
            )
        for person in keyless:
            self._forget(person)
        for owner in desk.vault.owners() - desk.people.everybody().keys():
            desk.vault.shred(person=owner)  # made by what was under way while they were erased
        try:
            for request, leaf in begun:
                self._rebuilding.end(leaf)
                self._finish(request, leaf)
        except UnavailableError as error:  # a ledger that only reads: the next start writes it
            _LOG.warning("an erasure gets its result later: %s", error.rule)

    def resume(self, newest: Newest) -> None:
        """Carry on with erasures that a crash cut short before the keys were destroyed.

        Raises:
            UnavailableError: The ledger only reads; nothing of these people is used until it does more.
        """
        pending = newest.pending()
        for person, request in pending.items():
            self._desk.asked[request] = int(newest.people[person]["at_us"])
        self._desk.erasing |= pending  # also those whose turn does not come
        for person, request in pending.items():
            self._carry_on(person, request)

    def _carry_on(self, person: PersonId, request: str) -> dict[str, Any]:
        desk = self._desk
        desk.erasing[person] = request
        self.reached("index")
        desk.index.close()
        self.reached("begin")
        desk.end_runs(person)
        begun = self._begun.get(request)
        if begun is None:
            begun = self._begun[request] = self._begin(person, request)
        opening = desk.ledger.opening(begun)
        self.reached("destroy")
        desk.gone.add(person)
        shredded = desk.vault.shred(person=person, handles_before=desk.ledger.epochs.current)
        desk.index.forget()
        self._rebuilding.end(begun)
        self.reached("forget")
        self._forget(person)
        self.reached("result")
        done = self._finish(request, begun)
        del self._begun[request]
        return {
            "request": request,
            "keys": shredded.keys,
            "entry": begun,
            "result": done.index,
            "leaf": b64(desk.ledger.leaf(begun)),
            "r": b64(opening.blinds["obj"]),
        }

    def _begin(self, person: PersonId, request: str) -> int:
        """Append the leaf that begins an erasure, with what was made from the person, and return its index."""
        desk = self._desk
        asked = desk.asked[request]
        (begun,) = desk.log(
            Entry(
                kind="erasure",
                actor="people",
                object=request,
                detail=padded(
                    {
                        "choices": desk.people.version(person) - 1 + device_changes(desk, person),
                        "effects": self._effects.of(person),
                        "asked_us": asked,
                        "due_us": deadline(desk, asked),
                    },
                    PAD,
                ),
                charter=desk.trust.digest(),
                public={"state": "begun"},
                key=f"erasure/{request}",
            )
        )
        return begun.index

    def _forget(self, person: PersonId) -> None:
        desk = self._desk
        empty = desk.catalog.erase(person)
        desk.vault.remove(empty)
        desk.devices.forget(person)
        self._on_gone(person)
        desk.people.erase(person)
        desk.asked.pop(desk.erasing.pop(person, ""), None)

    def _told(self, begun: int, done: int) -> dict[str, Any]:
        desk = self._desk
        first, last = (desk.ledger.detail(index)["detail"] for index in (begun, done))
        amended = self._rebuilding.amendments(begun)
        later = [desk.ledger.detail(index)["detail"]["effects"][0] for index in amended]
        effects = amend(first.get("effects", []), later)
        receipt = None
        try:
            desk.ledger.publish()
            receipt = erasure_receipt(desk.ledger, begun, done, amended).decode()
        except (
            UnavailableError,
            MissingError,
        ) as error:  # it can be asked for by its request, later
            _LOG.warning("a receipt is made later: %s", error.rule)
        return {
            "effects": effects,
            **conclude(effects),
            "asked_us": first.get("asked_us", 0),
            "due_us": first.get("due_us", 0),
            "done_us": last.get("done_us", 0),
            "late": last.get("late", False),
            "receipt": receipt,
        }

    def erased(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return every erasure, or the receipt of one by its request; whose they were nobody can say any more."""
        desk = self._desk
        wanted = arguments.get("request")
        if wanted is not None and not isinstance(wanted, str):
            raise InvalidError("not a request", field="request", rule="subjects.request")
        found: dict[str, dict[str, Any]] = {
            request: {"request": request, "state": "asked", "due_us": deadline(desk, asked)}
            for request, asked in desk.asked.items()
            if request in desk.erasing.values()
        }
        for index, leaf in desk.ledger.leaves():
            if leaf["k"] != "erasure":
                continue
            said = desk.ledger.detail(index)
            request = said["object"]
            if "ref" not in leaf:
                due = said["detail"].get("due_us", 0)
                found[request] = {"request": request, "state": "begun", "due_us": due}
            elif leaf["pub"]["state"] == "done":
                found[request] |= {"state": "done", **self._done(leaf["ref"], index, wanted)}
        if wanted is None:
            return {"erasures": list(found.values())}
        if wanted not in found:
            raise MissingError("no such request", rule="subjects.request")
        return found[wanted]

    def _done(self, begun: int, done: int, wanted: Any) -> dict[str, Any]:
        told = {"entry": begun, "result": done}
        if wanted is not None and self._desk.ledger.detail(done)["object"] == wanted:
            told |= self._told(begun, done)
        return told

    def _finish(self, request: str, begun: int) -> Receipt:
        desk = self._desk
        db.truncate_wal(desk.engine)  # until then the main file still holds their row as it was
        due = desk.ledger.detail(begun)["detail"].get("due_us", canonical.LARGEST)
        now = desk.now_us()
        (receipt,) = desk.log(
            Entry(
                kind="erasure",
                actor="keeper",
                object=request,
                detail={"done_us": now, "due_us": due, "late": now > due},
                charter=desk.trust.digest(),
                public={"state": "done"},
                ref=begun,
                key=f"erasure/{request}/done",
            )
        )
        return receipt
