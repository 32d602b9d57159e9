"""Independent audits, read from the leaves in order: who was engaged, what they signed, which findings are open.

Holds: a word of an auditor counts only with their signature over exactly its leaf, by the key that the board engaged,
and only if it follows from what came before. A leaf that does not changes nothing. Nothing is kept anywhere else, so a
restored control database neither brings an opinion back nor takes one away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.errors import InvalidError, TamperedError
from safehold.ledger import Ledger
from safehold.signing import VerifyKey

KIND: Final = "audit"
VERSION: Final = "safehold.audit-word/1"
DOMAIN: Final = "safehold.audit-word.v1"
ENGAGED, COUNTED, BEGUN, FINDING, OPINION, ENDED = (
    "engaged",
    "counted",
    "begun",
    "finding",
    "opinion",
    "ended",
)
ANSWERED, CLOSED = "finding.answered", "finding.closed"
STATES: Final = (ENGAGED, COUNTED, BEGUN, FINDING, ANSWERED, CLOSED, OPINION, ENDED)
WORDS: Final = (BEGUN, FINDING, OPINION, CLOSED, ENDED)  # what an auditor signs
UNQUALIFIED, QUALIFIED, ADVERSE, DISCLAIMER = "unqualified", "qualified", "adverse", "disclaimer"
OPINIONS: Final = (UNQUALIFIED, QUALIFIED, ADVERSE, DISCLAIMER)
COUNTING: Final = (UNQUALIFIED, QUALIFIED)  # opinions by which an audit was held
SEVERITIES: Final = ("critical", "high", "medium", "low")
HOW: Final = ("fixed", "accepted", "withdrawn")  # why a finding is closed
BOARD: Final = "board"
HASH_HEX: Final = 64

Facts = Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Finding:
    """One finding.

    Args:
        index: Its leaf.
        engagement: Leaf of the engagement in which it was found.
        number: Its number in there, from 1.
        severity: One of ``SEVERITIES``.
        control: Id of the control it is about.
        owner: Role or seat that answers it.
        due: UTC day number by which it is to be answered and closed.
        sha256: Of its text, hex.
        at_ms: When its leaf was written.
        answers: Leaves of its answers.
        closed: Leaf that closed it, -1 while it is open.
        how: Why it is closed.
    """

    index: int
    engagement: int
    number: int
    severity: str
    control: str
    owner: str
    due: int
    sha256: str
    at_ms: int
    answers: list[int] = field(default_factory=list)
    closed: int = -1
    how: str = ""

    @property
    def open(self) -> bool:
        """Whether nobody who may has closed it."""
        return self.closed < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinion:
    """What an auditor came to.

    Args:
        index: Its leaf.
        word: One of ``OPINIONS``.
        size: Leaves of the head that it is over.
        first: First epoch that was computed again.
        last: Last of them.
        at_ms: When: what the auditor signed, or the time of the leaf if that is earlier.
    """

    index: int
    word: str
    size: int
    first: int
    last: int
    at_ms: int


@dataclass(slots=True, kw_only=True)
class Engagement:
    """One engagement of an auditor.

    Args:
        index: Its leaf.
        sha256: Of the order of the board, hex.
        key: Public key of the auditor, base64.
        org: SHA-256 of the organisation's name, hex.
        seat: Seat that drew it up.
        first: First epoch of the scope.
        last: Last of it.
        starts: UTC day number of its beginning.
        ends: Last UTC day on which a word of it is heard.
        at_ms: When its leaf was written.
        begun: Leaf by which the auditor began, -1 before.
        counted: Digests of the counters that were handed out, hex, with the size each was counted at.
        opinion: The opinion, None before.
        ended: Leaf that ended it, -1 before.
        findings: Its findings by number.
    """

    index: int
    sha256: str
    key: str
    org: str
    seat: str
    first: int
    last: int
    starts: int
    ends: int
    at_ms: int
    begun: int = -1
    counted: dict[str, int] = field(default_factory=dict)
    opinion: Opinion | None = None
    ended: int = -1
    findings: dict[int, Finding] = field(default_factory=dict)

    @property
    def going(self) -> bool:
        """Whether it waits for an opinion."""
        return self.opinion is None and self.ended < 0

    def listed(self) -> str:
        """Return the digest of the findings so far, hex: of the SHA-256 of their texts by number."""
        return canonical.digest([self.findings[one].sha256 for one in sorted(self.findings)]).hex()

    def critical(self) -> list[Finding]:
        """Return its critical findings."""
        return [one for one in self.findings.values() if one.severity == SEVERITIES[0]]


class Audits:
    """Every engagement, read from the leaves in order."""

    def __init__(self) -> None:
        self._known: dict[int, Engagement] = {}
        self._findings: dict[int, Finding] = {}
        self.begun_ms = 0  # when the first telemetry came in; 0 before
        self.latest_ms = 0  # time of the newest leaf
        self.read = 0

    def follow(self, ledger: Ledger) -> Audits:
        """Read on to the end of a ledger, and return itself."""
        if self.read < ledger.size:
            for index, leaf in ledger.leaves(self.read):
                self.note(index, leaf)
        return self

    def all(self) -> list[Engagement]:
        """Return every engagement, oldest first."""
        return list(self._known.values())

    @property
    def newest(self) -> Engagement | None:
        """The engagement that was made last."""
        return next(reversed(self._known.values()), None)

    def find(self, index: int) -> Engagement | None:
        """Return the engagement of a leaf."""
        return self._known.get(index)

    def finding(self, index: int) -> Finding | None:
        """Return the finding of a leaf."""
        return self._findings.get(index)

    def findings(self) -> list[Finding]:
        """Return every finding, oldest first."""
        return list(self._findings.values())

    def counting(self) -> tuple[Engagement, Opinion] | None:
        """Return the newest opinion by which an audit was held; nothing if there is none."""
        for one in reversed(self._known.values()):
            if one.opinion is not None and one.opinion.word in COUNTING:
                return one, one.opinion
        return None

    def note(self, index: int, leaf: Mapping[str, Any]) -> None:
        """Take notice of the next leaf; one that does not follow changes nothing."""
        self.read, at = index + 1, int(leaf["t"])
        self.latest_ms = max(self.latest_ms, at)
        if leaf["k"] == "ingest" and not self.begun_ms:
            self.begun_ms = at
        elif leaf["k"] == KIND:
            self.take(index, at, leaf.get("ref", -1), leaf.get("pub", {}))

    def take(self, index: int, at: int, ref: int, facts: Facts) -> str:
        """Let one step count if it follows; return why it does not, or nothing."""
        match facts.get("state"):
            case "engaged":
                return self._engage(index, at, ref, facts)
            case "finding.answered":
                return self._answer(index, ref)
            case "finding.closed":
                return self._close(index, ref, facts)
            case "counted" | "begun" | "finding" | "opinion" | "ended":
                one = self._known.get(ref)
                if one is None or one.ended >= 0:
                    return "it belongs to no engagement that goes on"
                return self._hear(one, index, at, facts)
            case _:
                return "an unknown step of an audit"

    def _engage(self, index: int, at: int, ref: int, facts: Facts) -> str:
        newest = self.newest
        if newest is not None and newest.going and number(facts, "starts") <= newest.ends:
            return "another engagement goes on"
        if ref >= 0 or not is_hash(facts.get("sha256")) or _key(facts.get("key")) is None:
            return "not an engagement"
        self._known[index] = Engagement(
            index=index,
            sha256=str(facts["sha256"]),
            key=str(facts["key"]),
            org=str(facts.get("org", "")),
            seat=str(facts.get("seat", "")),
            at_ms=at,
            first=number(facts, "first"),
            last=number(facts, "last"),
            starts=number(facts, "starts"),
            ends=number(facts, "ends"),
        )
        return ""

    def _hear(self, one: Engagement, index: int, at: int, facts: Facts) -> str:
        state = facts["state"]
        by_board = state == ENDED and facts.get("by") == BOARD
        if state == COUNTED:
            one.counted[str(facts.get("counters", ""))] = number(facts, "size")
        elif not by_board and not signed(one, one.index, facts):
            return "the auditor has not signed it"
        elif state == ENDED:
            one.ended = index
        elif state == BEGUN and one.begun < 0:
            one.begun = index
        elif state == BEGUN or one.begun < 0 or one.opinion is not None:
            return "out of turn"
        elif state == FINDING:
            return self._find(one, index, at, facts)
        else:
            return _opine(one, index, at, facts)
        return ""

    def _find(self, one: Engagement, index: int, at: int, facts: Facts) -> str:
        severity, due = facts.get("severity"), number(facts, "due")
        if facts.get("number") != len(one.findings) + 1 or severity not in SEVERITIES:
            return "not the next finding"
        made = Finding(
            index=index,
            engagement=one.index,
            number=len(one.findings) + 1,
            severity=str(severity),
            control=str(facts.get("control", "")),
            owner=str(facts.get("owner", "")),
            due=due,
            sha256=str(facts.get("sha256", "")),
            at_ms=at,
        )
        one.findings[made.number] = self._findings[index] = made
        return ""

    def _answer(self, index: int, ref: int) -> str:
        found = self._findings.get(ref)
        if found is None or not found.open:
            return "it is about no open finding"
        found.answers.append(index)
        return ""

    def _close(self, index: int, ref: int, facts: Facts) -> str:
        found, by = self._findings.get(ref), number(facts, "engagement")
        if found is None or not found.open:
            return "it is about no open finding"
        one = self._known.get(by)
        if (
            one is None
            or one.begun < 0
            or one.ended >= 0
            or by not in (found.engagement, max(self._known))
        ):
            return "nobody who may close it has closed it"
        if facts.get("answer", -1) != (found.answers[-1] if found.answers else -1):
            return "it closes upon another answer"
        if facts.get("how") not in HOW or not signed(one, ref, facts):
            return "the auditor has not signed it"
        found.closed, found.how = index, str(facts["how"])
        return ""


def _opine(one: Engagement, index: int, at: int, facts: Facts) -> str:
    size, word = number(facts, "size"), facts.get("opinion")
    if (
        word not in OPINIONS
        or facts.get("findings") != len(one.findings)
        or facts.get("listed") != one.listed()
    ):
        return "an opinion that leaves findings out"
    if not one.begun < size <= index:
        return "an opinion over another head"
    if number(facts, "first") > one.first or number(facts, "last") < one.last:
        return "an opinion that leaves epochs out"
    if one.counted.get(str(facts.get("counters")), size + 1) > size:
        return "an opinion over other counters"
    one.opinion = Opinion(
        index=index,
        word=str(word),
        size=size,
        first=number(facts, "first"),
        last=number(facts, "last"),
        at_ms=min(at, number(facts, "at")),
    )
    return ""


def signed(one: Engagement, ref: int, facts: Facts) -> bool:
    """Tell whether public facts carry the signature of the auditor of an engagement."""
    try:
        key = VerifyKey.from_text(one.key)
        said = {name: value for name, value in facts.items() if name not in ("state", "sig")}
        message = message_of(one.sha256, ref, str(facts["state"]), said)
        key.verify(DOMAIN, message, unb64(str(facts.get("sig", ""))))
    except (TamperedError, InvalidError, ValueError):
        return False
    return True


def message_of(engagement: str, ref: int, state: str, facts: Facts) -> bytes:
    """Return what an auditor signs.

    Args:
        engagement: SHA-256 of the order that engaged them, hex; the order names the home.
        ref: The leaf that the word is about.
        state: The step.
        facts: What it says.
    """
    return canonical.encode(
        {
            "v": VERSION,
            "engagement": engagement,
            "ref": ref,
            "state": state,
            "facts": dict(facts),
        }
    )


def number(facts: Facts, name: str) -> int:
    """Return a fact that is a number; -1 if there is none."""
    found = facts.get(name, -1)
    return found if type(found) is int else -1


def is_hash(text: Any) -> bool:
    """Tell whether a text is a SHA-256 in hex."""
    return (
        isinstance(text, str) and len(text) == HASH_HEX and not set(text) - set("0123456789abcdef")
    )


def _key(text: Any) -> VerifyKey | None:
    try:
        return VerifyKey.from_text(str(text))
    except (InvalidError, ValueError):
        return None
