"""The verbs about people: enrol, choose, and see what one chose.

A choice is in the ledger before it counts. Everything a person can choose, and everything that is done about it,
shares one kind of leaf of one length, so that the ledger does not tell who did which. What was chosen is shown to the
person alone; an operator sees who is enrolled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from safehold import canonical, ids
from safehold.errors import InvalidError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.change import (
    LINKS,
    NARROWING,
    WIDENING,
    Change,
    read_choice,
)
from safehold.keeper.choices import Newest, choice_leaf, enrolment_leaf, newest_choices
from safehold.keeper.chosen import check_fields, take_key, take_level, take_streams, take_text
from safehold.keeper.desk import Desk
from safehold.keeper.receipts import choice_receipt
from safehold.keeper.server import Report
from safehold.keeper.signed_in import speaks_as_self
from safehold.keeper.terms import silent_because
from safehold.keeper.voice import OPERATOR, Spoken, hear, require_person, require_proxy
from safehold.ledger import Receipt
from safehold.subjects import Batch, Pause, Standing, Voice, due_us
from safehold.subjects.link import REST_US

__all__ = ["Crowd", "read_choice"]

LONGEST_NAME = 200  # characters
MOST_PEOPLE = 100_000  # in one call
MOST_PAUSES = 1_000
PERSON = frozenset({"person", "jurisdiction", "streams", "pauses", "key", "level"})
# after these nothing derived stays: it was made from what may not be used any more
FORGETS = frozenset({"consent", "withdraw", "erase", "object", "correct", "move", "restrict"})
ASKED = frozenset({"object", "restrict", "correct"})  # what is owed an answer


class Crowd:
    """The verbs about people.

    Args:
        desk: What the keeper works with.
        on_silence: Called with a person and a reason when recording must end at once.
        on_sound: Called with a person when recording may begin again.
        on_trouble: Called instead of ``on_silence`` when the ledger could not take the choice.
        on_change: Called with a person whose leases end because what they agree to is another thing now.
    """

    def __init__(
        self,
        desk: Desk,
        *,
        on_silence: Callable[[PersonId, str], object],
        on_sound: Callable[[PersonId], None],
        on_trouble: Callable[[PersonId, str], object],
        on_change: Callable[[PersonId], object] = lambda _person: None,
    ) -> None:
        self._desk = desk
        self._on_silence = on_silence
        self._on_sound = on_sound
        self._on_trouble = on_trouble
        self._on_change = on_change
        self._unfinished: dict[
            PersonId, tuple[str, Change]
        ] = {}  # in the ledger, not in the register

    def enrol(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Enrol people with where they work and what they opted in to; known ones are left alone."""
        desk = self._desk
        evidence = take_text(arguments["evidence"], "evidence", 500)
        now = desk.now_us()
        fresh: list[Standing] = []
        named: set[str] = set()
        for given in _list(arguments["people"], "people", MOST_PEOPLE):
            if not isinstance(given, dict) or not set(given) <= PERSON:
                raise InvalidError("not a person", field="people", rule="subjects.enrol")
            external = take_text(given.get("person"), "person", LONGEST_NAME)
            if external in named:
                raise InvalidError("somebody is named twice", rule="subjects.enrol")
            named.add(external)
            streams = take_streams(given.get("streams", []))
            standing = Standing(
                external=external,
                jurisdiction=take_text(given.get("jurisdiction"), "jurisdiction", 16),
                pauses=_pauses(given.get("pauses", [])),
                level=take_level(given.get("level", "staff")),
                voice=Voice(key=take_key(given["key"]), since_us=now)
                if given.get("key")
                else Voice(),
            )
            if desk.people.knows(external):
                continue
            if streams:
                require_proxy(desk, has_key=bool(standing.voice.key))
                standing = standing.consent(
                    streams,
                    at_us=now,
                    evidence=evidence,
                    purposes=desk.trust.charter().purposes if desk.trust.digest() else None,
                )
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
        """Record a choice of one person, in their own signed words or, where it takes away, by an operator."""
        desk = self._desk
        spoken = hear(desk, arguments)
        person, choice = spoken.person, str(spoken.fields["choice"])
        if choice == "erase":
            raise InvalidError(
                "an erasure is asked for by its own verb",
                rule="subjects.choice",
                fix="safehold me erase",
            )
        record = self._draft(spoken)
        how = read_choice(record)
        return self.carry_out(person, choice, record, how, spoken)

    def _draft(self, spoken: Spoken) -> dict[str, Any]:
        """Return what is recorded of a choice, with what the keeper adds to it."""
        desk, fields = self._desk, spoken.fields
        choice, now = str(fields["choice"]), desk.now_us()
        named = desk.trust.charter().purposes if desk.trust.digest() else {}
        said = check_fields(desk.people.standing(spoken.person), fields, now_us=now, purposes=named)
        record: dict[str, Any] = {"choice": choice, "at_us": now, "by": spoken.by, **spoken.proof}
        if "statement" not in spoken.proof:
            record |= said
            if choice == "consent":
                record["evidence"] = take_text(fields["evidence"], "evidence", 500)
        elif choice == "key":
            record["by_code"] = "code" in fields
        if choice == "consent" and (named or spoken.by != OPERATOR):
            # those named, or all that the charter they read has
            record["purposes"] = sorted(said.get("purposes") or named)
        if choice in ASKED:
            regimes = desk.trust.charter().regimes if desk.trust.digest() else ()
            record |= {"case": ids.opaque_id("cas"), "due_us": due_us(now, regimes)}
        if choice == "correct":
            record["days"] = said["days"]
        return record

    def carry_out(
        self,
        person: PersonId,
        choice: str,
        record: dict[str, Any],
        how: Change,
        spoken: Spoken | None = None,
    ) -> dict[str, Any]:
        """Record a choice, and let recording end, begin, or be agreed anew as it says."""
        desk, before = self._desk, self._silent(person)
        try:
            receipt = self.record(person, record, how)
        except InvalidError:
            raise
        except Exception:
            if choice in NARROWING:  # whatever came of it, nobody records on meanwhile
                self._on_trouble(person, "withdrawn" if choice == "withdraw" else "pause")
            raise
        after = self._silent(person)
        if after is not None and (before is None or choice in {"pause", "withdraw"}):
            self._on_silence(person, after)
        elif after is None and (before is not None or choice in WIDENING):
            self._on_sound(person)
        if choice not in {"invite", "key", "read"} | LINKS:
            self._on_change(person)
        answer: dict[str, Any] = {
            "choice": choice,
            "at_us": record["at_us"],
            "entry": receipt.index,
        }
        if "case" in record and choice in ASKED:
            answer |= {"case": record["case"], "due_us": record["due_us"]}
        if spoken is not None and spoken.by != OPERATOR:
            answer["receipt"] = choice_receipt(desk, person, receipt.index)
        return answer

    def _silent(self, person: PersonId) -> str | None:
        """Return why nothing of a person is recorded now, if that is so."""
        desk = self._desk
        charter = desk.trust.charter() if desk.trust.digest() else None
        return silent_because(charter, desk.people.standing(person), at_us=desk.now_us())

    def record(self, person: PersonId, record: dict[str, Any], how: Change) -> Receipt:
        """Write a choice to the ledger, then to the register."""
        desk = self._desk
        # two choices at once must not get one number
        with desk.turn.first():
            if person in self._unfinished:  # its leaf is durable, so it comes first
                self._take(person, *self._unfinished[person])
            record["version"] = desk.people.version(person) + 1
            record["charter"] = self._charter_read()
            record["standing"] = how(desk.people.standing(person)).digest()
            name = f"person/{record['version']}"
            (receipt,) = desk.log(choice_leaf(desk, person, name, record))
            self._unfinished[person] = (record["choice"], how)
            self._take(person, record["choice"], how)
        return receipt

    def _charter_read(self) -> list[Any]:
        """Return which charter was in force: its id, version and digest; nothing before there is one."""
        trust = self._desk.trust
        if not trust.digest():
            return []
        charter = trust.charter()
        return [charter.id, charter.version, trust.digest().hex()]

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
        if choice in FORGETS:
            # before the register: no crash may leave features of streams that were taken back
            desk.vault.remove(desk.catalog.aside.drop_of(person))
            desk.catalog.builds.forget(person)
        desk.people.change(person, how)
        self._unfinished.pop(person, None)

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return what one person chose, to whoever holds their key; to an operator that they are enrolled.

        In a home of made-up people there is nobody to be shown, and an operator sees it.
        """
        desk = self._desk
        self_said = "proof" in arguments or speaks_as_self(arguments)
        if not self_said and not desk.home.synthetic:
            person = desk.people.find(take_text(arguments["person"], "person", LONGEST_NAME))
            standing = desk.people.standing(person)
            return {"person": standing.external, "enrolled": True, "key": bool(standing.voice.key)}
        person = require_person(desk, arguments, "people.show", keyless=desk.home.synthetic)
        standing = desk.people.standing(person)
        record = standing.to_record()
        record["paused"] = standing.paused(desk.now_us())
        record["voice"] = bool(standing.voice.key)
        record["keys"] = list(standing.voice.keys(desk.now_us()))
        record["linked"] = _linked(standing.voice)
        return record

    def count(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Return how many are enrolled and were erased, and what was last released of who takes part.

        In a home of made-up people the exact figures are there too.
        """
        desk, now = self._desk, self._desk.now_us()
        everybody = desk.people.everybody().values()
        counted: dict[str, Any] = {"enrolled": len(everybody), "erased": desk.people.erased}
        if desk.home.synthetic:
            counted |= {
                "participating": sum(
                    bool(one.streams) and not one.paused(now) for one in everybody
                ),
                "paused": sum(one.paused(now) for one in everybody),
                "withdrawn": sum(one.withdrawn_us is not None for one in everybody),
            }
        return counted


def _linked(voice: Voice) -> dict[str, Any] | None:
    """Return which sign-in is linked and since when, for the person to see."""
    link = voice.link
    if link is None:
        return None
    return {
        "principal": link.principal,
        "method": link.method,
        "since_us": link.since_us,
        "reads_from_us": link.since_us + REST_US if link.rests else link.since_us,
    }


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
