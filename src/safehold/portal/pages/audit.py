"""The auditor's pages: controls with live evidence, promises over time, engagements, and everything to take along."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from safehold.errors import InvalidError, MissingError
from safehold.portal.svg import put_inline
from safehold.portal.visit import Form, Here
from safehold.portal.words import mark

router = APIRouter(include_in_schema=False, prefix="/audit")
ROLES: Final = frozenset({"auditor", "engineer"})
MENU: Final = (("/audit", mark("Audit"), ROLES),)
STATES: Final = ("satisfied", "not-satisfied", "not-measured")
LONGEST_WORD: Final = 131_072  # bytes


@router.get("", response_class=HTMLResponse)
def overview(here: Here) -> HTMLResponse:
    """Show when an audit is due, how the controls stand, the promises over time, the engagements."""
    call = here.line.call
    controls, history = call("evidence.controls"), call("evidence.history")
    return here.page(
        "audit/overview.html",
        due=call("audit.due"),
        audits=call("audit.list")["audits"],
        frameworks=_counted(controls),
        history=history["promises"],
        picture=put_inline(history["svg"], "history"),
    )


@router.get("/controls/{framework}", response_class=HTMLResponse)
def controls(here: Here, framework: str, state: str = "") -> HTMLResponse:
    """Show every control of one framework with its reason, its evidence and its limits.

    Raises:
        MissingError: There is no such framework.
    """
    told = here.line.call("evidence.controls")
    if framework not in told["frameworks"]:
        raise MissingError("there is no such framework", rule="portal.framework")
    rows = [
        one
        for one in told["controls"]
        if one["framework"] == framework and (state not in STATES or one["state"] == state)
    ]
    return here.page(
        "audit/controls.html",
        framework=framework,
        title_text=told["frameworks"][framework],
        rows=rows,
        probes=told["probes"],
        states=STATES,
        state=state,
    )


@router.get("/engagements/{engagement}", response_class=HTMLResponse)
def engagement(here: Here, engagement: int) -> HTMLResponse:
    """Show one engagement: its order, its findings with their texts and answers."""
    told = here.line.call("audit.show", engagement=engagement)
    return here.page("audit/engagement.html", audit=told)


@router.post("/engagements/{engagement}/answers")
def answer(here: Here, form: Form, engagement: int) -> Response:
    """Answer a finding, with entries that show what was done."""
    shown = [part for part in form.text("evidence", default="").replace(",", " ").split() if part]
    if not all(part.isdecimal() and part.isascii() for part in shown):
        raise InvalidError("entries are whole numbers", field="evidence", rule="portal.field")
    here.line.call(
        "audit.answer",
        finding=form.number("finding"),
        text=form.text("text"),
        evidence=[int(part) for part in shown],
    )
    return here.back(f"/audit/engagements/{engagement}", "saved")


@router.post("/words")
def hear(here: Here, form: Form) -> Response:
    """Hand in the signed word of an auditor: begun, a finding, its closing, the opinion, the end.

    Raises:
        InvalidError: It is none.
    """
    try:
        word = json.loads(form.file("word", longest=LONGEST_WORD))
    except ValueError as error:
        raise InvalidError("not a word of an auditor", field="word", rule="audit.word") from error
    told = here.line.call("audit.hear", word=word)
    return here.back(f"/audit/engagements/{told['engagement']}", "saved")


@router.post("/evidence")
def bundle(here: Here, form: Form) -> Response:
    """Build the bundle that is checked offline, and hand it out; every promise is measured for it."""
    del form
    with tempfile.NamedTemporaryFile(
        prefix="evidence-", suffix=".zip", dir=here.site.settings.state, delete=False
    ) as file:
        place = Path(file.name)
        try:
            here.line.call("evidence.build", descriptors=[file.fileno()])
        except BaseException:
            place.unlink()
            raise
    return FileResponse(
        place,
        media_type="application/zip",
        filename="safehold-evidence.zip",
        background=BackgroundTask(place.unlink),
    )


def _counted(controls: dict[str, Any]) -> list[dict[str, Any]]:
    """Return each framework with how many of its controls are in which state."""
    found = []
    for name, title in controls["frameworks"].items():
        states = [one["state"] for one in controls["controls"] if one["framework"] == name]
        counts = {one.replace("-", "_"): states.count(one) for one in STATES}
        if states:
            found.append({"name": name, "title": title, **counts})
    return found
