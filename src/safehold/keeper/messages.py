"""What a caller signs for the keeper: the bytes, and the domains of what seats sign.

Apart from the verbs that check them, so that who signs need not load what carries them out.
"""

from __future__ import annotations

from typing import Any, Final

from safehold import canonical
from safehold.signing import SigningKey

USE: Final = "safehold.use/1"
OBTAIN: Final = "safehold.obtain/1"
AS_SELF: Final = "as_self"  # the argument by which a caller says that they speak for themselves
CHOICE_DOMAIN: Final = "safehold.choice.v1"
ASK_DOMAIN: Final = "safehold.ask.v1"
STATEMENT: Final = "safehold.choice/1"
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


def ask_message(home: str, person: str, verb: str, nonce: bytes) -> bytes:
    """Return what a person signs to see what is theirs."""
    return canonical.encode([home, person, verb, canonical.b64(nonce)])


def ask(key: SigningKey, *, home: str, person: str, verb: str, nonce: bytes) -> dict[str, Any]:
    """Return the arguments by which a person proves to hold their key."""
    return {
        "person": person,
        "nonce": canonical.b64(nonce),
        "key": key.public.text(),
        "proof": canonical.b64(key.sign(ASK_DOMAIN, ask_message(home, person, verb, nonce))),
    }


def state(
    key: SigningKey,
    choice: str,
    *,
    home: str,
    person: str,
    charter: str,
    nonce: bytes,
    **fields: Any,
) -> dict[str, Any]:
    """Return the arguments of ``people.choose`` by which a person says what they choose.

    Args:
        key: The person's key.
        choice: Which choice.
        home: Id of the home.
        person: The company's name for them.
        charter: Hex digest of the charter they read.
        nonce: From the keeper, just now.
        fields: What else the choice says.
    """
    text = write_statement(choice, home=home, person=person, charter=charter, nonce=nonce, **fields)
    return {
        "statement": text.decode(),
        "signature": canonical.b64(key.sign(CHOICE_DOMAIN, text)),
        "key": key.public.text(),
    }


def write_statement(
    choice: str, *, home: str, person: str, charter: str, nonce: bytes, **fields: Any
) -> bytes:
    """Return what a person signs to say what they choose; see ``state``."""
    said = {
        "v": STATEMENT,
        "home": home,
        "person": person,
        "charter": charter,
        "nonce": canonical.b64(nonce),
        "choice": choice,
        **fields,
    }
    return canonical.encode(said)
