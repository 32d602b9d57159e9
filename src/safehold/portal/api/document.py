"""The OpenAPI 3.1 document of the API, made from the table of its lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from safehold.portal.api import jobs, session
from safehold.portal.api.exchange import JSON, OCTETS
from safehold.portal.api.field import LARGEST, PLAIN
from safehold.portal.api.page import DEFAULT, MOST
from safehold.portal.api.route import PREFIX, WHOLE, Route
from safehold.portal.api.table import ROUTES
from safehold.portal.problem import KIND, TITLES

OPENAPI: Final = "3.1.0"
VERSION: Final = "1.0.0"
_REF: Final = "#/components/schemas/{model}"
SECURITY: Final[list[dict[str, list[str]]]] = [{"token": []}, {"cookie": []}]
ALWAYS: Final = (401, 403, 422, 429, 500, 503)


class Problem(TypedDict):
    """What went wrong (RFC 9457): never a data value."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    rule: str | None
    fix: str | None
    entry: int | None


@lru_cache(maxsize=1)
def describe() -> dict[str, Any]:
    """Return the document."""
    shapes = _Shapes()
    shapes.add("problem", Problem)
    for route in ROUTES:
        shapes.add(f"{route.id}/given", route.given, mode="validation")
        shapes.add(f"{route.id}/answer", route.answer)
    for name, kind in (("question", session.Question), ("token", session.Token),
                       ("job", jobs.Told), ("jobs", jobs.Listed)):  # fmt: skip
        shapes.add(name, kind)
    shapes.add("proof", session.Proof, mode="validation")
    made = shapes.make()
    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(PREFIX + route.path, {})[route.method.lower()] = _operation(route, made)
    for path, method, operation in _by_hand(made):
        paths.setdefault(PREFIX + path, {})[method] = operation
    return {
        "openapi": OPENAPI,
        "info": {
            "title": "Safehold",
            "version": VERSION,
            "description": "Ask a keeper as whoever signs in. What somebody may do is decided at the keeper's door.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": SECURITY,
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": made.schemas,
            "responses": {
                _called(status): {
                    "description": title,
                    "content": {KIND: {"schema": made.of("problem")}},
                }
                for status, title in TITLES.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "DPoP",
                    "description": "`Authorization: DPoP TOKEN` and a proof of its key in `DPoP` (RFC 9449)",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": "__Host-safehold",
                    "description": "of a page of the portal; what changes something takes X-CSRF-Token as well",
                },
            },
        },
    }


class _Shapes:
    """Collects kinds, and makes one set of schemas with short names of them."""

    def __init__(self) -> None:
        self._kinds: list[tuple[str, Any, TypeAdapter[Any]]] = []
        self._by: dict[str, dict[str, Any]] = {}
        self.schemas: dict[str, Any] = {}

    def add(self, key: str, kind: Any, *, mode: str = "serialization") -> None:
        """Add one kind."""
        self._kinds.append((key, mode, TypeAdapter(kind)))

    def make(self) -> _Shapes:
        """Make the schemas."""
        found, whole = TypeAdapter.json_schemas(self._kinds, ref_template=_REF)
        schemas: dict[str, Any] = whole.get("$defs", {})
        short = _shortened(schemas)
        self.schemas = {
            short[name]: _renamed(schema, short) for name, schema in sorted(schemas.items())
        }
        self._by = {key: _renamed(schema, short) for (key, _), schema in found.items()}
        return self

    def of(self, key: str) -> dict[str, Any]:
        """Return the schema of one kind."""
        return self._by[key]


def _shortened(names: Iterable[str]) -> dict[str, str]:
    """Return a short name for each; where two kinds bear one name, the noun stands before it."""
    short: dict[str, str] = {}
    for name in names:
        parts = [one for one in re.split(r"__+", name) if one]
        last = re.sub(r"-(Input|Output)$", "", parts[-1])
        if len(parts) > 1:
            last = parts[-2].title().replace("_", "") + last
        while last in short.values():
            last += "_"
        short[name] = last
    return short


def _renamed(tree: Any, short: Mapping[str, str]) -> Any:
    match tree:
        case {"$ref": str(ref), **rest}:
            return {"$ref": _REF.format(model=short[ref.rpartition("/")[2]]), **rest}
        case dict():
            return {name: _renamed(value, short) for name, value in tree.items()}
        case list():
            return [_renamed(one, short) for one in tree]
        case _:
            return tree


