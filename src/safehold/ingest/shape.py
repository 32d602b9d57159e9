"""The part of a mapping that says where, in a nested document, the rows and their cells are.

Paths are names joined by dots; ``*`` stands for every element of an array, or every value of an object. No code
runs, and no path walks up: the work is linear in the document.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import re2

from safehold.errors import InvalidError

KINDS: Final = frozenset({"integer", "number", "text", "flag", "texts"})
_COLUMN: Final = frozenset(
    {"kind", "path", "lookup", "missing", "replace", "append", "unless", "count"}
)
_TABLE: Final = frozenset({"file", "rows", "key", "value", "constant", "values"})
_MOST_STEPS: Final = 8
_LONGEST_PATTERN: Final = 512

Path = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Where one column comes from.

    Args:
        kind: Its kind.
        path: Where it is.
        lookup: Tables it is looked up in, one after the other.
        missing: What becomes of a word a table does not hold: ``keep``, ``none``, or a literal.
        replace: Patterns (RE2) and what stands for them.
        append: Where names are that are put below the text, one a line.
        unless: The cell is empty when it equals the one there.
        count: Whether it is the number of what the path finds.
    """

    kind: str
    path: Path
    lookup: tuple[str, ...] = ()
    missing: str = "none"
    replace: tuple[tuple[Any, str], ...] = ()
    append: Path = ()
    unless: Path = ()
    count: bool = False

    @property
    def reads(self) -> tuple[str, ...]:
        """The names its paths begin with."""
        return tuple(path[0] for path in (self.path, self.append, self.unless) if path)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A part of a table of words: from a document, or written down.

    Args:
        file: The member of an archive that holds it; empty for the document itself.
        rows: Where its rows are.
        key: Where the key of a row is.
        value: Where its value is.
        constant: The value of every row, instead.
        values: The table itself, instead.
    """

    file: str = ""
    rows: Path = ()
    key: Path = ()
    value: Path = ()
    constant: str = ""
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """Where rows and cells are.

    Args:
        format: The format this mapping reads; empty for any table.
        files: Pattern of the members of an archive that hold rows.
        sort: Where in a row its time is, for documents that are not in order; empty for those that are.
        steps: From the document to a row: a name for what is found, and its path from the step before.
        cells: Where each column comes from.
        tables: Tables of words by name.
    """

    format: str = ""
    files: str = ""
    sort: Path = ()
    steps: tuple[tuple[str, Path], ...] = ()
    cells: Mapping[str, Cell] = field(default_factory=dict)
    tables: Mapping[str, tuple[Lookup, ...]] = field(default_factory=dict)

    @property
    def nests(self) -> bool:
        """Whether rows or cells lie deeper than one object a line."""
        return bool(self.steps) or any(
            cell != Cell(kind=cell.kind, path=(name,)) for name, cell in self.cells.items()
        )


def parse_shape(value: Mapping[str, Any], *, formats: tuple[str, ...]) -> Shape:
    """Read the shape of a mapping.

    Raises:
        InvalidError: A key is not known, or a value does not fit.
    """
    kind = value.get("format", "")
    if kind and kind not in formats:
        raise _wrong("format", f"a format is one of {', '.join(formats)}")
    tables = {
        str(name): _parse_table(item, place=f"tables.{name}")
        for name, item in _object(value.get("tables", {}), "tables").items()
    }
    cells = {
        str(name): _parse_cell(item, name=str(name), tables=tables)
        for name, item in _object(value.get("columns", {}), "columns").items()
    }
    return Shape(
        format=kind,
        files=str(value.get("files", "")),
        sort=parse_path(value["sort"], place="sort") if "sort" in value else (),
        steps=_parse_steps(value.get("rows", [])),
        cells=cells,
        tables=tables,
    )


def parse_path(value: Any, *, place: str) -> Path:
    """Read a path: names joined by dots, or a list of names.

    Raises:
        InvalidError: It is neither.
    """
    parts = value.split(".") if isinstance(value, str) else value
    if not isinstance(parts, list) or not all(isinstance(part, str) and part for part in parts):
        raise _wrong(place, "a path is names joined by dots, or a list of names")
    return tuple(parts)


def _parse_steps(value: Any) -> tuple[tuple[str, Path], ...]:
    steps = [{"row": value}] if isinstance(value, str) else value
    if not isinstance(steps, list) or len(steps) > _MOST_STEPS:
        raise _wrong("rows", f"rows is a path, or at most {_MOST_STEPS} steps of {{name: path}}")
    result: list[tuple[str, Path]] = []
    for step in steps:
        if not isinstance(step, Mapping) or len(step) != 1:
            raise _wrong("rows", "a step of rows is {name: path}")
        ((name, path),) = step.items()
        read = parse_path(path, place=f"rows.{name}")
        if result and read[0] == result[-1][0]:
            read = read[1:]  # named for the reader: a step always goes on from the one before
        result.append((str(name), read))
    return tuple(result)


def _parse_cell(value: Any, *, name: str, tables: Mapping[str, Any]) -> Cell:
    place = f"columns.{name}"
    if not isinstance(value, Mapping):
        value = {"kind": value}
    if unknown := set(value) - _COLUMN:
        raise _wrong(f"{place}.{min(map(str, unknown))[:40]}", "this key is not known")
    kind = value.get("kind", "text")
    if kind not in KINDS:
        raise InvalidError(
            f"a column is one of {', '.join(sorted(KINDS))}", field=place, rule="mapping.kind"
        )
    lookup = value.get("lookup", [])
    lookup = (lookup,) if isinstance(lookup, str) else tuple(lookup)
    for table in lookup:
        if table not in tables:
            raise _wrong(place, "lookup names a table that is not under tables")
    replace = _object(value.get("replace", {}), f"{place}.replace")
    return Cell(
        kind=kind,
        path=parse_path(value.get("path", [name]), place=place),
        lookup=lookup,
        missing=str(value.get("missing", "none")),
        replace=tuple((_pattern(key, place), str(by)) for key, by in replace.items()),
        append=parse_path(value["append"], place=place) if "append" in value else (),
        unless=parse_path(value["unless"], place=place) if "unless" in value else (),
        count=value.get("count") is True,
    )


def _pattern(value: Any, place: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    if not isinstance(value, str) or len(value) > _LONGEST_PATTERN:
        raise _wrong(place, "a pattern is a short text")
    try:
        return re2.compile(value, options)
    except re2.error as error:
        raise _wrong(place, "a pattern is not RE2") from error


def _parse_table(value: Any, *, place: str) -> tuple[Lookup, ...]:
    parts = value if isinstance(value, list) else [value]
    result = []
    for part in parts:
        item = _object(part, place)
        if unknown := set(item) - _TABLE:
            raise _wrong(f"{place}.{min(map(str, unknown))[:40]}", "this key is not known")
        if "values" in item:
            words = {str(k): str(v) for k, v in _object(item["values"], place).items()}
            result.append(Lookup(values=words))
            continue
        if "key" not in item or ("value" in item) == ("constant" in item):
            raise _wrong(place, "a table has values, or rows, key and one of value and constant")
        result.append(
            Lookup(
                file=str(item.get("file", "")),
                rows=parse_path(item.get("rows", "*"), place=place),
                key=parse_path(item["key"], place=place),
                value=parse_path(item["value"], place=place) if "value" in item else (),
                constant=str(item.get("constant", "")),
            )
        )
    return tuple(result)


def _object(value: Any, place: str) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise _wrong(place, "an object is expected")
    return value


def _wrong(place: str, message: str) -> InvalidError:
    return InvalidError(message, field=place, rule="mapping.shape")
