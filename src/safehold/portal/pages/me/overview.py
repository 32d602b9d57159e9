"""The first page: recorded or not, what, why, until when; and the two buttons that end it."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from safehold.errors import DeniedError
from safehold.portal.mine.state import planned_pauses, running_pause, state_of, streams_of
from safehold.portal.pages.me.myself import Me, Myself
from safehold.portal.visit import Form

router = APIRouter()
NEWEST = 3  # uses that are told here


@router.get("/me")
def show(me: Me) -> Response:
    """Show how somebody stands."""
    try:
        shown, held = me.ask("people.show"), me.ask("people.held")
    except DeniedError as error:
        return resting(me, error)
    newest = me.ask("people.uses", limit=NEWEST, sort="used")
    now_us = me.here.site.clock.now_us()
    return me.page(
        "overview.html",
        state=state_of(shown, held),
        shown=shown,
        held=held,
        streams=streams_of(shown, held),
        until_us=running_pause(shown, now_us),
        planned=planned_pauses(shown, now_us),
        ends=_ends(held),
        newest=newest,
        entries=newest["all"],
    )


@router.post("/me/stop")
def stop(me: Me, _form: Form) -> Response:
    """End recording at once, until somebody says otherwise."""
    me.say("pause")
    return me.here.back("/me", "paused")


@router.post("/me/withdraw")
def withdraw(me: Me, _form: Form) -> Response:
    """Leave the study."""
    me.say("withdraw")
    return me.here.back("/me", "withdrawn")


def resting(me: Myself, error: DeniedError) -> Response:
    """Show what somebody may do whose sign-in may not read yet; whatever else was refused is refused.

    Raises:
        DeniedError: It was something else.
    """
    if error.rule != "subjects.link_rests":
        raise error
    return me.page("resting.html", told=me.here.line.call("session.show"))


def _ends(held: dict[str, Any]) -> tuple[int, int] | None:
    """Return the day on which the first of what is held ends, and that of the last."""
    days = [(one["ends_first"], one["ends_last"]) for one in held["held"]]
    return (min(first for first, _ in days), max(last for _, last in days)) if days else None


__all__ = ["resting", "router"]
