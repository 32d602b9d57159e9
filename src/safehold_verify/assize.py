"""What the leaves about independent audits tell: who was engaged, what they signed, which findings are open.

Every word of an auditor stands in its leaf with their signature, so it can be checked for as long as there is the log:
by nobody's leave, and after every side-car is gone. A message is the canonical JSON of ``v``, ``engagement`` (SHA-256
of the order that engaged them, which names the home), ``ref``, ``state`` and ``facts``: all public facts of the leaf
but ``state`` and ``sig``. It is signed with Ed25519 over ``safehold.audit-word.v1``, a zero byte, and the message.

What it cannot show: that the board engaged them. The signatures of the seats lie in a sealed side-car and on the paper.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

KIND: Final = "audit"
VERSION: Final = "safehold.audit-word/1"
DOMAIN: Final = b"safehold.audit-word.v1"
OPINIONS: Final = ("unqualified", "qualified", "adverse", "disclaimer")
SEVERITIES: Final = ("critical", "high", "medium", "low")

Facts = Mapping[str, int | str]


@dataclass(slots=True)
class Held:
    """One engagement, as far as the log tells it.

    Args:
        sha256: Of the order that engaged, hex.
        key: Public key of the auditor, 32 bytes.
        ends: Last UTC day on which its opinion is heard.
        begun: Whether the auditor has begun.
        opinion: Leaf of the opinion, -1 before.
        ended: Whether it has ended.
        findings: Leaves of findings by their number.
    """

    sha256: str
    key: bytes
    ends: int
    begun: bool = False
    opinion: int = -1
    ended: bool = False
    findings: dict[int, int] = field(default_factory=dict)


class Assize:
    """The audits of a log; ``read`` leaf after leaf."""

    def __init__(self) -> None:
        self.held: dict[int, Held] = {}
        self._findings: dict[int, list[int]] = {}  # leaf -> engagement, newest answer, closed

    def read(self, index: int, ref: int, facts: Facts) -> str:
        """Take the next leaf, and return what is wrong with it, or nothing.

        Args:
            index: Its number.
            ref: The leaf it refers to, -1 if none.
            facts: Its public facts.
        """
        state = str(facts.get("state", ""))
        if state == "engaged":
            return self._engage(index, ref, facts)
        if state in ("finding.answered", "finding.closed"):
            return self._settle(index, ref, state, facts)
        one = self.held.get(ref)
        if one is None or one.ended:
            return "it belongs to no engagement that goes on"
        by_board = state == "counted" or (state == "ended" and facts.get("by") == "board")
        if not by_board and not holds(one.key, one.sha256, ref, facts):
            return "the auditor has not signed it"
        return self._hear(one, index, state, facts)

    def open_findings(self) -> int:
        """Return how many findings are not closed."""
        return sum(not closed for _, _, closed in self._findings.values())

    def state(self) -> list[Any]:
        """Return what was told as JSON values, for ``resume``."""
        return [
            [
                [
                    at,
                    one.sha256,
                    one.key.hex(),
                    one.ends,
                    one.begun,
                    one.opinion,
                    one.ended,
                    sorted(one.findings.items()),
                ]
                for at, one in self.held.items()
            ],
            [[at, *known] for at, known in self._findings.items()],
        ]

    @classmethod
    def resume(cls, state: Any) -> Assize:
        """Go on from what ``state`` returned."""
        found = cls()
        held, findings = state or ([], [])
        for at, sha, key, ends, begun, opinion, ended, listed in held:
            found.held[int(at)] = Held(
                sha256=str(sha),
                key=bytes.fromhex(key),
                ends=int(ends),
                begun=bool(begun),
                opinion=int(opinion),
                ended=bool(ended),
                findings={int(number): int(leaf) for number, leaf in listed},
            )
        found._findings = {int(at): [int(one) for one in known] for at, *known in findings}
        return found

    def _engage(self, index: int, ref: int, facts: Facts) -> str:
        newest = next(reversed(self.held.values()), None)
        starts, ends = facts.get("starts"), facts.get("ends")
        if not isinstance(starts, int) or not isinstance(ends, int):
            return "not an engagement"
        if newest is not None and newest.opinion < 0 and not newest.ended and starts <= newest.ends:
            return "another engagement goes on"
        key, sha = read_key(facts.get("key")), str(facts.get("sha256", ""))
        if ref >= 0 or key is None or not _is_hash(sha):
            return "not an engagement"
        self.held[index] = Held(sha256=sha, key=key, ends=ends)
        return ""

    def _hear(self, one: Held, index: int, state: str, facts: Facts) -> str:
        if state == "ended":
            one.ended = True
        elif state == "begun" and not one.begun:
            one.begun = True
        elif state in ("finding", "opinion") and one.begun and one.opinion < 0:
            return (self._find if state == "finding" else self._opine)(one, index, facts)
        elif state != "counted":
            return "an unknown step of an audit, or out of turn"
        return ""

    def _find(self, one: Held, index: int, facts: Facts) -> str:
        number = facts.get("number")
        if number != len(one.findings) + 1 or facts.get("severity") not in SEVERITIES:
            return "not the next finding"
        one.findings[int(number)] = index
        self._findings[index] = [self._of(one), -1, 0]
        return ""

    def _opine(self, one: Held, index: int, facts: Facts) -> str:
        if facts.get("opinion") not in OPINIONS or facts.get("findings") != len(one.findings):
            return "an opinion that leaves findings out"
        size = facts.get("size")
        if not isinstance(size, int) or not self._of(one) < size <= index:
            return "an opinion over another head"
        one.opinion = index
        return ""

    def _settle(self, index: int, ref: int, state: str, facts: Facts) -> str:
        known = self._findings.get(ref)
        if known is None or known[2]:
            return "it is about no open finding"
        if state == "finding.answered":
            known[1] = index
            return ""
        by = facts.get("engagement")
        one = self.held.get(by) if isinstance(by, int) else None
        if one is None or not one.begun or one.ended or by not in (known[0], max(self.held)):
            return "nobody who may close it has closed it"
        if facts.get("answer", -1) != known[1]:
            return "it closes upon another answer"
        if not holds(one.key, one.sha256, ref, facts):
            return "the auditor has not signed it"
        known[2] = 1
        return ""

    def _of(self, one: Held) -> int:
        return next(at for at, other in self.held.items() if other is one)


def message_of(engagement: str, ref: int, state: str, facts: Facts) -> bytes:
    """Return what an auditor signs.

    Args:
        engagement: SHA-256 of the order that engaged them, hex.
        ref: The leaf that the word is about.
        state: The step.
        facts: What it says.
    """
    said = {
        "v": VERSION,
        "engagement": engagement,
        "ref": ref,
        "state": state,
        "facts": dict(facts),
    }
    return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()


def holds(key: bytes, engagement: str, ref: int, facts: Facts) -> bool:
    """Tell whether the public facts of a leaf carry the signature of an auditor."""
    rest = {name: value for name, value in facts.items() if name not in ("state", "sig")}
    message = message_of(engagement, ref, str(facts.get("state", "")), rest)
    try:
        sig = base64.b64decode(str(facts.get("sig", "")), validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(sig, DOMAIN + b"\0" + message)
    except (InvalidSignature, ValueError, binascii.Error):
        return False
    return True


def read_key(text: Any) -> bytes | None:
    """Return 32 bytes of a public key from base64, or nothing."""
    try:
        raw = base64.b64decode(str(text), validate=True)
        Ed25519PublicKey.from_public_bytes(raw)
    except (ValueError, binascii.Error):
        return None
    return raw


def _is_hash(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")
