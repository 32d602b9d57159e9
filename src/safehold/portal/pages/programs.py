"""The page for programs: every line of the API, drawn here and without a script."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from safehold.portal.api.route import PREFIX, Route
from safehold.portal.api.table import ROUTES
from safehold.portal.visit import Here

router = APIRouter(include_in_schema=False)
MENU: Final = ()


def by_noun() -> list[tuple[str, list[Route]]]:
    """Return the lines of the API under their nouns."""
    nouns: dict[str, list[Route]] = {}
    for route in sorted(ROUTES, key=lambda one: (one.path, one.method)):
        nouns.setdefault(route.tag, []).append(route)
    return list(nouns.items())


@router.get("/api", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show what programs may ask for, and how they sign in."""
    return here.page("programs/show.html", nouns=by_noun(), prefix=PREFIX)
