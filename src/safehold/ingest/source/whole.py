"""What readers of documents share: an open file, its name, and that it holds no tables of words."""

from __future__ import annotations

from typing import Any

from safehold.ingest.limits import Limits
from safehold.ingest.shape import Lookup
from safehold.ingest.source.file import FileReader


class DocumentFile:
    """A file that is read document by document.

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
        """Return nothing: such a file holds no table of words."""
        del lookup
