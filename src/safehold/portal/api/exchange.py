"""A request of the API, read strictly: into the arguments of a verb, and nothing that was not asked for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import orjson
from fastapi import Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.requests import ClientDisconnect

from safehold.errors import InvalidError
from safehold.portal.api.field import LARGEST, Given, Name, Whole
from safehold.portal.api.page import DEFAULT, MOST
from safehold.portal.api.route import WHOLE, Route
from safehold.portal.visit import TooLargeError

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
PAGED: Final = frozenset({"limit", "cursor"})
_NAME: Final = TypeAdapter(Name)
_WHOLE: Final = TypeAdapter(Whole)


class WrongKindError(InvalidError):
    """The body is of a kind that is not taken here."""

    status = 415


@dataclass(slots=True, kw_only=True)
class Asked:
    """What a request asks for.

    Args:
        arguments: Of the verb.
        digest: Of the whole request: the same again is the same request.
        limit: Rows of a page.
        cursor: After which row a page begins.
        query: As it came, for the link to the next page.
        files: Descriptors that the keeper is handed.
    """

    arguments: dict[str, Any]
    digest: bytes
    limit: int = DEFAULT
    cursor: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    files: list[int] = field(default_factory=list)

    def close(self) -> None:
        """Close what was opened for the request."""
        while self.files:
            os.close(self.files.pop())


async def read(route: Route, request: Request) -> Asked:
    """Return what a request asks for.

    Raises:
        InvalidError: Something in it has another shape; said where, never what.
        WrongKindError: Its body is no JSON, or no file.
    """
    named = {name: _named(name, request.path_params[name]) for name in route.names}
    query = _query(request)
    paged = {name: query.pop(name) for name in sorted(PAGED & set(query)) if route.listed}
    asked = Asked(arguments={}, digest=b"", query=dict(query))
    seen = hashlib.sha256(f"{request.method}\0{request.url.path}\0".encode())
    given: dict[str, Any] = {}
    if route.upload:
        given = check(route.given, lambda model: model.model_validate_strings(query))
        seen.update(orjson.dumps(sorted(query.items())))
        asked.files.append(await _spool(request, seen))
    elif route.looks():
        given = check(route.given, lambda model: model.model_validate_strings(query))
    else:
        if query and not (route.listed and not query):
            raise InvalidError("there is nothing to say in the query", rule="portal.input")
        body = await read_body(request)
        seen.update(body)
        given = check(route.given, lambda model: model.model_validate_json(body or b"{}"))
    if route.listed:
        asked.limit, asked.cursor = _limit(paged.get("limit")), paged.get("cursor", "")
    asked.arguments = {
        **given,
        **{route.renamed.get(name, name): value for name, value in named.items()},
        **route.fixed,
    }
    _check_numbers(asked.arguments)
    asked.digest = seen.digest()
    return asked


def _query(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) != len(pairs):
        raise InvalidError("a name stands twice in the query", rule="portal.input")
    return query


def _named(name: str, text: str) -> str | int:
    try:
        return _WHOLE.validate_strings(text) if name in WHOLE else _NAME.validate_strings(text)
    except ValidationError as error:
        raise InvalidError("not a name", field=name, rule="portal.input") from error


def check(model: type[Given], read: Callable[[type[Given]], BaseModel]) -> dict[str, Any]:
    """Return the fields that came, as ``read`` finds them with a model.

    Raises:
        InvalidError: They are not its fields; said where, never what.
    """
    try:
        found = read(model)
    except ValidationError as error:
        # only where it is wrong: what pydantic says may quote the value
        places = sorted(
            {".".join(map(_place, one["loc"])) for one in error.errors(include_input=False)}
        )
        where = f" at {', '.join(places)[:300]}" if any(places) else ""
        raise InvalidError(
            f"the input is wrong{where}", rule="portal.input", fix="see the API description: /api"
        ) from error
    return found.model_dump(mode="json", exclude_unset=True)


@lru_cache(maxsize=4096)
def _known(name: str) -> bool:
    return name.isidentifier() and len(name) <= 32


def _place(part: int | str) -> str:
    # a name that somebody made up may be a value
    return str(part) if isinstance(part, int) or _known(part) else "(another)"


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT
    if not text.isascii() or not text.isdecimal() or len(text) > 6 or not 1 <= int(text) <= MOST:
        raise InvalidError(f"a page has 1 to {MOST} rows", field="limit", rule="portal.input")
    return int(text)


async def read_body(request: Request) -> bytes:
    """Return the body of a request.

    Raises:
        TooLargeError: It is too large, or ended early.
        WrongKindError: It is no JSON.
    """
    try:
        body = await request.body()
    except ClientDisconnect as error:
        raise TooLargeError("the body is too large, or ended early", rule="portal.body") from error
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and kind != JSON:
        raise WrongKindError("a body is JSON", rule="portal.kind", fix=f"Content-Type: {JSON}")
    return body


async def _spool(request: Request, seen: Any) -> int:
    """Return a file in memory that holds the body: what people did is on no disk in the clear."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != OCTETS:
        raise WrongKindError("a body is a file", rule="portal.kind", fix=f"Content-Type: {OCTETS}")
    handle = os.memfd_create("upload", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        async for piece in request.stream():
            seen.update(piece)
            view = memoryview(piece)
            while view:
                view = view[os.write(handle, view) :]
    except ClientDisconnect as error:
        os.close(handle)
        raise TooLargeError("the body is too large, or ended early", rule="portal.body") from error
    except BaseException:
        os.close(handle)
        raise
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


def _check_numbers(value: Any) -> None:
    """Pass if what goes to the keeper can be written as a message: numbers that fit, text that is text."""
    stack = [value]
    while stack:
        match stack.pop():
            case dict() as tree:
                stack.extend(tree.keys())
                stack.extend(tree.values())
            case list() as rows:
                stack.extend(rows)
            case bool():
                pass
            case int() as number:
                if not -LARGEST <= number <= LARGEST:
                    raise InvalidError("a number is too large", rule="portal.input")
            case str() as text:
                try:
                    text.encode()
                except UnicodeEncodeError as error:
                    raise InvalidError("a text is no Unicode text", rule="portal.input") from error
            case _:
                pass


def source_of(arguments: dict[str, Any]) -> dict[str, Any]:
    """Return what the keeper is told of an uploaded source."""
    named = {key: arguments[key] for key in ("name", "format", "mapping") if key in arguments}
    rest = {key: value for key, value in arguments.items() if key not in named}
    return {"source": {"kind": "file", **named}, **rest}
