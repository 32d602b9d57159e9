"""Whoever is signed in, as the person whom data is about: the keeper says who that is, and answers to them alone."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Any, Final

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from safehold.portal.mine.plain import plain
from safehold.portal.visit import Here, Visit
from safehold.portal.words import mark

TABS: Final = (
    ("/me", mark("Overview")),
    ("/me/uses", mark("Who used it")),
    ("/me/pictures", mark("In pictures")),
    ("/me/choices", mark("My choices")),
    ("/me/receipts", mark("Receipts")),
    ("/me/copy", mark("My copy")),
    ("/me/verify", mark("Check it yourself")),
    ("/me/keys", mark("Sign-in and keys")),
)


class NotJoinedError(Exception):
    """Whoever is signed in is linked to no person yet."""


def lead_to_joining(_request: Request, _error: Exception) -> Response:
    """Lead somebody to the page where they join."""
    return RedirectResponse("/me/join", 303)


class Myself:
    """A person who looks at what is theirs.

    Args:
        here: The request.
        person: The company's name for them, as the keeper told it.
    """

    def __init__(self, here: Visit, person: str) -> None:
        self.here = here
        self.person = person

    def ask(self, verb: str, **more: Any) -> dict[str, Any]:
        """Ask the keeper for something of theirs."""
        return self.here.line.call(verb, as_self=True, person=self.person, **more)

    def say(self, choice: str, **fields: Any) -> dict[str, Any]:
        """Have a choice recorded that takes no signature."""
        return self.ask("people.choose", choice=choice, **fields)

    def name(self, table: str, word: str) -> str:
        """Return a word of the keeper in plain ones, in the visitor's language."""
        return self.here.t(plain(table, word))

    def why(self, purpose: str) -> str:
        """Return a purpose in the plain words of the charter in force; by its name if that has it no more."""
        return self._plain.get(purpose) or self.name("purposes", purpose)

    @cached_property
    def _plain(self) -> dict[str, str]:
        told = self.here.line.call("purpose.list")["purposes"]
        return {str(one["purpose"]): str(one["plain"]) for one in told}

    def page(self, template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """Return one of their pages."""
        return self.here.page(
            f"me/{template}",
            status=status,
            tabs=TABS,
            person=self.person,
            name=self.name,
            why=self.why,
            **values,
        )


def myself(here: Here) -> Myself:
    """Return who is there, as the person they are.

    Raises:
        SignInError: Nobody is signed in.
        NotJoinedError: Their sign-in is linked to nobody.
    """
    here.somebody()
    person = here.line.call("session.show").get("person")
    if not person:
        raise NotJoinedError
    return Myself(here, str(person))


Me = Annotated[Myself, Depends(myself)]
