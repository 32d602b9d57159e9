"""An alert or an incident as it leaves: a closed list of fields, with tags in the place of names.

Holds: a field that is not named here does not leave. A principal is a keyed tag, another one for each target, so that
two receivers cannot lay their records side by side; the name itself only goes where the target was told so. A sentence
in which a name cannot be replaced does not leave either: what is said instead holds no name.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any, Final

from safehold.clock import moment_of
from safehold.errors import InvalidError

ALERT: Final = "alert"
INCIDENT: Final = "incident"
ALERT_MOST: Final = 4  # severities of alerts: 0 is the least
INCIDENT_LEAST: Final = 5  # severities of incidents: 0 is the gravest
CLOSED: Final = "closed"
NEW: Final = frozenset({"raised", "open", ""})
LONGEST: Final = 600  # characters of a sentence
_PREFIX: Final = b"safehold.export.principal.v1\0"
_SIGNAL: Final = re.compile(r"[a-z][a-z0-9_.-]{0,63}")
_STATE: Final = re.compile(r"[a-z][a-z_-]{0,31}")  # it goes into headers
_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[^\s@]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One alert or one state of one incident, as it leaves.

    Args:
        kind: ``alert`` or ``incident``.
        uid: What it is called: the same for every state of the same thing.
        index: Index of the ledger's leaf that says so; what a target has got up to.
        t_us: When, microseconds since 1970.
        rank: How grave, 0 (the least) to 5, whichever scale it was said in.
        severity: As it was said, in its own scale.
        signal: Which signal of the sentinel; empty for an incident.
        state: How it stands, such as ``raised``, ``acked``, ``open``, ``closed``.
        principal: Whom it is about, as a tag or a name; empty if nobody.
        sentence: What happened; no value of the data.
        events: How many events show it.
    """

    kind: str
    uid: str
    index: int
    t_us: int
    rank: int
    severity: int
    signal: str = ""
    state: str = ""
    principal: str = ""
    sentence: str = ""
    events: int = 0

    @property
    def delivery(self) -> str:
        """What a receiver tells repetitions by: the same record gives the same."""
        return f"{self.uid}/{self.index}/{self.state or 'raised'}"

    @property
    def moment(self) -> str:
        """When, ISO 8601 with ``Z``."""
        return moment_of(self.t_us).replace("+00:00", "Z")

    @property
    def title(self) -> str:
        """What it is, in three words."""
        what = self.signal.replace("_", " ").replace("-", " ") if self.kind == ALERT else ""
        return f"Safehold {self.kind}" + (f": {what}" if what else "")

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON, as it waits to be sent."""
        return asdict(self)

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finding:
        """Return what ``to_json`` wrote.

        Raises:
            InvalidError: It is something else.
        """
        names = {item.name for item in fields(cls)}
        if set(record) != names:
            raise InvalidError("not a finding", rule="export.finding")
        return cls(**record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """Which names may leave, and what stands in the place of the others.

    Args:
        key: 32 bytes that stay in the home's outside.
        target: The receiver: each gets tags of its own.
        shown: Whether this target was told to get names.
        known: Every name that may stand in a sentence.
    """

    key: bytes
    target: str
    shown: bool = False
    known: frozenset[str] = frozenset()

    def tag(self, name: str) -> str:
        """Return what a principal is called towards this target."""
        if not name or self.shown:
            return name
        message = _PREFIX + self.target.encode() + b"\0" + name.encode()
        return "p-" + hmac.digest(self.key, message, "sha256").hex()[:16]

    def clean(self, text: str, *, about: str) -> str:
        """Return a sentence without names, or nothing if one would stay.

        Args:
            text: The sentence.
            about: Whom it is about.
        """
        if self.shown:
            return text
        names = sorted({about, *self.known} - {""}, key=len, reverse=True)
        for name in names:
            text = re.sub(rf"(?<![\w@]){re.escape(name)}(?![\w@])", self.tag(name), text)
        left = text.casefold()
        if _MAIL.search(text) or any(name.casefold() in left for name in names):
            return ""
        return text


def from_alert(record: Mapping[str, Any], names: Names) -> Finding:
    """Return an alert as it leaves: one of ``alert replay`` or of the keeper's list.

    Raises:
        InvalidError: It is no alert.
    """
    signal, severity = record.get("signal"), record.get("severity")
    principal, sentence = record.get("principal", ""), record.get("sentence", "")
    index, state = record.get("alert", record.get("index")), record.get("state", "raised")
    last = record.get("entry", index)
    events = record.get("events", [])
    count = record.get("count", len(events) if isinstance(events, list) else None)
    if (
        not isinstance(signal, str)
        or _SIGNAL.fullmatch(signal) is None
        or type(severity) is not int
        or not 0 <= severity <= ALERT_MOST
        or not isinstance(principal, str)
        or not isinstance(sentence, str)
        or not isinstance(state, str)
        or _STATE.fullmatch(state) is None
        or not isinstance(events, list)
        or type(count) is not int
        or count < 0
    ):
        raise InvalidError("not an alert", rule="export.alert")
    if index is None:  # of a replay: numbered by the event that raised it
        index = last = events[-1] if events else 0
    if type(index) is not int or type(last) is not int or not 0 <= index <= last:
        raise InvalidError("not an alert", field="index", rule="export.alert")
    said = names.clean(sentence[:LONGEST], about=principal)
    who = names.tag(principal)
    return Finding(
        kind=ALERT, uid=f"alert-{index}", index=last, t_us=_moment(record), rank=severity + 1,
        severity=severity, signal=signal, state=state, principal=who,
        sentence=said or f"{signal} by {who or 'somebody'}: ask Safehold for this alert.", events=count,
    )  # fmt: skip


def from_incident(record: Mapping[str, Any], names: Names) -> Finding:
    """Return an incident as it leaves: how it stands, how grave it is, and nothing that people wrote about it.

    Raises:
        InvalidError: It is no incident.
    """
    index, severity = record.get("incident", record.get("index")), record.get("severity")
    state, principal = record.get("state", "open"), record.get("principal", "")
    last = record.get("entry", index)
    if (
        type(index) is not int
        or type(last) is not int
        or last < index
        or type(severity) is not int
        or not 0 <= severity <= INCIDENT_LEAST
        or not isinstance(state, str)
        or _STATE.fullmatch(state) is None
        or not isinstance(principal, str)
    ):
        raise InvalidError("not an incident", rule="export.incident")
    return Finding(
        kind=INCIDENT, uid=f"incident-{index}", index=last, t_us=_moment(record), rank=INCIDENT_LEAST - severity,
        severity=severity, state=state, principal=names.tag(principal),
        sentence=f"Incident {index} of severity {severity} is {state.replace('_', ' ')}.",
    )  # fmt: skip


def _moment(record: Mapping[str, Any]) -> int:
    at_us = record.get("t_us", record.get("changed_us", record.get("opened_us")))
    if type(at_us) is int and at_us >= 0:
        return at_us
    wrong = InvalidError("a finding says when", field="t", rule="export.moment")
    try:
        at = datetime.fromisoformat(str(record.get("t")))
    except ValueError as error:
        raise wrong from error
    if at.tzinfo is None:
        raise wrong
    return round(at.timestamp() * 1_000_000)
