"""The front page, the language, and what trusting these pages means."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, RedirectResponse

from safehold.portal.visit import LANGUAGE, Here, path_of_ours

router = APIRouter(include_in_schema=False)
MENU: Final = ()


@router.get("/", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show where to go."""
    return here.page("front.html")


@router.get("/trust-in-pages", response_class=HTMLResponse)
def trust(here: Here) -> HTMLResponse:
    """Say what trusting these pages means, and what needs no trust."""
    return here.page("trust_in_pages.html")


@router.get("/language/{code}")
def speak(here: Here, code: str, to: str = "/") -> RedirectResponse:
    """Remember the language that somebody chose."""
    answer = RedirectResponse(path_of_ours(to), 303)
    if code in here.site.settings.languages:
        secure = here.site.settings.origin.startswith("https://")
        answer.set_cookie(
            LANGUAGE, code, max_age=31_536_000, secure=secure, httponly=True, samesite="lax"
        )
    return answer
