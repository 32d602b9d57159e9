"""For those who work with data: what they may use and why not, what they asked for, what they were granted, their runs.

A grant is used with a key that its holder keeps. The portal has none, so it shows the command that uses it.
"""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse

from safehold import canonical
from safehold.access import Grant, Price
from safehold.errors import DeniedError, InvalidError
from safehold.keeper.request import VERSION
from safehold.portal.boardroom.figure import Bar, bars
from safehold.portal.boardroom.request import conflicts, dimensions, reaches, words
from safehold.portal.boardroom.use import command, spending, ways
from safehold.portal.visit import Form, Here, Visit

router = APIRouter(include_in_schema=False)
MENU: Final = (("/work", "My work with data", {"data_scientist"}),)
FIELDS: Final = ("purpose", "recipe", "minutes", "days", "runs", "holder", "reason")


@router.get("/work", response_class=HTMLResponse)
def show(here: Here) -> HTMLResponse:
    """Show what the caller may use, and what they asked for and were granted."""
    here.somebody()
    told = here.line.call("purpose.explain")
    budgets = here.line.call("budget.show")["budgets"]
    grants = _mine(here, "grant.list", "grants")
    return here.page(
        "work/overview.html",
        role=told["role"],
        told=told,
        ways=ways(told["purposes"], t=here.t),
        requests=_mine(here, "request.list", "requests"),
        grants=[one for one in grants or () if not (one["revoked"] or one["closed"])],
        ended=[one for one in grants or () if one["revoked"] or one["closed"]],
        refused=grants is None,
        budgets=budgets,
        now_us=here.site.clock.now_us(),
    )


@router.get("/work/ask", response_class=HTMLResponse)
def ask(here: Here) -> HTMLResponse:
    """Show the form; filled in, also what the request would come to. Nothing is asked for by looking."""
    here.somebody()
    query = here.request.query_params
    given = {name: query.get(name, "").strip() for name in FIELDS}
    places = [one for one in query.getlist("places") if one]
    quote, wrong = None, None
    if given["holder"]:
        try:
            quote = _quote(here, given, places)
        except (InvalidError, DeniedError) as error:
            wrong = error.payload()
    return here.page(
        "work/ask.html",
        told=here.line.call("purpose.explain"),
        given=given,
        places=places,
        wrong=wrong,
        quote=quote,
        **({} if quote is None else _shown(here, quote)),
    )


@router.post("/work/ask")
def send(here: Here, form: Form) -> Response:
    """Put the request before the seats, as it was shown."""
    tree = canonical.decode(form.text("request", longest=40_000).encode())
    answer = here.line.call("request.new", grant=tree["grant"], people=tree["people"])
    return here.back(f"/work/requests/{answer['request']}", "sent")


@router.get("/work/requests/{request}", response_class=HTMLResponse)
def asked(here: Here, request: str) -> HTMLResponse:
    """Show one request of the caller: who decided, and how to use what comes of it."""
    here.somebody()
    shown = here.line.call("request.show", request=request)
    grant, price = Grant.from_json(shown["grant"]), Price.from_json(shown["price"])
    return here.page(
        "work/request.html",
        one=shown,
        grant=grant,
        words=words(grant, price, t=here.t),
        seats=conflicts(shown["seats"], t=here.t),
        command=command(grant),
        granted=shown["state"] == "enacted",
    )


@router.get("/work/requests/{request}/file")
def file(here: Here, request: str) -> Response:
    """Return a request as the file that the command line takes; approvals are the keeper's already."""
    here.somebody()
    shown = here.line.call("request.show", request=request)
    record = {
        "v": VERSION,
        "grant": shown["grant"],
        "people": shown["people"],
        "price": shown["price"],
        "approvals": [],
    }
    name = "".join(one for one in request if one.isalnum() or one == "_")[:64]
    return Response(
        canonical.encode(record) + b"\n",
        media_type="application/json",
        headers={"Content-Disposition": f'attachment; filename="{name}.json"'},
    )


@router.get("/work/grants/{grant}", response_class=HTMLResponse)
def granted(here: Here, grant: str) -> HTMLResponse:
    """Show a grant of the caller: what was stated, what was done, every run and what came of it."""
    here.somebody()
    shown = here.line.call("grant.show", grant=grant)
    request = here.line.call("request.show", request=grant)
    return here.page(
        "work/grant.html",
        one=shown,
        spending=spending(shown, t=here.t),
        command=command(Grant.from_json(request["grant"])),
        entry=next(
            (one for one in _mine(here, "grant.list", "grants") or () if one["id"] == grant), None
        ),
    )


@router.post("/work/grants/{grant}/end")
def end(here: Here, form: Form, grant: str) -> Response:
    """End a grant before its time."""
    del form
    here.line.call("grant.revoke", grant=grant)
    return here.back(f"/work/grants/{grant}", "saved")


def _quote(here: Visit, given: dict[str, str], places: list[str]) -> dict[str, Any]:
    numbers: dict[str, Any] = {}
    for name in ("minutes", "days", "runs"):
        text = given[name]
        if not (text.isascii() and text.isdecimal() and len(text) < 9):
            raise InvalidError("a field is no whole number", field=name, rule="portal.field")
        numbers[name] = int(text)
    return here.line.call(
        "request.quote",
        purpose=given["purpose"],
        recipe=given["recipe"],
        reason=given["reason"],
        holder=given["holder"],
        places=places,
        **numbers,
    )


def _shown(here: Visit, quote: dict[str, Any]) -> dict[str, Any]:
    """Return what a page shows of a quote: its price, and the budget before and after."""
    if quote["against"] is not None:
        return {}
    grant, price = Grant.from_json(quote["grant"]), Price.from_json(quote["price"])
    after = price.epsilon_left_micro - price.epsilon_micro
    less = reaches(quote["reach"], quote["narrower"], t=here.t)
    return {
        "words": words(grant, price, t=here.t),
        "dimensions": dimensions(price, t=here.t),
        "picture": bars(
            here.t("How far this request reaches: people, kinds of data, days, models"),
            dimensions(price, t=here.t),
            log=True,
        ),
        "budget": bars(
            here.t("The privacy budget of the purpose, before and after"),
            [
                Bar(
                    name=name,
                    value=max(value, 0) / 1e6,
                    shown=f"{value / 1e6:.2f}",
                )
                for name, value in (
                    (here.t("Left now"), price.epsilon_left_micro),
                    (here.t("Left if all of it is used"), after),
                )
            ],
        ),
        "before": price.epsilon_left_micro / 1e6,
        "after": after / 1e6,
        "less": less,
        "request": canonical.encode({"grant": quote["grant"], "people": quote["people"]}).decode(),
    }


def _mine(here: Visit, verb: str, name: str) -> list[dict[str, Any]] | None:
    """Return what is the caller's own, or nothing if their role has none of it."""
    try:
        found: list[dict[str, Any]] = here.line.call(verb, mine=True)[name]
    except DeniedError:
        return None
    return found
