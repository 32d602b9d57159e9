"""Passkeys for anybody, and another key for a seat: signed by the present key and by the new one."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from safehold import canonical
from safehold.app.signable import prepare
from safehold.charter import Roster
from safehold.charter.turnover import next_roster
from safehold.portal import signing
from safehold.portal.boardroom.seats import keys_of
from safehold.portal.visit import Form, Here, Visit
from safehold.signing import speaking_key

router = APIRouter(include_in_schema=False)
MENU: Final = ()


@router.get("/passkey/new", response_class=HTMLResponse)
def new(here: Here) -> HTMLResponse:
    """Let a browser make a passkey, and show its public text; nothing is sent to the portal, and nothing kept."""
    return here.page("board/passkey.html", host=here.site.settings.host)


@router.get("/board/key", response_class=HTMLResponse)
def begin(here: Here, seat: str = "", key: str = "") -> HTMLResponse:
    """Draw up the roster with another key for a seat, for the present key to sign."""
    here.somebody()
    mine, made = here.line.call("board.mine"), None
    if seat and key.strip():
        present = Roster.from_json(here.line.call("board.show")["roster"])
        made = next_roster(present, seat=seat, key=speaking_key(key.strip()))
    return _page(here, mine, made, seat=seat, first="")


@router.post("/board/key/first", response_class=HTMLResponse)
def first(here: Here, form: Form) -> HTMLResponse:
    """Take what the present key signed; the new one signs next."""
    mine = here.line.call("board.mine")
    keys = keys_of(here.line.call("board.show"), mine["seats"])
    call = signing.take(form, "rotation", keys)
    made, (signature,) = _roster(call.arguments["roster"])
    return _page(
        here, mine, made, seat=signature["seat"], first=canonical.encode(signature).decode()
    )


@router.post("/board/key")
def rotate(here: Here, form: Form) -> Response:
    """Hand in the roster with both signatures; the old key is dead at once."""
    earlier = canonical.decode(form.text("first", longest=10_000).encode())
    call = signing.take(form, "rotation", [form.text("key")])
    tree = call.arguments["roster"]
    here.line.call(call.verb, roster=tree | {"signatures": [earlier, *tree["signatures"]]})
    return here.back("/board", "saved")


def _roster(tree: dict[str, Any]) -> tuple[Roster, list[dict[str, Any]]]:
    """Return a roster without its signatures, and those."""
    return Roster.from_json(tree | {"signatures": []}), tree["signatures"]


def _page(
    here: Visit, mine: dict[str, Any], made: Roster | None, *, seat: str, first: str
) -> HTMLResponse:
    key = "" if made is None else made.seat(seat).key.text()
    draft = None if made is None else prepare("rotation", {"roster": made.to_json(), "seat": seat})
    return here.page(
        "board/key.html",
        mine=mine,
        seat=seat,
        key=key,
        first=first,
        fields={"first": first, "key": key} if first else {},
        prepared=None if draft is None else signing.show(draft, here.site.settings.host),
    )
