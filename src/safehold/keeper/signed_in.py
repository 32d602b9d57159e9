"""A person who is signed in and speaks for themselves, without a key.

Holds:
1. Only a human in a proved session, and only for the person whom this very identity is linked to.
2. It sees what is the person's own and says what narrows. What widens takes a key of the person, whatever the session.
3. What is said so is recorded as such: ``by`` is ``sign-in``, and the record names the principal and the leaf of the
   session. There is no signature of the person in it, and no receipt claims one.
4. Whether somebody is enrolled is told to nobody who does not speak for them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from safehold.errors import DeniedError, MissingError, SignInError
from safehold.ids import PersonId
from safehold.keeper.caller import HUMAN, Caller, caller
from safehold.keeper.messages import AS_SELF
from safehold.subjects import Link, digest_identity

if TYPE_CHECKING:
    from safehold.keeper.desk import Desk

SIGN_IN: Final = "sign-in"


def speaks_as_self(arguments: Mapping[str, Any]) -> bool:
    """Return whether a caller says that they speak for themselves, by their session."""
    return arguments.get(AS_SELF) is True


def require_human() -> Caller:
    """Return who calls, if it is a human who proved who they are.

    Raises:
        SignInError: It is not.
    """
    who = caller()
    if who.kind != HUMAN:
        raise SignInError(
            "you are not signed in", rule="subjects.signed_in", fix="safehold sign-in"
        )
    return who


def require_linked(desk: Desk, arguments: Mapping[str, Any], *, reads: bool) -> PersonId:
    """Return the person whom the caller's sign-in speaks for.

    Args:
        desk: What the keeper works with.
        arguments: ``person``.
        reads: Whether it is to see or to take away something; what only narrows needs no rest.

    Raises:
        SignInError: It speaks for nobody of that name.
        DeniedError: It was linked with a code beside another voice, less than seven days ago.
    """
    who = require_human()
    refused = SignInError(
        "this sign-in does not speak for that person",
        rule="subjects.link",
        fix="safehold me link, with the code that you were given",
    )
    try:
        person = desk.people.find(str(arguments["person"]))
    except MissingError as error:
        raise refused from error
    link = desk.people.standing(person).voice.link
    if link is None or not holds(link, who):
        raise refused
    if reads and link.resting(desk.now_us()):
        raise DeniedError(
            "this sign-in was linked with a code beside another voice, and reads only after seven days",
            rule="subjects.link_rests",
            fix="sign the link with the key that you have",
        )
    return person


def holds(link: Link, who: Caller) -> bool:
    """Tell whether a link is one of this session's, and nothing ended it; ``require_linked`` lets pass or not."""
    return (
        who.kind == HUMAN
        and link.principal == who.id
        and link.identity == digest_identity(who.name)
        and who.broken <= link.register
    )


def linked_person(desk: Desk, who: Caller) -> str:
    """Return the company's name for the person whom a session speaks for, or nothing."""
    found = desk.people.linked(who.id, digest_identity(who.name))
    if found is None:
        return ""
    standing = desk.people.standing(found)
    link = standing.voice.link
    return standing.external if link is not None and holds(link, who) else ""


def proof_of(who: Caller) -> dict[str, Any]:
    """Return what a record says of who spoke."""
    return {"principal": who.id, "session": who.entry}


def link_of(who: Caller, at_us: int) -> dict[str, Any]:
    """Return what a record says of a new link."""
    return {
        **proof_of(who),
        "identity": who.name,
        "method": who.method,
        "register": who.register,
        "at_us": at_us,
    }
