"""Check a package: a first look in the browser, and why the verifier that stands alone is the proof."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from safehold.portal.visit import Here

router = APIRouter(include_in_schema=False)
MENU: Final = ()


@router.get("/verify", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show the page; the files that somebody chooses on it never come here."""
    return here.page("verify/page.html")
