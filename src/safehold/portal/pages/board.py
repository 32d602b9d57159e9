"""The board: proposals and votes, refusals, promises, budgets, the roster; what it did.

Whoever is signed in may see who decides and about what. The rest is shown to those whom the keeper answers.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from markupsafe import Markup

from safehold.app.signable import prepare
from safehold.errors import InvalidError, MissingError
from safehold.portal import signing
from safehold.portal.boardroom.figure import Bar, bars
from safehold.portal.boardroom.proposal import Standing, standing, votes_of
from safehold.portal.boardroom.seats import keys_of
from safehold.portal.visit import Form, Here, Visit

router = APIRouter(include_in_schema=False)
MENU: Final = (("/board", "Board", {"*"}),)
SECTIONS: Final = {
    "budget.show": "budgets",
    "milestones": "milestones",
    "drill.list": "drills",
    "refusal.list": "refusals",
    "document.list": "documents",
}


@router.get("/board", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show what is decided now, and what the board watches."""
    here.somebody()
    mine, board = here.line.call("board.mine"), here.line.call("board.show")
    watched = {
        name: here.line.call(verb)[name] for verb, name in SECTIONS.items() if verb in mine["looks"]
    }
    return here.page(
        "board/overview.html",
        mine=mine,
        board=board,
        proposals=_standings(here, board),
        watched=watched,
        picture=_budgets(here, watched.get("budgets", [])),
    )


@router.get("/board/proposals/{index}", response_class=HTMLResponse)
def proposal(here: Here, index: int) -> HTMLResponse:
    """Show one proposal: what it allows and what it ends, who said what, and what may be signed here."""
    me = here.somebody().principal
    mine, board = here.line.call("board.mine")["seats"], here.line.call("board.show")
    found = next((one for one in _standings(here, board) if one.index == index), None)
    if found is None:
        raise MissingError(
            "this proposal is no longer open", rule="proposal.open", fix="see what the board did"
        )
    tree = found.tree
    ways = [
        _way(here, tree["question"], seat, decision) for seat, decision in votes_of(tree, mine, me)
    ]
    return here.page("board/proposal.html", one=found, tree=tree, mine=mine, ways=ways)


@router.post("/board/proposals/{index}/vote")
def vote(here: Here, form: Form, index: int) -> Response:
    """Hand in a seat's vote."""
    seats, board = here.line.call("board.mine")["seats"], here.line.call("board.show")
    call = signing.take(form, "vote", keys_of(board, seats))
    here.line.call(call.verb, **call.arguments)
    open_still = {one["proposal"] for one in here.line.call("charter.proposals")["proposals"]}
    return here.back(f"/board/proposals/{index}" if index in open_still else "/board", "saved")


@router.post("/board/proposals/{index}/enact")
def enact(here: Here, form: Form, index: int) -> Response:
    """Let a proposal take effect; the votes are the keeper's already."""
    about = form.text("about")
    if about not in {"charter", "roster"}:
        raise InvalidError("not what a proposal is about", field="about", rule="portal.field")
    here.line.call("charter.enact" if about == "charter" else "board.enact", proposal=index)
    return here.back("/board", "saved")


@router.get("/board/log", response_class=HTMLResponse)
def log(here: Here) -> HTMLResponse:
    """Show what the board did, newest first."""
    here.somebody()
    return here.page("board/log.html", steps=here.line.call("charter.log")["log"][::-1])


def _standings(here: Visit, board: dict[str, Any]) -> list[Standing]:
    open_now = here.line.call("charter.proposals", language=here.language)["proposals"]
    now = here.site.clock.now_us()
    return [standing(one, board["seats"], now_us=now, t=here.t) for one in open_now]


def _way(here: Visit, asked: dict[str, Any], seat: str, decision: str) -> dict[str, Any]:
    draft = prepare("vote", {"question": asked, "seat": seat, "decision": decision})
    agrees = decision == "sign"
    return {
        "label": here.t("Agree as {seat}", seat=seat)
        if agrees
        else here.t("Refuse as {seat}", seat=seat),
        "prepared": signing.show(draft, here.site.settings.host),
    }


def _budgets(here: Visit, budgets: list[dict[str, Any]]) -> Markup:
    return bars(
        here.t("What each purpose has left of its privacy budget, in epsilon"),
        [
            Bar(
                name=one["purpose"],
                value=one["epsilon_left"],
                shown=f"{one['epsilon_left']:.2f} / {one['epsilon']:.2f}",
            )
            for one in budgets
        ],
        most=max((one["epsilon"] for one in budgets), default=0),
    )


__all__ = ["MENU", "router"]
