"""Receipts of choices: what a person keeps of each, to be checked offline.

A receipt opens one commitment of one leaf: what was chosen, when, by whom, under which charter, signed by the person
where they signed. It shows nothing of anybody else, and no key.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import b64
from safehold.errors import UnavailableError
from safehold.ids import PersonId
from safehold.keeper.choices import records_of
from safehold.keeper.own import Own
from safehold.keeper.personal import open_personal
from safehold.keeper.server import Report
from safehold.keeper.voice import require_person
from safehold.ledger.checkpoint import Checkpoint

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

VERSION: Final = "safehold.choice-receipt/1"
MOST: Final = 100  # receipts of one page


class Receipts:
    """The verb by which a person gets the receipts of all their choices, at any time.

    Args:
        desk: What the keeper works with.
        own: Finds the entries of a person.
    """

    def __init__(self, desk: Desk, own: Own) -> None:
        self._desk = desk
        self._own = own

    def receipts(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a receipt of every choice of a person, oldest first, also of those that others entered.

        With ``limit`` the newest so many before the entry ``before``; the page before it ends at ``next``.
        """
        desk = self._desk
        person = require_person(desk, arguments, "people.receipts")
        desk.ledger.publish()
        found = []
        every = self._own.of(person)
        choices = every.index[every.kind == self._own.number("choice")].tolist()
        limit, before = arguments.get("limit"), arguments.get("before")
        if type(before) is int:
            choices = [one for one in choices if one < before]
        shown = choices if type(limit) is not int else choices[-max(1, min(limit, MOST)) :]
        for index, record in records_of(desk, person, among=shown):
            made = choice_receipt(desk, person, index)
            found.append(
                {
                    "entry": index,
                    "choice": record["choice"],
                    "at_us": record.get("at_us"),
                    "by": record.get("by", "operator"),
                    "receipt": made,
                }
            )
        more = len(shown) < len(choices)
        return {"receipts": found, **({"next": shown[0]} if more else {})}


def choice_receipt(desk: Desk, person: PersonId, index: int) -> str | None:
    """Return the receipt of one choice as canonical text; None while no head covers its leaf.

    Args:
        desk: What the keeper works with.
        person: Whose choice.
        index: Its leaf.
    """
    with suppress(UnavailableError):  # a choice counts without its receipt; it can be had later
        desk.ledger.publish()
    note = desk.ledger.head()
    size = Checkpoint.parse(note[: note.rfind(b"\n\n") + 1]).size
    if index >= size:
        return None
    (subject,) = desk.subjects([person])
    opening = desk.ledger.opening(index)
    record = open_personal(subject.key, opening.detail["sealed"])
    if "said" not in opening.detail:  # from before there were receipts
        return None
    said = {
        "v": VERSION,
        "checkpoint": b64(note),
        "index": index,
        "leaf": b64(desk.ledger.leaf(index)),
        "path": [b64(one) for one in desk.ledger.path(index, size)],
        "detail": {"r": b64(opening.blinds["det"]), "value": b64(opening.values["det"])},
        "record": b64(canonical.encode(record)),
    }
    return canonical.encode(said).decode()
