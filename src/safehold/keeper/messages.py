"""What a caller signs for the keeper: the bytes, and the domains of what seats sign.

Apart from the verbs that check them, so that who signs need not load what carries them out.
"""

from __future__ import annotations

from typing import Final

from safehold import canonical

USE: Final = "safehold.use/1"
OBTAIN: Final = "safehold.obtain/1"
AS_SELF: Final = "as_self"  # the argument by which a caller says that they speak for themselves
READ_DOMAIN: Final = "safehold.read.v1"
ANSWER_DOMAIN: Final = "safehold.answer.v1"
ANSWER: Final = "safehold.answer/1"


def use_message(verb: str, purpose: str) -> bytes:
    """Return what a caller signs, beside a nonce, to use a capability."""
    return canonical.encode({"v": USE, "verb": verb, "purpose": purpose})


def obtain_message(person: str) -> bytes:
    """Return what a device signs, beside a nonce, to obtain a lease for a person (by external id)."""
    return canonical.encode({"v": OBTAIN, "person": person})


def write_answer(*, home: str, case: str, outcome: str, text: str) -> bytes:
    """Return what a seat signs to answer a request: the outcome in a word, and the text to the person."""
    said = {"v": ANSWER, "home": home, "case": case, "outcome": outcome, "text": text}
    return canonical.encode(said)
