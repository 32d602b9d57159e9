"""Read who is to be enrolled, from a list or from the names in a source."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safehold.clock import SystemClock
from safehold.dlp.roster import FIELDS, MOST
from safehold.errors import InvalidError
from safehold.ingest.preview import people_of

MOST_PEOPLE = 1_000_000


@contextmanager
def _records(path: Path) -> Iterator[csv.DictReader[str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            yield csv.DictReader(file)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidError("not a UTF-8 CSV file", file=path.name, rule="roster.text") from error


def read_roster(path: Path) -> list[dict[str, Any]]:
    """Return the people of a CSV file with columns ``person`` and ``jurisdiction``.

    It may have ``streams`` (where the charter lets an operator opt people in), ``level``, and ``key``, a person's
    public key.

    Raises:
        InvalidError: The file is not such a list; says the row and the field.
    """
    people: list[dict[str, Any]] = []
    with _records(path) as reader:
        if not {"person", "jurisdiction"} <= set(reader.fieldnames or ()):
            raise InvalidError(
                "the list needs the columns person, jurisdiction",
                file=path.name,
                rule="roster.columns",
            )
        for row, record in enumerate(reader):
            if None in record or None in record.values():
                raise InvalidError(
                    "a row has another number of fields",
                    file=path.name,
                    row=row,
                    rule="roster.columns",
                )
            if len(people) >= MOST_PEOPLE:
                raise InvalidError("too many people", file=path.name, rule="roster.size")
            people.append(
                {
                    "person": record["person"],
                    "jurisdiction": record["jurisdiction"],
                    "streams": record.get("streams", "").split(),
                    **{name: record[name] for name in ("level", "key") if record.get(name)},
                }
            )
    return people


def read_names(path: Path) -> list[dict[str, Any]]:
    """Return the names in a CSV file, as an intake takes them: nothing of them is kept.

    Columns: ``name``, or ``given`` and ``family``; ``also`` (further names and handles, parted by ``;``) and
    ``email``. Other columns are passed over, so the list of an enrolment can be handed in with names added.

    Raises:
        InvalidError: The file is not such a list; says the row, never a name.
    """
    people: list[dict[str, Any]] = []
    with _records(path) as reader:
        known = sorted(FIELDS & set(reader.fieldnames or ()))
        if not {"name", "given", "family", "also"} & set(known):
            raise InvalidError(
                "a list of names has the columns name, or given and family",
                file=path.name,
                rule="roster.columns",
            )
        for record in reader:
            entry: dict[str, Any] = {field: record[field] or "" for field in known}
            if "also" in entry:
                entry["also"] = [part.strip() for part in entry["also"].split(";") if part.strip()]
            people.append(entry)
            if len(people) > MOST:
                raise InvalidError("too many people", file=path.name, rule="roster.size")
    return people


def roster_of_source(path: Path, mapping: str | None, jurisdiction: str) -> list[dict[str, Any]]:
    """Return everybody who appears in a source file, opted in to the streams it holds.

    This is for published research data whose people agreed to its use, and for trying things out: the caller
    says where that agreement is recorded.
    """
    names, streams = people_of(path, mapping, now_us=SystemClock().now_us())
    return [
        {"person": name, "jurisdiction": jurisdiction, "streams": sorted(streams)}
        for name in sorted(names)
    ]
