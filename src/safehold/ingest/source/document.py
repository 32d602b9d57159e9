"""Readers of JSON: one whole document, JSON Lines with nesting, and an archive of documents."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

import orjson

from safehold.errors import InvalidError
from safehold.ingest.limits import Limits
from safehold.ingest.shape import Lookup
from safehold.ingest.source.archive import Archive
from safehold.ingest.source.file import FileReader
from safehold.ingest.source.image import PICTURES
from safehold.ingest.source.record import Document


def parse_json(data: bytes, *, name: str, limits: Limits, member: int | None = None) -> Any:
    """Return a JSON document whose values are counted before any of them is made.

    Args:
        data: The document, UTF-8; a byte order mark is passed over.
        name: Name of the source.
        limits: How many values it may hold.
        member: Its number in an archive, for the error.

    Raises:
        InvalidError: It is not JSON, or holds more than the limits.
    """
    data = data.removeprefix(b"\xef\xbb\xbf")
    if sum(map(data.count, (b",", b"[", b"{"))) > limits.document_values:
        raise InvalidError(
            f"a document of more than {limits.document_values} values",
            file=name,
            row=member,
            rule="source.size",
            fix="split it",
        )
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:  # among them not UTF-8, and nesting too deep
        raise InvalidError("not JSON", file=name, row=member, rule="source.json") from error


class JsonDocument:
    """One JSON document.

    Args:
        reader: The open file.
        name: Its name.
        limits: What it may ask for.

    Raises:
        InvalidError: It is larger than the limit, or not JSON.
    """

    def __init__(self, reader: FileReader, *, name: str, limits: Limits) -> None:
        self.size = reader.size
        self.names: list[str] = []
        self.pictures = 0
        if reader.size > limits.document_bytes:
            raise InvalidError(
                f"a document of more than {limits.document_bytes} bytes",
                file=name,
                rule="source.size",
                fix="export fewer days at a time",
            )
        self._value = parse_json(reader.pread(0, reader.size), name=name, limits=limits)
        self._name = name

    def documents(self) -> Iterator[Document | str]:
        """Yield the document."""
        yield Document(self._value, {"@file": self._name})

    def table(self, lookup: Lookup) -> Any:
        """Return the document: a table of words is a part of it."""
        return None if lookup.file else self._value


class JsonLines:
    """JSON Lines whose objects nest.

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

    def documents(self) -> Iterator[Document | str]:
        """Yield one document a line.

        Raises:
            InvalidError: A line is longer than the limit.
        """
        for number, line in enumerate(self._reader.lines(self._limits.line_bytes)):
            if line is None:
                raise InvalidError(
                    f"a line is longer than {self._limits.line_bytes} bytes",
                    file=self._name,
                    row=number,
                    rule="source.line",
                )
            if not line.strip():
                yield "source.json"
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError:
                yield "source.json"
                continue
            yield Document(value, {"@file": self._name})

    def table(self, lookup: Lookup) -> Any:
        """Return nothing: lines hold no table of words."""
        del lookup


class JsonArchive:
    """JSON documents in a ZIP archive.

    Args:
        archive: The archive.
        files: Pattern of the members that hold rows; the others are tables of words, or not read.
        name: Its name.
        limits: What a member may ask for.
    """

    def __init__(self, archive: Archive, *, files: str, name: str, limits: Limits) -> None:
        self.size = archive.size
        self.names = sorted({part for name in archive.names for part in name.split("/")})
        self.pictures = sum(name.lower().endswith(PICTURES) for name in archive.names)
        self._archive = archive
        self._files = files or "*.json"
        self._name = name
        self._limits = limits

    def documents(self) -> Iterator[Document | str]:
        """Yield the documents in the order of their names.

        Raises:
            InvalidError: A member is damaged, or larger than the limits.
        """
        for number, member in enumerate(self._archive.names):
            folder, _, file = member.rpartition("/")
            depth = self._files.count("/")
            if member.count("/") != depth or not fnmatchcase(member, self._files):
                continue
            value = self._read(member, number)
            yield Document(value, {"@file": file, "@folder": folder.rpartition("/")[2]})

    def table(self, lookup: Lookup) -> Any:
        """Return the member that a table is in; an export may lack it."""
        place = self._archive.place.get(lookup.file)
        return None if place is None else self._read(lookup.file, place)

    def _read(self, member: str, number: int) -> Any:
        data = self._archive.read(member)
        return parse_json(data, name=self._name, limits=self._limits, member=number)
