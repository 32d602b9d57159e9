"""Who speaks for a person: the person, by their own key; an operator only for what takes away.

Rules:
1. What a person says is a statement: canonical JSON that names this home, the person, the charter they read, a fresh
   nonce of the keeper, and what they choose. They sign it; it counts once.
2. Whatever shows a person's choices, or when they were made, is shown to whoever proves to hold the person's key. For
   somebody who has no key yet nobody but an operator can have chosen, and an operator may look, except at the choices.
3. An operator enters what narrows, marked as theirs. What widens they enter only where the charter says so, and only
   for somebody who has no key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.errors import DeniedError, InvalidError, SignInError, TamperedError
from safehold.ids import PersonId
from safehold.keeper.change import KEYS, MINE, NARROWING
from safehold.keeper.desk import Desk
from safehold.signing import SigningKey, VerifyKey

STATEMENT: Final = "safehold.choice/1"
CHOICE_DOMAIN: Final = "safehold.choice.v1"
ASK_DOMAIN: Final = "safehold.ask.v1"
OPERATOR, PERSON = "operator", "person"
HEAD: Final = frozenset({"v", "home", "person", "charter", "nonce", "choice"})
# what each choice may say beside that
FIELDS: Final[Mapping[str, frozenset[str]]] = {
    "consent": frozenset({"streams", "purposes"}),
    "pause": frozenset({"start_us", "end_us"}),
    "resume": frozenset({"planned"}),
    "withdraw": frozenset(),
    "object": frozenset({"purposes", "text"}),
    "restrict": frozenset({"text"}),
    "correct": frozenset({"about", "days", "text"}),
    "lift": frozenset(),
    "key": frozenset({"new_key", "code"}),
}
LONGEST_STATEMENT: Final = 4_000  # bytes
GET_KEY: Final = "safehold me join, with the code that you were given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What somebody said, and who.

    Args:
        person: About whom.
        by: ``person`` or ``operator``.
        fields: What was chosen.
        proof: Statement, signature and key, of a person; nothing of an operator.
    """

    person: PersonId
    by: str
    fields: Mapping[str, Any]
    proof: Mapping[str, str]


def hear(desk: Desk, arguments: Mapping[str, Any]) -> Spoken:
    """Return who says what; a person's signature is checked, an operator's right to say it.

    Raises:
        SignInError: The signature is not that of the person, or answers another question.
        DeniedError: An operator may not say this, or the key is too new for it.
        InvalidError: It is no statement.
    """
    if "statement" not in arguments:
        return _hear_operator(desk, arguments)
    text = str(arguments["statement"]).encode()
    said = _parse(text)
    person = desk.people.find(str(said["person"]))
    if said["home"] != desk.home.id:
        raise _not_theirs()
    choice, key = str(said["choice"]), str(arguments.get("key", ""))
    voice, now = desk.people.standing(person).voice, desk.now_us()
    nonce = desk.nonces.spend(unb64(str(said["nonce"])), now)
    by_code = choice in KEYS and "code" in said
    known = (str(said["new_key"]),) if by_code else voice.keys(now)
    if key not in known:
        raise _not_theirs()
    _check(key, CHOICE_DOMAIN, text, arguments.get("signature"))
    if by_code:  # whoever has the code speaks with the key that they bring
        voice.admit(str(said["code"]), at_us=now)
    elif choice not in NARROWING and key not in voice.trusted(now):
        raise DeniedError(
            "this key replaced another with a code, and widens only after seven days",
            rule="subjects.key_rests",
            fix="the key that it replaced still counts until then",
        )
    if choice in {"consent", "resume", "lift"} and said["charter"] != desk.trust.digest().hex():
        raise DeniedError(
            "this was signed for another charter than the one in force",
            rule="subjects.charter",
            fix="read the charter in force, and choose again: safehold charter explain",
        )
    del nonce  # spent: the statement names it, so it counts once
    proof = {
        "statement": text.decode(),
        "signature": str(arguments["signature"]),
        "key": key,
    }
    return Spoken(person=person, by=PERSON, fields=said, proof=proof)


