"""Orders of the board: one seat stops; to resume, or to say who used somebody's data, takes several, one after another.

What several sign goes from seat to seat as a text; the portal keeps nothing of it.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from safehold.app.signable import prepare
from safehold.clock import DAY_US
from safehold.errors import InvalidError
from safehold.keeper.disclosure import LIFE_US, LONGEST_US
from safehold.keeper.order import RESUME_LIFE_US
from safehold.portal import signing
from safehold.portal.boardroom.passing import Passing, read
from safehold.portal.boardroom.seats import key_by_seat, keys_of
from safehold.portal.visit import Form, Here, Sent, Visit

router = APIRouter(include_in_schema=False)
MENU: Final = ()
LIVES: Final = {"resume": RESUME_LIFE_US, "disclose": LIFE_US}
LONGEST: Final = 200_000  # characters of an order with its signatures


@router.get("/board/stop", response_class=HTMLResponse)
def draw_stop(here: Here, seat: str = "", reason: str = "") -> HTMLResponse:
    """Draw up an order to stop; nothing stops before a seat has signed it."""
    here.somebody()
    mine, prepared = here.line.call("board.mine"), None
    if seat and reason.strip():
        draft = prepare(
            "stop",
            {
                "home": mine["home"],
                "reason": reason.strip(),
                "seat": seat,
                "at_us": here.site.clock.now_us(),
            },
        )
        prepared = signing.show(draft, here.site.settings.host)
    return here.page("board/stop.html", mine=mine, seat=seat, reason=reason, prepared=prepared)


@router.post("/board/stop")
def stop(here: Here, form: Form) -> Response:
    """Hand in the order: everything stops."""
    mine, board = here.line.call("board.mine")["seats"], here.line.call("board.show")
    call = signing.take(form, "stop", keys_of(board, mine))
    here.line.call(call.verb, **call.arguments)
    return here.back("/board", "stopped")


@router.get("/board/resume", response_class=HTMLResponse)
def show_resume(here: Here) -> HTMLResponse:
    """Show what resuming takes, and let a seat draw up the order."""
    here.somebody()
    mine = here.line.call("board.mine")
    needs = here.line.call("incident.restart") if "incident.restart" in mine["looks"] else None
    return here.page("board/resume.html", mine=mine, needs=needs)


@router.post("/board/resume", response_class=HTMLResponse)
def draw_resume(here: Here, form: Form) -> HTMLResponse:
    """Draw up an order to resume that nobody has signed yet."""
    mine, cause = here.line.call("board.mine"), form.text("cause", default="", longest=100_000)
    facts = {
        "home": mine["home"],
        "reason": form.text("reason", longest=1_000),
        "at_us": here.site.clock.now_us(),
        **({"cause": cause} if cause else {}),
    }
    return _page(here, mine, Passing(kind="resume", facts=facts))


@router.get("/board/disclose", response_class=HTMLResponse)
def show_disclose(here: Here) -> HTMLResponse:
    """Let a seat draw up a decision about who used somebody's data."""
    here.somebody()
    days = {what: longest // DAY_US for what, longest in LONGEST_US.items()}
    return here.page("board/disclose.html", mine=here.line.call("board.mine"), days=days)


@router.post("/board/disclose", response_class=HTMLResponse)
def draw_disclose(here: Here, form: Form) -> HTMLResponse:
    """Draw up such a decision that nobody has signed yet.

    Raises:
        InvalidError: It names no uses.
    """
    mine, now = here.line.call("board.mine"), here.site.clock.now_us()
    named = form.text("entries", longest=1_000).replace(",", " ").split()
    if not named or not all(one.isascii() and one.isdecimal() and len(one) < 16 for one in named):
        raise InvalidError("uses are named by their entries", field="entries", rule="portal.field")
    facts = {
        "home": mine["home"],
        "what": form.text("what"),
        "person": form.text("person", longest=200),
        "entries": [int(one) for one in named],
        "reason": form.text("reason", longest=500),
        "at_us": now,
        "until_us": now + form.number("days") * DAY_US,
    }
    return _page(here, mine, Passing(kind="disclose", facts=facts))


@router.post("/board/papers/read", response_class=HTMLResponse)
def read_paper(here: Here, form: Form) -> HTMLResponse:
    """Open an order that another seat has passed on."""
    return _page(here, here.line.call("board.mine"), _passed(here, form))


@router.post("/board/papers/sign", response_class=HTMLResponse)
def sign_paper(here: Here, form: Form) -> HTMLResponse:
    """Add a seat's signature to an order, and show what to pass on."""
    mine, board = here.line.call("board.mine"), here.line.call("board.show")
    order = _passed(here, form)
    call = signing.take(form, order.kind, keys_of(board, mine["seats"]))
    return _page(here, mine, order.add(call))


@router.post("/board/papers")
def hand_in(here: Here, form: Form) -> Response:
    """Hand in an order with all its signatures."""
    order = _passed(here, form)
    call = order.call()
    here.line.call(call.verb, **call.arguments)
    return here.back("/board", "resumed" if order.kind == "resume" else "saved")


def _passed(here: Visit, form: Sent) -> Passing:
    board = here.line.call("board.show")
    home = here.line.call("board.mine")["home"]
    return read(form.text("order", longest=LONGEST), home=home, keys=key_by_seat(board))


def _page(here: Visit, mine: dict[str, Any], order: Passing) -> HTMLResponse:
    text = order.write()
    ways = [
        {
            "seat": seat,
            "fields": {"order": text},
            "prepared": signing.show(order.draft(seat), here.site.settings.host),
        }
        for seat in mine["seats"]
        if seat not in order.seats
    ]
    until_us = int(order.facts["at_us"]) + LIVES[order.kind]
    return here.page("board/passing.html", one=order, text=text, ways=ways, until_us=until_us)
