"""The receipts of what somebody chose, or others entered about them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Query, Response

from safehold.errors import MissingError
from safehold.portal.pages.me.myself import Me
from safehold.portal.pages.me.uses import handed

router = APIRouter()
A_PAGE: Final = 25


@router.get("/me/receipts")
def show(me: Me, before: Annotated[int | None, Query(ge=0, lt=2**53)] = None) -> Response:
    """List them, newest first."""
    found = me.ask("people.receipts", limit=A_PAGE, **({"before": before} if before else {}))
    return me.page(
        "receipts.html", receipts=found["receipts"][::-1], older=found.get("next"), first=not before
    )


@router.get("/me/receipts/{entry}")
def one(me: Me, entry: int) -> Response:
    """Hand out one."""
    for found in me.ask("people.receipts", limit=1, before=entry + 1)["receipts"]:
        if found["entry"] == entry and found["receipt"] is not None:
            return handed(found["receipt"].encode(), f"{entry:08}-{found['choice']}.receipt")
    raise MissingError("there is no receipt of yours of this entry", rule="portal.receipt")
