"""Who speaks for a person: the person, by their own key; an operator only for what takes away.

Rules:
1. What a person says is a statement: canonical JSON that names this home, the person, the charter they read, a fresh
   nonce of the keeper, and what they choose. They sign it; it counts once.
2. Whatever shows a person's choices, or when they were made, is shown to whoever proves to hold the person's key. For
   somebody who has no key yet nobody but an operator can have chosen, and an operator may look, except at the choices.
3. An operator enters what narrows, marked as theirs. What widens they enter only where the charter says so, and only
   for somebody who does not speak for themselves.
4. Whoever is signed in with what the person linked reads and narrows for them; see ``signed_in``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from safehold import canonical
from safehold.canonical import unb64
from safehold.errors import (
    ConflictError,
    DeniedError,
    InvalidError,
    MissingError,
    SignInError,
    TamperedError,
)
from safehold.ids import PersonId
from safehold.keeper.caller import Caller
from safehold.keeper.change import KEYS, LINKS, MINE, NARROWING
from safehold.keeper.messages import ASK_DOMAIN, CHOICE_DOMAIN, STATEMENT, ask_message
from safehold.keeper.signed_in import (
    SIGN_IN,
    link_of,
    linked_person,
    proof_of,
    require_human,
    require_linked,
    speaks_as_self,
)
from safehold.signing import speaking_key
from safehold.subjects.link import digest_identity
from safehold.subjects.voice import NOBODY

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

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
    "link": frozenset({"identity"}),
    "unlink": frozenset(),
    "disown": frozenset(),
    "erase": frozenset({"confirm"}),
}
# what somebody may say who is signed in and signs nothing
SIGNED_IN: Final = NARROWING | LINKS | {"erase"}
LONGEST_STATEMENT: Final = 4_000  # bytes
GET_KEY: Final = "safehold me join, with the code that you were given"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """What somebody said, and who.

    Args:
        person: About whom.
        by: ``person``, ``sign-in`` or ``operator``.
        fields: What was chosen.
        proof: Statement, signature and key, of a person; principal and session of a sign-in; nothing of an operator.
    """

    person: PersonId
    by: str
    fields: Mapping[str, Any]
    proof: Mapping[str, Any]


def hear(desk: Desk, arguments: Mapping[str, Any]) -> Spoken:
    """Return who says what; a person's signature is checked, an operator's right to say it.

    Raises:
        SignInError: The signature is not that of the person, or answers another question.
        DeniedError: An operator may not say this, or the key is too new for it.
        InvalidError: It is no statement.
    """
    if "statement" not in arguments:
        if speaks_as_self(arguments):
            return _hear_signed_in(desk, arguments)
        return _hear_operator(desk, arguments)
    text = str(arguments["statement"]).encode()
    said = _parse(text)
    if said["home"] != desk.home.id:
        raise _not_theirs()
    choice, key = str(said["choice"]), str(arguments.get("key", ""))
    now, person, voice = desk.now_us(), None, NOBODY
    with suppress(MissingError):  # of somebody who is not there it says what it says of a wrong key
        person = desk.people.find(str(said["person"]))
        voice = desk.people.standing(person).voice
    nonce = desk.nonces.spend(unb64(str(said["nonce"])), now)
    by_code = choice in KEYS and "code" in said
    known = (str(said["new_key"]),) if by_code else voice.keys(now)
    if key not in known:
        raise _not_theirs()
    _check(key, CHOICE_DOMAIN, text, arguments.get("signature"))
    if by_code:  # whoever has the code speaks with the key that they bring
        voice.admit(str(said["code"]), at_us=now)
    elif choice not in NARROWING | {"disown"} and key not in voice.trusted(now):
        raise DeniedError(
            "this key replaced another with a code, and widens only after seven days",
            rule="subjects.key_rests",
            fix="the key that it replaced still counts until then",
        )
    if person is None:
        raise _not_theirs()
    if choice in {"consent", "resume", "lift"} and said["charter"] != desk.trust.digest().hex():
        raise DeniedError(
            "this was signed for another charter than the one in force",
            rule="subjects.charter",
            fix="read the charter in force, and choose again: safehold charter explain",
        )
    del nonce  # spent: the statement names it, so it counts once
    if choice == "link":
        who = require_human()
        if said.get("identity") != who.name:
            raise _not_theirs()
        _require_free(desk, who, person)
        linked = link_of(who, now) | {"by_code": False}
    else:
        linked = {}
    proof = linked | {
        "statement": text.decode(),
        "signature": str(arguments["signature"]),
        "key": key,
    }
    return Spoken(person=person, by=PERSON, fields=said, proof=proof)


def _hear_signed_in(desk: Desk, arguments: Mapping[str, Any]) -> Spoken:
    choice, now = arguments.get("choice"), desk.now_us()
    if choice not in SIGNED_IN:
        raise DeniedError(
            "what widens is signed with a key of your own",
            rule="subjects.signed",
            fix="set one with a code (safehold me join), or a passkey",
        )
    allowed = FIELDS[str(choice)] | {"as_self", "person", "choice"}
    if choice == "link":
        allowed = allowed - {"identity"} | {"code"}
    if not set(arguments) <= allowed:
        raise InvalidError("no such choice", rule="subjects.choice")
    who = require_human()
    if choice == "link":
        person = _find_for_code(desk, arguments)
        desk.people.standing(person).voice.admit(str(arguments.get("code", "")), at_us=now)
        _require_free(desk, who, person)
        _require_no_other(desk, who, person)
        proof = link_of(who, now) | {"by_code": True}
    else:
        # what cannot be undone, or silences another voice for good, is not said by what still rests
        reads = choice in {"erase", "unlink"}
        person = require_linked(desk, arguments, reads=reads)
        proof = proof_of(who)
    return Spoken(person=person, by=SIGN_IN, fields=arguments, proof=proof)


def _require_free(desk: Desk, who: Caller, person: PersonId) -> None:
    """Pass if a sign-in speaks for nobody else: one account is not a window on several people.

    Raises:
        ConflictError: It does.
    """
    other = linked_person(desk, who)
    if other not in {"", desk.people.standing(person).external}:
        raise ConflictError(
            "this sign-in speaks for somebody else", rule="subjects.linked", fix="unlink it there"
        )


def _require_no_other(desk: Desk, who: Caller, person: PersonId) -> None:
    """Pass if a code would push out no other sign-in: somebody without a key could not see it, nor end it.

    Raises:
        ConflictError: It would.
    """
    link = desk.people.standing(person).voice.link
    same = link is None or (link.principal, link.identity) == (who.id, digest_identity(who.name))
    if not same:
        raise ConflictError(
            "another sign-in speaks for this person",
            rule="subjects.link_stands",
            fix="unlink that first, or set a key with the code and unlink it with that",
        )


def _find_for_code(desk: Desk, arguments: Mapping[str, Any]) -> PersonId:
    """Return a person; of somebody who is not there it says what it says of a wrong code."""
    try:
        return desk.people.find(str(arguments["person"]))
    except MissingError:
        NOBODY.admit("", at_us=desk.now_us())
        raise


def _hear_operator(desk: Desk, arguments: Mapping[str, Any]) -> Spoken:
    person = desk.people.find(str(arguments["person"]))
    choice = arguments["choice"]
    if choice not in MINE - KEYS - LINKS:
        raise InvalidError("no such choice", rule="subjects.choice")
    if choice not in NARROWING:
        require_proxy(desk, has_key=desk.people.standing(person).voice.speaks)
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
    if speaks_as_self(arguments):
        return require_linked(desk, arguments, reads=True)
    try:
        person = desk.people.find(str(arguments["person"]))
    except MissingError as error:
        if "proof" in arguments:  # the door lets anybody in with one
            raise _not_theirs() from error
        raise
    standing, now = desk.people.standing(person), desk.now_us()
    voice = standing.voice
    # whoever brings a proof is held to it: the door lets them in for it
    if not voice.speaks and keyless and "proof" not in arguments:
        return person
    key = str(arguments.get("key", ""))
    if not key or key not in voice.trusted(now):
        raise _not_theirs()
    nonce = unb64(str(arguments.get("nonce", "")))
    desk.nonces.spend(nonce, now)
    message = ask_message(desk.home.id, standing.external, verb, nonce)
    _check(key, ASK_DOMAIN, message, arguments.get("proof"))
    return person


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
        speaking_key(key).verify(domain, message, unb64(str(signature)))
    except (TamperedError, InvalidError) as error:
        raise _not_theirs() from error


def _not_theirs() -> SignInError:
    return SignInError("this is not signed by the person", rule="subjects.voice", fix=GET_KEY)


__all__: Sequence[str] = (
    "FIELDS",
    "OPERATOR",
    "PERSON",
    "Spoken",
    "hear",
    "require_person",
    "require_proxy",
)
