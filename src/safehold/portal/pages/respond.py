"""The responder's pages: alerts, incidents, how far one reaches, containment with a look before it, clocks.

What is asked here becomes an entry where the keeper says so (a question about reach, a step of an incident, an
answer to an alert); a page that is only opened changes nothing.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from safehold.app.incidents import scope_of
from safehold.app.moment import moment_us
from safehold.errors import MissingError
from safehold.incident.blast_picture import draw_blast
from safehold.portal.svg import put_inline
from safehold.portal.visit import Form, Here, Sent
from safehold.portal.words import mark

router = APIRouter(include_in_schema=False, prefix="/respond")
ROLES: Final = frozenset({"engineer", "auditor", "responder", "security"})
MENU: Final = (("/respond", mark("Respond"), ROLES),)
KINDS: Final = (
    "grant", "capability", "principal", "segment", "purpose", "artifact", "dataset", "run", "collection",
)  # fmt: skip
TARGETS: Final = ("grant", "capability", "principal", "key", "segment", "artifact")
PARTS: Final = ("commander", "scribe", "privacy", "communications", "responder")
NOTICES: Final = ("authority", "people", "board", "regulator", "attorney")
SHOWN: Final = 50  # alerts on a page


@router.get("", response_class=HTMLResponse)
def overview(here: Here) -> HTMLResponse:
    """Show what waits: alerts, incidents, what is held back, what keeps everything stopped."""
    call = here.line.call
    return here.page(
        "respond/overview.html",
        alerts=call("alert.list", open=True, limit=SHOWN),
        incidents=call("incident.list", scale=True),
        contained=call("containment.list")["containments"],
        restart=call("incident.restart"),
    )


@router.get("/alerts/{alert}", response_class=HTMLResponse)
def show_alert(here: Here, alert: int) -> HTMLResponse:
    """Show one alert: the sentence, its entries, what was done."""
    return here.page("respond/alert.html", alert=here.line.call("alert.show", alert=alert))


@router.post("/alerts/{alert}/answer")
def answer_alert(here: Here, form: Form, alert: int) -> Response:
    """Answer an alert, with a reason."""
    here.line.call("alert.ack", alert=alert, reason=form.text("reason", longest=600))
    return here.back(f"/respond/alerts/{alert}", "saved")


@router.post("/incidents")
def open_incident(here: Here, form: Form) -> Response:
    """Open an incident."""
    severity, since = form.text("severity", default=""), form.text("since", default="")
    alert = form.text("alert", default="")
    told = here.line.call(
        "incident.open",
        text=form.text("text"),
        severity=None if not severity else form.number("severity"),
        alert=None if not alert else form.number("alert"),
        since_us=None if not since else moment_us(since, field="since"),
        scope=_scope(form),
    )
    return here.back(f"/respond/incidents/{told['incident']}", "saved")


@router.get("/incidents/{incident}", response_class=HTMLResponse)
def show_incident(here: Here, incident: int) -> HTMLResponse:
    """Show one incident: where it stands, its clocks, its timeline, what is missing before it may end."""
    call = here.line.call
    shown = call("incident.show", incident=incident)
    line = call("incident.timeline", incident=incident)
    return here.page(
        "respond/incident.html",
        incident=shown,
        events=line["events"],
        picture=put_inline(line["picture"], "timeline"),
        parts=PARTS,
        notices=NOTICES,
        kinds=KINDS,
    )


@router.post("/incidents/{incident}/{step}")
def take_step(here: Here, form: Form, incident: int, step: str) -> Response:
    """Take one step in an incident.

    Raises:
        MissingError: There is no such step here; what seats sign is on pages of its own.
    """
    call = here.line.call
    text = form.text("text", default="")
    match step:
        case "note":
            call("incident.note", incident=incident, text=text, scope=_scope(form))
        case "severity":
            level = form.number("severity")
            call("incident.severity", incident=incident, severity=level, text=text)
        case "move":
            call("incident.move", incident=incident, state=form.text("state"), text=text)
        case "assign":
            role, who = form.text("role"), form.text("principal")
            call("incident.assign", incident=incident, role=role, principal=who)
        case "aware":
            since = moment_us(form.text("since"), field="since")
            call("incident.aware", incident=incident, since_us=since, text=text)
        case "uncontained":
            call("incident.uncontained", incident=incident, text=text)
        case "cause":
            call("incident.cause", incident=incident, text=text)
        case "action":
            done = form.text("done", default="")
            index = None if not done else form.number("done")
            call("incident.action", incident=incident, text=text, done=index)
        case _:
            raise MissingError("there is no such step", rule="portal.step")
    return here.back(f"/respond/incidents/{incident}", "saved")


@router.get("/incidents/{incident}/notices/{notice}", response_class=HTMLResponse)
def draft(here: Here, incident: int, notice: str) -> HTMLResponse:
    """Show the draft of a notice."""
    told = here.line.call("incident.draft", incident=incident, notice=notice)
    return here.page(
        "respond/paper.html", title_text=mark("Draft of a notice"), told=told, name=notice
    )


@router.get("/incidents/{incident}/report", response_class=HTMLResponse)
def report(here: Here, incident: int) -> HTMLResponse:
    """Show the report that is drawn up from the record."""
    told = here.line.call("incident.report", incident=incident)
    return here.page("respond/paper.html", title_text=mark("Report"), told=told, name="report")


@router.get("/reach", response_class=HTMLResponse)
def ask_reach(here: Here) -> HTMLResponse:
    """Show the form to ask how far something reaches; nothing is asked yet."""
    here.somebody()
    return here.page("respond/reach.html", kinds=TARGETS, answer=None, picture=None)


@router.post("/reach", response_class=HTMLResponse)
def reach(here: Here, form: Form) -> HTMLResponse:
    """Show how far something reaches. The question is an entry, so this is no page that can be opened by itself."""
    answer = here.line.call("incident.blast", target=_target(form))
    return here.page(
        "respond/reach.html",
        kinds=TARGETS,
        answer=answer,
        picture=put_inline(draw_blast(answer), "blast"),
    )


@router.get("/contain", response_class=HTMLResponse)
def look(here: Here, what: str = "", target: str = "", of: int | None = None) -> HTMLResponse:
    """Show what containing something would reach, before anything is done."""
    here.somebody()
    preview = None
    if what and target:
        preview = here.line.call("containment.preview", what=what, target=target)
    return here.page(
        "respond/contain.html", kinds=KINDS, what=what, target=target, of=of, preview=preview
    )


@router.post("/contain")
def contain(here: Here, form: Form) -> Response:
    """Contain something."""
    of = form.text("of", default="")
    wish: dict[str, Any] = {"what": form.text("what"), "target": form.text("target")}
    if of:
        wish["of"] = form.number("of")
    here.line.call("contain", **wish, reason=form.text("reason", longest=600))
    return here.back(f"/respond/incidents/{wish['of']}" if of else "/respond", "contained")


def _scope(form: Sent) -> dict[str, Any]:
    """Return what an incident is about, as it was named: one thing a line."""

    def lines(name: str) -> list[str]:
        return [one.strip() for one in form.text(name, default="").splitlines() if one.strip()]

    grants = [form_number(one) for one in lines("grants")]
    return scope_of(
        grant=grants,
        principal=lines("principals"),
        segment=lines("segments"),
        artifact=lines("artifacts"),
        stolen=lines("stolen"),
    )


def _target(form: Sent) -> dict[str, Any]:
    named = {kind: form.text(kind, default="") for kind in TARGETS}
    target: dict[str, Any] = {kind: value for kind, value in named.items() if value}
    for field in ("since", "until"):
        if text := form.text(field, default=""):
            target[f"{field}_us"] = moment_us(text, field=field)
    return target


def form_number(text: str) -> int:
    """Return a whole number of a list.

    Raises:
        MissingError: It is none, so there is no such entry.
    """
    if not text.isdecimal() or not text.isascii():
        raise MissingError("an entry is a whole number", rule="portal.field")
    return int(text)
