"""Who used it: one row an entry, and for each entry what is told of it and its proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Response

from safehold.canonical import unb64
from safehold.errors import InvalidError, MissingError
from safehold.portal.mine.plain import SORTS
from safehold.portal.mine.times import day_of_text
from safehold.portal.pages.me.myself import Me
from safehold.portal.words import mark

router = APIRouter()
A_PAGE: Final = 25
A_DATE: Final = mark("A date is written like 2026-11-02.")
Word = Annotated[str, Query(max_length=200)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What somebody wants to see.

    Args:
        sort: What it means to them; ``all`` for everything.
        purpose: Why.
        made: What it made.
        since: First day.
        until: Last day.
        before: Entry before which the page begins.
    """

    sort: Word = "used"
    purpose: Word = ""
    made: Word = ""
    since: Word = ""
    until: Word = ""
    before: Annotated[int | None, Query(ge=0, lt=2**53)] = None

    def words(self) -> dict[str, str]:
        """Return what was chosen, by field."""
        return {name: getattr(self, name) for name in ("sort", "purpose", "made", "since", "until")}

    def link(self, before: int | None) -> str:
        """Return the address of another page of the same list."""
        said = {name: value for name, value in self.words().items() if value}
        if before is not None:
            said["before"] = str(before)
        return f"/me/uses?{urlencode(said)}"


@router.get("/me/uses")
def show(me: Me, asked: Annotated[Asked, Depends()]) -> Response:
    """List the entries about somebody, newest first."""
    given: dict[str, Any] = {"purpose": asked.purpose, "made": asked.made}
    given["sort"] = "" if asked.sort == "all" else asked.sort
    wrong: dict[str, str] = {}
    for field, name, text in (
        ("first_day", "since", asked.since), ("last_day", "until", asked.until),
    ):  # fmt: skip
        try:
            given[field] = day_of_text(text, name) if text else None
        except InvalidError:
            wrong[name] = A_DATE
    given = {name: value for name, value in given.items() if value not in {None, ""}}
    if asked.before is not None:
        given["before"] = asked.before
    page = me.ask("people.uses", limit=A_PAGE, **given)
    return me.page(
        "uses.html",
        status=422 if wrong else 200,
        page=page,
        chosen=asked.words() | dict.fromkeys(wrong, ""),
        sorts=list(SORTS),
        wrong=wrong,
        older=asked.link(page["next"]),
        newest=asked.link(None) if asked.before is not None else "",
    )


@router.get("/me/uses/{entry}")
def one(me: Me, entry: int) -> Response:
    """Show one entry, and how to check it."""
    return me.page("use.html", one=me.ask("people.use", entry=entry))


@router.get("/me/uses/{entry}/proof")
def proof(me: Me, entry: int) -> Response:
    """Hand out the proof that an entry is in the log (c2sp.org/tlog-proof)."""
    text = me.ask("people.use", entry=entry)["proof"]
    if text is None:
        raise MissingError(
            "no witnessed head covers this entry yet", rule="trail.proof", fix="try again shortly"
        )
    return handed(text.encode(), f"entry-{entry:08}.tlog-proof")


@router.get("/me/uses/{entry}/leaf")
def leaf(me: Me, entry: int) -> Response:
    """Hand out the bytes of an entry."""
    return handed(unb64(me.ask("people.use", entry=entry)["leaf"]), f"entry-{entry:08}.leaf")


def handed(data: bytes, name: str, kind: str = "application/octet-stream") -> Response:
    """Return bytes as a file that a browser keeps and does not show."""
    return Response(
        data, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
    )


__all__ = ["handed", "router"]
