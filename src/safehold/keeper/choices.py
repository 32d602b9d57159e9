"""Leaves about one person's choices: what they chose, and on which devices they are recorded.

They share one kind and one length. A device that is removed right after a person withdrew would otherwise tell
which of the choices that was. Of a person who was erased they can neither be found nor read; how many there are is
in the leaf of the erasure, so that a register put back from before other choices is still noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from safehold import canonical
from safehold.canonical import encode
from safehold.errors import ConflictError, ShreddedError, TamperedError
from safehold.ids import PersonId, random_bytes
from safehold.keeper.personal import handle_of, open_personal, seal_personal
from safehold.ledger import Entry

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

ENROLMENT = "enrolment"
DEVICE = "device"
SAID = b"safehold/said/1"
PAD = 8192  # bytes: what a leaf says of a choice is equally long for all of them


@dataclass(slots=True)
class Newest:
    """What the ledger tells of choices: for each person and each device the newest record.

    Args:
        people: What a person chose last.
        devices: How a device stands, by its public key.
        batches: Digest of each enrolment, over whom it enrolled and what they came with.
        count: How many leaves there are about a person's choices and devices.
        unreadable: How many leaves there are about nobody who is still here.
        erased: For each request of an erasure that began: its leaf, and how many leaves it made unreadable.
        done: Leaves of erasures that are through.
    """

    people: dict[PersonId, dict[str, Any]] = field(default_factory=dict)
    devices: dict[str, dict[str, Any]] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    count: dict[PersonId, int] = field(default_factory=dict)
    unreadable: int = 0
    erased: dict[str, tuple[int, int]] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)

    def pending(self) -> dict[PersonId, str]:
        """Return everybody who asked to be erased and still is here, with the request."""
        return {
            person: record["request"]
            for person, record in self.people.items()
            if record["choice"] == "erase"
        }

    def require_whole(self) -> None:
        """Pass if every unreadable leaf is that of somebody who was erased.

        Raises:
            TamperedError: There are more or fewer: the control database is another one.
        """
        alive = set(self.pending().values())
        if self.unreadable != sum(
            count for request, (_, count) in self.erased.items() if request not in alive
        ):
            raise _another()


def choice_leaf(desk: Desk, person: PersonId, name: str, record: dict[str, Any]) -> Entry:
    """Return the entry of a person's choice; it does not tell one choice from another, nor whose it is.

    Args:
        desk: What the keeper works with.
        person: Whose choice.
        name: Which of their leaves it is: ``person/N`` or ``device/N``.
        record: What they chose.

    Raises:
        ConflictError: Their erasure has begun; it tells how many such leaves there are.
    """
    if person in desk.erasing:
        raise ConflictError(
            "this person is being erased",
            rule="subjects.erasing",
            fix="ask for the erasure again: it carries on where it was",
        )
    (subject,) = desk.subjects([person])
    # the person opens this commitment with their receipt; without the salt it says nothing, also to who guesses
    salted = {**record, "salt": canonical.b64(random_bytes(32))}
    return Entry(
        kind="choice",
        actor="people",
        object=handle_of(subject.key, name),
        detail=padded(
            {"sealed": seal_personal(subject.key, salted), "said": digest_record(encode(salted))}
        ),
        charter=desk.trust.digest(),
        subjects=[subject],
    )


def digest_record(record: bytes) -> str:
    """Return what a leaf says of the record of a choice: a hash of its canonical bytes, salted within; base64."""
    return canonical.b64(sha256(SAID + record).digest())


def records_of(
    desk: Desk, person: PersonId, *, among: Iterable[int] | None = None
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the index and the record of every choice of a person and change of their devices, in order.

    Every leaf of this kind is opened for it, so that which of them are theirs is stored nowhere.

    Args:
        desk: What the keeper works with.
        person: Whose.
        among: Entries to look at; all if absent.
    """
    (subject,) = desk.subjects([person])
    names = [f"person/{one}" for one in range(2, desk.people.version(person) + 2)]
    names += [f"device/{one}" for one in range(1, device_changes(desk, person) + 2)]
    handles = {handle_of(subject.key, one) for one in names}
    leaves = desk.ledger.leaves() if among is None else desk.ledger.pick(among)
    for index, leaf in leaves:
        if leaf["k"] != "choice" or not handles:
            continue
        said = desk.ledger.detail(index)
        if said["object"] in handles:
            handles.discard(said["object"])
            yield index, open_personal(subject.key, said["detail"]["sealed"])


