"""The verbs that seats sign: an incident ends, is less grave, somebody was told, the list of the people.

Holds: nothing of this is done by one person alone, by an agent, or by whoever opened the incident or is what it is
about. The list of the people opens with the key of the privacy seat and no other; whoever carries it sees nothing. A
notice to the people is taken as sent only if it went to exactly those whom the record names at that moment.
"""

from __future__ import annotations

import csv
import hashlib
import io
import zipfile
from collections.abc import Iterable, Sequence
from typing import Any, Final

from safehold import canonical
from safehold.canonical import b64, unb64
from safehold.errors import ConflictError, DeniedError, InvalidError, QuorumError
from safehold.ids import PersonId
from safehold.incident.closing import missing
from safehold.incident.count import Counted
from safehold.incident.docket import Docket, require_open
from safehold.incident.notices import letter
from safehold.incident.reach import Finder, Reach
from safehold.incident.statement import LISTED_FOR, TOLD_BY, Statement, check_statement
from safehold.keeper.incident import AGREE, CLOSED, DECISIONS, NOTICES, Incident, agreement
from safehold.keeper.server import Report, Verb
from safehold.vault.letter import seal_letter

HEX: Final = 64  # characters of a SHA-256
LONGEST_WHY: Final = 20_000
LIST: Final = ("person", "jurisdiction", "data")  # the columns of the list
OPENED, COULD = "opened", "could have been opened"
MOST_SIGNED: Final = 6
MOST_LETTERS: Final = 5000  # of one archive; beyond that the list and the one letter are enough
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # the same list is the same archive


