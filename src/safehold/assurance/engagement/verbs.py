"""All verbs about independent audits in one table; here those of whoever operates, and of whoever looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from safehold.assurance.engagement.appointing import Appointing
from safehold.assurance.engagement.hearing import Hearing
from safehold.assurance.engagement.record import Record
from safehold.assurance.engagement.shown import (
    describe_engagement,
    describe_finding,
    summarise,
    tell_due,
)
from safehold.clock import day_of
from safehold.errors import InvalidError
from safehold.keeper.audits import ANSWERED
from safehold.keeper.caller import caller
from safehold.keeper.server import Report, Verb
from safehold.keeper.verbs import Verbs

LONGEST_ANSWER: Final = 20_000  # characters
MOST_EVIDENCE: Final = 16  # leaves that one answer points to


class AuditVerbs:
    """The verbs.

    Args:
        verbs: The keeper's.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._desk = verbs.desk
        self._record = Record(verbs.desk)
        self._parts = (Appointing(self._record, verbs.principals), Hearing(self._record))

    def verbs(self) -> dict[str, Verb]:
        """Return the verbs by name."""
        return {
            **{name: verb for part in self._parts for name, verb in part.verbs().items()},
            "audit.answer": self.answer,
            "audit.list": self.listing,
            "audit.show": self.show,
            "audit.due": self.due,
        }

    def status(self) -> dict[str, Any]:
        """Return the few lines that stand in the status of the keeper."""
        trust = self._desk.trust
        return summarise(trust.audited(), trust.tightness(), now_us=self._desk.now_us())

    def answer(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Answer a finding, with the leaves that show what was done; only an auditor closes it.

        Raises:
            MissingError: There is no such finding.
            DeniedError: It is closed.
        """
        desk, text, shown = self._desk, arguments.get("text"), arguments.get("evidence")
        if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST_ANSWER:
            raise InvalidError("an answer says what was done", field="text", rule="audit.answer")
        with desk.lock:
            if (
                not isinstance(shown, list)
                or not 0 < len(shown) <= MOST_EVIDENCE
                or any(type(one) is not int or not 0 <= one < desk.ledger.size for one in shown)
            ):
                raise InvalidError(
                    f"evidence is 1 to {MOST_EVIDENCE} entries of this ledger",
                    field="evidence",
                    rule="audit.evidence",
                )
            found = self._record.finding(arguments)
            receipt = self._record.put(
                {"state": ANSWERED, "evidence": "+".join(map(str, sorted(set(shown))))},
                {"text": text.strip()},
                actor=caller().id,
                ref=found.index,
            )
        return {"entry": receipt.index, "finding": found.index}

    def listing(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """List the engagements with their findings, newest first; no texts."""
        today = day_of(self._desk.now_us())
        found = self._desk.trust.audited().all()
        return {"audits": [describe_engagement(one, today=today) for one in reversed(found)]}

    def show(
        self, arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show one engagement: who was engaged, the order with its signatures, every finding with its texts."""
        one, today = (
            self._record.engagement(arguments.get("engagement")),
            day_of(self._desk.now_us()),
        )
        said = self._record.told(one.index)
        return {
            **describe_engagement(one, today=today),
            "organisation": self._record.order(one).organisation if said else "",
            "paper": {name: said[name] for name in ("order", "signatures") if name in said},
            "texts": [
                {
                    **describe_finding(each, today=today),
                    "text": self._record.told(each.index).get("text", ""),
                    "answered": [
                        {"entry": at, "text": self._record.told(at).get("text", "")}
                        for at in each.answers
                    ],
                }
                for each in one.findings.values()
            ],
        }

    def due(
        self, _arguments: dict[str, Any], _descriptors: Sequence[int], _report: Report
    ) -> dict[str, Any]:
        """Show when the next audit is due, and what is tightened because of it."""
        held, (first, last) = self._desk.trust.tightness(), self._record.scope()
        scope = {"first": first, "last": last}
        return {
            **held.to_json(),
            "scope": scope,
            "told": tell_due(held, now_us=self._desk.now_us()),
        }
