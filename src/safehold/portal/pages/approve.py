"""Requests that wait for seats: how far each reaches, what it could leave out, who may not decide; and reviews."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from safehold.access import Grant, Price
from safehold.access.approval import DECISIONS
from safehold.access.review import OUTCOMES
from safehold.app.signable import prepare
from safehold.portal import signing
from safehold.portal.boardroom.figure import bars
from safehold.portal.boardroom.request import conflicts, dimensions, reaches, words
from safehold.portal.boardroom.seats import keys_of
from safehold.portal.visit import Form, Here, Sent, Visit

router = APIRouter(include_in_schema=False)
MENU: Final = ()


@router.get("/approve", response_class=HTMLResponse)
def waiting(here: Here) -> HTMLResponse:
    """Show what waits for seats: requests, and grants that were used and are to be reviewed."""
    here.somebody()
    listed = here.line.call("request.list")["requests"]
    return here.page(
        "approve/waiting.html",
        mine=here.line.call("board.mine")["seats"],
        open=[one for one in listed if one["state"] == "open"],
        over=[one for one in listed if one["state"] != "open"],
        due=here.line.call("grant.due")["due"],
    )


@router.get("/approve/{request}", response_class=HTMLResponse)
def show(here: Here, request: str) -> HTMLResponse:
    """Show one request, priced, and let the caller's seats decide."""
    here.somebody()
    mine = here.line.call("board.mine")["seats"]
    shown = here.line.call("request.show", request=request)
    less = here.line.call("request.narrower", request=request)["narrower"]
    grant, price = Grant.from_json(shown["grant"]), Price.from_json(shown["price"])
    seats = conflicts(shown["seats"], t=here.t)
    ways = [
        _way(here, shown, seat["seat"], decision)
        for seat in shown["seats"]
        if seat["seat"] in mine and shown["state"] == "open"
        for decision in DECISIONS
        if not (seat["why"] and decision == "approve") and seat["why"] not in {"asked", "operates"}
    ]
    return here.page(
        "approve/request.html",
        one=shown,
        grant=grant,
        price=price,
        people=shown["people"],
        words=words(grant, price, t=here.t),
        dimensions=dimensions(price, t=here.t),
        picture=bars(
            here.t("How far this request reaches: people, kinds of data, days, models"),
            dimensions(price, t=here.t),
            log=True,
        ),
        narrower=reaches(shown["reach"], less, t=here.t),
        compared=bars(
            here.t("How far the request and its narrower versions reach"),
            [row.bar for row in reaches(shown["reach"], less, t=here.t)],
            log=True,
        ),
        seats=seats,
        mine=mine,
        ways=ways,
    )


@router.post("/approve/{request}")
def decide(here: Here, form: Form, request: str) -> Response:
    """Hand in a seat's decision."""
    _hand_in(here, form, "decision")
    return here.back(f"/approve/{request}", "saved")


@router.get("/approve/grants/{grant}", response_class=HTMLResponse)
def look(here: Here, grant: str) -> HTMLResponse:
    """Hold what was stated against what was done, and let the caller's seats sign their review."""
    here.somebody()
    mine, shown = here.line.call("board.mine")["seats"], here.line.call("grant.show", grant=grant)
    reviewable = shown["review"]["state"] in {"due", "overdue"}
    ways = [
        _review(here, shown, seat, outcome) for seat in mine if reviewable for outcome in OUTCOMES
    ]
    return here.page("approve/review.html", one=shown, mine=mine, ways=ways)


@router.post("/approve/grants/{grant}")
def review(here: Here, form: Form, grant: str) -> Response:
    """Hand in a seat's review."""
    _hand_in(here, form, "review")
    return here.back(f"/approve/grants/{grant}", "saved")


def _hand_in(here: Visit, form: Sent, kind: str) -> None:
    seats, board = here.line.call("board.mine")["seats"], here.line.call("board.show")
    call = signing.take(form, kind, keys_of(board, seats))
    here.line.call(call.verb, **call.arguments)


def _way(here: Visit, shown: dict[str, Any], seat: str, decision: str) -> dict[str, Any]:
    facts = {
        "grant": shown["grant"],
        "price": shown["price"],
        "seat": seat,
        "decision": decision,
        "at_us": here.site.clock.now_us(),
    }
    return {
        "label": here.t("Approve as {seat}", seat=seat)
        if decision == "approve"
        else here.t("Deny as {seat}", seat=seat),
        "prepared": signing.show(prepare("decision", facts), here.site.settings.host),
    }


def _review(here: Visit, shown: dict[str, Any], seat: str, outcome: str) -> dict[str, Any]:
    facts = {
        "grant": shown["grant"],
        "record": shown["digest"],
        "seat": seat,
        "outcome": outcome,
        "at_us": here.site.clock.now_us(),
    }
    labels = {
        "as_stated": here.t("As {seat}: it was done as stated", seat=seat),
        "differs": here.t("As {seat}: it differs, and that is explained", seat=seat),
        "misuse": here.t("As {seat}: it was misused; an incident opens", seat=seat),
    }
    return {
        "label": labels[outcome],
        "prepared": signing.show(prepare("review", facts), here.site.settings.host),
    }
