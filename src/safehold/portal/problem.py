"""How an error is told: a page to people, problem+json to programs (RFC 9457).

Never a data value, never a traceback.
"""

from __future__ import annotations

import logging
from typing import Any, Final
from urllib.parse import quote

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from safehold.errors import InvalidError, MissingError, SafeholdError, SignInError, place_of
from safehold.portal.identity.cookie import SESSION
from safehold.portal.visit import Visit, cookie_name

_LOG = logging.getLogger(__name__)
API: Final = "/api/"
KIND: Final = "application/problem+json"
# whoever asked is signed out, or is no longer signed in: they are shown where to do it
OVER: Final = frozenset({"session.none", "session.expired", "session.ended", "door.identified"})
TITLES: Final = {
    400: "This request cannot be read",
    401: "Please sign in",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Something does not fit",
    410: "Gone for good",
    412: "It has changed since",
    413: "Too large",
    415: "Another kind of content is needed",
    422: "Something in the input is wrong",
    428: "A condition is needed",
    429: "Too many requests",
    500: "Something went wrong here",
    503: "Not available now",
}


def tell(error: SafeholdError, status: int) -> dict[str, Any]:
    """Return an error as a problem."""
    told = error.payload()
    return {
        "type": f"about:blank#{error.code}",
        "title": TITLES.get(status, TITLES[500]),
        "status": status,
        "code": error.code,
        "detail": told["message"],
        "rule": told["rule"],
        "fix": told["fix"],
        "entry": told["entry"],
    }


def answer(request: Request, error: SafeholdError, status: int) -> Response:
    """Answer a request with an error."""
    if request.url.path.startswith(API):
        headers = {"WWW-Authenticate": "DPoP"} if status == 401 else None
        return JSONResponse(tell(error, status), status, headers, media_type=KIND)
    if isinstance(error, SignInError) and error.rule in OVER and request.method == "GET":
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        away = RedirectResponse(f"/sign-in?to={quote(asked)}", 303)
        away.delete_cookie(cookie_name(SESSION, request.app.state.site.settings), path="/")
        return away
    here = Visit(request)
    return here.page(
        "error.html",
        status=status,
        error=tell(error, status),
        title_key=TITLES.get(status, TITLES[500]),
    )


def install(app: FastAPI) -> None:
    """Let an application answer every error this way."""

    @app.exception_handler(SafeholdError)
    async def ours(request: Request, error: SafeholdError) -> Response:
        return answer(request, error, error.status)

    @app.exception_handler(RequestValidationError)
    async def unreadable(request: Request, error: RequestValidationError) -> Response:
        # only where it is wrong: what pydantic says may quote the value
        places = sorted({".".join(map(str, one["loc"])) for one in error.errors()})
        wrong = InvalidError(
            f"the input is wrong at {', '.join(places)[:500]}",
            rule="portal.input",
            fix="see the API description",
        )
        return answer(request, wrong, 422)

    @app.exception_handler(HTTPException)
    async def framework(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            return answer(request, MissingError("there is no such page", rule="portal.page"), 404)
        title = TITLES.get(error.status_code, TITLES[400])
        told = answer(
            request, InvalidError(title.lower(), rule="portal.request"), error.status_code
        )
        for name, value in (error.headers or {}).items():
            told.headers.setdefault(name, value)  # such as which methods there are
        return told

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        place = place_of(error)
        _LOG.error("a fault in the portal: %s at %s", type(error).__name__, place)
        told = SafeholdError(
            f"a fault in Safehold itself: {type(error).__name__} at {place}",
            rule="portal.fault",
            fix="report this line",
        )
        return answer(request, told, 500)
