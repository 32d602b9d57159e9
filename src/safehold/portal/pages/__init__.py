"""The pages. Each module holds those of one group of people, as ``router``, and its lines of the menu."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.staticfiles import StaticFiles

from safehold.portal.pages import (
    approve,
    audit,
    board,
    entrance,
    front,
    me,
    orders,
    programs,
    respond,
    seat_key,
    trust,
    verify,
    work,
)

# one line a group: its module is mounted, its MENU is shown to the roles it names (None: to everybody)
GROUPS: Final[Sequence[object]] = (
    front, entrance, me, board, orders, approve, seat_key, work, respond, audit, trust,
    programs, verify,
)  # fmt: skip


def mount(app: FastAPI) -> None:
    """Put every page and what they need into an application."""
    for group in GROUPS:
        router: APIRouter = group.router  # type: ignore[attr-defined]
        app.include_router(router)
        if hasattr(group, "install"):  # what a group answers in its own way
            group.install(app)
    static = resources.files("safehold.portal").joinpath("static")
    app.mount("/static", StaticFiles(directory=str(static)), name="static")


def menu(role: str | None) -> list[tuple[str, str]]:
    """Return the menu of somebody with a role: path and English text of each entry.

    It leads only where they have something to do; what they may see there the keeper decides.
    """
    found = []
    for group in GROUPS:
        for path, text, roles in getattr(group, "MENU", ()):
            if roles is None or (role is not None and ("*" in roles or role in roles)):
                found.append((path, text))
    return found
