"""Text inside an artifact, with the place where it stands.

A place is a path such as ``$.model.vocab[17]`` or ``__metadata__.note``. It is built of numbers and
of keys the format itself defines; a key that anybody can choose is written as its number, for a key
can hold a secret as well as a value can.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote_plus

import orjson

from safehold.errors import InvalidError

DEEPEST: Final = 64  # levels of a JSON document; a writer of artifacts uses fewer than ten
_UNWRAPS: Final = 3  # wrappings inside each other that are undone
_SHORTEST: Final = 12  # characters of a wrapped text; fewer hold no secret worth the name
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}\Z")
_PERCENT: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_READABLE: Final = 0.9  # share of printable characters in what counts as text
# keys that formats define; all others are written by number
_KNOWN: Final = frozenset(
    {
        "__metadata__", "added_tokens", "attachments", "cells", "chat_template", "content", "data",
        "decoder", "execute_result", "log_history", "merges", "messages", "metadata", "model", "name",
        "normalizer", "outputs", "post_processor", "pre_tokenizer", "prompt", "response", "role",
        "source", "special_tokens", "text", "token", "traceback", "truncation", "vocab", "widgets",
        "worksheets",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text to be scanned.

    Args:
        place: Where it stands; never holds a value.
        text: The text.
    """

    place: str
    text: str


def read_json(raw: bytes, *, what: str) -> Any:
    """Return the document.

    Args:
        raw: The bytes.
        what: What is read, for the error.

    Raises:
        InvalidError: It is no JSON, or lies deeper than any writer makes it.
    """
    try:
        return orjson.loads(raw)
    except (orjson.JSONDecodeError, RecursionError):
        raise InvalidError(
            f"the {what} is no JSON, or too deep",
            rule="artifact.json",
            fix="export it again as plain JSON",
        ) from None


def walk(value: Any, place: str = "$") -> Iterator[Passage]:
    """Yield every string of a document, keys included; lists of strings also joined.

    Raises:
        InvalidError: The document is too deep.
    """
    todo: list[tuple[Any, str, int]] = [(value, place, 0)]
    while todo:
        item, at, depth = todo.pop()
        if depth > DEEPEST:
            raise InvalidError(
                "the document is too deep", rule="artifact.depth", fix=f"at most {DEEPEST} levels"
            )
        if isinstance(item, str):
            yield Passage(at, item)
        elif isinstance(item, dict):
            for number, (key, inner) in enumerate(item.items()):
                known = key in _KNOWN
                if not known:
                    yield Passage(f"{at}.key[{number}]", key)
                todo.append((inner, f"{at}.{key}" if known else f"{at}.[{number}]", depth + 1))
        elif isinstance(item, list):
            if len(item) > 1 and all(isinstance(part, str) for part in item):
                # lines of a cell, tokens of a prompt: what matters may lie over their borders
                yield from _joined(item, at)
            todo.extend((part, f"{at}[{number}]", depth + 1) for number, part in enumerate(item))
        elif isinstance(item, int) and not isinstance(item, bool) and abs(item) >= 10**6:
            yield Passage(at, str(item))  # a card or account number as a number


_WINDOW: Final = 4096  # strings of a list that are joined at a time
_LAP: Final = 64


def _joined(parts: list[str], at: str) -> Iterator[Passage]:
    for start in range(0, len(parts), _WINDOW - _LAP):
        yield Passage(f"{at}[{start}...]", "".join(parts[start : start + _WINDOW]))


def unwrap(passages: Iterable[Passage]) -> Iterator[Passage]:
    """Yield each passage, and what is wrapped in it: base64, percent signs, JSON in a string."""
    for passage in passages:
        yield passage
        yield from _inner(passage, _UNWRAPS)


def _inner(passage: Passage, left: int) -> Iterator[Passage]:
    if not left or len(passage.text) < _SHORTEST:
        return
    text = passage.text.strip()
    decoded = _decoded(text) if _BASE64.match(text) else None
    if decoded is not None:
        inner = Passage(f"{passage.place} (base64)", decoded)
        yield inner
        yield from _inner(inner, left - 1)
    if text[:1] in "{[" and text[-1:] in "}]":
        try:
            document = orjson.loads(text)
        except (orjson.JSONDecodeError, RecursionError):
            document = None
        if isinstance(document, dict | list):
            for inner in walk(document, f"{passage.place} (JSON)"):
                yield inner
                yield from _inner(inner, left - 1)
    if len(_PERCENT.findall(text)) > 1 and (plain := unquote_plus(text)) != text:
        inner = Passage(f"{passage.place} (percent)", plain)
        yield inner
        yield from _inner(inner, left - 1)


def _bytes_of(text: str) -> bytes | None:
    """Return the bytes of a base64 text; None when it is none."""
    compact = text.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None


def _decoded(text: str) -> str | None:
    raw = _bytes_of(text)
    if raw is None:
        return None
    try:
        plain = raw.decode()
    except UnicodeDecodeError:
        return None
    readable = sum(char.isprintable() or char in "\n\r\t" for char in plain)
    return plain if plain and readable >= _READABLE * len(plain) else None
