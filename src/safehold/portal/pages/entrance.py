"""Signing in and out."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool

from safehold.canonical import b64, unb64
from safehold.clock import SECOND_US
from safehold.errors import MissingError, SignInError
from safehold.keeper.signed import Session, open_with_key
from safehold.portal.identity import sign_in
from safehold.portal.identity.cookie import (
    SESSION,
    START,
    START_S,
    START_VERSION,
    Visitor,
)
from safehold.portal.identity.origin import check_origin_of
from safehold.portal.visit import (
    Form,
    Here,
    Visit,
    cookie_name,
    count_sign_in,
    form_of,
    path_of_ours,
)
from safehold.signing import SigningKey

router = APIRouter(include_in_schema=False)
MENU: Final = ()


@router.get("/sign-in", response_class=HTMLResponse)
def ways(here: Here, to: str = "/") -> HTMLResponse:
    """Show the ways to sign in."""
    asked = here.line.call("session.ask") if here.visitor is None else {"providers": []}
    return here.page(
        "sign_in.html",
        providers=asked["providers"],
        to=path_of_ours(to),
        cast=list(here.site.settings.cast),
    )


@router.post("/sign-in/as")
async def be(here: Here) -> Response:
    """Be one of the cast of a home of made-up people.

    Raises:
        MissingError: There is no such one; in a home of real people there is no cast at all.
    """
    await run_in_threadpool(count_sign_in, here)
    check_origin_of(here.request, here.site.settings.origin)
    async with form_of(here.request, files=0, fields=2) as form:
        name, to = str(form.get("name", "")), str(form.get("to", "/"))
    file = here.site.settings.cast.get(name)
    if file is None:
        raise MissingError("there is nobody of this name in the cast", rule="portal.cast")
    # the keeper may take its time; the others' requests do not wait for it
    session, told = await run_in_threadpool(open_with_key, here.site.keeper, SigningKey.read(file))
    return _enter(here, sign_in.visitor_of(session, told), to)


@router.get("/sign-in/begin")
def begin(here: Here, issuer: str | None = None, to: str = "/") -> Response:
    """Go to an identity provider."""
    count_sign_in(here)
    settings = here.site.settings
    url, waiting = sign_in.begin(
        here.site.keeper,
        here.site.cookies,
        origin=settings.origin,
        issuer=issuer,
        to=path_of_ours(to),
    )
    answer = RedirectResponse(url, 303)
    _keep(here, answer, START, waiting, START_S)
    return answer


@router.get(sign_in.RETURN)
def finish(here: Here) -> Response:
    """Come back from an identity provider."""
    count_sign_in(here)
    query = here.request.query_params
    said = {name: query[name] for name in query if len(query.getlist(name)) == 1}
    visitor, to = sign_in.finish(
        here.site.keeper, _waiting(here), said, origin=here.site.settings.origin
    )
    # a page of ours, not a redirect: the browser comes from another site, and a strict cookie would not come along
    return _enter(here, visitor, to)


@router.get("/sign-in/key", response_class=HTMLResponse)
def with_key(here: Here, to: str = "/") -> Response:
    """Show the question that a key of one's own answers: a passkey here, or a key file on the command line."""
    count_sign_in(here)
    question, key = here.line.call("session.ask")["question"], SigningKey.generate()
    code = f"{question}.{key.public.text()}"
    page = here.page(
        "sign_in_key.html",
        code=code,
        prepared=sign_in.prepare(str(question), key.public),
        to=path_of_ours(to),
    )
    waiting = {
        "v": START_VERSION,
        "question": question,
        "key": b64(key.seed()),
        "to": path_of_ours(to),
    }
    _keep(here, page, START, here.site.cookies.seal(waiting), START_S)
    return page


@router.post("/sign-in/key")
async def answer_with_key(here: Here) -> Response:
    """Take the answer of a key."""
    await run_in_threadpool(count_sign_in, here)
    check_origin_of(here.request, here.site.settings.origin)
    async with form_of(here.request, files=0, fields=4) as form:
        identity, _, proof = str(form.get("answer", "")).strip().rpartition(".")
    waiting = _waiting(here)
    if waiting is None or "state" in waiting or not identity:
        raise SignInError("this answers no question of ours", rule="session.state", fix="try again")
    key = SigningKey(unb64(str(waiting["key"])))
    answer = await run_in_threadpool(
        here.site.keeper.call,
        "session.open",
        method="key",
        identity=identity,
        key=key.public.text(),
        question=waiting["question"],
        proof=proof,
    )
    visitor = sign_in.visitor_of(Session(str(answer["ticket"]), key), answer)
    return _enter(here, visitor, str(waiting["to"]))


@router.post("/sign-out")
def leave(here: Here, form: Form) -> Response:
    """End the session, also at the keeper."""
    here.line.call("session.end", off=form.has("off"))
    answer = here.back("/", "signed-out")
    answer.delete_cookie(cookie_name(SESSION, here.site.settings), path="/")
    return answer


def _enter(here: Visit, visitor: Visitor, to: str) -> Response:
    settings = here.site.settings
    answer = RedirectResponse(path_of_ours(to), 303)
    left = max(1, visitor.until_s - here.site.clock.now_us() // SECOND_US)
    _keep(
        here,
        answer,
        SESSION,
        here.site.cookies.write(visitor),
        min(left, settings.limits.session_s),
    )
    answer.delete_cookie(cookie_name(START, settings), path="/")
    return answer


def _keep(here: Visit, answer: Response, name: str, value: str, age_s: int) -> None:
    answer.set_cookie(
        cookie_name(name, here.site.settings),
        value,
        max_age=age_s,
        path="/",
        secure=here.site.settings.origin.startswith("https://"),
        httponly=True,
        samesite="lax",
    )


def _waiting(here: Visit) -> dict[str, object] | None:
    text = here.request.cookies.get(cookie_name(START, here.site.settings))
    found = here.site.cookies.open(text, longest_s=START_S) if text else None
    # the same keys seal sessions and the API's questions: those are no beginning of ours
    return found if found is not None and found.get("v") == START_VERSION else None
