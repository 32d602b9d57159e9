"""Joining: the one-time code links a sign-in to a person, or sets the passkey they sign with; and ending either."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import RedirectResponse

from safehold.errors import DeniedError, InvalidError, MissingError, SafeholdError, SignInError
from safehold.passkey import Passkey
from safehold.portal import signing
from safehold.portal.pages.me.choices import KIND, draft_of
from safehold.portal.pages.me.myself import Me
from safehold.portal.pages.me.overview import resting
from safehold.portal.visit import Form, Here

router = APIRouter()
HERE: Final = "/me/keys"
LONGEST: Final = 400


@router.get("/me/join")
def ask(here: Here) -> Response:
    """Ask for the code."""
    here.somebody()
    if here.line.call("session.show").get("person"):
        return RedirectResponse("/me", 303)
    return here.page("me/join.html", error="", said="")


@router.post("/me/join")
def join(here: Here, form: Form) -> Response:
    """Link the sign-in to the person whose code it is."""
    here.somebody()
    person, code = form.text("person", longest=200), form.text("code", longest=200)
    try:
        here.line.call(
            "people.choose", as_self=True, person=person, choice="link", code=_tidy(code)
        )
    except (SignInError, MissingError, InvalidError, DeniedError) as error:
        if isinstance(error, SignInError) and (error.rule or "").startswith("session."):
            raise
        return here.page("me/join.html", status=error.status, error=_told(error), said=person)
    return here.back("/me", "linked")


@router.get(HERE)
def show(me: Me) -> Response:
    """Show which sign-in and which keys speak for somebody."""
    try:
        shown = me.ask("people.show")
    except DeniedError as error:
        return resting(me, error)
    return me.page("keys.html", shown=shown, host=me.here.site.settings.host)


@router.post("/me/keys/new")
def new(me: Me, form: Form) -> Response:
    """Prepare a passkey that a browser just made to be set, which it signs itself."""
    host = me.here.site.settings.host
    made = Passkey.from_text(form.text("key", longest=LONGEST))
    if made.rp_id != host:
        raise InvalidError("this passkey is bound to another page", rule="portal.passkey")
    fields = {"new_key": made.text(), "code": _tidy(form.text("code", longest=200))}
    return me.page(
        "sign.html", choice="key", fields={}, prepared=draft_of(me, "key", **fields),
        action="/me/keys/set", passkey=made.text(),
    )  # fmt: skip


@router.post("/me/keys/set")
def set_key(me: Me, form: Form) -> Response:
    """Hand in what the new key signed."""
    call = signing.take(form, KIND, [form.text("passkey", longest=LONGEST)])
    me.here.line.call(call.verb, **call.arguments)
    return me.here.back(HERE, "key-set")


@router.post("/me/keys/unlink")
def unlink(me: Me, _form: Form) -> Response:
    """End the link of this sign-in."""
    me.say("unlink")
    return me.here.back("/me/join", "unlinked")


@router.post("/me/keys/disown")
def disown(me: Me, _form: Form) -> Response:
    """Refuse what a code made beside another voice."""
    me.say("disown")
    return me.here.back(HERE, "disowned")


def _tidy(code: str) -> str:
    return "".join(code.split())


def _told(error: SafeholdError) -> str:
    return str(error.payload()["message"])


__all__ = ["router"]