def enrolment_leaf(desk: Desk, people: Iterable[str], record: dict[str, Any]) -> Entry:
    """Return the entry of an enrolment, as long as that of a choice."""
    return Entry(
        kind="choice",
        actor="people",
        object=ENROLMENT,
        detail=padded({"record": record}),
        charter=desk.trust.digest(),
        subjects=desk.subjects(list(people)),
    )


def newest_choices(
    desk: Desk, *, see: Callable[[int, Mapping[str, Any]], None] = lambda _index, _leaf: None
) -> Newest:
    """Return what the ledger tells of everybody's choices and devices.

    Args:
        desk: What the keeper works with.
        see: Told all leaves, in order, so that they are read once for both.

    Raises:
        TamperedError: What some of them were cannot be read, and not because somebody was erased: the control
            database is another one, for example one from before that month.
    """
    newest, held = Newest(), _handles(desk)
    for index, leaf in desk.ledger.leaves():
        see(index, leaf)
        if leaf["k"] == "erasure" and "ref" in leaf:
            if leaf["pub"]["state"] == "done":
                newest.done.add(leaf["ref"])
            continue
        if leaf["k"] not in {"choice", "erasure"}:
            continue
        try:
            said = desk.ledger.detail(index)
        except ShreddedError as error:
            raise _another() from error
        detail = said["detail"]
        if leaf["k"] == "erasure":
            newest.erased.setdefault(said["object"], (index, detail["choices"]))
        elif said["object"] == ENROLMENT:
            newest.batches[detail["record"]["batch"]] = detail["record"]["people"]
        elif (found := held.get(said["object"])) is None:
            newest.unreadable += 1
        else:
            person, key = found
            record = open_personal(key, detail["sealed"])
            newest.count[person] = newest.count.get(person, 0) + 1
            if record["choice"] == DEVICE:
                newest.devices[record["device"]["key"]] = record
            else:
                newest.people[person] = record
    newest.require_whole()
    return newest


def device_changes(desk: Desk, person: PersonId) -> int:
    """Return how many changes of a person's devices the register has seen."""
    return sum(desk.devices.version(one.key) for one in desk.devices.of(person))


def _handles(desk: Desk) -> dict[str, tuple[PersonId, bytes]]:
    """Return everybody's handles of the leaves that the register knows of, and of one more of each sort.

    The leaf comes before the register, so a crash leaves at most one that it does not know.
    """
    held: dict[str, tuple[PersonId, bytes]] = {}
    keys = desk.vault.subjects.living()
    changes: dict[PersonId, int] = {}
    for key, device in desk.devices.everything().items():
        changes[device.person] = changes.get(device.person, 0) + desk.devices.version(key)
    for person in desk.people.everybody():
        if (key_ := keys.get(person)) is None:
            continue
        names = [f"person/{one}" for one in range(2, desk.people.version(person) + 2)]
        names += [f"device/{one}" for one in range(1, changes.get(person, 0) + 2)]
        held |= {handle_of(key_, name): (person, key_) for name in names}
    return held


def _another() -> TamperedError:
    return TamperedError(
        "the control database lacks the key to choices that the ledger holds",
        rule="subjects.rollback",
        fix="put back the newest control database",
    )


def padded(detail: dict[str, Any], size: int = PAD) -> dict[str, Any]:
    """Return a detail that is a multiple of ``size`` bytes long."""
    short = {**detail, "pad": ""}
    return {**detail, "pad": "0" * (-len(canonical.encode(short)) % size)}
