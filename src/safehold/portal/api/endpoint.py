"""How a line of the API is answered: read, let in, carried out once, and told."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

import orjson
from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from safehold.canonical import b64
from safehold.errors import ConflictError, InvalidError, SafeholdError, WentAwayError
from safehold.keeper.client import Progress
from safehold.portal import problem
from safehold.portal.api.exchange import JSON, OCTETS, Asked, read, source_of
from safehold.portal.api.jobs import Jobs
from safehold.portal.api.kept import Answers, Kept, Ticket
from safehold.portal.api.page import cut, link, matches, tag
from safehold.portal.api.route import PREFIX, Route
from safehold.portal.api.visitor import CSRF, ApiVisit

Endpoint = Callable[[Request], Coroutine[Any, Any, Response]]
ANSWERS: Final = "api.answers"  # on the shelf of a site
JOBS: Final = "api.jobs"
# of all that says that something cannot be reached, what is said before anything is begun: behind a commit, too, a
# database can go away
NOT_BEGUN: Final = frozenset({"keeper.lead", "keeper.reachable", "keeper.stands-by"})
SAID: Final = "Safehold-Answer"  # header: what is said beside a file
_PIECE: Final = 1 << 16
_LONGEST_HEADER: Final = 48_000


class ChangedError(ConflictError):
    """What was looked at has changed since."""

    status = 412


def endpoint(route: Route, lines: dict[str, Route]) -> Endpoint:
    """Return what answers a line.

    Args:
        route: The line.
        lines: All of them, by the name of their operation.
    """

    async def answer(request: Request) -> Response:
        visit = ApiVisit(request)
        await visit.arrive()
        if route.method != "GET":
            visit.somebody()  # of nobody no file is taken into memory
        asked = await read(route, request)
        try:
            return await run_in_threadpool(_answer, route, lines, visit, asked)
        finally:
            asked.close()

    return answer


def _answer(route: Route, lines: dict[str, Route], visit: ApiVisit, asked: Asked) -> Response:
    if route.method == "GET":
        return _shown(route, visit, asked)
    request, who = visit.request, visit.somebody().principal
    kept: Answers = visit.site.shelf[ANSWERS]
    key = request.headers.get("idempotency-key")
    ticket: Ticket | None = None
    if key is not None and route.method == "POST":
        # the sign-in is looked at first: an answer is for who got it, while their session lasts
        visit.line.call("session.show")
        digest = asked.digest
        found = kept.begin(who, _unquoted(key), digest, again=route.again)
        if isinstance(found, Kept):
            return _again(found)
        ticket = found
    try:
        _check_unchanged(route, lines, visit, asked)
        if route.long and "respond-async" in request.headers.get("prefer", ""):
            made = _begun(route, visit, asked)
        else:
            made = _done(route, visit, asked)
    except SafeholdError as error:
        if ticket is not None:
            _settle(kept, ticket, error)
        raise
    except BaseException:
        if ticket is not None:
            kept.lose(ticket)
        raise
    if ticket is not None:
        whole = not isinstance(made, StreamingResponse)
        kept.end(ticket, Kept(made.status_code, bytes(made.body) if whole else b""))
    return made


def ask(
    route: Route, visit: ApiVisit, asked: Asked, progress: Progress | None = None
) -> dict[str, Any]:
    """Return what the keeper answers whoever asks."""
    arguments = dict(asked.arguments)
    if route.mine and "person" not in arguments:
        person = visit.line.call("session.show").get("person")
        # a name of nobody: the keeper then says that this sign-in speaks for no person
        arguments["person"] = person if person is not None else ""
    if route.verb == "ingest":
        arguments = source_of(arguments)
    return visit.line.call(route.verb, descriptors=asked.files, progress=progress, **arguments)


def _shown(route: Route, visit: ApiVisit, asked: Asked) -> Response:
    answer, headers = ask(route, visit, asked), {"Vary": "Authorization, Cookie"}
    if route.listed:
        answer, following = cut(answer, route.listed, limit=asked.limit, cursor=asked.cursor)
        if following:
            query = {**asked.query, "limit": str(asked.limit)}
            headers["Link"] = link(visit.request.url.path, query, following)
    if route.id == "session.show" and not visit.by_token:
        headers[CSRF] = visit.somebody().csrf()  # for scripts of our own pages
    body = orjson.dumps(answer)
    mark = headers["ETag"] = tag(body)
    if matches(visit.request.headers.get("if-none-match", ""), mark):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type=JSON, headers=headers)


def _done(route: Route, visit: ApiVisit, asked: Asked) -> Response:
    if route.download:
        return _file(route, visit, asked)
    return Response(
        orjson.dumps(ask(route, visit, asked)), status_code=route.status, media_type=JSON
    )


def _file(route: Route, visit: ApiVisit, asked: Asked) -> Response:
    handle = os.memfd_create("download", os.MFD_CLOEXEC)
    try:
        asked.files.append(handle)
        said = orjson.dumps(ask(route, visit, asked))
        asked.files.remove(handle)
        size = os.fstat(handle).st_size
        headers = {"Content-Length": str(size)}
        if len(said) <= _LONGEST_HEADER:
            headers[SAID] = b64(said)
    except BaseException:
        if handle not in asked.files:
            os.close(handle)
        raise

    return StreamingResponse(_pieces(handle), media_type=OCTETS, headers=headers)


def _pieces(handle: int) -> Iterator[bytes]:
    try:
        at = 0
        while piece := os.pread(handle, _PIECE, at):
            at += len(piece)
            yield piece
    finally:
        os.close(handle)


def _begun(route: Route, visit: ApiVisit, asked: Asked) -> Response:
    jobs: Jobs = visit.site.shelf[JOBS]
    # the request ends before the work does
    mine = Asked(arguments=asked.arguments, digest=asked.digest, files=list(asked.files))
    asked.files.clear()

    def work(progress: Progress) -> dict[str, Any]:
        try:
            return ask(route, visit, mine, progress)
        finally:
            mine.close()

    try:
        told = jobs.begin(visit.somebody().principal, route.id, work)
    except BaseException:
        mine.close()
        raise
    headers = {
        "Location": f"{PREFIX}/jobs/{told['job']}",
        "Preference-Applied": "respond-async",
        "Retry-After": "2",
    }
    return Response(orjson.dumps(told), status_code=202, media_type=JSON, headers=headers)


def _check_unchanged(route: Route, lines: dict[str, Route], visit: ApiVisit, asked: Asked) -> None:
    """Pass if what the caller saw is still so.

    Raises:
        ChangedError: It has changed.
        InvalidError: There is nothing here that a tag could be about.
    """
    named = visit.request.headers.get("if-match")
    if named is None:
        return
    if not route.under:
        raise InvalidError("nothing here has a tag", rule="api.match", fix="leave If-Match out")
    seen = lines[route.under]
    arguments = {
        seen.renamed.get(name, name): asked.arguments[route.renamed.get(name, name)]
        for name in seen.names
    } | dict(seen.fixed)
    answer = ask(seen, visit, Asked(arguments=arguments, digest=b""))
    if seen.listed:
        answer, _ = cut(answer, seen.listed, limit=Asked(arguments={}, digest=b"").limit, cursor="")
    if not matches(named, tag(orjson.dumps(answer))):
        raise ChangedError(
            "what you looked at has changed since", rule="api.match", fix="look again, then decide"
        )


def _again(found: Kept) -> Response:
    if not found.body and found.status == 200:
        raise ConflictError(
            "this was carried out, and its answer was too long to be kept",
            rule="idempotency.large",
            fix="look what is there",
        )
    kind = JSON if found.status < 400 else problem.KIND
    return Response(
        found.body,
        status_code=found.status,
        media_type=kind,
        headers={"Idempotency-Replayed": "true"},
    )


def _settle(kept: Answers, ticket: Ticket, error: SafeholdError) -> None:
    """Remember a refusal; forget what was certainly not begun; admit it where nobody knows."""
    begun = error.status == 503 and error.rule not in NOT_BEGUN
    if isinstance(error, WentAwayError) or error.status == 500 or begun:
        kept.lose(ticket)
    elif error.status in {401, 412, 429, 503}:
        kept.drop(ticket)
    else:
        kept.end(ticket, Kept(error.status, orjson.dumps(problem.tell(error, error.status))))


def _unquoted(key: str) -> str:
    # a structured field string (RFC 8941), or bare as most programs send it
    return key[1:-1] if len(key) > 2 and key[0] == key[-1] == '"' else key


__all__ = ["ANSWERS", "JOBS", "ChangedError", "ask", "endpoint"]
