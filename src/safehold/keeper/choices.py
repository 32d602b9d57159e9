"""Leaves about one person's choices: what they chose, and on which devices they are recorded.

They share one kind and one length. A device that is removed right after a person withdrew would otherwise tell
which of the choices that was.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from safehold import canonical
from safehold.errors import ShreddedError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.desk import Desk
from safehold.ledger import Entry

ENROLMENT = "enrolment"
DEVICE = "device"
PAD = 4096  # bytes: what a leaf says of a choice is equally long for all of them


@dataclass(slots=True)
class Newest:
    """What the ledger tells of choices: for each person and each device the newest record.

    Args:
        people: What a person chose last.
        devices: How a device stands, by its public key.
        batches: Digest of each enrolment, over whom it enrolled and what they came with.
    """

    people: dict[PersonId, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)


def choice_leaf(desk: Desk, subject: str, people: list[str], record: dict[str, Any]) -> Entry:
    """Return the entry of a choice; it does not tell one choice from another."""
    return Entry(
        kind="choice",
        actor="people",
        object=subject,
        detail=_padded(record),
        charter=desk.trust.digest(),
        subjects=desk.subjects(people),
    )


def newest_choices(desk: Desk) -> Newest:
    """Return what the ledger tells of everybody's choices and devices.

    Raises:
        TamperedError: What some of them were cannot be read. Nothing ends the details of choices yet, so their key is
            gone because the control database is another one, for example one from before that month.
    """
    newest = Newest()
    for index, leaf in desk.ledger.leaves():
        if leaf["k"] != "choice":
            continue
        try:
            said = desk.ledger.detail(index)
        except ShreddedError as error:
            raise TamperedError(
                "the control database lacks the key to choices that the ledger holds",
                rule="subjects.rollback",
                fix="put back the newest control database",
            ) from error
        record = said["detail"]
        del record["pad"]
        if record["choice"] == DEVICE:
            newest.devices[record["device"]["key"]] = record
        elif said["object"] == ENROLMENT:
            newest.batches[record["batch"]] = record["people"]
        else:
            newest.people[PersonId(said["object"])] = record
    return newest


def _padded(record: dict[str, Any]) -> dict[str, Any]:
    short = {**record, "pad": ""}
    return {**record, "pad": "0" * (-len(canonical.encode(short)) % PAD)}