class Decisions:
    """The verbs.

    Args:
        docket: The incidents.
        finder: Finds whom they reached.
        counted: How numbers of people may be told.
    """

    def __init__(self, docket: Docket, finder: Finder, counted: Counted) -> None:
        self._docket = docket
        self._desk = docket.desk
        self._finder = finder
        self._counted = counted

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            "incident.close": self.close,
            "incident.lower": self.lower,
            "incident.notice": self.notice,
            "incident.letters": self.letters,
        }

    def close(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Agree that an incident ends; with the second person it does.

        Raises:
            DeniedError: Something is missing, or whoever signs has opened it or is what it is about.
        """
        with self._docket.lock:
            one, given, person = self._given(arguments, "close")
            keeps = given.facts.get("keeps", [])
            if set(given.facts) - {"keeps", "why"} or not _indexes(keeps):
                raise InvalidError("not what an end says", rule="incident.statement")
            if lacking := missing(one, self._desk.trust.charter(), keeps=keeps):
                raise DeniedError(
                    "; ".join(lacking), rule="incident.missing", fix="safehold incident show"
                )
            return self._agree(one, given, person, severity=None)

    def lower(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Agree that an incident is less grave; with the second person it is.

        Raises:
            DeniedError: It would not be less grave, or whoever signs has opened it or is what it is about.
        """
        with self._docket.lock:
            one, given, person = self._given(arguments, "lower")
            require_open(one)
            level = given.facts.get("severity")
            if type(level) is not int or not 0 <= level <= 5:
                raise InvalidError("a severity is 0 to 5", rule="incident.severity")
            _read_why(given, more={"severity"})
            if level <= one.grave:
                raise DeniedError(
                    "that is not less grave",
                    rule="incident.lower",
                    fix="safehold incident severity",
                )
            return self._agree(one, given, person, severity=level)

    def _agree(
        self, one: Incident, given: Statement, person: str, *, severity: int | None
    ) -> dict[str, Any]:
        docket, what = self._docket, given.what
        if person in docket.barred(one):
            raise DeniedError(
                "whoever opened an incident, or is what it is about, does not end it",
                rule="incident.independent",
                fix="let another seat sign",
            )
        key = agreement(what, severity)
        before = {seat: leaf for (about, seat), leaf in one.agreed.items() if about == key}
        if person in {docket.person(seat) for seat in before}:
            raise DeniedError(
                "two different people agree", rule="incident.twice", fix="let another person sign"
            )
        for leaf in before.values():
            if self._desk.ledger.detail(leaf)["detail"]["facts"] != _agreed(given):
                raise DeniedError(
                    "the other person agreed to something else",
                    rule="incident.agreed",
                    fix="sign the same: safehold incident show",
                )
        level: dict[str, int | str] = {} if severity is None else {"severity": severity}
        detail = {"statement": given.to_json(), "facts": _agreed(given)}
        facts: dict[str, int | str] = {"about": what, "seat": given.seat, **level}
        then = []
        if len(before) + 1 >= AGREE:
            state: dict[str, int | str] = {"state": CLOSED} if what == "close" else {}
            then.append(
                docket.entry(one, what, {"facts": _agreed(given)}, level | state, actor=given.seat)
            )
        receipt = docket.step(one, "agree", detail, facts, actor=given.seat, then=then)
        return {
            "entry": receipt.index,
            "incident": one.index,
            "state": one.state,
            "severity": one.grave,
            "agreed": len(before) + 1,
            "of": AGREE,
        }

    def notice(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a seat's word that a notice was sent, or is not needed.

        Raises:
            DeniedError: The seat has no say in it, or the list it was sent to is not that of the record now.
        """
        with self._docket.lock:
            one, given, _ = self._given(arguments, "notice", seats=TOLD_BY)
            facts = given.facts
            name, decision = facts.get("notice"), facts.get("decision")
            sha = facts.get("sha256", "")
            if name not in NOTICES or decision not in DECISIONS:
                raise InvalidError("not a decision about a notice", rule="incident.notice")
            sent = decision == "sent"
            if not isinstance(sha, str) or bool(sha) != sent or (sha and not _is_hash(sha)):
                raise InvalidError(
                    "what was sent is named by its SHA-256, and only that", rule="incident.notice"
                )
            _read_why(given, more={"notice", "decision", "sha256"}, least=0 if sent else 1)
            known = one.notices.get(str(name))
            # of one that began again it may be that nobody has to be told once more
            if known is not None and known[1] == "sent" and known[0] > one.begun and not sent:
                raise ConflictError("it was sent already", rule="incident.notice")
            people: Iterable[PersonId] = ()
            if sent and name == "people":
                people = self._require_listed(one, sha)
            receipt = self._docket.step(
                one,
                "notice",
                {"statement": given.to_json()},
                {
                    "notice": str(name),
                    "decision": str(decision),
                    **({"sha256": sha} if sha else {}),
                },
                actor=given.seat,
                # each of them finds it among the entries about them
                subjects=self._desk.subjects([str(person) for person in sorted(people)]),
            )
        return {
            "entry": receipt.index,
            "incident": one.index,
            "notice": name,
            "decision": decision,
        }

    def letters(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Draw up the list of the people and a letter to each, sealed to the key that the privacy seat named.

        Raises:
            QuorumError: Not two people have signed for it, the privacy seat among them.
        """
        signed = arguments.get("statements")
        if not isinstance(signed, list) or not 0 < len(signed) <= MOST_SIGNED:
            raise InvalidError("the statements of two seats", rule="incident.list")
        with self._docket.lock:
            found = [self._given({**arguments, "statement": one}, "letters") for one in signed]
            one, given, _ = found[0]
            if (
                len({person for _, _, person in found}) < AGREE
                or LISTED_FOR not in {said.seat for _, said, _ in found}
                or any(said.facts != given.facts for _, said, _ in found)
            ):
                raise QuorumError(
                    "names take the seat of privacy and another person, about the same key",
                    rule="incident.list.seats",
                    fix="let both sign: safehold incident letters",
                )
            key = given.facts.get("open_to")
            if set(given.facts) != {"open_to"} or not isinstance(key, str):
                raise InvalidError("a list is sealed to one key", rule="incident.list")
            reach = self._finder.find(one)
            sealed = seal_letter(self._archive(one, reach), unb64(key))
            sha = hashlib.sha256(sealed).hexdigest()
            receipt = self._docket.step(
                one,
                "list",
                {
                    "statements": [said.to_json() for _, said, _ in found],
                    "set": _name_of(one, reach.told),
                },
                {"sha256": sha},
                actor=LISTED_FOR,
                # each of them finds it among the entries about them: that their name was looked up
                subjects=self._desk.subjects([str(person) for person in sorted(reach.told)]),
            )
        return {
            "entry": receipt.index,
            "incident": one.index,
            "sha256": sha,
            "sealed": b64(sealed),
            **reach.counts(self._counted),
        }

    def _archive(self, one: Incident, reach: Reach) -> bytes:
        """Return the list, the letter and what is to be known about both, as an archive of plain files."""
        desk, charter = self._desk, self._desk.trust.charter()
        known = desk.people.everybody()
        rows = sorted(
            (
                known[person].external
                if person in known
                else f"no longer in the register: {person}",
                known[person].jurisdiction if person in known else "",
                OPENED if person in reach.people else COULD,
            )
            for person in reach.told
        )
        table = io.StringIO()
        writer = csv.writer(table)
        writer.writerow(LIST)
        writer.writerows(rows)
        scoped = not self._docket.scope(one).empty
        told = reach.counts(
            lambda people: {"people": people}
        )  # whoever opens this sees the list itself
        text = letter(one, charter, reach=told, scoped=scoped)
        counts = canonical.encode({"incident": one.index, "home": desk.home.id, **told})
        files = {"people.csv": table.getvalue().encode(), "letter.md": text.encode()}
        # a page of its own for each, so that what is sent to one says nothing of another
        if len(rows) <= MOST_LETTERS:
            files |= {
                f"letters/{number:06}.md": f"To: {name}\n\n{text}".encode()
                for number, (name, *_) in enumerate(rows, 1)
            }
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in {**files, "counts.json": counts}.items():
                info = zipfile.ZipInfo(name, date_time=_EPOCH)
                info.external_attr = 0o100600 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, data)
        return packed.getvalue()

    def _require_listed(self, one: Incident, sha: str) -> set[PersonId]:
        """Return the people of the record, if the list that was sent to is exactly theirs.

        Raises:
            DeniedError: No list has that hash, or it is of other people than the record names now.
        """
        found = [step for step in one.steps if step.step == "list"]
        last = next((step for step in reversed(found) if step.facts.get("sha256") == sha), None)
        reach = self._finder.find(one)
        said = {} if last is None else self._desk.ledger.detail(last.index)["detail"]
        if said.get("set") != _name_of(one, reach.told):
            raise DeniedError(
                "this is not the list of the people whom the record names now",
                rule="incident.list",
                fix="draw it up: safehold incident letters; send to them, then say so with its hash",
            )
        return reach.told

    def _given(
        self, arguments: dict[str, Any], what: str, *, seats: Sequence[str] = ()
    ) -> tuple[Incident, Statement, str]:
        """Return the incident, what a seat said about it, and who holds that seat."""
        desk, one = self._desk, self._docket.find(arguments)
        given = Statement.from_json(arguments.get("statement"))
        person = check_statement(
            given,
            desk.trust.roster,
            home=desk.home.id,
            incident=one.index,
            what=what,
            basis=one.basis,
            now_us=desk.now_us(),
        )
        if seats and given.seat not in seats:
            raise DeniedError(
                f"only {' or '.join(seats)} says this", rule="incident.seat", fix="ask them to sign"
            )
        return one, given, person


def _agreed(given: Statement) -> dict[str, Any]:
    """Return what two people must say alike: all but why."""
    return {name: value for name, value in given.facts.items() if name != "why"}


def _name_of(one: Incident, people: Iterable[PersonId]) -> str:
    """Return the name of a set of people: it tells two sets apart, and lies sealed."""
    return canonical.digest({"incident": one.index, "people": sorted(people)}).hex()


def _indexes(given: Any) -> bool:
    return isinstance(given, list) and all(type(one) is int for one in given)


def _is_hash(text: str) -> bool:
    return len(text) == HEX and not set(text) - set("0123456789abcdef")


def _read_why(given: Statement, *, more: set[str], least: int = 1) -> None:
    why = given.facts.get("why", "")
    if (
        set(given.facts) - more - {"why"}
        or not isinstance(why, str)
        or not least <= len(why.strip()) <= LONGEST_WHY
    ):
        raise InvalidError("a decision says why", field="why", rule="incident.statement")
