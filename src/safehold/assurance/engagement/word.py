"""A word of an auditor, as its file brings it: what the leaf will say, the signature, and a text for people."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from safehold.clock import DAY_US
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.audits import (
    BEGUN,
    CLOSED,
    ENDED,
    FINDING,
    OPINION,
    VERSION,
    WORDS,
    is_hash,
    number,
)

LONGEST_TEXT: Final = 20_000  # characters
LATE_US: Final = 3 * DAY_US  # how old a word may be when it is handed in
AHEAD_US: Final = 60_000_000
FACTS: Final[Mapping[str, frozenset[str]]] = {
    BEGUN: frozenset({"at"}),
    FINDING: frozenset({"at", "number", "severity", "control", "owner", "due", "sha256"}),
    OPINION: frozenset(
        {
            "at",
            "opinion",
            "size",
            "root",
            "first",
            "last",
            "epochs",
            "counters",
            "findings",
            "listed",
        }
    ),
    CLOSED: frozenset({"at", "engagement", "how", "answer"}),
    ENDED: frozenset({"at", "how"}),
}
MAY_LACK: Final = frozenset({"answer"})  # a finding that nobody answered may be taken back


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """One word.

    Args:
        engagement: SHA-256 of the order that engaged whoever says it, hex.
        ref: The leaf it is about.
        state: One of ``WORDS``.
        facts: What the leaf will say.
        text: Words for people; sealed.
        sig: The signature, base64.
    """

    engagement: str
    ref: int
    state: str
    facts: Mapping[str, int | str]
    text: str
    sig: str

    @property
    def public(self) -> dict[str, int | str]:
        """The public facts of its leaf."""
        return {"state": self.state, **self.facts, "sig": self.sig}

    @classmethod
    def from_json(cls, tree: Any) -> Word:
        """Read what ``safehold-verify word`` wrote.

        Raises:
            InvalidError: It is no word of an auditor.
        """
        match tree:
            case {"v": str(version), "engagement": str(engagement), "ref": int(ref), "state": str(state),
                  "facts": dict(facts), "text": str(text), "sig": str(sig)} if (
                len(tree) == 7 and version == VERSION and state in WORDS and len(text) <= LONGEST_TEXT
            ):  # fmt: skip
                pass
            case _:
                raise InvalidError("not a word of an auditor", rule="audit.word")
        if not FACTS[state] - MAY_LACK <= set(facts) <= FACTS[state]:
            raise InvalidError(f"not what {state} says", rule="audit.word", field="facts")
        said = facts.get("sha256")
        if said is not None and (
            not is_hash(said) or hashlib.sha256(text.encode()).hexdigest() != said
        ):
            raise InvalidError("its text is not the one that was signed", rule="audit.text")
        return cls(engagement=engagement, ref=ref, state=state, facts=facts, text=text, sig=sig)

    def check_time(self, now_us: int) -> None:
        """Pass if it was signed in the last days: an old one would date an audit back, a later one forward.

        Raises:
            DeniedError: It is of another time.
        """
        at = number(self.facts, "at") * 1000
        if not now_us - LATE_US <= at <= now_us + AHEAD_US:
            raise DeniedError("a word of another time", rule="audit.time", fix="sign it again")
