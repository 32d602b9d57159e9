"""My choices: pause with times, object, restrict, correct in one press; agree, resume, lift with a key of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import APIRouter, Response

from safehold.app.occasion import facts_of
from safehold.app.signable import prepare
from safehold.clock import SECOND_US
from safehold.errors import DeniedError, InvalidError
from safehold.portal import signing
from safehold.portal.mine.plain import STREAMS, WRONG
from safehold.portal.mine.state import (
    cases_of,
    planned_pauses,
    running_pause,
    state_of,
    streams_of,
)
from safehold.portal.mine.times import LENGTHS, day_of_text, moment_of_text
from safehold.portal.pages.me.myself import Me, Myself
from safehold.portal.pages.me.overview import resting
from safehold.portal.visit import Form, Sent

router = APIRouter()
KIND: Final = "choice"
HERE: Final = "/me/choices"
DONE: Final[Mapping[str, str]] = {"consent": "agreed", "resume": "unpaused", "lift": "lifted"}
LONGEST: Final = 300


@router.get(HERE)
def show(me: Me) -> Response:
    """Show what somebody chose, and what they may choose."""
    return _show(me)


@router.post("/me/pause")
def pause(me: Me, form: Form) -> Response:
    """Pause: for a length of time, or between two moments."""
    try:
        me.say("pause", **_pause(form, me.here.site.clock.now_us()))
    except InvalidError as error:
        return _show(me, "pause", error)
    return me.here.back(HERE, "paused")


@router.post("/me/object")
def object_(me: Me, form: Form) -> Response:
    """Object to purposes."""
    try:
        me.say("object", purposes=form.texts("purposes"), **_text(form))
    except InvalidError as error:
        return _show(me, "object", error)
    return me.here.back(HERE, "objected")


@router.post("/me/restrict")
def restrict(me: Me, form: Form) -> Response:
    """Restrict all use."""
    try:
        me.say("restrict", **_text(form))
    except InvalidError as error:
        return _show(me, "restrict", error)
    return me.here.back(HERE, "restricted")


@router.post("/me/correct")
def correct(me: Me, form: Form) -> Response:
    """Ask for a correction; the days are left out at once."""
    try:
        me.say("correct", about=form.texts("about"), **_days(form), **_text(form))
    except InvalidError as error:
        return _show(me, "correct", error)
    return me.here.back(HERE, "corrected")


@router.post("/me/choices/agree")
def agree(me: Me, form: Form) -> Response:
    """Prepare an agreement to be signed."""
    streams, purposes = form.texts("streams"), form.texts("purposes")
    if not streams or not purposes:
        wrong = InvalidError(
            "choose at least one stream and one purpose", field="streams", rule="portal.field"
        )
        return _show(me, "agree", wrong)
    return _sign(me, "consent", streams=sorted(streams), purposes=sorted(purposes))


@router.post("/me/choices/resume")
def resume(me: Me, form: Form) -> Response:
    """Prepare the end of a pause to be signed."""
    return _sign(me, "resume", **({"planned": True} if form.has("planned") else {}))


@router.post("/me/choices/lift")
def lift(me: Me, _form: Form) -> Response:
    """Prepare the end of a restriction to be signed."""
    return _sign(me, "lift")


@router.post("/me/choices/sign")
def sign(me: Me, form: Form) -> Response:
    """Hand in what was signed."""
    call = signing.take(form, KIND, me.ask("people.show")["keys"])
    answer = me.here.line.call(call.verb, **call.arguments)
    return me.here.back(HERE, DONE.get(str(answer.get("choice")), "saved"))


def draft_of(me: Myself, choice: str, **fields: Any) -> dict[str, Any]:
    """Return a choice as ``parts/sign.html`` shows it; there is a quarter of an hour to read and sign it."""
    line, site = me.here.line, me.here.site
    named = {"person": me.person, "choice": choice, **fields}
    facts = facts_of(line.call, KIND, named, now_us=site.clock.now_us())
    facts["nonce"] = line.call("nonce", patient=True)["nonce"]
    return signing.show(prepare(KIND, facts), site.settings.host)


def _sign(me: Myself, choice: str, **fields: Any) -> Response:
    keys = me.ask("people.show")["keys"]
    if not keys:
        return me.page("sign.html", choice=choice, fields=fields, prepared=None)
    return me.page(
        "sign.html", choice=choice, fields=fields, prepared=draft_of(me, choice, **fields)
    )


def _show(me: Myself, form: str = "", error: InvalidError | None = None) -> Response:
    try:
        shown, held = me.ask("people.show"), me.ask("people.held")
    except DeniedError as refused:
        return resting(me, refused)
    now_us = me.here.site.clock.now_us()
    streams = streams_of(shown, held)
    purposes = {one["name"]: one for stream in streams for one in stream["purposes"]}
    return me.page(
        "choices.html",
        status=200 if error is None else 422,
        state=state_of(shown, held),
        shown=shown,
        streams=streams,
        purposes=list(purposes.values()),
        cases=cases_of(shown),
        planned=planned_pauses(shown, now_us),
        until_us=running_pause(shown, now_us),
        lengths=LENGTHS,
        all_streams=list(STREAMS),
        wrongs=list(WRONG),
        wrong=form,
        error="" if error is None else error.payload()["message"],
    )


def _pause(form: Sent, now_us: int) -> dict[str, int]:
    """Return the moments of a pause; times are UTC."""
    length = form.text("length", default="")
    start, end = form.text("start", default=""), form.text("end", default="")
    said: dict[str, int] = {}
    if start:
        said["start_us"] = moment_of_text(start, "start")
    if end:
        said["end_us"] = moment_of_text(end, "end")
    elif LENGTHS.get(length):
        said["end_us"] = said.get("start_us", now_us) + LENGTHS[length] * SECOND_US
    return said


def _days(form: Sent) -> dict[str, Any]:
    first, last = form.text("first", default=""), form.text("last", default="")
    if not first:
        return {}
    stream = form.text("stream", default="")
    days = [day_of_text(first, "first"), day_of_text(last or first, "last")]
    return {"days": [[one, *days] for one in ([stream] if stream else STREAMS)]}


def _text(form: Sent) -> dict[str, str]:
    text = " ".join(form.text("text", default="", longest=4 * LONGEST).split())
    return {"text": text[:LONGEST]} if text else {}


__all__ = ["draft_of", "router"]