def _hear_operator(desk: Desk, arguments: Mapping[str, Any]) -> Spoken:
    person = desk.people.find(str(arguments["person"]))
    choice = arguments["choice"]
    if choice not in MINE - KEYS:
        raise InvalidError("no such choice", rule="subjects.choice")
    if choice not in NARROWING:
        require_proxy(desk, has_key=bool(desk.people.standing(person).voice.key))
    return Spoken(person=person, by=OPERATOR, fields=arguments, proof={})


def require_proxy(desk: Desk, *, has_key: bool = False) -> None:
    """Pass if an operator may enter what widens for somebody.

    Raises:
        DeniedError: The charter does not say so, or the person speaks for themselves.
    """
    let = (
        not desk.trust.digest()  # the first charter says whether it counts
        or desk.trust.charter().participation.opt_in_by == "person_or_operator"
    )
    if has_key or not let:
        raise DeniedError(
            "nobody opts in, resumes or lifts for somebody else",
            rule="subjects.proxy",
            fix="hand the person a code: safehold people invite; they choose with safehold me",
        )


def require_person(
    desk: Desk, arguments: Mapping[str, Any], verb: str, *, keyless: bool = True
) -> PersonId:
    """Return the person that a caller asks about, if the caller may see what they chose.

    Args:
        desk: What the keeper works with.
        arguments: ``person``, and ``nonce``, ``key`` and ``proof`` of whoever has the person's key.
        verb: What is asked for.
        keyless: Whether an operator may ask about somebody who has no key.

    Raises:
        SignInError: The person has a key, and the caller has not proved to hold it.
    """
    person = desk.people.find(str(arguments["person"]))
    standing, now = desk.people.standing(person), desk.now_us()
    voice = standing.voice
    # whoever brings a proof is held to it: the door lets them in for it
    if not voice.key and keyless and "proof" not in arguments:
        return person
    key = str(arguments.get("key", ""))
    if not key or key not in voice.trusted(now):
        raise _not_theirs()
    nonce = unb64(str(arguments.get("nonce", "")))
    desk.nonces.spend(nonce, now)
    message = ask_message(desk.home.id, standing.external, verb, nonce)
    _check(key, ASK_DOMAIN, message, arguments.get("proof"))
    return person


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
    said = {
        "v": STATEMENT,
        "home": home,
        "person": person,
        "charter": charter,
        "nonce": canonical.b64(nonce),
        "choice": choice,
        **fields,
    }
    text = canonical.encode(said)
    return {
        "statement": text.decode(),
        "signature": canonical.b64(key.sign(CHOICE_DOMAIN, text)),
        "key": key.public.text(),
    }


def _parse(text: bytes) -> dict[str, Any]:
    wrong = InvalidError("not a statement of a choice", rule="subjects.statement")
    if len(text) > LONGEST_STATEMENT:
        raise wrong
    said = canonical.decode(text)
    if not isinstance(said, dict) or canonical.encode(said) != text or not set(said) >= HEAD:
        raise wrong
    choice = said["choice"]
    allowed = FIELDS.get(choice) if isinstance(choice, str) else None
    if allowed is None or said["v"] != STATEMENT or not set(said) - HEAD <= allowed:
        raise wrong
    if not all(isinstance(said[name], str) for name in HEAD):
        raise wrong
    if choice in KEYS and "new_key" not in said:
        raise wrong
    return said


def _check(key: str, domain: str, message: bytes, signature: object) -> None:
    try:
        VerifyKey.from_text(key).verify(domain, message, unb64(str(signature)))
    except (TamperedError, InvalidError) as error:
        raise _not_theirs() from error


def _not_theirs() -> SignInError:
    return SignInError("this is not signed by the person", rule="subjects.voice", fix=GET_KEY)


__all__: Sequence[str] = (
    "ASK_DOMAIN", "CHOICE_DOMAIN", "FIELDS", "OPERATOR", "PERSON", "Spoken", "ask", "ask_message",
    "hear", "require_person", "require_proxy", "state",
)  # fmt: skip
