"""In pictures: when something was recorded and used, and what became of it."""

from __future__ import annotations

from fastapi import APIRouter, Response

from safehold.portal.mine.heat import recorded, used
from safehold.portal.mine.journey import draw_journey
from safehold.portal.pages.me.myself import Me

router = APIRouter()


@router.get("/me/pictures")
def show(me: Me) -> Response:
    """Show the pictures, each with its table."""
    held, journey = me.ask("people.held"), me.ask("people.journey")
    t = me.here.t
    return me.page(
        "pictures.html",
        recorded=recorded(held, lambda stream: me.name("streams", stream), t),
        used=used(held, t),
        days=held["days"],
        made=journey["made"],
        drawn=draw_journey(journey["made"], [one["stream"] for one in held["held"]], name=me.name),
    )
