"""Being erased: what it would end is shown first, and then it is said a second time."""

from __future__ import annotations

from fastapi import APIRouter, Response

from safehold.errors import InvalidError
from safehold.portal.pages.me.myself import Me
from safehold.portal.visit import Form

router = APIRouter()


@router.post("/me/erase/look")
def look(me: Me, _form: Form) -> Response:
    """Show what an erasure would end, and ask again."""
    return me.page("erase.html", told=me.ask("people.leave"), wrong="")


@router.post("/me/erase")
def erase(me: Me, form: Form) -> Response:
    """Erase whoever is there, if they confirm what they were shown."""
    if not form.has("understood"):
        told = me.ask("people.leave")
        return me.page("erase.html", status=422, told=told, wrong="understood")
    confirm = form.text("confirm")
    if not confirm:
        raise InvalidError("nothing confirms this", field="confirm", rule="portal.field")
    told = me.ask("people.erase", choice="erase", confirm=confirm)
    # the link ended with the person: this page is all that there will be, and it carries the receipt
    return me.here.page("me/erased.html", told=told, name=me.name, why=me.why)
