"""Long answers in pages, and what a program needs to ask for a thing only if it changed (RFC 9110, RFC 8288)."""

from __future__ import annotations

import hashlib
from typing import Any, Final
from urllib.parse import urlencode

import orjson

from safehold.access.identity.jose import b64url, unb64url
from safehold.errors import InvalidError

DEFAULT: Final = 100
MOST: Final = 500
_MARK: Final = 12  # bytes of a row's mark


def cut(
    answer: dict[str, Any], listed: str, *, limit: int, cursor: str
) -> tuple[dict[str, Any], str]:
    """Return one page of an answer, and the cursor of the next; empty if this is the last.

    A cursor names the row that it comes after, so that rows that are new at the beginning move nothing.

    Raises:
        InvalidError: The cursor is none, or its row is not there any more.
    """
    rows: list[Any] = answer[listed]
    first = 0
    if cursor:
        mark, at = _read(cursor)
        first = _find(rows, mark, at)
    page = rows[first : first + limit]
    left = first + limit < len(rows)
    following = _write(page[-1], first + limit - 1) if left and page else ""
    return {**answer, listed: page}, following


def link(path: str, query: dict[str, str], cursor: str) -> str:
    """Return the header ``Link`` to the next page."""
    return f'<{path}?{urlencode({**query, "cursor": cursor})}>; rel="next"'


def tag(body: bytes) -> str:
    """Return the entity tag of an answer."""
    return f'"{b64url(hashlib.sha256(body).digest()[:18])}"'


def matches(header: str, found: str) -> bool:
    """Tell whether a tag is among those that a header names; weak ones count for looking (RFC 9110 13.1)."""
    named = {one.strip().removeprefix("W/") for one in header.split(",")}
    return "*" in named or found in named


def _mark_of(row: Any) -> bytes:
    # only what names a row: its state may change between two pages
    name = row
    if isinstance(row, dict):
        for key in NAMING:
            if key in row:
                name = [key, row[key]]
                break
    return hashlib.sha256(orjson.dumps(name)).digest()[:_MARK]


NAMING: Final = ("id", "request", "incident", "alert", "case", "entry", "principal", "grant")


def _write(row: Any, at: int) -> str:
    return b64url(_mark_of(row) + at.to_bytes(4, "big"))


def _read(cursor: str) -> tuple[bytes, int]:
    try:
        data = unb64url(cursor)
    except ValueError:
        data = b""
    if len(data) != _MARK + 4:
        raise InvalidError("not a cursor of this list", rule="api.cursor")
    return data[:_MARK], int.from_bytes(data[_MARK:], "big")


def _find(rows: list[Any], mark: bytes, at: int) -> int:
    near = sorted(range(len(rows)), key=lambda place: abs(place - at))
    for place in near:
        if _mark_of(rows[place]) == mark:
            return place + 1
    raise InvalidError(
        "what this cursor names is not there any more",
        rule="api.cursor",
        fix="begin at the first page",
    )