def _operation(route: Route, made: _Shapes) -> dict[str, Any]:
    parameters = [_in_path(name) for name in route.names]
    body: dict[str, Any] = {}
    if route.looks() or route.upload:
        parameters += _in_query(made, f"{route.id}/given")
    if route.listed:
        parameters += [
            {"name": "limit", "in": "query", "required": False, "description": "rows of a page",
             "schema": {"type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT}},
            {"name": "cursor", "in": "query", "required": False,
             "description": "from the header `Link` of the page before", "schema": {"type": "string"}},
        ]  # fmt: skip
    if route.upload:
        content = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
        body = {"requestBody": {"required": True, "content": content}}
    elif not route.looks():
        content = {JSON: {"schema": made.of(f"{route.id}/given")}}
        needed = bool(_resolved(made, f"{route.id}/given").get("required"))
        body = {"requestBody": {"required": needed, "content": content}}
    if route.method == "GET":
        parameters.append(_header("If-None-Match", "entity tag of what is known already"))
    else:
        parameters.append(_header("X-CSRF-Token", "of a browser's session; see GET /me"))
    if route.method == "POST":
        parameters.append(_header("Idempotency-Key", "one effect, however often this is sent"))
    if route.under:
        parameters.append(_header("If-Match", f"entity tag of {route.under}: refuse if it changed"))
    if route.long:
        parameters.append(_header("Prefer", "`respond-async`: answer with a job at once"))
    return {
        "operationId": route.id,
        "summary": route.says,
        "tags": [route.tag],
        "x-safehold-verb": route.verb,
        "x-safehold-fixed": dict(route.fixed),
        "x-safehold-listed": route.listed,
        "x-safehold-file": "in" if route.upload else "out" if route.download else "",
        "x-safehold-names": {name: route.renamed.get(name, name) for name in route.names},
        "parameters": parameters,
        **body,
        "responses": _responses(route, made),
    }


def _responses(route: Route, made: _Shapes) -> dict[str, Any]:
    answer = {"content": {JSON: {"schema": made.of(f"{route.id}/answer")}}}
    if route.download:
        answer = {"content": {OCTETS: {"schema": {"type": "string", "format": "binary"}}}}
    good: dict[str, Any] = {str(route.status): {"description": "What was asked for", **answer}}
    if route.method == "GET":
        good["304"] = {"description": "It is what you know already"}
    if route.long:
        content = {JSON: {"schema": made.of("job")}}
        good["202"] = {"description": "It goes on as a job", "content": content}
    more = [400, 404, 409, 410]
    if not route.looks():
        more += [412, 413, 415]
    return good | _problems(more)


def _problems(more: Iterable[int]) -> dict[str, Any]:
    return {
        str(status): {"$ref": f"#/components/responses/{_called(status)}"}
        for status in sorted({*ALWAYS, *more})
    }


def _called(status: int) -> str:
    return TITLES[status].title().replace(" ", "")


def _in_path(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string", "minLength": 1, "maxLength": 256, "pattern": PLAIN}
    if name in WHOLE:
        schema = {"type": "integer", "minimum": 0, "maximum": LARGEST}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(made: _Shapes, key: str) -> list[dict[str, Any]]:
    tree = _resolved(made, key)
    needed = set(tree.get("required", ()))
    return [
        {"name": name, "in": "query", "required": name in needed, "schema": _present(schema)}
        for name, schema in tree.get("properties", {}).items()
    ]


def _present(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a value in a query, where what is left out is not there rather than null."""
    kinds = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(kinds) == 1:
        rest = {name: value for name, value in schema.items() if name not in {"anyOf", "default"}}
        return {**kinds[0], **rest}
    return schema


def _resolved(made: _Shapes, key: str) -> dict[str, Any]:
    tree = made.of(key)
    if "$ref" in tree:
        found: dict[str, Any] = made.schemas[tree["$ref"].rpartition("/")[2]]
        return found
    return tree


def _header(name: str, says: str) -> dict[str, Any]:
    # a header is visible ASCII (RFC 9110 5.5)
    schema = {"type": "string", "pattern": r"^[!-~]{1,200}$"}
    return {"name": name, "in": "header", "required": False, "description": says, "schema": schema}


def _by_hand(made: _Shapes) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the lines that ask no single verb."""

    def one(name: str, says: str, answer: str, *, status: int = 200, **more: Any) -> dict[str, Any]:
        said = {"description": "What was asked for", "content": {JSON: {"schema": made.of(answer)}}}
        return {
            "operationId": name,
            "summary": says,
            "tags": [more.pop("tag")],
            "responses": {str(status): said} | _problems(more.pop("errors", ())),
            **more,
        }

    topics = {"name": "topics", "in": "query", "required": False,
              "description": "alerts, incidents, milestones, head, grants, jobs; all where none is named",
              "schema": {"type": "string", "pattern": "^[a-z,]{0,200}$"}}  # fmt: skip
    events = {
        "operationId": "events",
        "summary": "What changes of what you may see, as Server-Sent Events, until your session ends.",
        "tags": ["events"],
        "parameters": [topics, _header("Last-Event-ID", "go on after this event")],
        "responses": {
            "200": {"description": "A stream",
                    "content": {"text/event-stream": {"schema": {"type": "string"}}}}
        } | _problems(()),
    }  # fmt: skip
    proof = {"required": True, "content": {JSON: {"schema": made.of("proof")}}}
    job = {"name": "job", "in": "path", "required": True,
           "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9_-]+$"}}  # fmt: skip
    document = {
        "operationId": "openapi",
        "summary": "This document.",
        "tags": ["openapi.json"],
        "security": [],
        "responses": {
            "200": {
                "description": "This document",
                "content": {JSON: {"schema": {"type": "object"}}},
            },
            "304": {"description": "It is what you know already"},
        },
    }
    return [
        ("/sessions/questions", "post", one(
            "session.ask", "A question whose answer proves who you are.", "question", tag="sessions",
            security=[], errors=(413, 415))),
        ("/sessions", "post", one(
            "session.open", "A token for a session, at the proof of who you are; takes a `DPoP` header.", "token",
            status=201, tag="sessions", security=[], requestBody=proof, errors=(400, 413, 415))),
        ("/jobs", "get", one("job.list", "Your jobs.", "jobs", tag="jobs")),
        ("/jobs/{job}", "get", one(
            "job.show", "How a job stands, and its answer.", "job", tag="jobs", parameters=[job], errors=(404,))),
        ("/events", "get", events),
        ("/openapi.json", "get", document),
    ]  # fmt: skip


__all__ = ["Problem", "describe"]
