"""The verbs by which a person checks what was done with their data, and an auditor that nothing is left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from safehold.canonical import b64, unb64
from safehold.errors import InvalidError
from safehold.keeper.disclosure import Disclosures
from safehold.keeper.server import Report
from safehold.keeper.voice import require_person
from safehold.ledger.audit import make_bundle, seal_bundle
from safehold.ledger.index import Closed
from safehold.ledger.package import make_package, make_receipt

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk


class Trail:
    """The verbs.

    Args:
        desk: What the keeper works with.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.disclosures = Disclosures(desk)

    def close(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Close the present epoch of the ledger and write its root; nothing if nothing came since."""
        closed = self._desk.index.close()
        self._desk.ledger.publish()
        return {
            "closed": [_shown(one) for one in closed],
            "epochs": self._desk.ledger.epochs.closed(),
        }

    def receipt(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what commits the keeper to a person's keys, for them to keep."""
        desk = self._desk
        person = require_person(desk, arguments, "people.receipt")
        (subject,) = desk.subjects([person])
        made = make_receipt(subject.key, origin=desk.ledger.origin, size=desk.ledger.size)
        return {"receipt": made.decode()}

    def trail(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return a person's package, complete up to this moment."""
        desk = self._desk
        person = require_person(desk, arguments, "people.trail")
        desk.index.close()
        desk.ledger.publish()
        (subject,) = desk.subjects([person])
        told = self.disclosures.told(person)
        return {"package": make_package(desk.ledger, desk.index, subject.key, told).decode()}

    def audit(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return everybody's keys of one epoch with every entry's items, sealed to an auditor; no names."""
        desk = self._desk
        epoch = arguments["epoch"]
        if type(epoch) is not int or epoch < 0:
            raise InvalidError("an epoch is a whole number", field="epoch", rule="index.epoch")
        keys = desk.vault.subjects.living().values()
        bundle = make_bundle(desk.index, epoch, keys, origin=desk.ledger.origin)
        return {
            **_shown(desk.index.entry_of(epoch)),
            "bundle": b64(seal_bundle(bundle, unb64(str(arguments["auditor"])))),
        }


def _shown(closed: Closed) -> dict[str, Any]:
    return {
        "epoch": closed.epoch,
        "first": closed.first,
        "stop": closed.stop,
        "entry": closed.entry,
        "root": closed.root.hex(),
    }
