"""The mapping language: how a foreign file becomes wire-form events, stated without code.

The language is described in ``docs/reference/mapping.md``.
"""

from __future__ import annotations

from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any, Final

from safehold.errors import InvalidError
from safehold.ingest.expression import Expression, parse_expression
from safehold.ingest.moment import TimeRule, parse_time
from safehold.ingest.shape import Shape, parse_shape
from safehold.ingest.spread import Spread, Where, parse_spread, parse_where
from safehold.telemetry.schema import WIRE
from safehold.telemetry.stream import STREAMS

VERSION: Final = "safehold.mapping/v1"
FLAT: Final = ("parquet", "jsonl", "csv")  # one row a row, cells by name
NESTED: Final = ("json", "zip-json", "mbox", "webvtt", "sqlite")
FORMATS: Final = (*FLAT, *NESTED)
GIVEN: Final = "given"  # the file does not say whose events it holds: whoever hands it in does
_TOP: Final = frozenset(
    {"mapping", "name", "about", "stream", "columns", "ignore", "person", "device", "session",
     "seq", "time", "fields", "tolerate", "format", "rows", "files", "tables", "where",
     "spread", "sort"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapping:
    """How one kind of file becomes wire-form events.

    Args:
        name: Its name.
        about: One line about it.
        wire: Whether the file holds the wire form itself.
        stream: The stream, or the expression that tells it row by row.
        columns: Foreign columns and their kinds; empty for the wire form.
        ignore: Columns that may be there and are not read.
        person, device, session: Who, on what, and when it began; without a person, it has to be given.
        seq: The column that numbers events; empty to count them.
        time: Where the time comes from.
        fields: For each stream, each field and its expression.
        tolerate: Share of refused rows this format is known for, 0 to 1.
        shape: Where rows and cells are, in a source that nests.
        where: Which rows are taken at all.
        spread: Columns that each become a row of their own.
    """

    name: str
    about: str = ""
    wire: bool = False
    stream: str | Expression = ""
    columns: AnyMapping[str, str]
    ignore: frozenset[str] = frozenset()
    person: Expression | None = None
    device: Expression | None = None
    session: Expression | None = None
    seq: str = ""
    time: TimeRule = field(default_factory=TimeRule)
    fields: AnyMapping[str, AnyMapping[str, Expression]]
    tolerate: float = 0.0
    shape: Shape = field(default_factory=Shape)
    where: Where = field(default_factory=Where)
    spread: Spread | None = None

    @property
    def pause_column(self) -> str:
        """The foreign column that rises with time, empty where none does as a number."""
        if self.wire:
            return "mono"
        return "" if self.time.written else self.time.press or self.time.column

    @property
    def session_columns(self) -> tuple[str, ...]:
        """The foreign columns that together tell one session from another."""
        if self.wire:
            return ("person", "device", "session")
        parts = (self.person, self.device, self.session)
        return tuple(dict.fromkeys(column for part in parts if part for column in part.columns))


def parse_mapping(value: Any) -> Mapping:
    """Read a mapping from plain values.

    Raises:
        InvalidError: A key is not known or missing, or a value does not fit.
    """
    if not isinstance(value, AnyMapping) or value.get("mapping") != VERSION:
        raise InvalidError(
            f"a mapping begins with mapping: {VERSION}", field="mapping", rule="mapping.version"
        )
    for key in value:
        if key not in _TOP:
            raise InvalidError(
                "this key is not known", field=str(key)[:40], rule="mapping.unknown_key"
            )
    name = str(value.get("name") or "")
    if not name:
        raise InvalidError("a mapping has a name", field="name", rule="mapping.name")
    tolerate = value.get("tolerate", 0)
    if isinstance(tolerate, bool) or not isinstance(tolerate, int | float) or not 0 <= tolerate < 1:
        raise InvalidError(
            "tolerate is a share of rows, 0 up to but not 1",
            field="tolerate",
            rule="mapping.tolerate",
        )
    stream = _parse_stream(value.get("stream"))
    if value.get("fields") == "wire":
        return Mapping(
            name=name,
            about=str(value.get("about", "")),
            wire=True,
            stream=stream,
            columns={},
            ignore=frozenset(value.get("ignore", ())),
            fields={},
            tolerate=float(tolerate),
        )
    return _parse_foreign(value, name=name, stream=stream, tolerate=float(tolerate))


def _parse_stream(value: Any) -> str | Expression:
    if isinstance(value, str):
        if value not in STREAMS:
            raise InvalidError(
                f"the stream is not one of {', '.join(STREAMS)}",
                field="stream",
                rule="mapping.unknown_stream",
            )
        return value
    expression = parse_expression(value, place="stream")
    for target in (expression.translate or {}).values():
        if target not in STREAMS:
            raise InvalidError(
                f"a stream is not one of {', '.join(STREAMS)}",
                field="stream.translate",
                rule="mapping.unknown_stream",
            )
    return expression


def _parse_foreign(
    value: AnyMapping[str, Any], *, name: str, stream: str | Expression, tolerate: float
) -> Mapping:
    columns = value.get("columns")
    if not isinstance(columns, AnyMapping) or not columns:
        raise InvalidError(
            "columns names each column of the file and its kind",
            field="columns",
            rule="mapping.columns",
        )
    shape = parse_shape(value, formats=FORMATS)
    fields = _parse_fields(value.get("fields"), stream)
    who = {
        key: parse_expression(value.get(key), place=key)
        for key in ("person", "device", "session")
        if key != "person" or value.get(key) != GIVEN
    }
    mapping = Mapping(
        name=name,
        about=str(value.get("about", "")),
        stream=stream,
        columns={name: cell.kind for name, cell in shape.cells.items()},
        ignore=frozenset(str(column) for column in value.get("ignore", ())),
        seq=_parse_seq(value.get("seq", "count")),
        time=parse_time(value.get("time")),
        fields=fields,
        tolerate=tolerate,
        shape=shape,
        where=parse_where(value.get("where", {})),
        spread=parse_spread(value["spread"]) if "spread" in value else None,
        person=who.get("person"),
        device=who["device"],
        session=who["session"],
    )
    _check_columns(mapping)
    return mapping


def _parse_fields(value: Any, stream: str | Expression) -> dict[str, dict[str, Expression]]:
    if not isinstance(value, AnyMapping) or not value:
        raise InvalidError(
            "fields names, for each stream, each field", field="fields", rule="mapping.fields"
        )
    targets = {stream} if isinstance(stream, str) else set((stream.translate or {}).values())
    result: dict[str, dict[str, Expression]] = {}
    for target, members in value.items():
        if target not in targets:
            raise InvalidError(
                "fields are given for a stream the mapping does not make",
                field=f"fields.{target}",
                rule="mapping.unknown_stream",
            )
        known = set(WIRE[target].names) - {"person", "device", "session", "seq", "t", "mono"}
        result[target] = {}
        for member, item in dict(members or {}).items():
            place = f"fields.{target}.{member}"
            if member not in known:
                raise InvalidError(
                    "this field is not known", field=place, rule="mapping.unknown_field"
                )
            result[target][member] = parse_expression(item, place=place)
    if missing := sorted(targets - set(result)):
        raise InvalidError(
            f"fields of stream {missing[0]} are missing", field="fields", rule="mapping.fields"
        )
    return result


def _parse_seq(value: Any) -> str:
    if value == "count":
        return ""
    expression = parse_expression(value, place="seq")
    if not expression.plain:
        raise InvalidError(
            "seq is count, or {from: column}", field="seq", rule="mapping.expression"
        )
    return expression.columns[0]


def _check_columns(mapping: Mapping) -> None:
    used: dict[str, str] = {}
    for place, expression in (
        ("person", mapping.person),
        ("device", mapping.device),
        ("session", mapping.session),
        ("stream", mapping.stream),
        *(
            (f"fields.{stream}.{name}", expression)
            for stream, members in mapping.fields.items()
            for name, expression in members.items()
        ),
    ):
        if isinstance(expression, Expression):
            used.update(dict.fromkeys(expression.uses, place))
    time = mapping.time
    used.update({column: "time" for column in (time.column, time.press, time.release) if column})
    if mapping.seq:
        used[mapping.seq] = "seq"
    used.update(dict.fromkeys(mapping.where.allowed, "where"))
    known = set(mapping.columns)
    if mapping.spread is not None:
        used.update(dict.fromkeys(mapping.spread.columns, "spread"))
        known |= {mapping.spread.name, mapping.spread.value}
    for column, place in used.items():
        if column not in known:
            raise InvalidError(
                f"column {column} is used but not listed under columns",
                field=place,
                rule="mapping.columns",
            )
    if time.press and (mapping.seq or mapping.stream != "key"):
        raise InvalidError(
            "press and release make key events and number them by counting",
            field="time",
            rule="mapping.time",
        )
