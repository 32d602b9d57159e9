"""Tokenizers: every token is scanned as the text it stands for.

A tokenizer that was trained on private text holds what came up often as one token. Formats:
``tokenizer.json`` (Hugging Face), a vocabulary as JSON object, one token a line, merges, ranks in
base64 (tiktoken), and SentencePiece's protobuf (``ModelProto``, field 1: pieces).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from safehold.dlp.artifact.content import Content
from safehold.dlp.artifact.passage import Passage, walk
from safehold.dlp.artifact.tensor import texts_of
from safehold.errors import InvalidError

_RANK: Final = re.compile(rb"[A-Za-z0-9+/]{4,}={0,2} [0-9]+\r?\n")
_TOKENS_A_LINE: Final = 500  # lines; a shorter list is read as prose
_LEAST: Final = 0.97  # share of lines without a blank


@cache
def _bytes() -> dict[str, int]:
    """Return which byte each sign of byte-level BPE stands for (GPT-2, ``bytes_to_unicode``)."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {chr(byte): byte for byte in kept}
    for shift, byte in enumerate(byte for byte in range(256) if byte not in kept):
        table[chr(256 + shift)] = byte
    return table


def plain_token(token: str) -> str:
    """Return the text a token stands for: blanks and bytes as they are, no marks of the format."""
    table = _bytes()
    if any("\u0100" <= sign <= "\u0143" for sign in token) and all(sign in table for sign in token):
        token = bytes(table[sign] for sign in token).decode("utf-8", "replace")
    return token.replace("\u2581", " ").removeprefix("##").replace("</w>", " ")


def is_tokenizer(document: Any) -> bool:
    """Tell whether a JSON document is a tokenizer or a vocabulary."""
    if not isinstance(document, dict):
        return False
    if isinstance(document.get("model"), dict) and "vocab" in document["model"]:
        return True
    return len(document) >= _TOKENS_A_LINE and all(type(rank) is int for rank in document.values())


def read_tokenizer(document: dict[str, Any]) -> Content:
    """Read a tokenizer or vocabulary that is JSON."""
    inner = document.get("model")
    vocabulary = inner.get("vocab") if isinstance(inner, dict) else document

    def passages() -> Iterator[Passage]:
        tokens = (
            vocabulary
            if isinstance(vocabulary, dict)
            else [item[0] if isinstance(item, list) and item else item for item in vocabulary or ()]
        )
        yield from _tokens((str(token) for token in tokens), "$.model.vocab")
        if isinstance(inner, dict):
            rest = {key: value for key, value in inner.items() if key not in ("vocab", "merges")}
            yield from walk(document | {"model": rest})
            merges = inner.get("merges") or ()
            yield from _tokens(
                (
                    "".join(item) if isinstance(item, list) else str(item).replace(" ", "")
                    for item in merges
                ),
                "$.model.merges",
            )

    return Content("tokenizer", passages())


def _tokens(tokens: Iterator[str], place: str) -> Iterator[Passage]:
    for number, token in enumerate(tokens):
        yield Passage(f"{place}[{number}]", plain_token(token))


def is_ranks(head: bytes) -> bool:
    """Tell whether a file begins as ranks in base64."""
    return len(re.findall(rb"(?m)^" + _RANK.pattern, head[:4096])) >= 8 or (
        bool(_RANK.fullmatch(head)) if len(head) < 4096 else False
    )


def read_ranks(text: str) -> Content:
    """Read one base64 token and its rank a line."""

    def passages() -> Iterator[Passage]:
        for number, line in enumerate(text.splitlines()):
            yield Passage(f"line {number + 1}", _unranked(line).decode("utf-8", "replace"))

    return Content("tokenizer", passages())


def _unranked(line: str) -> bytes:
    try:
        return base64.b64decode(line.split(" ", maxsplit=1)[0], validate=True)
    except (binascii.Error, ValueError):
        raise InvalidError(
            "a rank is not base64", rule="artifact.damaged", fix="write the file again"
        ) from None


def is_list_of_tokens(text: str) -> bool:
    """Tell whether a text is one token a line rather than prose."""
    lines = text.splitlines()
    if len(lines) < _TOKENS_A_LINE:
        return False
    single = sum(" " not in line.strip() for line in lines)
    return single >= _LEAST * len(lines) or lines[0].startswith("#version")


def read_list(text: str) -> Content:
    """Read one token, or one pair that is merged, a line."""
    merged = text.startswith("#version")
    lines = (line.replace(" ", "") if merged else line for line in text.splitlines())
    return Content("tokenizer", _tokens(lines, "line"))


def pieces_of(body: bytes) -> list[str] | None:
    """Return the pieces of a SentencePiece model; None when it is none."""
    pieces: list[str] = []
    at = 0
    while at < len(body):
        step = _field(body, at)
        if step is None:
            return None
        number, value, at = step
        if number == 1:
            inner = _field(value, 0) if isinstance(value, bytes) else None
            if inner is None or inner[0] != 1 or not isinstance(inner[1], bytes):
                return None
            try:
                pieces.append(inner[1].decode())
            except UnicodeDecodeError:
                return None
    return pieces if len(pieces) > 2 else None


def _field(body: bytes, at: int) -> tuple[int, bytes | int, int] | None:
    """Read one field of a protobuf message: number, value, and where the next begins."""
    key, at = _varint(body, at)
    if key is None or key >> 3 == 0:
        return None
    kind = key & 7
    if kind == 0:
        value, at = _varint(body, at)
        return None if value is None else (key >> 3, value, at)
    if kind == 2:
        length, at = _varint(body, at)
        if length is None or length > len(body) - at:
            return None
        return key >> 3, body[at : at + length], at + length
    size = {1: 8, 5: 4}.get(kind)
    if size is None or size > len(body) - at:
        return None
    return key >> 3, body[at : at + size], at + size


def _varint(body: bytes, at: int) -> tuple[int | None, int]:
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(body):
            return None, at
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
    return None, at


def read_pieces(body: bytes, pieces: list[str]) -> Content:
    """Read the pieces of a SentencePiece model, and the rest of the file as bytes."""

    def passages() -> Iterator[Passage]:
        yield from _tokens(iter(pieces), "piece")
        yield from texts_of(body, "F32", "file")

    return Content("tokenizer", passages())
