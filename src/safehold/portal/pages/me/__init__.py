"""What is recorded of oneself, why, who used it, and how to stop it: the pages of the person whom data is about."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, FastAPI

from safehold.portal.pages.me import (
    choices,
    copying,
    joining,
    leaving,
    overview,
    pictures,
    receipts,
    uses,
    verifying,
)
from safehold.portal.pages.me.myself import NotJoinedError, lead_to_joining
from safehold.portal.words import mark

router = APIRouter(include_in_schema=False)
for part in (
    overview, uses, pictures, choices, receipts, copying, leaving, verifying, joining,
):  # fmt: skip
    router.include_router(part.router)

MENU: Final = (("/me", mark("My data"), {"*"}),)


def install(app: FastAPI) -> None:
    """Let an application lead whoever has not joined yet to where they can."""
    app.add_exception_handler(NotJoinedError, lead_to_joining)
