"""Meeting transcripts in WebVTT (W3C), as Zoom and Teams write them: who spoke, from when to when, and what.

A speaker is told by ``<v Name>`` or by ``Name: `` at the start of a line. Words that nobody is named for have no
speaker, unless the cue goes on with an utterance by its id (``.../12-1`` after ``.../12-0``): whose they are cannot
be known, and they are left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from safehold.ingest.limits import Limits
from safehold.ingest.shape import Lookup
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.record import Document

_TIME: Final = r"(?:(\d{1,4}):)?([0-5]?\d):([0-5]?\d)[.,](\d{3})"
_TIMING: Final = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}(?:\s.*)?\Z")
_VOICE: Final = re.compile(r"<v(?:\.[^\s>]{0,80})?\s+([^<>]{1,200})>")
_NAMED: Final = re.compile(r"([^:<>\d][^:<>]{0,79}):\s+")
_TAG: Final = re.compile(r"</?[^<>]{0,200}>")
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": "", "&amp;": "&"}
_SKIPPED: Final = ("NOTE", "STYLE", "REGION")
_LONGEST_CUE: Final = 1 << 16
_MOST_VOICES: Final = 64


class Transcript:
    """Segments of a WebVTT file.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.size = reader.size
        self.names: list[str] = []
        self.pictures = 0
        self._reader = reader
        self._name = name
        self._limits = limits

    def table(self, lookup: Lookup) -> Any:
        """Return nothing: a transcript holds no table of words."""
        del lookup

    def documents(self) -> Iterator[Document | str]:
        """Yield one document a segment; a text is the rule that a cue broke."""
        last: tuple[str, str | None] = ("", None)
        for number, block in enumerate(self._blocks()):
            if block is None:
                yield "source.line"
                return
            if number == 0 and block[0].removeprefix("\ufeff").startswith("WEBVTT"):
                continue
            if number == 0:
                yield "source.vtt"
                return
            if block[0].split(" ")[0] in _SKIPPED:
                continue
            found = read_cue(block, last)
            if isinstance(found, str):
                yield found
                continue
            last, segments = found
            for segment in segments:
                yield Document(segment, {"@file": self._name})

    def _blocks(self) -> Iterator[list[str] | None]:
        """Yield lines that stand together; None when one is longer than the limit."""
        held: list[str] = []
        size = 0
        for raw in self._reader.lines(self._limits.line_bytes):
            if raw is None:
                yield None
                return
            line = raw.decode("utf-8", "surrogateescape").rstrip("\r")
            size += len(line)
            if line.strip() and size <= _LONGEST_CUE:
                held.append(line)
            elif line.strip():
                held = [line[:1]]  # a cue of this length is none
            else:
                if held:
                    yield held
                held, size = [], 0
        if held:
            yield held


def read_cue(
    block: list[str], last: tuple[str, str | None]
) -> tuple[tuple[str, str | None], list[dict[str, Any]]] | str:
    """Return what a cue says, speaker by speaker, or the rule that it breaks.

    Args:
        block: Its lines.
        last: Stem of the id of the cue before, and who spoke at its end.
    """
    name = ""
    timing = _TIMING.fullmatch(block[0])
    if timing is None and len(block) > 1:
        name, timing = block[0], _TIMING.fullmatch(block[1])
    if timing is None:
        return "source.vtt"
    start, end = _moment(timing.groups()[:4]), _moment(timing.groups()[4:])
    if end < start:
        return "time.release_before_press"
    lines = block[2 if name else 1 :]
    stem = name.rpartition("-")[0]
    speaker = last[1] if stem and stem == last[0] else None
    segments: list[dict[str, Any]] = []
    for line in lines:
        for who, words in _voices(line, speaker):
            speaker = who
            if not words:
                continue
            if segments and segments[-1]["speaker"] == who:
                segments[-1]["text"] += "\n" + words
            else:
                segments.append({"speaker": who, "text": words, "start": start, "end": end})
    return (stem, speaker), segments


def _moment(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, milliseconds = (int(part or 0) for part in parts)
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds


def _voices(line: str, speaker: str | None) -> Iterator[tuple[str | None, str]]:
    """Yield who says which words of a line."""
    spans = list(_VOICE.finditer(line))
    if len(spans) > _MOST_VOICES:
        yield None, _words(line)
        return
    if not spans:
        named = _NAMED.match(line)
        if named is not None:
            yield " ".join(named.group(1).split()), _words(line[named.end() :])
        else:
            yield speaker, _words(line)
        return
    if before := _words(line[: spans[0].start()]):
        yield speaker, before
    for span, following in zip(spans, [*spans[1:], None], strict=True):
        until = len(line) if following is None else following.start()
        said, _, after = line[span.end() : until].partition("</v>")
        yield " ".join(span.group(1).split()), _words(said)
        if rest := _words(after):
            yield None, rest


def _words(text: str) -> str:
    text = _TAG.sub("", text)
    for entity, letter in _ENTITIES.items():
        text = text.replace(entity, letter)
    return text.strip()
