"""The public page: what anybody may see, signed out; all of it from published files."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, PlainTextResponse

from safehold.canonical import unb64
from safehold.charter.value import MICRO
from safehold.portal.public import PublicRecord, Shown
from safehold.portal.svg.strip import draw_strip
from safehold.portal.visit import Here, Visit
from safehold.portal.words import mark

router = APIRouter(include_in_schema=False)
MENU: Final = (("/trust", mark("Public record"), None),)
SIGNS: Final = {"le": "≤", "ge": "≥", "eq": "=", "lt": "<", "gt": ">"}
LOOK_S: Final = 5  # seconds that a browser may keep the page


def record_of(here: Visit) -> PublicRecord:
    """Return the one reader of this portal."""
    shelf = here.site.shelf
    found: PublicRecord = shelf.setdefault(
        "public", PublicRecord(here.site.keeper, here.site.clock)
    )
    return found


@router.get("/trust", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show milestones, head, witnesses, drill, and what the charter promises."""
    record = record_of(here)
    shown, charter = record.look(), record.charter()
    answer = here.page(
        "trust/show.html",
        record=shown,
        charter=charter,
        promises=_promises(shown, charter),
        scenarios=sorted(shown.scenarios.items()),
    )
    if here.visitor is None:
        answer.headers["Cache-Control"] = f"public, max-age={LOOK_S}"
        answer.headers["Vary"] = "Cookie, Accept-Language"
    return answer


@router.get("/trust/policy")
def policy(here: Here) -> Response:
    """Give the trust policy: whose signatures count. Better take it from elsewhere, and compare."""
    return PlainTextResponse(record_of(here).home()["policy"])


@router.get("/log/{path:path}")
def log(here: Here, path: str) -> Response:
    """Give a published file of the ledger, as a C2SP tlog-tiles server does."""
    told = here.line.call("public.file", name=path)
    kept = "no-cache" if path == "checkpoint" else "public, max-age=31536000, immutable"
    return Response(unb64(told["data"]), 200, {"Cache-Control": kept}, media_type=told["kind"])


def _promises(shown: Shown, charter: Any) -> list[dict[str, Any]]:
    """Return each promise with its newest measurement and its history; those that were dropped come last."""
    says = {} if charter is None else {one.id: one.says for one in charter.promises}
    found = []
    for name in [*says, *sorted(set(shown.promises) - set(says))]:
        points = shown.promises.get(name, [])
        newest = points[-1] if points else None
        found.append(
            {
                "id": name,
                "says": says.get(name, ""),
                "state": newest.state if newest is not None else "unmeasured",
                "at_ms": newest.at_ms if newest is not None else None,
                "entry": newest.entry if newest is not None else None,
                "measured": newest.micro / MICRO
                if newest and newest.micro is not None and newest.state != "unmeasured"
                else None,
                "must": f"{SIGNS[newest.op]} {newest.bound / MICRO:g}" if newest else "",
                "strip": draw_strip(name, [(one.at_ms, one.state) for one in points]),
                "points": len(points),
            }
        )
    return found
