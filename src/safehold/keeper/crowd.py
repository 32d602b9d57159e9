"""The verbs about people: enrol, choose, and see what one chose.

A choice is in the ledger before it counts. Consent, pause, resumption and withdrawal share one kind of leaf,
so that the ledger does not tell who did which.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from safehold import canonical
from safehold.errors import InvalidError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.choices import Newest, choice_leaf, enrolment_leaf, newest_choices
from safehold.keeper.desk import Desk
from safehold.keeper.server import Report
from safehold.ledger import Receipt
from safehold.subjects import Batch, Pause, Standing
from safehold.telemetry.schema import STREAMS

LONGEST_NAME = 200  # characters
MOST_PEOPLE = 100_000  # in one call
MOST_PAUSES = 1_000
PERSON = frozenset({"person", "jurisdiction", "streams", "pauses"})
Change = Callable[[Standing], Standing]
SILENT = {"pause": "pause", "withdraw": "withdrawn"}


class Crowd:
    """The verbs about people.

    Args:
        desk: What the keeper works with.
        on_silence: Called with a person and a reason when recording must end at once.
        on_sound: Called with a person when recording may begin again.
        on_trouble: Called instead of ``on_silence`` when the ledger could not take the choice.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        on_silence: Callable[[PersonId, str], object],
        on_sound: Callable[[PersonId], None],
        on_trouble: Callable[[PersonId, str], object],
    ) -> None:
        self._desk = desk
        self._on_silence = on_silence
        self._on_sound = on_sound
        self._on_trouble = on_trouble
        self._unfinished: dict[
            PersonId, tuple[str, Change]
        ] = {}  # in the ledger, not in the register

    def enrol(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol people with where they work and what they opted in to; known ones are left alone."""
        desk = self._desk
        evidence = _text(arguments["evidence"], "evidence", 500)
        now = desk.now_us()
        fresh: list[Standing] = []
        named: set[str] = set()
        for given in _list(arguments["people"], "people", MOST_PEOPLE):
            if not isinstance(given, dict) or not set(given) <= PERSON:
                raise InvalidError("not a person", field="people", rule="subjects.enrol")
            external = _text(given.get("person"), "person", LONGEST_NAME)
            if external in named:
                raise InvalidError("somebody is named twice", rule="subjects.enrol")
            named.add(external)
            streams = _streams(given.get("streams", []))
            standing = Standing(
                external=external,
                jurisdiction=_text(given.get("jurisdiction"), "jurisdiction", 16),
                pauses=_pauses(given.get("pauses", [])),
            )
            if desk.people.knows(external):
                continue
            if streams:
                standing = standing.consent(streams, at_us=now, evidence=evidence)
            fresh.append(standing)

        def note(batch: Batch) -> None:
            # one padded leaf for the whole batch: how many opted in is not readable from it
            record = {
                "choice": "enrol",
                "evidence": evidence,
                "batch": batch.id,
                "people": batch.digest,
            }
            desk.log(enrolment_leaf(desk, [str(name) for name in batch.people], record))

        with desk.lock:
            # somebody else may have enrolled some of them in the meantime
            fresh = [one for one in fresh if not desk.people.knows(one.external)]
            names = desk.people.enrol(fresh, first=note)
        return {"enrolled": len(names), "known": len(named) - len(names)}

    def choose(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Record a choice of one person: consent, pause, resume or withdraw."""
        desk = self._desk
        person = desk.people.find(_text(arguments["person"], "person", LONGEST_NAME))
        choice = arguments["choice"]
        record: dict[str, Any] = {"choice": choice, "at_us": desk.now_us()}
        if choice == "consent":
            record["streams"] = sorted(_streams(arguments["streams"]))
            record["evidence"] = _text(arguments["evidence"], "evidence", 500)
        how = read_choice(record)
        try:
            receipt = self.record(person, record, how)
        except Exception:
            if choice in SILENT:  # whatever came of it, nobody records on meanwhile
                self._on_trouble(person, SILENT[choice])
            raise
        if choice in SILENT:
            self._on_silence(person, SILENT[choice])
        else:
            self._on_sound(person)
        return {"choice": choice, "at_us": record["at_us"], "entry": receipt.index}

    def record(self, person: PersonId, record: dict[str, Any], how: Change) -> Receipt:
        """Write a choice to the ledger, then to the register."""
        desk = self._desk
        with desk.lock:  # two choices at once must not get one number
            if person in self._unfinished:  # its leaf is durable, so it comes first
                self._take(person, *self._unfinished[person])
            record["version"] = desk.people.version(person) + 1
            record["standing"] = how(desk.people.standing(person)).digest()
            name = f"person/{record['version']}"
            (receipt,) = desk.log(choice_leaf(desk, person, name, record))
            self._unfinished[person] = (record["choice"], how)
            self._take(person, record["choice"], how)
        return receipt

    def recover(self, newest: Newest) -> None:
        """Compare the register with the ledger, and finish a choice that a crash cut short.

        A batch of which nobody is here was cut short before its rows, and nobody came of it.

        Raises:
            TamperedError: The register is not the one that the ledger tells of: it was edited, or an older or
                another copy was put back.
        """
        for person, choice, how in self._behind(newest):
            self._take(person, choice, how)

    def check(self) -> None:
        """Pass if the register of people is what they chose themselves, and nobody was let off or in by hand.

        A choice that is in the ledger and did not reach the register is taken up.

        Raises:
            TamperedError: It is not.
        """
        self.recover(newest_choices(self._desk))

    def _behind(self, newest: Newest) -> Iterator[tuple[PersonId, str, Change]]:
        """Yield the choices that are in the ledger and not yet in the register.

        Raises:
            TamperedError: The register is not the one that the ledger tells of.
        """
        people = self._desk.people
        wrong = TamperedError(
            "the register of people is not the one that the ledger tells of",
            rule="subjects.rollback",
            fix="put back the newest control database",
        )
        if not people.batches().items() <= newest.batches.items():
            raise wrong
        everybody = people.everybody()
        if newest.people.keys() - everybody.keys():
            raise wrong
        for person, standing in everybody.items():
            if person in self._desk.erasing and person in self._desk.gone:
                continue  # their keys are destroyed and their row is next: nothing of them can be compared
            record, version = newest.people.get(person), people.version(person)
            if record is None:  # has chosen nothing since the enrolment
                if version != 1 or standing.digest() != people.origin(person).first:
                    raise wrong
                continue
            behind, how = record["version"] - version, read_choice(record)
            if behind not in (0, 1):
                raise wrong
            if (how(standing) if behind else standing).digest() != record["standing"]:
                raise wrong
            if behind:
                yield person, record["choice"], how

    def _take(self, person: PersonId, choice: str, how: Change) -> None:
        desk = self._desk
        if choice in {"consent", "withdraw", "erase"}:
            # before the register: no crash may leave features of streams that were taken back
            desk.catalog.forget_derived(person)
        desk.people.change(person, how)
        self._unfinished.pop(person, None)

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what one person chose."""
        desk = self._desk
        person = desk.people.find(_text(arguments["person"], "person", LONGEST_NAME))
        record = desk.people.standing(person).to_record()
        record["paused"] = desk.people.standing(person).paused(desk.now_us())
        return record

    def count(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how many are enrolled, take part, have paused and have withdrawn."""
        now = self._desk.now_us()
        everybody = self._desk.people.everybody().values()
        return {
            "enrolled": len(everybody),
            "participating": sum(bool(one.streams) and not one.paused(now) for one in everybody),
            "paused": sum(one.paused(now) for one in everybody),
            "withdrawn": sum(one.withdrawn_us is not None for one in everybody),
            "erased": self._desk.people.erased,
        }


def read_choice(record: Mapping[str, Any]) -> Change:
    """Return what a recorded choice makes of a standing.

    Raises:
        InvalidError: There is no such choice.
    """
    at = int(record["at_us"])
    match record["choice"]:
        case "consent":
            streams, evidence = frozenset(record["streams"]), str(record["evidence"])
            return lambda standing: standing.consent(streams, at_us=at, evidence=evidence)
        case "pause":
            return lambda standing: standing.pause(at_us=at)
        case "resume":
            return lambda standing: standing.resume(at_us=at)
        case "withdraw" | "erase":  # whoever asks to be erased is out at once; the keys follow
            return lambda standing: standing.withdraw(at_us=at)
        case _:
            raise InvalidError("no such choice", rule="subjects.choice")


def _list(given: Any, field: str, most: int) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        raise InvalidError("not a list, or too long", field=field, rule="subjects.list")
    return given


def _pauses(given: Any) -> tuple[Pause, ...]:
    pauses = []
    for item in _list(given, "pauses", MOST_PAUSES):
        match item:
            case [int(start), int(end)] if (
                type(start) is int and type(end) is int and 0 <= start < end <= canonical.LARGEST
            ):
                pauses.append(Pause(start, end))
            case _:
                raise InvalidError("not a pause", field="pauses", rule="subjects.pause")
    return tuple(sorted(pauses, key=lambda pause: pause.start_us))


def _streams(given: Any) -> frozenset[str]:
    names = _list(given, "streams", len(STREAMS))
    if not all(isinstance(name, str) for name in names):
        raise InvalidError("a stream is named by a word", field="streams", rule="stream.unknown")
    streams = frozenset(names)
    if not streams <= frozenset(STREAMS):
        raise InvalidError(
            "an unknown stream", rule="stream.unknown", fix=f"known: {', '.join(STREAMS)}"
        )
    return streams


def _text(given: Any, field: str, longest: int) -> str:
    if not isinstance(given, str) or not 0 < len(given) <= longest or not given.isprintable():
        raise InvalidError("not a short printable text", field=field, rule="subjects.text")
    return given
