"""The verbs about devices: enrol one for a person, remove one, and see them; and the check at every lease.

Unregistered means no key: a lease takes an enrolled device of that very person, and proof that it is the device
who asks. Enrolment, first lease and removal are in the ledger before they count, among the person's choices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safehold.access import check_device
from safehold.canonical import unb64
from safehold.errors import DeniedError, InvalidError, MissingError, SignInError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.choices import DEVICE, Newest, choice_leaf, device_changes
from safehold.keeper.messages import obtain_message
from safehold.keeper.server import Report
from safehold.ledger import Entry, Receipt
from safehold.signing import VerifyKey
from safehold.subjects import Device

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

LONGEST_EVIDENCE = 500  # characters
ADD = "safehold source add --person PERSON --device KEYFILE"


class Sources:
    """The verbs about devices.

    Args:
        desk: What the keeper works with.
        on_removed: Called with a device whose leases must end at once; returns how many ended.
    """

    def __init__(self, desk: Desk, *, on_removed: Callable[[VerifyKey], int]) -> None:
        self._desk = desk
        self._on_removed = on_removed

    def add(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol a device for a person; the same again changes nothing.

        Raises:
            DeniedError: The key stands for somebody else, or was removed.
        """
        desk = self._desk
        person = desk.people.find(str(arguments["person"]))
        device = VerifyKey.from_text(str(arguments["device"]))
        evidence = arguments.get("evidence", "")
        if not isinstance(evidence, str) or len(evidence) > LONGEST_EVIDENCE:
            raise InvalidError("not a short text", field="evidence", rule="source.evidence")
        with desk.lock:
            known = desk.devices.find(device.text())
            if known is not None:
                if not _counts(known, person):
                    raise DeniedError(
                        "this key was enrolled before, for somebody else or until it was removed",
                        rule="source.key",
                        fix="make a new key: one key stands for one person, and once",
                    )
                return {"device": device.key_id, "already": True}
            fresh = Device(person=person, key=device.text(), added_us=desk.now_us())
            receipt = self._log(fresh, evidence=evidence)
            self._put(fresh)
        return {"device": device.key_id, "already": False, "entry": receipt.index}

    def remove(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Remove a device for good: its leases end at once, and it gets none again.

        Raises:
            MissingError: The person has no such device.
        """
        desk = self._desk
        person = desk.people.find(str(arguments["person"]))
        device = VerifyKey.from_text(str(arguments["device"]))
        with desk.lock:
            known = self._of(person, device)
            if known.removed_us is not None:
                return {"device": device.key_id, "already": True, "leases_ended": 0}
            gone = replace(known, removed_us=desk.now_us())
            receipt = self._log(gone)
            ended = self._on_removed(device)  # before the row: no failure there may leave a lease
            self._put(gone)
        return {
            "device": device.key_id,
            "already": False,
            "leases_ended": ended,
            "entry": receipt.index,
        }

    def listing(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the devices of one person, or without a name count those of all."""
        desk = self._desk
        if arguments.get("person") is None:
            known = desk.devices.everything().values()
            return {
                "enrolled": sum(one.removed_us is None for one in known),
                "recorded": sum(one.used_us is not None for one in known),
                "removed": sum(one.removed_us is not None for one in known),
            }
        person = desk.people.find(str(arguments["person"]))
        return {
            "devices": [
                {
                    "device": VerifyKey.from_text(one.key).key_id,
                    "key": one.key,
                    "added_us": one.added_us,
                    "first_lease_us": one.used_us,
                    "removed_us": one.removed_us,
                }
                for one in desk.devices.of(person)
            ]
        }

    def admit(self, arguments: dict[str, Any]) -> tuple[PersonId, VerifyKey]:
        """Return the person and the device that asks for a lease.

        Raises:
            DeniedError: It has not proved over a fresh nonce who it is, is no enrolled device of the person, or there
                is no such person. Which of these is not told: anybody may ask, over a network too.
        """
        desk = self._desk
        refused = DeniedError(
            "no enrolled device of this person has proved itself", rule="lease.device", fix=ADD
        )
        device = VerifyKey.from_text(str(arguments["device"]))
        proof, nonce = (
            unb64(str(arguments.get("proof", ""))),
            unb64(str(arguments.get("nonce", ""))),
        )
        external = str(arguments["person"])
        message = obtain_message(external)
        try:
            check_device(device, desk.nonces.spend(nonce, desk.now_us()), message, proof)
        except SignInError as error:
            raise refused from error
        known = desk.devices.find(device.text())
        person = desk.people.find(external) if desk.people.knows(external) else None
        if known is None or person is None or not _counts(known, person):
            raise refused
        return person, device

    def require_counting(self, person: PersonId, device: VerifyKey) -> None:
        """Pass if a device that was admitted still is one of the person's: it may have been removed since.

        Raises:
            DeniedError: It is not.
        """
        known = self._desk.devices.find(device.text())
        if known is None or not _counts(known, person):
            raise DeniedError("this device was removed", rule="lease.device", fix=ADD)

    def first_of(
        self, person: PersonId, device: VerifyKey, before: Sequence[Device]
    ) -> tuple[Device, Entry] | None:
        """Return a device that is about to get its first lease, and the leaf that says so before it does.

        From then on every gap record names it. Nothing is returned of one that had a lease. Whoever asks holds the
        desk's lock until the leaf is durable and ``put_first`` was called.

        Args:
            person: Whose.
            device: The device.
            before: Those whose leaves go into the ledger in front of this one, in the same commit.
        """
        known = self._of(person, device)
        if known.used_us is not None or any(one.key == known.key for one in before):
            return None
        used = replace(known, used_us=self._desk.now_us())
        return used, self._leaf(used, {}, ahead=sum(one.person == person for one in before))

    def put_first(self, devices: Sequence[Device]) -> None:
        """Write devices that get their first lease; what says so is in the ledger already."""
        held = self._desk.devices
        if devices:
            held.put_all([(one, held.version(one.key) + 1) for one in devices])

    def require_known(self, external: str, device: VerifyKey) -> PersonId:
        """Return whose device it is or was, if it is the named person's; a stranger's word could hide or block a gap.

        Raises:
            DeniedError: It never was theirs, or nobody has this name; which of these is not told.
        """
        try:
            person = self._desk.people.find(external)
            self._of(person, device)
        except MissingError as error:
            raise DeniedError(
                "this device is not one of this person", rule="gap.device", fix=ADD
            ) from error
        return person

    def recover(self, newest: Newest) -> None:
        """Compare the register with the ledger, and finish a change that a crash cut short.

        Raises:
            TamperedError: The register is not the one that the ledger tells of: it was edited, or an older or
                another copy was put back.
        """
        held = self._desk.devices
        wrong = TamperedError(
            "the register of devices is not the one that the ledger tells of",
            rule="source.rollback",
            fix="put back the newest control database",
        )
        for key, record in newest.devices.items():
            told, version = Device.from_record(record["device"]), int(record["version"])
            if held.version(key) == version - 1:
                held.put(told, version=version)
            elif held.version(key) != version or held.find(key) != told:
                raise wrong
        if held.everything().keys() - newest.devices.keys():
            raise wrong

    def _of(self, person: PersonId, device: VerifyKey) -> Device:
        known = self._desk.devices.find(device.text())
        if known is None or known.person != person:
            raise MissingError(
                "this person has no such device",
                rule="source.device",
                fix="safehold source devices",
            )
        return known

    def _log(self, device: Device, **more: str) -> Receipt:
        (receipt,) = self._desk.log(self._leaf(device, more))
        return receipt

    def _leaf(self, device: Device, more: Mapping[str, str], *, ahead: int = 0) -> Entry:
        """Return the leaf of a change, with so many others of the person's devices just in front of it."""
        record = {
            "choice": DEVICE,
            "device": device.to_record(),
            "version": self._desk.devices.version(device.key) + 1,
            **more,
        }
        name = f"device/{device_changes(self._desk, device.person) + 1 + ahead}"
        return choice_leaf(self._desk, device.person, name, record)

    def _put(self, device: Device) -> None:
        self._desk.devices.put(device, version=self._desk.devices.version(device.key) + 1)


def _counts(device: Device, person: PersonId) -> bool:
    return device.person == person and device.removed_us is None
