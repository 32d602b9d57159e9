"""The verbs by which an auditor gets what the keeper counted, and is heard.

Holds: a word counts only with the auditor's signature, over this ledger as it is, and in its turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from safehold import canonical
from safehold.assurance.engagement.record import Record
from safehold.assurance.engagement.word import Word
from safehold.canonical import b64
from safehold.clock import day_of
from safehold.errors import DeniedError, InvalidError, MissingError, UnavailableError
from safehold.keeper.audits import CLOSED, COUNTED, FINDING, OPINION, Engagement, Finding, signed
from safehold.keeper.caller import caller
from safehold.keeper.counters import count_all
from safehold.keeper.server import Report, Verb
from safehold.ledger.audit import seal_bundle

LATEST_DUE: Final = 365  # days from a finding to when it is to be closed


class Hearing:
    """The verbs.

    Args:
        record: The audits.
    """

    def __init__(self, record: Record) -> None:
        self._record = record
        self._desk = record.desk

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {"audit.counters": self.counters, "audit.hear": self.hear}

    def counters(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Count for an auditor, sealed to them; that it was handed out is a leaf, and an opinion names one of these.

        Raises:
            MissingError: There is no such engagement.
            DeniedError: It does not go on.
        """
        desk = self._desk
        with desk.lock:
            one = self._record.going(arguments)
            order = self._record.order(one)
            counters, size = count_all(desk, first=one.first, last=one.last)
            digest = canonical.digest(canonical.decode(counters)).hex()
            self._record.put(
                {"state": COUNTED, "counters": digest, "size": size},
                {},
                actor=caller().id,
                ref=one.index,
            )
        desk.ledger.publish()
        return {
            "engagement": {
                "v": "safehold.engaged/1",
                "index": one.index,
                "order": order.text.decode(),
            },
            "opening": b64(order.opening),
            "scope": {"first": one.first, "last": one.last},
            "counters": b64(seal_bundle(counters, order.opening)),
            "sha256": digest,
            "size": size,
        }

    def hear(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Take a word of an auditor: that they begin, a finding, an opinion, the closing of a finding, the end.

        Raises:
            DeniedError: It is not theirs, not about this ledger as it is, or not in turn; the rule says which.
        """
        desk = self._desk
        word = Word.from_json(arguments.get("word"))
        with desk.lock:
            one, about = self._spoken_by(word)
            word.check_time(desk.now_us())
            if one.sha256 != word.engagement:
                raise DeniedError("a word of another engagement", rule="audit.engagement")
            if not signed(one, word.ref, word.public):
                raise DeniedError(
                    "not signed with the key of the auditor who is engaged", rule="audit.signature"
                )
            today = day_of(desk.now_us())
            if word.state != CLOSED and not one.starts <= today <= one.ends:
                raise DeniedError(
                    "outside the days of this engagement",
                    rule="audit.lapsed",
                    fix="engage again: safehold audit engage",
                )
            if word.state == FINDING:
                self._check_finding(word, today)
            elif word.state == OPINION:
                self._check_opinion(one, word)
            receipt = self._record.put(
                word.public,
                {"text": word.text},
                actor=one.sha256,
                ref=word.ref,
            )
        with suppress(UnavailableError):  # so that the auditor finds it in the next head
            desk.ledger.publish()
        shown = {"entry": receipt.index, "engagement": one.index, "state": word.state}
        return shown if about is None else {**shown, "finding": about.index}

    def _spoken_by(self, word: Word) -> tuple[Engagement, Finding | None]:
        if word.state != CLOSED:
            return self._record.engagement(word.ref), None
        found = self._desk.trust.audited().finding(word.ref)
        if found is None:
            raise MissingError("no such finding", rule="audit.finding", fix="safehold audit list")
        by = word.facts.get("engagement")
        return self._record.engagement(by if type(by) is int else -1), found

    def _check_finding(self, word: Word, today: int) -> None:
        charter, due = self._desk.trust.charter(), word.facts.get("due")
        if type(due) is not int or not today <= due <= today + LATEST_DUE:
            raise InvalidError(
                f"due within {LATEST_DUE} days from now", field="due", rule="audit.due"
            )
        if word.facts.get("owner") not in {*charter.who_may, *charter.oversight.seats}:
            raise InvalidError(
                "an owner is a role or a seat of the charter",
                field="owner",
                rule="audit.owner",
                fix="safehold charter show",
            )

    def _check_opinion(self, one: Engagement, word: Word) -> None:
        """Pass if an opinion is over this ledger, these epochs, counters that were handed out, and all findings."""
        desk, facts = self._desk, word.facts
        size, first, last = (facts.get(name) for name in ("size", "first", "last"))
        if type(size) is not int or not 0 < size <= desk.ledger.size:
            raise DeniedError("over a head that this ledger never had", rule="audit.head")
        if facts.get("root") != b64(desk.ledger.root_at(size)):
            raise DeniedError("over a head that this ledger never had", rule="audit.head")
        if (first, last) != (one.first, one.last):
            raise DeniedError("over other epochs than it was engaged for", rule="audit.epochs")
        spans = [
            [each.epoch, each.first, each.stop, each.root.hex()]
            for each in (desk.index.entry_of(at) for at in range(one.first, one.last + 1))
        ]
        if facts.get("epochs") != canonical.digest(spans).hex():
            raise DeniedError("over other roots of these epochs", rule="audit.epochs")
        counted = one.counted.get(str(facts.get("counters")))
        if counted is None or counted > size:
            raise DeniedError(
                "over counters that were not handed out for it, or that are newer than its head",
                rule="audit.counters",
                fix="safehold audit papers",
            )
        if facts.get("findings") != len(one.findings) or facts.get("listed") != one.listed():
            raise DeniedError(
                "it lists other findings than were handed in",
                rule="audit.findings",
                fix="hand in every finding first: safehold audit hear",
            )
