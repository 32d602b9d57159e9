"""Logs, prompts and notebooks: text that people and programs wrote."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import Any, Final

from safehold.dlp.artifact.content import IMAGE, Content
from safehold.dlp.artifact.passage import Passage, read_json, walk
from safehold.errors import InvalidError

_WINDOW: Final = 1 << 16  # characters of a log that are scanned as one
_LAP: Final = 1 << 10
_COLOUR: Final = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)")
_TAG: Final = re.compile(r"<[^<>]{0,4096}>")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def read_text(body: bytes) -> str:
    """Return the text of a file.

    Raises:
        InvalidError: It is no text: nothing here could read what it holds.
    """
    try:
        text = body.decode("utf-16" if body[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        raise _unknown() from None
    if len(_CONTROLS.findall(text[: _WINDOW * 4])) > len(text[: _WINDOW * 4]) // 100:
        raise _unknown()
    return text


def _unknown() -> InvalidError:
    return InvalidError(
        "the format is not known, so what it holds cannot be read",
        rule="artifact.format",
        fix="hand in safetensors, GGUF, NumPy arrays, tokenizers, notebooks, JSON, tables or text",
    )


def read_log(text: str) -> Content:
    """Read a log in windows that overlap, so that nothing is lost at a border."""

    def passages() -> Iterator[Passage]:
        line = 1
        for start in range(0, max(len(text), 1), _WINDOW - _LAP):
            window = text[start : start + _WINDOW]
            place = f"from line {line}"
            yield Passage(place, window)
            if "\x1b" in window:
                yield Passage(place, _COLOUR.sub("", window))
            line += window[: _WINDOW - _LAP].count("\n")

    return Content("log", passages())


def read_lines(text: str) -> Content:
    """Read one JSON value a line, as prompt logs are kept; what is no JSON is read as text."""

    def passages() -> Iterator[Passage]:
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            try:
                document = read_json(line.encode("utf-8", "replace"), what="line")
            except InvalidError:
                yield Passage(f"line {number}", line)
                continue
            yield from walk(document, f"line {number}")

    return Content("log", passages())


def is_notebook(document: Any) -> bool:
    """Tell whether a JSON document is a notebook (nbformat 3 or 4)."""
    return isinstance(document, dict) and "nbformat" in document


def read_notebook(document: dict[str, Any]) -> Content:
    """Read sources, outputs and metadata; pictures are noted, for nothing here can read them."""
    content = Content("notebook", ())

    def passages() -> Iterator[Passage]:
        for passage in walk(document):
            yield passage
            if "<" in passage.text and ">" in passage.text:
                yield Passage(f"{passage.place} (text)", html.unescape(_TAG.sub(" ", passage.text)))
            if "\x1b" in passage.text:
                yield Passage(f"{passage.place} (text)", _COLOUR.sub("", passage.text))

    if _holds_image(document):
        content.notes.add(IMAGE)
    content.passages = passages()
    return content


def _holds_image(document: Any) -> bool:
    todo = [document]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if any(isinstance(key, str) and key.startswith(("image/", "video/")) for key in item):
                return True
            todo.extend(item.values())
        elif isinstance(item, list):
            todo.extend(item)
        elif isinstance(item, str) and "data:image/" in item:
            return True
    return False
