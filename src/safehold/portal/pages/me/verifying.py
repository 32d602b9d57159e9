"""Check it yourself: the package, the receipt of one's keys, and how to check them without us."""

from __future__ import annotations

from fastapi import APIRouter, Response

from safehold.portal.pages.me.myself import Me
from safehold.portal.pages.me.uses import handed
from safehold.portal.visit import Form

router = APIRouter()
JSON = "application/json"


@router.get("/me/verify")
def show(me: Me) -> Response:
    """Say how to check, and what that shows."""
    return me.page("verify.html", home=me.here.line.call("hello")["home"])


@router.post("/me/verify/package")
def package(me: Me, _form: Form) -> Response:
    """Hand out the complete list of uses with its proofs, up to this moment."""
    return handed(me.ask("people.trail")["package"].encode(), "package.json", JSON)


@router.post("/me/verify/receipt")
def receipt(me: Me, _form: Form) -> Response:
    """Hand out what commits the keeper to the person's keys."""
    return handed(me.ask("people.receipt")["receipt"].encode(), "receipt.json", JSON)
