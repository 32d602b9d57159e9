"""How much of anything one source may ask for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from safehold.errors import InvalidError


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds that keep memory flat whatever a source holds.

    Args:
        columns: Most columns a source may have.
        cell_bytes: Longest value of one field.
        line_bytes: Longest line of a text format.
        footer_bytes: Largest Parquet footer.
        page_bytes: Largest uncompressed Parquet column chunk.
        batch_rows: Most rows decoded at a time.
        batch_bytes: Bytes decoded at a time that a batch aims at.
        chunk_rows: Most rows of a chunk, counted as they stand in the source.
        chunk_bytes: Most bytes of a chunk, counted as the decoded source.
        chunk_sessions: Most sessions of a chunk: what a chunk holds of each person is a table of its own.
        sessions: Most sessions a source may hold.
        refusals: Refusals that are kept one by one; the rest is only counted.
        word_bytes: Longest identifier or vocabulary word.
        document_bytes: Largest document that is read whole: JSON, a member of an archive, a message.
        document_values: Most values of such a document.
        database_bytes: Largest database.
        members: Most members of an archive.
        archive_bytes: Most bytes that an archive unpacks to.
        amplify: How many times over rows may repeat their source.
    """

    columns: int = 256
    cell_bytes: int = 1 << 20
    line_bytes: int = 4 << 20
    footer_bytes: int = 16 << 20
    page_bytes: int = 256 << 20
    batch_rows: int = 32_768
    batch_bytes: int = 8 << 20
    chunk_rows: int = 100_000
    chunk_bytes: int = 32 << 20
    chunk_sessions: int = 4_096
    sessions: int = 300_000
    refusals: int = 100
    word_bytes: int = 512
    document_bytes: int = 64 << 20
    document_values: int = 4_000_000
    database_bytes: int = 512 << 20
    members: int = 100_000
    archive_bytes: int = 4 << 30
    amplify: int = 100

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any] | None) -> Limits:
        """Read limits from a job; what is not named keeps its default.

        Raises:
            InvalidError: A name is not known or a value is not a positive whole number.
        """
        known = {field.name for field in fields(cls)}
        for name, value in (spec or {}).items():
            if name not in known:
                raise InvalidError("a limit is not known", field="limits", rule="ingest.limits")
            if type(value) is not int or value < 1:
                raise InvalidError(
                    "a limit is a positive whole number", field=name, rule="ingest.limits"
                )
        return cls(**dict(spec or {}))
