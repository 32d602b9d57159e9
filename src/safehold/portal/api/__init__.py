"""The REST API: what the command line does, for programs.

One table of lines (``api.table``) says which path asks the keeper for which verb, what it takes and what it answers.
The API holds no right of its own: it asks as whoever signed in, and the keeper's door decides.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from safehold.access.identity.dpop import Proofs
from safehold.errors import InvalidError
from safehold.portal.api import session
from safehold.portal.api.document import describe
from safehold.portal.api.endpoint import ANSWERS, JOBS, endpoint
from safehold.portal.api.events import STREAMS, Streams, stream, topics_of
from safehold.portal.api.exchange import JSON, check, read_body
from safehold.portal.api.jobs import Jobs
from safehold.portal.api.kept import Answers
from safehold.portal.api.page import matches, tag
from safehold.portal.api.route import PREFIX
from safehold.portal.api.table import LINES, ROUTES
from safehold.portal.api.visitor import PROOFS, ApiVisit
from safehold.portal.visit import Site

DOCUMENT: Final = f"{PREFIX}/openapi.json"


def mount(app: FastAPI) -> None:
    """Put the API into an application."""
    site: Site = app.state.site
    site.shelf[PROOFS] = Proofs(site.clock, rule="api.proof", spend=site.shared.spend)
    site.shelf[ANSWERS] = Answers(site.shared, site.cookies)
    site.shelf[JOBS] = Jobs(site.shared, site.cookies, site.clock)
    site.shelf[STREAMS] = Streams()

    def add(method: str, path: str, answer: Any) -> None:
        app.add_api_route(
            PREFIX + path, answer, methods=[method], include_in_schema=False, response_model=None
        )

    add("POST", "/sessions/questions", _ask)
    add("POST", "/sessions", _enter)
    add("GET", "/jobs", _jobs)
    add("GET", "/jobs/{job}", _job)
    add("GET", "/events", _events)
    add("GET", "/openapi.json", _document)
    lines = dict(LINES)
    for route in ROUTES:
        add(route.method, route.path, endpoint(route, lines))


def close(site: Site) -> None:
    """End what goes on, and close what is open."""
    jobs: Jobs = site.shelf[JOBS]
    jobs.close()


async def _ask(request: Request) -> Response:
    visit = ApiVisit(request)
    await _empty(request)
    return _told(await run_in_threadpool(session.ask, visit))


async def _enter(request: Request) -> Response:
    visit, body = ApiVisit(request), await read_body(request)
    given = session.Proof(**check(session.Proof, lambda model: model.model_validate_json(body)))
    return _told(await run_in_threadpool(session.enter, visit, given), 201)


async def _jobs(request: Request) -> Response:
    visit = ApiVisit(request)
    await visit.arrive()
    jobs: Jobs = visit.site.shelf[JOBS]
    return _told(await run_in_threadpool(lambda: jobs.listing(_owner(visit))))


async def _job(request: Request) -> Response:
    visit = ApiVisit(request)
    await visit.arrive()
    jobs: Jobs = visit.site.shelf[JOBS]
    name = str(request.path_params["job"])
    return _told(await run_in_threadpool(lambda: jobs.tell(_owner(visit), name)))


def _owner(visit: ApiVisit) -> str:
    """Return whose jobs are meant; the keeper is asked whether their session still holds."""
    visit.line.call("session.show")
    return visit.somebody().principal


async def _events(request: Request) -> Response:
    visit = ApiVisit(request)
    await visit.arrive()
    visit.somebody()
    topics = topics_of(request.query_params.get("topics", ""))
    last = request.headers.get("last-event-id", "")
    return StreamingResponse(stream(visit, topics, last), media_type="text/event-stream")


async def _document(request: Request) -> Response:
    body = orjson.dumps(describe())
    mark = tag(body)
    headers = {"ETag": mark, "Cache-Control": "public, max-age=300"}
    if matches(request.headers.get("if-none-match", ""), mark):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


async def _empty(request: Request) -> None:
    if (await read_body(request)).strip() not in {b"", b"{}"}:
        raise InvalidError("there is nothing to say in the body", rule="portal.input")


def _told(said: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(said), status_code=status, media_type=JSON)


__all__ = ["DOCUMENT", "close", "mount"]
